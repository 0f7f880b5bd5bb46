/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_conn.c - bytes through TLS: the ops of a connection, over the BIO of tls_bio.c.
 *
 * Bytes are taken only when a whole record fits into `out`, so a write never stops midway. `out` leaves on flush, when it
 * is full, or before the loop waits.
 *
 * CONN_READABLE says that the layer may have bytes (in a record, in the library's buffer, in the socket); whether the
 * socket itself has is kept in raw_readable. Both are sticky and end with a read that comes back short.
 */
#include "worker/tls/tls_conn.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/core/source.h"
#include "worker/tls/tls_dynamic.h"
#include "worker/tls/tls_error.h"

enum {
    RECORD_LEAST = 64,
    RECORD_MIN = 1024,   /* less room than for this much: `out` is sent first */
    RECORD_SMALL = 4096, /* a client can use the first record when it has these many bytes ... */
    SMALL_TOTAL = 16384, /* ... at the beginning and after a pause */
    SMALL_AGAIN_MS = 1000,
    FREE_MAX = 1024,        /* structs kept for reuse */
    READS_MAX = 4,          /* from the socket in one call: what is no data has no end */
    STAGE_SIZE = 64 * 1024, /* bytes of a file that are read at once */
};

static struct tls *free_list;
static unsigned free_count;

/* ---- what the library asks of a server's connection ---- */

/* That a server answered the name is told to the client (RFC 6066, 3); it was chosen long before. */
static int
on_server_name(SSL *ssl, int *alert, void *data)
{
    const struct tls *t = SSL_get_app_data(ssl);

    (void)alert, (void)data;
    return t->name.len > 0 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* The first of ours that the client has too; RFC 7301, 3.2: none in common ends the handshake. */
static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
        unsigned int in_len, void *data)
{
    const struct tls *t = SSL_get_app_data(ssl);
    struct str ours = t->ops != NULL ? t->ops->protocols(t->c) : STR_NONE;

    (void)data;
    if (SSL_select_next_proto((unsigned char **)out, out_len, (const unsigned char *)ours.ptr,
                              (unsigned int)ours.len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

void
tls_conn_set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
}

/* ---- on and off a connection ---- */

/* Before the owner hears of an event: what waits in `out` leaves. */
static void
on_watch(struct watch *w, unsigned bits)
{
    struct conn *c = CONTAINER_OF(w, struct conn, watch);
    struct tls *t = c->layer;
    void (*below)(struct watch * w, unsigned bits) = t->below;

    if (bits & (LOOP_READ | LOOP_HANGUP | LOOP_ERROR))
        t->raw_readable = true;
    if ((bits & LOOP_WRITE) && t->out != NULL && tls_send(t) == IO_AGAIN)
        bits &= ~(unsigned)LOOP_WRITE;
    if ((bits & LOOP_WRITE) && t->read_waits_for_room) {
        t->read_waits_for_room = false;
        bits |= LOOP_READ;
    }
    if ((bits & LOOP_READ) && t->write_waits_for_peer) {
        t->write_waits_for_peer = false;
        bits |= LOOP_WRITE;
    }
    if (bits != 0)
        below(w, bits);
}

/* Bytes read ahead, in one piece. False: memory. */
static bool
join_chain(struct buf **chain)
{
    struct buf *joined;
    size_t len = 0;

    if (*chain == NULL || (*chain)->next == NULL)
        return true;
    for (struct buf *b = *chain; b != NULL; b = b->next)
        len += buf_len(b);
    joined = buf_get(len);
    if (joined == NULL)
        return false;
    for (struct buf *b = *chain; b != NULL; b = b->next) {
        memcpy(joined->mem + joined->end, b->mem + b->start, buf_len(b));
        joined->end += (uint32_t)buf_len(b);
    }
    buf_put_chain(*chain);
    *chain = joined;
    return true;
}

bool
tls_attach(struct conn *c, struct tls **made)
{
    struct tls *t = free_list;

    if (!join_chain(&c->in))
        return false;

    if (t != NULL) {
        free_list = t->next_free;
        free_count--;
    } else {
        t = malloc(sizeof(*t));
    }
    if (t == NULL)
        return false;
    memset(t, 0, sizeof(*t));
    t->c = c;
    tls_out_init(t);
    t->raw = c->in;
    c->in = NULL;
    t->raw_readable = (c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) != 0;
    list_init(&t->waiting);
    t->below = c->watch.on_event;
    c->watch.on_event = on_watch;
    c->layer = t;
    c->ops = &tls_ops;
    *made = t;
    return true;
}

static void
tls_give_back(void *p)
{
    struct tls *t = p;

    if (free_count >= FREE_MAX) {
        free(t);
        return;
    }
    t->next_free = free_list;
    free_list = t;
    free_count++;
}

static void
tls_free(struct tls *t)
{
    task_cancel(&t->flush);
    list_del(&t->waiting);
    tls_dynamic_drop(t->dynamic);
    tls_revocation_drop(t->check);
    SSL_free(t->ssl);
    tls_seal_clear(&t->seal);
    buf_put_chain(t->raw);
    buf_put(t->out);
    buf_put(t->early);
    free((char *)t->name.ptr);
    free((char *)t->key.ptr);
    t->name = t->key = STR_NONE;
    t->raw = t->out = t->early = NULL;
    t->ssl = NULL;
    t->dynamic = NULL;
    loop_defer_free(tls_give_back, t);
}

void
tls_detach(struct tls *t)
{
    struct conn *c = t->c;

    c->watch.on_event = t->below;
    c->ops = &conn_plain_ops;
    c->layer = NULL;
    c->in = t->raw;
    t->raw = NULL;
    if (c->in != NULL || t->raw_readable)
        c->bits |= CONN_READABLE;
    else
        c->bits &= (uint8_t)~CONN_READABLE;
    tls_free(t);
}

/* ---- errors ---- */

/* For whoever logs what goes wrong with an origin. */
static void
keep_problem(struct tls *t, const char *call)
{
    const char *text = tls_error_text();

    if (*text != '\0')
        t->problem = arena_fmt(&t->c->arena, "%s%s", call, text).ptr;
}

/* The session is broken; what is wrong is in the library's queue, or in c->error. */
static enum io
tls_broke(struct tls *t, const char *call)
{
    struct conn *c = t->c;

    if (t->client)
        keep_problem(t, call);
    else
        tls_log(t, LOG_LEVEL_INFO, c->error, "talking to client", call);
    (void)tls_send_if_writable(t); /* the alert */
    if (c->error == 0)
        c->error = EPROTO;
    t->state = TLS_FAILED;
    c->bits |= CONN_ERROR;
    return IO_ERROR;
}

/* ---- reading ---- */

static enum io
read_again(struct tls *t)
{
    t->c->bits &= (uint8_t)~CONN_READABLE;
    return IO_AGAIN;
}

static enum io
read_failed(struct tls *t, int result)
{
    struct conn *c = t->c;

    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return read_again(t);
    case SSL_ERROR_WANT_WRITE:
        t->read_waits_for_room = true;
        return read_again(t);
    case SSL_ERROR_ZERO_RETURN:
        c->bits |= CONN_EOF;
        c->bits &= (uint8_t)~CONN_READABLE;
        return IO_EOF;
    default:
        if (t->raw_eof) {
            ERR_clear_error();
            t->cut = true;
            t->state = TLS_FAILED;
            c->bits |= CONN_EOF;
            c->bits &= (uint8_t)~CONN_READABLE;
            return IO_EOF;
        }
        return tls_broke(t, "SSL_read() failed");
    }
}

/* Whether another read could bring something: it costs half as much as one that does. */
static bool
may_have_more(const struct tls *t)
{
    return t->raw_readable || t->raw_eof || t->raw != NULL || t->state != TLS_OPEN ||
           SSL_has_pending(t->ssl);
}

/* Early data, and behind it the rest of the handshake. */
static enum io
read_early(struct tls *t, void *to, size_t len, size_t *got)
{
    if (t->early != NULL) {
        *got = buf_take(&t->early, to, len);
        return IO_OK;
    }
    switch (SSL_read_early_data(t->ssl, to, len, got)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
        return IO_OK;
    case SSL_READ_EARLY_DATA_FINISH:
        t->state = TLS_OPEN;
        return IO_OK; /* of nothing: the caller reads on */
    default:
        return read_failed(t, 0);
    }
}

static bool
is_beginning(const struct tls *t)
{
    return t->state == TLS_EARLY || (t->state == TLS_OPEN && !SSL_is_init_finished(t->ssl));
}

static void shut_down(struct tls *t);

static enum io
read_some(struct tls *t, void *to, size_t len, size_t *got)
{
    enum io io;
    int r;

    *got = 0;
    tls_clear_errors();
    if (t->state == TLS_EARLY) {
        io = read_early(t, to, len, got);
        if (io != IO_OK || *got > 0)
            return io;
    }
    t->reads_left = READS_MAX + 1;
    r = SSL_read_ex(t->ssl, to, len, got);
    io = r == 1 ? IO_OK : read_failed(t, r);
    if (t->reads_left == 1 && io == IO_AGAIN && t->raw_readable)
        loop_again(&t->c->watch);
    t->reads_left = 0;
    if (t->end_wanted && !is_beginning(t))
        shut_down(t);
    return io;
}

static enum io
tls_read(struct conn *c, struct iovec *iov, int n, size_t *got)
{
    struct tls *t = c->layer;

    *got = 0;
    if (t->state != TLS_OPEN && t->state != TLS_EARLY) {
        c->bits &= (uint8_t)~CONN_READABLE;
        return t->cut ? IO_EOF : IO_ERROR;
    }
    for (int i = 0; i < n; i++) {
        size_t at = 0;

        while (at < iov[i].iov_len) {
            size_t part;
            enum io io = read_some(t, (char *)iov[i].iov_base + at, iov[i].iov_len - at, &part);

            if (t->out != NULL)
                task_flush(&t->flush);
            if (io != IO_OK && *got == 0)
                return io;
            if (io == IO_EOF) /* told by the next call */
                c->bits |= CONN_READABLE;
            if (io != IO_OK)
                return IO_OK;
            at += part;
            *got += part;
            if (*got > 0 && !may_have_more(t)) {
                c->bits &= (uint8_t)~CONN_READABLE;
                return IO_OK;
            }
        }
    }
    return *got > 0 ? IO_OK : IO_AGAIN;
}

/* ---- writing ---- */

/* Plain text that the next record may have. */
static size_t
record_size(struct tls *t)
{
    uint64_t set = t->context->settings.buffer_size;
    size_t most = set == 0 ? TLS_RECORD_MAX : num_max(RECORD_LEAST, num_min(set, TLS_RECORD_MAX));

    if (clock_ms - t->wrote_ms > SMALL_AGAIN_MS)
        t->small_sent = 0;
    t->wrote_ms = clock_ms;
    return t->small_sent < SMALL_TOTAL ? num_min(most, RECORD_SMALL) : most;
}

/* What an origin began behind the handshake comes before what we have to say: renegotiation, half a ticket. */
static enum io
write_failed(struct tls *t, int result)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        t->write_waits_for_peer = true;
        return IO_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        return IO_AGAIN;
    default:
        return tls_broke(t, "SSL_write() failed");
    }
}

