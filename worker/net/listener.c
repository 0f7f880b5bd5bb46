/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener.c - accepts connections, takes turns with the other workers, leaves listeners. ARCHITECTURE.md 9.
 *
 * Level-triggered and exclusive; after each ROTATE_AFTER accepts DEL and ADD put this worker at the end of the kernel's
 * queue. Without that one worker of four takes 99% of a slow stream.
 */
#include "worker/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/shm/counters.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "worker/core/cycle.h"
#include "worker/net/conn.h"
#include "worker/net/events_conf.h"

enum {
    ROTATE_AFTER = 16, /* accepts; measured, ARCHITECTURE.md 9 */
    REFUSE_AFTER_MS =
        500, /* at a limit: so long another worker may take what waits, then it is reset */
    REFUSE_AT_ONCE = 256, /* connections reset in one go */
};

struct listener {
    struct watch watch;
    int fd; /* -1: was given up */
    const struct listen_spec *spec;
    uint32_t of;       /* index of the worker that tends it, or that was to */
    unsigned accepted; /* since the last rotation */
};

static struct listener *listeners;
static unsigned listener_count;
static bool multi_accept, rotate, paused, left;
static int reserve_fd = -1; /* given up to accept, and then refuse, when descriptors are used up */
static struct timer refuse_timer;
static const struct inherit *inherited;
static struct log_limit {
    uint64_t said_ms; /* when the last line about a limit was written: one a second is enough */
} limit_log;

static void
reserve_open(void)
{
    if (reserve_fd == -1)
        reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool
limit_is_news(void)
{
    if (limit_log.said_ms != 0 && clock_ms - limit_log.said_ms < 1000)
        return false;
    limit_log.said_ms = clock_ms;
    return true;
}

/* The peer gets RST at once and may try elsewhere, instead of a connection that nobody serves. */
static void
refuse(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static int
listener_accept(const struct listener *l, struct addr *peer)
{
    int fd;

    do {
        peer->len = sizeof(peer->un);
        fd = accept4(l->fd, &peer->sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd == -1 && (errno == EINTR || errno == ECONNABORTED));
    /* Linux leaves the name of an unbound unix peer empty. */
    if (fd != -1 && peer->len < sizeof(peer->sa.sa_family)) {
        peer->len = sizeof(peer->sa.sa_family);
        peer->sa.sa_family = AF_UNIX;
    }
    return fd;
}

/* Descriptors are used up: the reserve lets one connection in, which is refused. False: not even that. */
static bool
accept_and_refuse(const struct listener *l)
{
    struct addr peer;
    int fd;

    fd_close(&reserve_fd);
    fd = listener_accept(l, &peer);
    if (fd != -1)
        refuse(fd);
    reserve_open();
    return fd != -1;
}

static void
serve(const struct listener *l, int fd, const struct addr *peer)
{
    struct conn *c;

    counter_add(events_accepted, 1);
    c = conn_open(fd, false);
    if (c == NULL) {
        if (limit_is_news())
            log_alert(errno, "a connection could not be served");
        return;
    }
    counter_add(events_handled, 1);
    c->peer = *peer;
    c->spec = l->spec;
    l->spec->start(c, l->spec);
}

/* True: another one may be waiting. */
static bool
accept_one(struct listener *l)
{
    struct addr peer;
    int fd;

    if (!conn_has_room()) {
        if (limit_is_news())
            log_alert(0, "%u worker_connections are not enough",
                      worker_config->core.worker_connections);
        listener_pause();
        return false;
    }
    fd = listener_accept(l, &peer);
    if (fd == -1 && (errno == EMFILE || errno == ENFILE)) {
        int err = errno;

        if (conn_free_descriptor()) {
            fd = listener_accept(l, &peer);
        } else {
            if (limit_is_news())
                log_crit(err, "accept4() failed");
            if (!accept_and_refuse(l))
                listener_pause();
            return false;
        }
    }
    if (fd == -1) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && limit_is_news())
            log_alert(errno, "accept4() failed");
        return false;
    }
    l->accepted++;
    serve(l, fd, &peer);
    return !paused;
}

static bool
listener_add(struct listener *l)
{
    if (loop_add_level(&l->watch, l->fd, true))
        return true;
    log_alert(errno, "epoll_ctl() of listening socket %.*s failed", STR(l->spec->text));
    return false;
}

static void
listener_on_event(struct watch *w, unsigned bits)
{
    struct listener *l = CONTAINER_OF(w, struct listener, watch);

    (void)bits;
    while (accept_one(l) && multi_accept)
        ;
    if (!rotate || paused || l->accepted < ROTATE_AFTER)
        return;
    l->accepted = 0;
    loop_del(&l->watch);
    (void)listener_add(l);
}

/* ---- at a limit ---- */

/* Nobody took what has been waiting: a clean refusal instead of a hanging client. */
static void
on_refuse_time(struct timer *t)
{
    if (!paused)
        return;
    for (unsigned i = 0; i < listener_count && !conn_has_room(); i++) {
        struct addr peer;

        for (unsigned n = 0; n < REFUSE_AT_ONCE && listeners[i].fd != -1; n++) {
            int fd = listener_accept(&listeners[i], &peer);

            if (fd == -1)
                break;
            counter_add(events_accepted, 1);
            refuse(fd);
        }
    }
    if (conn_has_room())
        listener_resume();
    else
        timer_set(t, REFUSE_AFTER_MS);
}

static void
on_room(void)
{
    if (paused && !left)
        listener_resume();
}

void
listener_pause(void)
{
    if (paused || left)
        return;
    paused = true;
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].fd != -1)
            loop_del(&listeners[i].watch);
    }
    timer_set(&refuse_timer, REFUSE_AFTER_MS);
}

