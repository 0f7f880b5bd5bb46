/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.h - make, bind and tune sockets. All are CLOEXEC and non-blocking. */
#ifndef WEIR_SYS_SOCKET_H
#define WEIR_SYS_SOCKET_H

#include "common/base/error.h"
#include "common/sys/addr.h"

/* What a `listen` line asks of its socket; -1 or 0: not asked. */
struct socket_options {
    int backlog; /* default 511 */
    int rcvbuf, sndbuf;
    int fastopen; /* queue length; -1: off */
    int setfib;
    bool deferred, reuseport;
    bool nodelay;     /* accepted connections have TCP_NODELAY from the start */
    int8_t ipv6only;  /* 1 on (default), 0 off */
    int8_t keepalive; /* so_keepalive: -1 not asked, 0 off, 1 on */
    int keep_idle_s, keep_intvl_s, keep_count; /* 0: the system's */
};

/* A bound stream (or datagram) socket that does not listen yet. -1 with the reason in err ("bind() to A failed"). */
int socket_bind(const struct addr *a, int type, const struct socket_options *o, struct error *err);
/* listen() and the options that need it (deferred, fastopen). Can be called again to change the backlog. */
bool socket_listen(int fd, const struct socket_options *o, struct error *err);
/* Sets what can be changed on a live socket (buffers, keepalive, deferred, reuseport). */
bool socket_tune(int fd, const struct socket_options *o, struct error *err);
/* Attaches a classic BPF program that steers new connections of the reuseport group to the first `n`. */
bool socket_steer(int fd, unsigned n, struct error *err);
bool socket_local_addr(int fd, struct addr *a);
bool socket_peer_addr(int fd, struct addr *a);
void socket_nodelay(int fd, bool on);
/* A socket pair for channels: SOCK_SEQPACKET, CLOEXEC, non-blocking. */
bool socket_pair(int fds[2]);
/* SO_ERROR: 0, or the errno of a failed connect. */
int socket_error(int fd);

#endif
