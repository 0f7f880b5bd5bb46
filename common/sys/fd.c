/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.c - descriptor flags, whole writes, descriptors sent over unix sockets. */
#include "common/sys/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void
fd_close(int *fd)
{
    int saved = errno;

    if (*fd == -1)
        return;
    close(*fd);
    *fd = -1;
    errno = saved;
}

bool
fd_set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) == 0;
}

bool
fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags == -1)
        return false;
    return fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0;
}

bool
fd_write_all(int fd, const void *bytes, size_t n)
{
    const char *p = bytes;

    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* Room for the descriptors of one message, aligned as the system wants it. */
union fd_control {
    struct cmsghdr align;
    char mem[CMSG_SPACE(FD_PASS_MAX * sizeof(int))];
};

ssize_t
fd_send(int sock, const void *bytes, size_t n, const int *fds, size_t n_fds, int flags)
{
    struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    union fd_control control;
    ssize_t done;

    if (n_fds > FD_PASS_MAX) {
        errno = EMSGSIZE;
        return -1;
    }
    if (n_fds > 0) {
        struct cmsghdr *c;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.mem;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    do
        done = sendmsg(sock, &msg, flags | MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    return done;
}

/* Moves the message's descriptors to `fds`; those beyond `room` are closed. Returns how many came. */
static size_t
take_fds(struct msghdr *msg, int *fds, size_t room)
{
    size_t came = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t n;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++, came++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (came < room)
                fds[came] = fd;
            else
                close(fd);
        }
    }
    return came;
}

ssize_t
fd_recv(int sock, void *bytes, size_t n, int *fds, size_t *n_fds, int flags)
{
    struct iovec iov = { .iov_base = bytes, .iov_len = n };
    union fd_control control;
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.mem,
                          .msg_controllen = sizeof(control.mem) };
    size_t room = *n_fds, came;
    ssize_t got;

    *n_fds = 0;
    do
        got = recvmsg(sock, &msg, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -1;

    came = take_fds(&msg, fds, room);
    if (came > room || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
        for (size_t i = 0; i < came && i < room; i++)
            close(fds[i]);
        errno = EMSGSIZE;
        return -1;
    }
    *n_fds = came;
    return got;
}
