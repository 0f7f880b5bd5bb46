/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * num.h - numbers as text and back, and arithmetic that cannot wrap. The only place that knows units.
 *
 * All parsers take the whole string: a leading sign, a blank or a rest is an error; so is a value that does not fit.
 */
#ifndef WEIR_BASE_NUM_H
#define WEIR_BASE_NUM_H

#include "common/base/str.h"

bool num_parse_u64(struct str s, uint64_t *value);
bool num_parse_u32(struct str s, uint32_t *value);
/* With an optional '-'. */
bool num_parse_i64(struct str s, int64_t *value);
bool num_parse_hex(struct str s, uint64_t *value);
/* Bytes: digits and optionally k, K, m, M, g, G (powers of 1024). */
bool num_parse_size(struct str s, uint64_t *bytes);
/*
 * nginx's time syntax to milliseconds: "10" is seconds; "1h 30m", "1y2M3w4d5h6m7s8ms" with units from large to
 * small, each at most once. A month has 30 days, a year 365.
 */
bool num_parse_duration(struct str s, uint64_t *ms);
/* A rate such as "10r/s" or "30r/m" in thousandths of a request per second. */
bool num_parse_rate(struct str s, uint64_t *milli_per_s);
/* A decimal fraction with at most `digits` digits behind the point, times 10^digits ("1.5", 2 -> 150). */
bool num_parse_fixed(struct str s, unsigned digits, uint64_t *value);

enum { NUM_TEXT_MAX = 21 };
/* Writes decimal digits without NUL, returns how many (at most 20). */
size_t num_format_u64(char *to, uint64_t value);

/* False, and *sum unchanged, when it would wrap. */
static inline bool
num_add(uint64_t a, uint64_t b, uint64_t *sum)
{
    uint64_t r;

    if (__builtin_add_overflow(a, b, &r))
        return false;
    *sum = r;
    return true;
}
static inline bool
num_mul(uint64_t a, uint64_t b, uint64_t *product)
{
    uint64_t r;

    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *product = r;
    return true;
}
static inline uint64_t
num_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t
num_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
