/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master.c - the lifecycle: a grid of states and events, and one action in each of its fields.
 *
 * What an image does before it comes to the loop (a cold start, a take-over) is start.c's.
 */
#include "master/master.h"

#include <stdio.h>

#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/bind.h"
#include "master/control.h"
#include "master/drain.h"
#include "master/handoff.h"
#include "master/logs.h"
#include "master/pidfile.h"
#include "master/reload.h"
#include "master/renew.h"
#include "master/service.h"
#include "master/spawn.h"
#include "master/start.h"
#include "master/supervise.h"
#include "master/texts.h"
#include "master/zones.h"

static const char *const state_names[MASTER_STATES] = {
    [STATE_START] = "starting",      [STATE_RUN] = "running",  [STATE_CHECK] = "checking",
    [STATE_HANDOFF] = "taking over", [STATE_HOLD] = "holding", [STATE_STOP] = "stopping",
};

const char *
master_state_name(enum master_state s)
{
    return state_names[s];
}

/* ---- steps that several actions share --------------------------------------------------------------------------- */

/* The report as an answer: "error CODE" and its errors, in the words of standard error. */
static void
answer_report(struct master *m, enum client_wait wait, const char *head, const struct report *r)
{
    struct text t;

    text_init(&t, NULL);
    report_text(r, LOG_LEVEL_WARN, &t);
    control_answer(m, wait, head, text_str(&t));
    text_free(&t);
}

/* To those who asked for a test: in words, or as lines. */
static void
answer_test(struct master *m, const char *head, const struct report *r)
{
    struct text t;

    if (report_failed(r))
        answer_report(m, CLIENT_TEST, head, r);
    else
        control_answer(m, CLIENT_TEST, head, S("the configuration is good"));
    text_init(&t, NULL);
    report_put(r, CTL_ANSWER_MAX, &t);
    control_answer(m, CLIENT_CHECK, head, text_str(&t));
    text_free(&t);
}

/* What was asked for while the master was busy. */
static void
do_waiting(struct master *m)
{
    if (m->stop_wanted)
        master_event(m, EVENT_STOP);
    else if (m->quit_wanted)
        master_event(m, EVENT_QUIT);
    else if (m->reload_wanted || m->test_wanted)
        master_event(m, EVENT_CHECK);
}

static void
tell_ready(struct master *m)
{
    unsigned n = m->config != NULL ? m->config->core.worker_processes : 0;

    service_ready(m->kept, "%s: generation %llu, %u worker%s", state_names[m->state],
                  (unsigned long long)m->serving, n, n == 1 ? "" : "s");
}

/* ---- actions ---------------------------------------------------------------------------------------------------- */

static void
ignore(struct master *m)
{
    (void)m;
}

static void
begin_check(struct master *m)
{
    m->settled = m->state;
    m->state = STATE_CHECK;
    if (m->reload_wanted) {
        log_notice(0, "reconfiguring");
        service_reloading(m->kept);
    }
    control_promote(m);
    reload_begin(m);
}

/* The wish is noted; do_waiting() sees it. */
static void
wait_turn(struct master *m)
{
    log_debug("%s: waits for its turn", state_names[m->state]);
}

static void
wait_stop(struct master *m)
{
    m->stop_wanted = true;
}

static void
wait_quit(struct master *m)
{
    m->quit_wanted = true;
}

static void
reopen(struct master *m)
{
    log_notice(0, "reopening logs");
    logs_reopen(m);
}

/* Workers end, the master stays, until the next reload. */
static void
stop_workers(struct master *m)
{
    m->no_workers = true;
    supervise_dissolve(m);
    drain_stop_all(m, true);
}

static void
end_check(struct master *m)
{
    m->state = m->settled;
    reload_free(m);
    tell_ready(m);
    do_waiting(m);
}

