/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request_body.c - the request body for whoever asks: collected in a spool, streamed to one reader, or left to the codec
 * to throw away. ARCHITECTURE.md 10.
 *
 * The body is the root's; handlers of any phase and any child may ask for it. This file is the only one that pulls the
 * codec's source, so sizes and times are checked here and nowhere else.
 */
#include "worker/http/request_body.h"

#include "common/base/num.h"
#include "worker/http/http_conf.h"
#include "worker/http/spool.h"

enum {
    PULL_WANT = 64 * 1024, /* bytes taken in one step */
    TURN_MAX = 1 << 20,    /* bytes collected before others have their turn */
};

struct request_body_data {
    uint32_t shares; /* detached children that read it too */
    struct request *r;
    enum body_state state;
    int status;            /* FAILED: what it is answered with */
    bool answered;         /* it was */
    struct source *source; /* the codec's; NULL before and after */
    struct spool *spool;
    uint64_t received;
    struct exchange *waiter; /* COLLECTING: whose handler is called again */
    struct source reader;    /* STREAMING: counts what passes */
    void (*on_more)(void *data);
    void *on_more_data;
    struct timer timer;         /* client_body_timeout */
    struct task pump;           /* goes on collecting in the next round */
    struct ready_hook on_ready; /* of the root: the source that said WAIT has more */
};

static struct request *
root_of(const struct request *r)
{
    return request_of(r->x.root);
}

static bool
has_body(const struct request *r)
{
    return r->body_chunked || r->content_length > 0;
}

/* ---- the parts that all ways of reading share ---- */

static void
tell_reader(struct request_body_data *b)
{
    if (b->on_more != NULL)
        b->on_more(b->on_more_data);
    else
        exchange_ready(&b->r->x);
}

static void
close_source(struct request_body_data *b, enum stop why)
{
    timer_stop(&b->timer);
    exchange_off_ready(&b->on_ready);
    source_stop(b->source, why);
    b->source = NULL;
}

static void
body_fail(struct request_body_data *b, int status)
{
    enum body_state was = b->state;

    b->state = BODY_FAILED;
    b->status = status;
    b->r->keepalive = false; /* where the next request begins is not known */
    close_source(b, STOP_FAILED);
    if (b->spool != NULL)
        spool_seal(b->spool, SPOOL_FAILED);
    if (was == BODY_COLLECTING && b->waiter != NULL)
        phase_resume(b->waiter);
    if (was == BODY_STREAMING)
        tell_reader(b);
}

static void
body_on_time(struct timer *t)
{
    struct request_body_data *b = CONTAINER_OF(t, struct request_body_data, timer);

    b->r->x.doing = "reading client request body";
    xlog(&b->r->x, LOG_LEVEL_INFO, ETIMEDOUT, "client timed out");
    b->r->x.doing = NULL;
    body_fail(b, 408);
}

static void pump_task(struct task *t);

static void
body_on_ready(struct ready_hook *h, struct exchange *x)
{
    (void)x;
    task_ready(&CONTAINER_OF(h, struct request_body_data, on_ready)->pump);
}

/* The state of the root's body, made at the first question. NULL: memory. */
static struct request_body_data *
body_data(struct request *root)
{
    struct request_body_data *b = root->body;

    if (b != NULL)
        return b;
    b = ARENA_NEW(request_arena(root), struct request_body_data);
    if (b == NULL)
        return NULL;
    b->r = root;
    b->state = has_body(root) ? BODY_AWAITED : BODY_NONE;
    b->timer.on_time = body_on_time;
    b->pump.run = pump_task;
    b->on_ready.run = body_on_ready;
    root->body = b;
    return b;
}

static void
wait_for_more(struct request_body_data *b)
{
    timer_set(&b->timer, HTTP_CONF(b->r)->client_body_timeout_ms);
}

