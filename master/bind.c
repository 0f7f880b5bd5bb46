/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bind.c - opens, adopts, steers and closes listening sockets.
 *
 * A unix socket is bound under a temporary name and renamed when it listens, so that at no time a name leads to
 * nobody. The kernel goes on calling it by the temporary name.
 */
#include "master/bind.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/fd.h"

enum { TRIES = 5, TRY_PAUSE_US = 500000, REUSEPORT_MAX = 1024 };

#define TEMP_SUFFIX ".weir.new"

static bool
is_same(const struct held *h, const struct addr *a, int type)
{
    return h->s.type == type && addr_eq(&h->s.addr, a);
}

static bool
is_unix(const struct addr *a)
{
    return a->sa.sa_family == AF_UNIX;
}

static bool
is_abstract(const struct addr *a)
{
    return is_unix(a) && a->un.sun_path[0] == '\0';
}

/* Modes of a process that does not hold what is held. */
static bool
is_look(enum bind_mode mode)
{
    return mode != BIND_START && mode != BIND_TAKE_OVER;
}

/* The number of sockets held for an address, and the first of them. */
static uint32_t
count_held(struct vec *held, const struct addr *a, int type, struct held **first)
{
    uint32_t n = 0;

    *first = NULL;
    VEC_FOREACH (h, struct held, held) {
        if (!is_same(h, a, type))
            continue;
        if (*first == NULL)
            *first = h;
        n++;
    }
    return n;
}

/* ---- opening ---------------------------------------------------------------------------------------------------- */

/* Whether somebody answers at the name. Without, what is there was left behind by a process that died. */
static bool
unix_answers(const struct addr *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers;

    if (fd < 0)
        return true;
    answers = connect(fd, &a->sa, a->len) == 0 || (errno != ECONNREFUSED && errno != ENOENT);
    fd_close(&fd);
    return answers;
}

/* Binds under the temporary name, which is left in h->temp. */
static int
bind_unix(const struct listen_spec *spec, struct held *h, struct report *r, struct error *err)
{
    struct addr temp = spec->addr;
    struct stat st;
    size_t n = strlen(spec->addr.un.sun_path);
    int fd;

    if (stat(spec->addr.un.sun_path, &st) == 0 &&
        (!S_ISSOCK(st.st_mode) || unix_answers(&spec->addr))) {
        errno = EADDRINUSE;
        error_sys(err, "bind() to %.*s failed", STR(spec->text));
        return -1;
    }
    if (n + sizeof(TEMP_SUFFIX) > sizeof(temp.un.sun_path))
        n = sizeof(temp.un.sun_path) - sizeof(TEMP_SUFFIX);
    memcpy(temp.un.sun_path + n, TEMP_SUFFIX, sizeof(TEMP_SUFFIX));
    temp.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + sizeof(TEMP_SUFFIX));
    unlink(temp.un.sun_path);
    fd = socket_bind(&temp, spec->type, &spec->options, err);
    if (fd < 0)
        return -1;
    h->temp = arena_str(r->arena, str_c(temp.un.sun_path));
    if (h->temp.ptr == NULL) {
        unlink(temp.un.sun_path);
        fd_close(&fd);
        error_set(err, "out of memory");
    }
    return fd;
}

/*
 * Addresses of one port of which one is a wildcard: the kernel takes both only from sockets that share it. With that the
 * more exact one gets its connections as long as it listens, and the other one all when it has gone.
 */
static bool
overlaps(const struct held *h, const struct listen_spec *spec)
{
    return h->s.type == spec->type && !is_unix(&h->s.addr) && !is_unix(&spec->addr) &&
           addr_port(&h->s.addr) == addr_port(&spec->addr) && !addr_eq(&h->s.addr, &spec->addr) &&
           (addr_is_wildcard(&h->s.addr) || addr_is_wildcard(&spec->addr));
}

static bool
is_overlapped(const struct vec *held, const struct listen_spec *spec)
{
    VEC_FOREACH (h, struct held, held) {
        if (overlaps(h, spec))
            return true;
    }
    return false;
}

