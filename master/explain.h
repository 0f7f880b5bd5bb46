/* SPDX-License-Identifier: BSD-2-Clause */
/* explain.h - `weirctl explain`: the tool's side, and the process that the master forks for the running configuration. */
#ifndef WEIR_MASTER_EXPLAIN_H
#define WEIR_MASTER_EXPLAIN_H

#include "master/ctl.h"
#include "master/master.h"

/* worker_explain; main.c sets it. */
extern bool (*explain_entry)(struct config *c, struct str question, struct text *answer);

/*
 * Forks a process that explains with the configuration that serves, and answers on `fd` itself: `ok` with a sealed memfd
 * that holds the story, or an error. The caller closes its own descriptor. False: err says why there is no process, and
 * *busy whether there may be one soon.
 */
bool explain_fork(struct master *m, int fd, struct str question, bool *busy, struct error *err);
/* One that was forked for it may have ended. */
void explain_on_exit(pid_t pid);

/* The command; `words` are what follows it on the command line. Returns the exit status. */
int explain_command(const struct options *o, char **words);

#endif
