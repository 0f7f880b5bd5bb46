/* SPDX-License-Identifier: BSD-2-Clause */
/* escape.c - encodings for URIs, HTML, JSON, logs, and base64. */
#include "common/base/escape.h"

/* What a byte is made of, by bits; filled from the strings below. */
enum {
    BAD_IN_PATH = 1,
    BAD_IN_VALUE = 2,
    BAD_IN_COMPONENT = 4,
    BAD_IN_LOG = 8,
    BAD_IN_JSON = 16,
    BAD_IN_LINE = 32,
    IS_CONTROL = 64,
    BAD_IN_HTML = 128
};
static uint8_t kinds[256];

static __attribute__((constructor)) void
kinds_init(void)
{
    for (unsigned c = 0; c < 256; c++) {
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
        uint8_t k = 0;

        if (c <= ' ' || c >= 0x7f || strchr("\"#%<>?\\^`{|}", (int)c) != NULL)
            k |= BAD_IN_PATH | BAD_IN_VALUE | BAD_IN_HTML;
        if (c == '?' || c == '\'')
            k ^= BAD_IN_HTML;
        if (c == '&' || c == '+' || c == ';')
            k |= BAD_IN_VALUE;
        if (!alnum && (c == 0 || strchr("-._~", (int)c) == NULL))
            k |= BAD_IN_COMPONENT;
        if (c < ' ' || c > 0x7e || c == '"' || c == '\\')
            k |= BAD_IN_LOG;
        if (c < ' ' || c >= 0x80 || c == '"' || c == '\\')
            k |= BAD_IN_JSON;
        if (c < ' ' || c >= 0x7f)
            k |= BAD_IN_LINE;
        if (c < ' ' || c == 0x7f)
            k |= IS_CONTROL;
        kinds[c] = k;
    }
}

/* Appends what stands in front of the first byte of this kind and takes it off; false at the end. */
static inline bool
add_plain(struct text *t, struct str *s, uint8_t kind)
{
    size_t n = 0;

    while (n < s->len && !(kinds[(uint8_t)s->ptr[n]] & kind))
        n++;
    text_bytes(t, s->ptr, n);
    *s = str_from(*s, n);
    return s->len > 0;
}

static void
add_hex(struct text *t, const char *prefix, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(prefix);
    char *to = text_room(t, n + 2);

    if (to == NULL)
        return;
    memcpy(to, prefix, n);
    to[n] = digits[byte >> 4];
    to[n + 1] = digits[byte & 15];
    t->len += n + 2;
}

void
escape_uri(struct text *t, struct str s, enum escape_uri how)
{
    uint8_t kind = BAD_IN_PATH;

    switch (how) {
    case ESCAPE_URI_PATH:
    case ESCAPE_URI_ARGS: /* '&' and its like are structure in both */
        break;
    case ESCAPE_URI_VALUE:
        kind = BAD_IN_VALUE;
        break;
    case ESCAPE_URI_COMPONENT:
        kind = BAD_IN_COMPONENT;
        break;
    case ESCAPE_URI_CONTROLS:
        kind = IS_CONTROL;
        break;
    case ESCAPE_URI_HTML:
        kind = BAD_IN_HTML;
        break;
    }
    for (; add_plain(t, &s, kind); s = str_from(s, 1))
        add_hex(t, "%", (uint8_t)s.ptr[0]);
}

int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void
unescape_uri(struct text *t, struct str s)
{
    for (;;) {
        size_t n = str_find(s, '%');
        int high, low;

        text_bytes(t, s.ptr, n);
        s = str_from(s, n);
        if (s.len == 0)
            return;
        high = s.len > 2 ? hex_digit(s.ptr[1]) : -1;
        low = s.len > 2 ? hex_digit(s.ptr[2]) : -1;
        if (high >= 0 && low >= 0) {
            text_char(t, (char)(high << 4 | low));
            s = str_from(s, 3);
        } else {
            text_char(t, '%');
            s = str_from(s, 1);
        }
    }
}

void
escape_html(struct text *t, struct str s)
{
    size_t from = 0;

    for (size_t i = 0; i < s.len; i++) {
        struct str entity;

        switch (s.ptr[i]) {
        case '&':
            entity = S("&amp;");
            break;
        case '<':
            entity = S("&lt;");
            break;
        case '>':
            entity = S("&gt;");
            break;
        case '"':
            entity = S("&quot;");
            break;
        case '\'':
            entity = S("&#39;");
            break;
        default:
            continue;
        }
        text_bytes(t, s.ptr + from, i - from);
        text_add(t, entity);
        from = i + 1;
    }
    text_bytes(t, s.ptr + from, s.len - from);
}

