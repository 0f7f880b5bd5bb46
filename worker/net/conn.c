/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conn.c - connections of a worker: making, counting, closing; reads and writes of the plain layer.
 *
 * Readiness is sticky: only a call that comes back short clears a bit, and with EOF known READABLE stays until the read
 * that returns it.
 */
#include "worker/net/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/shm/counters.h"
#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "worker/core/cycle.h"
#include "worker/core/exchange.h"
#include "worker/core/source.h"
#include "worker/net/events_conf.h"
#include "worker/net/pipe_pool.h"

enum {
    CONN_ALIGN = 64,        /* the hot part begins a cache line */
    CONN_ARENA_STEP = 1024, /* bytes */
    CONN_FREE_MAX = 4096,   /* structs that a worker keeps for reuse */
    IO_STEP_MAX = 1 << 30,  /* bytes asked of one system call */
};

void (*conn_on_room)(void);

static struct list client_conns = LIST_INIT(client_conns), origin_conns = LIST_INIT(origin_conns);
static struct list idle_clients = LIST_INIT(idle_clients), idle_origins = LIST_INIT(idle_origins);
static unsigned client_count, origin_count, idle_client_count;
static struct conn *free_conns; /* linked through `layer` */
static unsigned free_count;
static uint64_t last_id;

/* ---- making and ending ---- */

static void
conn_on_watch(struct watch *w, unsigned bits)
{
    struct conn *c = CONTAINER_OF(w, struct conn, watch);
    uint8_t was = c->bits;

    if (bits & LOOP_READ)
        c->bits |= CONN_READABLE;
    if (bits & LOOP_WRITE)
        c->bits |= CONN_WRITABLE;
    if (bits & LOOP_HANGUP)
        c->bits |= CONN_EOF | CONN_READABLE;
    if (bits & LOOP_ERROR)
        c->bits |= CONN_ERROR | CONN_READABLE | CONN_WRITABLE;
    /* The report that a fresh socket takes bytes, and each later one that nobody waits for. */
    if (c->bits == was && bits == LOOP_WRITE)
        return;
    if (c->on_event != NULL)
        c->on_event(c);
}

static struct conn *
conn_take(void)
{
    size_t size = (sizeof(struct conn) + CONN_ALIGN - 1) / CONN_ALIGN * CONN_ALIGN;
    struct conn *c = free_conns;

    if (c != NULL) {
        free_conns = c->layer;
        free_count--;
    } else {
        c = aligned_alloc(CONN_ALIGN, size);
    }
    if (c != NULL)
        memset(c, 0, sizeof(*c));
    return c;
}

static void
conn_give_back(void *p)
{
    struct conn *c = p;

    if (free_count >= CONN_FREE_MAX) {
        free(c);
        return;
    }
    c->layer = free_conns;
    free_conns = c;
    free_count++;
}

/* Clients and origins share worker_connections, as in nginx. */
static bool
conn_make_room(void)
{
    while (client_count + origin_count >= worker_config->core.worker_connections) {
        if (!conn_close_oldest())
            return false;
    }
    return true;
}

bool
conn_has_room(void)
{
    return client_count + origin_count < worker_config->core.worker_connections ||
           !list_empty(&idle_clients) || !list_empty(&idle_origins);
}

struct conn *
conn_open(int fd, bool outgoing)
{
    struct conn *c = NULL;

    errno = EMFILE;
    if (!conn_make_room())
        goto fail;
    errno = ENOMEM;
    c = conn_take();
    if (c == NULL)
        goto fail;
    c->ops = &conn_plain_ops;
    c->outgoing = outgoing;
    c->watch.on_event = conn_on_watch;
    c->opened_ms = clock_ms;
    c->id = ++last_id;
    /* An accepted one most often has its first bytes already; a read that finds nothing costs less than a turn. */
    c->bits = outgoing ? 0 : CONN_READABLE | CONN_WRITABLE;
    arena_init(&c->arena, CONN_ARENA_STEP);
    list_init(&c->idle_node);
    if (!loop_add(&c->watch, fd))
        goto fail;
    list_add_tail(outgoing ? &origin_conns : &client_conns, &c->all_node);
    if (outgoing) {
        origin_count++;
    } else {
        client_count++;
        counter_add(events_active, 1);
    }
    return c;

fail:
    if (c != NULL)
        conn_give_back(c);
    close(fd);
    return NULL;
}