/* Whether the keys that we have are the right ones for the next record: no handshake goes on, and the peer did not ask for
 * new keys, of which the library has to tell first (RFC 8446, 4.6.3). */
static bool
seals_by_itself(const struct tls *t)
{
    return tls_seal_has_keys(&t->seal) && SSL_is_init_finished(t->ssl) &&
           SSL_get_key_update_type(t->ssl) == SSL_KEY_UPDATE_NONE;
}

/* One record, whole or not at all. */
static enum io
write_record(struct tls *t, const void *from, size_t len)
{
    size_t done = 0;
    int r;

    if (seals_by_itself(t)) {
        if (!tls_out_seal(t, TLS_CONTENT_DATA, from, len))
            return tls_broke(t, "SSL_write() failed");
        done = len;
        r = 1;
    } else if (!t->client && !SSL_is_init_finished(t->ssl) &&
               SSL_get_early_data_status(t->ssl) == SSL_EARLY_DATA_ACCEPTED) {
        /* Before the handshake is complete we may speak already (RFC 8446, 4.2.10). */
        r = SSL_write_early_data(t->ssl, from, len, &done);
    } else { /* which waits for the rest of a message that the peer has begun */
        r = SSL_write_ex(t->ssl, from, len, &done);
    }
    if (r != 1)
        return write_failed(t, r);
    if (done != len)
        return tls_broke(t, "SSL_write() failed");
    t->c->sent += len;
    if (t->small_sent < SMALL_TOTAL)
        t->small_sent += (uint32_t)len;
    return IO_OK;
}

