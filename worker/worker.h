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

/*
 * Tells what would become of a request: `weirctl explain`. For a process that does nothing else and ends afterwards, with
 * a loop, and with the rights of the master. Nothing outside of it changes. `question` is a line of
 * common/ipc/lines.h: 1 for JSON, 1 for TLS, host, port, the client's address, the request. False: `answer` is why not.
 */
bool worker_explain(struct config *c, struct str question, struct text *answer);

#endif
