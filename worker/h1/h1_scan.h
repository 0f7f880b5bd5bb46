/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_scan.h - looks at many bytes at once: SSE2 or AVX2 as compiled for, else eight bytes in a word.
 *
 * None of these reads beyond `end`.
 */
#ifndef WEIR_H1_H1_SCAN_H
#define WEIR_H1_H1_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Controls other than a tab: what may not stand in a field value, a reason or a target. */
static inline bool
scan_is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

#if defined(__AVX2__)
enum { SCAN_STEP = 32 };

static inline uint32_t
scan_mask_byte(const char *p, char c)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);

    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

static inline uint32_t
scan_mask_control(const char *p)
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    __m256i del = _mm256_cmpeq_epi8(v, _mm256_set1_epi8(0x7f));
    __m256i tab = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\t'));

    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_andnot_si256(tab, low), del));
}
#elif defined(__SSE2__)
enum { SCAN_STEP = 16 };

static inline uint32_t
scan_mask_byte(const char *p, char c)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);

    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

static inline uint32_t
scan_mask_control(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    __m128i del = _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f));
    __m128i tab = _mm_cmpeq_epi8(v, _mm_set1_epi8('\t'));

    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del));
}
#else
enum { SCAN_STEP = 8 };

/* A word of eight bytes to one bit for each byte whose top bit is set; the byte order of the machine does not matter
 * because bytes are looked at one by one when any is set. */
static inline uint32_t
scan_collect(const char *p, bool (*is)(unsigned char c, unsigned char what), unsigned char what)
{
    uint32_t mask = 0;

    for (unsigned i = 0; i < SCAN_STEP; i++)
        mask |= (uint32_t)is((unsigned char)p[i], what) << i;
    return mask;
}

static inline bool
scan_is_byte(unsigned char c, unsigned char what)
{
    return c == what;
}

static inline bool
scan_is_any_control(unsigned char c, unsigned char what)
{
    (void)what;
    return scan_is_control(c);
}

#define SCAN_ONES 0x0101010101010101ULL
#define SCAN_TOPS 0x8080808080808080ULL

static inline uint32_t
scan_mask_byte(const char *p, char c)
{
    uint64_t w;

    memcpy(&w, p, sizeof(w));
    w ^= SCAN_ONES * (unsigned char)c;
    if (((w - SCAN_ONES) & ~w & SCAN_TOPS) == 0)
        return 0;
    return scan_collect(p, scan_is_byte, (unsigned char)c);
}

/* The word test may also stop at a tab: the look at single bytes decides. */
static inline uint32_t
scan_mask_control(const char *p)
{
    uint64_t w, del;

    memcpy(&w, p, sizeof(w));
    del = w ^ SCAN_ONES * 0x7f;
    if ((((w - SCAN_ONES * 0x20) | (del - SCAN_ONES)) & ~w & SCAN_TOPS) == 0)
        return 0;
    return scan_collect(p, scan_is_any_control, 0);
}
#endif

/* The first `c` in [p, end), or end. */
static inline const char *
scan_byte(const char *p, const char *end, char c)
{
    for (; end - p >= SCAN_STEP; p += SCAN_STEP) {
        uint32_t mask = scan_mask_byte(p, c);

        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    for (; p < end && *p != c; p++)
        ;
    return p;
}

/* The first control in [p, end), or end. */
static inline const char *
scan_control(const char *p, const char *end)
{
    for (; end - p >= SCAN_STEP; p += SCAN_STEP) {
        uint32_t mask = scan_mask_control(p);

        if (mask != 0)
            return p + __builtin_ctz(mask);
    }
    for (; p < end && !scan_is_control((unsigned char)*p); p++)
        ;
    return p;
}

#endif
