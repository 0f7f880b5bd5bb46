/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_client.h - HTTP/1.1 towards origins: the stream is the connection. For proxy/ and health checks.
 */
#ifndef WEIR_H1_H1_CLIENT_H
#define WEIR_H1_H1_CLIENT_H

#include "worker/h1/h1.h"
#include "worker/net/conn.h"

/* One request and its response on a connection. Fields are h1_client.c's own. */
struct h1_client {
    struct conn *conn;

    struct buf *out;   /* the request head; NULL: sent */
    uint64_t piece_at; /* bytes of batch.piece[batch_at] that are sent */
    uint8_t batch_at;
    bool chunked_out; /* the body's length is unknown: chunked transfer coding */
    bool last_chunk;
    uint8_t chunk_tail; /* bytes of CRLF or of the last chunk still to be sent */
    uint8_t chunk_head_len, chunk_head_at;
    char chunk_head[20];
    enum pull after; /* what the last pull said */

    struct buf *in;  /* heads, and what was read behind them */
    bool in_is_kept; /* `in` belongs to the exchange: nothing in it is overwritten */
    size_t scanned;  /* of `in`, by h1_head_end */
    size_t head_len; /* bytes of the last head */
    size_t head_max; /* bytes that a response head may have */
    enum h1_framing framing;
    uint64_t left;   /* LENGTH: body bytes still to come */
    uint64_t coding; /* CHUNKED: bytes between those of the body so far */
    struct h1_chunked chunked;
    bool head_request;  /* the response has no body, whatever its head says */
    bool keepalive;     /* what the response's head says */
    bool eof;           /* the origin has ended its half */
    bool ended;         /* the response was read to its end */
    bool extra;         /* it sent more than the response */
    struct batch batch; /* pieces of the request body under way; last: they are not zeroed */
};

void h1_client_init(struct h1_client *h, struct conn *c, size_t head_max, bool head_request,
                    bool chunked_out);

/* ---- sending ---- */

/* A buffer for the head, to be filled by the caller before h1_client_send. NULL: memory. */
struct buf *h1_client_out(struct h1_client *h, size_t size);

enum h1_sent {
    H1_SENT_ALL,
    H1_SENT_BLOCKED,     /* the origin takes no more now */
    H1_SENT_WAITS,       /* the body's source has no more now */
    H1_SENT_FAILED,      /* the connection failed: conn->error */
    H1_SENT_BODY_FAILED, /* the body's source did */
};
/* Sends the head, the first body bytes with it, and pulls `body` (NULL: none) while the origin takes bytes. */
enum h1_sent h1_client_send(struct h1_client *h, struct source *body);
bool h1_client_head_sent(const struct h1_client *h);

/* ---- receiving ---- */

enum h1_recv {
    H1_RECV_NOTHING,
    H1_RECV_HEAD,
    H1_RECV_BYTES,
    H1_RECV_END,    /* the body is complete */
    H1_RECV_CLOSED, /* too early, or the connection failed: conn->error, 0 for a plain end */
    H1_RECV_BAD,
    H1_RECV_NO_MEMORY,
};
/*
 * The next head, 1xx ones too. Its fields are slices of a buffer that goes to `arena` with its cleanup. BAD: *why follows
 * "upstream sent".
 */
enum h1_recv h1_client_recv_head(struct h1_client *h, struct arena *arena,
                                 struct h1_response_head *head, struct fields *fields,
                                 const char **why);
/* What was read together with the final head, decoded in place: lives as long as the arena of the head. */
enum h1_recv h1_client_take(struct h1_client *h, struct str *bytes);
/* Body bytes into room; END may come with the last ones. Trailers go to h->chunked.trailers when that is set. */
enum h1_recv h1_client_recv_body(struct h1_client *h, struct iovec *room, int n, size_t *got);
/* Body bytes of known length into a pipe; only while h1_client_buffered is 0. */
enum h1_recv h1_client_splice(struct h1_client *h, int pipe_fd, size_t max, size_t *got);
size_t h1_client_buffered(const struct h1_client *h);

/* ---- the end ---- */

/* After 101: what has been read behind the head goes back to the connection, to be read by a relay. False: memory. */
bool h1_client_release_conn(struct h1_client *h);
/* Gives buffers back. True: the response was read to its end and the connection can serve another request. */
bool h1_client_end(struct h1_client *h);

#endif
