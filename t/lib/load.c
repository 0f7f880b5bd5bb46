/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load.c - clients of several kinds in one process that use a server all the time and count what goes wrong.
 *
 *     load PORT keepalive=4 fresh=2 pipeline=1 download=1 upload=1 tunnel=1 rude=1 [name=value ...]
 *
 * No request is ever repeated: a kept connection on which no answer comes is a failure, and so is one that is closed
 * while it is idle without an answer that said so. Each request has a number of its own (?id=N), counted from 1.
 * Standard input: "count\n" asks for the line "count REQUESTS FAILED"; "stop\n", or its end, ends each client after the
 * request that it is at. Standard output then: "problem KIND LOCAL_PORT TIME TEXT" lines, "kind KIND REQUESTS FAILED" lines, "ids N".
 *
 * small=/a,/b: paths that answer "small", used in turn; big=/p: answers `bytes` bytes, a..z again and again; upload=/p:
 * answers "LENGTH SUM" of a body; tunnel=/p: upgrades to an echo. pause=US: mean time between two steps of a client.
 * patience=MS: what waits longer for the server is a failure. rude clients leave in the middle of everything.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 4096,
    PATHS_MAX = 16,
    IN_MAX = 32768,
    OUT_MAX = 16384,
    PROBLEMS_MAX = 100000,
    PIPELINED = 4,
    UPLOAD_PIECES = 40,
    UPLOAD_PIECE = 4096,
    TUNNEL_MESSAGES = 60,
    MESSAGE_MAX = 3000,
    SLOW_RCVBUF = 16384,
};

enum kind { KEEPALIVE, FRESH, PIPELINE, DOWNLOAD, UPLOAD, TUNNEL, RUDE, KINDS };
static const char *const kind_names[KINDS] = { "keepalive", "fresh",  "pipeline", "download",
                                               "upload",    "tunnel", "rude" };

enum state {
    OFF, /* no connection; the next one at wake_us */
    CONNECTING,
    IDLE,     /* connected; the next request at wake_us */
    ASKING,   /* a request is going out, or its answer is awaited */
    ENDING,   /* the last answer said close: the server is to end the connection */
    FINISHED, /* told to stop */
};

struct answer {
    bool head_done, chunked, close, done;
    int status;
    int64_t length; /* -1: until chunks end */
    int64_t got;    /* body bytes */
    int64_t chunk;  /* bytes left of it; -1: a size line is awaited */
    bool last_chunk;
    char body[64]; /* its beginning */
    bool wrong;    /* not the bytes that were to come */
};

struct client {
    enum kind kind;
    enum state state;
    int fd;
    uint16_t port; /* ours */
    uint64_t wake_us, deadline_us;
    char out[OUT_MAX];
    size_t out_len, out_sent;
    size_t out_hold; /* bytes that go out at first; the rest at wake_us */
    char in[IN_MAX];
    size_t in_len;
    struct answer a;
    unsigned turn;      /* requests begun by this client */
    unsigned expected;  /* answers still to come */
    bool split;         /* pipelined in two writes */
    unsigned pieces;    /* UPLOAD: still to be sent */
    uint64_t sum, sent; /* UPLOAD */
    bool upload_chunked;
    unsigned messages; /* TUNNEL: still to be sent */
    bool tunnel, shut;
    char message[MESSAGE_MAX];
    size_t message_len, echoed;
    uint64_t leave_at; /* RUDE: bytes of the answer that it waits for */
};

struct problem {
    enum kind kind;
    uint16_t port;
    double at;
    char text[160];
};

static struct {
    unsigned port, count[KINDS];
    const char *small[PATHS_MAX];
    unsigned n_small;
    const char *big, *upload, *tunnel;
    uint64_t bytes, pause_us, patience_us;
    unsigned slow_bytes;
} o = { .n_small = 1,
        .small = { "/small" },
        .big = "/big",
        .upload = "/upload",
        .tunnel = "/tunnel",
        .bytes = 1000000,
        .pause_us = 4000,
        .patience_us = 10000000,
        .slow_bytes = 32768 };

