/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_conn.c - bytes through TLS: the ops of a connection, over a BIO of our own.
 *
 * The library reads from the socket straight into its own buffer, a record or more with one call. What is sent goes into
 * `out`, sealed there (tls_seal.h) or by the library: 16 kB at first, up to 64 kB while the socket drains it in one go,
 * and small again when it blocks, so that bulk data leaves with several records in a send and a slow client stays cheap.
 * Bytes are taken only when a whole record fits, so a write never stops midway. `out` leaves on flush, when it is full, or
 * before the loop waits.
 *
 * CONN_READABLE says that the layer may have bytes (in a record, in the library's buffer, in the socket); whether the
 * socket itself has is kept in raw_readable. Both are sticky and end with a read that comes back short.
 */
#include "worker/tls/tls_conn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/core/source.h"
#include "worker/tls/tls_dynamic.h"
#include "worker/tls/tls_error.h"

enum {
    OUT_FIRST = 16 * 1024,
    OUT_MAX = 64 * 1024,
    OUT_HARD_MAX = 256 * 1024, /* with what the library writes by itself (KeyUpdate) */
    RECORD_MAX = 16384,        /* bytes of plain text in a record */
    RECORD_LEAST = 64,
    RECORD_EXTRA = 512,  /* head, nonce, tag, padding: more than any cipher adds */
    RECORD_MIN = 1024,   /* less room than for this much: `out` is sent first */
    RECORD_SMALL = 4096, /* a client can use the first record when it has these many bytes ... */
    SMALL_TOTAL = 16384, /* ... at the beginning and after a pause */
    SMALL_AGAIN_MS = 1000,
    FREE_MAX = 1024,          /* structs kept for reuse */
    STAGE_SIZE = 64 * 1024,   /* bytes of a file that are read at once */
    FAREWELL_MAX = 32 * 1024, /* bytes that outlive the connection, */
    FAREWELL_MS = 30000,      /* for so long */
};

static BIO_METHOD *bio_method;
static struct tls *free_list;
static unsigned free_count;

/* ---- the socket ---- */

ssize_t
tls_raw_read(struct tls *t, void *to, size_t len)
{
    struct conn *c = t->c;
    ssize_t r;

    if (t->raw_eof)
        return 0;
    if (!t->raw_readable) {
        errno = EAGAIN;
        return -1;
    }
    do
        r = recv(c->watch.fd, to, len, 0);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        if ((size_t)r < len && (c->bits & (CONN_EOF | CONN_ERROR)) == 0)
            t->raw_readable = false;
        return r;
    }
    t->raw_readable = false;
    if (r == 0)
        t->raw_eof = true;
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        c->error = errno;
    return r;
}

/* An `out` that blocked keeps no more memory than what waits in it needs. */
static void
out_shrink(struct tls *t)
{
    struct buf *small;

    t->out_size = OUT_FIRST;
    if (t->out->cap <= OUT_FIRST || buf_len(t->out) > t->out->cap / 2)
        return;
    small = buf_get(num_max(buf_len(t->out), OUT_FIRST));
    if (small == NULL)
        return;
    memcpy(small->mem, t->out->mem + t->out->start, buf_len(t->out));
    small->start = 0;
    small->end = (uint32_t)buf_len(t->out);
    buf_put(t->out);
    t->out = small;
}

/* Everything in `out` has left: the next one is larger when this one was too small. */
static void
out_done(struct tls *t)
{
    uint32_t cap = t->out->cap;

    if (cap - t->out->end < RECORD_MAX + RECORD_EXTRA)
        t->out_size = (uint32_t)num_min(OUT_MAX, (uint64_t)cap * 4);
    else if (t->out->end < cap / 4)
        t->out_size = (uint32_t)num_max(OUT_FIRST, cap / 4);
    buf_put(t->out);
    t->out = NULL;
    task_cancel(&t->flush);
    if (t->fin_wanted) {
        t->fin_wanted = false;
        (void)shutdown(t->c->watch.fd, SHUT_WR);
    }
}

enum io
tls_send(struct tls *t)
{
    struct conn *c = t->c;

    while (t->out != NULL) {
        size_t len = buf_len(t->out);
        ssize_t r;

        do
            r = send(c->watch.fd, t->out->mem + t->out->start, len, MSG_NOSIGNAL);
        while (r < 0 && errno == EINTR);
        if (r < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            c->error = errno;
            c->bits |= CONN_ERROR;
            c->bits &= (uint8_t)~CONN_WRITABLE;
            return IO_ERROR;
        }
        if (r > 0) {
            t->out->start += (uint32_t)r;
        }
        if (r < 0 || (size_t)r < len) {
            c->bits &= (uint8_t)~CONN_WRITABLE;
            out_shrink(t);
            return IO_AGAIN;
        }
        out_done(t);
    }
    return IO_OK;
}

