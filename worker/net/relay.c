/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.c - copies both ways between two connections.
 *
 * Each direction reads only when what it read before has been taken, so a slow reader slows the writer. Bytes go through
 * a pooled buffer; a direction that fills it goes on through a pipe (splice) while both ends are plain. Neither is kept
 * while nothing moves: an idle tunnel costs its two connections.
 */
#include "worker/net/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "worker/core/source.h"
#include "worker/net/pipe_pool.h"

enum {
    RELAY_BUF = 16 << 10,
    SPLICE_LESS =
        4
        << 10, /* a spliced read below this: back to the buffer, one call less for small messages */
    MOVES_PER_RUN = 32, /* then others get their turn */
};

struct flow {
    struct conn *from, *to;
    struct buf *buf; /* bytes read and not yet taken; NULL: none */
    int pipe[2];     /* the same, in the kernel; -1: none */
    size_t held;     /* bytes in the pipe */
    uint64_t passed; /* bytes that `to` took */
    bool bulk;       /* the last read filled the buffer: splice if possible */
    bool eof;        /* `from` has ended its half */
    bool shut;       /* and `to` was told */
    bool unflushed;  /* the layer of `to` holds bytes */
    size_t buf_size;
};

struct relay {
    struct flow ab, ba;
    struct relay_options o;
    struct task task;
    uint64_t passed_before; /* of ab, at the last look */
    bool over;
};

enum moved { MOVED_NOTHING, MOVED_SOME, MOVED_FAILED };

static bool
flow_is_plain(const struct flow *f)
{
    return f->from->ops == &conn_plain_ops && (f->to->ops->kinds & PIECE_PIPE) != 0;
}

static void
flow_release(struct flow *f)
{
    buf_put(f->buf);
    f->buf = NULL;
    pipe_put(f->pipe, f->held == 0);
    f->held = 0;
}

static enum moved
flow_splice_in(struct flow *f)
{
    ssize_t r;

    do
        r = splice(f->from->watch.fd, NULL, f->pipe[1], NULL, PIPE_BYTES,
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        f->held = (size_t)r;
        f->bulk = r >= SPLICE_LESS;
        return MOVED_SOME;
    }
    f->from->bits &= (uint8_t)~CONN_READABLE;
    if (r == 0) {
        f->eof = true;
        return MOVED_SOME;
    }
    if (errno == EAGAIN)
        return MOVED_NOTHING;
    f->from->error = errno;
    return MOVED_FAILED;
}

static enum moved
flow_read(struct flow *f)
{
    size_t got;

    f->buf = buf_get(f->buf_size);
    if (f->buf == NULL) {
        f->from->error = ENOMEM;
        return MOVED_FAILED;
    }
    f->buf->start = f->buf->end = 0;
    switch (conn_read_buf(f->from, f->buf->mem, f->buf->cap, &got)) {
    case IO_OK:
        f->buf->end = (uint32_t)got;
        f->bulk = got == f->buf->cap;
        return MOVED_SOME;
    case IO_AGAIN:
        flow_release(f);
        return MOVED_NOTHING;
    case IO_EOF:
        flow_release(f);
        f->eof = true;
        return MOVED_SOME;
    case IO_ERROR:
        break;
    }
    flow_release(f);
    return MOVED_FAILED;
}

static enum moved
flow_fill(struct flow *f)
{
    if (f->eof || (f->from->in == NULL && (f->from->bits & (CONN_READABLE | CONN_EOF)) == 0))
        return MOVED_NOTHING;
    if (f->bulk && f->from->in == NULL && flow_is_plain(f) &&
        (f->pipe[0] != -1 || pipe_get(f->pipe)))
        return flow_splice_in(f);
    return flow_read(f);
}

/* Gives on what is held. SOME: all of it. */
static enum moved
flow_send(struct flow *f)
{
    enum io io = IO_OK;
    size_t taken = 0;

    while (io == IO_OK && (f->held > 0 || f->buf != NULL)) {
        if ((f->to->bits & CONN_WRITABLE) == 0)
            return MOVED_NOTHING;
        if (f->held > 0) {
            io = f->to->ops->write_pipe(f->to, f->pipe[0], f->held, false, &taken);
            f->held -= taken;
        } else {
            struct iovec iov = { .iov_base = f->buf->mem + f->buf->start,
                                 .iov_len = buf_len(f->buf) };

            io = conn_write(f->to, &iov, 1, false, &taken);
            f->buf->start += (uint32_t)taken;
            if (buf_len(f->buf) == 0) {
                buf_put(f->buf);
                f->buf = NULL;
            }
        }
        f->passed += taken;
        f->unflushed = f->unflushed || taken > 0;
    }
    if (io == IO_ERROR || io == IO_EOF)
        return MOVED_FAILED;
    return io == IO_OK ? MOVED_SOME : MOVED_NOTHING;
}

