/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_body.c - the request body of a client connection: decoded for request_body.c, or thrown away.
 *
 * What came with the head is used where it lies. A body of known length is never read beyond its end, so that a
 * pipelined request stays in the socket; behind a chunked one the rest is kept for the next head.
 */
#include "worker/h1/h1_conn.h"

#include "common/base/num.h"
#include "worker/http/request_body.h"

enum {
    READ_SIZE = 16 * 1024,
    SKIP_TURN_MAX = 256 * 1024, /* bytes thrown away before others have their turn */
};

static struct h1 *
h1_of(struct exchange *x)
{
    return x->sink_data;
}

/* ---- decoding ---- */

/* The next run of body bytes in body.rest; false: none there (used up, the end, or broken). */
static bool
decode(struct h1_body *b, struct str *data)
{
    if (b->done || b->bad || b->rest.len == 0)
        return false;
    if (b->framing == H1_UNTIL_CLOSE) {
        *data = b->rest;
        b->rest = str_from(b->rest, b->rest.len);
        return true;
    }
    if (b->framing == H1_LENGTH) {
        *data = str_upto(b->rest, (size_t)num_min(b->rest.len, b->left));
        b->rest = str_from(b->rest, data->len);
        b->left -= data->len;
        b->done = b->left == 0;
        return true;
    }
    switch (h1_chunk_next(&b->chunked, &b->rest, data)) {
    case CHUNK_DATA:
        return true;
    case CHUNK_MORE:
        return false;
    case CHUNK_END:
        b->done = true;
        return false;
    case CHUNK_BAD:
        b->bad = true;
        return false;
    }
    return false;
}

/* ---- for request_body.c ---- */

/* Pieces from what has been read. */
static void
take_rest(struct h1 *h, struct batch *batch)
{
    struct h1_body *b = &h->body;
    size_t before = b->rest.len;
    uint64_t bytes = 0;
    struct str data;

    while (batch->n < BATCH_PIECES && bytes < batch->want && decode(b, &data)) {
        batch_mem(batch, data.ptr, data.len);
        bytes += data.len;
    }
    if (b->framing != H1_UNTIL_CLOSE)
        h->r->length += before - b->rest.len;
}

static enum pull
after_pieces(struct h1 *h, const struct batch *batch)
{
    struct h1_body *b = &h->body;

    if (b->bad) {
        xlog(&h->r->x, LOG_LEVEL_ERROR, 0, "client sent invalid chunked body");
        return PULL_FAILED;
    }
    if (b->done)
        return PULL_END;
    return batch->n > 0 ? PULL_MORE : PULL_WAIT;
}

/* The client went before its body was complete. Not ended here: the reader of the body is on the stack. */
static enum pull
body_lost(struct h1 *h)
{
    if (h->body.framing == H1_UNTIL_CLOSE) {
        h->body.done = true;
        return PULL_END;
    }
    h->run->lost = true;
    task_ready(&h->next);
    return PULL_WAIT;
}

/* Straight into the room of whoever collects. */
static enum pull
read_into_room(struct h1 *h, struct batch *batch)
{
    struct h1_body *b = &h->body;
    size_t want = (size_t)num_min(batch->room_len, b->left), got;
    enum io io = conn_read_buf(h->c, batch->room, want, &got);

    if (io == IO_AGAIN)
        return PULL_WAIT;
    if (io != IO_OK)
        return body_lost(h);
    h->wrote = false;
    batch_mem(batch, batch->room, got);
    batch->room += got;
    batch->room_len -= (uint32_t)got;
    h->r->length += got;
    b->left -= got;
    b->done = b->left == 0;
    return b->done ? PULL_END : PULL_MORE;
}

