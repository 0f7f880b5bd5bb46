/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offload.h - a small thread pool for work that would block the loop. No zone lock is ever taken in it.
 */
#ifndef WEIR_EVENT_OFFLOAD_H
#define WEIR_EVENT_OFFLOAD_H

#include <stdbool.h>

#include "common/base/list.h"
#include "common/base/str.h"

/* Embedded in the memory that `work` uses; that memory lives until `done` was called. */
struct offload {
    void (*work)(struct offload *o); /* in a thread: touches only what its owner gave it */
    void (*done)(struct offload *o); /* in the loop */
    struct list node;
};

struct offload_pool;
/* Threads start with the first job of the process. max_queue: jobs that may wait; NULL when memory is out. */
struct offload_pool *offload_pool_new(struct str name, unsigned threads, unsigned max_queue);
/* The newest of that name; "default" is made when nobody has: 32 threads, 65536 jobs. NULL: there is none. */
struct offload_pool *offload_pool_find(struct str name);
/* False when the queue is full or no thread could be started: the caller does the work itself. */
bool offload_start(struct offload_pool *pool, struct offload *o);
/* The pool named "default". */
struct offload_pool *offload_default(void);
/* The loop's part, in a forked child: the threads and jobs of the parent are not there. */
void offload_reset_after_fork(void);

#endif
