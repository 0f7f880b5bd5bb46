/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin.c - one exchange with an origin: picks a peer, connects, and runs the request half and the response half side
 * by side until both are through, another peer has to be tried, or the client gets an error.
 */
#include "worker/proxy/origin.h"

#include <errno.h>
#include <sys/socket.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/http/error_page.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"
#include "worker/net/pipe_pool.h"

enum {
    INFORMS_MAX = 64,       /* 1xx responses of one attempt; more is no origin's honest work */
    PUMP_MAX = 1024 * 1024, /* bytes read for one exchange before others have their turn */
    SPLICE_MIN = 64 * 1024, /* bytes left from which a splice pays */
    SPLICE_MAX = 1024 * 1024,
    READ_MIN = 4 * 1024, /* unbuffered: smaller rooms are not worth a read */
    READ_SIZE = 16 * 1024,
    IDEMPOTENT = METHOD_GET | METHOD_HEAD | METHOD_PUT | METHOD_DELETE | METHOD_OPTIONS |
                 METHOD_TRACE | METHOD_PROPFIND | METHOD_MKCOL | METHOD_COPY | METHOD_MOVE |
                 METHOD_PROPPATCH | METHOD_UNLOCK,
};

enum step { STEP_GO, STEP_WAIT };

static void origin_on_event(struct conn *c);
static void origin_on_time(struct timer *t);
static void origin_on_send_time(struct timer *t);

/* ---- verdicts ---- */

static void
give_verdict(struct origin *o, enum origin_verdict verdict, int status)
{
    o->verdict = verdict;
    o->status = status;
    phase_resume(&o->r->x);
}

static bool
attempt_start(struct origin *o)
{
    struct upstream_history *h = upstream_history(&o->r->x);
    struct upstream_attempt *a = h != NULL ? VEC_PUSH(&h->attempts, struct upstream_attempt) : NULL;

    if (a == NULL)
        return false;
    *a = (struct upstream_attempt){ .connect_ms = -1, .header_ms = -1, .response_ms = -1 };
    a->new_jump = h->jumped;
    h->jumped = false;
    o->attempt = a;
    o->attempt_ms = clock_ms;
    return true;
}

static int64_t
since_attempt(const struct origin *o)
{
    return (int64_t)(clock_ms - o->attempt_ms);
}

/* ---- the connection ---- */

static void
conn_drop(struct origin *o)
{
    timer_forget(&o->send_timer);
    if (o->conn == NULL)
        return;
    if (o->stream != NULL)
        (void)o->driver->ops->finish(o, false);
    o->stream = NULL;
    conn_close(o->conn);
    o->conn = NULL;
}

/* Both halves are through: back to the pool when nothing is unread and the origin allows it. */
static void
conn_give_back(struct origin *o)
{
    bool reusable = o->send == SEND_SHUT && o->driver->ops->finish(o, true);

    o->stream = NULL;
    timer_forget(&o->send_timer);
    timer_stop(&o->conn->timer);
    if (reusable)
        upstream_idle_put(&o->try, o->conn);
    else
        conn_close(o->conn);
    o->conn = NULL;
}

static void
watch_conn(struct origin *o)
{
    o->conn->owner = o;
    o->conn->on_event = origin_on_event;
    o->conn->timer.on_time = origin_on_time;
    o->send_timer.on_time = origin_on_send_time;
}

/* ---- failures and further attempts ---- */

static bool
may_repeat(const struct origin *o)
{
    if (o->passed || o->body_begun)
        return false;
    return !o->sent_any || (o->r->method & IDEMPOTENT) ||
           (o->conf->next_upstream & UPSTREAM_NON_IDEMPOTENT);
}

static bool
may_try_next(const struct origin *o, enum upstream_failure failure)
{
    const struct origin_conf *c = o->conf;

    if (!(c->next_upstream & failure) || !may_repeat(o))
        return false;
    if (c->next_upstream_tries != 0 && o->try.attempts >= c->next_upstream_tries)
        return false;
    return c->next_upstream_timeout_ms == 0 ||
           clock_ms - o->try.started_ms < c->next_upstream_timeout_ms;
}

