/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c - the robust lock: exclusion, and every way in which an owner can end. */
#include "common/shm/lock.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "build/config.h"
#include "test.h"

/* Shared by a test's processes; `a` and `b` are equal whenever the lock is free. */
struct board {
    struct shm_lock lock, other;
    uint64_t a, b;
    uint32_t ready, result;
    uint32_t reported; /* by lock_on_stuck */
    int32_t holder;    /* a pid that the test's processes have to know */
};

static struct board *
board_new(void)
{
    void *p =
        mmap(NULL, sizeof(struct board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    lock_init_process();
    return p == MAP_FAILED ? abort(), NULL : p;
}

static pid_t
start(void (*run)(struct board *), struct board *b)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lock_init_process();
        run(b);
        _exit(0);
    }
    return pid;
}

static uint32_t
word(const struct board *b)
{
    return __atomic_load_n(&b->lock.word, __ATOMIC_ACQUIRE);
}

static void
until_ready(struct board *b, uint32_t n)
{
    while (__atomic_load_n(&b->ready, __ATOMIC_ACQUIRE) < n)
        sched_yield();
}

static void
say_ready(struct board *b)
{
    __atomic_add_fetch(&b->ready, 1, __ATOMIC_ACQ_REL);
}

static double
now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

TEST(take_and_release)
{
    struct board *b = board_new();
    enum lock_result r = LOCK_OWNER_DIED;

    CHECK_EQ(lock_take(&b->lock), LOCK_OK);
    CHECK_EQ(word(b) & FUTEX_TID_MASK, getpid());
    lock_release(&b->lock);
    CHECK_EQ(word(b), 0);
    CHECK(lock_try(&b->lock, &r));
    CHECK_EQ(r, LOCK_OK);
    lock_release(&b->lock);
}

TEST(one_lock_at_a_time)
{
    struct board *b = board_new();

    lock_take(&b->lock);
    CHECK_DIES((lock_init_process(), lock_take(&b->other), lock_take(&b->other)));
    CHECK_DIES((lock_init_process(), lock_release(&b->other)), "not taken");
    lock_release(&b->lock);
}

TEST(a_child_registers_itself_first)
{
    struct board *b = board_new();

    CHECK_DIES(lock_take(&b->lock));
}

static void
hold(struct board *b)
{
    lock_take(&b->lock);
    say_ready(b);
    for (;;)
        pause();
}

TEST(try_does_not_wait)
{
    struct board *b = board_new();
    pid_t holder = start(hold, b);
    enum lock_result r = LOCK_OK;

    until_ready(b, 1);
    CHECK(!lock_try(&b->lock, &r));
    end(holder);
    CHECK(lock_try(&b->lock, &r));
    CHECK_EQ(r, LOCK_OWNER_DIED);
    lock_release(&b->lock);
    CHECK_EQ(lock_take(&b->lock), LOCK_OK, "said once");
    lock_release(&b->lock);
}

static void
hold_and_exit(struct board *b)
{
    lock_take(&b->lock);
}

static void
hold_and_exec(struct board *b)
{
    lock_take(&b->lock);
    execlp("cat", "cat", (char *)NULL);
}

TEST(exit_releases)
{
    struct board *b = board_new();
    pid_t pid = start(hold_and_exit, b);

    waitpid(pid, NULL, 0);
    CHECK_EQ(lock_take(&b->lock), LOCK_OWNER_DIED);
    lock_release(&b->lock);
}

TEST(exec_releases)
{
    struct board *b = board_new();
    int in[2];
    pid_t pid;

    REQUIRE(pipe(in) == 0);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        close(in[0]);
        close(in[1]);
        lock_init_process();
        hold_and_exec(b);
        _exit(1);
    }
    while (word(b) == 0)
        sched_yield();
    CHECK_EQ(lock_take(&b->lock), LOCK_OWNER_DIED);
    lock_release(&b->lock);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0, "the process lives on");
    close(in[0]);
    close(in[1]); /* cat ends */
    waitpid(pid, NULL, 0);
}

static void
wait_and_tell(struct board *b)
{
    say_ready(b);
    b->result = lock_take(&b->lock) == LOCK_OWNER_DIED ? 2 : 1;
    lock_release(&b->lock);
}

TEST(a_waiter_wakes_when_the_owner_dies)
{
    struct board *b = board_new();
    pid_t holder = start(hold, b), waiter;
    double began;

    until_ready(b, 1);
    waiter = start(wait_and_tell, b);
    while ((word(b) & FUTEX_WAITERS) == 0)
        sched_yield();
    began = now_s();
    end(holder);
    waitpid(waiter, NULL, 0);
    CHECK_EQ(b->result, 2);
    CHECK(now_s() - began < 2);
    CHECK_EQ(word(b), 0);
}

