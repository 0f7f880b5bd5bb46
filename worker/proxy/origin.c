/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin.c - the attempt to get an answer from an origin: picks a peer, connects, and runs the request half and the
 * response half side by side until both are through, another peer has to be tried, or the client gets an error.
 *
 * origin_run is the machine: one function per state, which says whether to go on, to wait for an event, or that the attempt
 * failed (o->fault). Nothing in here calls the phase engine: a verdict resumes it, and it asks for the answer.
 */
#include "worker/proxy/origin.h"

#include <errno.h>

#include "common/sys/clock.h"
#include "worker/core/explain.h"
#include "worker/http/request_body.h"

enum {
    RESPONSE_FIELDS = 12, /* what most responses have */
    INFORMS_MAX = 64,     /* 1xx responses of one attempt; more is no origin's honest work */
};

enum step { STEP_GO, STEP_WAIT, STEP_FAILED };

static void origin_on_event(struct conn *c);
static void origin_on_time(struct timer *t);
static void origin_on_send_time(struct timer *t);

bool
origin_blame(struct origin *o, enum upstream_failure failure, int err, const char *what)
{
    o->fault = (struct origin_fault){ .failure = failure, .err = err, .what = what };
    return false;
}

static enum step
failed(struct origin *o, enum upstream_failure failure, int err, const char *what)
{
    (void)origin_blame(o, failure, err, what);
    return STEP_FAILED;
}

/* ---- the history of attempts ---- */

static int64_t
since_attempt(const struct origin *o)
{
    return (int64_t)(clock_ms - o->attempt_ms);
}

/* `peer` NULL: nobody of the group. False: memory. */
static bool
attempt_start(struct origin *o, const struct upstream_peer *peer)
{
    struct arena *arena = request_arena(o->r);
    struct str addr = peer != NULL ? peer->name : upstream_name(o->try.group);
    struct str server = peer != NULL ? peer->server : STR_NONE;
    struct upstream_history *h = upstream_history(&o->r->x);
    struct upstream_attempt *a = h != NULL ? VEC_PUSH(&h->attempts, struct upstream_attempt) : NULL;

    if (a == NULL)
        return false;
    if (upstream_is_temporary(o->try.group)) { /* the log comes later */
        addr = arena_str(arena, addr);
        server = arena_str(arena, server);
    }
    *a = (struct upstream_attempt){ .addr = addr,
                                    .server = server,
                                    .new_jump = h->jumped,
                                    .connect_ms = -1,
                                    .header_ms = -1,
                                    .response_ms = -1 };
    h->jumped = false;
    o->attempt = a;
    o->attempt_ms = clock_ms;
    return true;
}

static void
attempt_end(struct origin *o)
{
    if (o->attempt != NULL && o->attempt->response_ms < 0)
        o->attempt->response_ms = since_attempt(o);
}

/* What the error log says that we are doing. */
static const char *
doing(const struct origin *o)
{
    switch (o->state) {
    case ORIGIN_PICK:
    case ORIGIN_CONNECT:
        return "connecting to upstream";
    case ORIGIN_SECURE:
        return "SSL handshaking to upstream";
    case ORIGIN_ACTIVE:
        if (o->recv != RECV_HEAD)
            return "reading upstream";
        return o->send == SEND_SHUT && !o->send_failed ? "reading response header from upstream"
                                                       : "sending request to upstream";
    case ORIGIN_DONE:
        break;
    }
    return NULL;
}

static void
log_fault(struct origin *o)
{
    o->r->x.doing = doing(o);
    if (o->fault.what != NULL)
        xlog(&o->r->x, LOG_LEVEL_ERROR, o->fault.err, "%s", o->fault.what);
}

/* ---- verdicts ---- */

static void
give_verdict(struct origin *o, enum origin_verdict verdict, int status)
{
    o->verdict = verdict;
    o->status = status;
    phase_resume(&o->r->x);
}

static void
give_up(struct origin *o, int status)
{
    o->state = ORIGIN_DONE;
    give_verdict(o, VERDICT_STATUS, status);
}

/* ---- the connection ---- */

