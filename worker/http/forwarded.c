/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forwarded.c - the field Forwarded (RFC 7239, 4): elements parted by commas, each a list of `name=value` pairs.
 *
 * A line is read from its front, strictly: one quote that a client left open in its own part makes the whole line
 * malformed, and never hides or shifts what a proxy has appended to it.
 */
#include "worker/http/forwarded.h"

enum { NODE_MAX = 64 }; /* bytes of the longest address with port, and more */

struct reader {
    const char *at, *end;
};

/* RFC 9110, 5.6.2. */
static bool
is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
skip_blanks(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

static bool
take_char(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static struct str
take_token(struct reader *r)
{
    const char *from = r->at;

    while (r->at < r->end && is_token_char(*r->at))
        r->at++;
    return str_n(from, (size_t)(r->at - from));
}

/* The text between quotes, escapes and all. */
static bool
take_quoted(struct reader *r, struct str *value)
{
    const char *from = r->at;

    while (r->at < r->end && *r->at != '"') {
        if (*r->at == '\\' && ++r->at == r->end)
            return false;
        if ((unsigned char)*r->at < ' ' && *r->at != '\t')
            return false;
        r->at++;
    }
    *value = str_n(from, (size_t)(r->at - from));
    return take_char(r, '"');
}

/* Addresses without the quotes that they need are common, and cannot be mistaken for anything else. */
static struct str
take_bare(struct reader *r)
{
    const char *from = r->at;

    while (r->at < r->end &&
           (is_token_char(*r->at) || *r->at == ':' || *r->at == '[' || *r->at == ']'))
        r->at++;
    return str_n(from, (size_t)(r->at - from));
}

/* "name=value" with a token or a quoted string behind the sign. */
static bool
read_pair(struct reader *r, struct forwarded *hop)
{
    struct str name = take_token(r), value;

    if (name.len == 0 || !take_char(r, '='))
        return false;
    if (take_char(r, '"')) {
        if (!take_quoted(r, &value))
            return false;
    } else {
        value = take_bare(r);
        if (value.len == 0)
            return false;
    }
    if (!str_eq_nocase(name, S("for")))
        return true;
    if (hop->client.ptr != NULL) /* RFC 7239, 4: once in an element */
        return false;
    hop->client = value;
    return true;
}

static bool
read_element(struct reader *r, struct vec *hops)
{
    struct forwarded *hop = hops->len < FORWARDED_MAX ? VEC_PUSH(hops, struct forwarded) : NULL;

    if (hop == NULL)
        return false;
    *hop = (struct forwarded){ .client = STR_NONE };
    for (;;) {
        if (r->at < r->end && *r->at != ';' && *r->at != ',' && !read_pair(r, hop))
            return false;
        skip_blanks(r);
        if (!take_char(r, ';'))
            return true;
        skip_blanks(r);
    }
}

bool
forwarded_parse(struct str line, struct vec *hops)
{
    struct reader r = { line.ptr, line.ptr + line.len };

    for (;;) {
        skip_blanks(&r);
        if (r.at < r.end && *r.at != ',' && !read_element(&r, hops))
            return false;
        skip_blanks(&r);
        if (r.at == r.end)
            return true;
        if (!take_char(&r, ','))
            return false;
    }
}

bool
forwarded_addr(const struct forwarded *hop, struct addr *a)
{
    char mem[NODE_MAX];
    struct text t;
    struct str node;
    size_t colon;

    text_init_fixed(&t, mem, sizeof(mem));
    for (size_t i = 0; i < hop->client.len; i++) {
        if (hop->client.ptr[i] == '\\' && i + 1 < hop->client.len)
            i++;
        text_char(&t, hop->client.ptr[i]);
    }
    node = text_str(&t);
    colon = str_rfind(node, ':');
    if (node.len == 0 || str_starts(node, S("unix:")))
        return false;
    if (colon + 1 < node.len && node.ptr[colon + 1] == '_') /* a hidden port */
        node = str_upto(node, colon);
    return addr_parse(node, 0, a);
}

static void
write_value(struct text *t, struct str value)
{
    bool token = value.len > 0;

    for (size_t i = 0; i < value.len; i++)
        token = token && is_token_char(value.ptr[i]);
    if (token) {
        text_add(t, value);
        return;
    }
    text_char(t, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"' || value.ptr[i] == '\\')
            text_char(t, '\\');
        text_char(t, value.ptr[i]);
    }
    text_char(t, '"');
}

void
forwarded_write(struct text *t, const struct addr *client, struct str host, struct str proto)
{
    char ip[ADDR_TEXT_MAX];

    TEXT_LIT(t, "for=");
    if (client == NULL || (client->sa.sa_family != AF_INET && client->sa.sa_family != AF_INET6)) {
        TEXT_LIT(t, "unknown");
    } else if (client->sa.sa_family == AF_INET6) {
        TEXT_LIT(t, "\"[");
        text_bytes(t, ip, addr_format_ip(client, ip));
        TEXT_LIT(t, "]\"");
    } else {
        text_bytes(t, ip, addr_format_ip(client, ip));
    }
    if (host.len > 0) {
        TEXT_LIT(t, ";host=");
        write_value(t, host);
    }
    TEXT_LIT(t, ";proto=");
    write_value(t, proto);
}
