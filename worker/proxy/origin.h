/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin.h - one exchange with an origin: the attempt and its two halves. REQUEST_PATH.md 7.
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
#include "worker/proxy/origin_stream.h"
#include "worker/upstream/upstream.h"

enum origin_state {
    ORIGIN_PICK,    /* no peer chosen; nothing allocated beyond the exchange */
    ORIGIN_CONNECT, /* peer counted as busy; conn may be half open */
    ORIGIN_ACTIVE,  /* connected; the send half and the receive half run side by side */
    ORIGIN_DONE,    /* conn is back in the idle pool or closed; peer released */
};
enum send_state {
    SEND_HEAD,
    SEND_BODY,
    SEND_SHUT
}; /* request half; pulls the request body's cursor */
enum recv_state {
    RECV_HEAD,
    RECV_BODY,
    RECV_TRAILERS,
    RECV_END
}; /* may overtake the request half from HEAD on */

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

/* The settings that all protocols share: origin_conf.def makes their rows, prefixed per protocol. Times in ms. */
struct origin_conf {
    uint64_t connect_timeout_ms, send_timeout_ms, read_timeout_ms;
    bool buffering, request_buffering, ignore_client_abort, intercept_errors, pass_request_headers;
    bool pass_request_body, socket_keepalive, force_ranges;
    uint64_t buffer_size;     /* of the response head */
    struct conf_bufs buffers; /* number x size: the memory limit of the spool */
    uint64_t busy_buffers_size, max_temp_file_size, temp_file_write_size;
    struct temp_path temp_path;
    uint32_t next_upstream;            /* bits of enum upstream_failure */
    uint32_t next_upstream_tries;      /* 0: unlimited */
    uint64_t next_upstream_timeout_ms; /* 0: unlimited */
    struct vec hide, pass;             /* of struct str: hide_header, pass_header */
    uint32_t ignore_headers;           /* bits of enum origin_ignore */
    struct template bind;              /* source address; "off" */
    bool bind_transparent;
    struct template limit_rate;
    struct hash *hidden; /* derived: lower-case names that are not passed on -> itself */
};

struct origin;
/* What a protocol brings. */
struct origin_driver {
    const struct origin_stream_ops *ops;
    /* The connection is there (fresh or pooled): state of the stream on it. False: memory. */
    bool (*open)(struct origin *o);
    /* The final head has come: last say of the driver (redirect rewriting, upgrade). False: not acceptable, 502. */
    bool (*head)(struct origin *o, struct response *res);
};

/* What the phase engine will find when it calls the content handler again. */
enum origin_verdict { VERDICT_NONE, VERDICT_HEAD, VERDICT_STATUS };

struct origin {
    struct request *r;
    const struct origin_conf *conf;
    const struct origin_driver *driver;
    void *driver_data; /* the driver's, for this exchange */
    enum origin_state state;
    enum send_state send;
    enum recv_state recv;
    enum origin_verdict verdict;
    int status; /* VERDICT_STATUS: what to answer */
    struct upstream_try try;
    struct upstream_attempt *attempt; /* the current one, in the exchange's history */
    struct conn *conn;
    void *stream; /* the protocol's state on conn */
    struct source
        *body; /* request body: a cursor on the collected one, or the stream; NULL: none */
    int64_t body_length; /* -1: unknown */
    struct response res; /* the head under way */
    struct spool *spool; /* buffered response; NULL: unbuffered, or no response yet */
    struct source out;   /* what the response's body is: cursor, splice, or direct reads */
    struct task pump;    /* reads on when the consumer did not pull */
    struct timer send_timer;
    uint64_t attempt_ms;  /* clock_ms when the attempt began */
    struct buf *read_buf; /* unbuffered: what the last pull returned, without a consumer's room */
    uint32_t informs;     /* 1xx so far: bounded */
    bool begun, closed;
    bool pooled;     /* conn came from the idle pool: it may turn out to be stale */
    bool got_any;    /* a byte of a response has come on this attempt */
    bool sent_any;   /* a byte of the request has gone out on any attempt */
    bool body_begun; /* a byte of a streamed body was taken: no other attempt */
    bool passed;     /* the head was passed on: no other attempt */
    bool unbuffered;
    bool streaming; /* the request body comes from the client as it is sent on */
    bool tunnel;    /* both bodies are raw: after 101 */
    bool out_open;  /* the response's body was made and not stopped yet */
    bool failed;    /* the body ended early */
    bool splicing; /* the last pull moved a pipe: leave bytes to the next one if it comes at once */
    bool fresh_only;   /* a pooled connection was stale: the next try opens a new one */
    int pipe[2];       /* pooled pipe of a splice; -1: none */
    uint64_t pipe_len; /* bytes in it that the consumer has not been seen to take */
};

/*
 * Starts the exchange of r with group g. The request body has been collected (body: a cursor) or is a stream. `o` is zeroed
 * memory of r. The caller then returns origin_answer(o).
 */
void origin_begin(struct origin *o, struct request *r, struct upstream_group *g,
                  const struct origin_conf *conf, const struct origin_driver *driver,
                  struct source *body, int64_t body_length);
/* WAIT until there is a verdict; then the response, a redirect, or an error's result. */
enum phase_result origin_answer(struct origin *o);
/* Ends whatever is under way: connection closed, peer released, body stopped. Again is harmless. */
void origin_close(struct origin *o);
/* The driver's client side got bytes or space: runs both halves. For conn->on_event of stream protocols. */
void origin_run(struct origin *o);
/* Logs with "upstream" context what went wrong and tries the next peer or gives up. */
void origin_failed(struct origin *o, enum upstream_failure failure, int err, const char *what);

#endif
