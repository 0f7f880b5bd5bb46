/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_handshake.c - makes a connection a TLS one: the ClientHello is read, the listener's owner says by its name which
 * context serves it, and the handshake goes on from there.
 *
 * A signature takes as long as a hundred requests. Handshakes therefore share a budget of time in each turn of the loop;
 * what goes beyond it waits in a line, so that a storm of new clients does not hold up the requests of others.
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_error.h"
#include "worker/tls/tls_hello.h"

enum {
    HELLO_FIRST = 2048,                  /* bytes of the first buffer */
    HELLO_BYTES_MAX = 2 * TLS_HELLO_MAX, /* with the heads of records */
    TURN_BUDGET_US = 2000,               /* time for handshakes in a turn */
    EARLY_FIRST = 4096,                  /* bytes of early data that are read with the handshake */
};

static struct list line = LIST_INIT(line); /* of handshakes that wait for their turn */
static struct task line_task, turn_hook;
static uint64_t used_us; /* of this turn's budget */

static void handshake_on_event(struct conn *c);

/* ---- the end of it ---- */

static void
handshake_end(struct tls *t, enum log_level level, int err, const char *why)
{
    tls_log(t, level, err, "SSL handshaking", why);
    conn_close(t->c);
}

static void
handshake_on_time(struct timer *timer)
{
    struct conn *c = CONTAINER_OF(timer, struct conn, timer);

    handshake_end(c->layer, LOG_LEVEL_INFO, ETIMEDOUT, "client timed out");
}

/* While a responder is asked: what comes is read later, and the time of the handshake goes on. */
static void
checking_on_event(struct conn *c)
{
    if (c->bits & CONN_ERROR)
        conn_close(c);
}

static void
handshake_ready(struct tls *t)
{
    struct conn *c = t->c;

    t->took_us = clock_now_us() - t->began_us;
    if (t->context->settings.ocsp != TLS_OCSP_OFF && tls_revocation_begin(t)) {
        c->on_event = checking_on_event;
        if (t->out != NULL)
            (void)tls_send(t);
        return;
    }
    tls_handshake_checked(t);
}

void
tls_handshake_checked(struct tls *t)
{
    struct conn *c = t->c;

    timer_stop(&c->timer);
    c->on_event = NULL;
    /* Bytes may lie in the library's buffer; a read that finds none costs less than to ask. */
    c->bits |= CONN_READABLE;
    if (t->out != NULL)
        task_flush(&t->flush); /* tickets leave with the first response */
    t->ops->ready(c);
}

/* ---- steps ---- */

/* The library stopped: it waits, or this was the end. */
static void
handshake_stopped(struct tls *t, int result)
{
    struct conn *c = t->c;
    int why = SSL_get_error(t->ssl, result);
    enum io sent;

    switch (why) {
    case SSL_ERROR_WANT_READ:
        c->bits &= (uint8_t)~CONN_READABLE;
        break;
    case SSL_ERROR_WANT_WRITE:
    case SSL_ERROR_WANT_X509_LOOKUP: /* tls_dynamic.c takes the next turn */
        break;
    default:
        t->state = TLS_FAILED;
        if (t->raw_eof || why == SSL_ERROR_ZERO_RETURN || c->error != 0) {
            ERR_clear_error();
            handshake_end(t, LOG_LEVEL_INFO, c->error, "peer closed connection in SSL handshake");
            return;
        }
        (void)tls_send(t); /* the alert */
        handshake_end(t, LOG_LEVEL_INFO, 0, "SSL_do_handshake() failed");
        return;
    }
    sent = t->out != NULL ? tls_send(t) : IO_OK;
    if (sent == IO_ERROR)
        handshake_end(t, LOG_LEVEL_INFO, c->error, "peer closed connection in SSL handshake");
}

/* With early data allowed. False: the handshake is not complete, and none has come. */
static bool
step_early(struct tls *t)
{
    size_t got = 0;

    if (t->early == NULL)
        t->early = buf_get(EARLY_FIRST);
    if (t->early == NULL) {
        handshake_end(t, LOG_LEVEL_ALERT, ENOMEM, "no memory for early data");
        return false;
    }
    switch (SSL_read_early_data(t->ssl, t->early->mem, t->early->cap, &got)) {
    case SSL_READ_EARLY_DATA_SUCCESS:
        t->early->end = (uint32_t)got;
        t->state = TLS_EARLY;
        (void)tls_send(t); /* the server's flight does not wait for the response */
        handshake_ready(t);
        return false;
    case SSL_READ_EARLY_DATA_FINISH:
        buf_put(t->early);
        t->early = NULL;
        return true;
    default:
        handshake_stopped(t, 0);
        return false;
    }
}

