/* SPDX-License-Identifier: BSD-2-Clause */
/* cycle.c - the worker's configuration and state, and the callbacks on a change. */
#include "worker/core/cycle.h"

enum {
    CYCLE_CALLBACKS = 32
}; /* registered by modules of this build, so known when they are written */

struct config *worker_config;
enum worker_state worker_state = WORKER_STARTING;

static void (*state_callbacks[CYCLE_CALLBACKS])(enum worker_state now);
static unsigned state_callback_count;
static cycle_answer_fn answer_callbacks[CYCLE_CALLBACKS];
static unsigned answer_callback_count;

void
cycle_on_state(void (*fn)(enum worker_state now))
{
    ASSERT(state_callback_count < CYCLE_CALLBACKS);
    state_callbacks[state_callback_count++] = fn;
}

void
cycle_set_state(enum worker_state now)
{
    worker_state = now;
    for (unsigned i = 0; i < state_callback_count; i++)
        state_callbacks[i](now);
}

void
cycle_on_ask(cycle_answer_fn fn)
{
    ASSERT(answer_callback_count < CYCLE_CALLBACKS);
    answer_callbacks[answer_callback_count++] = fn;
}

void
cycle_answer(struct str question, struct text *answer)
{
    for (unsigned i = 0; i < answer_callback_count; i++)
        answer_callbacks[i](question, answer);
}
