/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_hello.c - the server_name extension of a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3), which may be spread over
 * several records.
 */
#include "worker/tls/tls_hello.h"

enum {
    RECORD_HEAD = 5,
    RECORD_MAX = 16384,
    CONTENT_HANDSHAKE = 22,
    HANDSHAKE_HEAD = 4,
    CLIENT_HELLO = 1,
    SSL2_BIT =
        0x80, /* the first byte of a hello in SSL 2's form, which the library refuses or reads itself */
    EXTENSION_SERVER_NAME = 0,
    NAME_TYPE_HOST = 0,
};

/* Bytes that are still to be read. */
struct cursor {
    const unsigned char *at;
    size_t left;
    bool failed;
};

static struct cursor
take(struct cursor *c, size_t n)
{
    struct cursor part = { c->at, n, false };

    if (c->failed || n > c->left) {
        c->failed = true;
        return (struct cursor){ c->at, 0, true };
    }
    c->at += n;
    c->left -= n;
    return part;
}

static size_t
number(struct cursor *c, unsigned bytes)
{
    struct cursor part = take(c, bytes);
    size_t n = 0;

    for (size_t i = 0; i < part.left; i++)
        n = n << 8 | part.at[i];
    return n;
}

/* A vector with its length in front. */
static struct cursor
vector(struct cursor *c, unsigned length_bytes)
{
    return take(c, number(c, length_bytes));
}

/* False: broken. */
static bool
read_names(struct cursor ext, struct tls_hello *h)
{
    struct cursor list = vector(&ext, 2);

    if (list.left == 0 || ext.left > 0)
        return false;
    while (!list.failed && list.left > 0) {
        size_t type = number(&list, 1);
        struct cursor name = vector(&list, 2);

        if (list.failed || type != NAME_TYPE_HOST)
            continue;
        if (name.left == 0 || name.left > TLS_NAME_MAX)
            return false;
        memcpy(h->name, name.at, name.left);
        h->name_len = (uint16_t)name.left;
        return true;
    }
    return !list.failed;
}

static enum tls_hello_state
read_hello(struct cursor c, struct tls_hello *h)
{
    struct cursor extensions;

    (void)take(&c, 2 + 32); /* version, random */
    (void)vector(&c, 1);    /* session id */
    (void)vector(&c, 2);    /* cipher suites */
    (void)vector(&c, 1);    /* compression methods */
    if (c.failed)
        return TLS_HELLO_BAD;
    if (c.left == 0)
        return TLS_HELLO_DONE;
    extensions = vector(&c, 2);
    while (!extensions.failed && extensions.left > 0) {
        size_t type = number(&extensions, 2);
        struct cursor ext = vector(&extensions, 2);

        if (!extensions.failed && type == EXTENSION_SERVER_NAME)
            return read_names(ext, h) ? TLS_HELLO_DONE : TLS_HELLO_BAD;
    }
    return extensions.failed ? TLS_HELLO_BAD : TLS_HELLO_DONE;
}

/* Bytes of the ClientHello, its head included, as the head says; 0: the head is not complete. */
static size_t
hello_size(const unsigned char *bytes, size_t len)
{
    struct cursor c = { bytes, len, false };

    (void)number(&c, 1);
    len = HANDSHAKE_HEAD + number(&c, 3);
    return c.failed ? 0 : len;
}

/*
 * Joins the handshake bytes of records until the ClientHello is whole: what lies behind it (early data) is not looked at.
 * MORE: it is not; DONE: *len bytes of it are in `to`, which has room for the largest.
 */
static enum tls_hello_state
join_records(struct cursor c, unsigned char *to, size_t *len)
{
    *len = 0;
    for (;;) {
        struct cursor part;
        size_t type, size;

        type = number(&c, 1);
        if (!c.failed && type != CONTENT_HANDSHAKE)
            return TLS_HELLO_BAD;
        (void)number(&c, 2);
        size = number(&c, 2);
        if (c.failed)
            return TLS_HELLO_MORE;
        if (size == 0 || size > RECORD_MAX)
            return TLS_HELLO_BAD;
        part = take(&c, size < c.left ? size : c.left);
        if (part.left > HANDSHAKE_HEAD + TLS_HELLO_MAX - *len)
            part.left = HANDSHAKE_HEAD + TLS_HELLO_MAX - *len;
        memcpy(to + *len, part.at, part.left);
        *len += part.left;
        if (*len > 0 && to[0] != CLIENT_HELLO)
            return TLS_HELLO_BAD;
        size = hello_size(to, *len);
        if (size > HANDSHAKE_HEAD + TLS_HELLO_MAX)
            return TLS_HELLO_BAD;
        if (size > 0 && *len >= size) {
            *len = size;
            return TLS_HELLO_DONE;
        }
    }
}

enum tls_hello_state
tls_hello_read(struct str bytes, struct tls_hello *h)
{
    static unsigned char joined[HANDSHAKE_HEAD + TLS_HELLO_MAX];
    struct cursor all = { (const unsigned char *)bytes.ptr, bytes.len, false }, hello;
    enum tls_hello_state state;
    size_t len;

    h->name_len = 0;
    if (bytes.len == 0)
        return TLS_HELLO_MORE;
    if (all.at[0] & SSL2_BIT)
        return TLS_HELLO_BAD;
    if (all.at[0] != CONTENT_HANDSHAKE)
        return TLS_HELLO_OTHER;
    state = join_records(all, joined, &len);
    if (state != TLS_HELLO_DONE)
        return state;
    hello = (struct cursor){ joined, len, false };
    (void)take(&hello, HANDSHAKE_HEAD);
    return read_hello(hello, h);
}
