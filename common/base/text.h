/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.h - a growable text: the one way to build a string whose length is not known.
 *
 * There is no 'compute the length, then copy' anywhere in weir. A failed allocation is remembered, so a run of
 * appends is checked once, at its end.
 */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdarg.h>

#include "common/base/arena.h"

struct text {
    char *ptr;
    size_t len, cap;
    struct arena *arena; /* NULL: malloc, and text_free gives it back */
    bool fixed;          /* lies in the caller's memory and cannot grow: what does not fit fails */
    bool failed;         /* an append did not fit or memory was out; later appends do nothing */
};

void text_init(struct text *t, struct arena *a);
/* In the caller's memory, never grows. */
void text_init_fixed(struct text *t, char *mem, size_t cap);
/* Only for texts without an arena; harmless on others. */
void text_free(struct text *t);

/* The slow part of text_room. */
char *text_grow(struct text *t, size_t n);
/* Room for `n` more bytes at t->ptr + t->len, or NULL (failed). The caller then moves t->len. */
static inline char *
text_room(struct text *t, size_t n)
{
    if (LIKELY(n <= t->cap - t->len && t->ptr != NULL && !t->failed))
        return t->ptr + t->len;
    return text_grow(t, n);
}
static inline void
text_bytes(struct text *t, const void *bytes, size_t n)
{
    char *to = text_room(t, n);

    if (LIKELY(to != NULL && n > 0)) {
        memcpy(to, bytes, n);
        t->len += n;
    }
}
static inline void
text_add(struct text *t, struct str s)
{
    text_bytes(t, s.ptr, s.len);
}
static inline void
text_char(struct text *t, char c)
{
    char *to = text_room(t, 1);

    if (LIKELY(to != NULL)) {
        *to = c;
        t->len++;
    }
}
void text_lower(struct text *t, struct str s);
void text_num(struct text *t, int64_t n);
void text_unum(struct text *t, uint64_t n);
/* At least `digits` digits, zeros in front. */
void text_pad(struct text *t, uint64_t n, unsigned digits);
void text_hex(struct text *t, struct str bytes);
void text_fmt(struct text *t, const char *fmt, ...) PRINTF(2, 3);
void text_vfmt(struct text *t, const char *fmt, va_list args) PRINTF(2, 0);
#define TEXT_LIT(t, lit) text_bytes((t), "" lit, sizeof(lit) - 1)

/* What has been built, borrowed from the text; STR_NONE when it failed. */
struct str text_str(const struct text *t);

#endif