/* Records of `record` bytes, for all of which there is room. The library's buffer stays until the last one. */
static enum io
write_records(struct tls *t, const char *from, size_t len, size_t record, size_t *taken)
{
    enum io io = IO_OK;
    size_t done = 0;

    if (len > record)
        SSL_clear_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    while (io == IO_OK && done < len) {
        size_t part = num_min(record, len - done);

        if (part == len - done)
            SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
        io = write_record(t, from + done, part);
        if (io == IO_OK)
            done += part;
    }
    SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    *taken += done;
    return io;
}

/* For the owner: nothing is taken before the next event. */
static enum io
write_blocked(struct tls *t, enum io io)
{
    if (t->out != NULL)
        task_flush(&t->flush);
    if (io == IO_AGAIN)
        t->c->bits &= (uint8_t)~CONN_WRITABLE;
    return io;
}

/* What is left to be taken of an iovec. */
struct rest {
    const struct iovec *iov;
    int n;
    size_t at;   /* in the first */
    size_t left; /* of all */
};

static void
rest_skip(struct rest *r, size_t bytes)
{
    r->left -= bytes;
    while (r->n > 0 && bytes >= r->iov->iov_len - r->at) {
        bytes -= r->iov->iov_len - r->at;
        r->iov++;
        r->n--;
        r->at = 0;
    }
    r->at += bytes;
}

