/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * control.c - the control socket: clients, what they wait for, and the table of commands.
 *
 * A request is `weir/1 COMMAND`, an answer `ok TEXT` or `error CODE TEXT`. Nothing that a client sends or leaves
 * unsent can do more than end its own connection.
 */
#include "master/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build/config.h"
#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/explain.h"
#include "master/pidfile.h"
#include "master/spawn.h"
#include "master/supervise.h"
#include "master/texts.h"

enum {
    CLIENTS_MAX = 64,
    BACKLOG = 64,
    REQUEST_MS = 10000, /* a client that says nothing */
    ASK_MS = 2000,      /* a worker that does not answer */
};

struct client {
    struct list node; /* in control.clients */
    struct master *m;
    struct watch watch;
    struct timer timer;
    enum client_wait wait;
    uint32_t ask_id; /* STATUS: of the question */
    uint32_t asked_slot;
    struct text own; /* STATUS: our lines */
    struct str
        rest; /* of the request, behind its command, from the blank on; while the command begins */
};

/* A control socket and its name. */
struct listener {
    struct master *m;
    struct watch watch;
    int fd;
    struct str path;
};

struct control {
    struct listener now;
    struct listener
        next; /* of a configuration that does not serve yet, with another path; fd -1: none */
    struct list clients;
    unsigned n_clients;
    uint32_t last_ask;
};

static void listener_on_event(struct watch *w, unsigned bits);

/* ---- listeners -------------------------------------------------------------------------------------------------- */

static struct control *
control_of(struct master *m)
{
    if (m->control == NULL) {
        m->control = calloc(1, sizeof(struct control));
        if (m->control != NULL) {
            m->control->now = m->control->next = (struct listener){ .m = m, .fd = -1 };
            list_init(&m->control->clients);
        }
    }
    return m->control;
}

/* Binds `name` in `dir`, which may lie deeper than an address can say. Mode 0600 from birth. */
static int
bind_in_dir(int dir, const char *name, struct error *err)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    mode_t mask;
    int fd;

    if (snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dir, name) >=
        (int)sizeof(un.sun_path)) {
        error_set(err, "control socket: the name \"%s\" is too long", name);
        return -1;
    }
    unlinkat(dir, name, 0);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_sys(err, "socket() failed");
        return -1;
    }
    mask = umask(0177);
    if (bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0 || listen(fd, BACKLOG) != 0) {
        error_sys(err, "control socket: bind() failed");
        fd_close(&fd);
    }
    umask(mask);
    return fd;
}

/* Bound under a temporary name and renamed over a stale one. */
static int
bind_path(struct str path, struct error *err)
{
    char dir_name[4096], name[256], temp[300];
    size_t slash = str_rfind(path, '/');
    int fd, dir;

    if (slash >= path.len ||
        !str_to_c(slash == 0 ? S("/") : str_upto(path, slash), dir_name, sizeof(dir_name)) ||
        !str_to_c(str_from(path, slash + 1), name, sizeof(name))) {
        error_set(err, "control socket: no such path \"%.*s\"", STR(path));
        return -1;
    }
    dir = open(dir_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) {
        error_sys(err, "control socket: open(\"%s\") failed", dir_name);
        return -1;
    }
    snprintf(temp, sizeof(temp), "%s.new", name);
    fd = bind_in_dir(dir, temp, err);
    if (fd >= 0 && renameat(dir, temp, dir, name) != 0) {
        error_sys(err, "control socket: rename() to \"%.*s\" failed", STR(path));
        unlinkat(dir, temp, 0);
        fd_close(&fd);
    }
    fd_close(&dir);
    return fd;
}

static void
listener_watch(struct listener *l)
{
    if (l->fd < 0 || l->watch.added)
        return;
    l->watch.on_event = listener_on_event;
    if (!loop_add_level(&l->watch, l->fd, false))
        log_alert(errno, "cannot watch the control socket");
}

static void
listener_close(struct listener *l, bool unlink_name)
{
    if (l->fd < 0)
        return;
    if (l->watch.added)
        loop_del(&l->watch);
    fd_close(&l->fd);
    if (unlink_name && l->path.len > 0)
        unlink(l->path.ptr);
    l->path = STR_NONE;
}