/* A body that has been collected is read anew by the next attempt; a stream has one reader. */
static void
drop_body(struct origin *o, enum stop why)
{
    exchange_off_ready(&o->on_ready);
    task_cancel(&o->send_task);
    if (o->streaming && why == STOP_REPLACED)
        return;
    source_stop(o->body, why);
    o->body = NULL;
}

static void
conn_drop(struct origin *o)
{
    timer_forget(&o->send_timer);
    if (o->stream != NULL)
        (void)o->driver->ops->finish(o);
    o->stream = NULL;
    if (o->conn != NULL)
        conn_close(o->conn);
    o->conn = NULL;
}

/* The response is through: back to the pool when the request is too, nothing is unread and the origin allows it. */
static void
conn_give_back(struct origin *o)
{
    bool sent = o->send == SEND_SHUT && !o->send_failed;
    bool reusable = o->driver->ops->finish(o) && sent;

    o->stream = NULL;
    timer_forget(&o->send_timer);
    timer_stop(&o->conn->timer);
    if (reusable)
        upstream_idle_put(&o->try, o->conn);
    else
        conn_close(o->conn);
    o->conn = NULL;
}

/* ---- failures and further attempts ---- */

/* Nothing has reached the client, the body can be sent again, and to do so is harmless or allowed. */
static bool
may_repeat(const struct origin *o)
{
    if (o->passed || (o->streaming && request_body_received(o->r) > 0))
        return false;
    return !o->sent_any || o->idempotent || (o->conf->next_upstream & UPSTREAM_NON_IDEMPOTENT);
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

static const struct {
    uint16_t status;
    enum upstream_failure failure;
} status_failures[] = {
    { 500, UPSTREAM_HTTP_500 }, { 502, UPSTREAM_HTTP_502 }, { 503, UPSTREAM_HTTP_503 },
    { 504, UPSTREAM_HTTP_504 }, { 403, UPSTREAM_HTTP_403 }, { 404, UPSTREAM_HTTP_404 },
    { 429, UPSTREAM_HTTP_429 }, { 504, UPSTREAM_TIMEOUT },  { 403, UPSTREAM_DENIED },
};

static int
status_of(enum upstream_failure failure)
{
    for (size_t i = 0; i < ARRAY_LEN(status_failures); i++)
        if (status_failures[i].failure == failure)
            return status_failures[i].status;
    return 502;
}

static enum upstream_failure
failure_of(uint16_t status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_failures); i++)
        if (status_failures[i].status == status)
            return status_failures[i].failure;
    return UPSTREAM_OK;
}

/* The request starts over in this state: nothing of a response that was given up stays. */
static void
start_over(struct origin *o, enum origin_state state)
{
    conn_drop(o);
    drop_body(o, STOP_REPLACED);
    o->fault.timeout = NULL;
    response_init(&o->res, request_arena(o->r));
    o->send = SEND_HEAD;
    o->send_failed = false;
    o->recv = RECV_HEAD;
    o->first = STR_NONE;
    o->informs = 0;
    o->got_any = false;
    o->state = state;
}

/* A pooled connection that the origin had closed meanwhile is nobody's failure: the request goes out afresh. */
static bool
was_stale(const struct origin *o)
{
    return o->pooled && !o->got_any && o->fault.failure == UPSTREAM_ERROR && may_repeat(o);
}

/* Some servers break off when a session is resumed that they gave out themselves. A full handshake may well go. */
static bool
refused_session(const struct origin *o)
{
    return o->handshake == HANDSHAKE_FAILED && o->conn != NULL && tls_refused_session(o->conn);
}

static void
retry_or_give_up(struct origin *o)
{
    enum upstream_failure failure = o->fault.failure;

    if (refused_session(o))
        xlog(&o->r->x, LOG_LEVEL_INFO, 0, "%s: no session is resumed for some time", o->fault.what);
    if (was_stale(o) || refused_session(o)) {
        o->fresh_only = true;
        o->attempt->bytes_sent = 0;
        start_over(o, ORIGIN_CONNECT);
        return;
    }
    log_fault(o);
    attempt_end(o);
    o->status = status_of(failure);
    o->attempt->status = (uint16_t)o->status;
    upstream_report(&o->try, failure);
    if (may_try_next(o, failure)) {
        start_over(o, ORIGIN_PICK);
        return;
    }
    conn_drop(o);
    give_up(o, o->status);
}