static int
status_of(enum upstream_failure failure)
{
    switch (failure) {
    case UPSTREAM_TIMEOUT:
        return 504;
    case UPSTREAM_HTTP_403:
        return 403;
    case UPSTREAM_HTTP_404:
        return 404;
    case UPSTREAM_HTTP_429:
        return 429;
    case UPSTREAM_HTTP_500:
        return 500;
    case UPSTREAM_HTTP_503:
        return 503;
    case UPSTREAM_HTTP_504:
        return 504;
    default:
        return 502;
    }
}

/* Starts the request over: the next attempt reads the collected body from its beginning. */
static bool
rewind_body(struct origin *o)
{
    if (o->body == NULL || o->send == SEND_HEAD)
        return true;
    source_stop(o->body, STOP_REPLACED);
    o->body = request_body_open(o->r, &o->r->x);
    return o->body != NULL;
}

static void
next_attempt(struct origin *o)
{
    if (!rewind_body(o)) {
        o->state = ORIGIN_DONE;
        give_verdict(o, VERDICT_STATUS, 500);
        return;
    }
    o->send = SEND_HEAD;
    o->recv = RECV_HEAD;
    o->informs = 0;
    o->got_any = false;
    o->state = ORIGIN_PICK;
    origin_run(o);
}

/* The head was passed on already: the client sees an aborted response, never a clean end. */
static void
fail_body(struct origin *o)
{
    o->state = ORIGIN_DONE;
    o->recv = RECV_END;
    o->failed = true;
    if (o->spool != NULL)
        spool_seal(o->spool, SPOOL_FAILED);
    exchange_ready(&o->r->x);
}

static void
give_up(struct origin *o, int status)
{
    o->state = ORIGIN_DONE;
    if (o->passed)
        fail_body(o);
    else
        give_verdict(o, VERDICT_STATUS, status);
}

/* A pooled connection that the origin had closed meanwhile is nobody's failure: the request goes out afresh. */
static bool
was_stale(const struct origin *o, enum upstream_failure failure)
{
    return o->pooled && !o->got_any && failure == UPSTREAM_ERROR && may_repeat(o);
}

void
origin_failed(struct origin *o, enum upstream_failure failure, int err, const char *what)
{
    bool stale = was_stale(o, failure);

    if (stale) {
        conn_drop(o);
        o->fresh_only = true;
        if (rewind_body(o)) {
            o->send = SEND_HEAD;
            o->recv = RECV_HEAD;
            o->state = ORIGIN_CONNECT;
            origin_run(o);
            return;
        }
    }
    if (what != NULL)
        xlog(&o->r->x, LOG_LEVEL_ERROR, err, "%s", what);
    if (o->attempt != NULL) {
        o->attempt->response_ms = since_attempt(o);
        if (o->attempt->status == 0)
            o->attempt->status = (uint16_t)status_of(failure);
    }
    conn_drop(o);
    upstream_report(&o->try, failure);
    if (may_try_next(o, failure))
        next_attempt(o);
    else
        give_up(o, status_of(failure));
}

/* ---- PICK and CONNECT ---- */

static enum step
origin_pick(struct origin *o)
{
    if (upstream_pick(&o->try) != PICKED) {
        if (o->attempt != NULL && o->try.attempts > 0 && o->attempt->status != 0) {
            give_up(o, o->attempt->status);
        } else {
            if (attempt_start(o)) {
                o->attempt->addr = upstream_name(o->try.group);
                o->attempt->status = 502;
            }
            xlog(&o->r->x, LOG_LEVEL_ERROR, 0, "no live upstreams while connecting to upstream");
            give_up(o, 502);
        }
        return STEP_WAIT;
    }
    if (!attempt_start(o)) {
        upstream_end(&o->try);
        give_up(o, 500);
        return STEP_WAIT;
    }
    o->attempt->addr = upstream_current(&o->try)->name;
    o->fresh_only = false;
    o->state = ORIGIN_CONNECT;
    return STEP_GO;
}

