/* SPDX-License-Identifier: BSD-2-Clause */
/* socket.c - sockets that listen, and what can be asked of any socket. */
#include "common/sys/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include "common/sys/fd.h"

enum { BACKLOG_DEFAULT = 511 };

/* An address as messages show it. */
struct addr_text {
    char text[ADDR_TEXT_MAX + 1];
};

static struct addr_text
text_of(const struct addr *a)
{
    struct addr_text t;

    t.text[addr_format(a, true, t.text)] = '\0';
    return t;
}

static struct addr_text
text_of_fd(int fd)
{
    struct addr a;

    if (!socket_local_addr(fd, &a))
        a.len = 0;
    return text_of(&a);
}

static bool
set_int(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* One option to set: the error names it as nginx does, "setsockopt(SO_X) ADDRESS failed". */
struct option {
    bool wanted;
    int level, option, value;
    const char *name;
};

static bool
set_options(int fd, const struct option *o, struct error *err)
{
    for (; o->name != NULL; o++) {
        if (o->wanted && !set_int(fd, o->level, o->option, o->value)) {
            error_sys(err, "setsockopt(%s) %s failed", o->name, text_of_fd(fd).text);
            return false;
        }
    }
    return true;
}

static bool
is_tcp(int fd)
{
    int protocol = 0;
    socklen_t len = sizeof(protocol);

    return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 && protocol == IPPROTO_TCP;
}

bool
socket_tune(int fd, const struct socket_options *o, struct error *err)
{
    bool tcp = is_tcp(fd);
    const struct option options[] = {
        { o->reuseport, SOL_SOCKET, SO_REUSEPORT, 1, "SO_REUSEPORT" },
        { o->rcvbuf > 0, SOL_SOCKET, SO_RCVBUF, o->rcvbuf, "SO_RCVBUF" },
        { o->sndbuf > 0, SOL_SOCKET, SO_SNDBUF, o->sndbuf, "SO_SNDBUF" },
        { o->keepalive >= 0, SOL_SOCKET, SO_KEEPALIVE, o->keepalive, "SO_KEEPALIVE" },
        { tcp && o->keep_idle_s > 0, IPPROTO_TCP, TCP_KEEPIDLE, o->keep_idle_s, "TCP_KEEPIDLE" },
        { tcp && o->keep_intvl_s > 0, IPPROTO_TCP, TCP_KEEPINTVL, o->keep_intvl_s,
          "TCP_KEEPINTVL" },
        { tcp && o->keep_count > 0, IPPROTO_TCP, TCP_KEEPCNT, o->keep_count, "TCP_KEEPCNT" },
        { tcp, IPPROTO_TCP, TCP_DEFER_ACCEPT, o->deferred, "TCP_DEFER_ACCEPT" },
        { tcp, IPPROTO_TCP, TCP_NODELAY, o->nodelay, "TCP_NODELAY" },
        { .name = NULL },
    };

    return set_options(fd, options, err);
}

int
socket_bind(const struct addr *a, int type, const struct socket_options *o, struct error *err)
{
    bool unix_socket = a->sa.sa_family == AF_UNIX;
    const struct option options[] = {
        { !unix_socket && type == SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR" },
        { a->sa.sa_family == AF_INET6, IPPROTO_IPV6, IPV6_V6ONLY, o->ipv6only != 0, "IPV6_V6ONLY" },
        { .name = NULL },
    };
    int fd = socket(a->sa.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        error_sys(err, "socket() %s failed", text_of(a).text);
        return -1;
    }
    if (!set_options(fd, options, err) || !socket_tune(fd, o, err))
        goto fail;
    if (bind(fd, &a->sa, a->len) < 0) {
        error_sys(err, "bind() to %s failed", text_of(a).text);
        goto fail;
    }
    /* As nginx: who may connect is a matter of the directory. */
    if (unix_socket && chmod(a->un.sun_path, 0666) < 0) {
        error_sys(err, "chmod() \"%s\" failed", a->un.sun_path);
        goto fail;
    }
    return fd;

fail:
    fd_close(&fd);
    return -1;
}

bool
socket_listen(int fd, const struct socket_options *o, struct error *err)
{
    int backlog = o->backlog > 0 ? o->backlog : BACKLOG_DEFAULT;
    const struct option options[] = {
        { o->fastopen > 0, IPPROTO_TCP, TCP_FASTOPEN, o->fastopen, "TCP_FASTOPEN" },
        { .name = NULL },
    };

    if (listen(fd, backlog) < 0) {
        error_sys(err, "listen() to %s, backlog %d failed", text_of_fd(fd).text, backlog);
        return false;
    }
    return socket_tune(fd, o, err) && (!is_tcp(fd) || set_options(fd, options, err));
}

bool
socket_steer(int fd, unsigned n, struct error *err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0) {
        error_sys(err, "setsockopt(SO_ATTACH_REUSEPORT_CBPF) %s failed", text_of_fd(fd).text);
        return false;
    }
    return true;
}

bool
socket_local_addr(int fd, struct addr *a)
{
    a->len = sizeof(a->un);
    if (getsockname(fd, &a->sa, &a->len) == 0)
        return true;
    a->len = 0;
    return false;
}

bool
socket_peer_addr(int fd, struct addr *a)
{
    a->len = sizeof(a->un);
    if (getpeername(fd, &a->sa, &a->len) == 0)
        return true;
    a->len = 0;
    return false;
}

void
socket_nodelay(int fd, bool on)
{
    set_int(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

bool
socket_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0;
}

int
socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return errno;
    return error;
}