void
origin_response_failed(struct origin *o)
{
    log_fault(o);
    attempt_end(o);
    conn_drop(o);
    if (o->fault.failure != UPSTREAM_OK)
        upstream_report(&o->try, o->fault.failure);
    upstream_release(&o->try);
    o->state = ORIGIN_DONE;
    o->recv = RECV_END;
    o->failed = true;
    if (o->spool != NULL)
        spool_seal(o->spool, SPOOL_FAILED);
    exchange_ready(&o->r->x);
}

/* After a time-out. */
static void
fail_attempt(struct origin *o, const char *timeout, uint64_t ms)
{
    (void)origin_blame(o, UPSTREAM_TIMEOUT, ETIMEDOUT, "upstream timed out");
    o->fault.timeout = timeout;
    o->fault.timeout_ms = ms;
    if (o->passed) {
        origin_response_failed(o);
        return;
    }
    retry_or_give_up(o);
    origin_run(o);
}

/* The client's body failed on its way: nobody else would get it either. */
static enum step
give_up_body(struct origin *o)
{
    int status = o->streaming ? request_body_status(o->r) : 0;

    if (o->passed) {
        (void)origin_blame(o, UPSTREAM_OK, 0, NULL);
        origin_response_failed(o);
        return STEP_WAIT;
    }
    attempt_end(o);
    conn_drop(o);
    upstream_release(&o->try);
    give_up(o, status != 0 ? status : 500);
    return STEP_WAIT;
}

/* ---- PICK ---- */

/* Whom, and with what. False: the head cannot be sent. */
TELLER bool
explain_request(struct origin *o)
{
    struct text t;

    upstream_explain(&o->try);
    text_init(&t, request_arena(o->r));
    o->driver->describe(o, &t);
    explain_fact("origin_url", text_str(&t));
    explain_step("upstream", EXPLAIN_NOWHERE, "the request would go to \"%.*s\"",
                 STR(text_str(&t)));
    if (o->driver->head == NULL)
        return true;
    text_init(&t, request_arena(o->r));
    if (!o->driver->head(o, &t))
        return false;
    explain_fact("origin_request", text_str(&t));
    return true;
}

static enum step
no_peer(struct origin *o, enum upstream_picked why)
{
    if (o->try.attempts > 0 &&
        o->attempt->status != 0) { /* all have been tried: the last one's result holds */
        give_up(o, o->attempt->status);
        return STEP_WAIT;
    }
    if (attempt_start(o, NULL))
        o->attempt->status = 502;
    o->r->x.doing = doing(o);
    if (UNLIKELY(explain_on))
        (void)explain_request(o);
    if (why == PICK_NO_NAMES)
        xlog(&o->r->x, LOG_LEVEL_ERROR, 0, "no name of upstream \"%.*s\" has been resolved yet",
             STR(upstream_name(o->try.group)));
    else
        xlog(&o->r->x, LOG_LEVEL_ERROR, 0, "no live upstreams");
    attempt_end(o);
    give_up(o, 502);
    return STEP_WAIT;
}

static enum step
origin_pick(struct origin *o)
{
    enum upstream_picked picked = upstream_pick(&o->try);

    if (picked != PICKED)
        return no_peer(o, picked);
    if (!attempt_start(o, upstream_current(&o->try))) {
        upstream_release(&o->try);
        give_up(o, 500);
        return STEP_WAIT;
    }
    o->fresh_only = false;
    o->state = ORIGIN_CONNECT;
    return STEP_GO;
}

/* ---- CONNECT ---- */

/* A request that may not be sent twice has a look first whether the origin has hung up meanwhile. */
static bool
take_pooled(struct origin *o)
{
    bool look = !o->idempotent || o->streaming;
    struct conn *c;

    while (!o->fresh_only && (c = upstream_idle_get(&o->try)) != NULL) {
        if (!look || upstream_conn_is_quiet(c)) {
            o->conn = c;
            return true;
        }
        conn_close(c);
    }
    return false;
}

