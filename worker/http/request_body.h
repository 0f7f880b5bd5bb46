/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request_body.h - collect, stream, open again, discard. ARCHITECTURE.md 10. Survives internal redirects.
 */
#ifndef WEIR_HTTP_REQUEST_BODY_H
#define WEIR_HTTP_REQUEST_BODY_H

#include "worker/core/exchange.h"

struct request;
enum body_state {
    BODY_NONE,       /* the request has none */
    BODY_AWAITED,    /* nothing was read yet */
    BODY_COLLECTING, /* into the spool */
    BODY_STREAMING,  /* one reader, no replay */
    BODY_COMPLETE,   /* whole in the spool */
    BODY_DISCARDING,
    BODY_FAILED, /* too large, timed out, broken: the status was answered */
};
/* client_body_in_file_only */
enum { BODY_FILE_OFF, BODY_FILE_ON, BODY_FILE_CLEAN };

/*
 * Reads it whole. PHASE_NEXT: it is complete (or there is none), PHASE_WAIT: ask again when resumed, else the result of
 * phase_respond (413, 400, 408 ...) to be returned.
 */
enum phase_result request_body_collect(struct request *r);
/* One reader without replay; NULL: it cannot be streamed any more (memory, or already begun). */
struct source *request_body_stream(struct request *r);
/* A streaming reader is told of more bytes, the end or a failure by this; without it by exchange_ready. */
void request_body_on_more(struct request *r, void (*fn)(void *data), void *data);
/* A cursor on a complete one, for any exchange of the tree. NULL: none or memory. */
struct source *request_body_open(struct request *r, struct exchange *reader);
/* Nobody wants it: read and forgotten within the limits of lingering close. */
void request_body_discard(struct request *r);
enum body_state request_body_state(const struct request *r);
/* Of a FAILED one: the status that answers it (400, 408, 413, 500); else 0. */
int request_body_status(const struct request *r);
/* Bytes: as announced (-1: chunked; 0 for readers when it is lost or thrown away) and as read so far. */
int64_t request_body_length(const struct request *r);
uint64_t request_body_received(const struct request *r);
/* A detached child (mirror) reads its parent's body too, and may outlive it: request_body_end of both frees it. */
void request_body_share(struct request *child, struct request *parent);
/* $request_body, $request_body_file. */
struct str request_body_text(struct request *r);
struct str request_body_file(struct request *r);
/* Codecs tell here that bytes, the end or a failure may be had from codec->body. */
void request_body_ready(struct request *r);
/* The response is over: nothing more is read. What was read stays for the log, until request_body_end; cursors of detached
 * children live on. Both for request.c. */
void request_body_stop(struct request *r);
void request_body_end(struct request *r);

#endif
