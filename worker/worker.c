/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.c - a worker process: gives up privileges, initialises modules, serves, drains, ends.
 */
#include "worker/worker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/heap.h"
#include "common/base/rand.h"
#include "common/event/loop.h"
#include "common/event/signal.h"
#include "common/event/timer.h"
#include "common/ipc/channel.h"
#include "common/module.h"
#include "common/shm/counters.h"
#include "common/shm/lock.h"
#include "common/shm/slots.h"
#include "common/sys/proc.h"
#include "worker/core/exchange.h"
#include "worker/net/conn.h"
#include "worker/net/events_conf.h"
#include "worker/net/listener.h"
#include "worker/orphan.h"
#include "worker/watchdog.h"

enum {
    EXIT_FATAL = 2,          /* to start another one would not help: nginx's exit status for it */
    HEAP_KEPT = 1024 * 1024, /* bytes that are spare and are not given back */
    BUFS_KEPT = 4 * 1024 * 1024, /* the same */
    TRIM_AFTER_MS = 1000,        /* so long must memory be spare */
    TRIM_STEP_MS = 10,           /* between the parts of it */
};

static struct inherit *inherited;
static struct channel channel;
static bool has_channel;
static struct task turn_hook;
static struct timer deadline, trim_timer;
static const struct msg_none nothing;

/* ---- states ---- */

static void
enter(enum worker_state state)
{
    cycle_set_state(state);
    if (state > WORKER_SERVING)
        proc_set_title("%s: worker process is shutting down", log_program);
}

static void
stop_now(void)
{
    if (worker_state < WORKER_STOPPING)
        enter(WORKER_STOPPING);
    loop_stop();
}

static void
on_deadline(struct timer *t)
{
    (void)t;
    log_notice(0, "worker_shutdown_timeout: %u connections are cut", conn_count());
    stop_now();
}

static void
set_deadline(uint64_t ms)
{
    deadline.on_time = on_deadline;
    if (ms > 0)
        timer_set(&deadline, ms);
}

/* State first: what is accepted while leaving gets `Connection: close` already. */
static void
drain(uint64_t deadline_ms)
{
    if (worker_state >= WORKER_DRAINING)
        return;
    enter(WORKER_DRAINING);
    orphan_leave();
    listener_leave();
    set_deadline(deadline_ms);
    if (has_channel)
        CHANNEL_SEND(&channel, MSG_DRAINING, &nothing);
}

static void
quit(void)
{
    if (worker_state >= WORKER_QUITTING)
        return;
    enter(WORKER_QUITTING);
    orphan_leave();
    listener_leave();
    set_deadline(inherited->config->core.shutdown_timeout_ms);
}

static void
on_trim_time(struct timer *t)
{
    bool more = heap_trim(HEAP_KEPT);

    if (buf_trim(BUFS_KEPT) || more)
        timer_set(t, TRIM_STEP_MS);
}

/* After many connections have gone. */
static void
trim_later(void)
{
    trim_timer.on_time = on_trim_time;
    timer_set(&trim_timer, TRIM_AFTER_MS);
}

/* Ends a worker that has nothing left to do. Each turn while it leaves, so it needs no notice of the last close. */
static void
on_turn(struct task *t)
{
    (void)t;
    if ((heap_spare() > HEAP_KEPT || buf_spare() > BUFS_KEPT) && !timer_pending(&trim_timer))
        trim_later();
    if (worker_state < WORKER_DRAINING)
        return;
    if (worker_state == WORKER_QUITTING)
        conn_close_idle(UINT_MAX);
    if (conn_count() == 0 && exchange_count() == 0)
        loop_stop();
}

/* ---- messages and signals ---- */

static void
reopen(const struct channel_message *m)
{
    const struct msg_reopen *r = m->payload;
    struct vec *logs = &inherited->config->logs;

    for (uint32_t i = 0; i < r->count && i < m->n_fds; i++) {
        uint64_t at = (uint64_t)r->first + i;

        if (at >= logs->len)
            break;
        log_flush();
        if (!log_file_replace(*VEC_AT(logs, struct log_file *, at), m->fds[i]))
            log_alert(errno, "log file could not be reopened");
        m->fds[i] = -1;
    }
}

/* Without a master: by itself, with the rights that it has. */
static void
reopen_alone(void)
{
    struct vec *logs = &inherited->config->logs;

    log_flush();
    for (uint32_t i = 0; i < logs->len; i++) {
        struct log_file *f = *VEC_AT(logs, struct log_file *, i);
        struct log_file fresh = { .path = f->path, .fd = -1 };

        if (!log_file_open(&fresh) || !log_file_replace(f, fresh.fd))
            log_alert(errno, "open() \"%.*s\" failed", STR(f->path));
    }
}

