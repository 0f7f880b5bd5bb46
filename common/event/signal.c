/* SPDX-License-Identifier: BSD-2-Clause */
/* signal.c - blocked signals, read from a signalfd. */
#include "common/event/signal.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/event/loop.h"
#include "common/sys/fd.h"

static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };

static struct watch watch = { .fd = -1 };
static void (*callback)(int sig);

void
signal_block_all(void)
{
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        sigdelset(&set, faults[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us, it would lose the exit statuses */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that is too large for the limit: write() says so */
}

static void
on_readable(struct watch *w, unsigned bits)
{
    struct signalfd_siginfo info[16];
    ssize_t n = read(w->fd, info, sizeof(info));

    (void)bits;
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(info[0]); i++)
        callback((int)info[i].ssi_signo);
}

bool
signal_watch(const int *signals, void (*on_signal)(int sig), struct error *err)
{
    sigset_t set;
    int fd;

    ASSERT(watch.fd == -1);
    sigemptyset(&set);
    for (; *signals != 0; signals++)
        sigaddset(&set, *signals);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        error_sys(err, "signalfd() failed");
        return false;
    }
    callback = on_signal;
    watch.on_event = on_readable;
    if (!loop_add_level(&watch, fd, false)) {
        error_sys(err, "epoll_ctl() for signals failed");
        fd_close(&fd);
        return false;
    }
    return true;
}

void
signal_reset_after_fork(void)
{
    fd_close(&watch.fd);
    watch = (struct watch){ .fd = -1 };
}

void
signal_restore(void)
{
    sigset_t set;

    for (int sig = 1; sig < NSIG; sig++)
        signal(sig, SIG_DFL); /* refused for SIGKILL, SIGSTOP and those of the C library */
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}
