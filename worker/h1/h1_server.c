/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_server.c - the life of a client's HTTP/1 connection: heads in, one exchange at a time, keep-alive, lingering close.
 *
 * A head is read into a buffer that goes to the exchange when it is complete; what came behind it is the beginning of the
 * request's body, or is copied to the buffer of the next head. The next head is looked at from the ready list when the
 * exchange has ended, never from within. A connection between requests has no buffer and one pending timer.
 */
#include "worker/h1/h1_conn.h"

#include <stdlib.h>

#include "common/base/num.h"
#include "common/module.h"
#include "common/shm/counters.h"
#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/http/codec.h"
#include "worker/http/request_body.h"

enum {
    HEAD_FIRST = 4096, /* bytes of the first buffer for a head */
    FREE_MAX = 4096,   /* structs kept for reuse */
};

static struct h1 *free_list;
static unsigned free_count;

static void h1_on_event(struct conn *c);
static void h1_on_time(struct timer *t);
static void h1_look_at_next(struct task *t);
static void h1_send_held(struct task *t);

/* ---- begin and end ---- */

static struct h1 *
h1_take(void)
{
    struct h1 *h = free_list;

    if (h != NULL) {
        free_list = h->next_free;
        free_count--;
    } else {
        h = malloc(sizeof(*h));
    }
    if (h != NULL)
        memset(h, 0, sizeof(*h));
    return h;
}

static void
h1_give_back(void *p)
{
    struct h1 *h = p;

    if (free_count >= FREE_MAX) {
        free(h);
        return;
    }
    h->next_free = free_list;
    free_list = h;
    free_count++;
}

static void
h1_log(const struct h1 *h, const char *text)
{
    const struct log_context ctx = { .id = h->c->id };
    char addr[ADDR_TEXT_MAX];

    if (LOG_ON(log_main, LOG_LEVEL_INFO))
        log_write(log_main, LOG_LEVEL_INFO, 0, &ctx, "client %.*s %s",
                  (int)addr_format_ip(&h->c->peer, addr), addr, text);
}

/* Changes what stub_status counts. */
static void
h1_enter(struct h1 *h, enum h1_state state)
{
    if (h->state == H1_HEAD)
        counter_add(requests_reading, -1);
    if (h->state == H1_RUNNING)
        counter_add(requests_writing, -1);
    if (state == H1_HEAD)
        counter_add(requests_reading, 1);
    if (state == H1_RUNNING)
        counter_add(requests_writing, 1);
    h->state = state;
}

void
h1_close(struct h1 *h, bool reset)
{
    struct conn *c = h->c;

    if (h->state == H1_CLOSED)
        return;
    h1_enter(h, H1_CLOSED);
    task_cancel(&h->next);
    task_cancel(&h->send);
    buf_put(h->in);
    buf_put(h->out);
    h->in = h->out = NULL;
    c->on_event = NULL;
    if (reset)
        conn_reset(c);
    else
        conn_close(c);
    loop_defer_free(h1_give_back, h);
}

static void
h1_idle(struct h1 *h)
{
    h1_enter(h, H1_IDLE);
    buf_put(h->in);
    h->in = NULL;
    h->scanned = 0;
}

static bool
h1_begin(struct conn *c)
{
    struct h1 *h = h1_take();

    if (h == NULL)
        return false;
    h->c = c;
    h->next.run = h1_look_at_next;
    h->send.run = h1_send_held;
    c->owner = h;
    c->on_event = h1_on_event;
    c->timer.on_time = h1_on_time;
    timer_set(&c->timer, h1_conn_conf(h)->client_header_timeout_ms);
    conn_set_idle(c, true);
    h1_on_event(c);
    return true;
}

/* ---- heads ---- */

bool
h1_next_is_complete(struct h1 *h)
{
    return h->in != NULL && buf_len(h->in) > 0 && h1_head_end(buf_str(h->in), &h->scanned) > 0;
}