/* The next `len` bytes in one piece: where they lie, or joined. */
static const void *
rest_piece(const struct rest *r, size_t len)
{
    static char joined[TLS_RECORD_MAX];
    struct rest walk = *r;
    size_t done = 0;

    if (r->iov->iov_len - r->at >= len)
        return (const char *)r->iov->iov_base + r->at;
    while (done < len) {
        size_t part = num_min(len - done, walk.iov->iov_len - walk.at);

        memcpy(joined + done, (const char *)walk.iov->iov_base + walk.at, part);
        done += part;
        rest_skip(&walk, part);
    }
    return joined;
}

/* Bytes of plain text for which there is room in `out`, at most `want`; 0: the socket is full. *io: what it said. */
static size_t
room_for_record(struct tls *t, size_t want, enum io *io)
{
    *io = IO_OK;
    if (tls_out_room(t, want + TLS_RECORD_EXTRA))
        return want;
    if (t->out != NULL && buf_space(t->out) >= RECORD_MIN + TLS_RECORD_EXTRA &&
        t->out->cap <= TLS_OUT_FIRST)
        return num_min(want, buf_space(t->out) - TLS_RECORD_EXTRA);
    *io = tls_send_if_writable(t);
    if (*io == IO_ERROR)
        return 0;
    if (tls_out_room(t, want + TLS_RECORD_EXTRA))
        return want;
    if (t->out == NULL) {
        t->c->error = ENOMEM;
        *io = IO_ERROR;
    }
    return 0;
}

static enum io
tls_write(struct conn *c, const struct iovec *iov, int n, bool more, size_t *taken)
{
    struct tls *t = c->layer;
    struct rest rest = { .iov = iov, .n = n };

    (void)more; /* nothing leaves before flush anyway */
    *taken = 0;
    if (t->state != TLS_OPEN && t->state != TLS_EARLY)
        return IO_ERROR;
    for (int i = 0; i < n; i++)
        rest.left += iov[i].iov_len;
    rest_skip(&rest, 0);
    tls_clear_errors();
    while (rest.left > 0) {
        enum io io;
        size_t len = room_for_record(t, num_min(rest.left, record_size(t)), &io);

        if (len == 0) {
            c->bits &= (uint8_t)~CONN_WRITABLE;
            return io == IO_ERROR ? IO_ERROR : IO_AGAIN;
        }
        io = write_record(t, rest_piece(&rest, len), len);
        if (io != IO_OK)
            return write_blocked(t, io);
        rest_skip(&rest, len);
        *taken += len;
    }
    if (t->out != NULL)
        task_flush(&t->flush);
    return IO_OK;
}

/* Plain text for as many whole records as `out` has room for, when there is room for one of `first` bytes. */
static size_t
room_for_records(struct tls *t, size_t first, size_t record, uint64_t left)
{
    size_t n = buf_space(t->out) / (record + TLS_RECORD_EXTRA);

    if (first < record || n <= 1)
        return first;
    return (size_t)num_min(num_min(left, n * record), STAGE_SIZE / record * record);
}