void
conn_close(struct conn *c)
{
    int fd = c->watch.fd;

    if (c->closed)
        return;
    c->closed = true;
    if (c->ops->close != NULL)
        c->ops->close(c);
    conn_set_idle(c, false);
    timer_forget(&c->timer);
    loop_forget(&c->watch);
    close(fd);
    list_del(&c->all_node);
    if (c->outgoing) {
        origin_count--;
    } else {
        client_count--;
        counter_add(events_active, -1);
    }
    arena_free(&c->arena);
    buf_put_chain(c->in);
    c->in = NULL;
    c->on_event = NULL;
    loop_defer_free(conn_give_back, c);
    if (conn_on_room != NULL)
        conn_on_room();
}

void
conn_reset(struct conn *c)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (c->closed)
        return;
    (void)setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    c->bits |= CONN_ERROR; /* no layer says a proper farewell */
    conn_close(c);
}

/* ---- idle ones ---- */

void
conn_set_idle(struct conn *c, bool idle)
{
    if (c->idle == idle)
        return;
    c->idle = idle;
    if (!c->outgoing)
        idle_client_count += idle ? 1 : -1U;
    if (idle)
        list_add_tail(c->outgoing ? &idle_origins : &idle_clients, &c->idle_node);
    else
        list_del(&c->idle_node);
}

/* The owner sees what it would see if the peer had gone, and closes. */
static void
conn_end_idle(struct conn *c)
{
    c->bits |= CONN_EOF | CONN_ERROR | CONN_READABLE;
    c->error = ECONNABORTED;
    if (c->on_event != NULL)
        c->on_event(c);
    if (!c->closed)
        conn_close(c);
}

static bool
conn_close_first(struct list *idle)
{
    struct list *node = list_first(idle);

    if (node == NULL)
        return false;
    conn_end_idle(LIST_ENTRY(node, struct conn, idle_node));
    return true;
}

unsigned
conn_close_idle(unsigned n)
{
    unsigned closed = 0;

    while (closed < n && conn_close_first(&idle_clients))
        closed++;
    return closed;
}

bool
conn_close_oldest(void)
{
    return conn_close_first(&idle_clients) || conn_close_first(&idle_origins);
}

bool
conn_free_descriptor(void)
{
    if (errno != EMFILE && errno != ENFILE)
        return false;
    return pipe_pool_drop() || conn_close_oldest();
}

void
conn_each(void (*fn)(struct conn *c, void *data), void *data)
{
    LIST_FOREACH (it, &client_conns)
        fn(LIST_ENTRY(it, struct conn, all_node), data);
}

unsigned
conn_count(void)
{
    return client_count;
}

unsigned
conn_idle_count(void)
{
    return idle_client_count;
}

const struct addr *
conn_client(const struct exchange *x)
{
    if (x->root->client != NULL)
        return x->root->client;
    return x->root->conn != NULL ? &x->root->conn->peer : NULL;
}

const struct addr *
conn_local(struct conn *c)
{
    /* the system knows a unix socket by the name under which it was made, which is not the one that it got */
    if (c->local.len == 0 && c->spec != NULL && c->spec->addr.sa.sa_family == AF_UNIX)
        c->local = c->spec->addr;
    if (c->local.len == 0 && !socket_local_addr(c->watch.fd, &c->local))
        c->local =
            (struct addr){ .len = sizeof(struct sockaddr_in), .in = { .sin_family = AF_INET } };
    return &c->local;
}

/* ---- reading ---- */

/* Bytes read ahead, then nothing more: the rest of the room waits for the next call. */
static size_t
conn_read_ahead(struct conn *c, const struct iovec *iov, int n)
{
    size_t got = 0;

    for (int i = 0; i < n && c->in != NULL; i++) {
        size_t room = iov[i].iov_len, at = 0;

        while (at < room && c->in != NULL)
            at += buf_take(&c->in, (char *)iov[i].iov_base + at, room - at);
        got += at;
    }
    return got;
}

enum io
conn_read(struct conn *c, struct iovec *iov, int n, size_t *got)
{
    *got = 0;
    if (c->in != NULL) {
        *got = conn_read_ahead(c, iov, n);
        if (*got > 0)
            return IO_OK;
    }
    if ((c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)) == 0)
        return IO_AGAIN;
    return c->ops->read(c, iov, n, got);
}

enum io
conn_read_buf(struct conn *c, void *to, size_t len, size_t *got)
{
    struct iovec iov = { .iov_base = to, .iov_len = len };

    return conn_read(c, &iov, 1, got);
}

