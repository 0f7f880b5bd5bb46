/* SPDX-License-Identifier: BSD-2-Clause */
/* signal.c - signals as events of the loop. */
#include "common/event/signal.h"

#include <signal.h>

#include "common/event/loop.h"
#include "t/unit/test.h"

static int got[4];
static unsigned got_n;

static void
on_signal(int sig)
{
    if (got_n < 4)
        got[got_n++] = sig;
}

TEST(signals_wait_for_the_loop)
{
    static const int wanted[] = { SIGHUP, SIGUSR1, 0 };
    struct error err;

    signal_block_all();
    REQUIRE(loop_init(&err));
    kill(getpid(), SIGHUP); /* before anybody asked: kept */
    REQUIRE(signal_watch(wanted, on_signal, &err), "%s", err.text);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2); /* not asked for */
    loop_turn(1000);
    CHECK_EQ(got_n, 2);
    CHECK_EQ(got[0] + got[1], SIGHUP + SIGUSR1);
    loop_turn(0);
    CHECK_EQ(got_n, 2);
}

TEST(a_child_may_watch_for_itself)
{
    static const int wanted[] = { SIGTERM, 0 };
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct error err;

        got_n = 0;
        signal_reset_after_fork();
        if (!loop_reset_after_fork(&err) || !signal_watch(wanted, on_signal, &err))
            _exit(1);
        raise(SIGTERM);
        loop_turn(1000);
        _exit(got_n == 1 && got[0] == SIGTERM ? 0 : 2);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
    got_n = 0;
    kill(getpid(), SIGHUP);
    loop_turn(1000);
    CHECK_EQ(got_n, 1, "and the parent's still works");
}

TEST(faults_are_not_blocked_and_a_foreign_program_gets_defaults)
{
    sigset_t set;
    int status = 0;
    pid_t pid;

    sigprocmask(SIG_SETMASK, NULL, &set);
    CHECK(!sigismember(&set, SIGSEGV) && !sigismember(&set, SIGABRT));
    CHECK(sigismember(&set, SIGTERM) && sigismember(&set, SIGALRM));
    pid = fork();
    if (pid == 0) {
        signal_restore();
        raise(SIGPIPE); /* was ignored and blocked */
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE, "%x", (unsigned)status);
}
