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

/* The handshake bytes of the records, joined in `to`; what is there of them, at most `max`. */
static enum tls_hello_state
join_records(struct cursor c, unsigned char *to, size_t max, size_t *len)
{
    *len = 0;
    while (c.left > 0) {
        struct cursor head = c, part;
        size_t type, size;

        type = number(&head, 1);
        if (type != CONTENT_HANDSHAKE)
            return TLS_HELLO_BAD;
        (void)number(&head, 2);
        size = number(&head, 2);
        if (head.failed)
            return TLS_HELLO_MORE;
        if (size == 0 || size > RECORD_MAX)
            return TLS_HELLO_BAD;
        part = take(&head, size < head.left ? size : head.left);
        if (part.left > max - *len)
            part.left = max - *len;
        memcpy(to + *len, part.at, part.left);
        *len += part.left;
        if (*len == max || head.left == 0)
            return TLS_HELLO_MORE;
        c = head;
    }
    return TLS_HELLO_MORE;
}

enum tls_hello_state
tls_hello_read(struct str bytes, struct tls_hello *h)
{
    static unsigned char joined[HANDSHAKE_HEAD + TLS_HELLO_MAX];
    struct cursor all = { (const unsigned char *)bytes.ptr, bytes.len, false }, hello;
    size_t len, want;

    h->name_len = 0;
    if (bytes.len == 0)
        return TLS_HELLO_MORE;
    if (all.at[0] & SSL2_BIT)
        return TLS_HELLO_BAD;
    if (all.at[0] != CONTENT_HANDSHAKE)
        return TLS_HELLO_OTHER;
    if (join_records(all, joined, sizeof(joined), &len) == TLS_HELLO_BAD ||
        (len > 0 && joined[0] != CLIENT_HELLO))
        return TLS_HELLO_BAD;
    if (len < HANDSHAKE_HEAD)
        return TLS_HELLO_MORE;
    hello = (struct cursor){ joined, len, false };
    (void)number(&hello, 1);
    want = number(&hello, 3);
    if (want > TLS_HELLO_MAX)
        return TLS_HELLO_BAD;
    return hello.left < want ? TLS_HELLO_MORE : read_hello(take(&hello, want), h);
}
