/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_body.c - the response of an origin on its way to the client: the head is given on in a phase, the body is a source.
 *
 * A body that came whole with its head is memory, and the origin is done before the head goes out. Otherwise it is pumped
 * into a spool, at the origin's pace; or, without buffering, read when the client can take more; or, when it is long and
 * goes through unchanged, moved from socket to socket by way of a pipe while the client takes it, and into the spool while
 * it does not.
 */
#include <sys/ioctl.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/http/body.h"
#include "worker/http/error_page.h"
#include "worker/http/redirect.h"
#include "worker/net/pipe_pool.h"
#include "worker/proxy/origin.h"

enum {
    PUMP_MAX = 1024 * 1024, /* bytes read for one exchange before others have their turn */
    SPLICE_MIN = 64 * 1024, /* bytes left from which a splice pays */
    READ_MIN = 4 * 1024,    /* unbuffered: smaller rooms are not worth a read */
    READ_SIZE = 16 * 1024,
};

/* ---- time ---- */

/* proxy_read_timeout is between two reads, and only while we would read. */
static void
expect_bytes(struct origin *o)
{
    timer_set(&o->conn->timer, o->conf->read_timeout_ms);
}

static void
expect_nothing(struct origin *o)
{
    timer_stop(&o->conn->timer);
}

/* ---- pumping into the spool ---- */

static void
count_bytes(struct origin *o, size_t n)
{
    o->attempt->response_length += n;
    o->rate.passed += n;
}

/* Bytes that limit_rate lets us read now; 0: the timer goes on with it. */
static uint64_t
allowed_now(struct origin *o)
{
    uint64_t wait_ms = 0, n;

    if (o->rate.bytes_per_s == 0)
        return PUMP_MAX;
    n = rate_allowed(&o->rate, clock_ms, &wait_ms);
    if (n == 0) {
        timer_set(&o->rate_timer, num_max(wait_ms, 1));
        expect_nothing(o);
    }
    return n;
}

/* One read into the spool. False: no more for now. */
static bool
pump_step(struct origin *o, uint64_t *moved)
{
    uint64_t rest = o->res.length > 0 ? (uint64_t)o->res.length - o->attempt->response_length : 0;
    uint64_t allowed = allowed_now(o);
    struct iovec iov;
    size_t got = 0;

    if (allowed == 0)
        return false;
    if (spool_room(o->spool, &iov, 1, rest) == 0) {
        expect_nothing(o); /* the client is slow: on_spool_space goes on */
        return false;
    }
    iov.iov_len = num_min(iov.iov_len, allowed);
    switch (o->driver->ops->recv_body(o, &iov, 1, &got)) {
    case GOT_BYTES:
        spool_commit(o->spool, got);
        count_bytes(o, got);
        *moved += got;
        return true;
    case GOT_END:
        spool_commit(o->spool, got);
        count_bytes(o, got);
        origin_response_complete(o);
        return false;
    case GOT_NOTHING:
        spool_commit(o->spool, 0);
        if (*moved > 0 || !timer_pending(&o->conn->timer))
            expect_bytes(o);
        return false;
    case GOT_INFORM:
    case GOT_HEAD:
    case GOT_FAILED:
        break;
    }
    spool_commit(o->spool, got);
    count_bytes(o, got);
    origin_response_failed(o);
    return false;
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
    const struct conn *c = o->r->x.root->conn;

    return o->splicing && c != NULL && (c->bits & CONN_WRITABLE);
}

static void
pump_task(struct task *t)
{
    struct origin *o = CONTAINER_OF(t, struct origin, pump);

    if (o->tunnel) {
        origin_tunnel_run(o);
        return;
    }
    if (o->recv == RECV_BODY && o->spool != NULL && o->out_open && !consumer_comes(o))
        pump(o);
}

static void
on_spool_space(void *data)
{
    pump_task(&((struct origin *)data)->pump);
}

static void
on_rate_time(struct timer *t)
{
    pump_task(&CONTAINER_OF(t, struct origin, rate_timer)->pump);
}

/* A consumer that can splice, or reads directly, is given the first chance. */
void
origin_recv_body(struct origin *o)
{
    if (!o->out_open)
        return; /* the phase engine comes first */
    if (!o->unbuffered && !o->splicing) {
        pump(o);
        return;
    }
    if (o->conn->bits & CONN_READABLE)
        expect_nothing(o);
    exchange_ready(&o->r->x);
    if (!o->unbuffered)
        task_ready(&o->pump);
}

/* ---- the source: direct reads ---- */

static void
pipe_back(struct origin *o)
{
    int left = 0;

    if (o->pipe[0] < 0)
        return;
    /* who stops a body early may have left bytes of it in there */
    pipe_put(o->pipe, ioctl(o->pipe[0], FIONREAD, &left) == 0 && left == 0);
}

