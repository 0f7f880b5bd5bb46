/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_output.c - a response on its way to an HTTP/1 client.
 *
 * The head is formatted into a pooled buffer and the body is pulled into the rest of it, so that a small response leaves
 * in one send. What the source made in that room, or has in memory up to 4 kB, becomes part of the buffer; everything else
 * goes out from where it lies, by one call for memory and one for each file or pipe, before the source is pulled again.
 * A response that is followed by a complete pipelined request waits in the buffer for the next one.
 */
#include "worker/h1/h1_conn.h"

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "worker/core/cycle.h"
#include "worker/http/request_body.h"

enum {
    OUT_SIZE = 16 * 1024,
    OUT_MAX = 1024 * 1024,      /* of a head */
    COPY_MAX = 4096,            /* bytes of memory that are copied behind the head */
    ROOM_MIN = 2048,            /* less: what is there is sent first */
    TURN_MAX = 2 * 1024 * 1024, /* bytes sent for one exchange before others have their turn */
    CHUNK_RESERVE = 6,          /* "ffff" CR LF: the size of what fits into OUT_SIZE */
    TAIL_RESERVE = 16,          /* CR LF, and the last chunk */
    IOV_MAX_USED = BATCH_PIECES + 3,
};

/* ---- the buffer ---- */

bool
h1_output_room(struct h1 *h, size_t n)
{
    struct buf *bigger;

    if (h->out == NULL)
        h->out = buf_get(num_max(n, OUT_SIZE));
    if (h->out == NULL)
        return false;
    if (buf_space(h->out) >= n)
        return true;
    bigger = buf_resize(h->out, buf_len(h->out) + n);
    if (bigger == NULL)
        return false;
    h->out = bigger;
    return true;
}

static void
count_sent(struct request *r, const struct h1_run *run, uint64_t n)
{
    r->bytes_sent += n;
    r->body_sent = r->bytes_sent > run->head_len ? r->bytes_sent - run->head_len : 0;
}

/* Bytes that were written to the end of `out`. */
static void
out_appended(struct h1 *h, size_t n)
{
    h->out->end += (uint32_t)n;
    count_sent(h->r, h->run, n);
}

/* ---- the head ---- */

static enum h1_ending
choose_ending(struct request *r)
{
    struct response *res = &r->res;

    if (res->tunnel || res->status < 200 || res->status == 204 || res->status == 304)
        return H1_END_NONE;
    if (res->length < 0 && res->body == NULL && !res->head_only)
        res->length = 0;
    if (res->length >= 0)
        return H1_END_LENGTH;
    if (res->head_only)
        return H1_END_NONE; /* RFC 9112, 6.1: may say how GET would be framed; nginx says nothing */
    if (r->version == HTTP_11 && HTTP_CONF(r)->chunked_transfer_encoding)
        return H1_END_CHUNKED;
    return H1_END_CLOSE;
}

/* A client that asked whether to send its body and got the final answer instead may send it or not: where its next
 * request begins is not known. */
static bool
expectation_is_open(const struct h1 *h)
{
    return h->r->expect_continue && !h->run->continue_sent && !h->body.done;
}

static bool
contains(struct str text, struct str part)
{
    return str_search(text, part) < text.len;
}

/* Bits of keepalive_disable; 1 is "none". */
enum { KEEPALIVE_MSIE6 = 2, KEEPALIVE_SAFARI = 4 };

/* Old browsers that fail on kept connections. */
static bool
browser_breaks_keepalive(const struct request *r)
{
    uint32_t disabled = HTTP_CONF(r)->keepalive_disable;
    struct str agent;

    if ((disabled & KEEPALIVE_MSIE6) && r->method == METHOD_POST) {
        agent = fields_value(&r->fields, FIELD_USER_AGENT);
        if (contains(agent, S("MSIE 6.")) || contains(agent, S("MSIE 5.")) ||
            contains(agent, S("MSIE 4.")))
            return true;
    }
    if (disabled & KEEPALIVE_SAFARI) {
        agent = fields_value(&r->fields, FIELD_USER_AGENT);
        return contains(agent, S("Safari/")) && contains(agent, S("Mac OS X")) &&
               !contains(agent, S("Chrome/"));
    }
    return false;
}