static struct client *clients[CLIENTS_MAX];
static unsigned n_clients;
static struct problem *problems;
static unsigned n_problems;
static uint64_t requests[KINDS], failed[KINDS], last_id, now_us;
static bool stopping;

/* ---- time, chance, problems ---- */

static uint64_t
clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
below(uint64_t n)
{
    return n == 0 ? 0 : (((uint64_t)random() << 31) ^ (uint64_t)random()) % n;
}

static uint64_t
after_pause(void)
{
    return stopping ? now_us : now_us + below(2 * o.pause_us + 1);
}

static void
drop(struct client *c, bool reset)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    if (c->fd >= 0) {
        if (reset)
            (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(c->fd);
    }
    c->fd = -1;
    c->state = stopping ? FINISHED : OFF;
    c->wake_us = after_pause();
}

static __attribute__((format(printf, 2, 3))) void
problem(struct client *c, const char *format, ...)
{
    struct timespec t;
    va_list args;

    failed[c->kind]++;
    requests[c->kind]++;
    if (n_problems < PROBLEMS_MAX) {
        struct problem *p = &problems[n_problems++];

        clock_gettime(CLOCK_REALTIME, &t);
        p->kind = c->kind;
        p->port = c->port;
        p->at = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
        va_start(args, format);
        vsnprintf(p->text, sizeof(p->text), format, args);
        va_end(args);
    }
    drop(c, false);
}

/* ---- connections ---- */

static void
start_connection(struct client *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)o.port) };
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    int small = SLOW_RCVBUF, one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->port = 0;
    c->in_len = c->out_len = c->out_sent = c->out_hold = 0;
    c->tunnel = c->shut = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        problem(c, "socket: %s", strerror(errno));
        return;
    }
    if (c->kind == DOWNLOAD)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    c->state = CONNECTING;
    c->deadline_us = now_us + o.patience_us;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS) {
        problem(c, "connect: %s", strerror(errno));
        return;
    }
    if (getsockname(c->fd, (struct sockaddr *)&own, &len) == 0)
        c->port = ntohs(own.sin_port);
}

/* ---- requests ---- */

static __attribute__((format(printf, 2, 3))) void
put(struct client *c, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(c->out + c->out_len, sizeof(c->out) - c->out_len, format, args);
    va_end(args);
    c->out_len += (size_t)n;
}

static void
put_request(struct client *c, const char *method, const char *path, const char *fields)
{
    put(c, "%s %s?id=%llu HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, path,
        (unsigned long long)++last_id, fields);
}

static void
expect_answers(struct client *c, unsigned n)
{
    c->a = (struct answer){ .length = -1, .chunk = -1 };
    c->expected = n;
    c->state = ASKING;
    c->deadline_us = now_us + o.patience_us;
}

static void
begin_upload(struct client *c)
{
    c->pieces = UPLOAD_PIECES;
    c->sum = c->sent = 0;
    c->upload_chunked = c->turn % 2 == 1;
    if (c->upload_chunked) {
        put_request(c, "POST", o.upload, "Connection: close\r\nTransfer-Encoding: chunked\r\n");
    } else {
        char fields[100];

        snprintf(fields, sizeof(fields), "Connection: close\r\nContent-Length: %d\r\n",
                 UPLOAD_PIECES * UPLOAD_PIECE);
        put_request(c, "POST", o.upload, fields);
    }
    c->wake_us = now_us;
}

static void
upload_piece(struct client *c)
{
    char piece[UPLOAD_PIECE];

    for (size_t i = 0; i < sizeof(piece); i++) {
        piece[i] = (char)('A' + below(26));
        c->sum = c->sum * 31 + (unsigned char)piece[i];
    }
    if (c->upload_chunked)
        put(c, "%x\r\n", (unsigned)sizeof(piece));
    memcpy(c->out + c->out_len, piece, sizeof(piece));
    c->out_len += sizeof(piece);
    c->sent += sizeof(piece);
    c->pieces--;
    if (c->upload_chunked)
        put(c, c->pieces == 0 ? "\r\n0\r\n\r\n" : "\r\n");
}