/* False: the value of the bind directive is no address; said. */
static bool
source_address(struct origin *o)
{
    struct str text;

    o->from.len = 0;
    o->try.from = NULL;
    if (!o->conf->bind.set)
        return true;
    text = template_expand(&o->r->x, &o->conf->bind);
    if (text.len == 0 || str_eq(text, S("off")))
        return true;
    if (!addr_parse(text, 0, &o->from) || o->from.sa.sa_family == AF_UNIX) {
        o->from.len = 0;
        xlog(&o->r->x, LOG_LEVEL_ERROR, 0, "invalid local address \"%.*s\"", LOG_STR(text));
        return false;
    }
    o->try.from = &o->from;
    return true;
}

/* We have no descriptor or no place for one more connection: that is not the peer's fault, nor would another help. */
static enum step
no_room(struct origin *o)
{
    o->r->x.doing = doing(o);
    xlog(&o->r->x, LOG_LEVEL_ALERT, errno, "no room for a connection");
    attempt_end(o);
    upstream_release(&o->try);
    o->attempt->status = 503;
    give_up(o, 503);
    return STEP_WAIT;
}

/* In place of a connection. */
TELLER enum step
explain_attempt(struct origin *o)
{
    if (!explain_request(o))
        return give_up_body(o);
    explain_step("upstream", EXPLAIN_NOWHERE, "let the answer be a 200 without fields");
    o->state = ORIGIN_DONE;
    give_verdict(o, VERDICT_EXPLAINED, 0);
    return STEP_WAIT;
}

static enum step
begin_connect(struct origin *o)
{
    struct connect_options opt = { .timeout_ms = o->conf->connect_timeout_ms,
                                   .keepalive = o->conf->socket_keepalive,
                                   .rcvbuf = (uint32_t)o->conf->socket_rcvbuf,
                                   .sndbuf = (uint32_t)o->conf->socket_sndbuf,
                                   .transparent = o->conf->bind_transparent };

    if (!conditions_hold(&o->r->x, &o->conf->allow))
        return failed(o, UPSTREAM_DENIED, 0, "connection to upstream is not allowed");
    if (!source_address(o))
        return failed(o, UPSTREAM_ERROR, 0, NULL);
    if (UNLIKELY(explain_on))
        return explain_attempt(o);
    o->pooled = take_pooled(o);
    if (!o->pooled) {
        opt.local = o->from;
        o->conn = connect_start(&upstream_current(&o->try)->addr, &opt);
    }
    if (o->conn == NULL && (errno == EMFILE || errno == ENFILE || errno == ENOMEM))
        return no_room(o);
    if (o->conn == NULL)
        return failed(o, UPSTREAM_ERROR, errno,
                      errno == EADDRNOTAVAIL && o->from.len > 0 ? "bind() failed"
                                                                : "connect() failed");
    o->handshake = HANDSHAKE_NONE;
    o->conn->owner = o;
    o->conn->on_event = origin_on_event;
    o->conn->timer.on_time = origin_on_time;
    if (!o->pooled)
        timer_set(&o->conn->timer, o->conf->connect_timeout_ms);
    return STEP_GO;
}

static enum step
open_stream(struct origin *o)
{
    if (o->body_length != 0 && o->body == NULL)
        o->body = o->driver->body(o);
    if ((o->body_length != 0 && o->body == NULL) || !o->driver->open(o)) {
        xlog(&o->r->x, LOG_LEVEL_ERROR, ENOMEM, "no memory for a request to upstream");
        return give_up_body(o);
    }
    o->attempt->connect_ms = since_attempt(o);
    timer_stop(&o->conn->timer);
    o->state = ORIGIN_ACTIVE;
    return STEP_GO;
}

static enum step
origin_connect(struct origin *o)
{
    int err;

    o->r->x.doing = doing(o);
    if (o->conn == NULL) {
        enum step step = begin_connect(o);

        if (step != STEP_GO)
            return step;
    }
    if (o->pooled)
        return open_stream(o);
    if (!(o->conn->bits & (CONN_WRITABLE | CONN_ERROR | CONN_EOF)))
        return STEP_WAIT;
    err = connect_finish(o->conn);
    if (err != 0)
        return failed(o, UPSTREAM_ERROR, err, "connect() failed");
    if (o->tls == NULL)
        return open_stream(o);
    o->state = ORIGIN_SECURE;
    return STEP_GO;
}

/* ---- SECURE ---- */