/* For a request that may not be sent twice: one look whether the origin has hung up while the connection was idle. */
static bool
still_open(struct conn *c)
{
    char byte;

    return recv(c->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

static bool
take_pooled(struct origin *o)
{
    struct conn *c;

    if (o->fresh_only)
        return false;
    while ((c = upstream_idle_get(&o->try)) != NULL) {
        if ((o->r->method & IDEMPOTENT) || still_open(c)) {
            o->conn = c;
            return true;
        }
        conn_close(c);
    }
    return false;
}

static bool
local_address(struct origin *o, struct connect_options *opt)
{
    struct str text;

    if (!o->conf->bind.set)
        return true;
    text = template_expand(&o->r->x, &o->conf->bind);
    if (text.len == 0 || str_eq(text, S("off")))
        return true;
    opt->transparent = o->conf->bind_transparent;
    if (addr_parse(text, 0, &opt->local))
        return true;
    xlog(&o->r->x, LOG_LEVEL_ERROR, 0, "invalid local address \"%.*s\"", STR(text));
    return true;
}

static enum step
begin_connect(struct origin *o)
{
    struct connect_options opt = { .timeout_ms = o->conf->connect_timeout_ms,
                                   .keepalive = o->conf->socket_keepalive };

    o->pooled = take_pooled(o);
    if (o->pooled)
        return STEP_GO;
    (void)local_address(o, &opt);
    o->conn = connect_start(&upstream_current(&o->try)->addr, &opt);
    if (o->conn == NULL) {
        origin_failed(o, UPSTREAM_ERROR, errno, "connect() failed while connecting to upstream");
        return STEP_WAIT;
    }
    return STEP_GO;
}

static enum step
origin_connect(struct origin *o)
{
    o->r->x.doing = "connecting to upstream";
    if (o->conn == NULL) {
        if (begin_connect(o) == STEP_WAIT)
            return STEP_WAIT;
        watch_conn(o);
        if (!o->pooled)
            timer_set(&o->conn->timer, o->conf->connect_timeout_ms);
    }
    if (!o->pooled) {
        int err;

        if (!(o->conn->bits & (CONN_WRITABLE | CONN_ERROR | CONN_EOF)))
            return STEP_WAIT;
        err = connect_finish(o->conn);
        if (err != 0) {
            origin_failed(o, UPSTREAM_ERROR, err, "connect() failed");
            return STEP_WAIT;
        }
    }
    o->attempt->connect_ms = since_attempt(o);
    if (!o->driver->open(o)) {
        origin_failed(o, UPSTREAM_ERROR, ENOMEM, "no memory for an upstream request");
        return STEP_WAIT;
    }
    timer_set(&o->conn->timer, o->conf->read_timeout_ms);
    o->state = ORIGIN_ACTIVE;
    return STEP_GO;
}

/* ---- ACTIVE: the request half ---- */

static bool
origin_send(struct origin *o)
{
    const struct origin_stream_ops *ops = o->driver->ops;
    uint64_t before = o->conn->sent;
    bool ok = true;

    o->r->x.doing = "sending request to upstream";
    if (o->send == SEND_HEAD)
        ok = ops->send_head(o);
    else if (o->send == SEND_BODY)
        ok = ops->send_body(o, o->body);

    if (o->conn->sent != before) {
        o->sent_any = true;
        o->body_begun |= o->streaming && o->send != SEND_HEAD;
        o->attempt->bytes_sent += o->conn->sent - before;
        timer_set(&o->conn->timer, o->conf->read_timeout_ms);
    }
    if (o->send == SEND_SHUT || !ok)
        timer_stop(&o->send_timer);
    else if (!(o->conn->bits & CONN_WRITABLE) &&
             (o->conn->sent != before || !timer_pending(&o->send_timer)))
        timer_set(&o->send_timer, o->conf->send_timeout_ms);
    if (o->send == SEND_SHUT)
        o->r->x.doing = "reading response header from upstream";
    return ok;
}

/* ---- ACTIVE: the response half ---- */

static enum upstream_failure
failure_of_status(uint16_t status)
{
    static const struct {
        uint16_t status;
        enum upstream_failure failure;
    } known[] = {
        { 500, UPSTREAM_HTTP_500 }, { 502, UPSTREAM_HTTP_502 }, { 503, UPSTREAM_HTTP_503 },
        { 504, UPSTREAM_HTTP_504 }, { 403, UPSTREAM_HTTP_403 }, { 404, UPSTREAM_HTTP_404 },
        { 429, UPSTREAM_HTTP_429 },
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].status == status)
            return known[i].failure;
    return UPSTREAM_OK;
}

/* An answer that asks for another peer, while there is one to try; the last one's goes to the client as it is. */
static bool
wants_next(struct origin *o)
{
    enum upstream_failure failure = failure_of_status(o->res.status);

    if (failure == UPSTREAM_OK || !may_try_next(o, failure))
        return false;
    if (!upstream_has_next(&o->try))
        return false;
    conn_drop(o);
    o->attempt->response_ms = since_attempt(o);
    upstream_report(&o->try, failure);
    next_attempt(o);
    return true;
}

static enum step
on_head(struct origin *o)
{
    o->attempt->status = o->res.status;
    o->attempt->header_ms = since_attempt(o);
    if (wants_next(o))
        return STEP_WAIT;
    if (!o->driver->head(o, &o->res)) {
        origin_failed(o, UPSTREAM_INVALID_HEADER, 0, "upstream sent an unacceptable response");
        return STEP_WAIT;
    }
    o->recv = RECV_BODY;
    o->r->x.doing = "reading upstream";
    give_verdict(o, VERDICT_HEAD, 0);
    return STEP_WAIT;
}

static enum step
recv_head(struct origin *o)
{
    for (;;) {
        switch (o->driver->ops->recv_head(o, &o->res)) {
        case GOT_NOTHING:
            return STEP_WAIT;
        case GOT_INFORM:
            if (++o->informs > INFORMS_MAX) {
                origin_failed(o, UPSTREAM_INVALID_HEADER, 0,
                              "upstream sent too many informational responses");
                return STEP_WAIT;
            }
            if (o->res.status == 103 && o->r->x.sink->inform != NULL)
                o->r->x.sink->inform(&o->r->x, &o->res);
            response_init(&o->res, request_arena(o->r));
            break;
        case GOT_HEAD:
            return on_head(o);
        case GOT_BYTES:
        case GOT_END:
        case GOT_FAILED:
            return STEP_WAIT; /* the driver has called origin_failed */
        }
    }
}

/* The response is complete: the peer did well, the connection may serve another. */
static void
response_complete(struct origin *o)
{
    o->recv = RECV_END;
    o->state = ORIGIN_DONE;
    o->attempt->response_ms = since_attempt(o);
    if (o->body != NULL && o->send != SEND_SHUT) {
        source_stop(o->body, STOP_DONE);
        o->body = NULL;
    }
    conn_give_back(o);
    upstream_report(&o->try, UPSTREAM_OK);
    if (o->spool != NULL)
        spool_seal(o->spool, SPOOL_COMPLETE);
}

static void
body_failed(struct origin *o, enum upstream_failure failure, int err, const char *what)
{
    xlog(&o->r->x, LOG_LEVEL_ERROR, err, "%s while reading upstream", what);
    o->attempt->response_ms = since_attempt(o);
    conn_drop(o);
    upstream_report(&o->try, failure);
    fail_body(o);
}

/* One read into the spool. False: nothing more to be had, or no room, or the end. */
static bool
pump_step(struct origin *o, uint64_t *moved)
{
    struct iovec iov[2];
    size_t got = 0;
    int n = spool_room(o->spool, iov, 2, o->res.length > 0 ? (size_t)o->res.length : 0);
    enum recv recv;

    if (n == 0) {
        timer_stop(&o->conn->timer);
        return false;
    }
    recv = o->driver->ops->recv_body(o, iov, n, &got);
    spool_commit(o->spool, got);
    o->attempt->response_length += got;
    *moved += got;

    switch (recv) {
    case GOT_BYTES:
        timer_set(&o->conn->timer, o->conf->read_timeout_ms);
        return true;
    case GOT_END:
        response_complete(o);
        return false;
    case GOT_FAILED:
        body_failed(o, UPSTREAM_ERROR, o->conn->error, "upstream prematurely closed connection");
        return false;
    default:
        return false;
    }
}

/* Moves what the origin has into the spool until either has no more. */
static void
pump(struct origin *o)
{
    uint64_t moved = 0;

    while (moved < PUMP_MAX)
        if (!pump_step(o, &moved))
            return;
    task_ready(&o->pump);
}

/* A consumer that splices gets the bytes, unless it is blocked: then they are kept for it. */
static bool
consumer_comes(const struct origin *o)
{
    const struct conn *c = o->r->x.conn;

    return o->splicing && c != NULL && (c->bits & CONN_WRITABLE);
}

static void
pump_task(struct task *t)
{
    struct origin *o = CONTAINER_OF(t, struct origin, pump);

    if (o->state == ORIGIN_ACTIVE && o->recv == RECV_BODY && o->spool != NULL && o->out_open &&
        !consumer_comes(o))
        pump(o);
}

static void
on_spool_space(void *data)
{
    pump_task(&((struct origin *)data)->pump);
}

/* Bytes of the body are there. A consumer that can splice, or reads directly, is given the first chance. */
static void
recv_body(struct origin *o)
{
    if (!o->out_open)
        return;
    if (o->unbuffered || o->splicing) {
        timer_set(&o->conn->timer, o->conf->read_timeout_ms);
        exchange_ready(&o->r->x);
        if (o->spool != NULL)
            task_ready(&o->pump);
        return;
    }
    pump(o);
}

static enum step
origin_exchange(struct origin *o)
{
    if (o->send != SEND_SHUT && !origin_send(o)) {
        if (o->state == ORIGIN_ACTIVE && o->conn != NULL)
            origin_failed(o, UPSTREAM_ERROR, o->conn->error,
                          "sending a request to upstream failed");
        return STEP_WAIT;
    }
    if (o->state != ORIGIN_ACTIVE)
        return STEP_GO;
    if (o->recv == RECV_HEAD && o->send != SEND_HEAD)
        return recv_head(o);
    if (o->recv == RECV_BODY)
        recv_body(o);
    return STEP_WAIT;
}

void
origin_run(struct origin *o)
{
    for (;;) {
        enum step step = STEP_WAIT;

        switch (o->state) {
        case ORIGIN_PICK:
            step = origin_pick(o);
            break;
        case ORIGIN_CONNECT:
            step = origin_connect(o);
            break;
        case ORIGIN_ACTIVE:
            step = origin_exchange(o);
            break;
        case ORIGIN_DONE:
            return;
        }
        if (step == STEP_WAIT)
            return;
    }
}

static void
origin_on_event(struct conn *c)
{
    origin_run(c->owner);
}

/* ---- time ---- */

static void
origin_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    struct origin *o = c->owner;

    if (o->state == ORIGIN_CONNECT)
        origin_failed(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
    else if (o->recv == RECV_HEAD)
        origin_failed(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
    else
        body_failed(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
}

static void
origin_on_send_time(struct timer *t)
{
    struct origin *o = CONTAINER_OF(t, struct origin, send_timer);

    if (o->recv == RECV_HEAD)
        origin_failed(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
    else
        body_failed(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
}

/* ---- the response's body ---- */

static struct origin *
origin_of_out(struct source *s)
{
    return CONTAINER_OF(s, struct origin, out);
}

static void
pipe_back(struct origin *o)
{
    if (o->pipe[0] >= 0)
        pipe_put(o->pipe, o->pipe_len == 0);
    o->pipe[0] = o->pipe[1] = -1;
    o->pipe_len = 0;
}

/* Unbuffered: the origin is read only when the client can take more, and every read is flushed. */
static enum pull
pull_direct(struct origin *o, struct batch *b)
{
    struct iovec iov;
    size_t got = 0;
    bool own = b->room == NULL || b->room_len < READ_MIN;

    buf_put(o->read_buf);
    o->read_buf = own ? buf_get(READ_SIZE) : NULL;
    if (own && o->read_buf == NULL)
        return PULL_FAILED;
    iov = own ? (struct iovec){ o->read_buf->mem, o->read_buf->cap }
              : (struct iovec){ b->room, b->room_len };

    switch (o->driver->ops->recv_body(o, &iov, 1, &got)) {
    case GOT_BYTES:
        o->attempt->response_length += got;
        batch_mem(b, iov.iov_base, got);
        break;
    case GOT_END:
        o->attempt->response_length += got;
        if (got > 0)
            batch_mem(b, iov.iov_base, got);
        response_complete(o);
        b->flush = true;
        return PULL_END;
    case GOT_FAILED:
        body_failed(o, UPSTREAM_ERROR, o->conn->error, "upstream prematurely closed connection");
        return PULL_FAILED;
    default:
        return PULL_WAIT;
    }
    if (!own) {
        b->room += got;
        b->room_len -= (uint32_t)got;
    }
    b->flush = true;
    return PULL_MORE;
}

/* Whether the rest is long enough to go from socket to socket without being seen. */
static bool
may_splice(const struct origin *o)
{
    return o->driver->ops->splice_body != NULL &&
           o->res.length - (int64_t)o->attempt->response_length >= SPLICE_MIN;
}

static enum pull
pull_pipe(struct origin *o, struct batch *b)
{
    size_t got = 0;

    if (o->pipe[0] < 0 && !pipe_get(o->pipe)) {
        o->pipe[0] = o->pipe[1] = -1;
        return PULL_FAILED;
    }
    switch (o->driver->ops->splice_body(o, o->pipe[1], SPLICE_MAX, &got)) {
    case GOT_BYTES:
    case GOT_END:
        break;
    case GOT_FAILED:
        body_failed(o, UPSTREAM_ERROR, o->conn->error, "upstream prematurely closed connection");
        return PULL_FAILED;
    default:
        return PULL_WAIT;
    }
    o->attempt->response_length += got;
    o->pipe_len = got;
    b->piece[b->n++] = (struct piece){ .kind = PIECE_PIPE, .fd = o->pipe[0], .len = got };
    timer_set(&o->conn->timer, o->conf->read_timeout_ms);
    if ((int64_t)o->attempt->response_length < o->res.length)
        return PULL_MORE;
    response_complete(o);
    return PULL_END;
}

static enum pull
out_pull(struct source *s, struct batch *b)
{
    struct origin *o = origin_of_out(s);
    enum pull result;

    o->pipe_len = 0; /* to pull again says that everything before was sent */
    if (o->unbuffered) {
        if (o->recv == RECV_END)
            return o->failed ? PULL_FAILED : PULL_END;
        return pull_direct(o, b);
    }
    if ((b->kinds & PIECE_PIPE) && o->recv == RECV_BODY && may_splice(o) &&
        spool_is_empty(o->spool) && !o->driver->ops->buffered(o)) {
        o->splicing = true;
        return pull_pipe(o, b);
    }
    o->splicing = false;
    result = source_pull(s->below, b);
    /* Bytes that the socket still holds from before are worth a look: no event will come for them. */
    if (result == PULL_WAIT && o->recv == RECV_BODY && (o->conn->bits & CONN_READABLE))
        task_ready(&o->pump);
    return result;
}

static void
out_stop(struct source *s, enum stop why)
{
    struct origin *o = origin_of_out(s);

    o->out_open = false;
    source_stop(s->below, why);
    s->below = NULL;
    pipe_back(o);
    origin_close(o);
}

static const struct source_ops out_ops = { out_pull, out_stop };

/* ---- handing the response on ---- */

static bool
open_out(struct origin *o)
{
    struct exchange *x = &o->r->x;

    o->out = (struct source){ .ops = &out_ops, .x = x };
    o->out_open = true;
    if (o->unbuffered)
        return true;
    o->spool =
        spool_new(x->mem, SPOOL_CONSUME, (uint64_t)o->conf->buffers.number * o->conf->buffers.size,
                  o->conf->max_temp_file_size, &o->conf->temp_path);
    if (o->spool == NULL)
        return false;
    spool_on_space(o->spool, on_spool_space, o);
    o->out.below = spool_open(o->spool, x, 0);
    return o->out.below != NULL;
}

/* X-Accel-Buffering and X-Accel-Limit-Rate speak to us, not to the client. */
static void
accel_fields(struct origin *o)
{
    uint32_t ignored = o->conf->ignore_headers;
    struct str buffering = fields_value(&o->res.fields, FIELD_X_ACCEL_BUFFERING);
    struct str rate = fields_value(&o->res.fields, FIELD_X_ACCEL_LIMIT_RATE);
    struct str charset = fields_value(&o->res.fields, FIELD_X_ACCEL_CHARSET);
    uint64_t n;

    o->unbuffered = !o->conf->buffering;
    if (!(ignored & IGNORE_X_ACCEL_BUFFERING)) {
        if (str_eq_nocase(buffering, S("yes")))
            o->unbuffered = false;
        else if (str_eq_nocase(buffering, S("no")))
            o->unbuffered = true;
    }
    if (!(ignored & IGNORE_X_ACCEL_LIMIT_RATE) && num_parse_u64(rate, &n)) {
        o->r->limit_rate = n;
        o->r->limit_rate_set = true;
    }
    if (!(ignored & IGNORE_X_ACCEL_CHARSET) && charset.len > 0)
        o->r->res.charset = charset;
}

/* The origin names a URI of ours whose answer takes the place of its own (nginx's X-Accel-Redirect). */
static enum phase_result
accel_redirect(struct origin *o, struct str where)
{
    struct exchange *x = &o->r->x;

    static const enum field_id kept[] = { FIELD_SET_COOKIE, FIELD_CONTENT_DISPOSITION,
                                          FIELD_CACHE_CONTROL, FIELD_EXPIRES, FIELD_ACCEPT_RANGES };

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        for (struct field *f = fields_get(&o->res.fields, kept[i]); f != NULL;
             f = fields_more(&o->res.fields, f))
            fields_add(&o->r->res.fields, f->id, f->name, f->value);
    if (o->res.content_type.len > 0)
        o->r->res.content_type = o->res.content_type;
    origin_close(o);
    return where.ptr[0] == '@' ? redirect_named(x, where) : redirect_internal(x, where, STR_NONE);
}

static bool
is_hidden(const struct origin *o, const struct field *f)
{
    char lower[128];
    struct str name;

    if (f->name.len >= sizeof(lower))
        return false;
    for (size_t i = 0; i < f->name.len; i++)
        lower[i] = char_lower(f->name.ptr[i]);
    name = str_n(lower, f->name.len);
    return hash_get(o->conf->hidden, name) != NULL;
}

/* What the client gets of the origin's head. The request's own response may hold fields of an earlier location. */
static bool
pass_head(struct origin *o)
{
    struct response *to = &o->r->res;
    struct field *f;

    for (uint32_t i = 0; (f = fields_each(&o->res.fields, &i)) != NULL;) {
        if (!is_hidden(o, f))
            fields_add(&to->fields, f->id, f->name, f->value);
    }
    to->status = o->res.status;
    to->reason = o->res.reason;
    to->length = o->res.length;
    to->content_type = o->res.content_type;
    to->etag = o->res.etag;
    to->last_modified = o->res.last_modified;
    to->accept_ranges = o->conf->force_ranges;
    to->keep_length = true;
    to->from_origin = true;
    to->trailers = o->res.trailers;
    return !to->fields.failed;
}

/* Takes what the head's read brought of the body; a small response is complete before its head goes out. */
static enum phase_result
respond(struct origin *o)
{
    struct request *r = o->r;
    uint64_t moved = 0;
    struct str where = fields_value(&o->res.fields, FIELD_X_ACCEL_REDIRECT);

    if (where.len > 0 && !(o->conf->ignore_headers & IGNORE_X_ACCEL_REDIRECT))
        return accel_redirect(o, where);
    if (o->conf->intercept_errors && o->res.status >= 300 && error_page_matches(r, o->res.status)) {
        uint16_t status = o->res.status;

        if (status == 401)
            fields_add(&r->res.fields, FIELD_WWW_AUTHENTICATE, STR_NONE,
                       fields_value(&o->res.fields, FIELD_WWW_AUTHENTICATE));
        origin_close(o);
        return phase_respond(&r->x, status);
    }

    accel_fields(o);
    o->passed = true;
    if (!pass_head(o) || !open_out(o)) {
        origin_close(o);
        return phase_respond(&r->x, 500);
    }
    r->res.body = source_checked(&o->out);
    o->splicing = !o->unbuffered && may_splice(o);
    if (!o->unbuffered && !o->splicing)
        pump(o);
    else if (o->splicing && o->driver->ops->buffered(o))
        (void)pump_step(o, &moved);
    return response_start(r);
}

enum phase_result
origin_answer(struct origin *o)
{
    switch (o->verdict) {
    case VERDICT_NONE:
        return PHASE_WAIT;
    case VERDICT_HEAD:
        o->verdict = VERDICT_NONE;
        return respond(o);
    case VERDICT_STATUS:
        break;
    }
    origin_close(o);
    return phase_respond(&o->r->x, o->status);
}

/* ---- begin and end ---- */

static void
origin_cleanup(void *data)
{
    origin_close(data);
}

void
origin_begin(struct origin *o, struct request *r, struct upstream_group *g,
             const struct origin_conf *conf, const struct origin_driver *driver,
             struct source *body, int64_t body_length)
{
    o->r = r;
    o->conf = conf;
    o->driver = driver;
    o->body = body;
    o->body_length = body_length;
    o->pipe[0] = o->pipe[1] = -1;
    o->pump.run = pump_task;
    o->begun = true;
    r->ignore_client_abort = conf->ignore_client_abort;
    response_init(&o->res, request_arena(r));
    if (!arena_on_free(request_arena(r), origin_cleanup, o)) {
        o->state = ORIGIN_DONE;
        give_verdict(o, VERDICT_STATUS, 500);
        return;
    }
    upstream_begin(&o->try, g, &r->x);
    o->try.pool_key = conf;
    origin_run(o);
}

void
origin_close(struct origin *o)
{
    struct upstream_history *h;

    if (o->closed || !o->begun)
        return;
    o->closed = true;
    if (o->state != ORIGIN_DONE && o->attempt != NULL && o->attempt->response_ms < 0)
        o->attempt->response_ms = since_attempt(o);
    o->state = ORIGIN_DONE;
    o->recv = RECV_END;
    conn_drop(o);
    upstream_end(&o->try);
    task_cancel(&o->pump);
    source_stop(o->body, STOP_DONE);
    o->body = NULL;
    spool_free(o->spool);
    o->spool = NULL;
    buf_put(o->read_buf);
    o->read_buf = NULL;
    pipe_back(o);
    h = upstream_history(&o->r->x);
    if (h != NULL)
        h->jumped = true;
}