/* Whether `more` bytes may be added; the limit is that of the location that the request is in now. */
static bool
size_is_allowed(struct request_body_data *b, const struct request *asker, uint64_t more)
{
    uint64_t max = HTTP_CONF(asker)->client_max_body_size;

    if (max == 0 || b->received + more <= max)
        return true;
    if (b->r->body_chunked)
        xlog(&b->r->x, LOG_LEVEL_ERROR, 0,
             "client intended to send too large chunked body: %llu+%llu bytes",
             (unsigned long long)b->received, (unsigned long long)more);
    else
        xlog(&b->r->x, LOG_LEVEL_ERROR, 0, "client intended to send too large body: %llu bytes",
             (unsigned long long)(b->received + more));
    return false;
}

static uint64_t
batch_bytes(const struct batch *batch)
{
    uint64_t n = 0;

    for (uint8_t i = 0; i < batch->n; i++)
        n += batch->piece[i].len;
    return n;
}

static bool
open_source(struct request_body_data *b)
{
    b->source = b->r->codec->body(&b->r->x);
    if (b->source == NULL)
        return false;
    exchange_on_ready(&b->r->x, &b->on_ready);
    b->r->codec->want_body(&b->r->x);
    return true;
}

/* ---- collecting ---- */

/* A piece lies in the room that the spool gave, in the head's buffer (which lives as long), or elsewhere. */
static bool
store_piece(struct request_body_data *b, const struct piece *p, const struct iovec *room)
{
    const char *from = room->iov_base;
    const struct buf *head = b->r->x.mem->head;

    if (from != NULL && p->mem >= from && p->mem < from + room->iov_len) {
        spool_commit(b->spool, p->len);
        return true;
    }
    if (spool_size(b->spool) == 0 && head != NULL && p->mem >= head->mem &&
        p->mem < head->mem + head->cap) {
        spool_lend(b->spool, str_n(p->mem, p->len));
        return true;
    }
    return spool_append(b->spool, str_n(p->mem, p->len));
}

/* One pull into the spool. False: nothing more for now. */
static bool
collect_step(struct request_body_data *b)
{
    struct iovec room = { .iov_base = NULL };
    struct batch batch;
    enum pull after;
    size_t hint = 0;

    if (b->r->content_length > 0)
        hint = (size_t)num_min((uint64_t)b->r->content_length - b->received, PULL_WANT);
    /* the first bytes lie in the head's buffer most often */
    if (b->received > 0 && spool_room(b->spool, &room, 1, hint) == 0)
        return false; /* on_space comes */
    if (spool_ended(b->spool) ==
        SPOOL_FAILED) { /* neither memory nor disk: the rest is not wanted */
        body_fail(b, 500);
        return false;
    }

    batch_init(&batch, PULL_WANT, PIECE_MEM);
    batch.room = room.iov_base;
    batch.room_len = (uint32_t)num_min(room.iov_len, PULL_WANT);
    after = source_pull(b->source, &batch);
    if (!size_is_allowed(b, request_of(b->waiter), batch_bytes(&batch))) {
        body_fail(b, 413);
        return false;
    }
    for (uint8_t i = 0; i < batch.n; i++) {
        b->received += batch.piece[i].len;
        if (!store_piece(b, &batch.piece[i], &room)) {
            body_fail(b, 500);
            return false;
        }
    }
    switch (after) {
    case PULL_MORE:
        return true;
    case PULL_WAIT:
        wait_for_more(b);
        return false;
    case PULL_END:
        close_source(b, STOP_DONE);
        spool_seal(b->spool, SPOOL_COMPLETE);
        b->state = BODY_COMPLETE;
        return false;
    case PULL_FAILED:
        body_fail(b, 400);
        return false;
    }
    return false;
}

/* Takes what is there, but not for ever: others wait too. */
static void
collect(struct request_body_data *b)
{
    uint64_t before = b->received;

    while (collect_step(b)) {
        if (b->received - before >= TURN_MAX) {
            task_ready(&b->pump);
            return;
        }
    }
}

static void
pump_task(struct task *t)
{
    struct request_body_data *b = CONTAINER_OF(t, struct request_body_data, pump);

    if (b->state == BODY_STREAMING && b->on_more != NULL)
        b->on_more(b->on_more_data);
    if (b->state != BODY_COLLECTING)
        return;
    collect(b);
    if (b->state == BODY_COMPLETE)
        phase_resume(b->waiter);
}

