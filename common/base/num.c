/* SPDX-License-Identifier: BSD-2-Clause */
/* num.c - numbers, sizes, durations and rates from text. */
#include "common/base/num.h"

#include "common/base/escape.h"
#include "common/base/panic.h"

enum { NUM_DIGITS_SAFE = 19 }; /* so many fit into 64 bits, whatever they are */

static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes the digits at the front of *s: false when there is none or the number does not fit. */
static bool
take_digits(struct str *s, uint64_t *value)
{
    uint64_t n = 0;
    size_t i = 0;

    for (; i < s->len && i < NUM_DIGITS_SAFE && is_digit(s->ptr[i]); i++)
        n = n * 10 + (uint64_t)(s->ptr[i] - '0');
    for (; i < s->len && is_digit(s->ptr[i]); i++)
        if (!num_mul(n, 10, &n) || !num_add(n, (uint64_t)(s->ptr[i] - '0'), &n))
            return false;
    if (i == 0)
        return false;
    *s = str_from(*s, i);
    *value = n;
    return true;
}

bool
num_parse_u64(struct str s, uint64_t *value)
{
    uint64_t n;

    if (!take_digits(&s, &n) || s.len != 0)
        return false;
    *value = n;
    return true;
}

bool
num_parse_u32(struct str s, uint32_t *value)
{
    uint64_t n;

    if (!num_parse_u64(s, &n) || n > UINT32_MAX)
        return false;
    *value = (uint32_t)n;
    return true;
}

bool
num_parse_i64(struct str s, int64_t *value)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t n;

    if (!num_parse_u64(negative ? str_from(s, 1) : s, &n))
        return false;
    if (n > (uint64_t)INT64_MAX + negative)
        return false;
    *value = negative ? (int64_t)-n : (int64_t)n;
    return true;
}

bool
num_parse_hex(struct str s, uint64_t *value)
{
    uint64_t n = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        int digit = hex_digit(s.ptr[i]);

        if (digit < 0 || n > UINT64_MAX >> 4)
            return false;
        n = n << 4 | (uint64_t)digit;
    }
    *value = n;
    return true;
}

bool
num_parse_size(struct str s, uint64_t *bytes)
{
    uint64_t n;
    unsigned shift = 0;

    if (!take_digits(&s, &n) || s.len > 1)
        return false;
    if (s.len == 1) {
        switch (s.ptr[0]) {
        case 'k':
        case 'K':
            shift = 10;
            break;
        case 'm':
        case 'M':
            shift = 20;
            break;
        case 'g':
        case 'G':
            shift = 30;
            break;
        default:
            return false;
        }
    }
    return num_mul(n, UINT64_C(1) << shift, bytes);
}

#define SECOND UINT64_C(1000)
#define DAY    (86400 * SECOND)

/* From large to small; "ms" stands before 'm' and 's' are tried. */
static const struct time_unit {
    const char *name;
    uint64_t ms;
} units[] = {
    { "y", 365 * DAY },     { "M", 30 * DAY },    { "w", 7 * DAY }, { "d", DAY },
    { "h", 3600 * SECOND }, { "m", 60 * SECOND }, { "s", SECOND },  { "ms", 1 },
};

/* Index in `units` of the unit at the front of *s, which is taken; no unit means seconds. */
static size_t
take_unit(struct str *s, bool *named)
{
    struct str name;
    size_t n = 0, i = 0;

    while (n < s->len && (s->ptr[n] | 0x20) >= 'a' && (s->ptr[n] | 0x20) <= 'z')
        n++;
    *named = n > 0;
    name = n > 0 ? str_upto(*s, n) : S("s");
    *s = str_from(*s, n);
    while (i < ARRAY_LEN(units) && !str_eq(name, str_c(units[i].name)))
        i++;
    return i;
}

bool
num_parse_duration(struct str s, uint64_t *ms)
{
    uint64_t sum = 0, n;
    size_t next = 0; /* units before this one are used up */

    do {
        bool named;
        size_t unit;

        if (!take_digits(&s, &n))
            return false;
        unit = take_unit(&s, &named);
        if (unit >= ARRAY_LEN(units) || unit < next)
            return false;
        if (!named && s.len > 0) /* only the last number goes without a unit */
            return false;
        next = unit + 1;
        if (!num_mul(n, units[unit].ms, &n) || !num_add(sum, n, &sum))
            return false;
        while (s.len > 1 && s.ptr[0] == ' ')
            s = str_from(s, 1);
    } while (s.len > 0);
    *ms = sum;
    return true;
}

bool
num_parse_rate(struct str s, uint64_t *milli_per_s)
{
    uint64_t n;

    if (!take_digits(&s, &n) || !num_mul(n, 1000, &n))
        return false;
    if (str_eq(s, S("r/s")))
        *milli_per_s = n;
    else if (str_eq(s, S("r/m")))
        *milli_per_s = n / 60;
    else
        return false;
    return true;
}

bool
num_parse_fixed(struct str s, unsigned digits, uint64_t *value)
{
    uint64_t n = 0;
    size_t point = str_find(s, '.');
    struct str fraction = point < s.len ? str_from(s, point + 1) : S("");

    if (fraction.len > digits || (point < s.len && fraction.len == 0))
        return false;
    if (point > 0 && !num_parse_u64(str_upto(s, point), &n))
        return false;
    if (point == 0 && fraction.len == 0)
        return false;
    for (unsigned i = 0; i < digits; i++) {
        char c = i < fraction.len ? fraction.ptr[i] : '0';

        if (c < '0' || c > '9')
            return false;
        if (!num_mul(n, 10, &n) || !num_add(n, (uint64_t)(c - '0'), &n))
            return false;
    }
    *value = n;
    return true;
}

static size_t
digits_of(uint64_t value)
{
    size_t n = 1;

    for (; value >= 10000; value /= 10000)
        n += 4;
    return n + (value >= 10) + (value >= 100) + (value >= 1000);
}

size_t
num_format_u64(char *to, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t n = digits_of(value);
    char *p = to + n;

    for (; value >= 100; value /= 100) {
        p -= 2;
        memcpy(p, pairs + value % 100 * 2, 2);
    }
    if (value >= 10)
        memcpy(to, pairs + value * 2, 2);
    else
        *to = (char)('0' + value);
    return n;
}
