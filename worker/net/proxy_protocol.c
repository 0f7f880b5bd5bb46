/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_protocol.c - reads the header of the PROXY protocol, versions 1 (a line of text) and 2 (binary, with TLVs).
 *
 * The bytes are peeked at until the header is complete and then taken from the socket exactly, so what follows (TLS or
 * HTTP) begins where it would begin without.
 */
#include "worker/net/proxy_protocol.h"

#include <errno.h>

#include "common/base/crc32c.h"
#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/conf/config.h"
#include "worker/net/conn.h"

enum {
    V1_MAX = 107, /* bytes of the longest line, with its end */
    V2_FIXED = 16,
    V2_LOCAL = 0,
    V2_PROXY = 1,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    TLV_HEAD = 3,
    TLV_CRC32C = 0x03,
    TLV_SSL = 0x20,
    SSL_HEAD = 5, /* of the value: a byte of flags, four of the verification's result */
};

static const char v1_begin[6] = { 'P', 'R', 'O', 'X', 'Y', ' ' };
static const char v2_begin[12] = {
    '\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'
};

/* ---- version 1 ---- */

/* The family has to be the one that was announced. */
static bool
v1_addr(struct str text, bool v6, struct addr *a)
{
    return addr_parse_ip(text, a) && (a->sa.sa_family == AF_INET6) == v6;
}

static bool
v1_port(struct str text, struct addr *a)
{
    uint32_t port;

    if (!num_parse_u32(text, &port) || port > UINT16_MAX)
        return false;
    addr_set_port(a, (uint16_t)port);
    return true;
}

/* "TCP4 1.2.3.4 5.6.7.8 1111 80", or "UNKNOWN" and whatever follows. */
static bool
v1_line(struct str line, struct proxy_protocol *p)
{
    struct str rest = line, word[5];
    bool v6;

    if (str_eq(line, S("UNKNOWN")) || str_starts(line, S("UNKNOWN ")))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(word); i++) {
        if (rest.ptr == NULL || !str_split(&rest, ' ', &word[i]))
            return false;
    }
    v6 = str_eq(word[0], S("TCP6"));
    return rest.ptr == NULL && (v6 || str_eq(word[0], S("TCP4"))) &&
           v1_addr(word[1], v6, &p->client) && v1_addr(word[2], v6, &p->server) &&
           v1_port(word[3], &p->client) && v1_port(word[4], &p->server);
}

static enum proxy_parse
v1_parse(struct str in, struct proxy_protocol *p, size_t *len)
{
    size_t end = str_search(str_upto(in, num_min(in.len, V1_MAX)), S("\r\n"));

    if (end >= num_min(in.len, V1_MAX))
        return in.len >= V1_MAX ? PROXY_BAD : PROXY_MORE;
    p->version = 1;
    *len = end + 2;
    return v1_line(str_n(in.ptr + sizeof(v1_begin), end - sizeof(v1_begin)), p) ? PROXY_DONE
                                                                                : PROXY_BAD;
}

/* ---- version 2 ---- */

