/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - sockets that listen. */
#include "common/sys/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>

#include "t/unit/test.h"

static const struct socket_options defaults = { .ipv6only = 1, .keepalive = -1 };

static int
get_int(int fd, int level, int option)
{
    int value = -1;
    socklen_t len = sizeof(value);

    getsockopt(fd, level, option, &value, &len);
    return value;
}

static struct addr
address(const char *text)
{
    struct addr a = { .len = 0 };

    addr_parse(str_c(text), 0, &a);
    return a;
}

/* Bound to a free port of the loopback; *a gets the address. */
static int
bind_any(const struct socket_options *o, struct addr *a)
{
    struct error err;
    int fd;

    *a = address("127.0.0.1:0");
    fd = socket_bind(a, SOCK_STREAM, o, &err);
    socket_local_addr(fd, a);
    return fd;
}

TEST(an_address_in_use_is_refused_in_known_words)
{
    char to[ADDR_TEXT_MAX], want[256];
    struct error err;
    struct addr a;
    int fd = bind_any(&defaults, &a);

    REQUIRE(fd >= 0);
    CHECK(socket_listen(fd, &defaults, &err));
    CHECK_EQ(socket_bind(&a, SOCK_STREAM, &defaults, &err), -1);
    snprintf(want, sizeof(want), "bind() to %.*s failed (98: Address already in use)",
             (int)addr_format(&a, true, to), to);
    CHECK_STR(str_c(err.text), want);
    CHECK_EQ(err.sys, EADDRINUSE);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    close(fd);
}

TEST(options_reach_the_socket)
{
    struct socket_options o = { .ipv6only = 1,
                                .keepalive = 1,
                                .keep_idle_s = 77,
                                .keep_intvl_s = 7,
                                .keep_count = 3,
                                .rcvbuf = 20000,
                                .deferred = true,
                                .fastopen = 5,
                                .backlog = 3 };
    struct error err = { .sys = 0 };
    struct addr a;
    int fd = bind_any(&o, &a);

    CHECK(socket_listen(fd, &o, &err), "%s", err.text);
    CHECK_EQ(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
    CHECK_EQ(get_int(fd, SOL_SOCKET, SO_RCVBUF), 40000);
    CHECK(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) > 0);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_FASTOPEN), 5);
    o.deferred = false;
    o.keepalive = 0;
    CHECK(socket_tune(fd, &o, &err), "%s", err.text);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
    CHECK_EQ(get_int(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    socket_nodelay(fd, true);
    CHECK_EQ(get_int(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    close(fd);
}

TEST(ipv6_alone_or_with_ipv4)
{
    struct socket_options o = defaults;
    struct addr a = address("[::1]:0");
    struct error err = { .sys = 0 };
    int fd = socket_bind(&a, SOCK_STREAM, &o, &err);

    if (fd < 0 && (err.sys == EADDRNOTAVAIL || err.sys == EAFNOSUPPORT))
        return; /* a system without IPv6 */
    CHECK_EQ(get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    close(fd);
    o.ipv6only = 0;
    a = address("[::]:0");
    fd = socket_bind(&a, SOCK_STREAM, &o, &err);
    CHECK_EQ(get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    close(fd);
}

TEST(unix_sockets_are_open_to_all)
{
    char text[64];
    struct error err = { .sys = 0 };
    struct addr a;
    struct stat st;
    int fd;

    snprintf(text, sizeof(text), "unix:/tmp/weir-unit-%d.sock", (int)getpid());
    a = address(text);
    fd = socket_bind(&a, SOCK_STREAM, &defaults, &err);
    REQUIRE(fd >= 0, "%s", err.text);
    CHECK(stat(text + 5, &st) == 0 && (st.st_mode & 0777) == 0666);
    CHECK(socket_listen(fd, &defaults, &err), "%s", err.text);
    close(fd);
    unlink(text + 5);
}

/* All connections to a group of three, steered to the first two. */
TEST(a_group_is_steered)
{
    struct socket_options o = defaults;
    struct error err = { .sys = 0 };
    struct addr a;
    int group[3], clients[60];
    unsigned came[3] = { 0 };

    o.reuseport = true;
    group[0] = bind_any(&o, &a);
    CHECK(socket_listen(group[0], &o, &err), "%s", err.text);
    for (unsigned i = 1; i < 3; i++) {
        group[i] = socket_bind(&a, SOCK_STREAM, &o, &err);
        CHECK(socket_listen(group[i], &o, &err), "%s", err.text);
    }
    REQUIRE(socket_steer(group[0], 2, &err), "%s", err.text);
    for (unsigned i = 0; i < 60; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(clients[i], &a.sa, a.len), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        for (int fd; (fd = accept(group[i], NULL, NULL)) >= 0; came[i]++)
            close(fd);
        close(group[i]);
    }
    for (unsigned i = 0; i < 60; i++)
        close(clients[i]);
    CHECK_EQ(came[0] + came[1], 60);
    CHECK(came[0] > 5 && came[1] > 5, "%u %u", came[0], came[1]);
}

TEST(a_failed_connect_leaves_its_error)
{
    struct addr a;
    struct pollfd p;
    int closed = bind_any(&defaults, &a); /* nobody listens */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (connect(fd, &a.sa, a.len) < 0 && errno == EINPROGRESS) {
        p = (struct pollfd){ .fd = fd, .events = POLLOUT };
        poll(&p, 1, 5000);
        CHECK_EQ(socket_error(fd), ECONNREFUSED);
        CHECK_EQ(socket_error(fd), 0);
    }
    CHECK_EQ(socket_error(-1), EBADF);
    close(fd);
    close(closed);
}

TEST(pairs_keep_messages_apart)
{
    struct addr a;
    int fds[2];
    char mem[10];

    REQUIRE(socket_pair(fds));
    CHECK_EQ(send(fds[0], "ab", 2, 0), 2);
    CHECK_EQ(send(fds[0], "c", 1, 0), 1);
    CHECK_EQ(recv(fds[1], mem, sizeof(mem), 0), 2);
    CHECK_EQ(recv(fds[1], mem, sizeof(mem), 0), 1);
    CHECK_EQ(recv(fds[1], mem, sizeof(mem), 0), -1);
    CHECK_EQ(errno, EAGAIN);
    CHECK(socket_peer_addr(fds[0], &a) && a.sa.sa_family == AF_UNIX);
    CHECK(!socket_peer_addr(-1, &a) && a.len == 0);
    close(fds[0]);
    close(fds[1]);
}