static void
reap(uint32_t slot, uint64_t incarnation)
{
    for (struct zone *z = zone_next(NULL); z != NULL; z = zone_next(z))
        zone_reap(z, slot, incarnation);
    if (has_channel)
        CHANNEL_SEND(&channel, MSG_REAPED,
                     (&(struct msg_slot){ .slot = slot, .incarnation = incarnation }));
}

/* Rows whose process died when no worker lived to be told. */
static void
reap_dead(void)
{
    const struct slot_table *slots = inherited->slots;

    for (uint32_t i = 0; slots != NULL && i < slots->high_water && i < SLOTS_MAX; i++) {
        if (slots->row[i].state == SLOT_DEAD)
            reap(i, slots->row[i].incarnation);
    }
}

static void
answer(const struct channel_message *m)
{
    const struct msg_ask *ask = m->payload;
    struct text t;

    text_init(&t, NULL);
    cycle_answer(m->text, &t);
    if (t.len > CHANNEL_TEXT_MAX)
        t.len = CHANNEL_TEXT_MAX;
    channel_send(&channel, MSG_ANSWER, ask, sizeof(*ask), t.failed ? STR_NONE : text_str(&t), NULL,
                 0);
    text_free(&t);
}

/* The files in the descriptor, parted. False: they are not all there. */
static bool
read_renewed(const struct msg_renew *r, int fd, char *bytes, size_t len, struct str *contents)
{
    size_t at = 0;

    if (pread(fd, bytes, len, 0) != (ssize_t)len)
        return false;
    for (uint32_t i = 0; i < r->n; i++) {
        contents[i] = str_n(bytes + at, r->lengths[i]);
        at += r->lengths[i];
    }
    return true;
}

static void
renew(const struct channel_message *m)
{
    const struct msg_renew *r = m->payload;
    const struct vec *all = &inherited->config->watched;
    struct str contents[WATCHED_FILES_MAX];
    struct watched_files *w;
    struct error err = { 0 };
    size_t len = 0;
    char *bytes;

    if (r->index >= all->len || m->n_fds != 1)
        return;
    w = *VEC_AT(all, struct watched_files *, r->index);
    if (r->n != w->n)
        return;
    for (uint32_t i = 0; i < r->n; i++)
        len += r->lengths[i];
    bytes = malloc(len + 1);
    if (bytes == NULL)
        error_set(&err, "out of memory");
    else if (!read_renewed(r, m->fds[0], bytes, len, contents))
        error_set(&err, "it could not be read");
    else if (w->renew(w, contents, &err))
        err.text[0] = '\0';
    if (err.text[0] != '\0')
        log_alert(0, "renewed %s \"%.*s\" is not used: %s", w->what, STR(w->paths[0]), err.text);
    if (bytes != NULL)
        explicit_bzero(bytes, len);
    free(bytes);
}

static void
on_message(struct channel *c, const struct channel_message *m)
{
    if (m == NULL) { /* says nothing about the master: orphan.c watches it */
        channel_close(c);
        has_channel = false;
        return;
    }
    switch (m->type) {
    case MSG_DRAIN:
        drain(((const struct msg_drain *)m->payload)->deadline_ms);
        break;
    case MSG_QUIT:
        quit();
        break;
    case MSG_STOP:
        stop_now();
        break;
    case MSG_REOPEN:
        reopen(m);
        break;
    case MSG_REAP: {
        const struct msg_slot *s = m->payload;

        reap(s->slot, s->incarnation);
        break;
    }
    case MSG_ASK:
        answer(m);
        break;
    case MSG_TEND: {
        const struct msg_tend *t = m->payload;

        listener_tend(t->index, t->on != 0);
        break;
    }
    case MSG_RENEW:
        renew(m);
        break;
    case MSG_READY:
    case MSG_DRAINING:
    case MSG_REAPED:
    case MSG_STUCK:
    case MSG_ANSWER:
    case MSG_COUNT:
        log_alert(0, "message %s is not for a worker", channel_message_name(m->type));
        break;
    }
}

static void
on_signal(int sig)
{
    switch (sig) {
    case SIGTERM:
    case SIGINT:
        stop_now();
        break;
    case SIGQUIT:
        if (orphan_is()) /* the new master's word that its own workers serve */
            drain(inherited->config->core.shutdown_timeout_ms);
        else
            quit();
        break;
    case SIGUSR1:
        if (!has_channel)
            reopen_alone();
        break;
    default:
        break;
    }
}

