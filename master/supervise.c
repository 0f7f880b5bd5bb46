/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * supervise.c - hears children, waits for them, puts others in their place.
 *
 * Nothing that a child sends can do more than end that child: slots and incarnations are compared before they are
 * believed. The first death is answered at once; who dies again within seconds waits longer each time.
 */
#include "master/supervise.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/explain.h"
#include "master/reload.h"
#include "master/spawn.h"

enum { QUICK_MS = 5000, PAUSE_MS = 100, PAUSE_MAX_MS = 10000 };

static void child_ended(struct child *c, int status);

/* ---- cleaning up behind the dead -------------------------------------------------------------------------------- */

struct child *
supervise_any_worker(struct master *m)
{
    struct child *best = NULL;

    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->kind != 0 || c->orphan || c->channel.fd < 0 ||
            (c->state != CHILD_READY && c->state != CHILD_DRAINING))
            continue;
        if (best == NULL || c->generation > best->generation)
            best = c;
    }
    return best;
}

static void
ask_reap(struct master *m, uint32_t slot)
{
    struct child *worker = supervise_any_worker(m);
    struct msg_slot message = { .slot = slot, .incarnation = m->slots->row[slot].incarnation };

    m->reap_asked[slot] = 0;
    if (worker == NULL || m->state == STATE_STOP ||
        !CHANNEL_SEND(&worker->channel, MSG_REAP, &message))
        return;
    m->reap_asked[slot] = worker->slot + 1;
    m->reap_of[slot] = worker->incarnation;
}

void
supervise_ask_reap(struct master *m)
{
    for (uint32_t i = 0; i < m->slots->high_water && i < SLOTS_MAX; i++) {
        if (m->slots->row[i].state == SLOT_DEAD && m->reap_asked[i] == 0)
            ask_reap(m, i);
    }
}

static void
reaped(struct child *c, const struct msg_slot *s)
{
    struct master *m = c->m;

    if (s->slot >= SLOTS_MAX || m->slots->row[s->slot].state != SLOT_DEAD ||
        m->slots->row[s->slot].incarnation != s->incarnation ||
        m->reap_asked[s->slot] != c->slot + 1 || m->reap_of[s->slot] != c->incarnation)
        return;
    m->reap_asked[s->slot] = 0;
    slots_set(m->slots, s->slot, SLOT_FREE);
}

/* The dead one had been asked to clean up behind others: somebody else has to. */
static void
ask_again(struct master *m, const struct child *dead)
{
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        if (m->reap_asked[i] == dead->slot + 1 && m->reap_of[i] == dead->incarnation)
            m->reap_asked[i] = 0;
    }
    supervise_ask_reap(m);
}

/* ---- seats without a worker ------------------------------------------------------------------------------------- */

static void
tell_tender(const struct seat *seat, bool on)
{
    CHANNEL_SEND(&seat->tender->channel, MSG_TEND,
                 (&(struct msg_tend){ .index = seat->index, .on = on }));
}

/* The sockets of a reuseport group that belong to an empty seat get connections all the same. */
static void
tend(struct master *m)
{
    for (uint32_t i = 0; i < m->n_seats; i++) {
        struct seat *seat = &m->seats[i];
        bool filled = seat->child != NULL && seat->child->state != CHILD_STARTING;

        if (seat->kind != 0 || filled == (seat->tender == NULL))
            continue;
        if (filled) {
            tell_tender(seat, false);
            seat->tender = NULL;
            continue;
        }
        for (uint32_t j = 1; j < m->n_seats && seat->tender == NULL; j++) {
            const struct seat *other = &m->seats[(i + j) % m->n_seats];

            if (other->kind == 0 && other->child != NULL && other->child->state == CHILD_READY)
                seat->tender = other->child;
        }
        if (seat->tender != NULL)
            tell_tender(seat, true);
    }
}

static void
forget_tender(struct master *m, const struct child *dead)
{
    for (uint32_t i = 0; i < m->n_seats; i++) {
        if (m->seats[i].tender == dead)
            m->seats[i].tender = NULL;
    }
}

/* ---- what children say ------------------------------------------------------------------------------------------ */

static bool
all_ready(const struct master *m)
{
    for (uint32_t i = 0; i < m->n_seats; i++) {
        const struct seat *seat = &m->seats[i];

        if (seat->kind == 0 && (seat->child == NULL || seat->child->state != CHILD_READY))
            return false;
    }
    return m->n_seats > 0;
}