/* The handshake is over; it may have been while it was begun. */
static void
on_handshake(struct conn *c, const char *why)
{
    struct origin *o = c->owner;
    bool at_once = o->handshake == HANDSHAKE_NONE;

    c->on_event = origin_on_event;
    if (why != NULL)
        (void)origin_blame(o, UPSTREAM_ERROR, 0, why);
    o->handshake = why == NULL ? HANDSHAKE_DONE : HANDSHAKE_FAILED;
    if (!at_once)
        origin_run(o);
}

/* The time to connect is also that of the handshake: its timer goes on. */
static enum step
origin_secure(struct origin *o)
{
    if (o->handshake == HANDSHAKE_NONE) {
        o->r->x.doing = doing(o);
        tls_connect(o->conn, o->tls);
        if (o->handshake == HANDSHAKE_NONE)
            o->handshake = HANDSHAKE_BEGUN;
    }
    switch (o->handshake) {
    case HANDSHAKE_NONE:
    case HANDSHAKE_BEGUN:
        return STEP_WAIT;
    case HANDSHAKE_FAILED:
        return STEP_FAILED;
    case HANDSHAKE_DONE:
        break;
    }
    return open_stream(o);
}

/* ---- ACTIVE: the request half ---- */

static bool
count_sent(struct origin *o, uint64_t before)
{
    uint64_t n = o->conn->sent - before;

    o->sent_any |= n > 0;
    o->attempt->bytes_sent += n;
    return n > 0;
}

/* The request is out, or no more of it can be sent: from now on the origin's answer is awaited. */
static void
send_over(struct origin *o)
{
    o->send = SEND_SHUT;
    timer_stop(&o->send_timer);
    exchange_off_ready(&o->on_ready);
    if (o->recv == RECV_HEAD)
        timer_set(&o->conn->timer, o->conf->read_timeout_ms);
}

static enum step
origin_send(struct origin *o)
{
    const struct origin_stream_ops *ops = o->driver->ops;
    uint64_t before = o->conn->sent;
    enum sent sent;
    bool moved;

    sent = o->send == SEND_HEAD ? ops->send_head(o, o->body) : ops->send_body(o, o->body);
    moved = count_sent(o, before);
    if (o->send == SEND_HEAD && ops->head_sent(o))
        o->send = SEND_BODY;
    switch (sent) {
    case SENT_ALL:
        send_over(o);
        break;
    case SENT_BLOCKED:
        if (moved || !timer_pending(&o->send_timer))
            timer_set(&o->send_timer, o->conf->send_timeout_ms);
        break;
    case SENT_WAITS:
        timer_stop(&o->send_timer);
        exchange_on_ready(&o->r->x, &o->on_ready);
        break;
    case SENT_FAILED:
        o->send_failed = true; /* the answer may have come before: an early 413, say */
        send_over(o);
        break;
    case SENT_NO_BODY:
        return give_up_body(o);
    }
    o->r->x.doing = doing(o);
    return STEP_GO;
}

/* ---- ACTIVE: the response half, as far as the head ---- */

/* An answer that asks for another peer, while there is one to try; the last one's goes to the client as it is. */
static bool
wants_next(struct origin *o)
{
    enum upstream_failure failure = failure_of(o->res.status);

    if (failure == UPSTREAM_OK || !may_try_next(o, failure) || !upstream_has_next(&o->try))
        return false;
    attempt_end(o);
    upstream_report(&o->try, failure);
    o->status = o->res.status;
    start_over(o, ORIGIN_PICK);
    return true;
}

static enum step
on_head(struct origin *o)
{
    struct upstream_history *h = upstream_history(&o->r->x);
    const char *why;

    o->attempt->status = o->res.status;
    o->attempt->header_ms = since_attempt(o);
    if (wants_next(o))
        return STEP_GO;
    h->fields = &o->res.fields;
    h->trailers = &o->res.trailers;
    why = origin_is_tunnel(o) ? o->driver->upgrade(o) : NULL;
    if (why != NULL)
        return failed(o, UPSTREAM_INVALID_HEADER, 0, why);
    o->recv = RECV_BODY;
    o->r->x.doing = doing(o);
    if (!origin_is_tunnel(o) && !origin_take_first(o))
        return STEP_FAILED;
    give_verdict(o, VERDICT_HEAD, 0);
    return STEP_WAIT;
}