static void
refused(struct master *m)
{
    struct check *k = m->check;

    if (k != NULL) {
        report_log(&k->report);
        log_error(0, k->for_reload ? "the reload has failed: nothing has changed"
                                   : "the test of the configuration has failed");
        answer_report(m, CLIENT_RELOAD, "error config", &k->report);
        answer_test(m, "error config", &k->report);
    } else {
        control_answer(m, CLIENT_RELOAD, "error memory", S("out of memory"));
        control_answer(m, CLIENT_TEST, "error memory", S("out of memory"));
        control_answer(m, CLIENT_CHECK, "error memory", S("out of memory"));
    }
    end_check(m);
}

/* The slot table has to hold the new generation beside all that drain, and a reserve for those that die. */
static bool
has_room(struct master *m, struct check *k)
{
    unsigned generations = 0, processes = supervise_count(m, 0);

    if (slots_free_count(m->slots) >= k->processes + k->workers)
        return true;
    VEC_FOREACH (g, struct generation, &m->generations)
        generations += g->number != m->serving && supervise_count(m, g->number) > 0;
    return report_say(&k->report, LOG_LEVEL_ERROR,
                      "%u processes of %u generations still drain; set worker_shutdown_timeout",
                      processes - supervise_count(m, m->serving), generations);
}

/* Preflight's sockets become the master's, for the hand-over. */
static bool
take_sockets(struct master *m, struct check *k)
{
    for (uint32_t i = 0; i < k->sockets.len; i++) {
        struct held *from = VEC_AT(&k->sockets, struct held, i), *to;

        to = VEC_PUSH(&m->sockets, struct held);
        if (to == NULL)
            return report_say(&k->report, LOG_LEVEL_ERROR, "out of memory");
        *to = *from;
        from->s.fd = -1;
        from->temp = STR_NONE;
    }
    return true;
}

/* Becomes the next image; comes back only when that failed. */
static void
hand_over(struct master *m)
{
    struct check *k = m->check;
    struct error err = { 0 };

    if (!has_room(m, k) || !take_sockets(m, k)) {
        bind_drop_fresh(&m->sockets);
        refused(m);
        return;
    }
    m->state = STATE_HANDOFF;
    m->next_rolled_back = k->rollback;
    control_flush_status(m);
    handoff_exec(m, k->binary_fd, &k->files, &err);
    m->state = STATE_CHECK;
    m->next_rolled_back = false;
    bind_drop_fresh(&m->sockets);
    report_say(&k->report, LOG_LEVEL_EMERG, "%s", err.text);
    refused(m);
}

static void
passed(struct master *m)
{
    struct check *k = m->check;

    report_log(&k->report);
    answer_test(m, "ok", &k->report);
    if (k->for_reload)
        hand_over(m);
    else
        end_check(m);
}

enum {
    LEFT_MS = 2000
}; /* for old workers to leave their listeners, before a reload is answered all the same */

/* From here on no new connection reaches the old generation: who switches origins by a reload relies on it. */
void
master_answer_pending(struct master *m)
{
    char text[300];
    int n = snprintf(text, sizeof(text), "generation %llu serves, %u worker%s%s",
                     (unsigned long long)m->serving, m->config->core.worker_processes,
                     m->config->core.worker_processes == 1 ? "" : "s",
                     m->rolled_back ? "\nrolled back: the files on disk are as they were, and not "
                                      "what serves; \"reload\" reads them again"
                                    : "");

    if (!m->answer_waits)
        return;
    m->answer_waits = false;
    timer_stop(&m->left_deadline);
    control_answer(m, CLIENT_RELOAD, "ok", str_n(text, (size_t)n));
}

static void
answer_reload(struct master *m)
{
    master_answer_pending(m);
    if (m->state == STATE_RUN)
        do_waiting(m);
}

void
master_answer_reload(struct master *m)
{
    if (m->answer_waits && drain_all_left(m))
        answer_reload(m);
}

static void
on_left_deadline(struct timer *t)
{
    struct master *m = CONTAINER_OF(t, struct master, left_deadline);

    if (m->answer_waits)
        answer_reload(m);
}

