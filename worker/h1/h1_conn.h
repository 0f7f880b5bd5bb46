/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_conn.h - a client's HTTP/1 connection: what its three files share. h1_server.c has its life and its heads,
 * h1_body.c the request body, h1_output.c the response.
 */
#ifndef WEIR_H1_H1_CONN_H
#define WEIR_H1_H1_CONN_H

#include "worker/core/cycle.h"
#include "worker/h1/h1.h"
#include "worker/h1/h1_write.h"
#include "worker/http/http_conf.h"
#include "worker/net/conn.h"
#include "worker/net/rate.h"

enum h1_state {
    H1_IDLE,    /* between requests: no buffer, no exchange */
    H1_HEAD,    /* a part of a head lies in `in` */
    H1_RUNNING, /* an exchange; `in` has what was pipelined behind its head */
    H1_REST,    /* the response is out; the rest of the request's body is read and thrown away */
    H1_LINGER,  /* our half is shut; what still comes is thrown away until the client closes */
    H1_TUNNEL,  /* the connection was handed to a relay */
    H1_CLOSED,
};

/* The request body on its way in: by reference from the buffer in which it was read. */
struct h1_body {
    enum h1_framing framing;
    uint64_t left; /* LENGTH */
    struct h1_chunked chunked;
    struct str rest; /* read and not decoded yet; behind the body's end: the next head */
    bool done, bad;
};

/* What only lives as long as the exchange; in its arena. */
struct h1_run {
    struct source body; /* codec->body */
    struct buf *body_buf;
    bool continue_sent;
    bool lost; /* the client went while its body was read */

    /* The response. Bytes leave in the order: h1.out, chunk_size, the pieces of the batch, chunk_end. */
    bool head_done; /* it is in h1.out */
    bool keepalive; /* told in the head */
    enum h1_ending ending;
    uint8_t piece;     /* of `batch`: the first one not sent */
    uint64_t piece_at; /* bytes of it that are */
    enum pull after;   /* what the last pull said */
    bool pulled;       /* `after` holds */
    bool last_done;    /* END: the last chunk is in h1.out */
    bool flush;
    char chunk_size[H1_CHUNK_SIZE_MAX];
    uint8_t chunk_size_at; /* bytes from here on are to be sent; H1_CHUNK_SIZE_MAX: none */
    uint8_t chunk_end_left;
    uint64_t head_len; /* of the response */
    uint64_t promised; /* LENGTH: body bytes still to come */
    struct rate rate;
    bool rate_wait;     /* the timer wakes a limited response */
    bool blocked;       /* the client takes no more: send_timeout runs */
    bool gone;          /* the client is; the exchange goes on without it */
    bool closing;       /* codec->abort: nothing more is read or written */
    bool reset;         /* ... and the peer is to see that it was cut */
    struct batch batch; /* pieces that are sent from where they lie; last: they are not zeroed */
};

struct h1 {
    struct conn *c;
    enum h1_state state;
    bool draining;
    bool nodelay; /* TCP_NODELAY is set */
    bool
        wrote; /* since the last read: a further small write would wait for the peer's acknowledgement */
    bool pipelined;               /* the head under way began with bytes behind the one before */
    bool guarded;                 /* keepalive_min_timeout runs: not to be closed for its place */
    const struct http_conf *conf; /* of the last request's location: IDLE, REST, LINGER */
    uint64_t since_ms;            /* HEAD: first byte; REST and LINGER: when they began */
    struct buf *in;               /* bytes of the next head */
    size_t scanned;               /* of `in` by h1_head_end */
    struct buf *out;              /* to be sent */
    struct request *r;            /* RUNNING */
    struct h1_run *run;           /* RUNNING */
    struct h1_body body;          /* RUNNING and REST */
    struct task next;             /* look at the next head, from the ready list */
    struct task send; /* a response held back for the one behind it, from the flush list */
    struct h1 *next_free;
};

/* Values of http_conf.lingering_close. */
enum { LINGERING_OFF, LINGERING_ON, LINGERING_ALWAYS };

/* Settings that hold before a Host is known. */
static inline const struct http_conf *
h1_conn_conf(const struct h1 *h)
{
    return http_conf(http_default_server(h->c)->scope);
}

/* Its next response ends it, once nothing of a further request has been read. */
static inline bool
h1_is_leaving(const struct h1 *h)
{
    return h->draining || worker_state > WORKER_SERVING;
}

/* h1_body.c */
struct source *h1_body_open(struct exchange *x);
/* Decodes and forgets what lies in body.rest, then what the socket has. False: the client is gone. */
bool h1_body_skip(struct h1 *h);
/* Readable while an exchange runs. */
void h1_body_on_readable(struct h1 *h);

/* h1_output.c */
enum h1_sent_state { H1_OUT_SENT, H1_OUT_BLOCKED, H1_OUT_LIMITED, H1_OUT_FAILED };
void h1_output(struct h1 *h);
/* Sends what waits, whatever the rate. */
enum h1_sent_state h1_output_flush(struct h1 *h);
/* Pieces of the body are on their way: they may lie in the buffer of `out`, and go on when the client or the rate lets
 * them. */
bool h1_output_has_pieces(const struct h1 *h);
/* Room for n more bytes in `out`; false: memory. */
bool h1_output_room(struct h1 *h, size_t n);
/* Formats the head if that has not been done; false: memory. */
bool h1_output_head(struct h1 *h);

/* h1_server.c */
void h1_client_lost(struct h1 *h);
/* A complete head waits in `in`. */
bool h1_next_is_complete(struct h1 *h);
/* End of the connection; RST where `reset`. */
void h1_close(struct h1 *h, bool reset);

#endif
