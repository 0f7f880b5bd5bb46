/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adopt.c - workers without a master answer on the control listener; a new master takes over what they hold.
 *
 * The answer to `adopt` is a run of messages `part` with lines and one descriptor for each line, in order, and then
 * `ok GENERATION`. Everything else is one request, one answer.
 */
#include "common/ipc/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/event/loop.h"
#include "common/event/timer.h"
#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/shm/slots.h"
#include "common/shm/zone.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"

enum {
    ORPHAN_CLIENTS_MAX = 16,
    ORPHAN_CLIENT_MS = 5000, /* a client that says nothing */
    SEND_MS = 2000, /* for the whole answer to `adopt`; the worker stands still meanwhile */
    NEWEST_CHECK_MS = 1000,
    CONNECT_S = 2, /* a listener whose queue is full */
};

/* One connection to the control listener. */
struct orphan_client {
    struct watch watch;
    struct timer timer;
};

/* The worker's side; there is one in a process. */
static struct {
    const struct inherit *in; /* NULL: the master lives, or a successor has taken over */
    const struct adopt_hooks *hooks;
    struct watch listener;
    struct timer check;
    uid_t master_uid; /* who made the listener */
    unsigned clients;
} orphan;

/* ---- the worker's side ---- */

static bool
row_alive(const struct slot_row *row)
{
    return (row->state == SLOT_LIVE || row->state == SLOT_DRAINING) &&
           proc_lives(row->pid, row->start_time);
}

/* Whether no worker of a newer generation lives: only the newest knows all listeners. */
static bool
is_newest(const struct inherit *in)
{
    uint32_t n = in->slots->high_water < SLOTS_MAX ? in->slots->high_water : SLOTS_MAX;

    for (uint32_t i = 0; i < n; i++) {
        const struct slot_row *row = &in->slots->row[i];

        /* one that drains has given its listeners up */
        if (row->generation > in->generation && row->state != SLOT_DRAINING && row_alive(row))
            return false;
    }
    return true;
}

static void
client_close(struct orphan_client *c)
{
    int fd = c->watch.fd;

    timer_forget(&c->timer);
    loop_del(&c->watch);
    fd_close(&fd);
    orphan.clients--;
    loop_defer_free(free, c);
}

static void
answer(struct orphan_client *c, struct str text)
{
    if (send(c->watch.fd, text.ptr, text.len, MSG_NOSIGNAL) < 0)
        log_info(errno, "control client left before its answer");
}

static bool
wait_fd(int fd, short events, uint64_t until_us)
{
    struct pollfd p = { .fd = fd, .events = events };
    uint64_t now = clock_now_us();

    if (now >= until_us)
        return false;
    return poll(&p, 1, (int)((until_us - now) / 1000 + 1)) > 0 || errno == EINTR;
}

static bool
send_part(int fd, struct text *t, const int *fds, size_t n, uint64_t until_us)
{
    struct str s = text_str(t);

    if (s.ptr == NULL)
        return false;
    while (fd_send(fd, s.ptr, s.len, fds, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ETOOMANYREFS)
            return false;
        if (!wait_fd(fd, POLLOUT, until_us))
            return false;
    }
    return true;
}

/* Collects lines and their descriptors, and sends a message when it is full. */
struct parts {
    int to;
    uint64_t until_us;
    struct text text;
    int fds[FD_PASS_MAX];
    size_t n;
    bool failed;
};

static void
parts_flush(struct parts *p)
{
    if (p->n > 0 && !p->failed && !send_part(p->to, &p->text, p->fds, p->n, p->until_us))
        p->failed = true;
    text_free(&p->text);
    text_init(&p->text, NULL);
    p->n = 0;
}

/* The line of `fd` has been appended. */
static void
parts_added(struct parts *p, int fd)
{
    p->fds[p->n++] = fd;
    if (p->n == FD_PASS_MAX || p->text.len > CTL_ANSWER_MAX / 2)
        parts_flush(p);
}

static struct text *
parts_line(struct parts *p)
{
    if (p->n == 0)
        TEXT_LIT(&p->text, "part\n");
    return &p->text;
}

static void
parts_single(struct parts *p, const char *key, int fd)
{
    if (fd < 0)
        return;
    text_fmt(parts_line(p), "%s\n", key);
    parts_added(p, fd);
}

