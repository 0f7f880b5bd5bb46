/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.c - a periodic signal that looks whether the loop has turned since the last one.
 *
 * A sleeping loop is woken by the signal itself (epoll_wait is never restarted) and so turns; only one that is stuck in
 * a callback does not. The cost is one wake-up per threshold.
 */
#include "worker/watchdog.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/base/panic.h"
#include "common/event/loop.h"
#include "common/log/log.h"

enum { WATCHDOG_FRAMES = 32, WATCHDOG_SIGNAL = SIGALRM };

static struct task turn_hook;
static volatile sig_atomic_t turned, reported;
static uint64_t threshold;

static void
on_turn(struct task *t)
{
    (void)t;
    turned = 1;
    if (reported) {
        reported = 0;
        log_alert(0, "worker is back in its event loop");
    }
}

static size_t
append(char *line, size_t at, const char *text, size_t n)
{
    memcpy(line + at, text, n);
    return at + n;
}

/* Only calls that a signal handler may make: the report is built by hand. */
static void
report(void)
{
    static const char before[] = "worker has not returned to its event loop for ",
                      after[] = " ms; called from:";
    void *frame[WATCHDOG_FRAMES];
    char line[sizeof(before) + sizeof(after) + NUM_TEXT_MAX + WATCHDOG_FRAMES * 19];
    int n = backtrace(frame, WATCHDOG_FRAMES);
    size_t at = append(line, 0, before, sizeof(before) - 1);

    at += num_format_u64(line + at, threshold);
    at = append(line, at, after, sizeof(after) - 1);
    for (int i = 0; i < n; i++) {
        uint64_t address = (uintptr_t)frame[i];

        at = append(line, at, " 0x", 3);
        for (int shift = 44; shift >= 0; shift -= 4)
            line[at++] = "0123456789abcdef"[address >> shift & 15];
    }
    line[at] = '\0';
    if (panic_hook != NULL)
        panic_hook(line);
    line[at] = '\n';
    (void)!write(STDERR_FILENO, line, at + 1);
    backtrace_symbols_fd(frame, n, STDERR_FILENO);
}

static void
on_tick(int sig)
{
    (void)sig;
    if (!turned && !reported) {
        reported = 1;
        report();
    }
    turned = 0;
}

void
watchdog_start(uint64_t threshold_ms)
{
    struct sigaction action = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCHDOG_SIGNAL };
    struct itimerspec every;
    void *warm[1];
    sigset_t only;
    timer_t timer;

    if (threshold_ms == 0)
        return;
    threshold = threshold_ms;
    turned = 1;
    turn_hook.run = on_turn;
    loop_hook(&turn_hook);
    (void)backtrace(warm, 1); /* loads what it needs now, since a signal handler may not */
    sigfillset(&action.sa_mask);
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    every.it_value.tv_sec = (time_t)(threshold_ms / 1000);
    every.it_value.tv_nsec = (long)(threshold_ms % 1000 * 1000000);
    every.it_interval = every.it_value;
    sigemptyset(&only);
    sigaddset(&only, WATCHDOG_SIGNAL);
    if (sigaction(WATCHDOG_SIGNAL, &action, NULL) != 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 ||
        timer_settime(timer, 0, &every, NULL) != 0 || sigprocmask(SIG_UNBLOCK, &only, NULL) != 0)
        log_warn(errno, "no watchdog over the event loop");
}
