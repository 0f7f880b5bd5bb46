/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.c - writes and reads the line format of hand-over, adoption and preflight.
 */
#include "common/ipc/lines.h"

#include "common/base/escape.h"
#include "common/base/num.h"

void
lines_put_str(struct text *t, struct str s)
{
    text_char(t, ' ');
    if (s.len == 0)
        TEXT_LIT(t, "%-");
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c <= ' ' || c >= 0x7f || c == '%')
            text_fmt(t, "%%%02x", c);
        else
            text_char(t, (char)c);
    }
}

void
lines_put_num(struct text *t, uint64_t n)
{
    text_char(t, ' ');
    text_unum(t, n);
}

void
lines_put_socket(struct text *t, const struct listen_socket *s)
{
    char addr[ADDR_TEXT_MAX];

    text_fmt(t, "socket %s %u %s%s.", s->type == SOCK_DGRAM ? "dgram" : "stream", s->index,
             s->reuseport ? "r" : "", s->surplus ? "s" : "");
    lines_put_str(t, str_n(addr, addr_format(&s->addr, true, addr)));
    text_char(t, '\n');
}

bool
lines_next(struct str *rest, struct str *key, struct str *fields)
{
    struct str line;

    do {
        if (rest->len == 0)
            return false;
        line = str_upto(*rest, str_find(*rest, '\n'));
        *rest = str_from(*rest, line.len < rest->len ? line.len + 1 : line.len);
    } while (line.len == 0);
    *key = str_upto(line, str_find(line, ' '));
    *fields = str_from(line, key->len);
    return true;
}

bool
lines_get_word(struct str *fields, struct str *word)
{
    if (fields->len < 2 || fields->ptr[0] != ' ')
        return false;
    *fields = str_from(*fields, 1);
    *word = str_upto(*fields, str_find(*fields, ' '));
    *fields = str_from(*fields, word->len);
    return word->len > 0;
}

bool
lines_get_num(struct str *fields, uint64_t *n)
{
    struct str word;

    return lines_get_word(fields, &word) && num_parse_u64(word, n);
}

bool
lines_get_str(struct str *fields, struct arena *a, struct str *s)
{
    struct str word;
    char *to;

    if (!lines_get_word(fields, &word))
        return false;
    to = arena_alloc(a, word.len + 1);
    if (to == NULL)
        return false;
    s->ptr = to;
    s->len = 0;
    if (str_eq(word, S("%-"))) {
        *to = '\0';
        return true;
    }
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] != '%') {
            to[s->len++] = word.ptr[i];
            continue;
        }
        if (i + 2 >= word.len || hex_digit(word.ptr[i + 1]) < 0 || hex_digit(word.ptr[i + 2]) < 0)
            return false;
        to[s->len++] = (char)(hex_digit(word.ptr[i + 1]) << 4 | hex_digit(word.ptr[i + 2]));
        i += 2;
    }
    to[s->len] = '\0';
    return true;
}

bool
lines_get_socket(struct str *fields, struct arena *a, struct listen_socket *s)
{
    struct str type, flags, addr;
    uint64_t index;

    memset(s, 0, sizeof(*s));
    s->fd = -1;
    if (!lines_get_word(fields, &type) || !lines_get_num(fields, &index) || index > UINT32_MAX ||
        !lines_get_word(fields, &flags) || !lines_get_str(fields, a, &addr) ||
        !addr_parse(addr, 0, &s->addr))
        return false;
    if (str_eq(type, S("stream")))
        s->type = SOCK_STREAM;
    else if (str_eq(type, S("dgram")))
        s->type = SOCK_DGRAM;
    else
        return false;
    s->index = (uint32_t)index;
    s->reuseport = str_find(flags, 'r') < flags.len;
    s->surplus = str_find(flags, 's') < flags.len;
    return true;
}
