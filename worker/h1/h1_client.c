/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_client.c - HTTP/1.1 towards origins: sends a request, reads its response, says whether the connection lives on.
 */
#include "worker/h1/h1_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/base/num.h"

enum {
    IN_SIZE = 16 * 1024,    /* one read holds head and body of a small response */
    BODY_WANT = 256 * 1024, /* bytes of the request body asked for at once */
    IOV_MAX_USED = BATCH_PIECES + 3,
};

void
h1_client_init(struct h1_client *h, struct conn *c, size_t head_max, bool head_request,
               bool chunked_out)
{
    memset(h, 0, sizeof(*h));
    h->conn = c;
    h->head_max = head_max;
    h->no_body = head_request;
    h->chunked_out = chunked_out;
    h->after = PULL_MORE;
}

/* ---- sending ---- */

struct buf *
h1_client_out(struct h1_client *h, size_t size)
{
    h->out = buf_get(size);
    return h->out;
}

bool
h1_client_head_sent(const struct h1_client *h)
{
    return h->out == NULL;
}

static bool
batch_done(const struct h1_client *h)
{
    return h->batch_at == h->batch.n;
}

/* The coding around what was pulled (RFC 9112, 7.1): size line before it, CRLF and perhaps the last chunk behind. */
static void
chunk_frame(struct h1_client *h)
{
    uint64_t bytes = 0;

    h->chunk_head_at = h->chunk_head_len = 0;
    h->last_chunk = h->after == PULL_END;
    for (uint8_t i = 0; i < h->batch.n; i++)
        bytes += h->batch.piece[i].len;
    if (bytes > 0)
        h->chunk_head_len = (uint8_t)snprintf(h->chunk_head, sizeof(h->chunk_head), "%llx\r\n",
                                              (unsigned long long)bytes);
    h->chunk_tail = (uint8_t)((bytes > 0 ? 2 : 0) + (h->last_chunk ? 5 : 0));
}

static const char chunk_tails[] = "\r\n0\r\n\r\n";

static struct str
chunk_tail(const struct h1_client *h)
{
    size_t end = h->last_chunk ? 7 : 2;

    return str_n(chunk_tails + end - h->chunk_tail, h->chunk_tail);
}

/* What lies in memory and is next to go, up to the first piece that is a file. */
static int
gather(struct h1_client *h, struct iovec iov[IOV_MAX_USED], bool *file_next)
{
    int n = 0;

    *file_next = false;
    if (h->out != NULL)
        iov[n++] = (struct iovec){ h->out->mem + h->out->start, buf_len(h->out) };
    if (h->chunk_head_at < h->chunk_head_len)
        iov[n++] = (struct iovec){ h->chunk_head + h->chunk_head_at,
                                   (size_t)(h->chunk_head_len - h->chunk_head_at) };
    for (uint8_t i = h->batch_at; i < h->batch.n; i++) {
        const struct piece *p = &h->batch.piece[i];
        uint64_t skip = i == h->batch_at ? h->piece_at : 0;

        if (p->kind != PIECE_MEM) {
            *file_next = true;
            return n;
        }
        iov[n++] = (struct iovec){ (void *)(uintptr_t)(p->mem + skip), p->len - skip };
    }
    if (h->chunk_tail > 0)
        iov[n++] = (struct iovec){ (void *)(uintptr_t)chunk_tail(h).ptr, h->chunk_tail };
    return n;
}

static void
advance_piece(struct h1_client *h, size_t *taken)
{
    while (*taken > 0 && !batch_done(h)) {
        uint64_t left = h->batch.piece[h->batch_at].len - h->piece_at;

        if (*taken < left) {
            h->piece_at += *taken;
            *taken = 0;
            return;
        }
        *taken -= left;
        h->batch_at++;
        h->piece_at = 0;
    }
}

static void
advance(struct h1_client *h, size_t taken)
{
    size_t part;

    if (h->out != NULL) {
        part = num_min(taken, buf_len(h->out));
        h->out->start += (uint32_t)part;
        taken -= part;
        if (buf_len(h->out) > 0)
            return;
        buf_put(h->out);
        h->out = NULL;
    }
    part = num_min(taken, (size_t)(h->chunk_head_len - h->chunk_head_at));
    h->chunk_head_at += (uint8_t)part;
    taken -= part;
    advance_piece(h, &taken);
    h->chunk_tail -= (uint8_t)taken;
}

