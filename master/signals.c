/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signals.c - the table of signals. They are read here and not through common/event/signal.h, because the log names
 * who sent them.
 */
#include "master/signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/supervise.h"

static const struct {
    int sig;
    const char *name;    /* as the log says it */
    const char *action;  /* what the log says will happen; "" for nothing */
    const char *command; /* of -s; NULL: none */
    enum master_event event;
} table[] = {
    { SIGHUP, "SIGHUP", ", reconfiguring", "reload", EVENT_CHECK },
    { SIGUSR2, "SIGUSR2", ", reconfiguring", NULL, EVENT_CHECK },
    { SIGUSR1, "SIGUSR1", ", reopening logs", "reopen", EVENT_REOPEN },
    { SIGTERM, "SIGTERM", ", exiting", "stop", EVENT_STOP },
    { SIGINT, "SIGINT", ", exiting", NULL, EVENT_STOP },
    { SIGQUIT, "SIGQUIT", ", shutting down", "quit", EVENT_QUIT },
    { SIGWINCH, "SIGWINCH", ", stop accepting connections", NULL, EVENT_WINCH },
};

static struct {
    struct watch watch;
    struct master *m;
} signals;

static void
deliver(const struct signalfd_siginfo *info)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].sig != (int)info->ssi_signo)
            continue;
        if (info->ssi_pid != 0)
            log_notice(0, "signal %u (%s) received from %u%s", info->ssi_signo, table[i].name,
                       info->ssi_pid, table[i].action);
        else
            log_notice(0, "signal %u (%s) received%s", info->ssi_signo, table[i].name,
                       table[i].action);
        if (table[i].event == EVENT_CHECK)
            signals.m->reload_wanted = true;
        master_event(signals.m, table[i].event);
        return;
    }
    if (info->ssi_signo == SIGCHLD) {
        log_notice(0, "signal %u (SIGCHLD) received from %u", info->ssi_signo, info->ssi_pid);
        supervise_reap(signals.m);
    }
}

static void
on_event(struct watch *w, unsigned bits UNUSED)
{
    struct signalfd_siginfo info;

    while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        deliver(&info);
}

bool
signals_watch(struct master *m, struct error *err)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        sigaddset(&set, table[i].sig);
    sigaddset(&set, SIGCHLD);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    signals.m = m;
    signals.watch.on_event = on_event;
    if (fd >= 0 && loop_add_level(&signals.watch, fd, false))
        return true;
    error_sys(err, "signalfd() failed");
    fd_close(&fd);
    return false;
}

void
signals_forget(void)
{
    if (signals.watch.fd > 0)
        fd_close(&signals.watch.fd);
}

int
signals_by_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (table[i].command != NULL && strcmp(table[i].command, name) == 0)
            return table[i].sig;
    }
    return 0;
}