static void
tunnel_message(struct client *c)
{
    c->message_len = 1 + below(MESSAGE_MAX - 1);
    for (size_t i = 0; i < c->message_len; i++)
        c->message[i] = (char)below(256);
    memcpy(c->out, c->message, c->message_len);
    c->out_len = c->message_len;
    c->out_sent = c->echoed = 0;
    c->deadline_us = now_us + o.patience_us;
    c->messages--;
    c->wake_us = UINT64_MAX; /* until it has come back */
}

static void
begin_pipeline(struct client *c)
{
    size_t first = 1;

    for (unsigned i = 0; i < PIPELINED; i++)
        put_request(c, "GET", o.small[below(o.n_small)], "");
    c->split = c->turn % 2 == 1;
    if (c->split) {
        first += below(c->out_len - 1);
        c->out_hold = first;
        c->wake_us = after_pause();
    }
    expect_answers(c, PIPELINED);
}

static void
begin_request(struct client *c)
{
    c->out_len = c->out_sent = c->out_hold = 0;
    c->turn++;
    expect_answers(c, 1);
    c->wake_us = UINT64_MAX;
    switch (c->kind) {
    case KEEPALIVE:
        put_request(c, "GET", o.small[c->turn % o.n_small], "");
        break;
    case FRESH:
        put_request(c, "GET", o.small[c->turn % o.n_small],
                    c->turn % 2 == 0 ? "Connection: close\r\n" : "");
        break;
    case PIPELINE:
        begin_pipeline(c);
        break;
    case DOWNLOAD:
        put_request(c, "GET", o.big, "Connection: close\r\n");
        break;
    case UPLOAD:
        begin_upload(c);
        break;
    case TUNNEL:
        put_request(c, "GET", o.tunnel, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
        c->messages = TUNNEL_MESSAGES;
        break;
    case RUDE:
        switch (below(4)) {
        case 0:
            put_request(c, "GET", o.big, "");
            break;
        case 1:
            put(c, "GET / HTT");
            break;
        case 2:
            put(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nxyz", o.upload);
            break;
        default:
            put_request(c, "GET", o.small[below(o.n_small)], "");
            break;
        }
        c->leave_at = below(o.bytes / 4 + 1);
        c->wake_us = after_pause();
        break;
    case KINDS:
        break;
    }
}

/* ---- answers ---- */

static bool
says_close(const char *value, size_t len)
{
    for (size_t i = 0; i + 5 <= len; i++) {
        if (strncasecmp(value + i, "close", 5) == 0)
            return true;
    }
    return false;
}

/* Reads a head of `len` bytes. */
static bool
parse_head(struct answer *a, const char *p, size_t len)
{
    const char *end = p + len;

    if (len < 14 || memcmp(p, "HTTP/1.1 ", 9) != 0)
        return false;
    *a = (struct answer){ .length = -1, .chunk = -1, .status = atoi(p + 9) };
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL && ++p < end) {
        const char *stop = memchr(p, '\r', (size_t)(end - p));

        if (stop == NULL)
            return false;
        if (strncasecmp(p, "Content-Length:", 15) == 0)
            a->length = atoll(p + 15);
        else if (strncasecmp(p, "Transfer-Encoding: chunked", 26) == 0)
            a->chunked = true;
        else if (strncasecmp(p, "Connection:", 11) == 0)
            a->close = says_close(p, (size_t)(stop - p));
    }
    a->head_done = a->status >= 200 || a->status == 101;
    a->done = a->status == 101 || (!a->chunked && a->length == 0);
    return true;
}

static void
take_body(struct client *c, const char *p, size_t len)
{
    struct answer *a = &c->a;

    for (size_t i = 0; i < len; i++) {
        uint64_t at = (uint64_t)a->got + i;

        if (at < sizeof(a->body) - 1)
            a->body[at] = p[i];
        if (c->kind == DOWNLOAD && p[i] != 'a' + (char)(at % 26))
            a->wrong = true;
    }
    a->got += (int64_t)len;
}

/* Takes what it can of `len` bytes behind the head; the number taken, or -1: not HTTP. */
static ssize_t
parse_body(struct client *c, const char *p, size_t len)
{
    struct answer *a = &c->a;
    size_t at = 0;

    if (!a->chunked) {
        size_t n = len;

        if (a->length < 0)
            return -1;
        if ((int64_t)n > a->length - a->got)
            n = (size_t)(a->length - a->got);
        take_body(c, p, n);
        a->done = a->got == a->length;
        return (ssize_t)n;
    }
    while (!a->done) {
        if (a->chunk > 0) {
            size_t n = len - at;

            if (n == 0)
                break;
            if ((int64_t)n > a->chunk)
                n = (size_t)a->chunk;
            take_body(c, p + at, n);
            at += n;
            a->chunk -= (int64_t)n;
            continue;
        }
        const char *nl = memchr(p + at, '\n', len - at);

        if (nl == NULL)
            break;
        if (a->last_chunk) {
            a->done = true;
        } else if (a->chunk == 0) {
            a->chunk = -1; /* the end of a chunk */
        } else {
            a->chunk = strtoll(p + at, NULL, 16);
            if (a->chunk == 0)
                a->last_chunk = true;
        }
        at = (size_t)(nl + 1 - p);
    }
    return (ssize_t)at;
}

static bool
answer_is_right(struct client *c)
{
    const struct answer *a = &c->a;
    char text[64];

    if (c->kind == TUNNEL)
        return a->status == 101;
    if (c->kind == RUDE)
        return true;
    if (a->status != 200 || a->wrong)
        return false;
    switch (c->kind) {
    case DOWNLOAD:
        return (uint64_t)a->got == o.bytes;
    case UPLOAD:
        snprintf(text, sizeof(text), "%llu %016llx", (unsigned long long)c->sent,
                 (unsigned long long)c->sum);
        return c->pieces == 0 && strcmp(a->body, text) == 0;
    default:
        return strcmp(a->body, "small") == 0;
    }
}

/* After the last answer of this round. */
static void
round_done(struct client *c, bool closing)
{
    if (closing && c->kind != RUDE) {
        c->state = ENDING;
        c->deadline_us = now_us + o.patience_us;
        if (c->turn % 3 == 0) /* others see who closes */
            drop(c, false);
    } else if (c->kind == KEEPALIVE || c->kind == PIPELINE) {
        c->state = IDLE;
        c->wake_us = after_pause();
        if (stopping)
            drop(c, false);
    } else {
        drop(c, false);
    }
}

static void
answer_done(struct client *c)
{
    bool closing = c->a.close;

    if (!answer_is_right(c)) {
        problem(c, "status %d, %lld bytes, \"%.40s\"%s", c->a.status, (long long)c->a.got,
                c->a.body, c->a.wrong ? ", wrong bytes" : "");
        return;
    }
    requests[c->kind]++;
    c->expected--;
    if (c->kind == TUNNEL) {
        c->tunnel = true;
        tunnel_message(c);
        return;
    }
    c->a = (struct answer){ .length = -1, .chunk = -1 };
    c->deadline_us = now_us + o.patience_us;
    if (c->expected > 0 && closing && !c->split) {
        problem(c, "%u pipelined requests of one write were left out", c->expected);
        return;
    }
    if (c->expected == 0 || closing)
        round_done(c, closing);
}

static void
tunnel_bytes(struct client *c)
{
    if (c->echoed + c->in_len > c->message_len ||
        memcmp(c->message + c->echoed, c->in, c->in_len) != 0) {
        problem(c, "tunnel: %zu bytes that were not sent", c->in_len);
        return;
    }
    c->echoed += c->in_len;
    c->in_len = 0;
    if (c->echoed < c->message_len)
        return;
    requests[TUNNEL]++;
    c->message_len = c->echoed = 0;
    c->wake_us = after_pause();
    if (c->messages == 0 || stopping) {
        c->state = ENDING;
        c->deadline_us = now_us + o.patience_us;
        shutdown(c->fd, SHUT_WR);
    }
}

/* What lies in `in`. */
static void
parse(struct client *c)
{
    while (c->in_len > 0 && c->state == ASKING) {
        size_t taken = 0;

        if (c->tunnel) {
            tunnel_bytes(c);
            return;
        }
        if (!c->a.head_done) {
            char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);

            if (end == NULL) {
                if (c->in_len == sizeof(c->in))
                    problem(c, "an endless head");
                return;
            }
            taken = (size_t)(end + 4 - c->in);
            if (!parse_head(&c->a, c->in, taken)) {
                problem(c, "not a response: %.40s", c->in);
                return;
            }
        } else {
            ssize_t n = parse_body(c, c->in, c->in_len);

            if (n < 0) {
                problem(c, "a body without a length");
                return;
            }
            taken = (size_t)n;
            if (taken == 0 && !c->a.done)
                return;
        }
        c->in_len -= taken;
        memmove(c->in, c->in + taken, c->in_len);
        if (c->a.head_done && c->a.done)
            answer_done(c);
    }
    if (c->in_len > 0 && c->fd >= 0)
        problem(c, "bytes that belong to no answer: %.40s", c->in);
}