/* Reads as much as the next records take in one call: large files need no step over the codec's buffer. */
static enum io
tls_write_file(struct conn *c, int fd, uint64_t at, size_t len, bool more, size_t *taken)
{
    static char stage[STAGE_SIZE];
    struct tls *t = c->layer;

    (void)more;
    *taken = 0;
    if (t->state != TLS_OPEN && t->state != TLS_EARLY)
        return IO_ERROR;
    tls_clear_errors();
    while (len > *taken) {
        size_t record = record_size(t), room;
        enum io io;
        ssize_t r;

        room = room_for_record(t, num_min(len - *taken, record), &io);
        if (room == 0) {
            c->bits &= (uint8_t)~CONN_WRITABLE;
            return io == IO_ERROR ? IO_ERROR : IO_AGAIN;
        }
        room = room_for_records(t, room, record, len - *taken);
        do
            r = pread(fd, stage, room, (off_t)(at + *taken));
        while (r < 0 && errno == EINTR);
        if (r <= 0) { /* 0: the file has become shorter than its source said */
            c->error = r < 0 ? errno : EIO;
            c->bits |= CONN_ERROR;
            return IO_ERROR;
        }
        io = write_records(t, stage, (size_t)r, record, taken);
        if (io != IO_OK)
            return write_blocked(t, io);
    }
    if (t->out != NULL)
        task_flush(&t->flush);
    return IO_OK;
}

/* ---- the end ---- */

/* close_notify into `out`. */
static void
say_close(struct tls *t)
{
    if (t->said_close || t->state != TLS_OPEN)
        return;
    t->said_close = true;
    tls_clear_errors();
    if (SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl);
    tls_clear_errors();
}

static void
tls_ending(struct conn *c)
{
    say_close(c->layer);
}

static enum io
tls_flush(struct conn *c)
{
    struct tls *t = c->layer;

    /* The owner may close within this turn: FIN then leaves with the last bytes. */
    if (t->said_close && t->out != NULL && (c->bits & CONN_WRITABLE) &&
        buf_len(t->out) <= TLS_OUT_FIRST) {
        task_flush(&t->flush);
        return IO_OK;
    }
    return tls_send_if_writable(t);
}

static void
shut_down(struct tls *t)
{
    t->end_wanted = false;
    t->fin_follows = true;
    say_close(t);
    if (tls_send_if_writable(t) == IO_AGAIN)
        t->fin_wanted = true;
    else
        (void)shutdown(t->c->watch.fd, SHUT_WR);
}

/* Behind early data close_notify has to wait until the client has said all of the handshake, which reading brings. */
static void
tls_shutdown(struct conn *c)
{
    struct tls *t = c->layer;

    t->end_wanted = is_beginning(t);
    if (t->end_wanted)
        (void)tls_send_if_writable(t);
    else
        shut_down(t);
}

static bool
tls_is_beginning(const struct conn *c)
{
    return is_beginning(c->layer);
}

static void
tls_close(struct conn *c)
{
    struct tls *t = c->layer;

    if (!(c->bits & CONN_ERROR)) {
        say_close(t);
        t->fin_follows = true;
        if (tls_send_if_writable(t) == IO_AGAIN && tls_farewell(c, t->out))
            t->out = NULL;
    }
    /* Without the mark the library would take the session for one that was cut, and forget it. */
    if (t->ssl != NULL && t->state == TLS_OPEN)
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    c->watch.on_event = t->below;
    c->layer = NULL;
    c->ops = &conn_plain_ops;
    tls_free(t);
}

bool
tls_was_cut(const struct conn *c)
{
    const struct tls *t = tls_of(c);

    return t != NULL && t->cut;
}

bool
tls_is_quiet(struct conn *c)
{
    struct tls *t = c->layer;
    char byte;
    size_t got;

    t->raw_readable = true;
    return conn_read_buf(c, &byte, 1, &got) == IO_AGAIN;
}

const char *
tls_problem(const struct conn *c)
{
    const struct tls *t = tls_of(c);

    return t != NULL ? t->problem : NULL;
}

const struct conn_ops tls_ops = {
    .kinds = PIECE_MEM | PIECE_FILE,
    .read = tls_read,
    .write = tls_write,
    .write_file = tls_write_file,
    .ending = tls_ending,
    .flush = tls_flush,
    .shutdown = tls_shutdown,
    .is_beginning = tls_is_beginning,
    .close = tls_close,
};
