/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.c - socket addresses from text and back, and networks. */
#include "common/sys/addr.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/base/num.h"
#include "common/base/panic.h"

static struct addr
addr_v4(const struct in_addr *ip, uint16_t port)
{
    struct addr a;

    memset(&a, 0, sizeof(a));
    a.len = sizeof(a.in);
    a.in.sin_family = AF_INET;
    a.in.sin_addr = *ip;
    a.in.sin_port = htons(port);
    return a;
}

static struct addr
addr_v6(const struct in6_addr *ip, uint16_t port)
{
    struct addr a;

    memset(&a, 0, sizeof(a));
    a.len = sizeof(a.in6);
    a.in6.sin6_family = AF_INET6;
    a.in6.sin6_addr = *ip;
    a.in6.sin6_port = htons(port);
    return a;
}

static bool
parse_unix(struct str path, struct addr *a)
{
    if (path.len == 0 || path.len >= sizeof(a->un.sun_path) || str_find(path, '\0') < path.len)
        return false;
    memset(a, 0, sizeof(*a));
    a->un.sun_family = AF_UNIX;
    memcpy(a->un.sun_path, path.ptr, path.len);
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
    return true;
}

static bool
parse_ip(struct str text, uint16_t port, bool v4, bool v6, struct addr *a)
{
    char ip[INET6_ADDRSTRLEN];
    struct in_addr in;
    struct in6_addr in6;

    if (!str_to_c(text, ip, sizeof(ip)) || strlen(ip) != text.len)
        return false;
    if (v4 && inet_pton(AF_INET, ip, &in) == 1)
        *a = addr_v4(&in, port);
    else if (v6 && inet_pton(AF_INET6, ip, &in6) == 1)
        *a = addr_v6(&in6, port);
    else
        return false;
    return true;
}

static bool
parse_port(struct str text, uint16_t *port)
{
    uint32_t n;

    if (!num_parse_u32(text, &n) || n > UINT16_MAX)
        return false;
    *port = (uint16_t)n;
    return true;
}

bool
addr_parse(struct str text, uint16_t port, struct addr *a)
{
    struct str host = text;
    size_t end;

    if (str_starts(text, S("unix:")))
        return parse_unix(str_from(text, 5), a);
    if (text.len > 0 && text.ptr[0] == '[') {
        end = str_find(text, ']');
        if (end == text.len)
            return false;
        host = str_upto(str_from(text, 1), end - 1);
        text = str_from(text, end + 1);
        if (text.len > 0 && (text.ptr[0] != ':' || !parse_port(str_from(text, 1), &port)))
            return false;
        return parse_ip(host, port, false, true, a);
    }
    end = str_find(text, ':');
    if (end < text.len && !parse_port(str_from(text, end + 1), &port))
        return false;
    return parse_ip(str_upto(host, end), port, true, false, a);
}

bool
addr_parse_ip(struct str text, struct addr *a)
{
    return parse_ip(text, 0, true, true, a);
}

/* The path of a unix socket: empty for an unnamed or abstract one. */
static struct str
unix_path(const struct addr *a)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t max = a->len > head ? a->len - head : 0;

    if (max > sizeof(a->un.sun_path))
        max = sizeof(a->un.sun_path);
    return str_n(a->un.sun_path, strnlen(a->un.sun_path, max));
}

static size_t
put_u8(char *to, uint8_t n)
{
    return num_format_u64(to, n);
}

static size_t
format_v4(const struct addr *a, char *to)
{
    uint8_t ip[4];
    size_t n = 0;

    memcpy(ip, &a->in.sin_addr, sizeof(ip));
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0)
            to[n++] = '.';
        n += put_u8(to + n, ip[i]);
    }
    return n;
}

size_t
addr_format_ip(const struct addr *a, char to[ADDR_TEXT_MAX])
{
    if (a->len == 0)
        return 0;
    switch (a->sa.sa_family) {
    case AF_INET:
        return format_v4(a, to);
    case AF_INET6:
        if (inet_ntop(AF_INET6, &a->in6.sin6_addr, to, ADDR_TEXT_MAX) == NULL)
            return 0;
        return strlen(to);
    case AF_UNIX:
        memcpy(to, "unix:", 5);
        return 5;
    default:
        return 0;
    }
}