/* ---- events ---- */

static void
on_end(struct client *c, int error)
{
    const char *how = error != 0 ? strerror(error) : "closed";

    if (c->kind == RUDE || (c->state == ENDING && error == 0)) {
        drop(c, false);
        return;
    }
    if (c->state == IDLE)
        problem(c, "while idle: %s", how);
    else if (c->state == ENDING)
        problem(c, "after the last answer: %s", how);
    else if (c->tunnel)
        problem(c, "tunnel: %s, %zu of %zu bytes came back", how, c->echoed, c->message_len);
    else if (c->a.head_done)
        problem(c, "cut: %s, status %d, %lld bytes", how, c->a.status, (long long)c->a.got);
    else
        problem(c, "no answer (%u awaited, %zu of %zu bytes sent): %s", c->expected, c->out_sent,
                c->out_len, how);
}

static void
read_some(struct client *c)
{
    size_t room = sizeof(c->in) - c->in_len;
    ssize_t n = recv(c->fd, c->in + c->in_len, room < o.slow_bytes ? room : o.slow_bytes, 0);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        on_end(c, n < 0 ? errno : 0);
        return;
    }
    c->in_len += (size_t)n;
    if (c->state == ASKING && c->kind != TUNNEL)
        c->deadline_us = now_us + o.patience_us;
    if (c->kind == DOWNLOAD)
        c->wake_us = after_pause();
    parse(c);
    if (c->kind == RUDE && c->state == ASKING && (uint64_t)c->a.got >= c->leave_at)
        drop(c, below(2) == 0);
}