size_t
utf8_len(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    uint8_t first_low = 0x80, first_high = 0xbf; /* bounds of the second byte */
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf)
        n = 2;
    else if (p[0] >= 0xe0 && p[0] <= 0xef)
        n = 3;
    else if (p[0] >= 0xf0 && p[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (p[0] == 0xe0)
        first_low = 0xa0;
    else if (p[0] == 0xed) /* no surrogates */
        first_high = 0x9f;
    else if (p[0] == 0xf0)
        first_low = 0x90;
    else if (p[0] == 0xf4)
        first_high = 0x8f;
    if (s.len < n || p[1] < first_low || p[1] > first_high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

void
escape_json(struct text *t, struct str s)
{
    while (add_plain(t, &s, BAD_IN_JSON)) {
        size_t n = 1;

        switch (s.ptr[0]) {
        case '"':
            TEXT_LIT(t, "\\\"");
            break;
        case '\\':
            TEXT_LIT(t, "\\\\");
            break;
        case '\n':
            TEXT_LIT(t, "\\n");
            break;
        case '\r':
            TEXT_LIT(t, "\\r");
            break;
        case '\t':
            TEXT_LIT(t, "\\t");
            break;
        case '\b':
            TEXT_LIT(t, "\\b");
            break;
        case '\f':
            TEXT_LIT(t, "\\f");
            break;
        default:
            n = (uint8_t)s.ptr[0] < 0x80 ? 0 : utf8_len(s);
            text_bytes(t, s.ptr, n);
            if (n == 0) {
                add_hex(t, "\\u00", (uint8_t)s.ptr[0]);
                n = 1;
            }
        }
        s = str_from(s, n);
    }
}

void
escape_log(struct text *t, struct str s)
{
    for (; add_plain(t, &s, BAD_IN_LOG); s = str_from(s, 1))
        add_hex(t, "\\x", (uint8_t)s.ptr[0]);
}

void
escape_line(struct text *t, struct str s)
{
    while (add_plain(t, &s, BAD_IN_LINE)) {
        const uint8_t *p = (const uint8_t *)s.ptr;
        size_t n = p[0] < 0x80 ? 0 : utf8_len(s);

        if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* terminals obey U+0080 to U+009F too */
            n = 0;
        text_bytes(t, s.ptr, n);
        if (n == 0) {
            add_hex(t, "\\x", p[0]);
            n = 1;
        }
        s = str_from(s, n);
    }
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
add_base64(struct text *t, struct str s, const char *digits, bool pad)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t n = s.len;
    char *to = n > SIZE_MAX / 2 ? NULL : text_room(t, (n + 2) / 3 * 4), *start = to;

    if (to == NULL) {
        t->failed = true;
        return;
    }
    for (; n >= 3; n -= 3, p += 3) {
        *to++ = digits[p[0] >> 2];
        *to++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = digits[p[2] & 63];
    }
    if (n > 0) {
        uint8_t second = n > 1 ? p[1] : 0;

        *to++ = digits[p[0] >> 2];
        *to++ = digits[(p[0] & 3) << 4 | second >> 4];
        if (n > 1)
            *to++ = digits[(second & 15) << 2];
        for (size_t i = n; pad && i < 3; i++)
            *to++ = '=';
    }
    t->len += (size_t)(to - start);
}

void
escape_base64(struct text *t, struct str s)
{
    add_base64(t, s, base64_digits, true);
}

void
escape_base64url(struct text *t, struct str s)
{
    add_base64(t, s, base64url_digits, false);
}

static int
base64_value(char c, bool url)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url ? '-' : '+'))
        return 62;
    return c == (url ? '_' : '/') ? 63 : -1;
}

static bool
add_unbase64(struct text *t, struct str s, bool url)
{
    uint32_t bits = 0;
    size_t n = 0; /* digits so far */

    if (s.len % 4 == 0) /* only a whole last group may be padded */
        for (unsigned i = 0; i < 2 && s.len > 0 && s.ptr[s.len - 1] == '='; i++)
            s.len--;
    for (; n < s.len; n++) {
        int value = base64_value(s.ptr[n], url);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (n % 4 != 0) /* each digit but a group's first completes a byte */
            text_char(t, (char)(bits >> (6 - n % 4 * 2)));
    }
    return n % 4 != 1;
}

bool
unescape_base64(struct text *t, struct str s)
{
    return add_unbase64(t, s, false);
}

bool
unescape_base64url(struct text *t, struct str s)
{
    return add_unbase64(t, s, true);
}