static bool
flow_flush(struct flow *f)
{
    enum io io = IO_OK;

    if (f->unflushed)
        io = f->to->ops->flush(f->to);
    f->unflushed = io == IO_AGAIN;
    return io == IO_OK || io == IO_AGAIN;
}

/* One step of a direction: what is held, then the next read, then the end of the half. */
static enum moved
flow_move(struct flow *f)
{
    enum moved m;

    if (flow_send(f) == MOVED_FAILED || !flow_flush(f))
        return MOVED_FAILED;
    if (f->held > 0 || f->buf != NULL)
        return MOVED_NOTHING;
    m = flow_fill(f);
    if (m == MOVED_NOTHING && f->pipe[0] != -1)
        flow_release(f);
    if (m == MOVED_SOME && !f->eof && (flow_send(f) == MOVED_FAILED || !flow_flush(f)))
        return MOVED_FAILED;
    if (f->eof && !f->shut && !f->unflushed) {
        f->shut = true;
        f->to->ops->shutdown(f->to);
        (void)f->to->ops->flush(f->to);
    }
    return m;
}

static void
relay_detach(struct relay *r)
{
    struct conn *conns[] = { r->ab.from, r->ab.to };

    for (unsigned i = 0; i < ARRAY_LEN(conns); i++) {
        conns[i]->on_event = NULL;
        conns[i]->owner = NULL;
        timer_forget(&conns[i]->timer);
    }
    task_cancel(&r->task);
    flow_release(&r->ab);
    flow_release(&r->ba);
    r->over = true;
    loop_defer_free(free, r);
}

static void
relay_end(struct relay *r, const char *why)
{
    relay_detach(r);
    r->o.ended(r, r->o.data, why);
}

/* Bytes that `b` does not take have a time of their own; it begins anew when it takes some. */
static void
watch_sending(struct relay *r)
{
    struct timer *t = &r->ab.to->timer;
    bool waits = r->ab.held > 0 || r->ab.buf != NULL;

    if (!waits || r->o.send_timeout_ms == 0)
        timer_stop(t);
    else if (!timer_pending(t) || r->ab.passed != r->passed_before)
        timer_set(t, r->o.send_timeout_ms);
    r->passed_before = r->ab.passed;
}

static void
relay_run(struct relay *r)
{
    bool any = false;

    for (unsigned i = 0; i < MOVES_PER_RUN; i++) {
        enum moved a = flow_move(&r->ab), b = flow_move(&r->ba);

        if (a == MOVED_FAILED || b == MOVED_FAILED) {
            relay_end(r, a == MOVED_FAILED ? "connection to the origin failed"
                                           : "connection to the client failed");
            return;
        }
        if (r->ab.shut && r->ba.shut) {
            relay_end(r, "closed");
            return;
        }
        if (a == MOVED_NOTHING && b == MOVED_NOTHING)
            break;
        any = true;
        if (i + 1 == MOVES_PER_RUN)
            task_ready(&r->task);
    }
    if (any && r->o.timeout_ms > 0)
        timer_set(&r->ab.from->timer, r->o.timeout_ms);
    watch_sending(r);
}

static void
relay_on_event(struct conn *c)
{
    relay_run(c->owner);
}

static void
relay_on_task(struct task *t)
{
    relay_run(CONTAINER_OF(t, struct relay, task));
}

static void
relay_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    struct relay *r = c->owner;

    relay_end(r, c == r->ab.to ? "sending timed out" : "timed out");
}

static void
relay_take(struct relay *r, struct conn *c)
{
    c->on_event = relay_on_event;
    c->owner = r;
    timer_forget(&c->timer);
    c->timer.on_time = relay_on_time;
}

struct relay *
relay_start(struct conn *a, struct conn *b, const struct relay_options *o)
{
    struct relay *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->o = *o;
    r->ab = (struct flow){ .from = a, .to = b, .pipe = { -1, -1 } };
    r->ba = (struct flow){ .from = b, .to = a, .pipe = { -1, -1 } };
    r->ab.buf_size = r->ba.buf_size = o->buffer_size > 0 ? o->buffer_size : RELAY_BUF;
    r->ab.unflushed = r->ba.unflushed = true; /* a head may lie in a layer, and nothing else come */
    r->task.run = relay_on_task;
    relay_take(r, a);
    relay_take(r, b);
    if (o->timeout_ms > 0)
        timer_set(&a->timer, o->timeout_ms);
    task_ready(&r->task); /* what is readable now gives no event any more */
    return r;
}

void
relay_counts(const struct relay *r, uint64_t *a_to_b, uint64_t *b_to_a)
{
    *a_to_b = r->ab.passed;
    *b_to_a = r->ba.passed;
}

void
relay_stop(struct relay *r)
{
    if (!r->over)
        relay_detach(r);
}