static void
write_some(struct client *c)
{
    size_t end = c->out_hold > 0 ? c->out_hold : c->out_len;
    ssize_t n = send(c->fd, c->out + c->out_sent, end - c->out_sent, MSG_NOSIGNAL);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        /* an answer may have come before the server closed: read it first */
        if (errno == EPIPE || errno == ECONNRESET)
            c->out_sent = c->out_len = c->out_hold = 0;
        else
            problem(c, "write: %s", strerror(errno));
        return;
    }
    c->out_sent += (size_t)n;
    c->deadline_us = now_us + o.patience_us;
    if (c->kind == UPLOAD && c->out_sent == c->out_len) {
        c->out_sent = c->out_len = 0;
        if (c->pieces > 0)
            c->wake_us = after_pause();
    }
}

static void
on_connected(struct client *c)
{
    int error = 0;
    socklen_t len = sizeof(error);

    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0) {
        problem(c, "connect: %s", strerror(error));
        return;
    }
    c->state = IDLE;
    begin_request(c);
}

static void
on_time(struct client *c)
{
    switch (c->state) {
    case OFF:
        if (stopping)
            c->state = FINISHED;
        else
            start_connection(c);
        break;
    case IDLE:
        if (stopping)
            drop(c, false);
        else
            begin_request(c);
        break;
    case ASKING:
        c->wake_us = UINT64_MAX;
        if (c->out_hold > 0)
            c->out_hold = 0;
        else if (c->kind == UPLOAD && c->pieces > 0 && c->out_len < UPLOAD_PIECE)
            upload_piece(c);
        else if (c->tunnel && c->message_len == 0)
            tunnel_message(c);
        else if (c->kind == RUDE && below(2) == 0)
            drop(c, below(2) == 0);
        break;
    case CONNECTING:
    case ENDING:
    case FINISHED:
        break;
    }
}

