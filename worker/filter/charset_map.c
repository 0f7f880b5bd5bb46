/* SPDX-License-Identifier: BSD-2-Clause */
/* charset_map.c - tables and conversion between charsets of one byte each and UTF-8. */
#include "worker/filter/charset_map.h"

#include "common/base/num.h"

enum {
    POINT_MAX = 0x10FFFF,
    PAGES = (POINT_MAX + 1) / 256,
    HALF = 128, /* bytes below mean themselves in every charset */
};

enum table_kind { TABLE_BYTES, TABLE_TO_UTF8, TABLE_FROM_UTF8 };

struct utf8_char {
    uint8_t len;
    char bytes[4];
};

struct charset_table {
    enum table_kind kind;
    union {
        uint8_t byte[256];
        struct utf8_char utf8[256];
        uint8_t *page[PAGES]; /* by code point / 256; 0 in it: there is none */
    };
};

static struct charset_table *
table_new(struct arena *a, enum table_kind kind, size_t size)
{
    struct charset_table *t = arena_zalloc(a, size);

    if (t != NULL)
        t->kind = kind;
    return t;
}

struct charset_table *
charset_table_new(struct arena *a)
{
    struct charset_table *t =
        table_new(a, TABLE_BYTES, offsetof(struct charset_table, byte) + sizeof(t->byte));

    for (unsigned i = 0; t != NULL && i < 256; i++)
        t->byte[i] = i < HALF ? (uint8_t)i : '?';
    return t;
}

struct charset_table *
charset_table_to_utf8(struct arena *a)
{
    struct charset_table *t =
        table_new(a, TABLE_TO_UTF8, offsetof(struct charset_table, utf8) + sizeof(t->utf8));

    for (unsigned i = 0; t != NULL && i < 256; i++)
        t->utf8[i] = (struct utf8_char){ .len = 1, .bytes = { i < HALF ? (char)i : '?' } };
    return t;
}

struct charset_table *
charset_table_from_utf8(struct arena *a)
{
    return table_new(a, TABLE_FROM_UTF8, sizeof(struct charset_table));
}

void
charset_table_byte(struct charset_table *t, uint8_t from, uint8_t to)
{
    ASSERT(t->kind == TABLE_BYTES);
    t->byte[from] = to;
}

void
charset_table_char(struct charset_table *t, uint8_t from, struct str utf8)
{
    ASSERT(t->kind == TABLE_TO_UTF8 && utf8.len <= sizeof(t->utf8[0].bytes));
    t->utf8[from].len = (uint8_t)utf8.len;
    memcpy(t->utf8[from].bytes, utf8.ptr, utf8.len);
}

bool
charset_table_point(struct charset_table *t, uint32_t point, uint8_t to, struct arena *a)
{
    uint8_t **page;

    ASSERT(t->kind == TABLE_FROM_UTF8 && point <= POINT_MAX);
    page = &t->page[point / 256];
    if (*page == NULL)
        *page = arena_zalloc(a, 256);
    if (*page == NULL)
        return false;
    (*page)[point % 256] = to;
    return true;
}

bool
charset_table_keeps_length(const struct charset_table *t)
{
    return t->kind == TABLE_BYTES;
}

/* ---- UTF-8 (RFC 3629, 4) ---- */

/* The first byte of a character of several; false: none begins with it. */
static bool
utf8_begin(struct charset_state *s, uint8_t c)
{
    s->low = 0x80;
    s->high = 0xBF;
    if (c >= 0xC2 && c <= 0xDF) {
        s->missing = 1;
        s->point = c & 0x1F;
    } else if (c >= 0xE0 && c <= 0xEF) {
        s->missing = 2;
        s->point = c & 0x0F;
        if (c == 0xE0)
            s->low = 0xA0;
        else if (c == 0xED)
            s->high = 0x9F; /* no surrogates */
    } else if (c >= 0xF0 && c <= 0xF4) {
        s->missing = 3;
        s->point = c & 0x07;
        if (c == 0xF0)
            s->low = 0x90;
        else if (c == 0xF4)
            s->high = 0x8F;
    } else {
        return false;
    }
    return true;
}

static bool
utf8_next(struct charset_state *s, uint8_t c)
{
    if (c < s->low || c > s->high)
        return false;
    s->low = 0x80;
    s->high = 0xBF;
    s->point = s->point << 6 | (c & 0x3F);
    s->missing--;
    return true;
}

bool
charset_utf8_point(struct str bytes, uint32_t *point)
{
    struct charset_state s = { 0 };
    size_t i = 1;

    if (bytes.len < 2 || !utf8_begin(&s, (uint8_t)bytes.ptr[0]))
        return false;
    while (s.missing > 0 && i < bytes.len)
        if (!utf8_next(&s, (uint8_t)bytes.ptr[i++]))
            return false;
    *point = s.point;
    return s.missing == 0 && i == bytes.len;
}

/* ---- conversion ---- */

static size_t
to_bytes(const struct charset_table *t, struct str *in, char *out, size_t room)
{
    size_t n = in->len < room ? in->len : room;

    for (size_t i = 0; i < n; i++)
        out[i] = (char)t->byte[(uint8_t)in->ptr[i]];
    *in = str_from(*in, n);
    return n;
}

static size_t
to_utf8(const struct charset_table *t, struct str *in, char *out, size_t room)
{
    size_t i = 0, n = 0;

    for (; i < in->len && n + CHARSET_CHAR_MAX <= room; i++) {
        const struct utf8_char *u = &t->utf8[(uint8_t)in->ptr[i]];

        memcpy(out + n, u->bytes, sizeof(u->bytes));
        n += u->len;
    }
    *in = str_from(*in, i);
    return n;
}

/* A byte, or a number of HTML. */
static size_t
put_point(const struct charset_table *t, uint32_t point, char *out)
{
    const uint8_t *page = t->page[point / 256];
    size_t n = 2;

    if (page != NULL && page[point % 256] != 0) {
        out[0] = (char)page[point % 256];
        return 1;
    }
    memcpy(out, "&#", 2);
    n += num_format_u64(out + n, point);
    out[n++] = ';';
    return n;
}

/* What belongs to no character is one '?'; the byte that shows it begins anew, so that no '<' is lost. */
static size_t
from_utf8(const struct charset_table *t, struct charset_state *s, struct str *in, char *out,
          size_t room)
{
    size_t i = 0, n = 0;

    while (i < in->len && n + CHARSET_CHAR_MAX <= room) {
        uint8_t c = (uint8_t)in->ptr[i];

        if (s->missing > 0) {
            if (!utf8_next(s, c)) {
                s->missing = 0;
                out[n++] = '?';
                continue;
            }
            if (s->missing == 0)
                n += put_point(t, s->point, out + n);
        } else if (c < HALF) {
            out[n++] = (char)c;
        } else if (!utf8_begin(s, c)) {
            out[n++] = '?';
        }
        i++;
    }
    *in = str_from(*in, i);
    return n;
}

size_t
charset_convert(const struct charset_table *t, struct charset_state *s, struct str *in, char *out,
                size_t room)
{
    switch (t->kind) {
    case TABLE_BYTES:
        return to_bytes(t, in, out, room);
    case TABLE_TO_UTF8:
        return to_utf8(t, in, out, room);
    case TABLE_FROM_UTF8:
        break;
    }
    return from_utf8(t, s, in, out, room);
}

size_t
charset_convert_end(struct charset_state *s, char *out)
{
    if (s->missing == 0)
        return 0;
    s->missing = 0;
    *out = '?';
    return 1;
}
