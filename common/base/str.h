/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * str.h - counted strings: a pointer and a length, borrowed, never assumed to end in NUL.
 */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;
};

/* A literal as an expression, and as an initializer of static data. */
#define S(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define S_INIT(lit)             \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }
/* For printf: "%.*s", STR(s). */
#define STR(s) (int)(s).len, (s).ptr
/* No string at all; an empty string has a non-NULL ptr where the difference matters. */
#define STR_NONE ((struct str){ NULL, 0 })

static inline struct str
str_c(const char *text)
{
    return (struct str){ text, text != NULL ? strlen(text) : 0 };
}

static inline struct str
str_n(const char *ptr, size_t len)
{
    return (struct str){ ptr, len };
}

static inline bool
str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII letters compare without case; all other bytes exactly. */
bool str_eq_nocase(struct str a, struct str b);
/* Like memcmp on the common part, then by length: an order for sorting. */
int str_cmp(struct str a, struct str b);
static inline bool
str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/* Index of the first `c`, or s.len. */
size_t str_find(struct str s, char c);
/* Index of the last `c`, or s.len. */
size_t str_rfind(struct str s, char c);
/* Offset of the first `needle`, or s.len when there is none; an empty needle is found at 0. */
size_t str_search(struct str s, struct str needle);
/* The part from `at` on (at <= len) and the part before it. */
static inline struct str
str_from(struct str s, size_t at)
{
    return (struct str){ at == 0 ? s.ptr : s.ptr + at,
                         s.len - at }; /* NULL + 0 is undefined in C11 */
}
static inline struct str
str_upto(struct str s, size_t at)
{
    return (struct str){ s.ptr, at };
}
/* Without leading and trailing spaces and tabs (the optional whitespace of RFC 9110, 5.6.3). */
struct str str_trim(struct str s);
/*
 * Takes the next piece up to `sep` off the front of *rest: false when *rest is used up (ptr NULL). "a,,b" gives
 * three pieces, the second empty.
 */
bool str_split(struct str *rest, char sep, struct str *piece);
/* Copies at most size - 1 bytes and a NUL; false when it did not fit (then it is cut). */
bool str_to_c(struct str s, char *to, size_t size);

/* The edits within which another name may be what was meant by this one. */
unsigned str_typo_limit(struct str name);
/* The number of single-character edits between two names, for 'did you mean'; gives up above `limit`. */
unsigned str_distance(struct str a, struct str b, unsigned limit);

static inline char
char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}
/* Of the name of a variable or a group: a letter, a digit, '_'. */
static inline bool
char_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

#endif