static short
wanted(const struct client *c)
{
    size_t end = c->out_hold > 0 ? c->out_hold : c->out_len;
    short events = 0;

    switch (c->state) {
    case CONNECTING:
        return POLLOUT;
    case IDLE:
    case ENDING:
        return POLLIN;
    case ASKING:
        if (c->kind != DOWNLOAD || c->wake_us == UINT64_MAX)
            events = POLLIN;
        if (c->out_sent < end)
            events |= POLLOUT;
        return events;
    case OFF:
    case FINISHED:
        break;
    }
    return 0;
}

static bool
waits_for_server(const struct client *c)
{
    return c->state == CONNECTING || c->state == ENDING ||
           (c->state == ASKING && (c->kind != DOWNLOAD || c->wake_us == UINT64_MAX) &&
            !(c->tunnel && c->message_len == 0));
}

static void
step(struct client *c, short events)
{
    if (events & (POLLOUT | POLLERR | POLLHUP)) {
        if (c->state == CONNECTING)
            on_connected(c);
    }
    if (c->fd >= 0 && (events & POLLOUT) && c->state == ASKING)
        write_some(c);
    if (c->fd >= 0 && (events & (POLLIN | POLLERR | POLLHUP)) && c->state != CONNECTING)
        read_some(c);
    if (c->state != FINISHED && c->wake_us <= now_us)
        on_time(c);
    if (waits_for_server(c) && c->deadline_us <= now_us) {
        if (c->kind == RUDE)
            drop(c, true);
        else
            problem(c, "timed out in state %d: %u answers awaited, %zu of %zu bytes sent%s",
                    c->state, c->expected, c->out_sent, c->out_len, c->tunnel ? ", tunnel" : "");
    }
}

/* ---- the run ---- */

static void
stop_all(void)
{
    stopping = true;
    for (unsigned i = 0; i < n_clients; i++) {
        if (clients[i]->state == OFF)
            clients[i]->state = FINISHED;
        else if (clients[i]->state == IDLE || clients[i]->kind == RUDE)
            drop(clients[i], false);
        if (clients[i]->wake_us != UINT64_MAX)
            clients[i]->wake_us = now_us;
    }
}

static void
on_control(void)
{
    char text[256];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text));
    uint64_t r = 0, f = 0;

    if (n <= 0 || memmem(text, (size_t)n, "stop", 4) != NULL) {
        stop_all();
        return;
    }
    for (unsigned k = 0; k < KINDS; k++) {
        r += requests[k];
        f += failed[k];
    }
    printf("count %llu %llu\n", (unsigned long long)r, (unsigned long long)f);
    fflush(stdout);
}