bool
conn_unread(struct conn *c, struct str bytes)
{
    struct buf *b;

    if (bytes.len == 0)
        return true;
    b = buf_get(bytes.len);
    if (b == NULL)
        return false;
    memcpy(b->mem, bytes.ptr, bytes.len);
    b->start = 0;
    b->end = (uint32_t)bytes.len;
    b->next = c->in;
    c->in = b;
    c->bits |= CONN_READABLE; /* who waits for bytes is not to wait for the socket's */
    return true;
}

/* ---- the plain layer ---- */

static enum io
plain_failed(struct conn *c)
{
    c->error = errno;
    c->bits |= CONN_ERROR;
    return IO_ERROR;
}

static size_t
iov_total(const struct iovec *iov, int n)
{
    size_t total = 0;

    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

static enum io
plain_read(struct conn *c, struct iovec *iov, int n, size_t *got)
{
    size_t asked = iov_total(iov, n);
    ssize_t r;

    do {
        r = n == 1 ? recv(c->watch.fd, iov->iov_base, iov->iov_len, 0) : readv(c->watch.fd, iov, n);
    } while (r < 0 && errno == EINTR);
    *got = 0;
    if (r > 0) {
        *got = (size_t)r;
        if (*got < asked && (c->bits & (CONN_EOF | CONN_ERROR)) == 0)
            c->bits &= (uint8_t)~CONN_READABLE;
        return IO_OK;
    }
    c->bits &= (uint8_t)~CONN_READABLE;
    if (r == 0) {
        if (asked == 0)
            return IO_AGAIN;
        c->bits |= CONN_EOF;
        return IO_EOF;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return IO_AGAIN;
    return plain_failed(c);
}

/* What all writing calls have in common: r is what the system call said of `asked` bytes. */
static enum io
plain_wrote(struct conn *c, ssize_t r, size_t asked, size_t *taken)
{
    *taken = 0;
    if (r >= 0) {
        *taken = (size_t)r;
        c->sent += (size_t)r;
        if (*taken == asked)
            return IO_OK;
        c->bits &= (uint8_t)~CONN_WRITABLE;
        return IO_AGAIN;
    }
    c->bits &= (uint8_t)~CONN_WRITABLE;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return IO_AGAIN;
    return plain_failed(c);
}

static enum io
plain_write(struct conn *c, const struct iovec *iov, int n, bool more, size_t *taken)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)n };
    ssize_t r;

    do {
        r = n == 1 ? send(c->watch.fd, iov->iov_base, iov->iov_len, flags)
                   : sendmsg(c->watch.fd, &m, flags);
    } while (r < 0 && errno == EINTR);
    return plain_wrote(c, r, iov_total(iov, n), taken);
}

static enum io
plain_write_file(struct conn *c, int fd, uint64_t at, size_t len, bool more, size_t *taken)
{
    off_t from = (off_t)at;
    ssize_t r;

    (void)more; /* sendfile holds back its own last piece only */
    if (len > IO_STEP_MAX)
        len = IO_STEP_MAX;
    do
        r = sendfile(c->watch.fd, fd, &from, len);
    while (r < 0 && errno == EINTR);
    if (r == 0 && len > 0) {
        errno = EIO; /* the file has become shorter than its source said */
        r = -1;
    }
    /* A short count is not a full socket: sendfile also stops at its own limits, so only EAGAIN says that. */
    if (r > 0) {
        *taken = (size_t)r;
        c->sent += (size_t)r;
        return IO_OK;
    }
    return plain_wrote(c, r, len, taken);
}

static enum io
plain_write_pipe(struct conn *c, int pipe_fd, size_t len, bool more, size_t *taken)
{
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
    ssize_t r;

    if (len > IO_STEP_MAX)
        len = IO_STEP_MAX;
    do
        r = splice(pipe_fd, NULL, c->watch.fd, NULL, len, flags);
    while (r < 0 && errno == EINTR);
    if (r > 0) {
        *taken = (size_t)r;
        c->sent += (size_t)r;
        return IO_OK;
    }
    return plain_wrote(c, r, len, taken);
}

static enum io
plain_flush(struct conn *c)
{
    (void)c;
    return IO_OK;
}

static void
plain_shutdown(struct conn *c)
{
    (void)shutdown(c->watch.fd, SHUT_WR);
}

const struct conn_ops conn_plain_ops = {
    .kinds = PIECE_MEM | PIECE_FILE | PIECE_PIPE,
    .read = plain_read,
    .write = plain_write,
    .write_file = plain_write_file,
    .write_pipe = plain_write_pipe,
    .flush = plain_flush,
    .shutdown = plain_shutdown,
};