/* The same when it is not known that the socket is full. */
static enum io
send_if_writable(struct tls *t)
{
    if (t->out == NULL)
        return IO_OK;
    return t->c->bits & (CONN_WRITABLE | CONN_ERROR) ? tls_send(t) : IO_AGAIN;
}

static void
on_flush(struct task *task)
{
    struct tls *t = CONTAINER_OF(task, struct tls, flush);

    /* The owner hears of an error by its next call, or by the socket's event. */
    (void)send_if_writable(t);
}

/* Room for n more bytes, in one piece. False: not before the socket takes some. */
static bool
out_room(struct tls *t, size_t n)
{
    if (t->out == NULL)
        t->out = buf_get(num_max(t->out_size, n));
    if (t->out == NULL)
        return false;
    if (buf_space(t->out) >= n)
        return true;
    if (t->out->start > 0 && t->out->cap - buf_len(t->out) >= n) {
        memmove(t->out->mem, t->out->mem + t->out->start, buf_len(t->out));
        t->out->end -= t->out->start;
        t->out->start = 0;
        return true;
    }
    return false;
}

/* For what has to go somewhere: `out` grows. */
static bool
out_grow(struct tls *t, size_t n)
{
    size_t len = buf_len(t->out);
    struct buf *bigger;

    if (len + n > OUT_HARD_MAX)
        return false;
    bigger = buf_get(len + n);
    if (bigger == NULL)
        return false;
    memcpy(bigger->mem, t->out->mem + t->out->start, len);
    bigger->start = 0;
    bigger->end = (uint32_t)len;
    buf_put(t->out);
    t->out = bigger;
    return true;
}

/* ---- the library's view of it ---- */

static int
bio_read(BIO *bio, char *to, size_t len, size_t *got)
{
    struct tls *t = BIO_get_data(bio);
    ssize_t r;

    BIO_clear_retry_flags(bio);
    if (t->raw != NULL) {
        *got = num_min(len, buf_len(t->raw));
        memcpy(to, t->raw->mem + t->raw->start, *got);
        t->raw->start += (uint32_t)*got;
        if (buf_len(t->raw) == 0) {
            buf_put(t->raw);
            t->raw = NULL;
        }
        return 1;
    }
    r = tls_raw_read(t, to, len);
    *got = r > 0 ? (size_t)r : 0;
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    return r > 0;
}

/* Makes a record in `out`, where there is room for it. False: the session is over. */
static bool
seal(struct tls *t, enum tls_content type, const void *text, size_t len)
{
    size_t size = tls_seal_record(&t->seal, type, text, len, (void *)(t->out->mem + t->out->end));

    t->out->end += (uint32_t)size;
    return size > 0;
}

enum { KEY_UPDATE = 24 }; /* a handshake message: RFC 8446, 4.6.3 */

/* Plain text of the library's, since it gave its keys away. Behind a KeyUpdate it has new ones, and seals again. */
static bool
seal_for_library(struct tls *t, const char *text, size_t len)
{
    enum tls_content type = t->control != 0 ? t->control : TLS_CONTENT_DATA;
    bool update = type == TLS_CONTENT_HANDSHAKE && len > 0 && text[0] == KEY_UPDATE;

    t->control = 0;
    if (!seal(t, type, text, len))
        return false;
    if (update && t->seal.version == TLS1_3_VERSION)
        tls_seal_clear(&t->seal);
    return true;
}

static int
bio_write(BIO *bio, const char *from, size_t len, size_t *taken)
{
    struct tls *t = BIO_get_data(bio);
    bool plain = tls_seal_has_keys(&t->seal);
    size_t room = plain ? len + TLS_SEAL_HEAD_MAX + TLS_SEAL_TAIL_MAX : len;

    BIO_clear_retry_flags(bio);
    *taken = 0;
    if (!out_room(t, room) && send_if_writable(t) != IO_ERROR && !out_room(t, room) &&
        (t->out == NULL || !out_grow(t, room))) {
        BIO_set_retry_write(bio);
        return 0;
    }
    if (t->c->bits & CONN_ERROR)
        return 0;
    if (plain) {
        if (!seal_for_library(t, from, len))
            return 0;
    } else {
        memcpy(t->out->mem + t->out->end, from, len);
        t->out->end += (uint32_t)len;
    }
    *taken = len;
    return 1;
}