static void
on_stuck_lock(const struct shm_lock *lock, uint32_t owner_tid)
{
    struct msg_stuck m = { .owner_tid = owner_tid };
    struct zone *z = zone_of_lock(lock);
    struct str name = z != NULL ? zone_name(z) : S("?");

    (void)str_to_c(name, m.zone, sizeof(m.zone));
    log_alert(0, "waited a second for the lock of zone \"%.*s\": thread %u holds it", STR(name),
              owner_tid);
    if (has_channel)
        CHANNEL_SEND(&channel, MSG_STUCK, &m);
}

/* The part of a worker's answer that concerns all of it; counters are summed over all processes. */
static void
answer_status(struct str question, struct text *t)
{
    if (!str_eq(question, S("status")))
        return;
    for (unsigned i = 0;; i++) {
        const struct counter_def *d = counters_at(i);

        if (d == NULL)
            break;
        text_fmt(t, "%s: %llu\n", d->name, (unsigned long long)counters_sum(*d->id));
    }
}

/* ---- start ---- */

/* Limits, priority and CPUs were set by whoever forked us, while the rights for it were there. */
static bool
give_up_rights(const struct inherit *in)
{
    const struct core_settings *core = &in->config->core;
    struct error err;

    if (in->index == 0 && core->worker_connections > proc_get_nofile())
        log_warn(0, "%u worker_connections exceed open file resource limit: %llu",
                 core->worker_connections, (unsigned long long)proc_get_nofile());
    if (geteuid() == 0 && core->uid != (uid_t)-1) {
        char user[256];

        (void)str_to_c(core->user, user, sizeof(user));
        if (!proc_drop_user(core->uid, core->gid, user, true, in->config->net_raw, &err)) {
            log_emerg(0, "%s", err.text);
            return false;
        }
    }
    if (in->channel_fd != -1 && !proc_no_new_privs())
        log_alert(errno, "no_new_privs could not be set");
    return true;
}

static void
attach_zones(const struct inherit *in)
{
    process_slot = in->incarnation != 0 ? slot_ref(in->slot, in->incarnation) : 0;
    for (uint32_t i = 0; i < in->config->zones.len; i++) {
        struct zone_spec *spec = *VEC_AT(&in->config->zones, struct zone_spec *, i);

        if (spec->zone == NULL)
            continue;
        zone_worker_start(spec->zone, NULL);
        if (spec->ops == &counters_zone_ops)
            counters_attach(spec->zone, in->slot, in->incarnation);
    }
}

static bool
init_modules(struct config *c)
{
    for (struct module *const *m = modules; *m != NULL; m++) {
        if ((*m)->worker_init != NULL && !(*m)->worker_init(c)) {
            log_emerg(0, "module %s could not start", (*m)->name);
            return false;
        }
    }
    return true;
}

static void
exit_modules(struct config *c)
{
    for (struct module *const *m = modules; *m != NULL; m++) {
        if ((*m)->worker_exit != NULL)
            (*m)->worker_exit(c);
    }
}

/* Loop, signals and channel of its own. Without a channel nothing was forked: the loop is as the caller made it. */
static bool
set_up_process(struct inherit *in)
{
    static const int signals[] = {
        SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGUSR2, SIGWINCH, 0
    };
    struct error err;

    lock_init_process();
    rand_after_fork();
    signal_reset_after_fork();
    if ((in->channel_fd != -1 && !loop_reset_after_fork(&err)) ||
        !signal_watch(signals, on_signal, &err)) {
        log_emerg(0, "%s", err.text);
        return false;
    }
    if (in->channel_fd != -1) {
        if (!channel_open(&channel, in->channel_fd, on_message)) {
            log_emerg(errno, "channel to the master");
            return false;
        }
        has_channel = true;
    }
    lock_on_stuck = on_stuck_lock;
    return true;
}

static bool
start(struct inherit *in)
{
    if (!set_up_process(in) || !give_up_rights(in))
        return false;
    attach_zones(in);
    cycle_on_ask(answer_status);
    if (!init_modules(in->config))
        return false;
    orphan_watch(in, stop_now);
    reap_dead();
    turn_hook.run = on_turn;
    loop_hook(&turn_hook);
    watchdog_start(events_conf(in->config)->stall_threshold_ms);
    if (!listener_start(in))
        return false;
    enter(WORKER_SERVING);
    if (has_channel)
        CHANNEL_SEND(&channel, MSG_READY, &nothing);
    return true;
}

int
worker_run(struct inherit *in)
{
    inherited = in;
    worker_config = in->config;
    proc_set_title("%s: worker process", log_program);
    if (!start(in))
        return EXIT_FATAL;
    loop_run();
    exit_modules(in->config);
    log_notice(0, "exiting");
    log_flush();
    return 0;
}