/* The exchange that a head becomes; it takes the buffer. NULL: memory, the connection is closed. */
static struct request *
h1_new_request(struct h1 *h)
{
    struct request *r = request_new(h->c, &h1_codec, h);
    struct h1_run *run =
        r != NULL ? ARENA_NEW_FRONT(request_arena(r), struct h1_run, batch.piece) : NULL;

    if (run == NULL) {
        log_write(log_main, LOG_LEVEL_ALERT, ENOMEM, &(struct log_context){ .id = h->c->id },
                  "no memory for a request");
        if (r == NULL) {
            h1_close(h, false);
            return NULL;
        }
        h->c->on_event = NULL; /* h1_ended follows at once */
        h->r = r;
        h1_enter(h, H1_RUNNING);
        exchange_abort(&r->x, STOP_FAILED);
        return NULL;
    }
    run->chunk_size_at = H1_CHUNK_SIZE_MAX;
    r->x.mem->head = h->in;
    r->started_ms = h->since_ms;
    r->started_wall_ms = clock_wall_ms - (clock_ms - h->since_ms);
    h->in = NULL;
    h->scanned = 0;
    r->pipelined = h->pipelined;
    h->pipelined = false;
    h->r = r;
    h->run = run;
    h->body = (struct h1_body){ .done = true };
    h->c->requests++;
    conn_set_idle(h->c, false);
    timer_stop(&h->c->timer);
    h1_enter(h, H1_RUNNING);
    counter_add(requests_total, 1);
    return r;
}

/* Answers a head that cannot be served. `parsed` has what could be read of it. */
static void
h1_refuse(struct h1 *h, struct request *r, const struct h1_request_head *parsed, int status,
          const char *why)
{
    struct str text;

    r->line = parsed->line;
    r->method_name = parsed->method;
    r->target = parsed->target;
    r->version = parsed->version >= HTTP_10 ? parsed->version : HTTP_10;
    r->x.doing = parsed->version >= HTTP_10 ? "reading client request headers"
                                            : "reading client request line";
    /* what follows the head is not read as another one */
    h->body = (struct h1_body){ .framing = H1_UNTIL_CLOSE,
                                .done = r->head_len == buf_len(r->x.mem->head) };
    text = arena_fmt(request_arena(r), "client sent %s", why);
    request_bad(r, status, text.ptr != NULL ? text.ptr : why);
}

/* A head that is not complete and will not be served. */
static void
h1_refuse_partial(struct h1 *h, int status, const char *why)
{
    struct request *r = h1_new_request(h);
    struct h1_request_head parsed = { .version = 0 };
    int ignored;

    if (r == NULL)
        return;
    (void)h1_check_start(buf_str(r->x.mem->head), &parsed, &ignored);
    h1_refuse(h, r, &parsed, status, why);
}

/* A partial head that ends without an answer, for the log's sake: time-out, client gone. */
static void
h1_drop_partial(struct h1 *h, int status, const char *why)
{
    struct request *r = h1_new_request(h);
    struct h1_request_head parsed = { .version = 0 };
    int ignored;

    if (r == NULL)
        return;
    (void)h1_check_start(buf_str(r->x.mem->head), &parsed, &ignored);
    r->line = parsed.line;
    r->method_name = parsed.method;
    r->target = parsed.target;
    r->res.status = (uint16_t)status;
    h->run->closing = true;
    h->run->reset = status == 408 && HTTP_CONF(r)->reset_timedout_connection;
    r->x.doing = parsed.version >= HTTP_10 ? "reading client request headers"
                                           : "reading client request line";
    xlog(&r->x, LOG_LEVEL_INFO, status == 408 ? ETIMEDOUT : 0, "%s", why);
    exchange_abort(&r->x, STOP_CLIENT_GONE);
}

static uint64_t
head_max(const struct http_conf *conf)
{
    return conf->client_header_buffer_size +
           conf->large_client_header_buffers.number * conf->large_client_header_buffers.size;
}

/* One line of a head may have as much as one large buffer, all lines what all buffers together have. */
static const char *
check_lengths(struct str head, const struct h1_request_head *parsed, const struct http_conf *conf,
              int *status)
{
    uint64_t line_max =
        num_max(conf->large_client_header_buffers.size, conf->client_header_buffer_size);
    bool too_large = head.len > head_max(conf);

    if (parsed->line.len + 2 > line_max) {
        *status = 414;
        return "too long URI";
    }
    while (head.len > line_max) {
        size_t len = str_find(head, '\n');

        if (len >= line_max) {
            *status = 494;
            return "too long header line";
        }
        head = str_from(head, len + 1);
    }
    if (too_large) {
        *status = 494;
        return "too large request";
    }
    return NULL;
}