static bool
choose_keepalive(const struct h1 *h)
{
    const struct request *r = h->r;
    const struct http_conf *conf = HTTP_CONF(r);

    return r->keepalive && !r->res.no_keepalive && h->run->ending != H1_END_CLOSE &&
           conf->keepalive_timeout_ms > 0 && h->c->requests < conf->keepalive_requests &&
           (conf->keepalive_time_ms == 0 || clock_ms - h->c->opened_ms < conf->keepalive_time_ms) &&
           !(h1_is_leaving(h) && (h->in == NULL || buf_len(h->in) == 0)) && !h->body.bad &&
           request_body_state(r) != BODY_FAILED && !expectation_is_open(h) &&
           !browser_breaks_keepalive(r);
}

/* "Server: ..." of the scope; with variables in its text it is made here. */
static struct str
server_line(struct request *r)
{
    const struct http_conf *conf = HTTP_CONF(r);
    struct str text;

    if (conf->server_line.ptr != NULL)
        return conf->server_line;
    text = template_expand(&r->x, &conf->server_tokens_text);
    if (text.len == 0 || !field_value_valid(text))
        return S("");
    text = arena_fmt(request_arena(r), "Server: %.*s\r\n", STR(text));
    return text.ptr != NULL ? text : S("");
}

static uint64_t
rate_of(struct request *r, const struct template *t)
{
    uint64_t n = 0;

    if (t->set)
        (void)num_parse_size(template_expand(&r->x, t), &n);
    return n;
}

static void
start_rate(struct h1 *h)
{
    struct request *r = h->r;
    const struct http_conf *conf = HTTP_CONF(r);

    if (!r->limit_rate_set) {
        r->limit_rate = rate_of(r, &conf->limit_rate);
        r->limit_rate_after = rate_of(r, &conf->limit_rate_after);
    }
    h->run->rate = (struct rate){ .bytes_per_s = r->limit_rate,
                                  .after = r->limit_rate_after,
                                  .started_ms = clock_ms };
}

bool
h1_output_head(struct h1 *h)
{
    struct request *r = h->r;
    struct h1_run *run = h->run;
    const struct http_conf *conf = HTTP_CONF(r);
    struct h1_head head;

    if (run->head_done)
        return true;
    if (request_body_state(r) == BODY_AWAITED)
        request_body_discard(r);
    /* what is wrong with a body that came with its head is known before the head says "keep-alive" */
    if (request_body_state(r) == BODY_DISCARDING && !h->body.done)
        (void)h1_body_skip(h);
    run->ending = choose_ending(r);
    run->keepalive = choose_keepalive(h);
    run->promised = run->ending == H1_END_LENGTH && !r->res.head_only ? (uint64_t)r->res.length : 0;
    head = (struct h1_head){ .res = &r->res,
                             .ending = run->ending,
                             .server_line = server_line(r),
                             .date = clock_http_date(),
                             .keepalive = run->keepalive,
                             .keepalive_s = conf->keepalive_header_s };
    start_rate(h);

    for (size_t room = ROOM_MIN; room <= OUT_MAX; room *= 4) {
        struct text t;

        if (!h1_output_room(h, room))
            return false;
        text_init_fixed(&t, h->out->mem + h->out->end, buf_space(h->out));
        h1_write_head(&t, &head);
        if (t.failed)
            continue;
        run->head_len = t.len;
        out_appended(h, t.len);
        run->head_done = true;
        return true;
    }
    xlog(&r->x, LOG_LEVEL_ERROR, 0, "response header is larger than %d bytes", (int)OUT_MAX);
    return false;
}

/* ---- sending ---- */

static bool
pieces_wait(const struct h1_run *run)
{
    return run->piece < run->batch.n || run->chunk_end_left > 0;
}

bool
h1_output_has_pieces(const struct h1 *h)
{
    return h->run != NULL && pieces_wait(h->run);
}

static bool
anything_waits(const struct h1 *h)
{
    return (h->out != NULL && buf_len(h->out) > 0) || h1_output_has_pieces(h);
}