static void
handshake_step(struct tls *t)
{
    int r;

    tls_clear_errors();
    if (t->context->settings.early_data && !t->early_over) {
        if (!step_early(t))
            return;
        t->early_over = true;
    }
    r = SSL_do_handshake(t->ssl);
    if (r != 1) {
        handshake_stopped(t, r);
        return;
    }
    t->state = TLS_OPEN;
    handshake_ready(t);
}

/* ---- whose turn it is ---- */

static void
step_in_budget(struct tls *t)
{
    uint64_t from = clock_now_us();

    if (t->client)
        tls_connect_step(t);
    else
        handshake_step(t);
    used_us += clock_now_us() - from;
}

static void
on_line(struct task *task)
{
    (void)task;
    while (used_us < TURN_BUDGET_US && !list_empty(&line)) {
        struct tls *t = LIST_ENTRY(list_first(&line), struct tls, waiting);

        list_del(&t->waiting);
        step_in_budget(t);
    }
}

static void
on_turn(struct task *task)
{
    (void)task;
    used_us = 0;
    if (!list_empty(&line))
        task_ready(&line_task);
}

void
tls_take_turn(struct tls *t)
{
    if (list_linked(&t->waiting))
        return;
    if (turn_hook.run == NULL) {
        turn_hook.run = on_turn;
        line_task.run = on_line;
        loop_hook(&turn_hook);
    }
    if (used_us < TURN_BUDGET_US && list_empty(&line))
        step_in_budget(t);
    else
        list_add_tail(&line, &t->waiting);
}

static void
handshake_on_event(struct conn *c)
{
    tls_take_turn(c->layer);
}

/* ---- the ClientHello ---- */

bool
tls_keep_name(struct tls *t, struct str name)
{
    char *copy = malloc(name.len + 1);

    if (copy == NULL)
        return false;
    for (size_t i = 0; i < name.len; i++)
        copy[i] = char_lower(name.ptr[i]);
    copy[name.len] = '\0';
    t->name = str_n(copy, name.len);
    return true;
}

/* A name without a port, which has no place in it, but some clients send one. */
static struct str
without_port(struct str name)
{
    size_t colon = str_rfind(name, ':');

    for (size_t i = colon + 1; i < name.len; i++) {
        if (name.ptr[i] < '0' || name.ptr[i] > '9')
            return name;
    }
    return str_upto(name, colon);
}

