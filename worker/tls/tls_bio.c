/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_bio.c - between the library and the socket: a BIO of our own.
 *
 * The library reads from the socket straight into its own buffer, a record or more with one call. What is sent goes into
 * `out`, sealed there (tls_seal.h) or by the library: 16 kB at first, up to 64 kB while the socket drains it in one go,
 * and small again when it blocks, so that bulk data leaves with several records in a send and a slow client stays cheap.
 */
#include <sys/socket.h>

#include "common/base/num.h"
#include "worker/tls/tls_conn.h"

enum {
    OUT_MAX = 64 * 1024,
    OUT_HARD_MAX = 256 * 1024, /* with what the library writes by itself (KeyUpdate) */
};

static BIO_METHOD *bio_method;

/* ---- the socket ---- */

ssize_t
tls_raw_read(struct tls *t, void *to, size_t len)
{
    struct conn *c = t->c;
    ssize_t r;

    if (t->raw_eof)
        return 0;
    if (!t->raw_readable || t->reads_left == 1) {
        errno = EAGAIN;
        return -1;
    }
    if (t->reads_left > 0)
        t->reads_left--;
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

    t->out_size = TLS_OUT_FIRST;
    if (t->out->cap <= TLS_OUT_FIRST || buf_len(t->out) > t->out->cap / 2)
        return;
    small = buf_resize(t->out, TLS_OUT_FIRST);
    if (small != NULL)
        t->out = small;
}

/* Everything in `out` has left: the next one is larger when this one was too small. */
static void
out_done(struct tls *t)
{
    uint32_t cap = t->out->cap;

    if (cap - t->out->end < TLS_RECORD_MAX + TLS_RECORD_EXTRA)
        t->out_size = (uint32_t)num_min(OUT_MAX, (uint64_t)cap * 4);
    else if (t->out->end < cap / 4)
        t->out_size = (uint32_t)num_max(TLS_OUT_FIRST, cap / 4);
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
        int more = t->fin_follows ? MSG_MORE : 0; /* FIN takes it along */
        ssize_t r;

        do
            r = send(c->watch.fd, t->out->mem + t->out->start, len, MSG_NOSIGNAL | more);
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

enum io
tls_send_if_writable(struct tls *t)
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
    (void)tls_send_if_writable(t);
}

void
tls_out_init(struct tls *t)
{
    t->out_size = TLS_OUT_FIRST;
    t->flush.run = on_flush;
}

bool
tls_out_room(struct tls *t, size_t n)
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
    bigger = buf_resize(t->out, len + n);
    if (bigger == NULL)
        return false;
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
        *got = buf_take(&t->raw, to, len);
        return 1;
    }
    r = tls_raw_read(t, to, len);
    *got = r > 0 ? (size_t)r : 0;
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    return r > 0;
}

bool
tls_out_seal(struct tls *t, enum tls_content type, const void *text, size_t len)
{
    size_t size = tls_seal_record(&t->seal, type, text, len, (void *)(t->out->mem + t->out->end));

    t->out->end += (uint32_t)size;
    return size > 0;
}

/* RFC 8446, 4.6.3. The whole record: later parts of a long message (a ticket with a large certificate) begin with any
 * byte. */
static bool
is_key_update(enum tls_content type, const char *text, size_t len)
{
    static const char head[] = { 24, 0, 0, 1 };

    return type == TLS_CONTENT_HANDSHAKE && len == sizeof(head) + 1 &&
           memcmp(text, head, sizeof(head)) == 0;
}

/* Plain text of the library's, since it gave its keys away. Behind a KeyUpdate it has new ones, and seals again. */
static bool
seal_for_library(struct tls *t, const char *text, size_t len)
{
    enum tls_content type = t->control != 0 ? t->control : TLS_CONTENT_DATA;
    bool update = is_key_update(type, text, len);

    t->control = 0;
    if (!tls_out_seal(t, type, text, len))
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
    if (!tls_out_room(t, room) && tls_send_if_writable(t) != IO_ERROR && !tls_out_room(t, room) &&
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
