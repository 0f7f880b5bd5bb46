/* SPDX-License-Identifier: BSD-2-Clause */
/* fd.h - small descriptor helpers. */
#ifndef WEIR_SYS_FD_H
#define WEIR_SYS_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Closes *fd unless it is -1, and makes it -1. */
void fd_close(int *fd);
bool fd_set_cloexec(int fd, bool on);
bool fd_set_nonblock(int fd, bool on);
/* Writes all of it, also through short writes and EINTR; false with errno set. For files and blocking sockets. */
bool fd_write_all(int fd, const void *bytes, size_t n);
/* Sends and receives descriptors with a message over a unix socket. n_fds <= FD_PASS_MAX. */
enum { FD_PASS_MAX = 250 };
ssize_t fd_send(int sock, const void *bytes, size_t n, const int *fds, size_t n_fds, int flags);
/* *n_fds: in the room, out how many came (CLOEXEC set). More than the room or MSG_CTRUNC: they are closed, EMSGSIZE. */
ssize_t fd_recv(int sock, void *bytes, size_t n, int *fds, size_t *n_fds, int flags);

#endif