/* Binds beside sockets of our own that are in the way: only who holds them can do that. */
static int
bind_beside(const struct vec *held, const struct listen_spec *spec, struct error *err)
{
    struct socket_options o = spec->options;

    o.reuseport = true;
    VEC_FOREACH (h, struct held, held) {
        struct socket_options share = { .reuseport = true, .keepalive = -1, .fastopen = -1 };

        if (overlaps(h, spec) && !socket_tune(h->s.fd, &share, err))
            return -1;
    }
    return socket_bind(&spec->addr, spec->type, &o, err);
}

/* One more socket for the address. */
static bool
open_one(const struct config *c, const struct listen_spec *spec, struct vec *held, uint32_t index,
         enum bind_mode mode, struct report *r)
{
    struct held *h, one = { .s = { .addr = spec->addr,
                                   .type = spec->type,
                                   .index = index,
                                   .reuseport = spec->options.reuseport },
                            .fresh = true };
    struct error err = { 0 };

    for (unsigned tries = 1;; tries++) {
        one.s.fd = is_unix(&spec->addr) && !is_abstract(&spec->addr)
                       ? bind_unix(spec, &one, r, &err)
                       : socket_bind(&spec->addr, spec->type, &spec->options, &err);
        if (one.s.fd < 0 && err.sys == EADDRINUSE && is_overlapped(held, spec)) {
            if (is_look(mode))
                return true;
            one.s.fd = bind_beside(held, spec, &err);
        }
        if (one.s.fd >= 0)
            break;
        if (err.sys != EADDRINUSE || mode != BIND_START || tries == TRIES) {
            bool mild = mode == BIND_TEST_MILD && err.sys == EADDRINUSE;

            report_add(r, c, spec->pos, mild ? LOG_LEVEL_WARN : LOG_LEVEL_EMERG, "%s", err.text);
            return mild;
        }
        usleep(TRY_PAUSE_US); /* who held it may be about to end; nobody is served yet */
    }
    h = VEC_PUSH(held, struct held);
    if (h == NULL) {
        fd_close(&one.s.fd);
        return report_say(r, LOG_LEVEL_EMERG, "out of memory");
    }
    *h = one;
    return true;
}

/* A plain socket becomes the first of a group; members that come later join it at listen(). */
static bool
make_group(const struct config *c, const struct listen_spec *spec, struct held *first,
           struct report *r)
{
    struct socket_options o = spec->options;
    struct error err = { 0 };

    if (first->s.reuseport)
        return true;
    if (!socket_tune(first->s.fd, &o, &err))
        return report_add(r, c, spec->pos, LOG_LEVEL_EMERG, "%s", err.text);
    first->s.reuseport = true;
    return true;
}

static bool
open_spec(const struct config *c, const struct listen_spec *spec, struct vec *held,
          enum bind_mode mode, struct report *r)
{
    bool looks = is_look(mode);
    struct held *first;
    uint32_t have = count_held(held, &spec->addr, spec->type, &first), want = 1;

    if (spec->options.reuseport && !is_unix(&spec->addr))
        want = c->core.worker_processes < REUSEPORT_MAX ? c->core.worker_processes : REUSEPORT_MAX;
    if (have >= want && !(spec->options.reuseport && !looks))
        return true;
    if (have > 0) {
        /* A bound datagram socket gets traffic at once; and only the holder can make a group of a plain socket. */
        if (looks && (spec->type == SOCK_DGRAM || !first->s.reuseport))
            return true;
        if (!looks && !make_group(c, spec, first, r))
            return false;
    }
    for (; have < want; have++) {
        if (!open_one(c, spec, held, have, mode, r))
            return false;
    }
    return true;
}

bool
bind_open(const struct config *c, struct vec *held, enum bind_mode mode, struct report *r)
{
    bool ok = true;

    for (uint32_t i = 0; i < c->listeners.len; i++)
        ok = open_spec(c, *VEC_AT(&c->listeners, struct listen_spec *, i), held, mode, r) && ok;
    return ok;
}

/* ---- listening -------------------------------------------------------------------------------------------------- */

