/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.c - a robust lock of one 32-bit word in shared memory.
 *
 * Each process tells the kernel of one robust list that stays empty; its `list_op_pending` points at the lock from
 * before the swap that takes it until after the release. However the process ends (SIGKILL, crash, exec, exit), the
 * kernel then finds its thread id in the word, puts FUTEX_OWNER_DIED there and wakes a waiter. No memory of ours
 * other than the word is written through anything that lies in shared memory.
 *
 * Only the order of a thread's own stores matters to the kernel, so compiler barriers are enough around the list.
 */
#include "common/shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/base/panic.h"
#include "common/shm/zone.h"

enum {
    SPIN_ROUNDS = 40,         /* sections under a zone lock take less than this */
    WAIT_ROUND_MS = 50,       /* a wake-up lost to a death costs this much and no more */
    STUCK_ROUNDS = 1000 / 50, /* with the same owner, before it is reported */
};

_Static_assert(sizeof(long) == 8, "the futex system call is used with 64-bit time only");

void (*lock_on_stuck)(const struct shm_lock *l, uint32_t owner_tid);

/* Of the thread that called lock_init_process. In every other thread tid is 0 and taking a lock asserts. */
static _Thread_local struct robust_list_head robust;
static _Thread_local uint32_t tid;

#define COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* A child holds nothing and is not known to the kernel until it says so. */
static void
lock_forget(void)
{
    tid = 0;
    robust.list_op_pending = NULL;
}

void
lock_init_process(void)
{
    static bool watches_forks;

    if (!watches_forks)
        watches_forks = pthread_atfork(NULL, NULL, lock_forget) == 0;
    tid = (uint32_t)syscall(SYS_gettid);
    robust.list.next = &robust.list;
    robust.futex_offset = 0;
    robust.list_op_pending = NULL;
    ASSERT(syscall(SYS_set_robust_list, &robust, sizeof(robust)) == 0);
}

static void
announce(struct shm_lock *l)
{
    ASSERT(tid != 0 && robust.list_op_pending == NULL);
    robust.list_op_pending = (struct robust_list *)(void *)l;
    COMPILER_BARRIER();
    crash_point("lock_take");
}

static void
withdraw(void)
{
    COMPILER_BARRIER();
    robust.list_op_pending = NULL;
}

static bool
swap(struct shm_lock *l, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&l->word, &from, to, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void
cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/* `waited`: others may sleep behind us, so the release has to wake one. */
static bool
lock_try_free(struct shm_lock *l, bool waited, enum lock_result *r)
{
    uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

    if ((word & FUTEX_TID_MASK) != 0)
        return false;
    if (!swap(l, word, tid | (waited ? FUTEX_WAITERS : word & FUTEX_WAITERS)))
        return false;
    *r = word & FUTEX_OWNER_DIED ? LOCK_OWNER_DIED : LOCK_OK;
    return true;
}

/* Sleeps one round, with FUTEX_WAITERS set in the word. Returns the owner when that took the whole round, else 0. */
static uint32_t
lock_sleep(struct shm_lock *l)
{
    static const struct timespec round = { .tv_nsec = WAIT_ROUND_MS * 1000000L };
    uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);

    if ((word & FUTEX_TID_MASK) == 0)
        return 0;
    if ((word & FUTEX_WAITERS) == 0) {
        if (!swap(l, word, word | FUTEX_WAITERS))
            return 0;
        word |= FUTEX_WAITERS;
    }
    if (syscall(SYS_futex, &l->word, FUTEX_WAIT, word, &round, NULL, 0) == 0 || errno != ETIMEDOUT)
        return 0;
    return word & FUTEX_TID_MASK;
}

static enum lock_result
lock_wait(struct shm_lock *l)
{
    enum lock_result r;
    uint32_t owner = 0;
    unsigned rounds = 0;

    for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
        if (lock_try_free(l, false, &r))
            return r;
        cpu_relax();
    }
    while (!lock_try_free(l, true, &r)) {
        uint32_t seen = lock_sleep(l);

        rounds = seen != 0 && seen == owner ? rounds + 1 : 0;
        owner = seen;
        if (rounds == STUCK_ROUNDS && lock_on_stuck != NULL)
            lock_on_stuck(l, owner);
    }
    return r;
}

enum lock_result
lock_take(struct shm_lock *l)
{
    enum lock_result r = LOCK_OK;

    announce(l);
    if (UNLIKELY(!swap(l, 0, tid)))
        r = lock_wait(l);
    crash_point("lock_taken");
    return r;
}

bool
lock_try(struct shm_lock *l, enum lock_result *r)
{
    announce(l);
    if (!lock_try_free(l, false, r)) {
        withdraw();
        return false;
    }
    crash_point("lock_taken");
    return true;
}

void
lock_release(struct shm_lock *l)
{
    uint32_t word;

    ASSERT((void *)robust.list_op_pending == (void *)l);
    crash_point("lock_release");
    word = __atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE);
    crash_point("lock_released");
    if (UNLIKELY((word & FUTEX_WAITERS) != 0))
        syscall(SYS_futex, &l->word, FUTEX_WAKE, 1, NULL, NULL, 0);
    withdraw();
}