static uint32_t
be16(const char *p)
{
    return (uint32_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

static uint32_t
be32(const char *p)
{
    return be16(p) << 16 | be16(p + 2);
}

/* Takes the first TLV off *rest. False: there is none, or not all of it. */
static bool
tlv_next(struct str *rest, uint8_t *type, struct str *value)
{
    size_t len;

    if (rest->len < TLV_HEAD)
        return false;
    len = be16(rest->ptr + 1);
    if (len > rest->len - TLV_HEAD)
        return false;
    *type = (uint8_t)rest->ptr[0];
    *value = str_n(rest->ptr + TLV_HEAD, len);
    *rest = str_from(*rest, TLV_HEAD + len);
    return true;
}

/* The checksum is of the whole header with zeros in its own place. */
static bool
checksum_fits(struct str header, struct str sum)
{
    static const char zeros[4];
    size_t at = (size_t)(sum.ptr - header.ptr);
    uint32_t crc;

    if (sum.len != sizeof(zeros))
        return false;
    crc = crc32c(0, header.ptr, at);
    crc = crc32c(crc, zeros, sizeof(zeros));
    crc = crc32c(crc, header.ptr + at + sizeof(zeros), header.len - at - sizeof(zeros));
    return crc == be32(sum.ptr);
}

static bool
v2_tlvs(struct str header, struct str tlvs)
{
    struct str value;
    uint8_t type;

    while (tlvs.len > 0) {
        if (!tlv_next(&tlvs, &type, &value))
            return false;
        if (type == TLV_CRC32C && !checksum_fits(header, value))
            return false;
    }
    return true;
}

static void
v2_addr(struct addr *a, int family, const char *ip, const char *port)
{
    memset(a, 0, sizeof(*a));
    if (family == AF_INET) {
        a->len = sizeof(a->in);
        a->in.sin_family = AF_INET;
        memcpy(&a->in.sin_addr, ip, sizeof(a->in.sin_addr));
    } else {
        a->len = sizeof(a->in6);
        a->in6.sin6_family = AF_INET6;
        memcpy(&a->in6.sin6_addr, ip, sizeof(a->in6.sin6_addr));
    }
    addr_set_port(a, (uint16_t)be16(port));
}

/* The addresses at the front of `rest`, which then holds the TLVs. */
static bool
v2_addrs(struct str *rest, int family, struct proxy_protocol *p)
{
    size_t ip = family == AF_INET ? 4 : 16, all = 2 * ip + 4;

    if (rest->len < all)
        return false;
    v2_addr(&p->client, family, rest->ptr, rest->ptr + 2 * ip);
    v2_addr(&p->server, family, rest->ptr + ip, rest->ptr + 2 * ip + 2);
    *rest = str_from(*rest, all);
    return true;
}

static enum proxy_parse
v2_parse(struct str in, struct proxy_protocol *p, size_t *len)
{
    unsigned command, family;
    struct str rest;

    if (in.len < V2_FIXED)
        return PROXY_MORE;
    command = (unsigned char)in.ptr[12];
    family = (unsigned char)in.ptr[13];
    *len = V2_FIXED + be16(in.ptr + 14);
    if (command >> 4 != 2 || (command & 15) > V2_PROXY || *len > PROXY_HEADER_MAX)
        return PROXY_BAD;
    if (in.len < *len)
        return PROXY_MORE;
    p->version = 2;
    rest = str_n(in.ptr + V2_FIXED, *len - V2_FIXED);
    if ((command & 15) == V2_LOCAL || (family != V2_TCP4 && family != V2_TCP6))
        return PROXY_DONE; /* a check of the balancer's own, or what has no address for us */
    if (!v2_addrs(&rest, family == V2_TCP4 ? AF_INET : AF_INET6, p) ||
        !v2_tlvs(str_upto(in, *len), rest))
        return PROXY_BAD;
    p->tlvs = rest;
    return PROXY_DONE;
}

enum proxy_parse
proxy_protocol_parse(struct str in, struct proxy_protocol *p, size_t *len)
{
    *p = (struct proxy_protocol){ .tlvs = STR_NONE };
    *len = 0;
    if (in.len == 0)
        return PROXY_MORE;
    if (memcmp(in.ptr, v1_begin, num_min(in.len, sizeof(v1_begin))) == 0)
        return in.len < sizeof(v1_begin) ? PROXY_MORE : v1_parse(in, p, len);
    if (memcmp(in.ptr, v2_begin, num_min(in.len, sizeof(v2_begin))) == 0)
        return v2_parse(in, p, len);
    return PROXY_BAD;
}

/* ---- questions ---- */

struct str
proxy_protocol_tlv(struct str tlvs, uint8_t type)
{
    struct str value;
    uint8_t t;

    while (tlv_next(&tlvs, &t, &value)) {
        if (t == type)
            return value;
    }
    return STR_NONE;
}

/* "0x20", or a name of the table. */
static bool
tlv_type(struct str name, bool ssl, uint8_t *type)
{
    static const struct {
        struct str name;
        bool ssl;
        uint8_t type;
    } names[] = {
        { S_INIT("alpn"), false, 0x01 },   { S_INIT("authority"), false, 0x02 },
        { S_INIT("unique_id"), false, 5 }, { S_INIT("ssl"), false, TLV_SSL },
        { S_INIT("netns"), false, 0x30 },  { S_INIT("version"), true, 0x21 },
        { S_INIT("cn"), true, 0x22 },      { S_INIT("cipher"), true, 0x23 },
        { S_INIT("sig_alg"), true, 0x24 }, { S_INIT("key_alg"), true, 0x25 },
    };
    uint64_t number;

    if (str_starts(name, S("0x"))) {
        if (!num_parse_hex(str_from(name, 2), &number) || number > UINT8_MAX)
            return false;
        *type = (uint8_t)number;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (names[i].ssl == ssl && str_eq(names[i].name, name)) {
            *type = names[i].type;
            return true;
        }
    }
    return false;
}

struct str
proxy_protocol_tlv_named(struct str tlvs, struct str name)
{
    bool ssl = str_starts(name, S("ssl_"));
    uint8_t type;

    if (ssl) {
        tlvs = proxy_protocol_tlv(tlvs, TLV_SSL);
        tlvs = tlvs.len > SSL_HEAD ? str_from(tlvs, SSL_HEAD) : STR_NONE;
        name = str_from(name, strlen("ssl_"));
    }
    return tlv_type(name, ssl, &type) ? proxy_protocol_tlv(tlvs, type) : STR_NONE;
}

bool
proxy_protocol_ssl_verify(struct str tlvs, uint32_t *result)
{
    struct str ssl = proxy_protocol_tlv(tlvs, TLV_SSL);

    if (ssl.len < SSL_HEAD)
        return false;
    *result = be32(ssl.ptr + 1);
    return true;
}

/* ---- at the beginning of a connection ---- */

struct proxy_start {
    struct proxy_protocol header;
    void (*then)(struct conn *c);
};

static void
say(struct conn *c, enum log_level level, int err, const char *what, struct str bytes)
{
    char mem[512], addr[ADDR_TEXT_MAX];
    struct text shown;

    if (!LOG_ON(log_main, level))
        return;
    text_init_fixed(&shown, mem, sizeof(mem));
    escape_line(&shown, str_upto(bytes, num_min(bytes.len, V1_MAX)));
    log_write(log_main, level, err, &(struct log_context){ .id = c->id },
              "%s%.*s%s while reading PROXY protocol, client: %.*s, server: %.*s", what,
              STR(text_str(&shown)), bytes.len > 0 ? "\"" : "", (int)addr_format_ip(&c->peer, addr),
              addr, STR(c->spec->text));
}

static void
start_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);

    say(c, LOG_LEVEL_INFO, ETIMEDOUT, "client timed out", STR_NONE);
    conn_close(c);
}