/* Into a buffer of ours; its bytes are body.rest. */
static enum io
read_more(struct h1 *h)
{
    struct h1_run *run = h->run;
    size_t want = READ_SIZE, got;
    enum io io;

    if (run->body_buf == NULL)
        run->body_buf = buf_get(READ_SIZE);
    if (run->body_buf == NULL)
        return IO_ERROR;
    if (h->body.framing == H1_LENGTH)
        want = (size_t)num_min(want, h->body.left);
    io = conn_read_buf(h->c, run->body_buf->mem, want, &got);
    if (io == IO_OK) {
        h->wrote = false;
        h->body.rest = str_n(run->body_buf->mem, got);
    }
    return io;
}

static enum pull
body_pull(struct source *s, struct batch *batch)
{
    struct h1 *h = h1_of(s->x);
    struct h1_body *b = &h->body;
    uint8_t before = batch->n;

    take_rest(h, batch);
    if (batch->n > before || b->done || b->bad)
        return after_pieces(h, batch);
    if (h->run->lost)
        return PULL_WAIT;
    if (b->framing == H1_LENGTH && batch->room != NULL && batch->room_len > 0)
        return read_into_room(h, batch);

    for (;;) {
        enum io io = read_more(h);

        if (io == IO_AGAIN)
            return PULL_WAIT;
        if (io != IO_OK)
            return body_lost(h);
        take_rest(h, batch);
        if (batch->n > before || b->done || b->bad)
            return after_pieces(h, batch);
    }
}

/* Bytes behind the body stay in the buffer until the exchange has ended. */
static void
body_stop(struct source *s UNUSED, enum stop why UNUSED)
{
}

static const struct source_ops body_ops = { body_pull, body_stop };

struct source *
h1_body_open(struct exchange *x)
{
    struct h1_run *run = h1_of(x)->run;

    run->body = (struct source){ .ops = &body_ops, .x = x };
    return &run->body; /* no checker: its spurious waits end with exchange_ready, these with request_body_ready */
}

/* ---- thrown away ---- */

static void
skip_rest(struct h1_body *b)
{
    struct str data;

    while (decode(b, &data))
        ;
}

/* What lies behind the body in `scratch` begins the next head. */
static bool
keep_behind(struct h1 *h)
{
    struct str behind = h->body.rest;

    if (behind.len == 0)
        return true;
    h->body.rest = STR_NONE;
    if (h->in == NULL)
        h->in = buf_get(num_max(behind.len, 4096));
    if (h->in == NULL || buf_space(h->in) < behind.len)
        return false;
    memcpy(h->in->mem + h->in->end, behind.ptr, behind.len);
    h->in->end += (uint32_t)behind.len;
    return true;
}

bool
h1_body_skip(struct h1 *h)
{
    static char scratch[READ_SIZE];
    struct h1_body *b = &h->body;
    uint64_t total = 0;

    skip_rest(b);
    while (!b->done && !b->bad && total < SKIP_TURN_MAX) {
        size_t want = sizeof(scratch), got;
        enum io io;

        if (b->framing == H1_LENGTH)
            want = (size_t)num_min(want, b->left);
        io = conn_read_buf(h->c, scratch, want, &got);
        if (io == IO_AGAIN)
            return true;
        if (io != IO_OK)
            return false;
        h->wrote = false;
        total += got;
        b->rest = str_n(scratch, got);
        skip_rest(b);
        if (!keep_behind(h))
            return false;
    }
    return true;
}

void
h1_body_on_readable(struct h1 *h)
{
    if (h->body.done || h->body.bad)
        return;
    switch (request_body_state(h->r)) {
    case BODY_COLLECTING:
    case BODY_STREAMING:
        request_body_ready(h->r);
        break;
    case BODY_DISCARDING:
    case BODY_FAILED:
        if (!h1_body_skip(h))
            h1_client_lost(h);
        else if (!h->body.done && !h->body.bad && (h->c->bits & CONN_READABLE))
            task_ready(&h->next);
        break;
    case BODY_NONE:
    case BODY_COMPLETE:
        if (h->body.framing == H1_UNTIL_CLOSE) /* a tunnel: not the request's body */
            request_body_ready(h->r);
        break;
    case BODY_AWAITED:
        break;
    }
}