/* 100 answers an Expect that we never send on; the others are the client's to know (RFC 9110, 15.2), but old ones fail on
 * 103 (RFC 8297, 3): it takes early_hints. */
static bool
inform_is_wanted(const struct origin *o)
{
    const struct vec *hints = &HTTP_CONF(o->r)->early_hints;

    if (o->res.status != 103)
        return o->res.status != 100;
    return hints->len > 0 && conditions_hold(&o->r->x, hints);
}

static void
pass_inform(struct origin *o)
{
    struct exchange *x = &o->r->x;

    if (x->sink->inform == NULL || !inform_is_wanted(o))
        return;

    for (size_t i = 0; i < o->res.fields.n; i++)
        if (name_set_has(o->conf->hidden, &o->res.fields.at[i]))
            fields_remove_field(&o->res.fields, &o->res.fields.at[i]);
    x->sink->inform(x, &o->res);
}

static enum step
recv_head(struct origin *o)
{
    for (;;) {
        switch (o->driver->ops->recv_head(o, &o->res)) {
        case GOT_NOTHING:
            return o->send_failed ? STEP_FAILED : STEP_WAIT;
        case GOT_INFORM:
            if (++o->informs > INFORMS_MAX)
                return failed(o, UPSTREAM_INVALID_HEADER, 0,
                              "upstream sent too many informational responses");
            pass_inform(o);
            response_init(&o->res, request_arena(o->r));
            break;
        case GOT_HEAD:
            return on_head(o);
        case GOT_BYTES:
        case GOT_END:
        case GOT_FAILED:
            return STEP_FAILED;
        }
    }
}

void
origin_response_complete(struct origin *o)
{
    o->recv = RECV_END;
    attempt_end(o);
    if (o->passed) {
        origin_pass_trailers(o);
        o->r->x.doing = "sending to client";
    }
    if (o->send != SEND_SHUT) /* what is left of the request is not wanted */
        drop_body(o, STOP_DONE);
    conn_give_back(o);
    upstream_report(&o->try, UPSTREAM_OK);
    o->state = ORIGIN_DONE;
    if (o->spool != NULL)
        spool_seal(o->spool, SPOOL_COMPLETE);
    if (o->store.len > 0 && o->spool != NULL)
        origin_store_save(o);
}

static enum step
origin_exchange(struct origin *o)
{
    if (o->send != SEND_SHUT) {
        enum step step = origin_send(o);

        if (step != STEP_GO)
            return step;
    }
    if (o->recv == RECV_HEAD && o->send != SEND_HEAD)
        return recv_head(o);
    if (o->recv == RECV_BODY)
        origin_recv_body(o);
    return STEP_WAIT;
}

/* ---- the machine ---- */

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
        case ORIGIN_SECURE:
            step = origin_secure(o);
            break;
        case ORIGIN_ACTIVE:
            step = origin_exchange(o);
            break;
        case ORIGIN_DONE:
            return;
        }
        if (step == STEP_WAIT)
            return;
        if (step == STEP_FAILED)
            retry_or_give_up(o);
    }
}

void
origin_more_body(struct origin *o)
{
    enum step step;

    if (o->state != ORIGIN_ACTIVE || o->send == SEND_SHUT)
        return;
    step = origin_send(o);
    if (step == STEP_GO && (o->send_failed || o->recv == RECV_HEAD))
        origin_run(o);
}

static void
origin_send_task(struct task *t)
{
    origin_more_body(CONTAINER_OF(t, struct origin, send_task));
}

static void
origin_on_ready(struct ready_hook *h, struct exchange *x)
{
    (void)x;
    task_ready(&CONTAINER_OF(h, struct origin, on_ready)->send_task);
}

static void
origin_on_event(struct conn *c)
{
    struct origin *o = c->owner;

    exchange_prefetch(&o->r->x);
    origin_run(o);
}

static void
origin_on_time(struct timer *t)
{
    struct origin *o = CONTAINER_OF(t, struct conn, timer)->owner;

    if (o->state == ORIGIN_ACTIVE)
        fail_attempt(o, "read_timeout", o->conf->read_timeout_ms);
    else
        fail_attempt(o, "connect_timeout", o->conf->connect_timeout_ms);
}