static void
answer_adopt(struct orphan_client *c)
{
    const struct inherit *in = orphan.in;
    struct parts p = { .to = c->watch.fd, .until_us = clock_now_us() + SEND_MS * 1000 };
    char last[64];

    text_init(&p.text, NULL);
    parts_single(&p, "slots", in->slots_fd);
    parts_single(&p, "ctl", in->ctl_fd);
    parts_single(&p, "state", in->state_fd);
    VEC_FOREACH (s, struct listen_socket, &in->listeners) {
        lines_put_socket(parts_line(&p), s);
        parts_added(&p, s->fd);
    }
    for (uint32_t i = 0; i < in->config->zones.len; i++) {
        const struct zone_spec *spec = *VEC_AT(&in->config->zones, struct zone_spec *, i);

        if (spec->zone == NULL)
            continue;
        TEXT_LIT(parts_line(&p), "zone");
        lines_put_str(&p.text, spec->name);
        text_char(&p.text, '\n');
        parts_added(&p, zone_fd(spec->zone));
    }
    parts_flush(&p);
    text_free(&p.text);
    if (p.failed) {
        log_error(errno,
                  "a new master asked for this worker's descriptors and could not be sent them");
        return;
    }
    answer(c, str_n(last, (size_t)snprintf(last, sizeof(last), "ok %llu",
                                           (unsigned long long)in->generation)));
    log_notice(0, "handed listeners and zones to a new master");
}

static void
answer_status(struct orphan_client *c)
{
    static const char *const states[] = { "free", "live", "draining", "dead" };
    const struct inherit *in = orphan.in;
    struct text t;
    struct str s;

    text_init(&t, NULL);
    text_fmt(&t, "ok\nmaster: dead (was %d)\n", (int)in->master_pid);
    for (uint32_t i = 0; i < in->slots->high_water && i < SLOTS_MAX; i++) {
        const struct slot_row *row = &in->slots->row[i];

        if (row_alive(row) && t.len < CTL_ANSWER_MAX / 2)
            text_fmt(&t, "process: %d %s generation %llu\n", (int)row->pid, states[row->state & 3],
                     (unsigned long long)row->generation);
    }
    if (orphan.hooks->status != NULL)
        orphan.hooks->status(&t);
    s = text_str(&t);
    if (s.ptr == NULL)
        answer(c, S("error memory out of memory"));
    else
        answer(c, s.len > CTL_ANSWER_MAX ? str_upto(s, CTL_ANSWER_MAX) : s);
    text_free(&t);
}

/* Every process of the dead master ends; each is named by pid and start time, so none is taken for another. */
static void
stop_others(void)
{
    const struct slot_table *slots = orphan.in->slots;

    for (uint32_t i = 0; i < slots->high_water && i < SLOTS_MAX; i++) {
        const struct slot_row *row = &slots->row[i];
        int pidfd;

        if (row->pid == getpid() || row->pid <= 0 ||
            (row->state != SLOT_LIVE && row->state != SLOT_DRAINING))
            continue;
        pidfd = proc_pidfd(row->pid);
        if (pidfd < 0)
            continue;
        if (proc_lives(row->pid, row->start_time) && proc_pidfd_signal(pidfd, SIGTERM) != 0)
            log_error(errno, "kill(%d, SIGTERM) failed", (int)row->pid);
        fd_close(&pidfd);
    }
}

static bool
client_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == orphan.master_uid);
}

static void
client_request(struct orphan_client *c, struct str request)
{
    struct str word, rest = request;

    if (!str_split(&rest, ' ', &word) || !str_eq(word, S(CTL_VERSION))) {
        answer(c, S("error version this worker speaks " CTL_VERSION));
        return;
    }
    if (!str_split(&rest, ' ', &word))
        word = S("");
    if (!client_allowed(c->watch.fd)) {
        answer(c, S("error denied only root and the master's user"));
    } else if (str_eq(word, S("status"))) {
        answer_status(c);
    } else if (str_eq(word, S("adopt"))) {
        answer_adopt(c);
    } else if (str_eq(word, S("stop"))) {
        log_notice(0, "the control socket asks workers without a master to stop");
        answer(c, S("ok"));
        stop_others();
        orphan.hooks->stop();
    } else {
        answer(c, S("error nomaster no master: start weir"));
    }
}

static void
client_on_event(struct watch *w, unsigned bits UNUSED)
{
    struct orphan_client *c = CONTAINER_OF(w, struct orphan_client, watch);
    static char request[CTL_REQUEST_MAX];
    ssize_t n = recv(w->fd, request, sizeof(request), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && orphan.in != NULL)
        client_request(c, str_n(request, (size_t)n));
    client_close(c);
}

