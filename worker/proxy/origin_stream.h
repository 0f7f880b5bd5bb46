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
    /* From the template made at load; joined with the first body bytes. false here and below: failed. */
    bool (*send_head)(struct origin *o);
    /* Pulls while the peer takes; END: half close. */
    bool (*send_body)(struct origin *o, struct source *body);
    /* 1xx are reported one by one. */
    enum recv (*recv_head)(struct origin *o, struct response *res);
    /* Room: a spool's, a consumer's. */
    enum recv (*recv_body)(struct origin *o, struct iovec *room, int n, size_t *got);
    /* NULL if impossible. */
    enum recv (*splice_body)(struct origin *o, int pipe_fd, size_t max, size_t *got);
    bool (*finish)(struct origin *o, bool reusable);
};

#endif
