/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain.c - DRAIN, QUIT and STOP, and what comes when they do not help.
 *
 * The bound on draining is the operator's worker_shutdown_timeout, which the worker keeps by itself; the master steps
 * in some seconds later, for a worker that hangs.
 */
#include "master/drain.h"

#include <signal.h>

#include "common/log/log.h"
#include "master/spawn.h"
#include "master/supervise.h"

enum {
    READY_MS = 60000,
    HANG_MS = 5000, /* behind a deadline that the child keeps by itself, and between the steps */
};

static void
on_last_resort(struct timer *t)
{
    struct child *c = CONTAINER_OF(t, struct child, last_resort);
    const char *kind = spawn_kind_name(c->kind);
    struct msg_none none = { 0 };

    c->killed = true;
    if (c->state == CHILD_STARTING || c->resort_step > 0) {
        log_error(0, "%s process %d does not %s: killed", kind, (int)c->pid,
                  c->state == CHILD_STARTING ? "get ready" : "end");
        supervise_kill(c, SIGKILL);
        return;
    }
    log_warn(0, "%s process %d has not ended in time, stopping it", kind, (int)c->pid);
    c->resort_step = 1;
    c->state = CHILD_ENDING;
    CHANNEL_SEND(&c->channel, MSG_STOP, &none);
    supervise_kill(c, SIGTERM);
    timer_set(t, HANG_MS);
}

static void
last_resort(struct child *c, uint64_t after_ms)
{
    c->last_resort.on_time = on_last_resort;
    timer_set(&c->last_resort, after_ms);
}

void
drain_expect_ready(struct child *c)
{
    last_resort(c, READY_MS);
}

static uint64_t
shutdown_timeout(const struct master *m)
{
    return m->config != NULL ? m->config->core.shutdown_timeout_ms : 0;
}

void
drain_child(struct master *m, struct child *c)
{
    struct msg_drain message = { .deadline_ms = shutdown_timeout(m) };
    struct msg_none none = { 0 };
    bool sent;

    if (c->state == CHILD_DRAINING || c->state == CHILD_ENDING)
        return;
    slots_set(m->slots, c->slot, SLOT_DRAINING); /* first: should we die now, nobody waits for it */
    if (c->orphan) /* for an orphan SIGQUIT means: a successor serves */
        sent = false;
    else if (c->kind == 0)
        sent = CHANNEL_SEND(&c->channel, MSG_DRAIN, &message);
    else
        sent = CHANNEL_SEND(&c->channel, MSG_QUIT, &none);
    if (!sent)
        supervise_kill(c, SIGQUIT);
    timer_stop(&c->last_resort);
    c->state = CHILD_DRAINING;
    if (message.deadline_ms > 0 || c->kind != 0)
        last_resort(c, message.deadline_ms + HANG_MS);
}

void
drain_old(struct master *m)
{
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (c->generation < m->serving)
            drain_child(m, c);
    }
}

bool
drain_all_left(const struct master *m)
{
    for (const struct list *at = m->children.next; at != &m->children; at = at->next) {
        const struct child *c = CONTAINER_OF(at, const struct child, node);

        if (c->generation < m->serving && c->kind == 0 && !c->orphan && !c->left &&
            c->state == CHILD_DRAINING)
            return false;
    }
    return true;
}

void
drain_stop_child(struct child *c, bool graceful)
{
    struct msg_none none = { 0 };
    uint64_t timeout_ms = shutdown_timeout(c->m);

    c->state = CHILD_ENDING;
    if (graceful) {
        if (!CHANNEL_SEND(&c->channel, MSG_QUIT, &none))
            supervise_kill(c, SIGQUIT);
        if (timeout_ms > 0)
            last_resort(c, timeout_ms + HANG_MS);
        return;
    }
    CHANNEL_SEND(&c->channel, MSG_STOP, &none);
    supervise_kill(c, SIGTERM);
    c->resort_step = 1;
    last_resort(c, HANG_MS);
}

void
drain_stop_all(struct master *m, bool graceful)
{
    LIST_FOREACH (at, &m->children)
        drain_stop_child(LIST_ENTRY(at, struct child, node), graceful);
}