static void
child_ready(struct child *c)
{
    struct master *m = c->m;

    if (c->state != CHILD_STARTING)
        return;
    c->state = CHILD_READY;
    timer_stop(&c->last_resort);
    supervise_ask_reap(m);
    if (c->generation < m->serving || (c->generation > m->serving && c->seat == NULL))
        drain_child(m, c); /* of the past, or of one that has failed */
    else if ((m->state == STATE_START || m->state == STATE_HANDOFF) && all_ready(m))
        master_event(m, EVENT_READY);
    else
        tend(m);
}

static void
on_message(struct channel *channel, const struct channel_message *message)
{
    struct child *c = channel->owner;

    if (message == NULL) { /* its end is told by SIGCHLD */
        channel_close(channel);
        return;
    }
    switch (message->type) {
    case MSG_READY:
        child_ready(c);
        return;
    case MSG_DRAINING:
        log_debug("%s process %d has left its listeners", spawn_kind_name(c->kind), (int)c->pid);
        c->left = true;
        master_answer_reload(c->m);
        return;
    case MSG_REAPED:
        reaped(c, message->payload);
        return;
    case MSG_STUCK: {
        const struct msg_stuck *s = message->payload;

        log_alert(0, "%s process %d has waited a second for zone \"%.*s\", held by thread %u",
                  spawn_kind_name(c->kind), (int)c->pid, (int)strnlen(s->zone, sizeof(s->zone)),
                  s->zone, s->owner_tid);
        return;
    }
    case MSG_ANSWER: {
        const struct msg_ask *ask = message->payload;

        control_on_answer(c->m, c, ask->id, message->text);
        return;
    }
    case MSG_DRAIN:
    case MSG_QUIT:
    case MSG_STOP:
    case MSG_REOPEN:
    case MSG_REAP:
    case MSG_ASK:
    case MSG_TEND:
    case MSG_RENEW:
    case MSG_COUNT:
        break;
    }
    log_error(0, "%s process %d sent %s, which only the master sends: ignored",
              spawn_kind_name(c->kind), (int)c->pid, channel_message_name(message->type));
}

static void
on_pidfd(struct watch *w, unsigned bits UNUSED)
{
    child_ended(CONTAINER_OF(w, struct child, pidfd_watch), -1);
}

void
supervise_attach(struct master *m, struct child *c, int channel_fd)
{
    list_add_tail(&m->children, &c->node);
    c->channel.owner = c;
    c->channel.fd = -1;
    if (channel_fd >= 0 && !channel_open(&c->channel, channel_fd, on_message)) {
        log_alert(errno, "cannot watch the channel of process %d", (int)c->pid);
        fd_close(&channel_fd);
        c->channel.fd = -1;
    }
    if (c->pidfd >= 0) {
        c->pidfd_watch.on_event = on_pidfd;
        if (!loop_add_level(&c->pidfd_watch, c->pidfd, false))
            log_alert(errno, "cannot watch process %d", (int)c->pid);
    }
    if (c->state == CHILD_STARTING)
        drain_expect_ready(c);
}

/* ---- seats ------------------------------------------------------------------------------------------------------ */

static void seat_on_time(struct timer *t);

static void
seat_again(struct seat *seat, uint64_t after_ms)
{
    seat->again.on_time = seat_on_time;
    timer_set(&seat->again, after_ms);
}

static bool
seats_are_filled(const struct master *m)
{
    return m->config != NULL && !m->no_workers &&
           (m->state == STATE_RUN || m->state == STATE_CHECK || m->state == STATE_HOLD);
}

static void
seat_fill(struct seat *seat)
{
    if (seat->child == NULL && seats_are_filled(seat->m) && spawn_child(seat->m, seat) == NULL)
        seat_again(seat, 1000);
}

static void
seat_on_time(struct timer *t)
{
    seat_fill(CONTAINER_OF(t, struct seat, again));
}

