/* SPDX-License-Identifier: BSD-2-Clause */
/* word.h - eight bytes at once: loads of any alignment, ASCII case folding, short copies. */
#ifndef WEIR_BASE_WORD_H
#define WEIR_BASE_WORD_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WORD_ONES UINT64_C(0x0101010101010101)

/* The same number on all machines: the first byte is the lowest. */
static inline uint64_t
word_load(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    return le64toh(w);
}

static inline uint64_t
word_load4(const char *p)
{
    uint32_t w;

    memcpy(&w, p, sizeof(w));
    return le32toh(w);
}

/* Each of the eight bytes that is an ASCII capital becomes its small letter; no carry passes between bytes. */
static inline uint64_t
word_lower(uint64_t w)
{
    uint64_t low7 = w & (0x7f * WORD_ONES);
    uint64_t from_a = low7 + (0x80 - 'A') * WORD_ONES;
    uint64_t after_z = low7 + (0x7f - 'Z') * WORD_ONES;
    uint64_t capital = (from_a ^ after_z) & ~w & (0x80 * WORD_ONES);

    return w | capital >> 2;
}

/* memcpy for what is most often short: names, values, lines. */
static inline void
copy_short(char *to, const char *from, size_t n)
{
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else if (n > 0) {
        to[0] = from[0];
        to[n / 2] = from[n / 2];
        to[n - 1] = from[n - 1];
    }
}

#endif
