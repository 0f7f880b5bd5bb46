/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.h - a robust lock of one 32-bit word in shared memory (ARCHITECTURE.md 9).
 *
 * The kernel releases the lock of a dead owner through the robust list of the process. A process holds one such
 * lock at a time; threads of the offload pool never take one; no pthread robust mutex may exist in the process.
 */
#ifndef WEIR_SHM_LOCK_H
#define WEIR_SHM_LOCK_H

#include <stdbool.h>
#include <stdint.h>

struct shm_lock {
    uint32_t word; /* 0 free, else thread id of the owner, FUTEX_WAITERS, FUTEX_OWNER_DIED */
};

enum lock_result { LOCK_OK, LOCK_OWNER_DIED };

/* After each fork, in the one place that forks, and at start: registers this process's robust list. */
void lock_init_process(void);
enum lock_result lock_take(struct shm_lock *l);
/* False: somebody else has it. */
bool lock_try(struct shm_lock *l, enum lock_result *r);
void lock_release(struct shm_lock *l);
/* Called by a waiter once when it has waited a second: owner's thread id. Set by the worker. */
extern void (*lock_on_stuck)(const struct shm_lock *l, uint32_t owner_tid);

#endif