/* Where a direct read goes: the consumer's room, or a buffer of ours. False: memory. */
static bool
direct_room(struct origin *o, const struct batch *b, struct iovec *iov)
{
    buf_put(o->read_buf);
    o->read_buf = NULL;
    if (b->room != NULL && b->room_len >= READ_MIN) {
        *iov = (struct iovec){ b->room, b->room_len };
        return true;
    }
    o->read_buf = buf_get(READ_SIZE);
    if (o->read_buf == NULL)
        return false;
    *iov = (struct iovec){ o->read_buf->mem, o->read_buf->cap };
    return true;
}

static enum pull
pull_first(struct origin *o, struct batch *b)
{
    batch_mem(b, o->first.ptr, o->first.len);
    b->flush = true;
    o->first = STR_NONE;
    return PULL_MORE;
}

/* What a read of the body means for who pulled it; `got` bytes are in its batch. */
static enum pull
after_read(struct origin *o, enum recv recv, size_t got)
{
    count_bytes(o, got);
    switch (recv) {
    case GOT_BYTES:
        expect_nothing(o);
        return PULL_MORE;
    case GOT_END:
        origin_response_complete(o);
        return PULL_END;
    case GOT_NOTHING:
        expect_bytes(o);
        return PULL_WAIT;
    case GOT_INFORM:
    case GOT_HEAD:
    case GOT_FAILED:
        break;
    }
    origin_response_failed(o);
    return PULL_FAILED;
}

/* Unbuffered: the origin is read only when the client can take more, and every read is flushed. */
static enum pull
pull_direct(struct origin *o, struct batch *b)
{
    struct iovec iov;
    size_t got = 0;
    enum recv recv;

    if (!direct_room(o, b, &iov))
        return PULL_FAILED;
    recv = o->driver->ops->recv_body(o, &iov, 1, &got);
    b->flush |= got > 0 || recv == GOT_END;
    if (got > 0) {
        batch_mem(b, iov.iov_base, got);
        if (o->read_buf == NULL) {
            b->room += got;
            b->room_len -= (uint32_t)got;
        }
    }
    return after_read(o, recv, got);
}

/* ---- the source: pipes ---- */

/* Whether the rest is long enough to go from socket to socket without being seen, and nobody has to decrypt it. */
static bool
may_splice(const struct origin *o)
{
    return o->driver->ops->splice_body != NULL && o->tls == NULL && o->store.len == 0 &&
           o->rate.bytes_per_s == 0 && request_of(o->r->x.root)->limit_rate == 0 &&
           o->res.length - (int64_t)o->attempt->response_length >= SPLICE_MIN;
}

static enum pull
pull_pipe(struct origin *o, struct batch *b)
{
    size_t got = 0;
    enum recv recv;

    if (o->pipe[0] < 0 && !pipe_get(o->pipe)) {
        o->pipe[0] = o->pipe[1] = -1;
        o->splicing = false; /* no descriptors: the spool needs none */
        task_ready(&o->pump);
        return PULL_WAIT;
    }
    recv = o->driver->ops->splice_body(o, o->pipe[1], PIPE_BYTES, &got);
    if (got > 0)
        b->piece[b->n++] = (struct piece){ .kind = PIECE_PIPE, .fd = o->pipe[0], .len = got };
    if (recv == GOT_BYTES)
        task_ready(&o->pump); /* if the client blocks, the rest goes into the spool meanwhile */
    return after_read(o, recv, got);
}

/* ---- the source ---- */

static enum pull
out_pull(struct source *s, struct batch *b)
{
    struct origin *o = CONTAINER_OF(s, struct origin, out);
    enum pull result;

    if (o->unbuffered) {
        if (o->first.len > 0)
            return pull_first(o, b);
        if (o->recv == RECV_END)
            return o->failed ? PULL_FAILED : PULL_END;
        return pull_direct(o, b);
    }
    o->splicing = (b->kinds & PIECE_PIPE) && o->recv == RECV_BODY && may_splice(o);
    if (o->splicing && spool_is_empty(o->spool))
        return pull_pipe(o, b);
    result = source_pull(s->below, b);
    if (o->splicing && result == PULL_WAIT && b->n > 0)
        return PULL_MORE; /* the pipe comes next: no event may be left that would say so */
    /* What the socket still holds gives no event: it is read when the consumer had its bytes. */
    if (o->recv == RECV_BODY && (o->conn->bits & CONN_READABLE))
        task_ready(&o->pump);
    return result;
}

