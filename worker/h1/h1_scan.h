/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_scan.h - looks at many bytes at once: 16 with SSE2, else eight in a word.
 *
 * None of these reads outside of [p, end). What is left behind whole steps is looked at in one more that overlaps the last
 * of them, or whose two halves overlap: most names and values are shorter than a step.
 */
#ifndef WEIR_H1_H1_SCAN_H
#define WEIR_H1_H1_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Controls other than a tab: what may not stand in a field value, a reason or a target. */
static inline bool
scan_is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

static inline bool
scan_is_it(char c, char what, bool control)
{
    return control ? scan_is_control((unsigned char)c) : c == what;
}

#if defined(__SSE2__)
enum { SCAN_STEP = 16 };
typedef __m128i scan_block;

static inline scan_block
scan_load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* A bit for each byte that is a control, or `what`. */
static inline uint32_t
scan_mask(scan_block v, char what, bool control)
{
    __m128i low, del, tab;

    if (!control)
        return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(what)));
    low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}

/* The n < SCAN_STEP bytes from p. */
static inline const char *
scan_short(const char *p, size_t n, char what, bool control)
{
    uint32_t mask, at, half;

    if (n >= 8) {
        uint64_t front, back;

        memcpy(&front, p, 8);
        memcpy(&back, p + n - 8, 8);
        half = 8;
        mask = scan_mask(_mm_set_epi64x((long long)back, (long long)front), what, control);
    } else if (n >= 4) {
        uint32_t front, back;

        memcpy(&front, p, 4);
        memcpy(&back, p + n - 4, 4);
        half = 4;
        mask = scan_mask(_mm_set_epi32(0, 0, (int)back, (int)front), what, control) & 0xff;
    } else {
        const char *end = p + n;

        while (p < end && !scan_is_it(*p, what, control))
            p++;
        return p;
    }
    if (mask == 0)
        return p + n;
    at = (uint32_t)__builtin_ctz(mask);
    return at < half ? p + at : p + n - 2 * half + at;
}
#else
enum { SCAN_STEP = 8 };
typedef struct {
    char byte[SCAN_STEP];
} scan_block;

#define SCAN_ONES 0x0101010101010101ULL
#define SCAN_TOPS 0x8080808080808080ULL

static inline scan_block
scan_load(const char *p)
{
    scan_block v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The test of the word may also stop at a byte that is none of those: then single bytes are looked at. */
static inline uint32_t
scan_mask(scan_block v, char what, bool control)
{
    uint32_t mask = 0;
    uint64_t w, x, found;

    memcpy(&w, &v, sizeof(w));
    x = w ^ SCAN_ONES * (control ? 0x7f : (unsigned char)what);
    found = (x - SCAN_ONES) & ~x;
    if (control)
        found |= (w - SCAN_ONES * 0x20) & ~w;
    if ((found & SCAN_TOPS) == 0)
        return 0;
    for (unsigned i = 0; i < SCAN_STEP; i++)
        mask |= (uint32_t)scan_is_it(v.byte[i], what, control) << i;
    return mask;
}

static inline const char *
scan_short(const char *p, size_t n, char what, bool control)
{
    const char *end = p + n;

    while (p < end && !scan_is_it(*p, what, control))
        p++;
    return p;
}
#endif

/* The first control, or the first `what`, in [p, end), or end. */
static inline __attribute__((always_inline)) const char *
scan_first(const char *p, const char *end, char what, bool control)
{
    uint32_t mask;

    if (end - p < SCAN_STEP)
        return scan_short(p, (size_t)(end - p), what, control);
    for (; end - p >= SCAN_STEP; p += SCAN_STEP) {
        mask = scan_mask(scan_load(p), what, control);
        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    if (p == end)
        return end;
    p = end - SCAN_STEP;
    mask = scan_mask(scan_load(p), what, control);
    return mask != 0 ? p + __builtin_ctz(mask) : end;
}

/* The first `c` in [p, end), or end. */
static inline const char *
scan_byte(const char *p, const char *end, char c)
{
    return scan_first(p, end, c, false);
}

/* The first control in [p, end), or end. */
static inline const char *
scan_control(const char *p, const char *end)
{
    return scan_first(p, end, 0, true);
}

#endif
