/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_client.h - HTTP/1.1 towards origins: the stream is the connection. For proxy/ and health checks.
 */
#ifndef WEIR_H1_H1_CLIENT_H
#define WEIR_H1_H1_CLIENT_H

#include "worker/h1/h1.h"
#include "worker/net/conn.h"

/* One request and its response on a connection. Zeroed, then h1_client_init. */
struct h1_client {
    struct conn *conn;
    struct buf *out;    /* the request head, and small body bytes behind it; NULL: sent */
    struct batch batch; /* body pieces under way */
    uint64_t piece_at;  /* bytes of batch.piece[batch_at] that are sent */
    uint8_t batch_at;
    enum pull after;  /* what the last pull said */
    bool chunked_out; /* the body's length is unknown: chunked transfer coding */
    char chunk_head[20];
    uint8_t chunk_head_len, chunk_head_at;
    uint8_t chunk_tail; /* bytes of CRLF or of the last chunk still to be sent */
    bool last_chunk;
    struct buf *in; /* the response head, and what was read behind it */
    size_t scanned;
    size_t head_len; /* of the last head */
    size_t head_max; /* bytes that a response head may have */
    enum h1_framing framing;
    uint64_t left; /* of a body of known length */
    struct h1_chunked chunked;
    bool no_body; /* the request was HEAD */
    bool keepalive, eof;
};

enum h1_sent { H1_SENT_ALL, H1_SENT_PART /* the peer takes no more now */, H1_SENT_FAILED };

void h1_client_init(struct h1_client *h, struct conn *c, size_t head_max, bool head_request,
                    bool chunked_out);
/* A buffer for the head, to be filled by the caller and given to h1_client_send. NULL: memory. */
struct buf *h1_client_out(struct h1_client *h, size_t size);
/* Sends the head and pulls `body` (NULL: none) while the peer takes bytes. ALL: the body is through too. */
enum h1_sent h1_client_send(struct h1_client *h, struct source *body);
bool h1_client_head_sent(const struct h1_client *h);

enum h1_recv {
    H1_RECV_NOTHING,
    H1_RECV_HEAD,
    H1_RECV_BYTES,
    H1_RECV_END,
    H1_RECV_CLOSED /* or an error */,
    H1_RECV_BAD
};
/*
 * The next head (1xx ones too). Fields are slices of a buffer that goes to `arena` with its cleanup. BAD: *why says what is
 * wrong with it.
 */
enum h1_recv h1_client_recv_head(struct h1_client *h, struct arena *arena,
                                 struct h1_response_head *head, struct fields *fields,
                                 const char **why);
/* Body bytes into room; END may come with the last ones. `trailers` are kept where h->chunked.trailers says. */
enum h1_recv h1_client_recv_body(struct h1_client *h, struct iovec *room, int n, size_t *got);
/* Body bytes of known length into a pipe; only while h1_client_buffered is 0. */
enum h1_recv h1_client_splice(struct h1_client *h, int pipe_fd, size_t max, size_t *got);
size_t h1_client_buffered(const struct h1_client *h);
/* Bytes read behind the head, taken out for a tunnel. Borrowed from h until its end. */
struct str h1_client_rest(struct h1_client *h);
/* After 101: what follows on both sides is raw, until the origin closes. */
void h1_client_tunnel(struct h1_client *h);
/* Gives buffers back. True: the connection can serve another request. */
bool h1_client_end(struct h1_client *h);

#endif
