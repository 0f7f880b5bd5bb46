/* SPDX-License-Identifier: BSD-2-Clause */
/* start.h - what an image does before it comes to the loop, and when its first generation serves. */
#ifndef WEIR_MASTER_START_H
#define WEIR_MASTER_START_H

#include "master/master.h"

/* `master_process off`: this process serves by itself. Returns the exit status. */
int start_single(struct kept *k, const struct options *o, struct config *c);
/* The pid file of m->config; that of another path, from before, goes. */
bool start_write_pid(struct master *m, struct error *err);
/* A cold start is complete: tells who waits for it. */
void start_done(struct master *m);
/* In the background: standard input and output lead to nowhere, standard error to the error log. */
void start_leave_terminal(const struct master *m);
/* HOLD: loads the texts that served last, and replaces who has died meanwhile. m->config is NULL if that fails. */
void start_last_good(struct master *m);

#endif