/* Who sat here is dead. */
static void
seat_vacated(struct seat *seat, uint64_t lived_ms)
{
    uint64_t pause = PAUSE_MS;

    if (seat->ended || !seats_are_filled(seat->m))
        return;
    if (lived_ms >= QUICK_MS)
        seat->quick_deaths = 0;
    if (seat->quick_deaths++ == 0) {
        seat_fill(seat);
        return;
    }
    for (unsigned i = 2; i < seat->quick_deaths && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    seat_again(seat, pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

void
supervise_dissolve(struct master *m)
{
    for (uint32_t i = 0; i < m->n_seats; i++) {
        timer_forget(&m->seats[i].again);
        if (m->seats[i].child != NULL)
            m->seats[i].child->seat = NULL;
    }
    if (m->seats != NULL)
        loop_defer_free(free, m->seats);
    m->seats = NULL;
    m->n_seats = 0;
}

void
supervise_reseat(struct master *m)
{
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->generation != m->serving || c->orphan)
            continue;
        for (uint32_t i = 0; i < m->n_seats && c->seat == NULL; i++) {
            struct seat *seat = &m->seats[i];

            if (seat->child != NULL || seat->kind != c->kind || seat->index != c->index)
                continue;
            seat->child = c;
            c->seat = seat;
        }
    }
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

/* nginx's words. What we killed ourselves is no alert, and has been said. */
static void
log_end(const struct child *c, int status)
{
    const char *kind = spawn_kind_name(c->kind);

    if (c->orphan)
        log_notice(0, "%s process %d of the former master has ended", kind, (int)c->pid);
    else if (WIFSIGNALED(status))
        log_write(log_main, c->killed ? LOG_LEVEL_NOTICE : LOG_LEVEL_ALERT, 0, NULL,
                  "%s process %d exited on signal %d%s", kind, (int)c->pid, WTERMSIG(status),
                  WCOREDUMP(status) ? " (core dumped)" : "");
    else
        log_notice(0, "%s process %d exited with code %d", kind, (int)c->pid, WEXITSTATUS(status));
}

/* The note of a generation of which nobody is left. */
static void
forget_generation(struct master *m, uint64_t number)
{
    if (number == m->generation || number == m->serving || supervise_count(m, number) > 0)
        return;
    for (uint32_t i = 0; i < m->generations.len; i++) {
        if (VEC_AT(&m->generations, struct generation, i)->number == number) {
            vec_remove(&m->generations, i);
            return;
        }
    }
}

static void
child_ended(struct child *c, int status)
{
    struct master *m = c->m;
    struct seat *seat = c->seat;
    bool starting = c->state == CHILD_STARTING;

    log_end(c, status);
    slots_set(m->slots, c->slot, SLOT_DEAD);
    list_del(&c->node);
    timer_forget(&c->last_resort);
    channel_close(&c->channel);
    if (c->pidfd >= 0) {
        if (c->pidfd_watch.added)
            loop_del(&c->pidfd_watch);
        fd_close(&c->pidfd);
    }
    m->reap_asked[c->slot] = 0;
    ask_again(m, c);
    control_on_death(m, c);
    forget_generation(m, c->generation);
    forget_tender(m, c);
    if (seat != NULL) {
        seat->child = NULL;
        seat->ended =
            seat->process != NULL && status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if ((m->state == STATE_START || m->state == STATE_HANDOFF) && !seat->ended) {
            report_say(&m->verdict, LOG_LEVEL_EMERG,
                       "%s process %d ended before %s ready, the error log may say why",
                       spawn_kind_name(c->kind), (int)c->pid,
                       starting ? "it was" : "all others were");
            master_event(m, EVENT_FAILED);
        } else {
            seat_vacated(seat, clock_ms - c->started_ms);
        }
    }
    if (m->state == STATE_RUN || m->state == STATE_CHECK || m->state == STATE_HOLD)
        tend(m);
    loop_defer_free(free, c);
    if (list_empty(&m->children))
        master_event(m, EVENT_EMPTY);
    master_answer_reload(m);
}

static void
unknown_ended(struct master *m, pid_t pid, int status)
{
    reload_on_exit(m, pid, status);
    explain_on_exit(pid);
}

void
supervise_reap(struct master *m)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        struct child *found = NULL;

        if (pid <= 0)
            return;
        LIST_FOREACH (at, &m->children) {
            struct child *c = LIST_ENTRY(at, struct child, node);

            if (c->pid == pid && !c->orphan)
                found = c;
        }
        if (found != NULL)
            child_ended(found, status);
        else
            unknown_ended(m, pid, status);
    }
}

void
supervise_kill(struct child *c, int sig)
{
    int failed = c->pidfd >= 0 ? proc_pidfd_signal(c->pidfd, sig) : kill(c->pid, sig);

    if (failed != 0 && errno != ESRCH)
        log_alert(errno, "kill(%d, %d) failed", (int)c->pid, sig);
}

unsigned
supervise_count(const struct master *m, uint64_t generation)
{
    unsigned n = 0;

    LIST_FOREACH (at, (struct list *)&m->children) {
        if (generation == 0 || LIST_ENTRY(at, struct child, node)->generation == generation)
            n++;
    }
    return n;
}

struct generation *
supervise_generation(struct master *m, uint64_t number)
{
    struct generation *g;

    VEC_FOREACH (known, struct generation, &m->generations) {
        if (known->number == number)
            return known;
    }
    g = VEC_PUSH(&m->generations, struct generation);
    if (g == NULL)
        return NULL;
    g->number = number;
    vec_init(&g->logs, &m->arena, sizeof(struct str));
    return g;
}