/* Exactly the header leaves the socket; it was there a moment ago. */
static bool
take(struct conn *c, char *to, size_t len)
{
    ssize_t r;

    do
        r = recv(c->watch.fd, to, len, 0);
    while (r < 0 && errno == EINTR);
    return r == (ssize_t)len;
}

static void
start_done(struct conn *c, struct proxy_start *s, const struct proxy_protocol *p)
{
    s->header = *p;
    s->header.tlvs = arena_str(&c->arena, p->tlvs);
    if (s->header.tlvs.ptr == NULL) {
        conn_close(c);
        return;
    }
    c->proxy = &s->header;
    c->on_event = NULL;
    c->owner = NULL;
    timer_stop(&c->timer);
    conn_set_idle(c, false);
    s->then(c);
}

static void
start_on_event(struct conn *c)
{
    struct proxy_start *s = c->owner;
    char in[PROXY_HEADER_MAX];
    struct proxy_protocol p;
    ssize_t got;
    size_t len;

    do
        got = recv(c->watch.fd, in, sizeof(in), MSG_PEEK);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && (c->bits & CONN_ERROR) == 0)
        return;
    if (got <= 0) {
        conn_close(c);
        return;
    }
    switch (proxy_protocol_parse(str_n(in, (size_t)got), &p, &len)) {
    case PROXY_MORE:
        if (c->bits & (CONN_EOF | CONN_ERROR)) /* the rest will never come */
            conn_close(c);
        return;
    case PROXY_BAD:
        say(c, LOG_LEVEL_ERROR, 0, "broken header: \"", str_n(in, (size_t)got));
        conn_close(c);
        return;
    case PROXY_DONE:
        break;
    }
    if (take(c, in, len))
        start_done(c, s, &p);
    else
        conn_close(c);
}

void
proxy_protocol_begin(struct conn *c, uint64_t timeout_ms, void (*then)(struct conn *c))
{
    struct proxy_start *s = ARENA_NEW(&c->arena, struct proxy_start);

    if (s == NULL) {
        conn_close(c);
        return;
    }
    s->then = then;
    c->owner = s;
    c->on_event = start_on_event;
    c->timer.on_time = start_on_time;
    timer_set(&c->timer, timeout_ms);
    conn_set_idle(c, true);
    start_on_event(c);
}
