/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.h - connections: an ops table (plain, TLS ...), sticky readiness, bytes read ahead. ARCHITECTURE.md 10.
 *
 * One edge-triggered registration for life: 'readable' is remembered until a read comes back short.
 */
#ifndef WEIR_NET_CONN_H
#define WEIR_NET_CONN_H

#include <sys/uio.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/event/loop.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "common/sys/addr.h"

struct listen_spec;
struct proxy_protocol; /* worker/net/proxy_protocol.h */
struct exchange;       /* worker/core/exchange.h */
struct conn;

/* Sticky; cleared by a short read / write. EOF: the peer has shut its half (bytes may still be unread). */
enum conn_bits { CONN_READABLE = 1, CONN_WRITABLE = 2, CONN_EOF = 4, CONN_ERROR = 8 };
enum io { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR };

struct conn_ops {
    uint8_t
        kinds; /* pieces it sends without a detour: plain MEM|FILE|PIPE, TLS MEM, kernel TLS MEM|FILE */
    /* IO_OK brought *got > 0 bytes; READABLE stays set until got < asked. ERROR: errno in c->error. */
    enum io (*read)(struct conn *c, struct iovec *iov, int n, size_t *got);
    /* Takes up to all of it; what is taken is the layer's own (sent or encrypted). `more`: another write follows in
     * this turn. IO_AGAIN: *taken may be less than all, WRITABLE is cleared. write_file and write_pipe may say IO_OK for
     * a part: ask again. */
    enum io (*write)(struct conn *c, const struct iovec *iov, int n, bool more, size_t *taken);
    enum io (*write_file)(struct conn *c, int fd, uint64_t at, size_t len, bool more,
                          size_t *taken);
    enum io (*write_pipe)(struct conn *c, int pipe_fd, size_t len, bool more, size_t *taken);
    /* Nothing more will be written: what the layer says at the end leaves with the next flush. NULL: nothing. */
    void (*ending)(struct conn *c);
    enum io (*flush)(struct conn *c); /* IO_OK: nothing is left in this layer */
    void (*shutdown)(struct conn *c); /* our end: close_notify, FIN */
    /* Whether the peer has something to say yet that is no data (the rest of a handshake): to close before that may take
     * from him what has been sent. NULL: never. */
    bool (*is_beginning)(const struct conn *c);
    void (*close)(struct conn *c); /* the layer's own memory; conn_close does the descriptor */
};

struct conn {           /* the first 128 bytes are all that an idle connection touches */
    struct watch watch; /* its fd is the connection's */
    const struct conn_ops *ops;
    void (*on_event)(
        struct conn
            *c); /* one callback; its owner looks at bits. Owners in turn: proxy_protocol, TLS
                                       * handshake, codec; an origin stream; the idle pool */
    void *owner;
    uint8_t bits;
    bool idle;     /* between requests: on the worker's list of idle connections (conn_set_idle) */
    bool outgoing; /* to an origin: not counted against clients */
    int error;     /* errno of the last IO_ERROR */
    struct timer timer; /* deadline of what the owner waits for; on_time is the owner's */
    struct buf *in;     /* bytes read ahead, given to the next reader first; NULL when idle */
    struct list idle_node;
    uint64_t id; /* connection number for logs */
    /* Colder. */
    void *layer;                    /* of ops: TLS state */
    struct addr peer, local;        /* local.len 0: not asked yet (conn_local) */
    const struct listen_spec *spec; /* of the listener; NULL for outgoing ones */
    const struct proxy_protocol
        *proxy;           /* what the header of the PROXY protocol said; NULL: there was none */
    uint64_t requests;    /* served on it so far */
    uint64_t opened_ms;   /* clock_ms */
    uint64_t sent;        /* bytes given to the peer, heads included */
    struct arena arena;   /* for what lives as long as the connection; no chunk until used */
    struct list all_node; /* of all connections of its direction */
    bool closed;          /* conn_close was called; the memory stays until the end of the turn */
};

extern const struct conn_ops conn_plain_ops;

/* From the free list, watched, counted; fd is taken (closed on failure). `c->peer` is set by the caller. NULL: memory or
 * worker_connections are used up (even after an idle one was closed). */
struct conn *conn_open(int fd, bool outgoing);
/* Layer close, timer, loop, descriptor; cleanups of its arena; memory back at the end of the turn. */
void conn_close(struct conn *c);
/* With SO_LINGER 0: the peer gets RST. */
void conn_reset(struct conn *c);

/* Reads through bytes read ahead first, then the layer. */
enum io conn_read(struct conn *c, struct iovec *iov, int n, size_t *got);
enum io conn_read_buf(struct conn *c, void *to, size_t len, size_t *got);
static inline enum io
conn_write(struct conn *c, const struct iovec *iov, int n, bool more, size_t *taken)
{
    return c->ops->write(c, iov, n, more, taken);
}
/* Hands bytes back to be read again first. False: memory. */
bool conn_unread(struct conn *c, struct str bytes);
/* Whom an exchange is from: x->root->client if that was found out, else the peer of its connection. NULL: the client has
 * gone. What allows, limits or logs by address asks this, not c->peer. */
const struct addr *conn_client(const struct exchange *x);
/* Our address of an accepted connection, asked of the kernel once. */
const struct addr *conn_local(struct conn *c);

/* Between requests: the oldest idle ones are closed first when descriptors or worker_connections run short: then on_event
 * comes with CONN_ERROR and CONN_EOF, as if the peer had gone, and the owner closes it. Also for outgoing ones (a pool
 * of kept connections): these are closed when no client connection is idle. */
void conn_set_idle(struct conn *c, bool idle);
/* Closes up to n idle client connections, the oldest first; how many it closed. */
unsigned conn_close_idle(unsigned n);
/* Makes room for one more descriptor or connection: an idle client's, else an idle origin's. False: none is idle. */
bool conn_close_oldest(void);
/* After a system call that found no free descriptor (errno): gives one up that nobody needs now, a kept pipe's or an idle
 * connection's. True: call it again. */
bool conn_free_descriptor(void);
/* Whether conn_open would not be refused at worker_connections. */
bool conn_has_room(void);
/* A connection was closed: called when set (listener.c, which may have paused). */
extern void (*conn_on_room)(void);
/* All client connections, for drain, quit and status: calls fn for each. */
void conn_each(void (*fn)(struct conn *c, void *data), void *data);
unsigned conn_count(void); /* clients */
unsigned conn_idle_count(void);

#endif