static void
client_on_time(struct timer *t)
{
    client_close(CONTAINER_OF(t, struct orphan_client, timer));
}

static void
listener_on_event(struct watch *w, unsigned bits UNUSED)
{
    struct orphan_client *c;
    int fd;

    if (!is_newest(orphan.in)) { /* others know more, and are woken as well */
        loop_del(w);
        timer_set(&orphan.check, NEWEST_CHECK_MS);
        return;
    }
    fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    c = orphan.clients < ORPHAN_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        fd_close(&fd);
        return;
    }
    c->watch.on_event = client_on_event;
    c->timer.on_time = client_on_time;
    if (!loop_add_level(&c->watch, fd, false)) {
        fd_close(&fd);
        free(c);
        return;
    }
    orphan.clients++;
    timer_set(&c->timer, ORPHAN_CLIENT_MS);
}

/* Joins the listener, or waits for the end of the newer generation that answers there. */
static void
check_newest(struct timer *t)
{
    if (orphan.in == NULL || orphan.listener.added)
        return;
    if (!is_newest(orphan.in)) {
        timer_set(t, NEWEST_CHECK_MS);
        return;
    }
    orphan.listener.on_event = listener_on_event;
    /* Not exclusive: all are woken, so that one who knows that it is not the newest leaves the request to others. */
    if (!loop_add_level(&orphan.listener, orphan.in->ctl_fd, false))
        log_error(errno, "cannot watch the control socket; a new master will not find this worker");
}

bool
adopt_listen(const struct inherit *in, const struct adopt_hooks *hooks)
{
    struct ucred maker;
    socklen_t len = sizeof(maker);

    if (in->ctl_fd < 0 || in->slots == NULL)
        return false;
    if (orphan.in != NULL)
        return true;
    /* Of a listening socket the kernel keeps who called listen(). */
    orphan.master_uid =
        getsockopt(in->ctl_fd, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 ? maker.uid : 0;
    orphan.in = in;
    orphan.hooks = hooks;
    orphan.check.on_time = check_newest;
    check_newest(&orphan.check);
    return true;
}

void
adopt_leave(void)
{
    timer_forget(&orphan.check);
    if (orphan.listener.added)
        loop_del(&orphan.listener);
    orphan.in = NULL;
}

/* ---- the starting master's side ---- */

int
ctl_connect(struct str path)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_sec = CONNECT_S };
    int fd, dir = -1, saved;
    bool ok;

    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (path.len >= sizeof(un.sun_path)) {
        size_t slash = str_rfind(path, '/');
        char name[4096];

        if (slash >= path.len || !str_to_c(str_upto(path, slash), name, sizeof(name)) ||
            (dir = open(slash == 0 ? "/" : name, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0 ||
            snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%.*s", dir,
                     STR(str_from(path, slash + 1))) >= (int)sizeof(un.sun_path)) {
            fd_close(&dir);
            fd_close(&fd);
            errno = ENAMETOOLONG;
            return -1;
        }
    } else {
        memcpy(un.sun_path, path.ptr, path.len);
    }
    ok = connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0;
    saved = errno;
    fd_close(&dir);
    if (!ok)
        fd_close(&fd);
    errno = saved;
    return fd;
}

void
adopted_close(struct adopted *a)
{
    VEC_FOREACH (s, struct listen_socket, &a->sockets)
        fd_close(&s->fd);
    VEC_FOREACH (z, struct adopted_zone, &a->zones)
        fd_close(&z->fd);
    fd_close(&a->ctl_fd);
    fd_close(&a->slots_fd);
    fd_close(&a->state_fd);
}

/* A single descriptor that may come once. */
static void
take_fd(int *to, int *fd)
{
    if (*to < 0) {
        *to = *fd;
        *fd = -1;
    }
}

