/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer.c - the queue of timers: a heap with four children per node, kept in memory that is reserved and not used.
 *
 * The heap is a mapping of address space for as many timers as there will ever be, of which the kernel provides the
 * part that is touched: so setting a timer does not fail.
 */
#include "common/event/timer.h"

#include <limits.h>
#include <stddef.h>
#include <sys/mman.h>

#include "common/base/panic.h"
#include "common/event/loop.h"
#include "common/sys/clock.h"

/* A deadline beside its timer, so that comparing does not touch the timers. */
struct entry {
    uint64_t at_ms; /* the timer's queued_ms */
    struct timer *timer;
};

enum {
    ENTRIES_MAX = 1 << 24, /* 256 MB of addresses */
    ENTRIES_MIN = 1 << 16, /* where addresses are limited: the least that is worth starting with */
    FAN = 4,
};

static struct entry *heap;
static uint32_t heap_n, heap_cap;

/* Maps as much as the system grants. */
static void
heap_reserve(void)
{
    for (uint32_t cap = ENTRIES_MAX; cap >= ENTRIES_MIN; cap /= 2) {
        void *p = mmap(NULL, cap * sizeof(struct entry), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (p != MAP_FAILED) {
            heap = p;
            heap_cap = cap;
            return;
        }
    }
}

static inline void
put(uint32_t i, struct entry e)
{
    heap[i] = e;
    e.timer->slot = i + 1;
}

static void
sift_up(uint32_t i, struct entry e)
{
    while (i > 0) {
        uint32_t parent = (i - 1) / FAN;

        if (heap[parent].at_ms <= e.at_ms)
            break;
        put(i, heap[parent]);
        i = parent;
    }
    put(i, e);
}

static void
sift_down(uint32_t i, struct entry e)
{
    for (;;) {
        uint32_t first = i * FAN + 1, least = first;
        uint32_t end = first + FAN < heap_n ? first + FAN : heap_n;

        if (first >= heap_n)
            break;
        for (uint32_t c = first + 1; c < end; c++)
            if (heap[c].at_ms < heap[least].at_ms)
                least = c;
        if (e.at_ms <= heap[least].at_ms)
            break;
        put(i, heap[least]);
        i = least;
    }
    put(i, e);
}

static void
heap_remove(struct timer *t)
{
    uint32_t i = t->slot - 1;
    struct entry last = heap[--heap_n];

    t->slot = 0;
    if (last.timer == t)
        return;
    if (i > 0 && last.at_ms < heap[(i - 1) / FAN].at_ms)
        sift_up(i, last);
    else
        sift_down(i, last);
}

/* A timer of 0 ms is due in the next millisecond: one that sets itself again does not hold up the loop. */
void
timer_set(struct timer *t, uint64_t after_ms)
{
    uint64_t deadline = clock_ms + (after_ms > 0 ? after_ms : 1);

    if (UNLIKELY(deadline < clock_ms))
        deadline = UINT64_MAX;
    t->deadline_ms = deadline;
    if (t->slot != 0) {
        if (t->queued_ms <= deadline)
            return;
        t->queued_ms = deadline;
        sift_up(t->slot - 1, (struct entry){ .at_ms = deadline, .timer = t });
        return;
    }
    if (UNLIKELY(heap == NULL))
        heap_reserve();
    ASSERT(heap_n < heap_cap);
    t->queued_ms = deadline;
    sift_up(heap_n++, (struct entry){ .at_ms = deadline, .timer = t });
}

void
timer_forget(struct timer *t)
{
    t->deadline_ms = 0;
    if (t->slot != 0)
        heap_remove(t);
}

/* A lazy timer at the front may wake the loop once for nothing; that is cheaper than to look after it each turn. */
int
timer_next_ms(void)
{
    uint64_t wait;

    if (heap_n == 0)
        return -1;
    wait = heap[0].at_ms > clock_ms ? heap[0].at_ms - clock_ms : 0;
    return wait < INT_MAX ? (int)wait : INT_MAX;
}

void
timer_run(void)
{
    while (heap_n > 0 && heap[0].at_ms <= clock_ms) {
        struct timer *t = heap[0].timer;

        if (t->deadline_ms > clock_ms) { /* pushed back meanwhile */
            t->queued_ms = t->deadline_ms;
            sift_down(0, (struct entry){ .at_ms = t->deadline_ms, .timer = t });
            continue;
        }
        heap_remove(t);
        if (t->deadline_ms == 0) /* stopped */
            continue;
        t->deadline_ms = 0;
        t->on_time(t);
        task_run_ready();
    }
}

void
timer_reset_after_fork(void)
{
    for (uint32_t i = 0; i < heap_n; i++) {
        heap[i].timer->slot = 0;
        heap[i].timer->deadline_ms = 0;
    }
    heap_n = 0;
}