TEST(a_stopped_waiter_does_not_keep_the_wake_up)
{
    struct board *b = board_new();
    pid_t holder = start(hold, b), stopped, waiter;

    until_ready(b, 1);
    stopped = start(wait_and_tell, b);
    while ((word(b) & FUTEX_WAITERS) == 0)
        sched_yield();
    waiter = start(wait_and_tell, b);
    until_ready(b, 3);
    kill(stopped, SIGKILL); /* perhaps the one that is woken */
    end(holder);
    waitpid(stopped, NULL, 0);
    waitpid(waiter, NULL, 0);
    CHECK(b->result != 0);
    CHECK_EQ(word(b) & FUTEX_TID_MASK, 0);
}

static struct board *stuck_board;

static void
on_stuck(const struct shm_lock *l, uint32_t tid)
{
    if (l == &stuck_board->lock)
        stuck_board->reported = tid;
    kill(stuck_board->holder, SIGKILL);
}

static void
wait_with_report(struct board *b)
{
    stuck_board = b;
    lock_on_stuck = on_stuck;
    wait_and_tell(b);
}

TEST(a_stuck_owner_is_reported)
{
    struct board *b = board_new();
    pid_t waiter;

    b->holder = start(hold, b);
    until_ready(b, 1);
    waiter = start(wait_with_report, b);
    waitpid(waiter, NULL, 0);
    waitpid(b->holder, NULL, 0);
    CHECK_EQ(b->reported, b->holder);
    CHECK_EQ(b->result, 2);
}

enum { ROUNDS = 20000 };

static void
hammer(struct board *b)
{
    say_ready(b);
    until_ready(b, 2);
    for (int i = 0; i < ROUNDS; i++) {
        lock_take(&b->lock);
        b->a++;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        b->b++;
        lock_release(&b->lock);
    }
}

TEST(two_processes_exclude_each_other)
{
    struct board *b = board_new();
    pid_t one = start(hammer, b), two = start(hammer, b);

    waitpid(one, NULL, 0);
    waitpid(two, NULL, 0);
    CHECK_EQ(b->a, 2 * ROUNDS);
    CHECK_EQ(b->b, 2 * ROUNDS);
    CHECK_EQ(word(b), 0);
}

/* Like a zone: whoever finds the owner dead makes a and b equal again. */
static void
hammer_and_repair(struct board *b)
{
    for (;;) {
        if (lock_take(&b->lock) == LOCK_OWNER_DIED)
            b->b = b->a;
        else if (b->a != b->b)
            __atomic_store_n(&b->result, 1, __ATOMIC_RELEASE);
        __atomic_store_n(&b->a, b->a + 1, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        b->b++;
        lock_release(&b->lock);
    }
}

TEST(kills_under_load)
{
    enum { WORKERS = 3, KILLS = 90 };
    struct board *b = board_new();
    pid_t pid[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        pid[i] = start(hammer_and_repair, b);
    for (int i = 0; i < KILLS; i++) {
        uint64_t from = __atomic_load_n(&b->a, __ATOMIC_ACQUIRE);

        while (__atomic_load_n(&b->a, __ATOMIC_ACQUIRE) < from + 100 + (uint64_t)i)
            sched_yield();
        end(pid[i % WORKERS]);
        pid[i % WORKERS] = start(hammer_and_repair, b);
    }
    for (int i = 0; i < WORKERS; i++)
        end(pid[i]);
    CHECK_EQ(b->result, 0, "torn without notice");
}

#ifdef WEIR_CRASH_POINTS
static const struct {
    const char *at;
    enum lock_result then;
} points[] = {
    { "lock_take", LOCK_OK },
    { "lock_taken", LOCK_OWNER_DIED },
    { "lock_release", LOCK_OWNER_DIED },
    { "lock_released", LOCK_OK },
};

static const char *point;

static void
die_at_point(struct board *b)
{
    setenv("WEIR_CRASH_AT", point, 1);
    lock_take(&b->lock);
    lock_release(&b->lock);
}

TEST(death_at_each_point)
{
    EACH (points, p) {
        struct board *b = board_new();
        int status = 0;

        point = p->at;
        waitpid(start(die_at_point, b), &status, 0);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "%s", p->at);
        CHECK_EQ(lock_take(&b->lock), p->then, "%s", p->at);
        lock_release(&b->lock);
    }
}

/* Between the release and the wake-up: the kernel wakes in place of the dead. */
TEST(death_before_the_wake_up)
{
    struct board *b = board_new();
    pid_t pid, waiter;
    int go[2];
    char c;

    REQUIRE(pipe(go) == 0);
    pid = fork();
    if (pid == 0) {
        lock_init_process();
        lock_take(&b->lock);
        say_ready(b);
        setenv("WEIR_CRASH_AT", "lock_released", 1);
        if (read(go[0], &c, 1) == 1)
            lock_release(&b->lock);
        _exit(0);
    }
    until_ready(b, 1);
    waiter = start(wait_and_tell, b);
    while ((word(b) & FUTEX_WAITERS) == 0)
        sched_yield();
    CHECK_EQ(write(go[1], "x", 1), 1);
    waitpid(pid, NULL, 0);
    waitpid(waiter, NULL, 0);
    CHECK_EQ(b->result, 1);
    close(go[0]);
    close(go[1]);
}
#endif