/* One line and its descriptor; what is not understood is left to the caller, who closes it. */
static void
adopt_line(struct adopted *a, struct arena *mem, struct str key, struct str fields, int *fd)
{
    if (str_eq(key, S("socket"))) {
        struct listen_socket one, *s;

        if (lines_get_socket(&fields, mem, &one) &&
            (s = VEC_PUSH(&a->sockets, struct listen_socket)) != NULL) {
            *s = one;
            s->fd = *fd;
            *fd = -1;
        }
    } else if (str_eq(key, S("zone"))) {
        struct adopted_zone *z;
        struct str name;

        if (lines_get_str(&fields, mem, &name) &&
            (z = VEC_PUSH(&a->zones, struct adopted_zone)) != NULL) {
            z->name = name;
            z->fd = *fd;
            *fd = -1;
        }
    } else if (str_eq(key, S("ctl"))) {
        take_fd(&a->ctl_fd, fd);
    } else if (str_eq(key, S("slots"))) {
        take_fd(&a->slots_fd, fd);
    } else if (str_eq(key, S("state"))) {
        take_fd(&a->state_fd, fd);
    }
}

static void
adopt_part(struct adopted *a, struct arena *mem, struct str rest, int *fds, size_t n)
{
    struct str key, fields;
    size_t i = 0;

    while (i < n && lines_next(&rest, &key, &fields))
        adopt_line(a, mem, key, fields, &fds[i++]);
    for (i = 0; i < n; i++)
        fd_close(&fds[i]);
}

/* Reads answers until the last one. */
static enum adopt_peer
adopt_receive(int fd, uint64_t until_us, struct arena *mem, struct adopted *a, pid_t *pid,
              struct error *err)
{
    char *text = arena_alloc(mem, CTL_ANSWER_MAX + 1);

    if (text == NULL) {
        error_set(err, "out of memory");
        return ADOPT_FAILED;
    }
    for (;;) {
        int fds[FD_PASS_MAX];
        size_t n_fds = FD_PASS_MAX;
        struct str word, rest;
        ssize_t n;

        if (!wait_fd(fd, POLLIN, until_us)) {
            error_set(err, "it does not answer");
            return ADOPT_FAILED;
        }
        n = fd_recv(fd, text, CTL_ANSWER_MAX, fds, &n_fds, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0) {
            error_set(err, "it closed the connection without an answer");
            return ADOPT_FAILED;
        }
        rest = str_n(text, (size_t)n);
        if (str_starts(rest, S("part\n"))) {
            adopt_part(a, mem, str_from(rest, 5), fds, n_fds);
            continue;
        }
        for (size_t i = 0; i < n_fds; i++)
            fd_close(&fds[i]);
        if (str_split(&rest, ' ', &word) && str_eq(word, S("ok")))
            return num_parse_u64(rest, &a->generation) ? ADOPT_ORPHANS : ADOPT_FAILED;
        if (str_split(&rest, ' ', &word) && str_eq(word, S("running"))) {
            uint64_t id = 0;

            *pid = num_parse_u64(rest, &id) && id <= INT32_MAX ? (pid_t)id : 0;
            return ADOPT_MASTER;
        }
        error_set(err, "it answered \"%.*s\"", (int)(n > 200 ? 200 : n), text);
        return ADOPT_FAILED;
    }
}

enum adopt_peer
adopt_ask(struct str ctl_path, uint64_t deadline_ms, struct arena *mem, struct adopted *a,
          pid_t *pid, struct error *err)
{
    uint64_t until_us = clock_now_us() + deadline_ms * 1000;
    enum adopt_peer peer;
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int fd;

    memset(a, 0, sizeof(*a));
    vec_init(&a->sockets, mem, sizeof(struct listen_socket));
    vec_init(&a->zones, mem, sizeof(struct adopted_zone));
    a->ctl_fd = a->slots_fd = a->state_fd = -1;
    *pid = 0;
    fd = ctl_connect(ctl_path);
    if (fd < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
            return ADOPT_NOBODY;
        error_sys(err, "connect() to \"%.*s\" failed", STR(ctl_path));
        return ADOPT_FAILED;
    }
    if (send(fd, CTL_VERSION " adopt", sizeof(CTL_VERSION " adopt") - 1, MSG_NOSIGNAL) < 0) {
        error_sys(err, "send() to \"%.*s\" failed", STR(ctl_path));
        peer = ADOPT_FAILED;
    } else {
        peer = adopt_receive(fd, until_us, mem, a, pid, err);
    }
    /* Who does not answer, but made the listener and lives, is a master that hangs. */
    if (peer == ADOPT_FAILED && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 &&
        proc_start_time(cred.pid) != 0)
        *pid = cred.pid;
    if (peer != ADOPT_ORPHANS)
        adopted_close(a);
    fd_close(&fd);
    return peer;
}