bool
control_open(struct master *m, struct report *r)
{
    struct control *ctl = control_of(m);
    struct str path = pidfile_sibling(&m->arena, m->config->core.pid_path, ".ctl");
    struct error err = { 0 };
    int fd;

    if (ctl == NULL || path.ptr == NULL)
        return report_say(r, LOG_LEVEL_WARN, "out of memory: no control socket");
    m->ctl_path = path;
    if (ctl->now.fd >= 0 && str_eq(ctl->now.path, path))
        return true;
    fd = bind_path(path, &err);
    if (fd < 0)
        return report_say(r, LOG_LEVEL_WARN, "%s", err.text);
    ctl->next.fd = fd;
    ctl->next.path = path;
    return true;
}

void
control_adopt(struct master *m, int fd, struct str path)
{
    struct control *ctl = control_of(m);

    if (ctl == NULL) {
        fd_close(&fd);
        return;
    }
    ctl->now.fd = fd;
    ctl->now.path = path;
    fd_set_nonblock(fd, true);
}

int
control_listener(const struct master *m)
{
    if (m->control == NULL)
        return -1;
    return m->control->next.fd >= 0 ? m->control->next.fd : m->control->now.fd;
}

static void client_watch(struct client *c);

void
control_watch(struct master *m)
{
    if (m->control == NULL)
        return;
    listener_watch(&m->control->now);
    listener_watch(&m->control->next);
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        client_watch(c);
        if (c->wait == CLIENT_NEW)
            timer_set(&c->timer, REQUEST_MS);
    }
}

void
control_settle(struct master *m)
{
    struct control *ctl = m->control;
    int fd;
    struct str path;

    if (ctl == NULL || ctl->next.fd < 0)
        return;
    fd = ctl->next.fd;
    path = ctl->next.path;
    if (ctl->next.watch.added)
        loop_del(&ctl->next.watch);
    ctl->next.fd = -1;
    listener_close(&ctl->now, true);
    ctl->now.fd = fd;
    ctl->now.path = path;
    listener_watch(&ctl->now);
}

void
control_revert(struct master *m)
{
    if (m->control != NULL)
        listener_close(&m->control->next, true);
}

void
control_unname(struct master *m)
{
    if (m->control == NULL)
        return;
    listener_close(&m->control->next, true);
    if (m->control->now.fd >= 0 && m->control->now.path.len > 0)
        unlink(m->control->now.path.ptr);
    m->control->now.path = STR_NONE;
}

void
control_close(struct master *m, bool unlink_name)
{
    if (m->control == NULL)
        return;
    listener_close(&m->control->next, true);
    listener_close(&m->control->now, unlink_name);
}

void
control_forget(struct master *m)
{
    struct control *ctl = m->control;

    if (ctl == NULL)
        return;
    LIST_FOREACH (at, &ctl->clients)
        fd_close(&LIST_ENTRY(at, struct client, node)->watch.fd);
    if (ctl->next.fd >= 0)
        fd_close(&ctl->now.fd);
}

/* ---- clients ---------------------------------------------------------------------------------------------------- */

static void
client_close(struct client *c)
{
    timer_forget(&c->timer);
    if (c->watch.added)
        loop_del(&c->watch);
    fd_close(&c->watch.fd);
    list_del(&c->node);
    text_free(&c->own);
    c->m->control->n_clients--;
    loop_defer_free(free, c);
}

/* The last word; a client that has left does not mind. */
static void
client_answer(struct client *c, const char *head, struct str text)
{
    struct text t;
    struct str s;

    text_init(&t, NULL);
    text_fmt(&t, "%s", head);
    if (text.len > 0)
        text_char(&t, ' ');
    text_bytes(&t, text.ptr, text.len < CTL_ANSWER_MAX ? text.len : CTL_ANSWER_MAX);
    s = text_str(&t);
    if (s.ptr == NULL)
        s = S("error memory out of memory");
    if (send(c->watch.fd, s.ptr, s.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_info(errno, "control client left before its answer");
    text_free(&t);
    client_close(c);
}

void
control_answer(struct master *m, enum client_wait wait, const char *head, struct str text)
{
    if (m->control == NULL)
        return;
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        if (c->wait == wait)
            client_answer(c, head, text);
    }
}

void
control_promote(struct master *m)
{
    master_answer_pending(m);
    if (m->control == NULL)
        return;
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        if (c->wait == CLIENT_RELOAD_NEXT)
            c->wait = CLIENT_RELOAD;
        else if (c->wait == CLIENT_TEST_NEXT)
            c->wait = CLIENT_TEST;
        else if (c->wait == CLIENT_CHECK_NEXT)
            c->wait = CLIENT_CHECK;
    }
}