static void
iov_add(struct iovec *iov, int *n, const char *mem, uint64_t len, uint64_t *max)
{
    len = num_min(len, *max);
    if (len == 0)
        return;
    iov[(*n)++] = (struct iovec){ (void *)(uintptr_t)mem, (size_t)len };
    *max -= len;
}

/* Memory that is next to go, at most `max` bytes, up to the first piece that is none. */
static int
gather(const struct h1 *h, struct iovec iov[IOV_MAX_USED], uint64_t max, bool *more)
{
    const struct h1_run *run = h->run;
    int n = 0;

    *more = false;
    if (h->out != NULL)
        iov_add(iov, &n, h->out->mem + h->out->start, buf_len(h->out), &max);
    if (run == NULL)
        return n;
    iov_add(iov, &n, run->chunk_size + run->chunk_size_at,
            (uint64_t)(H1_CHUNK_SIZE_MAX - run->chunk_size_at), &max);
    for (uint8_t i = run->piece; i < run->batch.n; i++) {
        const struct piece *p = &run->batch.piece[i];
        uint64_t at = i == run->piece ? run->piece_at : 0;

        if (p->kind != PIECE_MEM) {
            /* A head that is held back until the file follows makes large responses dearer, not cheaper (100 kB on
             * loopback: 25 us against 13), so only where somebody asks for it. */
            *more = HTTP_CONF(h->r)->tcp_nopush;
            return n;
        }
        iov_add(iov, &n, p->mem + at, p->len - at, &max);
    }
    iov_add(iov, &n, &"\r\n"[2 - run->chunk_end_left], run -> chunk_end_left, &max);
    return n;
}

static void
advance_pieces(struct h1_run *run, uint64_t *taken)
{
    while (*taken > 0 && run->piece < run->batch.n) {
        uint64_t left = run->batch.piece[run->piece].len - run->piece_at;

        if (*taken < left) {
            run->piece_at += *taken;
            *taken = 0;
            return;
        }
        *taken -= left;
        run->piece++;
        run->piece_at = 0;
    }
}

/* `taken` bytes have left, in the order in which gather names them. */
static void
advance(struct h1 *h, uint64_t taken)
{
    struct h1_run *run = h->run;
    uint64_t part;

    if (h->out != NULL) {
        part = num_min(taken, buf_len(h->out));
        h->out->start += (uint32_t)part;
        taken -= part;
        if (buf_len(h->out) == 0)
            h->out->start = h->out->end = 0;
    }
    if (run == NULL)
        return;
    count_sent(h->r, run, taken); /* what was in `out` has been counted */
    part = num_min(taken, (uint64_t)(H1_CHUNK_SIZE_MAX - run->chunk_size_at));
    run->chunk_size_at += (uint8_t)part;
    taken -= part;
    advance_pieces(run, &taken);
    run->chunk_end_left -= (uint8_t)taken;
}

/* A second write before the peer has answered would wait for its acknowledgement (Nagle). Set when it is first needed: a
 * connection whose responses all leave in one send never needs it. */
static void
want_nodelay(struct h1 *h)
{
    const struct http_conf *conf;

    if (!h->wrote || h->nodelay)
        return;
    conf = h->r != NULL ? HTTP_CONF(h->r) : h1_conn_conf(h);
    if (conf->tcp_nodelay && h->c->peer.sa.sa_family != AF_UNIX)
        socket_nodelay(h->c->watch.fd, true);
    h->nodelay = true;
}

static enum io
write_piece(struct h1 *h, uint64_t max, size_t *taken)
{
    struct h1_run *run = h->run;
    const struct piece *p = &run->batch.piece[run->piece];
    uint64_t len = num_min(p->len - run->piece_at, max);
    uint64_t step = HTTP_CONF(h->r)->sendfile_max_chunk;
    bool more = run->piece + 1 < run->batch.n || run->chunk_end_left > 0 ||
                (run->pulled && run->after == PULL_MORE);

    if (p->kind == PIECE_PIPE)
        return h->c->ops->write_pipe(h->c, p->fd, (size_t)len, more, taken);
    if (step > 0)
        len = num_min(len, step);
    return h->c->ops->write_file(h->c, p->fd, p->at + run->piece_at, (size_t)len, more, taken);
}

