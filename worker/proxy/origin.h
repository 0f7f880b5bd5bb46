/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin.h - one exchange with an origin: the attempt and its two halves. ARCHITECTURE.md 10.
 *
 * Protocol-neutral: a driver (proxy.c, later fastcgi.c, grpc.c ...) brings origin_stream_ops and its request head. The
 * driver's content handler calls origin_begin once and then returns origin_answer(o) each time the phase engine
 * calls it; nothing of the response is passed on from anywhere else, so X-Accel-Redirect, intercepted errors and 502 are
 * ordinary phase results.
 */
#ifndef WEIR_PROXY_ORIGIN_H
#define WEIR_PROXY_ORIGIN_H

#include "worker/http/http_conf.h"
#include "worker/http/spool.h"
#include "worker/net/rate.h"
#include "worker/net/relay.h"
#include "worker/proxy/origin_stream.h"
#include "worker/upstream/upstream.h"
#include "worker/upstream/upstream_tls.h"

/* The attempt. Each state says what is already true in it. */
enum origin_state {
    ORIGIN_PICK,    /* no peer chosen; nothing allocated beyond the exchange */
    ORIGIN_CONNECT, /* peer counted as busy; conn may be half open */
    ORIGIN_SECURE,  /* connected; a TLS handshake is under way */
    ORIGIN_ACTIVE,  /* connected; the send half and the receive half run side by side */
    ORIGIN_DONE,    /* conn is back in the idle pool or closed, or a tunnel; peer released */
};
/* What is known of a TLS handshake. */
enum origin_handshake { HANDSHAKE_NONE, HANDSHAKE_BEGUN, HANDSHAKE_DONE, HANDSHAKE_FAILED };
/* The request half; pulls the request body's cursor. */
enum send_state { SEND_HEAD, SEND_BODY, SEND_SHUT };
/* The response half; may overtake the request half from HEAD on. */
enum recv_state { RECV_HEAD, RECV_BODY, RECV_END };

/* What origin_conf.ignore_headers names. */
enum origin_ignore {
    IGNORE_X_ACCEL_REDIRECT = 1 << 0,
    IGNORE_X_ACCEL_EXPIRES = 1 << 1,
    IGNORE_X_ACCEL_LIMIT_RATE = 1 << 2,
    IGNORE_X_ACCEL_BUFFERING = 1 << 3,
    IGNORE_X_ACCEL_CHARSET = 1 << 4,
    IGNORE_EXPIRES = 1 << 5,
    IGNORE_CACHE_CONTROL = 1 << 6,
    IGNORE_SET_COOKIE = 1 << 7,
    IGNORE_VARY = 1 << 8,
};

/* Field names: a bit per known one, a list of the others. Lower case does not matter. */
struct name_set {
    bool known[FIELD_COUNT];
    struct vec others; /* of struct str */
};
/* False: memory. */
bool name_set_add(struct name_set *s, struct arena *a, struct str name);
void name_set_remove(struct name_set *s, struct str name);
bool name_set_has(const struct name_set *s, const struct field *f);

/* The settings that all protocols share: origin_conf.h makes their rows, prefixed per protocol. Times in ms. */
struct origin_conf {
    struct template bind; /* source address; "off" */
    uint64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    bool buffering, request_buffering, ignore_client_abort, intercept_errors, pass_request_headers;
    bool pass_request_body, pass_trailers, socket_keepalive, force_ranges, bind_transparent;
    uint64_t socket_rcvbuf, socket_sndbuf; /* bytes; 0: the system's choice */
    uint64_t buffer_size;                  /* of the response head */
    struct conf_bufs buffers;              /* number x size: the memory limit of the spool */
    uint64_t busy_buffers_size, max_temp_file_size, temp_file_write_size;
    struct temp_path temp_path;
    uint32_t next_upstream;            /* bits of enum upstream_failure */
    uint32_t next_upstream_tries;      /* 0: unlimited */
    uint64_t next_upstream_timeout_ms; /* 0: unlimited */
    struct vec hide, pass;             /* of struct str: hide_header, pass_header */
    uint32_t ignore_headers;           /* bits of enum origin_ignore */
    struct template limit_rate;
    struct vec allow;        /* conditions for a connection; none: it is allowed */
    struct template store;   /* the path; not set: */
    bool store_at_root;      /* where root or alias say, else nowhere */
    uint32_t store_access;   /* mode of the files */
    struct name_set *hidden; /* derived: what is not passed on to the client */
};

