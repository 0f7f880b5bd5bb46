/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cycle.h - what is one per worker: its configuration, its state, and who wants to hear of a change.
 */
#ifndef WEIR_CORE_CYCLE_H
#define WEIR_CORE_CYCLE_H

#include "common/conf/config.h"

enum worker_state {
    WORKER_STARTING,
    WORKER_SERVING,
    WORKER_DRAINING, /* a successor serves: leave listeners, finish, idle connections live on (ARCHITECTURE.md 9) */
    WORKER_QUITTING, /* no successor: finish what is in flight, close idle connections */
    WORKER_STOPPING, /* end now */
};

/* Set once by worker_run before any module's worker_init (and by unit tests); never NULL afterwards. */
extern struct config *worker_config;
/* Changed by worker.c alone. From DRAINING on a codec says `Connection: close`, GOAWAY. */
extern enum worker_state worker_state;

/* Registers for the life of the worker, from worker_init. Called after each change, in the order of registering. */
void cycle_on_state(void (*fn)(enum worker_state now));
void cycle_set_state(enum worker_state now);

/* Adds lines to the answer to a question of the master (`status`); `question` is its text. */
typedef void (*cycle_answer_fn)(struct str question, struct text *answer);
void cycle_on_ask(cycle_answer_fn fn);
void cycle_answer(struct str question, struct text *answer);

#endif