/* Sends what waits, at most *budget bytes. */
static enum h1_sent_state
send_waiting(struct h1 *h, uint64_t *budget)
{
    while (anything_waits(h)) {
        struct iovec iov[IOV_MAX_USED];
        size_t taken = 0;
        bool more;
        enum io io;
        int n;

        if (*budget == 0)
            return H1_OUT_LIMITED;
        n = gather(h, iov, *budget, &more);
        want_nodelay(h);
        io = n > 0 ? conn_write(h->c, iov, n, more, &taken) : write_piece(h, *budget, &taken);
        h->wrote = true;
        advance(h, taken);
        *budget -= num_min(taken, *budget);
        if (io == IO_AGAIN)
            return H1_OUT_BLOCKED;
        if (io != IO_OK)
            return H1_OUT_FAILED;
    }
    return H1_OUT_SENT;
}

enum h1_sent_state
h1_output_flush(struct h1 *h)
{
    uint64_t all = UINT64_MAX;

    return send_waiting(h, &all);
}

/* ---- waiting for the client, the rate, our turn ---- */

static void
wait_for_client(struct h1 *h)
{
    if (!h->run->blocked)
        timer_set(&h->c->timer, HTTP_CONF(h->r)->send_timeout_ms);
    h->run->blocked = true;
}

/* Bytes that may go now: our turn's rest, and what the rate allows. 0: something will go on with it later. */
static uint64_t
allowed_now(struct h1 *h, uint64_t turn)
{
    struct h1_run *run = h->run;
    uint64_t wait_ms = 0, rate;

    if (turn == 0) {
        exchange_ready(&h->r->x);
        return 0;
    }
    if (h->r->limit_rate == 0)
        return turn;
    run->rate.bytes_per_s = h->r->limit_rate;
    run->rate.passed =
        h->r->bytes_sent - num_min(h->r->bytes_sent, h->out != NULL ? buf_len(h->out) : 0);
    rate = rate_allowed(&run->rate, clock_ms, &wait_ms);
    if (rate == 0) {
        run->rate_wait = true;
        timer_set(&h->c->timer, num_max(wait_ms, 1));
    }
    return num_min(rate, turn);
}

/* False: it goes on later, or not at all. *turn is what this call may still send. */
static bool
send_now(struct h1 *h, uint64_t *turn)
{
    while (anything_waits(h)) {
        uint64_t allowed = allowed_now(h, *turn), left = allowed;
        enum h1_sent_state sent;

        if (allowed == 0)
            return false;
        sent = send_waiting(h, &left);
        *turn -= num_min(*turn, allowed - left);
        if (allowed > left && h->run->blocked) { /* the client has moved */
            h->run->blocked = false;
            timer_stop(&h->c->timer);
        }
        if (sent == H1_OUT_BLOCKED) {
            wait_for_client(h);
            return false;
        }
        if (sent == H1_OUT_FAILED) {
            h1_client_lost(h);
            return false;
        }
    }
    return true;
}

/* ---- the body ---- */

static uint64_t
batch_bytes(const struct batch *b)
{
    uint64_t n = 0;

    for (uint8_t i = 0; i < b->n; i++)
        n += b->piece[i].len;
    return n;
}

/* Where a batch's bytes lie. */
enum placing {
    PLACED_IN_ROOM, /* one behind the other in the room */
    PLACED_SMALL,   /* elsewhere in memory, few enough to be copied */
    PLACED_AWAY,    /* sent from where they are */
};

static enum placing
placing_of(const struct batch *b, const char *room, uint64_t room_len, uint64_t total)
{
    const char *next = room;
    bool in_room = room != NULL, small = room != NULL && total <= COPY_MAX && total <= room_len;

    for (uint8_t i = 0; i < b->n; i++) {
        const struct piece *p = &b->piece[i];

        if (p->kind != PIECE_MEM)
            return PLACED_AWAY;
        if (p->mem != next)
            in_room = false;
        if (room != NULL && p->mem >= room && p->mem < room + room_len)
            small = false;
        next = p->mem + p->len;
    }
    return in_room ? PLACED_IN_ROOM : small ? PLACED_SMALL : PLACED_AWAY;
}