static void
on_spool_space(void *data)
{
    struct request_body_data *b = data;

    task_ready(&b->pump);
}

static bool
make_spool(struct request_body_data *b, const struct http_conf *c)
{
    b->spool = spool_new(b->r->x.mem, SPOOL_KEEP, c->client_body_buffer_size, UINT64_MAX,
                         &c->client_body_temp_path);
    if (b->spool == NULL)
        return false;
    spool_on_space(b->spool, on_spool_space, b);
    if (c->client_body_in_file_only != BODY_FILE_OFF)
        spool_in_file_only(b->spool, c->client_body_in_file_only == BODY_FILE_ON);
    return true;
}

static enum phase_result
start_collecting(struct request_body_data *b, struct request *asker)
{
    uint64_t length = b->r->content_length > 0 ? (uint64_t)b->r->content_length : 0;

    b->waiter = &asker->x;
    if (!size_is_allowed(b, asker, length)) {
        body_fail(b, 413);
        return PHASE_WAIT;
    }
    if (!make_spool(b, HTTP_CONF(asker)) || !open_source(b)) {
        body_fail(b, 500);
        return PHASE_WAIT;
    }
    b->state = BODY_COLLECTING;
    collect(b);
    return PHASE_WAIT;
}

static enum phase_result
answer_failure(struct request_body_data *b, struct request *asker)
{
    if (b->answered)
        return PHASE_NEXT; /* the error page's location asks again: there is none for it */
    b->answered = true;
    if (b->status == 408) { /* nobody reads there: closed and logged, as nginx does */
        b->r->res.status = 408;
        b->r->codec->abort(&b->r->x, ABORT_CLOSE);
        return PHASE_DONE;
    }
    return phase_respond(&asker->x, b->status);
}

enum phase_result
request_body_collect(struct request *r)
{
    struct request_body_data *b = body_data(root_of(r));

    if (r->without_body)
        return PHASE_NEXT;
    if (b == NULL)
        return phase_respond(&r->x, 500);
    if (b->state == BODY_AWAITED)
        (void)start_collecting(b, r);

    switch (b->state) {
    case BODY_NONE:
    case BODY_COMPLETE:
    case BODY_DISCARDING: /* after an error page's redirect: as if there were none */
        return PHASE_NEXT;
    case BODY_AWAITED:
    case BODY_COLLECTING:
        b->waiter = &r->x;
        return PHASE_WAIT;
    case BODY_STREAMING: /* somebody has read parts of it, and nobody else can */
        return phase_respond(&r->x, 500);
    case BODY_FAILED:
        return answer_failure(b, r);
    }
    return PHASE_NEXT;
}

/* ---- streaming ---- */

static enum pull
reader_pull(struct source *s, struct batch *batch)
{
    struct request_body_data *b = CONTAINER_OF(s, struct request_body_data, reader);
    uint8_t before = batch->n;
    uint64_t bytes = 0;
    enum pull after;

    if (b->state == BODY_FAILED)
        return PULL_FAILED;
    if (b->source == NULL)
        return PULL_END;
    after = source_pull(b->source, batch);
    for (uint8_t i = before; i < batch->n; i++)
        bytes += batch->piece[i].len;
    if (!size_is_allowed(b, b->r, bytes)) {
        batch->n = before;
        b->state = BODY_FAILED;
        b->status = 413;
        after = PULL_FAILED;
    }
    b->received += bytes;
    if (after == PULL_WAIT)
        wait_for_more(b);
    else
        timer_stop(&b->timer);
    if (after == PULL_FAILED && b->state != BODY_FAILED) {
        b->state = BODY_FAILED;
        b->status = 400;
    }
    if (after == PULL_FAILED)
        b->r->keepalive = false;
    /* the codec's source stays until its last bytes have been used: stopped with the reader */
    if (after == PULL_END)
        b->state = BODY_COMPLETE;
    return after;
}

static void
reader_stop(struct source *s, enum stop why)
{
    struct request_body_data *b = CONTAINER_OF(s, struct request_body_data, reader);

    close_source(b, why);
    if (b->state == BODY_STREAMING)
        b->state = BODY_DISCARDING;
}