/* Until the next thing that a client does by itself. */
static int
poll_timeout(void)
{
    uint64_t next = now_us + 1000000;

    for (unsigned i = 0; i < n_clients; i++) {
        const struct client *c = clients[i];

        if (c->state == FINISHED)
            continue;
        if (c->wake_us < next && c->state != CONNECTING && c->state != ENDING)
            next = c->wake_us;
        if (waits_for_server(c) && c->deadline_us < next)
            next = c->deadline_us;
    }
    return next <= now_us ? 0 : (int)((next - now_us + 999) / 1000);
}

static void
run(void)
{
    static struct pollfd fds[CLIENTS_MAX + 1];

    for (;;) {
        unsigned left = 0;

        for (unsigned i = 0; i < n_clients; i++) {
            struct client *c = clients[i];
            short events = wanted(c);

            left += c->state != FINISHED;
            fds[i] = (struct pollfd){ .fd = events != 0 ? c->fd : -1, .events = events };
        }
        if (left == 0)
            return;
        fds[n_clients] = (struct pollfd){ .fd = stopping ? -1 : STDIN_FILENO, .events = POLLIN };
        if (poll(fds, n_clients + 1, poll_timeout()) < 0 && errno != EINTR)
            exit(1);
        now_us = clock_now();
        if (fds[n_clients].revents != 0)
            on_control();
        for (unsigned i = 0; i < n_clients; i++)
            step(clients[i], fds[i].fd >= 0 ? fds[i].revents : 0);
    }
}

static void
report(void)
{
    for (unsigned i = 0; i < n_problems; i++)
        printf("problem %s %u %.6f %s\n", kind_names[problems[i].kind], problems[i].port,
               problems[i].at, problems[i].text);
    for (unsigned k = 0; k < KINDS; k++)
        printf("kind %s %llu %llu\n", kind_names[k], (unsigned long long)requests[k],
               (unsigned long long)failed[k]);
    printf("ids %llu\n", (unsigned long long)last_id);
}

static bool
option(char *name, char *value)
{
    for (unsigned k = 0; k < KINDS; k++) {
        if (strcmp(name, kind_names[k]) == 0 && value[0] != '/') {
            o.count[k] = (unsigned)atoi(value);
            return true;
        }
    }
    if (strcmp(name, "small") == 0) {
        o.n_small = 0;
        for (char *p = strtok(value, ","); p != NULL && o.n_small < PATHS_MAX;
             p = strtok(NULL, ","))
            o.small[o.n_small++] = p;
    } else if (strcmp(name, "big") == 0) {
        o.big = value;
    } else if (strcmp(name, "upload") == 0) {
        o.upload = value;
    } else if (strcmp(name, "tunnel") == 0) {
        o.tunnel = value;
    } else if (strcmp(name, "bytes") == 0) {
        o.bytes = (uint64_t)atoll(value);
    } else if (strcmp(name, "pause") == 0) {
        o.pause_us = (uint64_t)atoll(value);
    } else if (strcmp(name, "patience") == 0) {
        o.patience_us = (uint64_t)atoll(value) * 1000;
    } else if (strcmp(name, "slow") == 0) {
        o.slow_bytes = (unsigned)atoi(value);
    } else {
        return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    problems = calloc(PROBLEMS_MAX, sizeof(*problems));
    if (argc < 2 || problems == NULL)
        return 2;
    o.port = (unsigned)atoi(argv[1]);
    for (int i = 2; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (value != NULL)
            *value++ = '\0';
        if (value == NULL || !option(argv[i], value)) {
            fprintf(stderr, "load: unknown option \"%s\"\n", argv[i]);
            return 2;
        }
    }
    now_us = clock_now();
    for (unsigned k = 0; k < KINDS; k++) {
        for (unsigned i = 0; i < o.count[k] && n_clients < CLIENTS_MAX; i++) {
            struct client *c = calloc(1, sizeof(*c));

            if (c == NULL)
                return 2;
            c->kind = (enum kind)k;
            c->fd = -1;
            c->turn = i;
            c->wake_us = after_pause();
            clients[n_clients++] = c;
        }
    }
    run();
    report();
    return 0;
}
