/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * etag.c - entity tags (RFC 9110, 8.8.3).
 */
#include "worker/http/etag.h"

/* Hexadecimal digits in front of `end`; where they begin. */
static char *
put_hex(char *end, uint64_t n)
{
    do {
        *--end = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n > 0);
    return end;
}

/* "mtime-size", nginx's form. */
struct str
etag_make(struct arena *a, int64_t mtime, uint64_t size)
{
    enum { ETAG_MAX = 2 + 1 + 2 * 16 }; /* quotes, '-', digits of two numbers */
    char *room = arena_alloc(a, ETAG_MAX), *end = room + ETAG_MAX, *p = end;

    if (room == NULL)
        return STR_NONE;
    *--p = '"';
    p = put_hex(p, size);
    *--p = '-';
    p = put_hex(p, (uint64_t)mtime);
    *--p = '"';
    return str_n(p, (size_t)(end - p));
}

static struct str
without_weak(struct str etag, bool *weak)
{
    *weak = str_starts(etag, S("W/"));
    return *weak ? str_from(etag, 2) : etag;
}

/* Takes the next entity-tag off the list; a broken one ends it, or one that no comma follows (RFC 9110, 13.1.1). */
static bool
next_tag(struct str *list, struct str *tag)
{
    size_t at = 0, close;

    while (at < list->len &&
           (list->ptr[at] == ' ' || list->ptr[at] == '\t' || list->ptr[at] == ','))
        at++;
    *list = str_from(*list, at);
    at = str_starts(*list, S("W/")) ? 2 : 0;
    if (at >= list->len || list->ptr[at] != '"')
        return false;
    close = at + 1 + str_find(str_from(*list, at + 1), '"');
    if (close >= list->len)
        return false;
    *tag = str_upto(*list, close + 1);
    *list = str_trim(str_from(*list, close + 1));
    return list->len == 0 || list->ptr[0] == ',';
}

bool
etag_in_list(struct str list, struct str etag, bool weak)
{
    bool ours_weak, its_weak;
    struct str ours = without_weak(etag, &ours_weak), tag;

    if (str_eq(str_trim(list), S("*")))
        return true;
    if (etag.len == 0 || (ours_weak && !weak))
        return false;
    while (next_tag(&list, &tag)) {
        struct str its = without_weak(tag, &its_weak);

        if (str_eq(its, ours) && (weak || !its_weak))
            return true;
    }
    return false;
}
