/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * target.c - request targets: split, normalise, check. Pure.
 *
 * A path is decoded first and then read: %2F is a slash and %2e%2e leads upwards, so that nothing which the file system or
 * a location could see differs from what was checked. %3F and %23 are bytes of the path.
 */
#include "worker/http/target.h"

#include "common/base/escape.h"
#include "common/base/num.h"

static bool
is_alpha(char c)
{
    c = char_lower(c);
    return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of a scheme that "://" follows; 0: none. */
static size_t
scheme_len(struct str text)
{
    size_t i = 0;

    while (i < text.len &&
           (is_alpha(text.ptr[i]) || (i > 0 && (is_digit(text.ptr[i]) || text.ptr[i] == '+' ||
                                                text.ptr[i] == '-' || text.ptr[i] == '.'))))
        i++;
    return i > 0 && str_starts(str_from(text, i), S("://")) ? i : 0;
}

/* Path and query of `text`, which begins at the path; a fragment is cut. */
static void
split_path(struct str text, struct target *t)
{
    size_t i = 0;

    while (i < text.len && text.ptr[i] != '?' && text.ptr[i] != '#')
        i++;
    t->path = str_upto(text, i);
    t->query = str_from(text, i);
    if (i < text.len && text.ptr[i] == '?') {
        t->has_query = true;
        t->query = str_from(text, i + 1);
        t->query = str_upto(t->query, str_find(t->query, '#'));
    } else {
        t->query.len = 0;
    }
}

struct target
target_parse(struct str text)
{
    struct target t = { .form = TARGET_BAD };
    size_t n;

    if (text.len == 0)
        return t;
    if (text.ptr[0] == '/') {
        t.form = TARGET_ORIGIN;
        split_path(text, &t);
        return t;
    }
    if (str_eq(text, S("*"))) {
        t.form = TARGET_ASTERISK;
        return t;
    }

    n = scheme_len(text);
    if (n > 0) {
        struct str rest = str_from(text, n + 3);
        size_t i = 0;

        while (i < rest.len && rest.ptr[i] != '/' && rest.ptr[i] != '?' && rest.ptr[i] != '#')
            i++;
        t.form = TARGET_ABSOLUTE;
        t.scheme = str_upto(text, n);
        t.authority = str_upto(rest, i);
        split_path(str_from(rest, i), &t);
        if (t.path.len == 0)
            t.path = S("/"); /* RFC 9112, 3.2.2 */
        return t;
    }

    n = str_rfind(text, ':');
    if (n < text.len && n + 1 < text.len && is_digit(text.ptr[text.len - 1])) {
        t.form = TARGET_AUTHORITY;
        t.authority = text;
    }
    return t;
}

bool
target_is_plain(struct str path, bool merge_slashes)
{
    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    for (size_t i = 0; i < path.len; i++) {
        switch (path.ptr[i]) {
        case '%':
        case '#':
        case '\0':
            return false;
        case '/':
            /* "/." may begin a file name: the long way decides */
            if (i + 1 < path.len &&
                (path.ptr[i + 1] == '.' || (merge_slashes && path.ptr[i + 1] == '/')))
                return false;
            break;
        }
    }
    return true;
}

/* The path under way: what has been written since `base`, and where its last segment begins. */
struct normal {
    char *base, *at;
    char *segment; /* behind the last slash */
    bool merge;
};

/* A segment has ended. "." goes, ".." takes the one before it along; false: there is none. */
static bool
normal_end_segment(struct normal *n)
{
    size_t len = (size_t)(n->at - n->segment);

    if (len == 1 && n->segment[0] == '.') {
        n->at = n->segment;
    } else if (len == 2 && n->segment[0] == '.' && n->segment[1] == '.') {
        n->at = n->segment - 1;
        if (n->at == n->base)
            return false;
        while (n->at[-1] != '/')
            n->at--;
        n->segment = n->at;
    } else {
        return true;
    }
    n->segment = n->at;
    return true;
}

static bool
normal_byte(struct normal *n, char c)
{
    char *before = n->at;

    if (c != '/') {
        *n->at++ = c;
        return c != '\0';
    }
    if (!normal_end_segment(n))
        return false;
    /* a dot segment leaves the slash in front of it */
    if (n->at != before || (n->merge && n->at == n->segment))
        return true;
    *n->at++ = '/';
    n->segment = n->at;
    return true;
}

bool
target_normalise(struct str path, bool merge_slashes, struct text *to, bool *plain)
{
    struct normal n = { .merge = merge_slashes };
    char *room;

    *plain = target_is_plain(path, merge_slashes);
    if (*plain) {
        text_add(to, path);
        return !to->failed;
    }
    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    room = text_room(to, path.len); /* it never grows */
    if (room == NULL)
        return false;

    n.base = room;
    room[0] = '/';
    n.at = n.segment = room + 1;
    for (size_t i = 1; i < path.len && path.ptr[i] != '#'; i++) {
        char c = path.ptr[i];

        if (c == '%') {
            int high = i + 2 < path.len ? hex_digit(path.ptr[i + 1]) : -1;
            int low = i + 2 < path.len ? hex_digit(path.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (!normal_byte(&n, c))
            return false;
    }
    if (!normal_end_segment(&n))
        return false;
    *plain = str_eq(path, str_n(n.base, (size_t)(n.at - n.base)));
    to->len += (size_t)(n.at - n.base);
    return true;
}

/* ---- authority ---- */

/* What bytes are to a registered name (RFC 3986, 3.2.2); those above 0x7f and '%' pass, as names of `server_name` may be
 * UTF-8. */
enum { IN_NAME = 0, NOT_IN_NAME = 1, UPPER_CASE = 2, DOT = 4 };

static const uint8_t name_bytes[256] = {
    [0 ... ' '] = NOT_IN_NAME,  ['"'] = NOT_IN_NAME,
    ['#'] = NOT_IN_NAME,        ['.'] = DOT,
    ['/'] = NOT_IN_NAME,        [':'] = NOT_IN_NAME,
    ['<'] = NOT_IN_NAME,        ['>' ... '@'] = NOT_IN_NAME,
    ['A' ... 'Z'] = UPPER_CASE, ['[' ... '^'] = NOT_IN_NAME,
    ['`'] = NOT_IN_NAME,        ['{' ... '}'] = NOT_IN_NAME,
    [0x7f] = NOT_IN_NAME,
};

/* The name at the front of `text`; *upper: it has capitals. Empty: there is none, or it is not valid. */
static struct str
take_name(struct str text, bool *upper)
{
    uint8_t before = 0, seen = 0;
    size_t i = 0;

    for (; i < text.len; i++) {
        uint8_t is = name_bytes[(unsigned char)text.ptr[i]];

        if (is == NOT_IN_NAME)
            break;
        if (is == DOT && before == DOT)
            return S("");
        before = is;
        seen |= is;
    }
    *upper = (seen & UPPER_CASE) != 0;
    return str_upto(text, i);
}

/* "[...]" of hexadecimal digits, colons and dots, as literal IPv6 addresses have them. */
static bool
literal_valid(struct str host)
{
    for (size_t i = 1; i + 1 < host.len; i++) {
        char c = host.ptr[i];

        if (hex_digit(c) < 0 && c != ':' && c != '.')
            return false;
    }
    return host.len > 3;
}

static bool
port_parse(struct str text, int *port)
{
    uint32_t n;

    if (text.len == 0)
        return true; /* "host:" is allowed (RFC 3986, 3.2.3) */
    if (!num_parse_u32(text, &n) || n > 65535)
        return false;
    *port = (int)n;
    return true;
}

static struct str
lower_copy(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len);

    if (copy == NULL)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++)
        copy[i] = char_lower(s.ptr[i]);
    return str_n(copy, s.len);
}

/* nginx differs: it takes anything behind the colon, user names and unclosed brackets. */
bool
authority_parse(struct str text, struct arena *a, struct str *host, int *port)
{
    struct str name;
    bool upper = true;
    size_t end;

    *port = -1;
    if (text.len > 0 && text.ptr[0] == '[') {
        end = str_find(text, ']');
        if (end == text.len)
            return false;
        name = str_upto(text, end + 1);
        end++;
        if (!literal_valid(name))
            return false;
    } else {
        name = take_name(text, &upper);
        end = name.len;
        if (name.len > 1 && name.ptr[name.len - 1] == '.')
            name.len--;
        if (name.len == 0 || str_eq(name, S(".")))
            return false;
    }
    if (end < text.len && (text.ptr[end] != ':' || !port_parse(str_from(text, end + 1), port)))
        return false;
    *host = upper ? lower_copy(a, name) : name;
    return host->ptr != NULL;
}