size_t
addr_format(const struct addr *a, bool with_port, char to[ADDR_TEXT_MAX])
{
    size_t n = 0;

    if (a->len == 0)
        return 0;
    if (a->sa.sa_family == AF_UNIX) {
        struct str path = unix_path(a);

        memcpy(to, "unix:", 5);
        memcpy(to + 5, path.ptr, path.len);
        return 5 + path.len;
    }
    if (a->sa.sa_family == AF_INET6) {
        char ip[ADDR_TEXT_MAX];
        size_t len = addr_format_ip(a, ip);

        to[n++] = '[';
        memcpy(to + n, ip, len);
        n += len;
        to[n++] = ']';
    } else {
        n = addr_format_ip(a, to);
    }
    if (with_port && n > 0) {
        to[n++] = ':';
        n += num_format_u64(to + n, addr_port(a));
    }
    return n;
}

uint16_t
addr_port(const struct addr *a)
{
    if (a->len == 0)
        return 0;
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

void
addr_set_port(struct addr *a, uint16_t port)
{
    if (a->len == 0)
        return;
    if (a->sa.sa_family == AF_INET)
        a->in.sin_port = htons(port);
    else if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->len == 0 || b->len == 0)
        return a->len == b->len;
    if (a->sa.sa_family != b->sa.sa_family || addr_port(a) != addr_port(b))
        return false;
    if (a->sa.sa_family == AF_INET6 && a->in6.sin6_scope_id != b->in6.sin6_scope_id)
        return false;
    return str_eq(addr_bytes(a), addr_bytes(b));
}

bool
addr_is_wildcard(const struct addr *a)
{
    if (a->len == 0)
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == htonl(INADDR_ANY);
    return a->sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

struct str
addr_bytes(const struct addr *a)
{
    if (a->len == 0)
        return S("");
    switch (a->sa.sa_family) {
    case AF_INET:
        return str_n((const char *)&a->in.sin_addr, sizeof(a->in.sin_addr));
    case AF_INET6:
        return str_n((const char *)&a->in6.sin6_addr, sizeof(a->in6.sin6_addr));
    case AF_UNIX:
        return unix_path(a);
    default:
        return S("");
    }
}

/* Clears what is right of the mask; true when something was there. */
static bool
clear_low_bits(struct cidr *c)
{
    unsigned bytes = c->family == AF_INET ? 4 : 16;
    bool some = false;

    for (unsigned i = 0; i < bytes; i++) {
        unsigned keep = c->bits > i * 8 ? c->bits - i * 8 : 0;
        uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff00 >> keep);

        some |= (c->addr[i] & (uint8_t)~mask) != 0;
        c->addr[i] &= mask;
    }
    return some;
}

bool
cidr_parse(struct str text, struct cidr *c, bool *low_bits)
{
    size_t slash = str_find(text, '/');
    struct str bytes;
    struct addr a;
    uint32_t bits;

    memset(c, 0, sizeof(*c));
    *low_bits = false;
    if (str_eq(text, S("all"))) {
        c->family = AF_UNSPEC;
        return true;
    }
    if (str_eq(text, S("unix:"))) {
        c->family = AF_UNIX;
        return true;
    }
    if (!addr_parse_ip(str_upto(text, slash), &a))
        return false;
    bytes = addr_bytes(&a);
    bits = (uint32_t)bytes.len * 8;
    if (slash < text.len) {
        if (!num_parse_u32(str_from(text, slash + 1), &bits) || bits > bytes.len * 8)
            return false;
    }
    c->family = a.sa.sa_family;
    c->bits = (uint8_t)bits;
    memcpy(c->addr, bytes.ptr, bytes.len);
    *low_bits = clear_low_bits(c);
    return true;
}

bool
cidr_match(const struct cidr *c, const struct addr *a)
{
    struct str bytes;
    int family;
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->family == AF_UNSPEC)
        return true;
    if (a->len == 0)
        return false;
    family = a->sa.sa_family;
    if (c->family == AF_UNIX)
        return family == AF_UNIX;
    bytes = addr_bytes(a);
    if (c->family == AF_INET && family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr)) {
        family = AF_INET;
        bytes = str_from(bytes, 12);
    }
    if (family != c->family || memcmp(bytes.ptr, c->addr, whole) != 0)
        return false;
    return rest == 0 || (uint8_t)((uint8_t)bytes.ptr[whole] >> (8 - rest)) ==
                            (uint8_t)(c->addr[whole] >> (8 - rest));
}