static enum io
send_file_piece(struct h1_client *h, size_t *taken)
{
    const struct piece *p = &h->batch.piece[h->batch_at];

    return h->conn->ops->write_file(h->conn, p->fd, p->at + h->piece_at, p->len - h->piece_at,
                                    false, taken);
}

static bool
nothing_pending(const struct h1_client *h)
{
    return h->out == NULL && batch_done(h) && h->chunk_head_at == h->chunk_head_len &&
           h->chunk_tail == 0;
}

/* Writes what is pending. */
static enum h1_sent
send_pending(struct h1_client *h)
{
    while (!nothing_pending(h)) {
        struct iovec iov[IOV_MAX_USED];
        bool file_next;
        size_t taken = 0;
        int n = gather(h, iov, &file_next);
        enum io io =
            n > 0 ? conn_write(h->conn, iov, n, file_next, &taken) : send_file_piece(h, &taken);

        advance(h, taken);
        if (io == IO_AGAIN)
            return H1_SENT_PART;
        if (io != IO_OK)
            return H1_SENT_FAILED;
    }
    return H1_SENT_ALL;
}

/* The first bytes of a body join the head's buffer and leave with it. */
static void
pull_body(struct h1_client *h, struct source *body)
{
    uint8_t kinds =
        h->chunked_out ? PIECE_MEM : (uint8_t)(h->conn->ops->kinds & (PIECE_MEM | PIECE_FILE));

    batch_init(&h->batch, BODY_WANT, kinds);
    h->batch_at = 0;
    h->piece_at = 0;
    h->after = source_pull(body, &h->batch);
    if (h->chunked_out && h->after != PULL_FAILED)
        chunk_frame(h);
}

enum h1_sent
h1_client_send(struct h1_client *h, struct source *body)
{
    for (;;) {
        enum h1_sent sent;

        if (body != NULL && batch_done(h) && h->chunk_tail == 0 && h->after != PULL_END)
            pull_body(h, body);
        if (h->after == PULL_FAILED)
            return H1_SENT_FAILED;
        sent = send_pending(h);
        if (sent != H1_SENT_ALL)
            return sent;
        if (body == NULL || h->after == PULL_END)
            return H1_SENT_ALL;
        if (h->after == PULL_WAIT)
            return H1_SENT_PART;
    }
}

/* ---- receiving ---- */

size_t
h1_client_buffered(const struct h1_client *h)
{
    return h->in != NULL ? buf_len(h->in) : 0;
}

struct str
h1_client_rest(struct h1_client *h)
{
    struct str rest = h->in != NULL ? buf_str(h->in) : STR_NONE;

    if (h->in != NULL)
        h->in->start = h->in->end;
    return rest;
}

/* Reads behind what is there. */
static enum h1_recv
fill(struct h1_client *h)
{
    size_t got = 0;
    enum io io;

    if (!(h->conn->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) && h->conn->in == NULL)
        return H1_RECV_NOTHING;
    io = conn_read_buf(h->conn, h->in->mem + h->in->end, buf_space(h->in), &got);
    switch (io) {
    case IO_OK:
        h->in->end += (uint32_t)got;
        return H1_RECV_BYTES;
    case IO_AGAIN:
        return H1_RECV_NOTHING;
    case IO_EOF:
        h->eof = true;
        return H1_RECV_CLOSED;
    case IO_ERROR:
        break;
    }
    return H1_RECV_CLOSED;
}

static void
put_buf(void *b)
{
    buf_put(b);
}

/* The head's bytes go to the exchange; what lies behind them moves to a buffer of ours. */
static bool
split_head(struct h1_client *h, struct arena *arena, size_t len)
{
    struct str rest = str_from(buf_str(h->in), len);
    struct buf *next = NULL;

    if (rest.len > 0) {
        next = buf_get(num_max(rest.len, IN_SIZE));
        if (next == NULL)
            return false;
        memcpy(next->mem, rest.ptr, rest.len);
        next->start = 0;
        next->end = (uint32_t)rest.len;
    }
    if (!arena_on_free(arena, put_buf, h->in)) {
        buf_put(next);
        return false;
    }
    h->in = next;
    h->scanned = 0;
    return true;
}