/* All workers of the newest generation are ready. */
static void
serve(struct master *m)
{
    bool first = m->state == STATE_START;
    struct error err = { 0 };

    timer_stop(&m->ready_deadline);
    m->serving = m->generation;
    m->state = m->settled = STATE_RUN;
    texts_settle(m);
    bind_steer(m->config, &m->sockets);
    if (!start_write_pid(m, &err)) {
        report_say(&m->verdict, LOG_LEVEL_ERROR, "%s", err.text);
        log_error(0, "%s", err.text);
    }
    control_settle(m);
    bind_settle(&m->sockets);
    zones_settle(&m->zones);
    log_notice(0, "generation %llu serves, %u worker%s", (unsigned long long)m->serving,
               m->config->core.worker_processes, m->config->core.worker_processes == 1 ? "" : "s");
    drain_old(m);
    if (first)
        start_done(m);
    tell_ready(m);
    m->answer_waits = true;
    m->left_deadline.on_time = on_left_deadline;
    timer_set(&m->left_deadline, LEFT_MS);
    master_answer_reload(m);
}

/* A cold start has failed. What orphans serve stays as it is. */
static void
give_up(struct master *m)
{
    bool adopted = false;

    m->exit_status = 1;
    log_echo = false;
    report_log(&m->verdict);
    report_print(&m->verdict, LOG_LEVEL_WARN);
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        if (!c->orphan)
            continue;
        adopted = true;
        loop_del(&c->pidfd_watch);
        fd_close(&c->pidfd);
        list_del(&c->node);
    }
    supervise_dissolve(m);
    renew_end(m);
    timer_stop(&m->ready_deadline);
    m->state = STATE_STOP;
    if (adopted) {
        log_error(0, "the workers that had no master go on serving without one");
        bind_revert(&m->sockets);
        bind_close(&m->sockets, false);
        control_revert(m);
        control_close(m, false);
    } else {
        bind_close(&m->sockets, true);
        control_close(m, true);
    }
    drain_stop_all(m, false);
    if (list_empty(&m->children))
        master_event(m, EVENT_EMPTY);
}

/* The new generation cannot come up: the one before serves on, and is kept complete from the text that served last. */
static void
hold(struct master *m)
{
    m->state = m->settled = STATE_HOLD;
    m->next_rolled_back = false;
    timer_stop(&m->ready_deadline);
    renew_end(m);
    supervise_dissolve(m);
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        /* Those that are ready have accepted connections already; one that gets ready drains then (supervise.c). */
        if (c->generation > m->serving && c->kind != 0)
            drain_stop_child(c, false);
        else if (c->generation > m->serving && c->state == CHILD_READY)
            drain_child(m, c);
    }
    bind_revert(&m->sockets);
    zones_revert(m->config);
    control_revert(m);
    start_last_good(m);
    report_log(&m->verdict);
    log_error(0, "the reload has failed: generation %llu goes on serving",
              (unsigned long long)m->serving);
    answer_report(m, CLIENT_RELOAD, "error hold", &m->verdict);
    tell_ready(m);
    do_waiting(m);
}

static void
stop(struct master *m, bool graceful)
{
    if (m->state == STATE_CHECK) {
        control_answer(m, CLIENT_RELOAD, "error stopping", S("the master is stopping"));
        control_answer(m, CLIENT_TEST, "error stopping", S("the master is stopping"));
        control_answer(m, CLIENT_CHECK, "error stopping", S("the master is stopping"));
        reload_free(m);
    }
    control_answer(m, CLIENT_RELOAD_NEXT, "error stopping", S("the master is stopping"));
    control_answer(m, CLIENT_TEST_NEXT, "error stopping", S("the master is stopping"));
    control_answer(m, CLIENT_CHECK_NEXT, "error stopping", S("the master is stopping"));
    m->graceful = graceful;
    m->state = STATE_STOP;
    service_stopping(m->kept);
    supervise_dissolve(m);
    renew_end(m);
    control_unname(m);
    bind_close(&m->sockets, true);
    drain_stop_all(m, graceful);
    if (list_empty(&m->children))
        master_event(m, EVENT_EMPTY);
}

