/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * timer.h - lazy timers in milliseconds of the monotonic clock (clock_ms).
 *
 * To push a deadline back is a store: the queue is touched only when the timer fires too early or is moved
 * forward.
 */
#ifndef WEIR_EVENT_TIMER_H
#define WEIR_EVENT_TIMER_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded in its owner, zeroed before first use. */
struct timer {
    void (*on_time)(struct timer *t);
    uint64_t deadline_ms; /* 0: not set */
    uint64_t queued_ms;   /* where it stands in the queue; <= deadline_ms */
    uint32_t slot;        /* index in the queue + 1; 0: not queued */
};

/* Fires once, `after_ms` from now; set again while pending moves it. */
void timer_set(struct timer *t, uint64_t after_ms);
/* Not pending any more. Stays in the queue lazily: before its memory goes, timer_forget. */
static inline void
timer_stop(struct timer *t)
{
    t->deadline_ms = 0;
}
/* Stops it and takes it out of the queue. Harmless on one that never ran. */
void timer_forget(struct timer *t);
static inline bool
timer_pending(const struct timer *t)
{
    return t->deadline_ms != 0;
}

/* The loop's part: milliseconds to the first queued timer (-1: none), and run what is due. */
int timer_next_ms(void);
void timer_run(void);
void timer_reset_after_fork(void);

#endif