/* What came behind the head: body bytes stay where they are, a further head gets a buffer of its own. */
static bool
h1_split(struct h1 *h, struct request *r, size_t head_len)
{
    struct buf *head = r->x.mem->head;
    struct str rest = str_from(buf_str(head), head_len);

    if (rest.len == 0)
        return true;
    if (!h->body.done) {
        h->body.rest = rest;
        return true;
    }
    h->in = buf_get(num_max(rest.len, HEAD_FIRST));
    if (h->in == NULL)
        return false;
    memcpy(h->in->mem, rest.ptr, rest.len);
    h->in->end = (uint32_t)rest.len;
    return true;
}

/* A complete head of `len` bytes lies in `in`. */
static void
h1_start(struct h1 *h, size_t len)
{
    const struct http_conf *conf = h1_conn_conf(h);
    struct h1_limits limits = { .max_fields = conf->max_headers,
                                .ignore_invalid_names = conf->ignore_invalid_headers,
                                .underscores = conf->underscores_in_headers };
    struct request *r = h1_new_request(h);
    struct h1_request_head parsed;
    struct str head;
    const char *why;
    int status;

    if (r == NULL)
        return;
    head = str_upto(buf_str(r->x.mem->head), len);
    r->head_len = len;
    why = h1_parse_request(head, &limits, &parsed, &r->fields, &status);
    r->length = parsed.line.ptr != NULL ? (size_t)(head.ptr + len - parsed.line.ptr) : len;
    if (why == NULL)
        why = check_lengths(head, &parsed, conf, &status);
    if (why != NULL) {
        h1_refuse(h, r, &parsed, status, why);
        return;
    }
    h->body.framing = parsed.framing;
    h->body.left = parsed.length;
    h->body.done =
        parsed.framing == H1_NO_BODY || (parsed.framing == H1_LENGTH && parsed.length == 0);
    if (!h1_split(h, r, len)) {
        h1_refuse(h, r, &parsed, 500, "a request for which memory is out");
        return;
    }
    r->line = parsed.line;
    r->method_name = parsed.method;
    r->target = parsed.target;
    r->version = parsed.version;
    r->content_length = parsed.framing == H1_LENGTH ? (int64_t)parsed.length : -1;
    r->body_chunked = parsed.framing == H1_CHUNKED;
    r->keepalive = parsed.keepalive;
    r->x.doing = "reading client request headers";
    request_start(r);
    /* a client that closed its half together with its request: looked at when the response had its chance */
    if (h->c->bits & (CONN_EOF | CONN_ERROR))
        task_flush(&h->send);
}

/* A partial head: is what has come good so far, and is there room for more? False: it has been refused. */
static bool
h1_may_read_on(struct h1 *h)
{
    const struct http_conf *conf = h1_conn_conf(h);
    struct str bytes = buf_str(h->in);
    struct h1_request_head parsed = { .version = 0 };
    struct buf *bigger;
    int status;
    const char *why = h1_check_start(bytes, &parsed, &status);

    if (why == NULL)
        why = check_lengths(bytes, &parsed, conf, &status);
    if (why != NULL) {
        h1_refuse_partial(h, status, why);
        return false;
    }
    if (buf_space(h->in) > 0)
        return true;
    bigger = buf_get(bytes.len * 2);
    if (bigger == NULL) {
        h1_refuse_partial(h, 500, "a request for which memory is out");
        return false;
    }
    memcpy(bigger->mem, bytes.ptr, bytes.len);
    bigger->end = (uint32_t)bytes.len;
    buf_put(h->in);
    h->in = bigger;
    return true;
}

static void
h1_head_ended(struct h1 *h, enum io io)
{
    if (h->state == H1_HEAD) {
        h1_drop_partial(h, 400, "client prematurely closed connection");
        return;
    }
    if (h->c->requests > 0 && io == IO_EOF)
        h1_log(h, "closed keepalive connection");
    h1_close(h, false);
}

/* The first byte of a head. */
static void
h1_head_begins(struct h1 *h)
{
    h->since_ms = clock_ms;
    h->guarded = false;
    conn_set_idle(h->c, false);
    h1_enter(h, H1_HEAD);
}

