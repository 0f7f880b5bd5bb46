/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.c - flags of descriptors, and descriptors that travel. */
#include "common/sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "t/unit/test.h"

TEST(flags)
{
    int fd = open("/dev/null", O_RDWR);

    CHECK(fd_set_cloexec(fd, true) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fd_set_cloexec(fd, false) && fcntl(fd, F_GETFD) == 0);
    CHECK(fd_set_nonblock(fd, true) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK(fd_set_nonblock(fd, false) && !(fcntl(fd, F_GETFL) & O_NONBLOCK));
    fd_close(&fd);
    CHECK_EQ(fd, -1);
    errno = EPERM;
    fd_close(&fd);
    CHECK_EQ(errno, EPERM);
    CHECK(!fd_set_nonblock(-1, true));
}

static unsigned
open_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

TEST(descriptors_travel_with_their_message)
{
    int pair[2], out[FD_PASS_MAX], in[FD_PASS_MAX];
    unsigned before;
    char mem[16];
    size_t n = FD_PASS_MAX;

    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    for (unsigned i = 0; i < FD_PASS_MAX; i++)
        out[i] = pair[0];
    before = open_fds();

    CHECK_EQ(fd_send(pair[0], "hello", 5, out, FD_PASS_MAX, 0), 5);
    CHECK_EQ(fd_recv(pair[1], mem, sizeof(mem), in, &n, 0), 5);
    CHECK_EQ(n, FD_PASS_MAX);
    CHECK(memcmp(mem, "hello", 5) == 0);
    CHECK_EQ(open_fds(), before + FD_PASS_MAX);
    CHECK_EQ(fcntl(in[0], F_GETFD), FD_CLOEXEC);
    for (size_t i = 0; i < n; i++)
        fd_close(&in[i]);

    n = FD_PASS_MAX;
    CHECK_EQ(fd_send(pair[0], "x", 1, NULL, 0, 0), 1);
    CHECK_EQ(fd_recv(pair[1], mem, sizeof(mem), in, &n, 0), 1);
    CHECK_EQ(n, 0);
    CHECK_EQ(fd_send(pair[0], "x", 1, out, FD_PASS_MAX + 1, 0), -1);
    CHECK_EQ(errno, EMSGSIZE);
    close(pair[0]);
    close(pair[1]);
}

TEST(too_many_descriptors_or_bytes_leave_none_open)
{
    int pair[2], out[5], in[5];
    unsigned before;
    char mem[4];
    size_t n = 3;

    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    for (unsigned i = 0; i < 5; i++)
        out[i] = pair[0];
    before = open_fds();
    CHECK_EQ(fd_send(pair[0], "x", 1, out, 5, 0), 1);
    CHECK_EQ(fd_recv(pair[1], mem, sizeof(mem), in, &n, 0), -1);
    CHECK_EQ(errno, EMSGSIZE);
    CHECK_EQ(open_fds(), before);

    n = 5;
    CHECK_EQ(fd_send(pair[0], "too long", 8, out, 5, 0), 8);
    CHECK_EQ(fd_recv(pair[1], mem, sizeof(mem), in, &n, 0), -1);
    CHECK_EQ(open_fds(), before);
    close(pair[0]);
    close(pair[1]);
}

TEST(whole_writes)
{
    int fds[2];
    char mem[10];

    REQUIRE(pipe(fds) == 0);
    CHECK(fd_write_all(fds[1], "0123456789", 10));
    CHECK_EQ(read(fds[0], mem, 10), 10);
    close(fds[0]);
    close(fds[1]);
    CHECK(!fd_write_all(fds[1], "x", 1));
    CHECK_EQ(errno, EBADF);
}
