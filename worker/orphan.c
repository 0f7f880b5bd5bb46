/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * orphan.c - notices the master's death by its pidfd (or by getppid where there are none), and takes its place at the
 * control listener.
 */
#include "worker/orphan.h"

#include <unistd.h>

#include "common/event/loop.h"
#include "common/event/timer.h"
#include "common/ipc/adopt.h"
#include "common/log/log.h"
#include "common/sys/fd.h"
#include "worker/core/cycle.h"

enum { POLL_MS = 1000 /* between looks at getppid, without pidfds */ };

static struct inherit *inherited;
static struct watch master_watch;
static struct timer master_poll;
static struct adopt_hooks hooks;
static bool orphaned, has_left;

static void
status_lines(struct text *t)
{
    cycle_answer(S("status"), t);
}

static void
master_is_dead(void)
{
    if (orphaned)
        return;
    orphaned = true;
    log_alert(0, "the master process %d has died: serving on, start weir to replace it",
              (int)inherited->master_pid);
    if (!has_left && !adopt_listen(inherited, &hooks))
        log_alert(0, "there is no control socket through which a new master could take over");
}

static void
on_pidfd(struct watch *w, unsigned bits)
{
    (void)bits;
    loop_del(w);
    master_is_dead();
}

static void
on_poll(struct timer *t)
{
    if (getppid() == inherited->master_pid)
        timer_set(t, POLL_MS);
    else
        master_is_dead();
}

void
orphan_watch(struct inherit *in, void (*stop)(void))
{
    inherited = in;
    hooks = (struct adopt_hooks){ .status = status_lines, .stop = stop };
    if (in->master_pid <= 0)
        return;
    master_watch.on_event = on_pidfd;
    master_poll.on_time = on_poll;
    if (in->master_pidfd == -1 || !loop_add_level(&master_watch, in->master_pidfd, false))
        timer_set(&master_poll, POLL_MS);
    /* It may have died before its pidfd was opened: then that is another process's or none. */
    if (getppid() != in->master_pid)
        master_is_dead();
}

bool
orphan_is(void)
{
    return orphaned;
}

void
orphan_leave(void)
{
    if (has_left)
        return;
    has_left = true;
    if (orphaned)
        adopt_leave();
    fd_close(&inherited->ctl_fd);
}