static void
origin_on_send_time(struct timer *t)
{
    struct origin *o = CONTAINER_OF(t, struct origin, send_timer);

    fail_attempt(o, "send_timeout", o->conf->send_timeout_ms);
}

/* ---- the phase engine's side ---- */

enum phase_result
origin_answer(struct origin *o)
{
    enum origin_verdict verdict = o->verdict;

    o->verdict = VERDICT_NONE;
    switch (verdict) {
    case VERDICT_NONE:
        return PHASE_WAIT;
    case VERDICT_HEAD:
        return origin_respond(o);
    case VERDICT_EXPLAINED:
        origin_close(o);
        return response_send(o->r, 200, STR_NONE, STR_NONE);
    case VERDICT_STATUS:
        break;
    }
    origin_close(o);
    return phase_respond(&o->r->x, o->status);
}

/* ---- begin and end ---- */

static void
origin_on_abort(struct abort_hook *h, struct exchange *x)
{
    (void)x;
    origin_close(CONTAINER_OF(h, struct origin, on_abort));
}

void
origin_begin(struct origin *o, struct request *r, struct upstream_group *g,
             const struct origin_conf *conf, const struct origin_driver *driver)
{
    struct upstream_history *h = upstream_history(&r->x);

    o->r = r;
    o->conf = conf;
    o->driver = driver;
    o->pipe[0] = o->pipe[1] = -1;
    o->send_timer.on_time = origin_on_send_time;
    o->on_abort.run = origin_on_abort;
    o->on_ready.run = origin_on_ready;
    o->send_task.run = origin_send_task;
    o->begun = true;
    upstream_begin(&o->try, g, &r->x);
    o->try.pool_key = conf;
    o->try.tls = o->tls;
    if (o->tls != NULL)
        o->tls->done = on_handshake;
    response_init(&o->res, request_arena(r));
    (void)fields_reserve(&o->res.fields, RESPONSE_FIELDS);
    if (h == NULL) {
        give_up(o, 500);
        return;
    }
    h->origin = o;
    exchange_on_abort(&r->x, &o->on_abort);
    origin_run(o);
}

void
origin_close(struct origin *o)
{
    struct upstream_history *h;

    if (!o->begun || o->closed)
        return;
    o->closed = true;
    exchange_off_abort(&o->on_abort);
    attempt_end(o);
    o->state = ORIGIN_DONE;
    o->recv = RECV_END;
    if (o->tunnel)
        origin_tunnel_close(o);
    conn_drop(o);
    upstream_end(&o->try);
    drop_body(o, STOP_DONE);
    origin_body_close(o);
    h = upstream_history_of(&o->r->x);
    if (h != NULL) {
        h->jumped = true;
        h->origin = NULL;
    }
}

/* ---- what the request's room asks ---- */

static struct origin *
origin_of(const struct request *r)
{
    struct upstream_history *h = upstream_history_of((struct exchange *)(uintptr_t)&r->x);

    return h != NULL ? h->origin : NULL;
}

/* Which directive ended it, and its value: what an operator would change. */
static void
describe_timeout(const struct origin *o, struct text *t)
{
    uint64_t ms = o->fault.timeout_ms;
    bool whole = ms % 1000 == 0;

    if (o->fault.timeout != NULL)
        text_fmt(t, ", timeout: %s_%s %llu%s", o->driver->prefix, o->fault.timeout,
                 (unsigned long long)(whole ? ms / 1000 : ms), whole ? "s" : "ms");
}

static void
describe_upstream(const struct request *r, struct text *t)
{
    const struct origin *o = origin_of(r);

    if (o == NULL)
        return;
    describe_timeout(o, t);
    TEXT_LIT(t, ", upstream: \"");
    o->driver->describe(o, t);
    text_char(t, '"');
}

static bool
outlives_client(const struct request *r)
{
    const struct origin *o = origin_of(r);

    return o != NULL && (o->conf->ignore_client_abort || o->store.len > 0) &&
           o->state != ORIGIN_DONE;
}

__attribute__((constructor)) static void
origin_set_up(void)
{
    request_describe_upstream = describe_upstream;
    request_outlives_client = outlives_client;
}