static bool
listen_one(const struct config *c, struct held *h, struct report *r)
{
    const struct listen_spec *spec = h->s.spec;
    struct error err = { 0 };
    bool ok = spec->type == SOCK_STREAM ? socket_listen(h->s.fd, &spec->options, &err)
                                        : socket_tune(h->s.fd, &spec->options, &err);

    if (!ok)
        return report_add(r, c, spec->pos, LOG_LEVEL_EMERG, "%s", err.text);
    h->listening = true;
    if (h->temp.len == 0)
        return true;
    if (rename(h->temp.ptr, spec->addr.un.sun_path) != 0) {
        error_sys(&err, "rename() \"%s\" to \"%s\" failed", h->temp.ptr, spec->addr.un.sun_path);
        return report_add(r, c, spec->pos, LOG_LEVEL_EMERG, "%s", err.text);
    }
    h->temp = STR_NONE;
    return true;
}

/*
 * New members of a group that serves get no connection before somebody tends them: steered to those of now. False when
 * there is no group yet: a plain socket gets one when the first new member listens.
 */
static bool
guard_group(struct vec *held, const struct listen_spec *spec)
{
    struct held *first;
    uint32_t n = count_held(held, &spec->addr, spec->type, &first), tended = 0, fresh = 0;
    struct error err;

    if (n < 2 || spec->type != SOCK_STREAM || !first->listening || first->fresh)
        return true;
    VEC_FOREACH (h, struct held, held) {
        if (!is_same(h, &spec->addr, spec->type))
            continue;
        fresh += h->fresh;
        tended += !h->fresh && !h->s.surplus;
    }
    return fresh == 0 || socket_steer(first->s.fd, tended > 0 ? tended : 1, &err);
}

static bool
listen_spec(const struct config *c, const struct listen_spec *spec, struct vec *held,
            struct report *r)
{
    bool ok = true, guarded = !spec->options.reuseport || guard_group(held, spec);

    VEC_FOREACH (h, struct held, held) {
        if (!is_same(h, &spec->addr, spec->type))
            continue;
        h->s.spec = spec;
        ok = listen_one(c, h, r) && ok;
        guarded = guarded || guard_group(held, spec);
    }
    if (!guarded)
        log_warn(0, "%.*s: new sockets may get connections before workers tend them",
                 STR(spec->text));
    VEC_FOREACH (h, struct held, held) {
        if (is_same(h, &spec->addr, spec->type))
            h->s.surplus = h->s.reuseport && h->s.index >= c->core.worker_processes;
    }
    return ok;
}

bool
bind_listen(const struct config *c, struct vec *held, struct report *r)
{
    bool ok = true;

    VEC_FOREACH (h, struct held, held)
        h->s.spec = NULL;
    for (uint32_t i = 0; i < c->listeners.len; i++)
        ok = listen_spec(c, *VEC_AT(&c->listeners, struct listen_spec *, i), held, r) && ok;
    return ok;
}

void
bind_steer(const struct config *c, struct vec *held)
{
    for (uint32_t i = 0; i < c->listeners.len; i++) {
        const struct listen_spec *spec = *VEC_AT(&c->listeners, struct listen_spec *, i);
        struct error err = { 0 };
        struct held *first;
        uint32_t n = count_held(held, &spec->addr, spec->type, &first);

        if (n < 2 || spec->type != SOCK_STREAM)
            continue;
        /* A group that has become plain: all workers tend all of it. */
        if (spec->options.reuseport && n > c->core.worker_processes)
            n = c->core.worker_processes;
        if (!socket_steer(first->s.fd, n, &err))
            log_error(0, "%s", err.text);
    }
}

/* ---- closing ---------------------------------------------------------------------------------------------------- */

static void
unlink_name(const struct held *h)
{
    if (h->temp.len > 0)
        unlink(h->temp.ptr);
    else if (is_unix(&h->s.addr) && !is_abstract(&h->s.addr) && h->listening)
        unlink(h->s.addr.un.sun_path);
}

static void
close_at(struct vec *held, uint32_t i, bool unlink_names)
{
    struct held *h = VEC_AT(held, struct held, i);

    if (unlink_names)
        unlink_name(h);
    fd_close(&h->s.fd);
    vec_remove(held, i);
}