void
listener_resume(void)
{
    if (!paused || left)
        return;
    paused = false;
    timer_stop(&refuse_timer);
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].fd != -1)
            (void)listener_add(&listeners[i]);
    }
}

/* ---- start and end ---- */

static bool
is_ours(const struct inherit *in, const struct listen_socket *s)
{
    if (s->spec == NULL || s->spec->start == NULL || s->type != SOCK_STREAM)
        return false;
    return !s->reuseport || s->index % in->count == in->index;
}

/* In a free place: there are as many as sockets. */
static bool
listener_take(const struct listen_socket *s, uint32_t of)
{
    unsigned i = 0;
    struct listener *l;

    while (i < listener_count && listeners[i].fd != -1)
        i++;
    l = &listeners[i];
    memset(l, 0, sizeof(*l));
    l->fd = s->fd;
    l->spec = s->spec;
    l->of = of;
    l->watch.on_event = listener_on_event;
    if (i == listener_count)
        listener_count++;
    return paused || listener_add(l);
}

bool
listener_start(const struct inherit *in)
{
    inherited = in;
    multi_accept = events_conf(in->config)->multi_accept;
    rotate = in->count > 1;
    refuse_timer.on_time = on_refuse_time;
    conn_on_room = on_room;
    reserve_open();
    listeners = calloc(in->listeners.len + 1, sizeof(*listeners));
    if (listeners == NULL) {
        log_emerg(ENOMEM, "listening sockets");
        return false;
    }
    VEC_FOREACH (s, struct listen_socket, &in->listeners) {
        if (is_ours(in, s) && !listener_take(s, in->index))
            return false;
    }
    return true;
}

static void
listener_give_up(struct listener *l)
{
    /* close() alone would deregister nothing: others hold the description. */
    if (!paused)
        loop_del(&l->watch);
    /* A connection that this worker was woken for would wait for the next one otherwise. */
    while (accept_one(l))
        ;
    l->fd = -1;
}

void
listener_leave(void)
{
    if (left)
        return;
    if (paused)
        timer_stop(&refuse_timer);
    left = true;
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].fd != -1)
            listener_give_up(&listeners[i]);
    }
    VEC_FOREACH (s, struct listen_socket, &inherited->listeners)
        fd_close(&s->fd);
    paused = false;
    fd_close(&reserve_fd);
}

void
listener_tend(uint32_t index, bool on)
{
    if (left || index == inherited->index)
        return;
    for (unsigned i = 0; i < listener_count; i++) {
        if (listeners[i].fd != -1 && listeners[i].of == index)
            listener_give_up(&listeners[i]);
    }
    if (!on)
        return;
    VEC_FOREACH (s, struct listen_socket, &inherited->listeners) {
        if (s->spec != NULL && s->spec->start != NULL && s->type == SOCK_STREAM && s->reuseport &&
            s->index % inherited->count == index)
            (void)listener_take(s, index);
    }
}

bool
listener_left(void)
{
    return left;
}
