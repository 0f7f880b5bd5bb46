/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_client.c - HTTP/1.1 towards origins: sends a request, reads its response, says whether the connection lives on.
 *
 * One read brings the head and the body of a small response into one buffer, which goes to the exchange: fields are slices
 * of it, and body bytes are decoded where they lie. Larger bodies are read straight into the caller's room.
 */
#include "worker/h1/h1_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/base/num.h"
#include "worker/tls/tls.h"

enum {
    IN_SIZE = 16 * 1024,    /* one read holds head and body of a small response */
    BODY_WANT = 256 * 1024, /* bytes of the request body asked for at once */
    IOV_MAX_USED = BATCH_PIECES + 3,
    ROOM_IOV_MAX = 4,
};

void
h1_client_init(struct h1_client *h, struct conn *c, size_t head_max, bool head_request,
               bool chunked_out)
{
    memset(h, 0, offsetof(struct h1_client, batch.piece));
    h->conn = c;
    h->head_max = head_max;
    h->head_request = head_request;
    h->chunked_out = chunked_out;
    h->after = PULL_MORE;
}

/* ---- sending ---- */

struct buf *
h1_client_out(struct h1_client *h, size_t size)
{
    buf_put(h->out);
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

/* The rest of "CRLF", of "0 CRLF CRLF", or of both. */
static struct str
chunk_tail(const struct h1_client *h)
{
    static const char tails[] = "\r\n0\r\n\r\n";
    size_t end = h->last_chunk ? 7 : 2;

    return str_n(tails + end - h->chunk_tail, h->chunk_tail);
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

/* `taken` bytes have left, in the order in which gather names them. */
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
    ASSERT(taken <= h->chunk_tail);
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
            return H1_SENT_BLOCKED;
        if (io != IO_OK)
            return H1_SENT_FAILED;
    }
    return H1_SENT_ALL;
}

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

/* The body is pulled before the head goes, so its first bytes leave with the head. */
enum h1_sent
h1_client_send(struct h1_client *h, struct source *body)
{
    for (;;) {
        enum h1_sent sent;

        if (body != NULL && batch_done(h) && h->chunk_tail == 0 && h->after != PULL_END)
            pull_body(h, body);
        if (h->after == PULL_FAILED)
            return H1_SENT_BODY_FAILED;
        sent = send_pending(h);
        if (sent != H1_SENT_ALL)
            return sent;
        if (body == NULL || h->after == PULL_END)
            return H1_SENT_ALL;
        if (h->after == PULL_WAIT)
            return H1_SENT_WAITS;
    }
}

/* ---- reading ---- */

size_t
h1_client_buffered(const struct h1_client *h)
{
    return h->in != NULL ? buf_len(h->in) : 0;
}

static bool
conn_may_have_bytes(const struct conn *c)
{
    return (c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) != 0 || c->in != NULL;
}

static enum h1_recv
read_room(struct h1_client *h, struct iovec *iov, int n, size_t *got)
{
    *got = 0;
    if (!conn_may_have_bytes(h->conn))
        return H1_RECV_NOTHING;
    switch (conn_read(h->conn, iov, n, got)) {
    case IO_OK:
        return H1_RECV_BYTES;
    case IO_AGAIN:
        return H1_RECV_NOTHING;
    case IO_EOF:
        h->conn->error = 0;
        break;
    case IO_ERROR:
        break;
    }
    h->eof = true;
    return H1_RECV_CLOSED;
}

/* Reads behind what `in` holds. */
static enum h1_recv
fill(struct h1_client *h)
{
    struct iovec iov = { h->in->mem + h->in->end, buf_space(h->in) };
    size_t got;
    enum h1_recv r = read_room(h, &iov, 1, &got);

    if (r == H1_RECV_BYTES)
        h->in->end += (uint32_t)got;
    return r;
}