/* The batch's bytes become the end of `out`, framed. They begin CHUNK_RESERVE behind it when there are chunks. */
static void
place_in_out(struct h1 *h, enum placing placing, char *room, uint64_t total)
{
    struct h1_run *run = h->run;
    char *end = h->out->mem + h->out->end;
    unsigned size_len;

    if (placing == PLACED_SMALL) {
        char *to = room;

        for (uint8_t i = 0; i < run->batch.n; i++) {
            memcpy(to, run->batch.piece[i].mem, run->batch.piece[i].len);
            to += run->batch.piece[i].len;
        }
    }
    run->batch.n = run->piece = 0;
    if (run->ending != H1_END_CHUNKED) {
        out_appended(h, total);
        return;
    }
    size_len = h1_chunk_size_before(room, total);
    if (end != room - size_len)
        memmove(end, room - size_len, size_len + total);
    memcpy(end + size_len + total, "\r\n", 2);
    out_appended(h, size_len + total + 2);
}

static void
frame_pieces(struct h1_run *run, uint64_t total)
{
    run->piece = 0;
    run->piece_at = 0;
    if (run->ending != H1_END_CHUNKED)
        return;
    run->chunk_size_at =
        (uint8_t)(H1_CHUNK_SIZE_MAX -
                  h1_chunk_size_before(run->chunk_size + H1_CHUNK_SIZE_MAX, total));
    run->chunk_end_left = 2;
}

/* Cuts what goes beyond the length that the head has promised: framing holds whatever a source does. */
static uint64_t
keep_promise(struct h1 *h, uint64_t total)
{
    struct h1_run *run = h->run;
    uint64_t extra;

    if (run->ending != H1_END_LENGTH)
        return total;
    if (total > run->promised) {
        extra = total - run->promised;
        xlog(&h->r->x, LOG_LEVEL_ALERT, 0, "a body is longer than its head has told");
        run->keepalive = false;
        run->after = PULL_END;
        while (extra > 0) {
            struct piece *p = &run->batch.piece[run->batch.n - 1];
            uint64_t cut = num_min(extra, p->len);

            p->len -= cut;
            extra -= cut;
            if (p->len == 0)
                run->batch.n--;
        }
        total = run->promised;
    }
    run->promised -= total;
    if (run->after == PULL_END && run->promised > 0) {
        xlog(&h->r->x, LOG_LEVEL_ERROR, 0, "a body is shorter than its head has told");
        run->after = PULL_FAILED;
    }
    return total;
}

static uint8_t
kinds_of(const struct h1 *h)
{
    uint8_t kinds = PIECE_MEM | PIECE_PIPE;

    if (HTTP_CONF(h->r)->sendfile)
        kinds |= PIECE_FILE;
    return (uint8_t)(kinds & h->c->ops->kinds);
}

/* One pull. What it brings lies in `out` or waits in the batch. False: memory. */
static bool
pull_body(struct h1 *h, uint64_t want)
{
    struct h1_run *run = h->run;
    struct source *body = h->r->res.body;
    size_t reserve = run->ending == H1_END_CHUNKED ? CHUNK_RESERVE : 0;
    enum placing placing;
    uint64_t total, room_len;
    char *room;

    run->pulled = true;
    run->piece = run->batch.n = 0;
    if (body == NULL) {
        run->after = run->promised > 0 ? PULL_FAILED : PULL_END;
        return true;
    }
    if (!h1_output_room(h, ROOM_MIN))
        return false;
    room = h->out->mem + h->out->end + reserve;
    room_len = num_min(OUT_SIZE, buf_space(h->out) - reserve - TAIL_RESERVE);
    batch_init(&run->batch, want, kinds_of(h));
    run->batch.room = room;
    run->batch.room_len = (uint32_t)room_len;
    run->after = source_pull(body, &run->batch);
    run->flush |= run->batch.flush || h->r->res.tunnel;
    total = keep_promise(h, batch_bytes(&run->batch));
    if (total == 0)
        return true;
    placing = placing_of(&run->batch, room, room_len, total);
    if (placing == PLACED_AWAY)
        frame_pieces(run, total);
    else
        place_in_out(h, placing, room, total);
    return true;
}

