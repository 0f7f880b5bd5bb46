/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_stream.h - one request's place on a connection to an origin: what each protocol implements. REQUEST_PATH.md 7.
 */
#ifndef WEIR_PROXY_ORIGIN_STREAM_H
#define WEIR_PROXY_ORIGIN_STREAM_H

#include <sys/uio.h>

#include "worker/core/source.h"
#include "worker/http/response.h"

struct origin;
enum recv {
    GOT_NOTHING,
    GOT_INFORM,
    GOT_HEAD,
    GOT_BYTES,
    GOT_END,
    GOT_FAILED
}; /* NOTHING: an event will follow */

struct
    origin_stream_ops { /* h1 client: stream = connection; h2 client: stream = stream; FastCGI: record stream */
    /* From the template made at load; joined with the first body bytes. Both move o->send on as far as the peer takes
     * bytes: SEND_BODY when the head is out, SEND_SHUT when the body is. False here and below: failed. */
    bool (*send_head)(struct origin *o);
    /* Pulls while the peer takes; END: half close. */
    bool (*send_body)(struct origin *o, struct source *body);
    /* 1xx are reported one by one. FAILED: origin_failed was called, the attempt is over. */
    enum recv (*recv_head)(struct origin *o, struct response *res);
    /* Room: a spool's, a consumer's. END may come together with the last bytes. */
    enum recv (*recv_body)(struct origin *o, struct iovec *room, int n, size_t *got);
    /* NULL if impossible. */
    enum recv (*splice_body)(struct origin *o, int pipe_fd, size_t max, size_t *got);
    /* Whether bytes of the body have been read already and wait in the stream: they come before any splice. */
    bool (*buffered)(const struct origin *o);
    /* The stream ends; its state is given back. True: `reusable` was asked for and the connection can serve another
     * request. */
    bool (*finish)(struct origin *o, bool reusable);
};

#endif
