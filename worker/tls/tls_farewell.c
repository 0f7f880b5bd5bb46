/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_farewell.c - the last words to a peer whose socket is full. They outlive the connection, as bytes do that the kernel
 * has: an end without close_notify looks like one that somebody forged.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/event/loop.h"
#include "common/event/timer.h"
#include "worker/tls/tls_conn.h"

enum {
    FAREWELL_MAX = 32 * 1024, /* bytes that outlive a connection, */
    FAREWELL_MS = 30000,      /* for so long */
};

struct farewell {
    struct watch watch; /* of a descriptor of its own */
    struct timer timer;
    struct buf *out;
};

static void
farewell_end(struct farewell *f)
{
    timer_forget(&f->timer);
    loop_del(&f->watch);
    close(f->watch.fd);
    buf_put(f->out);
    loop_defer_free(free, f);
}

static void
farewell_on_time(struct timer *timer)
{
    farewell_end(CONTAINER_OF(timer, struct farewell, timer));
}

static void
farewell_on_event(struct watch *w, unsigned bits)
{
    struct farewell *f = CONTAINER_OF(w, struct farewell, watch);
    ssize_t r = -1;

    errno = 0;
    if (!(bits & LOOP_ERROR))
        r = send(w->fd, f->out->mem + f->out->start, buf_len(f->out), MSG_NOSIGNAL);
    if (r >= 0)
        f->out->start += (uint32_t)r;
    if (buf_len(f->out) > 0 && (r >= 0 || errno == EAGAIN || errno == EINTR))
        return;
    farewell_end(f);
}

bool
tls_farewell(struct conn *c, struct buf *out)
{
    struct farewell *f;
    int fd;

    if (buf_len(out) > FAREWELL_MAX)
        return false;
    f = calloc(1, sizeof(*f));
    fd = f != NULL ? fcntl(c->watch.fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd == -1) {
        free(f);
        return false;
    }
    loop_del(&c->watch); /* while there are two, the end of one does not take it out */
    f->watch.on_event = farewell_on_event;
    if (!loop_add(&f->watch, fd)) {
        close(fd);
        free(f);
        return false;
    }
    f->out = out;
    f->timer.on_time = farewell_on_time;
    timer_set(&f->timer, FAREWELL_MS);
    return true;
}