/* Reads until a head is complete, it is refused, or the socket is empty. */
static void
h1_read_head(struct h1 *h)
{
    struct conn *c = h->c;

    for (;;) {
        size_t got, len;
        enum io io;

        if (h->in == NULL)
            h->in = buf_get(HEAD_FIRST);
        if (h->in == NULL) {
            h1_close(h, false);
            return;
        }
        io = conn_read_buf(c, h->in->mem + h->in->end, buf_space(h->in), &got);
        if (io == IO_AGAIN) {
            if (h->state == H1_IDLE)
                h1_idle(h);
            return;
        }
        if (io != IO_OK) {
            h1_head_ended(h, io);
            return;
        }
        h->in->end += (uint32_t)got;
        h->wrote = false;
        if (h->state == H1_IDLE)
            h->since_ms = clock_ms;
        len = h1_head_end(buf_str(h->in), &h->scanned);
        if (len > 0) {
            h1_start(h, len);
            return;
        }
        if (h->state == H1_IDLE) {
            h1_head_begins(h);
            timer_set(&c->timer, h1_conn_conf(h)->client_header_timeout_ms);
        }
        if (!h1_may_read_on(h))
            return;
        if (!(c->bits & (CONN_READABLE | CONN_EOF)) && c->in == NULL)
            return;
    }
}

/* ---- between requests ---- */

/* Whether bytes wait, or may: a read that finds nothing is cheaper than one that never comes. */
static bool
h1_may_have_bytes(const struct h1 *h)
{
    return (h->c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) || h->c->in != NULL;
}

static void
h1_wait_for_next(struct h1 *h, const struct http_conf *conf)
{
    h1_idle(h);
    h->conf = conf;
    if (conf->keepalive_min_timeout_ms > 0 &&
        conf->keepalive_min_timeout_ms < conf->keepalive_timeout_ms) {
        h->guarded = true;
        timer_set(&h->c->timer, conf->keepalive_min_timeout_ms);
    } else {
        timer_set(&h->c->timer, conf->keepalive_timeout_ms);
        conn_set_idle(h->c, true);
    }
    if (h1_may_have_bytes(h))
        task_ready(&h->next);
}

/* A request is over, its body too. */
static void
h1_go_on(struct h1 *h, const struct http_conf *conf)
{
    if (h->in == NULL) {
        h1_wait_for_next(h, conf);
        return;
    }
    h1_enter(h, H1_IDLE);
    task_ready(&h->next);
}

/* Bytes of the next head have been read with the one before. */
static void
h1_go_on_with_head(struct h1 *h)
{
    size_t len;

    h->since_ms = clock_ms;
    h->pipelined = true;
    len = h1_head_end(buf_str(h->in), &h->scanned);
    if (len > 0) {
        h1_start(h, len);
        return;
    }
    h1_head_begins(h);
    timer_set(&h->c->timer, h1_conn_conf(h)->client_header_timeout_ms);
    if (h1_may_read_on(h) && h1_may_have_bytes(h))
        h1_read_head(h);
}

static void h1_read_rest(struct h1 *h);

/* From the ready list: what a state has left for later. */
static void
h1_look_at_next(struct task *t)
{
    struct h1 *h = CONTAINER_OF(t, struct h1, next);

    switch (h->state) {
    case H1_IDLE:
    case H1_HEAD:
        if (h->in != NULL && buf_len(h->in) > 0 && h->state == H1_IDLE)
            h1_go_on_with_head(h);
        else
            h1_read_head(h);
        break;
    case H1_RUNNING:
        if (h->run->lost)
            h1_client_lost(h);
        else
            h1_body_on_readable(h);
        break;
    case H1_REST:
    case H1_LINGER:
        h1_read_rest(h);
        break;
    case H1_TUNNEL:
    case H1_CLOSED:
        break;
    }
}

/* ---- after the response ---- */

static void
h1_linger(struct h1 *h, const struct http_conf *conf)
{
    h->c->ops->shutdown(h->c);
    h1_enter(h, H1_LINGER);
    h->conf = conf;
    buf_put(h->in);
    h->in = NULL;
    h->since_ms = clock_ms;
    h->body = (struct h1_body){ .framing = H1_UNTIL_CLOSE };
    timer_set(&h->c->timer, conf->lingering_timeout_ms);
    task_ready(&h->next);
}

/* The rest of a body, or of all that comes: thrown away within bounds of time. */
static void
h1_read_rest(struct h1 *h)
{
    if (!h1_body_skip(h) || h->body.bad || clock_ms - h->since_ms > h->conf->lingering_time_ms) {
        h1_close(h, false);
        return;
    }
    if (h->body.done && h->state == H1_REST) {
        h1_go_on(h, h->conf);
        return;
    }
    timer_set(&h->c->timer, h->conf->lingering_timeout_ms);
    if (h->c->bits & CONN_READABLE)
        task_ready(&h->next);
}