static void
set_framing(struct h1_client *h, const struct h1_response_head *head)
{
    h->framing = head->framing;
    h->left = head->length;
    h->keepalive = head->keepalive;
    if (h->no_body || head->status == 204 || head->status == 304 || head->status < 200)
        h->framing = H1_NO_BODY;
    if (h->framing == H1_UNTIL_CLOSE)
        h->keepalive = false;
    if (h->framing == H1_CHUNKED) {
        struct fields *trailers = h->chunked.trailers;

        memset(&h->chunked, 0, sizeof(h->chunked));
        h->chunked.trailers = trailers;
    }
}

enum h1_recv
h1_client_recv_head(struct h1_client *h, struct arena *arena, struct h1_response_head *head,
                    struct fields *fields, const char **why)
{
    *why = "upstream sent too big header";
    if (h->in == NULL && (h->in = buf_get(num_max(IN_SIZE, h->head_max))) == NULL)
        return H1_RECV_CLOSED;

    for (;;) {
        size_t len = buf_len(h->in) > 0 ? h1_head_end(buf_str(h->in), &h->scanned) : 0;
        enum h1_recv got;
        struct str bytes;

        if (len > h->head_max || (len == 0 && buf_len(h->in) >= h->head_max))
            return H1_RECV_BAD;
        if (len == 0) {
            got = fill(h);
            if (got != H1_RECV_BYTES)
                return got;
            continue;
        }
        bytes = str_upto(buf_str(h->in), len);
        *why = h1_parse_response(bytes, head, fields);
        if (*why != NULL)
            return H1_RECV_BAD;
        if (!split_head(h, arena, len)) {
            *why = "no memory for a response head";
            return H1_RECV_BAD;
        }
        h->head_len = len;
        set_framing(h, head);
        return H1_RECV_HEAD;
    }
}

/* Straight from the connection into the caller's room. */
static enum h1_recv
read_direct(struct h1_client *h, struct iovec *room, int n, uint64_t max, size_t *got)
{
    struct iovec iov[4];
    int used = 0;

    for (; used < n && used < 4 && max > 0; used++) {
        iov[used] = room[used];
        iov[used].iov_len = num_min(iov[used].iov_len, max);
        max -= iov[used].iov_len;
    }
    if (!(h->conn->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) && h->conn->in == NULL)
        return H1_RECV_NOTHING;
    switch (conn_read(h->conn, iov, used, got)) {
    case IO_OK:
        return H1_RECV_BYTES;
    case IO_AGAIN:
        return H1_RECV_NOTHING;
    case IO_EOF:
        h->eof = true;
        return H1_RECV_CLOSED;
    case IO_ERROR:
        break;
    }
    return H1_RECV_CLOSED;
}

/* From what was read behind the head; the caller's first room takes it. */
static size_t
take_buffered(struct h1_client *h, struct iovec *room, uint64_t max)
{
    size_t n = num_min(num_min(buf_len(h->in), room->iov_len), max);

    memcpy(room->iov_base, h->in->mem + h->in->start, n);
    h->in->start += (uint32_t)n;
    return n;
}

static enum h1_recv
recv_length(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    enum h1_recv r = H1_RECV_BYTES;

    if (h->left == 0)
        return H1_RECV_END;
    if (h1_client_buffered(h) > 0)
        *got = take_buffered(h, room, h->left);
    else
        r = read_direct(h, room, n, h->left, got);
    if (r != H1_RECV_BYTES)
        return r;
    h->left -= *got;
    return h->left == 0 ? H1_RECV_END : H1_RECV_BYTES;
}

static enum h1_recv
recv_until_close(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    enum h1_recv r;

    if (h1_client_buffered(h) > 0) {
        *got = take_buffered(h, room, UINT64_MAX);
        return H1_RECV_BYTES;
    }
    r = read_direct(h, room, n, UINT64_MAX, got);
    return r == H1_RECV_CLOSED && h->eof ? H1_RECV_END : r;
}