/* Reads the coding of a body into a buffer of ours, which the exchange's is not. */
static enum h1_recv
fill_anew(struct h1_client *h)
{
    if (h->in_is_kept) {
        h->in = NULL;
        h->in_is_kept = false;
    }
    if (h->in == NULL && (h->in = buf_get(IN_SIZE)) == NULL)
        return H1_RECV_NO_MEMORY;
    h->in->start = h->in->end = 0;
    return fill(h);
}

static void
put_buf(void *b)
{
    buf_put(b);
}

/* ---- heads ---- */

/* Room behind the start of a head, and in a buffer that is not full. */
static bool
head_room(struct h1_client *h)
{
    struct buf *next;

    if (h->in != NULL && buf_space(h->in) > 0)
        return true;
    next = buf_get(num_max(IN_SIZE, h->head_max));
    if (next == NULL)
        return false;
    if (h->in != NULL) {
        memcpy(next->mem, h->in->mem + h->in->start, buf_len(h->in));
        next->end = (uint32_t)buf_len(h->in);
        if (!h->in_is_kept)
            buf_put(h->in);
    }
    h->in = next;
    h->in_is_kept = false;
    return true;
}

/* From here on the buffer lives as long as the exchange. */
static bool
keep_buffer(struct h1_client *h, struct arena *arena)
{
    if (!h->in_is_kept && !arena_on_free(arena, put_buf, h->in))
        return false;
    h->in_is_kept = true;
    return true;
}

static void
set_framing(struct h1_client *h, const struct h1_response_head *head)
{
    struct fields *trailers = h->chunked.trailers;

    h->framing = head->framing;
    h->left = head->length;
    h->keepalive = head->keepalive;
    if (h->head_request || head->status == 204 || head->status == 304 || head->status < 200)
        h->framing = H1_NO_BODY;
    if (h->framing == H1_UNTIL_CLOSE)
        h->keepalive = false;
    h->chunked = (struct h1_chunked){ .trailers = trailers };
}

static enum h1_recv
take_head(struct h1_client *h, size_t len, struct arena *arena, struct h1_response_head *head,
          struct fields *fields, const char **why)
{
    *why = h1_parse_response(str_upto(buf_str(h->in), len), head, fields);
    if (*why != NULL)
        return H1_RECV_BAD;
    if (!keep_buffer(h, arena))
        return H1_RECV_NO_MEMORY;
    h->in->start += (uint32_t)len;
    h->head_len = len;
    h->scanned = 0;
    set_framing(h, head);
    return H1_RECV_HEAD;
}

/* A first line that cannot become one of HTTP: answered at once, not after the time for the rest. */
static bool
is_no_http(struct str bytes)
{
    static const char begin[] = "HTTP/1.";
    size_t n = num_min(bytes.len, sizeof(begin) - 1);

    return n > 0 && memcmp(bytes.ptr, begin, n) != 0;
}

enum h1_recv
h1_client_recv_head(struct h1_client *h, struct arena *arena, struct h1_response_head *head,
                    struct fields *fields, const char **why)
{
    for (;;) {
        size_t had = h1_client_buffered(h);
        size_t len = had > 0 ? h1_head_end(buf_str(h->in), &h->scanned) : 0;
        enum h1_recv got;

        if (had > 0 && is_no_http(buf_str(h->in))) {
            *why = "no valid HTTP/1.x header";
            return H1_RECV_BAD;
        }
        if (len > h->head_max || (len == 0 && had >= h->head_max)) {
            *why = "too big header";
            return H1_RECV_BAD;
        }
        if (len > 0)
            return take_head(h, len, arena, head, fields, why);
        if (!head_room(h))
            return H1_RECV_NO_MEMORY;
        got = fill(h);
        if (got != H1_RECV_BYTES)
            return got;
    }
}

/* ---- bodies ---- */

