/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watchdog.c - a periodic signal that looks whether the loop has turned since the last one.
 *
 * A sleeping loop is woken by the signal itself (epoll_wait is never restarted) and so turns; only one that is stuck in
 * a callback does not. The cost is one wake-up per threshold.
 */
#include "worker/watchdog.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/event/loop.h"
#include "common/log/sink.h" /* the descriptor itself: a signal handler cannot use log_write */
#include "common/sys/clock.h"

enum { WATCHDOG_FRAMES = 32, WATCHDOG_SIGNAL = SIGALRM, REPORT_MAX = 1024 };

static struct task turn_hook;
static volatile sig_atomic_t turned, reported;
static uint64_t threshold;
static pid_t own_pid;

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

/* The file that the main error log goes to; standard error when it goes elsewhere. */
static int
report_fd(bool *json)
{
    *json = false;
    for (const struct log_sink *s = log_main->sinks; s != NULL; s = s->next) {
        if (s->kind == SINK_FILE) {
            *json = s->json;
            return s->file->fd;
        }
    }
    return STDERR_FILENO;
}

static void
add_head(struct text *t, bool json)
{
    text_add(t, json ? S("{\"time\":\"") : S(""));
    text_add(t, json ? clock_iso8601() : clock_error_time());
    text_add(t, json ? S("\",\"level\":\"alert\",\"pid\":") : S(" [alert] "));
    text_unum(t, (uint64_t)own_pid);
    text_add(t, json ? S(",\"tid\":") : S("#"));
    text_unum(t, (uint64_t)own_pid);
    text_add(t, json ? S(",\"message\":\"") : S(": "));
}

/* A frame as addr2line takes it: an offset into the program, or an address elsewhere. */
static void
add_frame(struct text *t, const void *frame)
{
    extern char __executable_start, etext;
    uintptr_t at = (uintptr_t)frame, start = (uintptr_t)&__executable_start;
    bool ours = at >= start && at < (uintptr_t)&etext;
    uint64_t value = ours ? at - start : at;

    text_add(t, ours ? S(" +0x") : S(" 0x"));
    for (int shift = ours ? 28 : 44; shift >= 0; shift -= 4)
        text_char(t, "0123456789abcdef"[value >> shift & 15]);
}

/*
 * In a signal handler: no allocation, no lock, so the line is made in place and not by log_write. The time is that of
 * the turn's start.
 */
static void
report(void)
{
    void *frame[WATCHDOG_FRAMES];
    char line[REPORT_MAX];
    struct text t;
    int n = backtrace(frame, WATCHDOG_FRAMES), fd;
    bool json;

    fd = report_fd(&json);
    text_init_fixed(&t, line, sizeof(line) - 3);
    add_head(&t, json);
    TEXT_LIT(&t, "worker has not returned to its event loop for ");
    text_unum(&t, threshold);
    TEXT_LIT(&t, " ms; it was called from");
    for (int i = 0; i < n; i++)
        add_frame(&t, frame[i]);
    if (json) {
        line[t.len++] = '"';
        line[t.len++] = '}';
    }
    line[t.len++] = '\n';
    (void)!write(fd, line, t.len);
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
    own_pid = getpid();
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