static const struct source_ops reader_ops = { reader_pull, reader_stop };

struct source *
request_body_stream(struct request *r)
{
    struct request_body_data *b = body_data(root_of(r));

    if (r->without_body || b == NULL || b->state != BODY_AWAITED || !open_source(b))
        return NULL;
    b->state = BODY_STREAMING;
    b->reader = (struct source){ .ops = &reader_ops, .x = &r->x };
    return &b->reader; /* no checker: who reads is woken by request_body_on_more */
}

void
request_body_on_more(struct request *r, void (*fn)(void *data), void *data)
{
    struct request_body_data *b = root_of(r)->body;

    if (b != NULL) {
        b->on_more = fn;
        b->on_more_data = data;
    }
}

/* ---- the rest ---- */

struct source *
request_body_open(struct request *r, struct exchange *reader)
{
    struct request_body_data *b = root_of(r)->body;

    if (r->without_body || b == NULL || b->state != BODY_COMPLETE || b->spool == NULL)
        return NULL;
    return spool_open(b->spool, reader, 0);
}

void
request_body_discard(struct request *r)
{
    struct request_body_data *b;

    if (r->x.root != &r->x) /* its parent may want it yet */
        return;
    b = body_data(r);
    if (b != NULL && b->state == BODY_AWAITED)
        b->state = BODY_DISCARDING;
}

enum body_state
request_body_state(const struct request *r)
{
    const struct request *root = root_of(r);

    if (r->without_body)
        return BODY_NONE;
    if (root->body != NULL)
        return root->body->state;
    return has_body(root) ? BODY_AWAITED : BODY_NONE;
}

int
request_body_status(const struct request *r)
{
    const struct request_body_data *b = root_of(r)->body;

    return b != NULL && b->state == BODY_FAILED ? b->status : 0;
}

int64_t
request_body_length(const struct request *r)
{
    const struct request *root = root_of(r);
    enum body_state state = request_body_state(r);

    if (r->without_body || state == BODY_DISCARDING || state == BODY_FAILED)
        return 0;
    if (root->body_chunked)
        return -1;
    return root->content_length > 0 ? root->content_length : 0;
}

uint64_t
request_body_received(const struct request *r)
{
    const struct request_body_data *b = root_of(r)->body;

    return b != NULL && !r->without_body ? b->received : 0;
}

struct str
request_body_text(struct request *r)
{
    struct request_body_data *b = root_of(r)->body;

    if (b == NULL || b->state != BODY_COMPLETE || b->spool == NULL)
        return STR_NONE;
    return spool_in_memory(b->spool);
}

struct str
request_body_file(struct request *r)
{
    struct request_body_data *b = root_of(r)->body;

    return b != NULL && b->spool != NULL ? spool_file_path(b->spool) : STR_NONE;
}

void
request_body_ready(struct request *r)
{
    struct request_body_data *b = r->body;

    if (b == NULL)
        return;
    timer_stop(&b->timer);
    if (b->state == BODY_COLLECTING)
        task_ready(&b->pump);
    else if (b->state != BODY_AWAITED && b->state != BODY_DISCARDING)
        tell_reader(b); /* streaming, or a tunnel whose body is over */
}

void
request_body_share(struct request *child, struct request *parent)
{
    struct request_body_data *b = body_data(root_of(parent));

    child->body = b;
    if (b != NULL)
        b->shares++;
}

void
request_body_stop(struct request *r)
{
    struct request_body_data *b = r->body;

    if (b == NULL || b->shares > 0)
        return;
    timer_forget(&b->timer);
    task_cancel(&b->pump);
    close_source(b, STOP_DONE);
    b->waiter = NULL;
    if (b->state != BODY_COMPLETE)
        b->state = BODY_AWAITED; /* by nobody any more */
}

void
request_body_end(struct request *r)
{
    struct request_body_data *b = r->body;

    if (b == NULL)
        return;
    request_body_stop(r);
    r->body = NULL;
    if (b->shares > 0) {
        b->shares--;
        return;
    }
    if (b->spool != NULL)
        spool_free(b->spool);
    b->spool = NULL;
}
