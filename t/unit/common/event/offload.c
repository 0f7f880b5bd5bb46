/* SPDX-License-Identifier: BSD-2-Clause */
/* offload.c - jobs in threads, results in the loop. */
#include "common/event/offload.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/sanitize.h"
#include "common/event/loop.h"
#include "t/unit/test.h"

struct job {
    struct offload offload;
    unsigned in, out;
    pthread_t thread;
};

static unsigned finished;
static pthread_t loop_thread;
static atomic_bool held; /* jobs wait while it is set */

static void
work(struct offload *o)
{
    struct job *j = (struct job *)o;

    while (atomic_load(&held))
        usleep(100);
    j->out = j->in * 2;
    j->thread = pthread_self();
}

static void
done(struct offload *o)
{
    struct job *j = (struct job *)o;

    CHECK_EQ(j->out, j->in * 2);
    CHECK(!pthread_equal(j->thread, loop_thread));
    CHECK(pthread_equal(pthread_self(), loop_thread));
    finished++;
}

static void
begin(void)
{
    static bool once;
    struct error err;

    loop_thread = pthread_self();
    finished = 0;
    if (!once && !loop_init(&err))
        exit(1);
    once = true;
}

static struct job jobs[300];

static void
run_jobs(struct offload_pool *pool, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        jobs[i] = (struct job){ .offload = { .work = work, .done = done }, .in = i };
        CHECK(offload_start(pool, &jobs[i].offload));
    }
    while (finished < n)
        loop_turn(5000);
    CHECK_EQ(finished, n);
}

TEST(each_job_is_worked_and_done_once)
{
    begin();
    run_jobs(offload_default(), 300);
    CHECK(offload_default() == offload_default());
    CHECK(offload_pool_find(S("default")) == offload_default());
    CHECK(offload_pool_find(S("none")) == NULL);
}

TEST(a_full_queue_refuses)
{
    struct offload_pool *pool = offload_pool_new(S("small"), 1, 2);
    unsigned taken = 0;

    begin();
    atomic_store(&held, true);
    for (unsigned i = 0; i < 10; i++) {
        jobs[i] = (struct job){ .offload = { .work = work, .done = done }, .in = i };
        if (!offload_start(pool, &jobs[i].offload))
            break;
        taken++;
    }
    CHECK(taken == 2 || taken == 3, "%u", taken); /* whether the thread has taken the first one */
    atomic_store(&held, false);
    while (finished < taken)
        loop_turn(5000);
    CHECK(!offload_start(NULL, &jobs[0].offload));
}

/* The sanitizer's own locks do not survive a fork beside threads. */
#if !defined(WEIR_ASAN) && !defined(__SANITIZE_THREAD__)
TEST(a_child_has_threads_of_its_own)
{
    int status = 0;
    pid_t pid;

    begin();
    run_jobs(offload_default(), 10);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        struct error err;

        if (!loop_reset_after_fork(&err))
            _exit(1);
        begin();
        run_jobs(offload_default(), 50);
        _exit(test_failures != 0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
}
#endif