/* Bytes of the client that we do not read would turn our FIN into a RST, which may destroy the response. A client that
 * hears only now that this was the last response may have sent a further request already. */
static bool
wants_lingering(const struct h1 *h, const struct http_conf *conf, bool unread)
{
    if (conf->lingering_close == LINGERING_OFF || (h->c->bits & (CONN_EOF | CONN_ERROR)))
        return false;
    if (h->c->ops->is_beginning != NULL && h->c->ops->is_beginning(h->c))
        return true;
    return conf->lingering_close == LINGERING_ALWAYS || unread || (h->c->bits & CONN_READABLE) ||
           (h1_is_leaving(h) && h->r->keepalive);
}

/* Bytes behind the body become the next head; those of the body are decoded before their memory goes. */
static bool
h1_save_rest(struct h1 *h)
{
    if (!h->body.done && !h->body.bad && !h1_body_skip(h))
        return false;
    if (h->body.rest.len > 0 && h->body.done) {
        h->in = buf_get(num_max(h->body.rest.len, HEAD_FIRST));
        if (h->in == NULL)
            return false;
        memcpy(h->in->mem, h->body.rest.ptr, h->body.rest.len);
        h->in->end = (uint32_t)h->body.rest.len;
        h->scanned = 0;
    }
    h->body.rest = STR_NONE;
    return true;
}

static void
h1_after_response(struct h1 *h, const struct http_conf *conf, bool keepalive)
{
    bool unread = !h->body.done || (h->in != NULL && buf_len(h->in) > 0);

    if (!keepalive || h->body.bad || !h1_save_rest(h)) {
        (void)h1_output_flush(h);
        if (wants_lingering(h, conf, unread))
            h1_linger(h, conf);
        else
            h1_close(h, false);
        return;
    }
    if (!h->body.done) {
        h1_enter(h, H1_REST);
        h->conf = conf;
        h->since_ms = clock_ms;
        timer_set(&h->c->timer, conf->lingering_timeout_ms);
        /* what is left in the socket gives no event of its own */
        if (h1_may_have_bytes(h))
            task_ready(&h->next);
        return;
    }
    h1_go_on(h, conf);
}

/* ---- the sink and the codec ---- */

static void
h1_head(struct exchange *x)
{
    exchange_ready(x);
}

static void
h1_ready(struct exchange *x)
{
    struct h1 *h = x->sink_data;

    if (!h->run->closing && h->state == H1_RUNNING)
        h1_output(h);
}

static void
h1_inform(struct exchange *x, const struct response *info)
{
    struct h1 *h = x->sink_data;
    struct text t;

    if (h->r->version != HTTP_11 || h->run->head_done || h->run->closing || h->run->gone)
        return;
    for (size_t room = 1024; room <= 64 * 1024; room *= 4) {
        if (!h1_output_room(h, room))
            return;
        text_init_fixed(&t, h->out->mem + h->out->end, buf_space(h->out));
        h1_write_inform(&t, info);
        if (t.failed)
            continue;
        h->out->end += (uint32_t)t.len;
        h->r->bytes_sent += t.len;
        h->run->head_len += t.len;
        /* what cannot be sent now leaves with the response */
        (void)h1_output_flush(h);
        return;
    }
}

static void
h1_want_body(struct exchange *x)
{
    struct h1 *h = x->sink_data;
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

    if (!h->r->expect_continue || h->run->continue_sent || h->run->head_done)
        return;
    h->run->continue_sent = true;
    if (!h1_output_room(h, sizeof(text)))
        return;
    memcpy(h->out->mem + h->out->end, text, sizeof(text) - 1);
    h->out->end += sizeof(text) - 1;
    (void)h1_output_flush(h);
}

/* A connection that waits keeps no buffer. */
static void
h1_put_empty_out(struct h1 *h)
{
    if (h->out != NULL && buf_len(h->out) == 0) {
        buf_put(h->out);
        h->out = NULL;
    }
}