struct origin;
/* What a protocol brings. */
struct origin_driver {
    const char *prefix; /* of its directives: "proxy" */
    const struct origin_stream_ops *ops;
    /* The connection is there (fresh or pooled): state of the stream on it. False: memory. */
    bool (*open)(struct origin *o);
    /* A reader of the request body from its beginning, for an attempt; NULL: none, or memory when there is one. */
    struct source *(*body)(struct origin *o);
    /* The origin has answered 101, or a tunnel is to begin (res.tunnel). NULL: good; else why it is not acceptable, a 502. */
    const char *(*upgrade)(struct origin *o);
    /* The head of a tunnel has been given on: what was read ahead goes back to the connection, the stream's state goes.
     * False: memory. NULL: there is none of it. */
    bool (*release)(struct origin *o);
    /* Last say in the head that the client gets (redirect rewriting). */
    void (*rewrite)(struct origin *o, struct response *res);
    /* "http://10.0.0.1:80/uri", for the error log. */
    void (*describe)(const struct origin *o, struct text *t);
    /* The head that would be sent, for explain. False: t->failed, or it cannot be sent, said. NULL: it is no text. */
    bool (*head)(struct origin *o, struct text *t);
};

/* Why an attempt failed. */
struct origin_fault {
    enum upstream_failure failure; /* OK: the origin is not to blame */
    int err;                       /* errno, or 0 */
    const char *what;    /* "upstream timed out": the log line's beginning; NULL: said already */
    const char *timeout; /* "read_timeout": the setting that ended it; NULL: none */
    uint64_t timeout_ms;
};

/* What the phase engine will find when it calls the content handler again. */
enum origin_verdict {
    VERDICT_NONE,
    VERDICT_HEAD,
    VERDICT_STATUS,
    VERDICT_EXPLAINED /* nobody was asked: let it be an empty 200 */
};

struct origin {
    struct request *r;
    const struct origin_conf *conf;
    const struct origin_driver *driver;
    struct abort_hook on_abort;
    bool begun, closed;

    /* The attempt. */
    enum origin_state state;
    enum origin_verdict verdict;
    int status; /* VERDICT_STATUS, or when no peer is left: what to answer */
    struct upstream_try try;
    struct upstream_attempt *attempt; /* the current one, in the exchange's history */
    uint64_t attempt_ms;              /* clock_ms when it began */
    struct conn *conn;                /* its timer: connecting, waiting for the response */
    void *stream;                     /* the protocol's state on conn; NULL: not open */
    struct addr from;                 /* source address; len 0: any */
    struct tls_client *tls;           /* what the connection has to be; NULL: plain */
    enum origin_handshake handshake;
    struct origin_fault fault; /* of STEP_FAILED, SENT_FAILED, GOT_FAILED */
    bool pooled;               /* conn came from the idle pool: it may turn out to be stale */
    bool fresh_only;           /* one was: the next try opens a new one */
    bool got_any;              /* a byte of a response has come on this attempt */

    /* The request half. */
    enum send_state send;
    struct timer send_timer;    /* while the origin takes no bytes */
    struct source *body;        /* NULL: none */
    int64_t body_length;        /* -1: unknown */
    bool idempotent;            /* as it is sent */
    bool streaming;             /* the body comes from the client as it is sent on */
    bool sent_any;              /* a byte of the request has gone out, on any attempt */
    bool send_failed;           /* the origin takes no more: an answer may still be there */
    struct ready_hook on_ready; /* the body's source said WAIT */
    struct task send_task;