void
control_flush_status(struct master *m)
{
    if (m->control == NULL)
        return;
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        if (c->wait == CLIENT_STATUS)
            client_answer(c, "ok", text_str(&c->own));
    }
}

static bool
client_allowed(const struct client *c)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(c->watch.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

/* ---- commands --------------------------------------------------------------------------------------------------- */

static void
do_reload(struct client *c)
{
    if (c->m->state == STATE_STOP || c->m->stop_wanted || c->m->quit_wanted) {
        client_answer(c, "error stopping", S("the master is stopping"));
        return;
    }
    c->wait = CLIENT_RELOAD_NEXT;
    c->m->reload_wanted = true;
    log_notice(0, "reload asked for on the control socket, reconfiguring");
    master_event(c->m, EVENT_CHECK);
}

static void
begin_test(struct client *c, enum client_wait wait)
{
    if (c->m->state == STATE_STOP) {
        client_answer(c, "error stopping", S("the master is stopping"));
        return;
    }
    c->wait = wait;
    c->m->test_wanted = true;
    master_event(c->m, EVENT_CHECK);
}

static void
do_test(struct client *c)
{
    begin_test(c, CLIENT_TEST_NEXT);
}

/* The form of `test` that weirctl asks for: it shows the report as its options say. */
static void
do_check(struct client *c)
{
    begin_test(c, CLIENT_CHECK_NEXT);
}

static void
do_stop(struct client *c)
{
    c->wait = CLIENT_STOP;
    log_notice(0, "stop asked for on the control socket, exiting");
    master_event(c->m, EVENT_STOP);
}

static void
do_quit(struct client *c)
{
    c->wait = CLIENT_STOP;
    log_notice(0, "quit asked for on the control socket, shutting down");
    master_event(c->m, EVENT_QUIT);
}

static void
do_reopen(struct client *c)
{
    log_notice(0, "reopen asked for on the control socket, reopening logs");
    master_event(c->m, EVENT_REOPEN);
    client_answer(c, "ok", S("log files reopened"));
}

/* In place of the files. One at a time: who asks for both cannot mean both. */
static void
do_rollback(struct client *c)
{
    struct master *m = c->m;

    if (m->state != STATE_RUN && m->state != STATE_HOLD) {
        client_answer(c, "error busy", S("a check or a reload is under way: ask again behind it"));
        return;
    }
    if (m->back_files.len == 0) {
        client_answer(c, "error rollback", S("no configuration from before this one is known"));
        return;
    }
    c->wait = CLIENT_RELOAD_NEXT;
    m->reload_wanted = m->rollback_wanted = true;
    log_notice(0, "rollback asked for on the control socket, going back to the configuration "
                  "before this one");
    master_event(m, EVENT_CHECK);
}

/* Between processes, for `diff`. */
static void
do_texts(struct client *c)
{
    struct error err = { 0 };
    int fd = texts_memfd(c->m, &err);

    if (fd < 0) {
        client_answer(c, "error texts", str_c(err.text));
        return;
    }
    if (fd_send(c->watch.fd, "ok", 2, &fd, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_info(errno, "control client left before its answer");
    fd_close(&fd);
    client_close(c);
}

/* Whoever explains has the client's socket, and answers there; ours is closed. */
static void
do_explain(struct client *c)
{
    struct error err = { 0 };
    bool busy;

    if (explain_fork(c->m, c->watch.fd, c->rest, &busy, &err))
        client_close(c);
    else
        client_answer(c, busy ? "error busy" : "error explain", str_c(err.text));
}

/* The newest generation below `limit` that has processes; 0: none. */
static uint64_t
next_generation(const struct master *m, uint64_t limit)
{
    uint64_t found = 0;

    LIST_FOREACH (at, (struct list *)&m->children) {
        uint64_t g = LIST_ENTRY(at, struct child, node)->generation;

        if (g < limit && g > found)
            found = g;
    }
    return found;
}

/* "generation 3: serving, 2 processes: 11 12" */
static void
put_generations(const struct master *m, struct text *t)
{
    for (uint64_t g = UINT64_MAX; (g = next_generation(m, g)) > 0;) {
        unsigned n = supervise_count(m, g);

        text_fmt(t, "generation %llu: %s, %u process%s:", (unsigned long long)g,
                 g == m->serving ? "serving"
                 : g == m->generation && (m->state == STATE_START || m->state == STATE_HANDOFF)
                     ? "starting"
                     : "draining",
                 n, n == 1 ? "" : "es");
        LIST_FOREACH (at, (struct list *)&m->children) {
            const struct child *c = LIST_ENTRY(at, struct child, node);

            if (c->generation == g)
                text_fmt(t, " %d%s", (int)c->pid, c->orphan ? " (orphan)" : "");
        }
        text_char(t, '\n');
    }
    text_fmt(t, "slots: %u of %d free\n", slots_free_count(m->slots), SLOTS_MAX);
}

static void
on_ask_time(struct timer *timer)
{
    struct client *c = CONTAINER_OF(timer, struct client, timer);

    TEXT_LIT(&c->own, "counters: no worker answers\n");
    client_answer(c, "ok", text_str(&c->own));
}

/* A worker adds its part to what we have said; when there is none, that is all. */
static void
ask_worker(struct client *c, struct str question)
{
    struct child *worker = supervise_any_worker(c->m);
    struct msg_ask ask = { .id = ++c->m->control->last_ask };

    if (worker == NULL ||
        !channel_send(&worker->channel, MSG_ASK, &ask, sizeof(ask), question, NULL, 0)) {
        client_answer(c, "ok", text_str(&c->own));
        return;
    }
    c->wait = CLIENT_STATUS;
    c->ask_id = ask.id;
    c->asked_slot = worker->slot;
    c->timer.on_time = on_ask_time;
    timer_set(&c->timer, ASK_MS);
}

/* A page of them; the worker that serves knows. */
static void
do_certs(struct client *c)
{
    char question[64];

    snprintf(question, sizeof(question), "certs%.*s", (int)(c->rest.len < 20 ? c->rest.len : 20),
             c->rest.ptr);
    ask_worker(c, str_c(question));
}

static void
do_status(struct client *c)
{
    struct master *m = c->m;

    text_fmt(&c->own, "state: %s\nmaster: %d\nversion: %s\n", master_state_name(m->state),
             (int)getpid(), WEIR_VERSION);
    if (m->config != NULL)
        text_fmt(&c->own, "configuration: %.*s\nworkers: %u\n", STR(m->config->conf_path),
                 m->config->core.worker_processes);
    if (m->rolled_back)
        TEXT_LIT(&c->own, "rolled back: yes, the files on disk are not what serves\n");
    put_generations(m, &c->own);
    ask_worker(c, S("status"));
}

void
control_on_answer(struct master *m, struct child *from, uint32_t id, struct str text)
{
    if (m->control == NULL)
        return;
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        if (c->wait != CLIENT_STATUS || c->ask_id != id || c->asked_slot != from->slot)
            continue;
        text_add(&c->own, text);
        client_answer(c, "ok", text_str(&c->own));
    }
}

void
control_on_death(struct master *m, struct child *dead)
{
    if (m->control == NULL)
        return;
    LIST_FOREACH (at, &m->control->clients) {
        struct client *c = LIST_ENTRY(at, struct client, node);

        if (c->wait == CLIENT_STATUS && c->asked_slot == dead->slot)
            client_answer(c, "ok", text_str(&c->own));
    }
}

/* For `-t`: addresses that are ours need not be bound to be known to work. */
static void
do_held(struct client *c)
{
    VEC_FOREACH (h, struct held, &c->m->sockets)
        lines_put_socket(&c->own, &h->s);
    client_answer(c, "ok", text_str(&c->own));
}

/* A second master that starts: this one lives. */
static void
do_adopt(struct client *c)
{
    char pid[24];

    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    client_answer(c, c->m->state == STATE_STOP ? "error stopping" : "error running", str_c(pid));
}

static void
do_orphans(struct client *c)
{
    client_answer(c, "ok", S("the master lives, there are no orphans"));
}

static const struct {
    const char *name;
    void (*run)(struct client *c);
    const char *help; /* NULL: between processes only */
} commands[] = {
    { "reload", do_reload, "check the configuration and serve it; waits for the verdict" },
    { "rollback", do_rollback, "serve the last good configuration from before this one" },
    { "test", do_test, "check the configuration as a reload would" },
    { "explain", do_explain, "tell what would become of a request, and why" },
    { "status", do_status, "show processes, generations and counters" },
    { "certs", do_certs, "show the certificates in use and when they expire; --json" },
    { "reopen", do_reopen, "open log files anew" },
    { "stop", do_stop, "end now" },
    { "quit", do_quit, "finish requests in flight, then end" },
    { "orphans", do_orphans, "end workers whose master has died" },
    { "texts", do_texts, NULL },
    { "held", do_held, NULL },
    { "adopt", do_adopt, NULL },
    { "check", do_check, NULL },
};

bool
control_command(unsigned i, const char **name, const char **help)
{
    if (i >= ARRAY_LEN(commands) || commands[i].help == NULL)
        return false;
    *name = commands[i].name;
    *help = commands[i].help;
    return true;
}

static void
client_request(struct client *c, struct str request)
{
    struct str word, rest = request;
    char text[200];

    if (!str_split(&rest, ' ', &word) || !str_eq(word, S(CTL_VERSION))) {
        client_answer(c, "error version", S("this master speaks " CTL_VERSION));
        return;
    }
    word = str_upto(rest, str_find(rest, ' '));
    c->rest = str_from(rest, word.len);
    if (!client_allowed(c)) {
        client_answer(c, "error denied", S("only root and the master's user"));
        return;
    }
    timer_stop(&c->timer);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (str_eq(word, str_c(commands[i].name))) {
            commands[i].run(c);
            return;
        }
    }
    snprintf(text, sizeof(text), "unknown command \"%.*s\"", (int)(word.len < 60 ? word.len : 60),
             word.ptr);
    client_answer(c, "error unknown", str_c(text));
}

static void
client_on_event(struct watch *w, unsigned bits UNUSED)
{
    struct client *c = CONTAINER_OF(w, struct client, watch);
    static char request[CTL_REQUEST_MAX];
    ssize_t n = recv(w->fd, request, sizeof(request), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0 && c->wait == CLIENT_NEW)
        client_request(c, str_n(request, (size_t)n));
    else
        client_close(c); /* has left, or talks where it should wait */
}

static void
client_on_time(struct timer *t)
{
    client_close(CONTAINER_OF(t, struct client, timer));
}

static void
client_watch(struct client *c)
{
    c->watch.on_event = client_on_event;
    if (!c->watch.added && !loop_add_level(&c->watch, c->watch.fd, false))
        log_alert(errno, "cannot watch a control client");
}

static struct client *
client_new(struct master *m, int fd, enum client_wait wait)
{
    struct client *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->m = m;
    c->wait = wait;
    c->watch.fd = fd;
    c->timer.on_time = client_on_time;
    text_init(&c->own, NULL);
    list_add_tail(&m->control->clients, &c->node);
    m->control->n_clients++;
    return c;
}

static void
listener_on_event(struct watch *w, unsigned bits UNUSED)
{
    struct master *m = CONTAINER_OF(w, struct listener, watch)->m;
    struct client *c;
    int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    c = m->control->n_clients < CLIENTS_MAX ? client_new(m, fd, CLIENT_NEW) : NULL;
    if (c == NULL) {
        log_warn(0, "too many control clients, one is turned away");
        fd_close(&fd);
        return;
    }
    client_watch(c);
    timer_set(&c->timer, REQUEST_MS);
}

/* ---- hand-over -------------------------------------------------------------------------------------------------- */

static bool
put_fd(struct vec *fds, int fd)
{
    int *at = fds != NULL ? VEC_PUSH(fds, int) : NULL;

    if (at != NULL)
        *at = fd;
    return at != NULL || fds == NULL;
}

bool
control_put(const struct master *m, struct text *t, struct vec *fds)
{
    bool ok = true;

    if (m->control == NULL)
        return true;
    if (m->control->now.fd >= 0) {
        text_fmt(t, "ctl %d", m->control->now.fd);
        lines_put_str(t, m->control->now.path);
        text_char(t, '\n');
        ok = put_fd(fds, m->control->now.fd);
    }
    LIST_FOREACH (at, &m->control->clients) {
        const struct client *c = LIST_ENTRY(at, struct client, node);

        text_fmt(t, "client %d %d\n", c->watch.fd, (int)c->wait);
        ok = ok && put_fd(fds, c->watch.fd);
    }
    return ok;
}

bool
control_get(struct master *m, struct str key, struct str fields)
{
    struct str path;
    uint64_t fd, wait;

    if (control_of(m) == NULL || !lines_get_num(&fields, &fd) || fd > INT32_MAX ||
        !fd_set_cloexec((int)fd, true))
        return false;
    if (str_eq(key, S("ctl"))) {
        if (!lines_get_str(&fields, &m->arena, &path))
            return false;
        m->control->now.fd = (int)fd;
        m->control->now.path = path;
        m->ctl_path = path;
        return true;
    }
    return lines_get_num(&fields, &wait) && wait < CLIENT_WAITS &&
           client_new(m, (int)fd, (enum client_wait)wait) != NULL;
}