static void
stop_fast(struct master *m)
{
    stop(m, false);
}

static void
stop_graceful(struct master *m)
{
    stop(m, true);
}

/* A second, harder word; the reverse does not soften the first. */
static void
stop_harder(struct master *m)
{
    if (!m->graceful)
        return;
    m->graceful = false;
    drain_stop_all(m, false);
}

static void
finish(struct master *m)
{
    if (m->finished)
        return;
    m->finished = true;
    control_answer(m, CLIENT_STOP, "ok", S("ended"));
    control_close(m, false);
    if (m->pid_path.len > 0)
        pidfile_remove(m->pid_path.ptr);
    log_notice(0, "exit");
    loop_stop();
}

/* ---- the grid --------------------------------------------------------------------------------------------------- */

typedef void (*action_fn)(struct master *m);

static const action_fn actions[MASTER_STATES][MASTER_EVENTS] = {
    [STATE_START] = {
        [EVENT_CHECK] = wait_turn,   [EVENT_STOP] = stop_fast, [EVENT_QUIT] = stop_graceful,
        [EVENT_REOPEN] = reopen,     [EVENT_READY] = serve,    [EVENT_FAILED] = give_up,
    },
    [STATE_RUN] = {
        [EVENT_CHECK] = begin_check, [EVENT_STOP] = stop_fast, [EVENT_QUIT] = stop_graceful,
        [EVENT_REOPEN] = reopen,     [EVENT_WINCH] = stop_workers,
    },
    [STATE_CHECK] = {
        [EVENT_CHECK] = wait_turn,   [EVENT_STOP] = stop_fast, [EVENT_QUIT] = stop_graceful,
        [EVENT_REOPEN] = reopen,     [EVENT_PASSED] = passed,  [EVENT_REFUSED] = refused,
    },
    [STATE_HANDOFF] = {
        [EVENT_CHECK] = wait_turn,   [EVENT_STOP] = wait_stop, [EVENT_QUIT] = wait_quit,
        [EVENT_REOPEN] = reopen,     [EVENT_READY] = serve,    [EVENT_FAILED] = hold,
    },
    [STATE_HOLD] = {
        [EVENT_CHECK] = begin_check, [EVENT_STOP] = stop_fast, [EVENT_QUIT] = stop_graceful,
        [EVENT_REOPEN] = reopen,     [EVENT_WINCH] = stop_workers,
    },
    [STATE_STOP] = {
        [EVENT_STOP] = stop_harder,  [EVENT_REOPEN] = reopen,  [EVENT_EMPTY] = finish,
    },
};

void
master_event(struct master *m, enum master_event event)
{
    action_fn action = actions[m->state][event];

    (action != NULL ? action : ignore)(m);
}

/* ---- in a child ------------------------------------------------------------------------------------------------- */

void
master_forget_private(struct master *m)
{
    LIST_FOREACH (at, &m->children) {
        struct child *c = LIST_ENTRY(at, struct child, node);

        fd_close(&c->channel.fd);
        fd_close(&c->pidfd);
    }
    VEC_FOREACH (z, struct adopted_zone, &m->zones)
        fd_close(&z->fd);
    if (m->check != NULL) {
        fd_close(&m->check->binary_fd);
        if (m->check->socket_watch.added)
            fd_close(&m->check->socket_watch.fd);
        if (m->check->stderr_watch.added)
            fd_close(&m->check->stderr_watch.fd);
        VEC_FOREACH (h, struct held, &m->check->sockets)
            fd_close(&h->s.fd);
    }
    control_forget(m);
    renew_forget(m);
    fd_close(&m->slots_fd);
    fd_close(&m->start_lock);
    fd_close(&m->done_fd);
    fd_close(&m->kept->cwd_fd);
}
