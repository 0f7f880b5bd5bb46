/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * worker.h - the entry of a worker process: initialise modules, run the loop, drain, exit.
 */
#ifndef WEIR_WORKER_H
#define WEIR_WORKER_H

#include "common/inherit.h"
#include "worker/core/cycle.h"

/*
 * Runs a worker in this process, which has its channel, slot and mask but still the master's user. Returns the exit
 * status when the worker has ended. Called by the master in a forked child, and directly for `master_process off`:
 * then channel_fd is -1, master_pid 0, the loop is the caller's and signals come to the worker itself.
 */
int worker_run(struct inherit *in);

#endif