/* What the library asks a BIO that may be a socket with TLS in the kernel. Of these its header names only the second as a
 * macro, the others in a comment. */
enum {
    BIO_SET_KEYS = 72,    /* num: for sending, or not; ptr: the keys */
    BIO_HAS_KEYS = 73,    /* to send with */
    BIO_SET_CONTROL = 74, /* num: type of the record that is written next, which is no data */
    BIO_DROP_CONTROL = 75,
};

/* The library's sending keys. Those for receiving stay with it: it is spared the search whether it could give them too. */
static bool
take_keys(struct tls *t, const void *info)
{
    if (!tls_seal_set(&t->seal, info))
        return false;
    SSL_clear_options(t->ssl, SSL_OP_ENABLE_KTLS);
    return true;
}

static long
bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    struct tls *t = BIO_get_data(bio);

    switch (cmd) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return t->raw_eof;
    case BIO_SET_KEYS:
        return num != 0 && take_keys(t, ptr);
    case BIO_HAS_KEYS:
        return tls_seal_has_keys(&t->seal);
    case BIO_SET_CONTROL:
        t->control = (uint8_t)num;
        return 0;
    case BIO_DROP_CONTROL:
        t->control = 0;
        return 0;
    default:
        return 0;
    }
}

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

bool
tls_open(struct tls *t)
{
    BIO *bio;

    if (bio_method == NULL) {
        bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir connection");
        if (bio_method == NULL || BIO_meth_set_read_ex(bio_method, bio_read) != 1 ||
            BIO_meth_set_write_ex(bio_method, bio_write) != 1 ||
            BIO_meth_set_ctrl(bio_method, bio_ctrl) != 1)
            return false;
    }
    t->ssl = SSL_new(t->context->ssl);
    bio = t->ssl != NULL ? BIO_new(bio_method) : NULL;
    if (bio == NULL) {
        tls_log(t, LOG_LEVEL_ALERT, 0, "SSL handshaking", "SSL_new() failed");
        return false;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    return true;
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
    t->out_size = OUT_FIRST;
    t->flush.run = on_flush;
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

struct described {
    struct log_context ctx;
    const struct tls *t;
    const char *doing;
};

static void
describe(const struct log_context *ctx, struct text *t)
{
    const struct described *d = CONTAINER_OF(ctx, const struct described, ctx);
    const struct conn *c = d->t->c;
    char addr[ADDR_TEXT_MAX];

    TEXT_LIT(t, " while ");
    text_add(t, str_c(d->doing));
    text_add(t, d->t->client ? S(", upstream: ") : S(", client: "));
    text_bytes(t, addr, addr_format_ip(&c->peer, addr));
    if (c->spec == NULL)
        return;
    TEXT_LIT(t, ", server: ");
    text_add(t, c->spec->text);
}

void
tls_log(const struct tls *t, enum log_level level, int err, const char *doing, const char *text)
{
    struct described d = { { .id = t->c->id, .describe = describe }, t, doing };

    if (LOG_ON(log_main, level))
        log_write(log_main, level, err, &d.ctx, "%s%s", text, tls_error_text());
    ERR_clear_error();
}

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
    (void)send_if_writable(t); /* the alert */
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
        *got = num_min(len, buf_len(t->early));
        memcpy(to, t->early->mem + t->early->start, *got);
        t->early->start += (uint32_t)*got;
        if (buf_len(t->early) == 0) {
            buf_put(t->early);
            t->early = NULL;
        }
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

static enum io
read_some(struct tls *t, void *to, size_t len, size_t *got)
{
    int r;

    *got = 0;
    tls_clear_errors();
    if (t->state == TLS_EARLY) {
        enum io io = read_early(t, to, len, got);

        if (io != IO_OK || *got > 0)
            return io;
    }
    r = SSL_read_ex(t->ssl, to, len, got);
    return r == 1 ? IO_OK : read_failed(t, r);
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
    size_t most = set == 0 ? RECORD_MAX : num_max(RECORD_LEAST, num_min(set, RECORD_MAX));

    if (clock_ms - t->wrote_ms > SMALL_AGAIN_MS)
        t->small_sent = 0;
    t->wrote_ms = clock_ms;
    return t->small_sent < SMALL_TOTAL ? num_min(most, RECORD_SMALL) : most;
}

/* One record. False: the session is broken. */
static bool
write_record(struct tls *t, const void *from, size_t len)
{
    size_t done = len;
    int r;

    /* Before the handshake is complete (early data) we may speak already (RFC 8446, 4.2.10). */
    if (tls_seal_has_keys(&t->seal) && SSL_is_init_finished(t->ssl))
        r = seal(t, TLS_CONTENT_DATA, from, len);
    else if (SSL_is_init_finished(t->ssl))
        r = SSL_write_ex(t->ssl, from, len, &done);
    else
        r = SSL_write_early_data(t->ssl, from, len, &done);
    if (r != 1 || done != len) {
        (void)tls_broke(t, "SSL_write() failed");
        return false;
    }
    t->c->sent += len;
    if (t->small_sent < SMALL_TOTAL)
        t->small_sent += (uint32_t)len;
    return true;
}

/* Records of `record` bytes, for all of which there is room. The library's buffer stays until the last one. */
static bool
write_records(struct tls *t, const char *from, size_t len, size_t record)
{
    size_t done = 0, part;
    bool ok = true;

    if (len > record)
        SSL_clear_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    for (; ok && done < len; done += part) {
        part = num_min(record, len - done);
        if (part == len - done)
            SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
        ok = write_record(t, from + done, part);
    }
    return ok;
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
    static char joined[RECORD_MAX];
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
    if (out_room(t, want + RECORD_EXTRA))
        return want;
    if (t->out != NULL && buf_space(t->out) >= RECORD_MIN + RECORD_EXTRA &&
        t->out->cap <= OUT_FIRST)
        return num_min(want, buf_space(t->out) - RECORD_EXTRA);
    *io = send_if_writable(t);
    if (*io == IO_ERROR)
        return 0;
    if (out_room(t, want + RECORD_EXTRA))
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
        if (!write_record(t, rest_piece(&rest, len), len))
            return IO_ERROR;
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
    size_t n = buf_space(t->out) / (record + RECORD_EXTRA);

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
        if (!write_records(t, stage, (size_t)r, record))
            return IO_ERROR;
        *taken += (size_t)r;
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
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static void
tls_ending(struct conn *c)
{
    say_close(c->layer);
}

static enum io
tls_flush(struct conn *c)
{
    return send_if_writable(c->layer);
}

static void
tls_shutdown(struct conn *c)
{
    struct tls *t = c->layer;

    say_close(t);
    if (send_if_writable(t) == IO_AGAIN)
        t->fin_wanted = true;
    else
        (void)shutdown(c->watch.fd, SHUT_WR);
}

/* The last words to a client whose socket is full. They outlive the connection, as bytes do that the kernel has: an end
 * without close_notify looks like one that somebody forged. */
struct farewell {
    struct watch watch; /* of a descriptor of its own */
    struct timer timer;
    struct buf *out;
};

static void
farewell_end(struct farewell *f)
{
    timer_forget(&f->timer);
    loop_del(&f->watch);
    close(f->watch.fd);
    buf_put(f->out);
    loop_defer_free(free, f);
}

static void
farewell_on_time(struct timer *timer)
{
    farewell_end(CONTAINER_OF(timer, struct farewell, timer));
}

static void
farewell_on_event(struct watch *w, unsigned bits)
{
    struct farewell *f = CONTAINER_OF(w, struct farewell, watch);
    ssize_t r = -1;

    errno = 0;
    if (!(bits & LOOP_ERROR))
        r = send(w->fd, f->out->mem + f->out->start, buf_len(f->out), MSG_NOSIGNAL);
    if (r >= 0)
        f->out->start += (uint32_t)r;
    if (buf_len(f->out) > 0 && (r >= 0 || errno == EAGAIN || errno == EINTR))
        return;
    farewell_end(f);
}

/* Takes `out` over. Without memory or descriptors the words are lost. */
static void
farewell(struct tls *t)
{
    struct farewell *f = calloc(1, sizeof(*f));
    int fd = f != NULL ? fcntl(t->c->watch.fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (fd == -1) {
        free(f);
        return;
    }
    loop_del(&t->c->watch); /* while there are two, the end of one does not take it out */
    f->watch.on_event = farewell_on_event;
    if (!loop_add(&f->watch, fd)) {
        close(fd);
        free(f);
        return;
    }
    f->out = t->out;
    t->out = NULL;
    f->timer.on_time = farewell_on_time;
    timer_set(&f->timer, FAREWELL_MS);
}

static void
tls_close(struct conn *c)
{
    struct tls *t = c->layer;

    if (!(c->bits & CONN_ERROR)) {
        say_close(t);
        if (send_if_writable(t) == IO_AGAIN && buf_len(t->out) <= FAREWELL_MAX)
            farewell(t);
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
    .close = tls_close,
};