static void
out_stop(struct source *s, enum stop why)
{
    struct origin *o = CONTAINER_OF(s, struct origin, out);

    o->out_open = false;
    source_stop(s->below, why);
    s->below = NULL;
    origin_close(o);
}

static const struct source_ops out_ops = { out_pull, out_stop };

/* ---- handing the head on ---- */

bool
origin_take_first(struct origin *o)
{
    enum recv recv = o->driver->ops->take(o, &o->first);

    count_bytes(o, o->first.len);
    if (recv == GOT_FAILED)
        return false;
    if (recv == GOT_END)
        origin_response_complete(o);
    return true;
}

static void
start_rate(struct origin *o)
{
    uint64_t n = 0;

    o->rate = (struct rate){ .started_ms = clock_ms, .passed = o->first.len };
    if (o->conf->limit_rate.set && !o->unbuffered &&
        num_parse_size(template_expand(&o->r->x, &o->conf->limit_rate), &n))
        o->rate.bytes_per_s = n;
    o->rate_timer.on_time = on_rate_time;
}

/* The body as a source of the request's response. False: memory. */
static bool
open_out(struct origin *o)
{
    struct exchange *x = &o->r->x;
    const struct origin_conf *c = o->conf;

    o->out = (struct source){ .ops = &out_ops, .x = x };
    o->pump.run = pump_task;
    start_rate(o);
    if (!o->unbuffered) {
        bool keep = o->store.len > 0;

        o->spool = spool_new(x->mem, keep ? SPOOL_KEEP : SPOOL_CONSUME,
                             (uint64_t)c->buffers.number * c->buffers.size,
                             keep ? UINT64_MAX : c->max_temp_file_size, &c->temp_path);
        if (o->spool == NULL)
            return false;
        spool_on_space(o->spool, on_spool_space, o);
        spool_lend(o->spool, o->first);
        o->out.below = spool_open(o->spool, x, 0);
        if (o->out.below == NULL)
            return false;
    }
    o->out_open = true;
    o->r->res.body = source_checked(&o->out);
    return true;
}

/* X-Accel-Buffering, X-Accel-Limit-Rate and X-Accel-Charset speak to us, not to the client. */
static void
accel_fields(struct origin *o)
{
    uint32_t ignored = o->conf->ignore_headers;
    struct str buffering = fields_value(&o->res.fields, FIELD_X_ACCEL_BUFFERING);
    struct str rate = fields_value(&o->res.fields, FIELD_X_ACCEL_LIMIT_RATE);
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
    if (!(ignored & IGNORE_X_ACCEL_CHARSET))
        o->r->res.charset_asked = fields_value(&o->res.fields, FIELD_X_ACCEL_CHARSET);
}

/* The origin names a URI of ours whose answer takes the place of its own (nginx's X-Accel-Redirect). */
static enum phase_result
accel_redirect(struct origin *o, struct str where)
{
    static const enum field_id kept[] = { FIELD_SET_COOKIE, FIELD_CONTENT_DISPOSITION,
                                          FIELD_CACHE_CONTROL, FIELD_EXPIRES, FIELD_ACCEPT_RANGES };
    struct request *r = o->r;

    accel_fields(o);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        for (struct field *f = fields_get(&o->res.fields, kept[i]); f != NULL;
             f = fields_more(&o->res.fields, f))
            fields_add(&r->res.fields, f->id, f->name, f->value);
    if (o->res.content_type.len > 0)
        r->res.content_type = o->res.content_type;
    origin_close(o);
    if (where.ptr[0] == '@')
        return redirect_named(&r->x, where);
    if (r->method != METHOD_HEAD) {
        r->method = METHOD_GET;
        r->method_name = S("GET");
    }
    return redirect_internal(&r->x, where, STR_NONE);
}

static enum phase_result
intercept(struct origin *o)
{
    struct request *r = o->r;
    uint16_t status = o->res.status;

    if (status == 401)
        for (struct field *f = fields_get(&o->res.fields, FIELD_WWW_AUTHENTICATE); f != NULL;
             f = fields_more(&o->res.fields, f))
            fields_add(&r->res.fields, f->id, f->name, f->value);
    origin_close(o);
    return phase_respond(&r->x, status);
}

/* A field that has a place of its own in the response. */
static struct str
own_place(const struct origin *o, enum field_id id)
{
    return o->conf->hidden->known[id] ? STR_NONE : fields_value(&o->res.fields, id);
}

/* Whether the client gets a field of the origin's head. */
static bool
is_passed(const struct origin *o, const struct field *f, bool nominates)
{
    switch (f->id) {
    case FIELD_CONTENT_TYPE: /* has a place of its own */
    case FIELD_ETAG:
        return false;
    case FIELD_ACCEPT_RANGES:
        if (o->conf->force_ranges)
            return false;
        break;
    }
    return !name_set_has(o->conf->hidden, f) &&
           !(nominates && fields_has_token(&o->res.fields, FIELD_CONNECTION, f->name));
}

