/* SPDX-License-Identifier: BSD-2-Clause */
/* connect.c - begins and finishes outgoing connections. */
#include "worker/net/connect.h"

#include <errno.h>
#include <unistd.h>

#include "common/sys/socket.h"
#include "worker/core/explain.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

/* Also when descriptors are used up: an idle connection makes room. */
static int
connect_socket(int family)
{
    int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(family, type, 0);

    if (fd == -1 && conn_free_descriptor())
        fd = socket(family, type, 0);
    return fd;
}

static bool
connect_bind(int fd, const struct connect_options *o)
{
    int on = 1;

    if (o->local.len == 0)
        return true;
    if (o->transparent) {
        int level = o->local.sa.sa_family == AF_INET6 ? SOL_IPV6 : SOL_IP;
        int name = o->local.sa.sa_family == AF_INET6 ? IPV6_TRANSPARENT : IP_TRANSPARENT;

        if (setsockopt(fd, level, name, &on, sizeof(on)) != 0)
            return false;
    }
    /* The port is chosen at connect, by the whole 4-tuple: more than 28,000 connections from one address. */
    if (addr_port(&o->local) == 0)
        (void)setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, &o->local.sa, o->local.len) == 0;
}

/* Before the handshake, which tells the peer the window's scale. The system has its limits: no failure. */
static void
connect_set_buffers(int fd, const struct connect_options *o)
{
    int rcvbuf = (int)o->rcvbuf, sndbuf = (int)o->sndbuf;

    if (rcvbuf > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    if (sndbuf > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
}

TELLER void
explain_connection(const struct addr *to)
{
    char text[ADDR_TEXT_MAX];

    explain_step("connect", EXPLAIN_NOWHERE, "%.*s would be connected to",
                 (int)addr_format(to, true, text), text);
}

struct conn *
connect_start(const struct addr *to, const struct connect_options *o)
{
    int fd, on = 1, err;
    struct conn *c;
    bool done;

    if (UNLIKELY(explain_on)) {
        explain_connection(to);
        errno = ECONNREFUSED;
        return NULL;
    }
    fd = connect_socket(to->sa.sa_family);
    if (fd == -1)
        return NULL;
    if (!connect_bind(fd, o))
        goto fail;
    if (to->sa.sa_family != AF_UNIX)
        socket_nodelay(fd, true);
    if (o->keepalive && setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) != 0)
        goto fail;
    connect_set_buffers(fd, o);
    /* Before it is watched: an unconnected socket would report a hang-up. */
    done = connect(fd, &to->sa, to->len) == 0;
    if (!done && errno != EINPROGRESS)
        goto fail;
    c = conn_open(fd, true);
    if (c == NULL)
        return NULL;
    c->peer = *to;
    if (done)
        c->bits |= CONN_WRITABLE;
    return c;

fail:
    err = errno;
    close(fd);
    errno = err;
    return NULL;
}

int
connect_finish(struct conn *c)
{
    int err = socket_error(c->watch.fd);

    if (err == 0 && (c->bits & CONN_WRITABLE) == 0)
        return EINPROGRESS;
    c->error = err;
    return err;
}