/* After the log phase. The arena with h->run goes when this returns. */
static void
h1_ended(struct exchange *x)
{
    struct h1 *h = x->sink_data;
    struct h1_run *run = h->run;
    struct buf *body_buf;

    if (run == NULL || run->closing || run->gone) {
        body_buf = run != NULL ? run->body_buf : NULL;
        h1_close(h, run != NULL && run->reset);
    } else {
        /* body.rest may lie in the buffers that go now */
        body_buf = run->body_buf;
        h1_after_response(h, HTTP_CONF(h->r), run->keepalive && h->r->keepalive);
    }
    buf_put(body_buf);
    h->r = NULL;
    h->run = NULL;
    h1_put_empty_out(h);
}

static void
h1_abort(struct exchange *x, enum abort why)
{
    struct h1 *h = x->sink_data;

    if (x->given)
        return;
    h->run->closing = true;
    /* without a head of its own in there it is the responses before that wait */
    if (why == ABORT_TRUNCATED || !h->run->head_done)
        (void)h1_output_flush(h);
    h->run->reset = why == ABORT_TRUNCATED ? h->run->ending == H1_END_CLOSE
                                           : HTTP_CONF(h->r)->reset_timedout_connection;
    exchange_abort(x, STOP_FAILED);
}

void
h1_client_lost(struct h1 *h)
{
    struct request *r = h->r;

    if (h->state != H1_RUNNING || r->x.given || h->run->gone)
        return;
    timer_stop(&h->c->timer);
    if (!h->run->lost && request_outlives_client != NULL && request_outlives_client(r)) {
        h->run->gone = true;
        exchange_ready(&r->x);
        return;
    }
    h->run->closing = true;
    if (h->out != NULL && r->bytes_sent > 0) {
        uint64_t unsent = num_min(buf_len(h->out), r->bytes_sent);

        r->bytes_sent -= unsent;
        r->body_sent -= num_min(unsent, r->body_sent);
    }
    xlog(&r->x, LOG_LEVEL_INFO, h->c->bits & CONN_ERROR ? h->c->error : 0,
         "client prematurely closed connection");
    request_client_gone(r);
}

static bool
h1_tunnel(struct exchange *x)
{
    struct h1 *h = x->sink_data;

    if (h->r->version != HTTP_11)
        return false;
    h->body.framing = H1_UNTIL_CLOSE;
    h->body.done = h->body.bad = false;
    return true;
}

static enum io
h1_take_conn(struct exchange *x, struct conn **taken)
{
    struct h1 *h = x->sink_data;
    struct conn *c = h->c;
    struct str ahead = h->in != NULL ? buf_str(h->in) : h->body.rest;

    if (h->state != H1_RUNNING || !h1_output_head(h))
        return IO_ERROR;
    switch (h1_output_flush(h)) {
    case H1_OUT_SENT:
        break;
    case H1_OUT_BLOCKED:
    case H1_OUT_LIMITED:
        return IO_AGAIN; /* h1_output goes on with it, and waits for the client */
    case H1_OUT_FAILED:
        return IO_ERROR;
    }
    if (!conn_unread(c, ahead))
        return IO_ERROR;
    buf_put(h->in);
    h->in = NULL;
    h->body.rest = STR_NONE;
    timer_stop(&c->timer);
    h1_enter(h, H1_TUNNEL);
    *taken = c;
    return IO_OK;
}

static void
h1_tunnel_ended(struct exchange *x)
{
    struct h1 *h = x->sink_data;

    h->run->closing = true;
    h->c->owner = h;
    h->c->on_event = NULL;
    exchange_finish(x);
}

static void
h1_drain(struct conn *c)
{
    if (c->on_event == h1_on_event)
        ((struct h1 *)c->owner)->draining = true;
}

const struct codec h1_codec = {
    .alpn = S_INIT("http/1.1"),
    .begin = h1_begin,
    .sink = { .inform = h1_inform, .head = h1_head, .ready = h1_ready, .ended = h1_ended },
    .body = h1_body_open,
    .want_body = h1_want_body,
    .abort = h1_abort,
    .tunnel = h1_tunnel,
    .take_conn = h1_take_conn,
    .tunnel_ended = h1_tunnel_ended,
    .drain = h1_drain,
};

/* ---- events and times ---- */

/*
 * The client has shut its half, or is gone. One that only shut its half may still read: a response under way is
 * finished, one that is waited for is not worth the wait (nginx: 499).
 */