/* A name as it is compared with server_name: without a trailing dot. What is no host name is none. */
static struct str
host_name(const struct tls_hello *h)
{
    struct str name = without_port(str_n(h->name, h->name_len));

    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    for (size_t i = 0; i < name.len; i++) {
        char c = char_lower(name.ptr[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' &&
            (unsigned char)c < 0x80 && (c != '.' || i == 0 || name.ptr[i - 1] == '.'))
            return S("");
    }
    return name;
}

enum { ALERT_INTERNAL_ERROR = 80, ALERT_UNRECOGNIZED_NAME = 112 };

/* A fatal alert before there is a session, and the end. */
static void
refuse(struct tls *t, char alert, const char *why)
{
    const char record[] = { 21, 3, 3, 0, 2, 2, alert };

    t->state = TLS_FAILED;
    t->out = buf_get(sizeof(record));
    if (t->out != NULL) {
        memcpy(t->out->mem, record, sizeof(record));
        t->out->end = sizeof(record);
        (void)tls_send(t);
    }
    handshake_end(t, LOG_LEVEL_INFO, 0, why);
}

static void
hello_done(struct tls *t, const struct tls_hello *h)
{
    struct conn *c = t->c;

    conn_set_idle(c, false);
    t->began_us = clock_now_us();
    if (!tls_keep_name(t, host_name(h))) {
        handshake_end(t, LOG_LEVEL_ALERT, ENOMEM, "no memory for a handshake");
        return;
    }
    t->context = t->ops->choose(c, t->name, &t->server);
    if (t->context == NULL) { /* RFC 6066, 3 */
        refuse(t, ALERT_UNRECOGNIZED_NAME, "handshake rejected");
        return;
    }
    if (t->context->broken) {
        refuse(t, ALERT_INTERNAL_ERROR, "handshake rejected: the certificate is isolated");
        return;
    }
    if (!tls_open(t)) {
        conn_close(c);
        return;
    }
    SSL_set_accept_state(t->ssl);
    t->state = TLS_HANDSHAKE;
    c->on_event = handshake_on_event;
    tls_take_turn(t);
}

/* Room for more of the ClientHello. False: memory. */
static bool
hello_room(struct tls *t)
{
    struct buf *bigger;

    if (t->raw == NULL)
        t->raw = buf_get(HELLO_FIRST);
    if (t->raw == NULL || buf_space(t->raw) > 0)
        return t->raw != NULL;
    bigger = buf_resize(t->raw, num_max(2 * buf_len(t->raw), HELLO_FIRST));
    if (bigger == NULL)
        return false;
    t->raw = bigger;
    return true;
}

/* True: the bytes said what comes next, and it has begun. */
static bool
hello_look(struct tls *t)
{
    struct conn *c = t->c;
    const struct tls_server_ops *ops = t->ops;
    struct tls_hello h;

    switch (tls_hello_read(buf_str(t->raw), &h)) {
    case TLS_HELLO_MORE:
        if (buf_len(t->raw) < HELLO_BYTES_MAX)
            return false;
        h.name_len = 0;
        hello_done(t, &h);
        break;
    case TLS_HELLO_BAD:
        h.name_len = 0;
        hello_done(t, &h);
        break;
    case TLS_HELLO_DONE:
        hello_done(t, &h);
        break;
    case TLS_HELLO_OTHER:
        timer_stop(&c->timer);
        conn_set_idle(c, false);
        c->on_event = NULL;
        tls_detach(t);
        ops->plain(c);
        break;
    }
    return true;
}

static enum io
hello_fill(struct tls *t)
{
    ssize_t r;

    if (!hello_room(t)) {
        errno = ENOMEM;
        return IO_ERROR;
    }
    r = tls_raw_read(t, t->raw->mem + t->raw->end, buf_space(t->raw));
    if (r > 0) {
        t->raw->end += (uint32_t)r;
        return IO_OK;
    }
    if (r == 0)
        return IO_EOF;
    return errno == EAGAIN || errno == EWOULDBLOCK ? IO_AGAIN : IO_ERROR;
}

/* A connection that says nothing holds no buffer, and its place goes to others first. */
static void
hello_wait(struct tls *t)
{
    t->c->bits &= (uint8_t)~CONN_READABLE;
    if (buf_len(t->raw) > 0) {
        conn_set_idle(t->c, false);
        return;
    }
    buf_put(t->raw);
    t->raw = NULL;
}

/* Who leaves without a word needs no line in the log: port scanners and idle browsers do. */
static void
hello_lost(struct tls *t, enum io io)
{
    if (t->raw == NULL || buf_len(t->raw) == 0)
        conn_close(t->c);
    else
        handshake_end(t, LOG_LEVEL_INFO, io == IO_ERROR ? t->c->error : 0,
                      "peer closed connection in SSL handshake");
}

static void
hello_on_event(struct conn *c)
{
    struct tls *t = c->layer;

    for (;;) {
        enum io io;

        if (t->raw != NULL && buf_len(t->raw) > 0 && hello_look(t))
            return;
        io = hello_fill(t);
        if (io == IO_OK)
            continue;
        if (io == IO_AGAIN && !(c->bits & CONN_ERROR))
            hello_wait(t);
        else
            hello_lost(t, io);
        return;
    }
}

void
tls_accept(struct conn *c, const struct tls_server_ops *ops, uint64_t timeout_ms)
{
    struct tls *t;

    if (!tls_attach(c, &t)) {
        log_alert(ENOMEM, "no memory for a TLS connection");
        conn_close(c);
        return;
    }
    t->ops = ops;
    c->on_event = hello_on_event;
    c->timer.on_time = handshake_on_time;
    timer_set(&c->timer, timeout_ms);
    conn_set_idle(c, true);
    hello_on_event(c);
}

/* ---- what is known ---- */

bool
conn_is_tls(const struct conn *c)
{
    return c->ops == &tls_ops;
}

const void *
tls_server_of(const struct conn *c)
{
    const struct tls *t = tls_of(c);

    return t != NULL ? t->server : NULL;
}

struct str
tls_alpn(const struct conn *c)
{
    const struct tls *t = tls_of(c);
    const unsigned char *name = NULL;
    unsigned int len = 0;

    if (t == NULL || t->ssl == NULL)
        return S("");
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return name != NULL ? str_n((const char *)name, len) : S("");
}
