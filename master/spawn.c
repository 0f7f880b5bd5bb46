/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawn.c - forks one process into one slot, with its inheritance. The one place that forks a child that serves.
 */
#include "master/spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/heap.h"
#include "common/base/rand.h"
#include "common/log/log.h"
#include "common/module.h"
#include "common/shm/lock.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"
#include "master/control.h"
#include "master/privilege.h"
#include "master/signals.h"
#include "master/start.h"
#include "master/supervise.h"

enum { EXIT_FATAL = 2 /* nginx's exit status of a process that cannot serve */ };

int (*spawn_entry)(struct inherit *in);

/* ---- kinds of processes ----------------------------------------------------------------------------------------- */

/* The helper kinds of all modules, numbered from 1. */
static const struct process_def *
helper_at(uint32_t kind)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < module_count; i++) {
        for (const struct process_def *p = modules[i]->processes; p != NULL && p->name != NULL;
             p++) {
            if (++n == kind)
                return p;
        }
    }
    return NULL;
}

const char *
spawn_kind_name(uint32_t kind)
{
    const struct process_def *p = kind > 0 ? helper_at(kind) : NULL;

    return kind == 0 ? "worker" : p != NULL ? p->name : "helper";
}

uint32_t
spawn_helpers_wanted(const struct config *c)
{
    const struct process_def *p;
    uint32_t n = 0;

    for (uint32_t kind = 1; (p = helper_at(kind)) != NULL; kind++)
        n += p->wanted(c);
    return n;
}

bool
spawn_seats(struct master *m)
{
    const struct process_def *p;
    uint32_t n = 0, workers = m->config->core.worker_processes;

    ASSERT(m->seats == NULL);
    m->seats = calloc(workers + spawn_helpers_wanted(m->config), sizeof(struct seat));
    if (m->seats == NULL)
        return false;
    for (uint32_t i = 0; i < workers; i++)
        m->seats[n++] = (struct seat){ .m = m, .index = i, .count = workers };
    for (uint32_t kind = 1; (p = helper_at(kind)) != NULL; kind++) {
        uint32_t wanted = p->wanted(m->config);

        for (uint32_t i = 0; i < wanted; i++)
            m->seats[n++] =
                (struct seat){ .m = m, .process = p, .kind = kind, .index = i, .count = wanted };
    }
    m->n_seats = n;
    return true;
}

/* ---- in the child ----------------------------------------------------------------------------------------------- */

/* What only older generations name is theirs: a copy here would go on listening when all others have left it. */
static bool
fill_listeners(struct master *m, struct inherit *in)
{
    vec_init(&in->listeners, NULL, sizeof(struct listen_socket));
    VEC_FOREACH (h, struct held, &m->sockets) {
        struct listen_socket *s;

        if (h->s.spec == NULL) {
            fd_close(&h->s.fd);
            continue;
        }
        s = VEC_PUSH(&in->listeners, struct listen_socket);
        if (s == NULL)
            return false;
        *s = h->s;
    }
    return true;
}

/* The writable mapping goes, a read-only one comes. */
static const struct slot_table *
map_slots(struct master *m)
{
    struct error err = { 0 };
    const struct slot_table *t;

    munmap(m->slots, sizeof(*m->slots));
    m->slots = NULL;
    t = slots_map(m->slots_ro_fd, &err);
    if (t == NULL)
        log_alert(0, "%s", err.text);
    return t;
}

/*
 * Only who stands in the table can be adopted when the master dies: it may die between fork and its entry there. False:
 * it has.
 */
static bool
wait_registered(const struct inherit *in)
{
    while (__atomic_load_n(&in->slots->row[in->slot].pid, __ATOMIC_ACQUIRE) != getpid()) {
        if (getppid() != in->master_pid)
            return false;
        usleep(20);
    }
    return true;
}

