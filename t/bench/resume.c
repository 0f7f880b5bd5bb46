/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resume.c - clients that resume a TLS session for each request.
 *
 *     resume PORT 1.3|1.2|1.2-id SECONDS [CLIENTS=16] [PATH=/]
 *
 * Each client of the many at once connects, shakes hands with the newest session that it has, sends one request with
 * "Connection: close", reads to the end, says that it closes, and begins again. It uses a ticket of TLS 1.3 once (RFC
 * 8446, C.4), so a server that gives no next one is found out. 1.2-id: sessions by ID, without tickets.
 *
 * Prints "connections N resumed N seconds S p50_us N p99_us N". Ends with 1 and a word on standard error when a
 * connection fails, is cut, answers other than 200, or takes longer than ten seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CLIENTS_MAX = 1024,
    TIMES_MAX =
        1 << 20, /* connections whose time is kept; what comes behind them is only counted */
    PATIENCE_US = 10 * 1000 * 1000,
    HEAD = sizeof("HTTP/1.1 200") - 1,
};

enum state { CLOSED, HANDSHAKE, WRITE, READ };

struct client {
    enum state state;
    int fd;
    SSL *ssl;
    SSL_SESSION *session; /* the newest; NULL: none */
    uint64_t began_us;
    char head[HEAD]; /* first bytes of the answer */
    size_t head_len;
};

static struct client clients[CLIENTS_MAX];
static size_t n_clients = 16;
static SSL_CTX *ctx;
static int epoll_fd;
static bool once; /* a session is for one use */
static struct sockaddr_in server = { .sin_family = AF_INET };
static char request[512];
static int request_len;
static size_t n_connections, n_resumed;
static uint32_t times_us[TIMES_MAX];

static void
fail(const char *what)
{
    fprintf(stderr, "resume: connection %zu: %s\n", n_connections + 1, what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static uint64_t
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* The library's reference becomes the client's. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    struct client *c = SSL_get_app_data(ssl);

    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void
begin(struct client *c)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c };
    int on = 1;

    c->began_us = now_us();
    c->head_len = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        (connect(c->fd, (struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0)
        fail(strerror(errno));
    c->ssl = SSL_new(ctx);
    if (c->ssl == NULL || !SSL_set_fd(c->ssl, c->fd) || !SSL_set_app_data(c->ssl, c) ||
        (c->session != NULL && !SSL_set_session(c->ssl, c->session)))
        fail("no TLS connection");
    if (once) {
        SSL_SESSION_free(c->session);
        c->session = NULL;
    }
    SSL_set_connect_state(c->ssl);
    c->state = HANDSHAKE;
}

static void
end(struct client *c)
{
    if (c->head_len < HEAD || memcmp(c->head, "HTTP/1.1 200", HEAD) != 0)
        fail("the answer is not 200");
    if (n_connections < TIMES_MAX)
        times_us[n_connections] = (uint32_t)(now_us() - c->began_us);
    n_connections++;
    n_resumed += SSL_session_reused(c->ssl) != 0;
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->state = CLOSED;
}

/* True: go on; false: an event comes, or the connection has ended. */
static bool
step(struct client *c)
{
    char bytes[16384];
    int r = 0;

    ERR_clear_error();
    switch (c->state) {
    case CLOSED:
        return false;
    case HANDSHAKE:
        r = SSL_do_handshake(c->ssl);
        break;
    case WRITE:
        r = SSL_write(c->ssl, request, request_len);
        break;
    case READ:
        r = SSL_read(c->ssl, bytes, sizeof(bytes));
        for (int i = 0; i < r && c->head_len < HEAD; i++)
            c->head[c->head_len++] = bytes[i];
        break;
    }
    if (r > 0) {
        if (c->state != READ)
            c->state++;
        return true;
    }
    switch (SSL_get_error(c->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return false;
    case SSL_ERROR_ZERO_RETURN:
        if (c->state == READ) {
            end(c);
            return false;
        }
        fail("closed");
        return false;
    default:
        fail(c->state == READ ? "the answer is cut" : "handshake");
        return false;
    }
}

static void
run(uint64_t until_us)
{
    struct epoll_event events[CLIENTS_MAX];
    uint64_t now = now_us();
    size_t open = 0;

    for (size_t i = 0; i < n_clients; i++, open++)
        begin(&clients[i]);
    while (open > 0) {
        int n = epoll_wait(epoll_fd, events, CLIENTS_MAX, 100);

        now = now_us();
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;

            while (step(c))
                continue;
            if (c->state == CLOSED && now < until_us)
                begin(c);
            else if (c->state == CLOSED)
                open--;
        }
        for (size_t i = 0; i < n_clients; i++) {
            if (clients[i].state != CLOSED && now > clients[i].began_us + PATIENCE_US)
                fail("no end after ten seconds");
        }
    }
}

static int
by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void
set_up(int argc, char **argv)
{
    const char *version = argc > 3 ? argv[2] : "";
    bool is_13 = strcmp(version, "1.3") == 0, by_id = strcmp(version, "1.2-id") == 0;
    int number = is_13 ? TLS1_3_VERSION : TLS1_2_VERSION;

    if (!is_13 && !by_id && strcmp(version, "1.2") != 0) {
        fprintf(stderr, "usage: resume PORT 1.3|1.2|1.2-id SECONDS [CLIENTS=16] [PATH=/]\n");
        exit(2);
    }
    once = is_13;
    if (argc > 4)
        n_clients = strtoul(argv[4], NULL, 10);
    if (n_clients == 0 || n_clients > CLIENTS_MAX)
        fail("1 to 1024 clients");
    request_len = snprintf(request, sizeof(request),
                           "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                           argc > 5 ? argv[5] : "/");
    if (request_len >= (int)sizeof(request))
        fail("the path is too long");
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll_fd = epoll_create1(0);
    ctx = SSL_CTX_new(TLS_client_method());
    if (epoll_fd < 0 || ctx == NULL || !SSL_CTX_set_min_proto_version(ctx, number) ||
        !SSL_CTX_set_max_proto_version(ctx, number))
        fail("set up");
    if (by_id)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    signal(SIGPIPE, SIG_IGN);
}

int
main(int argc, char **argv)
{
    uint64_t start;
    size_t n;

    set_up(argc, argv);
    start = now_us();
    run(start + (uint64_t)(atof(argv[3]) * 1e6));
    n = n_connections < TIMES_MAX ? n_connections : TIMES_MAX;
    qsort(times_us, n, sizeof(times_us[0]), by_value);
    printf("connections %zu resumed %zu seconds %.3f p50_us %u p99_us %u\n", n_connections,
           n_resumed, (double)(now_us() - start) / 1e6, times_us[n / 2], times_us[n * 99 / 100]);
    return 0;
}