/* Runs of body bytes move together over the coding between them. */
static enum h1_recv
take_chunked(struct h1_client *h, struct str *bytes)
{
    struct str in = buf_str(h->in), data;
    char *to = h->in->mem + h->in->start;

    *bytes = str_n(to, 0);
    for (;;) {
        enum h1_chunk c = h1_chunk_next(&h->chunked, &in, &data);

        h->coding += (h->in->end - h->in->start) - in.len - (c == CHUNK_DATA ? data.len : 0);
        h->in->start = h->in->end - (uint32_t)in.len;
        switch (c) {
        case CHUNK_DATA:
            if (data.ptr != to + bytes->len)
                memmove(to + bytes->len, data.ptr, data.len);
            bytes->len += data.len;
            break;
        case CHUNK_MORE:
            return bytes->len > 0 ? H1_RECV_BYTES : H1_RECV_NOTHING;
        case CHUNK_END:
            return H1_RECV_END;
        case CHUNK_BAD:
            return H1_RECV_BAD;
        }
    }
}

static enum h1_recv
ended(struct h1_client *h)
{
    h->ended = true;
    return H1_RECV_END;
}

static enum h1_recv
ended_if(struct h1_client *h, enum h1_recv r)
{
    return r == H1_RECV_END ? ended(h) : r;
}

enum h1_recv
h1_client_take(struct h1_client *h, struct str *bytes)
{
    size_t n = h1_client_buffered(h);

    *bytes = STR_NONE;
    switch (h->framing) {
    case H1_NO_BODY:
        return ended(h);
    case H1_LENGTH:
        n = num_min(n, h->left);
        h->left -= n;
        break;
    case H1_CHUNKED:
        return n > 0 ? ended_if(h, take_chunked(h, bytes)) : H1_RECV_NOTHING;
    case H1_UNTIL_CLOSE:
        break;
    }
    if (n > 0) {
        *bytes = str_upto(buf_str(h->in), n);
        h->in->start += (uint32_t)n;
    }
    if (h->framing == H1_LENGTH && h->left == 0)
        return ended(h);
    return n > 0 ? H1_RECV_BYTES : H1_RECV_NOTHING;
}

/* Copies what was read behind the head. */
static size_t
copy_buffered(struct h1_client *h, const struct iovec *room, uint64_t max)
{
    size_t n = num_min(num_min(buf_len(h->in), room->iov_len), max);

    memcpy(room->iov_base, h->in->mem + h->in->start, n);
    h->in->start += (uint32_t)n;
    return n;
}

/* Asks for more than the rest where there is room: a short read then says that nothing follows. */
static enum h1_recv
recv_length(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    enum h1_recv r = H1_RECV_BYTES;

    if (h->left == 0)
        return H1_RECV_END;
    if (h1_client_buffered(h) > 0)
        *got = copy_buffered(h, room, h->left);
    else
        r = read_room(h, room, n, got);
    if (r != H1_RECV_BYTES)
        return r;
    if (*got > h->left) {
        h->extra = true;
        *got = (size_t)h->left;
    }
    h->left -= *got;
    return h->left == 0 ? H1_RECV_END : H1_RECV_BYTES;
}

static enum h1_recv
recv_until_close(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    enum h1_recv r;

    if (h1_client_buffered(h) > 0) {
        *got = copy_buffered(h, room, UINT64_MAX);
        return H1_RECV_BYTES;
    }
    r = read_room(h, room, n, got);
    /* RFC 9112, 9.8. nginx differs: an end that anybody can forge is as good there. */
    return r == H1_RECV_CLOSED && h->conn->error == 0 && !tls_was_cut(h->conn) ? H1_RECV_END : r;
}

