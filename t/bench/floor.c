/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * floor.c - what the kernel alone costs: the least that a server can do, which parses nothing.
 *
 *     floor             answers whatever comes with a response of 1 kB: one receive and one send
 *     floor PORT        passes whatever comes on to that port, and its answers back: one of each, each way
 *
 * Prints the port on which it listens. One process, edge-triggered epoll, nothing is done twice. Requests and answers have
 * to fit into one receive and one send, as those of the bench do. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 65536, EVENTS_MAX = 512, BUFFER = 65536, BODY = 1024 };

static int epoll_fd, listen_fd;
static int partner[FDS_MAX]; /* of a connection: the one on the other side; 0: none */
static in_port_t origin_port;
static char answer[BODY + 256];
static size_t answer_len;

static void
fail(const char *what)
{
    perror(what);
    exit(1);
}

static void
watch(int fd, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.fd = fd };

    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        fail("epoll_ctl");
}

static struct sockaddr_in
loopback(in_port_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = port,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void
open_listener(void)
{
    struct sockaddr_in addr = loopback(0);
    socklen_t len = sizeof(addr);
    int on = 1;

    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listen_fd < 0 || setsockopt(listen_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        bind(listen_fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(listen_fd, 4096) < 0 || getsockname(listen_fd, (struct sockaddr *)&addr, &len) < 0)
        fail("listen");
    watch(listen_fd, EPOLLIN);
    printf("%d\n", ntohs(addr.sin_port));
    fflush(stdout);
}

/* A connection to the origin, made while the client waits: the bench opens all of them before it counts. */
static int
open_origin(void)
{
    struct sockaddr_in addr = loopback(origin_port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || fd >= FDS_MAX || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        fail("connect");
    return fd;
}

static void
accept_all(void)
{
    int fd;

    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= FDS_MAX)
            fail("accept");
        partner[fd] = 0;
        if (origin_port != 0) {
            partner[fd] = open_origin();
            partner[partner[fd]] = fd;
            watch(partner[fd], EPOLLIN | EPOLLET | EPOLLRDHUP);
        }
        watch(fd, EPOLLIN | EPOLLET | EPOLLRDHUP);
    }
}

static void
close_both(int fd)
{
    int other = partner[fd];

    partner[fd] = 0;
    close(fd);
    if (other != 0) {
        partner[other] = 0;
        close(other);
    }
}

static void
serve(int fd)
{
    static char buffer[BUFFER];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

    if (n == 0)
        close_both(fd);
    if (n <= 0)
        return;
    if (origin_port == 0)
        (void)!send(fd, answer, answer_len, MSG_NOSIGNAL);
    else if (partner[fd] != 0) /* else it was closed within this batch of events */
        (void)!send(partner[fd], buffer, (size_t)n, MSG_NOSIGNAL);
}

static void
make_answer(void)
{
    answer_len = (size_t)snprintf(answer, sizeof(answer),
                                  "HTTP/1.1 200 OK\r\nServer: floor\r\n"
                                  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                  "Content-Type: text/plain\r\nContent-Length: %d\r\n"
                                  "Connection: keep-alive\r\n\r\n",
                                  BODY);
    memset(answer + answer_len, 'x', BODY);
    answer_len += BODY;
}

int
main(int argc, char **argv)
{
    static struct epoll_event events[EVENTS_MAX];

    origin_port = argc > 1 ? htons((uint16_t)atoi(argv[1])) : 0;
    make_answer();
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        fail("epoll_create1");
    open_listener();
    watch(STDIN_FILENO, EPOLLIN);
    for (;;) {
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == STDIN_FILENO)
                return 0;
            if (events[i].data.fd == listen_fd)
                accept_all();
            else
                serve(events[i].data.fd);
        }
    }
}
