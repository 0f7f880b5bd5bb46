/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.c - lazy timers, with a clock of the test's own. */
#include "common/event/timer.h"

#include <limits.h>

#include "common/base/rand.h"
#include "common/sys/clock.h"
#include "t/unit/test.h"

static unsigned fired;

static void
on_time(struct timer *t)
{
    (void)t;
    fired++;
}

static void
run_at(uint64_t ms)
{
    fired = 0;
    clock_ms = ms;
    timer_run();
}

TEST(fires_once_when_due)
{
    struct timer t = { .on_time = on_time };

    clock_ms = 1000;
    CHECK_EQ(timer_next_ms(), -1);
    timer_set(&t, 50);
    CHECK(timer_pending(&t));
    CHECK_EQ(timer_next_ms(), 50);
    run_at(1049);
    CHECK_EQ(fired, 0);
    CHECK_EQ(timer_next_ms(), 1);
    run_at(1050);
    CHECK_EQ(fired, 1);
    CHECK(!timer_pending(&t));
    run_at(2000);
    CHECK_EQ(fired, 0);
    CHECK_EQ(timer_next_ms(), -1);
}

TEST(pushing_back_is_a_store_and_moving_forward_is_not)
{
    struct timer t = { .on_time = on_time };

    clock_ms = 1000;
    timer_set(&t, 100);
    timer_set(&t, 500);
    CHECK_EQ(t.queued_ms, 1100);
    run_at(1100);
    CHECK_EQ(fired, 0);
    CHECK_EQ(t.queued_ms, 1500);
    timer_set(&t, 10);
    CHECK_EQ(timer_next_ms(), 10);
    run_at(1110);
    CHECK_EQ(fired, 1);
}

TEST(stopped_and_forgotten)
{
    struct timer t = { .on_time = on_time };

    timer_forget(&t);
    clock_ms = 1000;
    timer_set(&t, 100);
    timer_stop(&t);
    CHECK(!timer_pending(&t));
    run_at(1200);
    CHECK_EQ(fired, 0);
    CHECK_EQ(t.slot, 0);

    timer_set(&t, 100);
    timer_stop(&t);
    timer_set(&t, 300); /* still where it stood in the queue */
    run_at(1499);
    CHECK_EQ(fired, 0);
    run_at(1500);
    CHECK_EQ(fired, 1);

    timer_set(&t, 100);
    timer_forget(&t);
    CHECK_EQ(timer_next_ms(), -1);
}

static void
set_again(struct timer *t)
{
    fired++;
    timer_set(t, 0);
}

TEST(one_that_sets_itself_again_does_not_hold_up_the_loop)
{
    struct timer t = { .on_time = set_again };

    clock_ms = 1000;
    timer_set(&t, 0);
    run_at(1001);
    CHECK_EQ(fired, 1);
    CHECK_EQ(timer_next_ms(), 1);
    timer_forget(&t);
}

TEST(far_futures)
{
    struct timer t = { .on_time = on_time };

    clock_ms = 1000;
    timer_set(&t, UINT64_MAX);
    CHECK_EQ(timer_next_ms(), INT_MAX);
    run_at(UINT64_MAX - 1);
    CHECK_EQ(fired, 0);
    timer_forget(&t);
}

/* Against the plain rule: a timer fires in the first run at or after its deadline, in order of deadlines as queued. */
enum { TIMERS = 500 };
static struct timer many[TIMERS];
static uint64_t due[TIMERS]; /* 0: not set */

static void
on_many(struct timer *t)
{
    unsigned i = (unsigned)(t - many);

    fired++;
    if (due[i] == 0 || due[i] > clock_ms)
        CHECK(false, "timer %u at %llu, due %llu", i, (unsigned long long)clock_ms,
              (unsigned long long)due[i]);
    due[i] = 0;
    if (i % 7 == 0) { /* callbacks end and set others */
        unsigned other = rand_below(TIMERS);

        timer_forget(&many[other]);
        due[other] = 0;
        other = rand_below(TIMERS);
        timer_set(&many[other], 40);
        due[other] = clock_ms + 40;
    }
}

TEST(many_at_random)
{
    for (unsigned i = 0; i < TIMERS; i++)
        many[i].on_time = on_many;
    clock_ms = 1;
    for (unsigned turn = 0; turn < 3000; turn++) {
        for (unsigned k = 0; k < 20; k++) {
            unsigned i = rand_below(TIMERS), what = rand_below(10);
            uint64_t after = 1 + rand_below(300);

            if (what == 0) {
                timer_stop(&many[i]);
                due[i] = 0;
            } else if (what == 1) {
                timer_forget(&many[i]);
                due[i] = 0;
            } else {
                timer_set(&many[i], after);
                due[i] = clock_ms + after;
            }
        }
        clock_ms += rand_below(4);
        timer_run();
        for (unsigned i = 0; i < TIMERS; i++) {
            if (due[i] != 0 && due[i] <= clock_ms)
                CHECK(false, "timer %u is late", i);
            if (timer_pending(&many[i]) != (due[i] != 0))
                CHECK(false, "timer %u", i);
        }
    }
    timer_reset_after_fork();
    CHECK_EQ(timer_next_ms(), -1);
    for (unsigned i = 0; i < TIMERS; i++)
        CHECK(!timer_pending(&many[i]) && many[i].slot == 0);
}
