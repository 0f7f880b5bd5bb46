/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_conn.h - the state of a TLS connection: what the files of this room share. tls_conn.c moves bytes, over tls_bio.c
 * below the library; tls_handshake.c makes a connection a TLS one.
 */
#ifndef WEIR_TLS_TLS_CONN_H
#define WEIR_TLS_TLS_CONN_H

#include "worker/tls/tls.h"
#include "worker/tls/tls_context.h"
#include "worker/tls/tls_seal.h"

enum {
    TLS_OUT_FIRST = 16 * 1024, /* bytes of the first `out` */
    TLS_RECORD_MAX = 16384,    /* bytes of plain text in a record */
    TLS_RECORD_EXTRA = 512,    /* head, nonce, tag, padding: more than any cipher adds */
};

enum tls_state {
    TLS_HELLO, /* the first bytes are awaited; no `ssl` yet */
    TLS_HANDSHAKE,
    TLS_EARLY, /* the client sends early data; the handshake goes on behind it */
    TLS_OPEN,
    TLS_FAILED, /* nothing more can be said in this session */
};

struct tls {
    SSL *ssl; /* NULL in HELLO */
    struct conn *c;
    const struct tls_context *context;
    enum tls_state state;
    bool
        raw_readable; /* the socket has bytes, or its end: sticky, as CONN_READABLE is for what they say */
    bool raw_eof;
    uint8_t reads_left;       /* from the socket in this call, and 1; 0: no bound */
    bool read_waits_for_room; /* a record has to be written before reading goes on */
    bool
        write_waits_for_peer; /* a handshake that it began anew has to end before writing goes on */
    bool said_close;          /* close_notify is in `out` or gone */
    bool fin_wanted;          /* FIN behind what is in `out` */
    bool fin_follows;         /* at once */
    bool end_wanted;          /* shut down as soon as the handshake is complete */
    bool client;
    struct buf *raw;      /* bytes of the peer that were read before `ssl` was there */
    struct buf *out;      /* records on their way out; NULL when there are none */
    uint32_t out_size;    /* of the next `out` */
    uint32_t small_sent;  /* bytes sent in small records */
    uint64_t wrote_ms;    /* clock_ms of the last write */
    struct task flush;    /* sends `out` before the loop waits */
    struct tls_seal seal; /* the keys of what we send */
    uint8_t
        control; /* type of the record that the library writes next, an enum tls_content; 0: data */
    void (*below)(struct watch *w, unsigned bits); /* the connection's own handler of events */

    /* The handshake. */
    const struct tls_server_ops *ops;   /* the server's side */
    const void *server;                 /* what ops->choose said */
    struct str name;                    /* $ssl_server_name; ours */
    struct list waiting;                /* in the line of handshakes that wait for their turn */
    struct tls_dynamic *dynamic;        /* certificates that are chosen now; NULL: none */
    struct buf *early;                  /* the first early data, for the first read */
    bool early_over;                    /* there is none, or no more */
    uint64_t began_us, took_us;         /* the ClientHello was complete; from there to the end */
    struct tls_revocation_check *check; /* of the client's certificate, under way; NULL: none */
    const char *revocation;             /* why OCSP does not let it pass: constant; NULL: it does */
    void (*done)(struct conn *c, const char *why); /* the client's side */
    struct str verify_name;                        /* borrowed until `done` */
    struct str
        key; /* ours: what makes the connection the one that it is (tls_resume.c); ptr NULL: none */
    bool resume;
    bool offered;        /* a session of before */
    bool refused;        /* with it the handshake failed, as it need not have without */
    bool cut;            /* the peer's end came without close_notify */
    const char *problem; /* that ended the session; in the connection's arena */
    struct tls *next_free;
};

extern const struct conn_ops tls_ops;

/* ssl_ocsp: asks about the client's certificate. False: there is nothing to ask; else tls_handshake_checked comes, not from
 * within. */
bool tls_revocation_begin(struct tls *t);
/* What a connection that ends midway holds; NULL is nothing. */
void tls_revocation_drop(struct tls_revocation_check *k);
void tls_handshake_checked(struct tls *t);

static inline struct tls *
tls_of(const struct conn *c)
{
    return c->ops == &tls_ops ? c->layer : NULL;
}

/* What a context needs for its connections: a server's, a client's. */
void tls_conn_set_up(SSL_CTX *ctx);
void tls_connect_set_up(SSL_CTX *ctx);
/* One step of a handshake at a time, within the budget of the turn: `step` is called now, or when it is t's turn. */
void tls_take_turn(struct tls *t);
void tls_connect_step(struct tls *t);
/* Keeps a copy of a name, in lower case. False: memory. */
bool tls_keep_name(struct tls *t, struct str name);
/* Puts the layer on a connection; it reads `raw` and the socket. False: memory. */
bool tls_attach(struct conn *c, struct tls **t);
/* The connection is a plain one again; what was read of it lies in c->in. */
void tls_detach(struct tls *t);
/* Makes t->ssl for t->context. False: memory, logged. */
bool tls_open(struct tls *t);
/* Reads from the socket into `to`; as recv, with EAGAIN when nothing is known to wait. */
ssize_t tls_raw_read(struct tls *t, void *to, size_t len);
void tls_out_init(struct tls *t);
/* Sends what waits in `out`. */
enum io tls_send(struct tls *t);
/* The same when it is not known that the socket is full. */
enum io tls_send_if_writable(struct tls *t);
/* Room in `out` for n more bytes, in one piece. False: not before the socket takes some. */
bool tls_out_room(struct tls *t, size_t n);
/* Makes a record in `out`, where there is room for it. False: the session is over. */
bool tls_out_seal(struct tls *t, enum tls_content type, const void *text, size_t len);
/* Of a connection that ends: goes on sending `out` by itself, on a copy of the descriptor, and takes it over. False: it is too
 * much, or there is no memory or descriptor: the words are lost. */
bool tls_farewell(struct conn *c, struct buf *out);
/* A line of the error log with `while DOING, client: ..., server: ...` behind it. */
void tls_log(const struct tls *t, enum log_level level, int err, const char *doing,
             const char *text);

#endif
