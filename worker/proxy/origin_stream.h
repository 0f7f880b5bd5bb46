/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_stream.h - one request's place on a connection to an origin: what each protocol implements. ARCHITECTURE.md 10.
 *
 * The h1 client's stream is the connection, the h2 client's a stream of it, FastCGI's a record stream.
 */
#ifndef WEIR_PROXY_ORIGIN_STREAM_H
#define WEIR_PROXY_ORIGIN_STREAM_H

#include <sys/uio.h>

#include "worker/core/source.h"
#include "worker/http/response.h"

struct origin;

enum sent {
    SENT_ALL,     /* head and body are out */
    SENT_BLOCKED, /* the origin takes no more now: an event will follow */
    SENT_WAITS,   /* the body's source has no more now */
    SENT_FAILED,  /* o->fault says why */
    SENT_NO_BODY, /* the body's source failed: not the origin's fault */
};
enum recv {
    GOT_NOTHING, /* an event will follow */
    GOT_INFORM,  /* a 1xx head; the final one comes behind it */
    GOT_HEAD,
    GOT_BYTES,
    GOT_END,    /* the body is complete; also with the last bytes */
    GOT_FAILED, /* o->fault says why */
};

struct origin_stream_ops {
    /* The head, joined with the first bytes of `body` (NULL: none), and on with it as send_body. */
    enum sent (*send_head)(struct origin *o, struct source *body);
    /* Pulls while the origin takes bytes. */
    enum sent (*send_body)(struct origin *o, struct source *body);
    /* Whether the head is out, so that an answer may be expected. */
    bool (*head_sent)(const struct origin *o);
    enum recv (*recv_head)(struct origin *o, struct response *res);
    /* Once, after the final head: what was read with it. The bytes live as long as the exchange. */
    enum recv (*take)(struct origin *o, struct str *bytes);
    /* Into the room of a spool or a consumer. */
    enum recv (*recv_body)(struct origin *o, struct iovec *room, int n, size_t *got);
    /* NULL if impossible. */
    enum recv (*splice_body)(struct origin *o, int pipe_fd, size_t max, size_t *got);
    /* The stream ends; its state is given back. True: the connection can serve another request. */
    bool (*finish)(struct origin *o);
};

#endif