/* The last chunk. False: memory. */
static bool
end_body(struct h1 *h)
{
    struct h1_run *run = h->run;

    if (run->last_done)
        return true;
    run->last_done = true;
    if (run->ending != H1_END_CHUNKED || h->r->res.head_only)
        return true;
    for (size_t room = TAIL_RESERVE - 2; room <= OUT_MAX; room = num_max(room * 4, 1024)) {
        struct text t;

        if (!h1_output_room(h, room))
            return false;
        text_init_fixed(&t, h->out->mem + h->out->end, buf_space(h->out));
        h1_write_last_chunk(&t, response_trailers(h->r));
        if (t.failed)
            continue;
        out_appended(h, t.len);
        return true;
    }
    return false;
}

/* The whole response lies in `out` and a complete request waits behind it: both responses leave together. */
static bool
may_wait_for_next(struct h1 *h)
{
    return h->run->keepalive && h->body.done && !pieces_wait(h->run) && h->r->limit_rate == 0 &&
           h->out != NULL && buf_space(h->out) >= OUT_SIZE / 4 && h1_next_is_complete(h);
}

static void
finish(struct h1 *h, uint64_t *turn)
{
    if (may_wait_for_next(h)) {
        task_flush(&h->send);
        exchange_finish(&h->r->x);
        return;
    }
    if (!send_now(h, turn))
        return;
    if (!h->run->keepalive && h->c->ops->ending != NULL)
        h->c->ops->ending(h->c);
    switch (h->c->ops->flush(h->c)) {
    case IO_OK:
        exchange_finish(&h->r->x);
        break;
    case IO_AGAIN:
        wait_for_client(h);
        break;
    case IO_EOF:
    case IO_ERROR:
        h1_client_lost(h);
        break;
    }
}

/* The client sees that something is missing: no last chunk, too few bytes, or RST where the end itself is the sign. */
static void
cut_response(struct h1 *h)
{
    (void)h1_output_flush(h);
    h->run->closing = true;
    h->run->reset = h->run->ending == H1_END_CLOSE;
    exchange_abort(&h->r->x, STOP_FAILED);
}

/* The client has gone and the exchange goes on: its bytes are pulled and forgotten. */
static void
forget_body(struct h1 *h)
{
    uint64_t total = 0;
    struct batch b;
    enum pull after;

    do {
        if (h->r->res.body == NULL) {
            exchange_finish(&h->r->x);
            return;
        }
        batch_init(&b, TURN_MAX, PIECE_MEM);
        after = source_pull(h->r->res.body, &b);
        total += batch_bytes(&b);
    } while (after == PULL_MORE && total < TURN_MAX);
    if (after == PULL_END || after == PULL_FAILED)
        exchange_finish(&h->r->x);
    else if (after == PULL_MORE)
        exchange_ready(&h->r->x);
}

void
h1_output(struct h1 *h)
{
    struct h1_run *run = h->run;
    uint64_t turn = TURN_MAX, want;

    if (run->gone) {
        forget_body(h);
        return;
    }
    if (run->rate_wait || (run->blocked && !(h->c->bits & (CONN_WRITABLE | CONN_ERROR))))
        return;
    if (!h1_output_head(h)) {
        cut_response(h);
        return;
    }
    if (h->r->res.tunnel && h->r->res.body == NULL) {
        (void)send_now(h, &turn); /* take_conn or tunnel_ended follow */
        return;
    }
    for (;;) {
        bool over = run->pulled && (run->after == PULL_END || run->after == PULL_FAILED);

        if (pieces_wait(run) && !send_now(h, &turn))
            return;
        if (over && run->after == PULL_FAILED) {
            cut_response(h);
            return;
        }
        if (over) {
            if (end_body(h))
                finish(h, &turn);
            else
                cut_response(h);
            return;
        }
        if (h->out != NULL && buf_space(h->out) < ROOM_MIN && !send_now(h, &turn))
            return;
        want = allowed_now(h, turn);
        if (want == 0)
            return;
        if (!pull_body(h, want)) {
            cut_response(h);
            return;
        }
        if (run->after != PULL_WAIT)
            continue;
        if (run->flush || run->blocked || pieces_wait(run) ||
            (h->out != NULL && buf_len(h->out) >= HTTP_CONF(h->r)->postpone_output)) {
            if (send_now(h, &turn))
                run->flush = false;
        }
        return;
    }
}
