/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.h - one event loop per process.
 *
 * A turn: (1) each event's callback, after it the ready list until empty (bounded per turn, round robin);
 * (2) timers; (3) the flush list; (4) end-of-turn hooks; (5) the wait, with timeout 0 while the ready list has
 * entries. The loop knows neither exchange nor connection: all of these are callbacks.
 */
#ifndef WEIR_EVENT_LOOP_H
#define WEIR_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/list.h"

enum loop_bits { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4, LOOP_ERROR = 8 };

/* A descriptor in the loop; embedded in its owner. Zeroed before first use. */
struct watch {
    void (*on_event)(struct watch *w, unsigned bits); /* bits of enum loop_bits that are new */
    int fd;
    bool added;
    uint16_t stamp; /* the loop's: tells events of this registration from those of an earlier one */
};

bool loop_init(struct error *err);
/* In a forked child that wants a loop of its own: forgets everything inherited (the parent's is untouched). */
bool loop_reset_after_fork(struct error *err);
void loop_fini(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);
/* One turn, waiting at most max_wait_ms (-1: until something happens). For tests and for states that poll. */
void loop_turn(int max_wait_ms);

/* Edge-triggered, all directions, once for the life of the descriptor. False with errno. */
bool loop_add(struct watch *w, int fd);
/* What is ready now is told in a later turn, though it is not new: for who stops early to let others have their turn. */
void loop_again(struct watch *w);
/* Level-triggered reading, for listeners, channels and signals; exclusive: EPOLLEXCLUSIVE. */
bool loop_add_level(struct watch *w, int fd, bool exclusive);
/*
 * Ends the watch; before close(). Its callback is not called again, not even for events of the current batch. The
 * memory of `w` has to stay until the end of the turn: give it to loop_defer_free, or keep it.
 */
void loop_del(struct watch *w);
/* The same for a descriptor that is closed right after, and of which no other process and nobody else has a copy: close()
 * itself takes it out, which saves a system call. */
void loop_forget(struct watch *w);

/* A callback to come. Zeroed before first use; on at most one of the lists. */
struct task {
    struct list node;
    void (*run)(struct task *t);
};
/* Runs after the current callback, or in the next turn when the turn's bound is used up. Again is harmless. */
void task_ready(struct task *t);
/* Runs what is ready, within the turn's bound; after each callback. For those who call back: loop, timers. */
void task_run_ready(void);
/* Runs once before the next wait, after timers. Again is harmless. */
void task_flush(struct task *t);
/* Takes it off its list; harmless when it is on none. */
void task_cancel(struct task *t);

/* End-of-turn hooks run every turn in the order of adding, for ever. */
void loop_hook(struct task *t);
/* Calls free_fn(ptr) at the end of the turn, when no event of this batch can refer to it any more. */
void loop_defer_free(void (*free_fn)(void *), void *ptr);

#endif
