/* SPDX-License-Identifier: BSD-2-Clause */
/* text.c - growable texts: appends and number formats. */
#include "common/base/text.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/num.h"

enum { TEXT_FIRST = 112 }; /* capacity of the first allocation, bytes */

void
text_init(struct text *t, struct arena *a)
{
    *t = (struct text){ .arena = a };
}

void
text_init_fixed(struct text *t, char *mem, size_t cap)
{
    *t = (struct text){ .ptr = mem, .cap = cap, .fixed = true };
}

void
text_free(struct text *t)
{
    if (t->arena == NULL && !t->fixed) {
        free(t->ptr);
        text_init(t, NULL);
    }
}

/* The text is the arena's newest piece more often than not: then it grows where it lies. */
static bool
grow_in_place(struct text *t, size_t cap)
{
    struct arena *a = t->arena;
    size_t more = cap - t->cap;

    if (t->ptr == NULL || t->ptr + t->cap != a->at || more > (size_t)(a->end - a->at))
        return false;
    a->at += more;
    a->used += more;
    t->cap = cap;
    return true;
}

/* Makes the capacity at least `need`. All capacities of growable texts are multiples of 16. */
static bool
grow(struct text *t, size_t need)
{
    size_t cap = t->cap == 0 ? TEXT_FIRST : t->cap;
    char *p;

    if (t->fixed || need > SIZE_MAX / 4)
        return false;
    while (cap < need)
        cap *= 2;
    if (t->arena == NULL) {
        p = realloc(t->ptr, cap);
    } else {
        if (grow_in_place(t, cap))
            return true;
        p = arena_alloc(t->arena, cap);
        if (p != NULL && t->len > 0)
            memcpy(p, t->ptr, t->len);
    }
    if (p == NULL)
        return false;
    t->ptr = p;
    t->cap = cap;
    return true;
}

char *
text_grow(struct text *t, size_t n)
{
    if (t->failed)
        return NULL;
    if (n > SIZE_MAX - t->len || !grow(t, t->len + n)) {
        t->failed = true;
        return NULL;
    }
    return t->ptr + t->len;
}

void
text_lower(struct text *t, struct str s)
{
    char *to = text_room(t, s.len);

    if (to == NULL)
        return;
    for (size_t i = 0; i < s.len; i++)
        to[i] = char_lower(s.ptr[i]);
    t->len += s.len;
}

void
text_unum(struct text *t, uint64_t n)
{
    char digits[NUM_TEXT_MAX];

    if (LIKELY(!t->failed && t->ptr != NULL && t->cap - t->len >= sizeof(digits)))
        t->len += num_format_u64(t->ptr + t->len, n);
    else
        text_bytes(t, digits, num_format_u64(digits, n));
}

void
text_num(struct text *t, int64_t n)
{
    if (n < 0)
        text_char(t, '-');
    text_unum(t, n < 0 ? -(uint64_t)n : (uint64_t)n);
}

void
text_pad(struct text *t, uint64_t n, unsigned digits)
{
    char mem[NUM_TEXT_MAX];
    size_t len = num_format_u64(mem, n);

    for (size_t have = len; have < digits; have++)
        text_char(t, '0');
    text_bytes(t, mem, len);
}

void
text_hex(struct text *t, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *to = bytes.len > SIZE_MAX / 2 ? NULL : text_room(t, bytes.len * 2);

    if (to == NULL) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < bytes.len; i++) {
        *to++ = digits[(uint8_t)bytes.ptr[i] >> 4];
        *to++ = digits[(uint8_t)bytes.ptr[i] & 15];
    }
    t->len += bytes.len * 2;
}

void
text_vfmt(struct text *t, const char *fmt, va_list args)
{
    char first[256];
    va_list again;
    char *to;
    int n;

    va_copy(again, args);
    n = vsnprintf(first, sizeof(first), fmt, args);
    if (n < 0) {
        t->failed = true;
    } else if ((size_t)n < sizeof(first)) {
        text_bytes(t, first, (size_t)n);
    } else {
        to = text_room(t, (size_t)n + 1); /* vsnprintf wants its NUL */
        if (to != NULL) {
            vsnprintf(to, (size_t)n + 1, fmt, again);
            t->len += (size_t)n;
        }
    }
    va_end(again);
}

void
text_fmt(struct text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    text_vfmt(t, fmt, args);
    va_end(args);
}

struct str
text_str(const struct text *t)
{
    if (t->failed)
        return STR_NONE;
    return str_n(t->ptr != NULL ? t->ptr : "", t->len);
}