/* Straight into the room, up to the end of the current chunk. */
static enum h1_recv
recv_in_chunk(struct h1_client *h, const struct iovec *room, int n, uint64_t max, size_t *got)
{
    struct iovec iov[ROOM_IOV_MAX];
    int used = 0;
    enum h1_recv r;

    for (; used < n && used < ROOM_IOV_MAX && max > 0; used++) {
        iov[used] = room[used];
        iov[used].iov_len = num_min(iov[used].iov_len, max);
        max -= iov[used].iov_len;
    }
    r = read_room(h, iov, used, got);
    if (r == H1_RECV_BYTES)
        h1_chunk_passed(&h->chunked, *got);
    return r;
}

/* Decodes what is buffered into the first room. END, BAD; BYTES: the room is full; NOTHING: the buffer is empty. */
static enum h1_recv
decode_chunks(struct h1_client *h, const struct iovec *room, size_t *got)
{
    while (h1_client_buffered(h) > 0) {
        size_t space = room->iov_len - *got;
        struct str in = str_upto(buf_str(h->in), num_min(buf_len(h->in), space)), data;
        size_t before = in.len;
        enum h1_chunk c;

        if (space == 0)
            return H1_RECV_BYTES;
        c = h1_chunk_next(&h->chunked, &in, &data);
        h->in->start += (uint32_t)(before - in.len);
        h->coding += before - in.len - (c == CHUNK_DATA ? data.len : 0);
        if (c == CHUNK_DATA) {
            memcpy((char *)room->iov_base + *got, data.ptr, data.len);
            *got += data.len;
        } else if (c != CHUNK_MORE) {
            return c == CHUNK_END ? H1_RECV_END : H1_RECV_BAD;
        }
    }
    return H1_RECV_NOTHING;
}

static enum h1_recv
recv_chunked(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    for (;;) {
        enum h1_recv r = decode_chunks(h, room, got);
        uint64_t left = h1_chunk_left(&h->chunked);

        if (r != H1_RECV_NOTHING || *got == room->iov_len)
            return r != H1_RECV_NOTHING ? r : H1_RECV_BYTES;
        if (*got == 0 && left >= room->iov_len)
            return recv_in_chunk(h, room, n, left, got);
        r = fill_anew(h);
        if (r != H1_RECV_BYTES) /* what there is first; the end shows at the next call */
            return *got > 0 ? H1_RECV_BYTES : r;
    }
}

enum h1_recv
h1_client_recv_body(struct h1_client *h, struct iovec *room, int n, size_t *got)
{
    *got = 0;
    switch (h->framing) {
    case H1_NO_BODY:
        return ended(h);
    case H1_LENGTH:
        return ended_if(h, recv_length(h, room, n, got));
    case H1_CHUNKED:
        return ended_if(h, recv_chunked(h, room, n, got));
    case H1_UNTIL_CLOSE:
        break;
    }
    return ended_if(h, recv_until_close(h, room, n, got));
}

enum h1_recv
h1_client_splice(struct h1_client *h, int pipe_fd, size_t max, size_t *got)
{
    ssize_t n;

    *got = 0;
    if (h->left == 0)
        return ended(h);
    if (!conn_may_have_bytes(h->conn))
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
        h->eof = true;
        return H1_RECV_CLOSED;
    }
    *got = (size_t)n;
    h->left -= *got;
    return h->left == 0 ? ended(h) : H1_RECV_BYTES;
}

/* ---- the end ---- */

bool
h1_client_release_conn(struct h1_client *h)
{
    if (h1_client_buffered(h) > 0 && !conn_unread(h->conn, buf_str(h->in)))
        return false;
    (void)h1_client_end(h);
    return true;
}

bool
h1_client_end(struct h1_client *h)
{
    bool reusable;

    h->extra |= h->ended && h1_client_buffered(h) > 0;
    reusable = h->ended && h->keepalive && !h->eof && !h->extra && nothing_pending(h) &&
               h->conn->in == NULL && !(h->conn->bits & (CONN_EOF | CONN_ERROR));
    buf_put(h->out);
    if (!h->in_is_kept)
        buf_put(h->in);
    h->out = h->in = NULL;
    return reusable;
}
