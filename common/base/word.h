/* SPDX-License-Identifier: BSD-2-Clause */
/* word.h - eight bytes at once: loads of any alignment and ASCII case folding. */
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

#endif