static int
run_child(struct master *m, const struct seat *seat, uint32_t slot, uint64_t incarnation,
          int channel_fd, pid_t master_pid)
{
    struct error err = { 0 };
    struct inherit in = {
        .config = m->config,
        .channel_fd = channel_fd,
        .master_pid = master_pid,
        .slot = slot,
        .incarnation = incarnation,
        .generation = m->config->generation,
        .index = seat->index,
        .count = seat->count,
        .process = seat->process,
    };

    in.master_pidfd = proc_pidfd(master_pid);
    if (in.master_pidfd >= 0)
        fd_set_cloexec(in.master_pidfd, true);
    if (getppid() != master_pid) /* dead already: the pidfd may be of somebody else */
        return 1;
    proc_set_title("%s: %s process", log_program, spawn_kind_name(seat->kind));
    start_leave_terminal(m);
    lock_init_process();
    rand_after_fork();
    heap_after_fork();
    timer_reset_after_fork();
    if (!loop_reset_after_fork(&err)) {
        log_alert(0, "%s", err.text);
        return EXIT_FATAL;
    }
    signals_forget();
    master_forget_private(m);
    in.ctl_fd = control_listener(m);
    in.state_fd = m->state_fd;
    in.slots_fd = m->slots_ro_fd;
    in.slots = map_slots(m);
    if (in.slots == NULL || !fill_listeners(m, &in)) {
        log_alert(0, "out of memory");
        return EXIT_FATAL;
    }
    if (!wait_registered(&in))
        return 1;
    privilege_environment(m->config, m->kept);
    if (!privilege_limits(m->config, m->kept, seat->index, seat->process == NULL))
        return EXIT_FATAL;
    return spawn_entry(&in);
}

/* ---- in the master ---------------------------------------------------------------------------------------------- */

struct child *
spawn_child(struct master *m, struct seat *seat)
{
    pid_t pid, self = getpid();
    int slot, pair[2] = { -1, -1 };
    uint64_t incarnation;
    struct child *c;

    slot = slots_take(m->slots, m->config->generation, seat->kind, seat->index);
    if (slot < 0) {
        log_alert(0, "no free slot for a %s process: too many generations drain",
                  spawn_kind_name(seat->kind));
        return NULL;
    }
    incarnation = m->slots->row[slot].incarnation;
    c = calloc(1, sizeof(*c));
    if (c == NULL || !socket_pair(pair)) {
        log_alert(errno, "cannot prepare a %s process", spawn_kind_name(seat->kind));
        goto fail;
    }
    log_flush();
    pid = fork();
    if (pid == 0) {
        fd_close(&pair[0]);
        exit(run_child(m, seat, (uint32_t)slot, incarnation, pair[1], self));
    }
    if (pid < 0) {
        log_alert(errno, "fork() failed while spawning \"%s process\"",
                  spawn_kind_name(seat->kind));
        goto fail;
    }
    fd_close(&pair[1]);
    slots_started(m->slots, (uint32_t)slot, pid);
    *c = (struct child){
        .m = m,
        .pid = pid,
        .pidfd = -1,
        .slot = (uint32_t)slot,
        .incarnation = incarnation,
        .generation = m->config->generation,
        .kind = seat->kind,
        .index = seat->index,
        .seat = seat,
        .started_ms = clock_ms,
    };
    seat->child = c;
    log_notice(0, "start %s process %d", spawn_kind_name(seat->kind), (int)pid);
    supervise_attach(m, c, pair[0]);
    return c;

fail:
    slots_set(m->slots, (uint32_t)slot, SLOT_FREE);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    free(c);
    return NULL;
}

bool
spawn_all(struct master *m)
{
    for (uint32_t i = 0; i < m->n_seats; i++) {
        struct seat *seat = &m->seats[i];

        if (seat->child == NULL && !seat->ended && spawn_child(m, seat) == NULL)
            return report_say(&m->verdict, LOG_LEVEL_EMERG, "cannot start a %s process",
                              spawn_kind_name(seat->kind));
    }
    return true;
}