/* Decodes what is buffered into room until either is used up; data of a large chunk is read in place. */
static enum h1_recv
recv_chunked(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    for (;;) {
        struct str in, data;
        enum h1_chunk c;
        uint64_t left = h1_chunk_left(&h->chunked);
        size_t space = room->iov_len - *got;

        if (h1_client_buffered(h) == 0) {
            enum h1_recv r;

            if (*got > 0 && space == 0)
                return H1_RECV_BYTES;
            if (left >= space && *got == 0) {
                r = read_direct(h, room, n, left, got);
                if (r == H1_RECV_BYTES)
                    h1_chunk_passed(&h->chunked, *got);
                return r;
            }
            if (h->in == NULL && (h->in = buf_get(IN_SIZE)) == NULL)
                return H1_RECV_CLOSED;
            h->in->start = h->in->end = 0;
            r = fill(h);
            if (r != H1_RECV_BYTES)
                return *got > 0 && r == H1_RECV_NOTHING ? H1_RECV_BYTES : r;
        }
        if (space == 0)
            return H1_RECV_BYTES;
        in = str_upto(buf_str(h->in), num_min(buf_len(h->in), space));
        data = STR_NONE;
        {
            size_t before = in.len;

            c = h1_chunk_next(&h->chunked, &in, &data);
            memcpy((char *)room->iov_base + *got, data.ptr, data.len);
            *got += data.len;
            h->in->start += (uint32_t)(before - in.len);
        }
        if (c == CHUNK_END)
            return H1_RECV_END;
        if (c == CHUNK_BAD)
            return H1_RECV_BAD;
    }
}

enum h1_recv
h1_client_recv_body(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    *got = 0;
    switch (h->framing) {
    case H1_NO_BODY:
        return H1_RECV_END;
    case H1_LENGTH:
        return recv_length(h, room, n, got);
    case H1_CHUNKED:
        return recv_chunked(h, room, n, got);
    case H1_UNTIL_CLOSE:
        break;
    }
    return recv_until_close(h, room, n, got);
}

enum h1_recv
h1_client_splice(struct h1_client *h, int pipe_fd, size_t max, size_t *got)
{
    ssize_t n;

    *got = 0;
    if (h->left == 0)
        return H1_RECV_END;
    if (!(h->conn->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)))
        return H1_RECV_NOTHING;
    do
        n = splice(h->conn->watch.fd, NULL, pipe_fd, NULL, num_min(max, h->left),
                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (n < 0 && errno == EINTR);

    if (n < 0 && errno == EAGAIN) {
        h->conn->bits &= (uint8_t)~CONN_READABLE;
        return H1_RECV_NOTHING;
    }
    if (n <= 0) {
        h->conn->error = n < 0 ? errno : 0;
        h->eof = n == 0;
        return H1_RECV_CLOSED;
    }
    *got = (size_t)n;
    h->left -= *got;
    return h->left == 0 ? H1_RECV_END : H1_RECV_BYTES;
}

void
h1_client_tunnel(struct h1_client *h)
{
    h->framing = H1_UNTIL_CLOSE;
    h->keepalive = false;
    h->chunked_out = false;
    h->after = PULL_MORE;
    batch_init(&h->batch, BODY_WANT, PIECE_MEM);
    h->batch_at = 0;
}

/* ---- the end ---- */

static bool
response_read(const struct h1_client *h)
{
    switch (h->framing) {
    case H1_NO_BODY:
        return true;
    case H1_LENGTH:
        return h->left == 0;
    case H1_CHUNKED:
        return true; /* asked only after END */
    case H1_UNTIL_CLOSE:
        break;
    }
    return false;
}

bool
h1_client_end(struct h1_client *h)
{
    bool reusable = h->keepalive && !h->eof && response_read(h) && h1_client_buffered(h) == 0 &&
                    nothing_pending(h) && h->conn->in == NULL &&
                    !(h->conn->bits & (CONN_EOF | CONN_ERROR));

    buf_put(h->out);
    buf_put(h->in);
    h->out = h->in = NULL;
    return reusable;
}