/* The request's own response may hold fields of an earlier location. False: memory. */
static bool
pass_fields(struct origin *o)
{
    const struct fields *from = &o->res.fields;
    struct fields *to = &o->r->res.fields;
    bool nominates = o->res.status != 101 && (fields_connection(from) & CONNECTION_NOMINATES) != 0;
    bool empty = to->n == 0;
    struct field *f;

    if (empty && !fields_copy(to, from))
        return false;
    for (uint32_t i = 0; (f = fields_each(from, &i)) != NULL;) {
        bool passed = is_passed(o, f, nominates);

        if (empty && !passed)
            fields_remove_field(to, &to->at[i - 1]);
        else if (!empty && passed)
            fields_add(to, f->id, f->name, f->value);
    }
    return !to->failed;
}

/* What the client gets of the origin's head. */
static bool
pass_head(struct origin *o)
{
    const struct response *from = &o->res;
    struct response *to = &o->r->res;

    to->status = from->status;
    to->reason = from->reason;
    to->length = from->length;
    to->content_type = own_place(o, FIELD_CONTENT_TYPE);
    to->etag = own_place(o, FIELD_ETAG);
    to->last_modified = -1;
    to->accept_ranges |= o->conf->force_ranges;
    to->keep_length = true;
    to->from_origin = true;
    to->without_server = !o->conf->hidden->known[FIELD_SERVER];
    if (!pass_fields(o))
        return false;
    o->driver->rewrite(o, to);
    return !to->fields.failed;
}

void
origin_pass_trailers(struct origin *o)
{
    struct field *f;

    if (!o->conf->pass_trailers)
        return;
    for (uint32_t i = 0; (f = fields_each(&o->res.trailers, &i)) != NULL;)
        if (!name_set_has(o->conf->hidden, f))
            fields_add(&o->r->res.trailers, f->id, f->name, f->value);
}

static void
tunnel_on_client(struct ready_hook *h, struct exchange *x)
{
    (void)x;
    task_ready(&CONTAINER_OF(h, struct origin, on_client)->pump);
}

/* Both connections are a relay's from the moment that the client has the head. */
static enum phase_result
start_tunnel(struct origin *o)
{
    o->tunnel = true;
    o->state = ORIGIN_DONE;
    o->r->res.tunnel = true;
    timer_stop(&o->conn->timer);
    o->conn->on_event = NULL;
    o->pump.run = pump_task;
    o->on_client.run = tunnel_on_client;
    exchange_on_ready(&o->r->x, &o->on_client);
    task_ready(&o->pump);
    return response_start(o->r);
}

enum phase_result
origin_respond(struct origin *o)
{
    struct request *r = o->r;
    struct str where = fields_value(&o->res.fields, FIELD_X_ACCEL_REDIRECT);
    enum phase_result result;

    if (o->conf->intercept_errors && o->res.status >= 300 && error_page_matches(r, o->res.status))
        return intercept(o);
    if (where.len > 0 && !origin_is_tunnel(o) &&
        !(o->conf->ignore_headers & IGNORE_X_ACCEL_REDIRECT))
        return accel_redirect(o, where);

    accel_fields(o);
    if (!pass_head(o))
        goto failed;
    o->passed = true;
    if (origin_is_tunnel(o))
        return start_tunnel(o);
    origin_store_begin(o);
    if (o->recv == RECV_END) {
        struct str body = o->first;

        origin_pass_trailers(o);
        if (o->store.len > 0)
            origin_store_bytes(o, body);
        origin_close(o); /* complete: what follows is between us and the client */
        if (body.len > 0 && (r->res.body = body_mem(&r->x, body)) == NULL)
            goto failed;
        return response_start(r);
    }
    if (!open_out(o))
        goto failed;
    /* a part of a page fills its spool until its turn comes */
    o->splicing = !o->unbuffered && r->x.parent == NULL && may_splice(o);
    if (!o->unbuffered && !o->splicing)
        pump(o);
    result = response_start(r);
    if (!o->closed)
        r->x.doing = "reading upstream";
    return result;

failed:
    origin_close(o);
    return phase_respond(&r->x, 500);
}

/* ---- the end ---- */

void
origin_body_close(struct origin *o)
{
    task_cancel(&o->pump);
    timer_forget(&o->rate_timer);
    spool_free(o->spool);
    o->spool = NULL;
    buf_put(o->read_buf);
    o->read_buf = NULL;
    pipe_back(o);
}