static void
h1_check_gone(struct h1 *h)
{
    struct h1_run *run = h->run;
    bool waiting = !h->r->x.responding || (run->pulled && run->after == PULL_WAIT);

    if (h->c->bits & CONN_ERROR)
        h1_client_lost(h);
    else if ((h->c->bits & CONN_EOF) && waiting && h->body.done)
        h1_client_lost(h);
}

static void
h1_run_event(struct h1 *h)
{
    struct conn *c = h->c;

    if ((c->bits & (CONN_READABLE | CONN_EOF)) && !h->body.done)
        h1_body_on_readable(h);
    if (h->state == H1_RUNNING && (c->bits & (CONN_EOF | CONN_ERROR)))
        h1_check_gone(h);
    if (h->state == H1_RUNNING && h->run->blocked && (c->bits & CONN_WRITABLE) && !h->r->x.given)
        exchange_ready(&h->r->x);
}

/* What could not be sent of a response that was held back. */
static void
h1_send_late(struct h1 *h)
{
    if (h->out == NULL || !(h->c->bits & CONN_WRITABLE) || h1_output_has_pieces(h))
        return;
    if (h1_output_flush(h) == H1_OUT_FAILED && h->state != H1_RUNNING)
        h1_close(h, false);
    else
        h1_put_empty_out(h);
}

static void
h1_on_event(struct conn *c)
{
    struct h1 *h = c->owner;

    switch (h->state) {
    case H1_IDLE:
        if (c->bits & CONN_ERROR) { /* also: its place is needed (conn_set_idle) */
            h1_close(h, false);
            return;
        }
        /* fall through */
    case H1_HEAD:
        h1_send_late(h);
        if (h->state != H1_CLOSED && h1_may_have_bytes(h))
            h1_look_at_next(&h->next);
        break;
    case H1_RUNNING:
        if (!h->run->head_done)
            h1_send_late(h);
        h1_run_event(h);
        break;
    case H1_REST:
    case H1_LINGER:
        if (h1_may_have_bytes(h))
            h1_read_rest(h);
        break;
    case H1_TUNNEL:
    case H1_CLOSED:
        break;
    }
}

/* Before the loop waits: responses that were held back for a next one that is not ready, and clients whose end was known
 * when their request began. */
static void
h1_send_held(struct task *t)
{
    struct h1 *h = CONTAINER_OF(t, struct h1, send);

    if (h->state == H1_TUNNEL || h->state == H1_CLOSED)
        return;
    h1_send_late(h);
    if (h->state == H1_RUNNING && !h->r->x.given)
        h1_check_gone(h);
}

static void
h1_running_time(struct h1 *h)
{
    struct request *r = h->r;

    if (r->x.given)
        return;
    if (h->run->rate_wait) {
        h->run->rate_wait = false;
        exchange_ready(&r->x);
        return;
    }
    if (!h->run->blocked)
        return;
    r->x.doing = "sending to client";
    xlog(&r->x, LOG_LEVEL_INFO, ETIMEDOUT, "client timed out");
    if (!r->x.responding)
        r->res.status = 408;
    h->run->closing = true;
    h->run->reset = HTTP_CONF(r)->reset_timedout_connection || h->run->ending == H1_END_CLOSE;
    exchange_abort(&r->x, STOP_CLIENT_GONE);
}

static void
h1_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    struct h1 *h = c->owner;

    switch (h->state) {
    case H1_IDLE:
        if (h->guarded) {
            h->guarded = false;
            conn_set_idle(c, true);
            timer_set(&c->timer, h->conf->keepalive_timeout_ms - h->conf->keepalive_min_timeout_ms);
            return;
        }
        h1_close(h, false);
        break;
    case H1_HEAD:
        h1_drop_partial(h, 408, "client timed out");
        break;
    case H1_RUNNING:
        h1_running_time(h);
        break;
    case H1_REST:
    case H1_LINGER:
        h1_close(h, false);
        break;
    case H1_TUNNEL:
    case H1_CLOSED:
        break;
    }
}

static const struct counter_def h1_counters[] = {
    { "requests_total", "Requests of clients", false, &requests_total },
    { "requests_reading", "Connections whose request head is being read", true, &requests_reading },
    { "requests_writing", "Connections whose request is being answered", true, &requests_writing },
    { 0 },
};

struct module h1_module = {
    .name = "h1",
    .codec = &h1_codec,
    .counters = h1_counters,
};
