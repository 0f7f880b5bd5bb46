/* SPDX-License-Identifier: BSD-2-Clause */
/* connect.h - outgoing connections: timeout, source address, one completion callback. */
#ifndef WEIR_NET_CONNECT_H
#define WEIR_NET_CONNECT_H

#include "worker/net/conn.h"

struct connect_options {
    struct addr local;       /* len 0: the system's choice */
    bool transparent;        /* IP_TRANSPARENT for a foreign local address */
    bool keepalive;          /* SO_KEEPALIVE */
    uint32_t rcvbuf, sndbuf; /* bytes; 0: the system's choice */
    uint64_t timeout_ms;
};

/*
 * Begins a non-blocking connect. The returned connection is not connected yet: c->on_event (the caller's, set right
 * after) is called when it is writable or failed; connect_finish then says which. Unix sockets and loopback may be
 * done at once: then c->bits has CONN_WRITABLE and no event needs to be awaited. The caller sets c->timer. NULL: errno.
 */
struct conn *connect_start(const struct addr *to, const struct connect_options *o);
/* 0: connected; else the errno. */
int connect_finish(struct conn *c);

#endif