void
bind_settle(struct vec *held)
{
    for (uint32_t i = held->len; i-- > 0;) {
        struct held *h = VEC_AT(held, struct held, i);

        h->fresh = false;
        if (h->s.spec == NULL)
            close_at(held, i, true);
    }
}

/* Whether an older socket of the same address serves. */
static bool
is_in_serving_group(struct vec *held, const struct held *fresh)
{
    VEC_FOREACH (h, struct held, held) {
        if (!h->fresh && is_same(h, &fresh->s.addr, fresh->s.type))
            return true;
    }
    return false;
}

void
bind_revert(struct vec *held)
{
    for (uint32_t i = held->len; i-- > 0;) {
        struct held *h = VEC_AT(held, struct held, i);

        if (!h->fresh || (h->listening && h->s.reuseport && is_in_serving_group(held, h)))
            continue;
        close_at(held, i, true);
    }
    VEC_FOREACH (h, struct held, held) {
        h->s.surplus = h->s.surplus || h->fresh;
        h->fresh = false;
        h->s.spec = NULL;
    }
}

void
bind_drop_fresh(struct vec *held)
{
    for (uint32_t i = held->len; i-- > 0;) {
        if (VEC_AT(held, struct held, i)->fresh)
            close_at(held, i, true);
    }
}

void
bind_close(struct vec *held, bool unlink_names)
{
    while (held->len > 0)
        close_at(held, held->len - 1, unlink_names);
}

/* ---- taking over ------------------------------------------------------------------------------------------------ */

/* What the kernel says of the descriptor; false when it is no socket that can serve. */
static bool
inspect(int fd, struct held *h)
{
    int listening = 0, reuseport = 0;
    socklen_t len = sizeof(int);

    memset(h, 0, sizeof(*h));
    h->s.fd = fd;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &h->s.type, &len) != 0 ||
        (h->s.type != SOCK_STREAM && h->s.type != SOCK_DGRAM) || !socket_local_addr(fd, &h->s.addr))
        return false;
    len = sizeof(int);
    h->listening = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening;
    len = sizeof(int);
    if (!is_unix(&h->s.addr))
        h->s.reuseport =
            getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &reuseport, &len) == 0 && reuseport;
    return true;
}

bool
bind_inherit(struct vec *held, int fd)
{
    struct held one, *h, *first;

    if (!inspect(fd, &one) || !fd_set_cloexec(fd, true) || !fd_set_nonblock(fd, true))
        return false;
    one.s.index = count_held(held, &one.s.addr, one.s.type, &first);
    h = VEC_PUSH(held, struct held);
    if (h == NULL)
        return false;
    *h = one;
    return true;
}

/* A unix socket is known to the kernel by the name under which it was bound first: who made it is what counts. */
static bool
is_as_said(const struct listen_socket *said, const struct held *found)
{
    struct ucred maker;
    socklen_t len = sizeof(maker);

    if (said->type != found->s.type || said->addr.sa.sa_family != found->s.addr.sa.sa_family ||
        (said->type == SOCK_STREAM && !found->listening))
        return false;
    if (!is_unix(&said->addr))
        return addr_eq(&said->addr, &found->s.addr);
    return said->type == SOCK_DGRAM ||
           (getsockopt(found->s.fd, SOL_SOCKET, SO_PEERCRED, &maker, &len) == 0 &&
            (maker.uid == 0 || maker.uid == geteuid()));
}

void
bind_adopt(struct vec *held, struct vec *sockets, struct report *r)
{
    VEC_FOREACH (s, struct listen_socket, sockets) {
        struct held found, *h;
        char text[ADDR_TEXT_MAX];

        if (!inspect(s->fd, &found) || !is_as_said(s, &found)) {
            report_say(r, LOG_LEVEL_WARN,
                       "a worker without a master passed a socket that is not %.*s: closed",
                       (int)addr_format(&s->addr, true, text), text);
            fd_close(&s->fd);
            continue;
        }
        h = VEC_PUSH(held, struct held);
        if (h == NULL) {
            fd_close(&s->fd);
            continue;
        }
        *h = found;
        h->s.addr = s->addr;
        h->s.index = s->index;
        h->s.surplus = s->surplus;
        fd_set_nonblock(s->fd, true);
        s->fd = -1;
    }
}