    /* The response half: origin_body.c. */
    enum recv_state recv;
    struct response res; /* the head under way */
    struct str first;    /* body bytes that came with the head */
    uint32_t informs;    /* 1xx so far: bounded */
    bool passed;         /* the head was passed on: no other attempt */
    bool unbuffered;
    bool tunnel;                 /* the head of one was passed on: the connections are a relay's */
    struct relay *relay;         /* NULL: not yet, or over */
    struct ready_hook on_client; /* of a tunnel: the client may have taken the head */
    uint64_t tunnel_buffer_size; /* bytes; 0: the relay's choice */
    bool failed;                 /* the body ended early */
    bool out_open;               /* the response's body was made and not stopped yet */
    bool splicing;       /* the consumer takes pipes: bytes are left to it while it takes any */
    struct source out;   /* what the response's body is: cursor, splice, or direct reads */
    struct str store;    /* where the response is kept as a file, NUL behind; empty: nowhere */
    struct spool *spool; /* buffered response; NULL: unbuffered, or complete with its head */
    struct task pump;    /* reads into the spool what the consumer did not pull */
    struct rate rate;    /* of reading: limit_rate */
    struct timer rate_timer;
    struct buf *read_buf; /* unbuffered: what the last pull returned, without a consumer's room */
    int pipe[2];          /* pooled pipe of a splice; -1: none */
};

/*
 * Starts the exchange of r with group g. `o` is zeroed memory of r, but for body_length, idempotent, streaming and tls. The body
 * has been collected or is a stream, and is asked of the driver. The caller then returns origin_answer(o).
 */
void origin_begin(struct origin *o, struct request *r, struct upstream_group *g,
                  const struct origin_conf *conf, const struct origin_driver *driver);
/* WAIT until there is a verdict; then the response, a redirect, or an error's result. */
enum phase_result origin_answer(struct origin *o);
/* Ends whatever is under way: connection closed, peer released, body stopped. Again is harmless. */
void origin_close(struct origin *o);
/* Bytes or room: runs both halves. For stream protocols. */
void origin_run(struct origin *o);
/* A request body that streams has more: runs the request half. */
void origin_more_body(struct origin *o);
/* For drivers: remembers why; false. */
bool origin_blame(struct origin *o, enum upstream_failure failure, int err, const char *what);

/* ---- between origin.c and origin_body.c ---- */

/* The response is complete: the peer did well, its connection may serve another request. */
void origin_response_complete(struct origin *o);
/* o->fault happened after the head was passed on: the client sees an aborted response. */
void origin_response_failed(struct origin *o);
/* The final head came: takes what was read with it. False: o->fault. */
bool origin_take_first(struct origin *o);
/* An event brought bytes of the body. */
void origin_recv_body(struct origin *o);
/* Reading goes on later: spool, pipe and buffers of the response go. */
void origin_body_close(struct origin *o);
/* With pass_trailers: the origin's trailer fields become the response's. */
void origin_pass_trailers(struct origin *o);
/* Gives the head on, in a phase. */
enum phase_result origin_respond(struct origin *o);

/* The origin's head makes both connections a tunnel. */
static inline bool
origin_is_tunnel(const struct origin *o)
{
    return o->res.status == 101 || o->res.tunnel;
}

/* ---- origin_tunnel.c ---- */

/* For drivers: the client's connection can become one; from now on its bytes are no requests. */
bool origin_tunnel_possible(struct origin *o);
/* The head was given on: begins as soon as the client has taken it. Again is harmless. */
void origin_tunnel_run(struct origin *o);
void origin_tunnel_close(struct origin *o);

/* ---- origin_resolve.c ---- */

/* Where a pass directive with variables leads. Zeroed memory of r but for its first three members. */
struct origin_place {
    struct request *r;
    struct str host; /* with or without a port, "unix:/path", or a group's name */
    uint16_t port;   /* where host names none; then the one that it names */
    bool tls;        /* the origin speaks https */
    struct upstream_group *group;
    struct resolver_query *query;
    struct abort_hook on_abort; /* of the query */
    bool resolved;              /* an answer has come: */
    struct addr *addrs;
    uint32_t n_addrs;
    int status; /* what to answer without any */
};
/* p->group, found or made now: NEXT, WAIT for a name, or an error's result. */
enum phase_result origin_resolve(struct origin_place *p);

/* ---- origin_store.c ---- */

/* The head is about to be given on: sets o->store when this response is one to keep. */
void origin_store_begin(struct origin *o);
/* o->spool is complete: its file gets the name. Failures are logged. */
void origin_store_save(struct origin *o);
/* The same for a body that came whole with its head. */
void origin_store_bytes(struct origin *o, struct str body);

#endif
