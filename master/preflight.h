/* SPDX-License-Identifier: BSD-2-Clause */
/* preflight.h - looks at a configuration without touching what serves: for reloads, and for `-t`. */
#ifndef WEIR_MASTER_PREFLIGHT_H
#define WEIR_MASTER_PREFLIGHT_H

#include "master/master.h"

/*
 * Loads the configuration and tries what only a try can tell: log files, pid file, temporary directories. `texts` in
 * place of files when not NULL. NULL when the report has an error.
 */
struct config *preflight_load(const struct options *o, const struct vec *texts, struct arena *a,
                              struct report *r);
/* The same for log files, pid file and directories of a loaded configuration: log files stay open. */
bool preflight_files(struct config *c, struct report *r);
/* `--preflight=N`: the request comes and the verdict goes through the socket N. Returns the exit status. */
int preflight_run(const struct options *o, int socket);
/* `-t` and `-T`. Returns the exit status. */
int preflight_test(const struct options *o);
/* What a test found, as the options want it. False: it has failed. */
bool preflight_show(const struct options *o, const struct report *r, struct str conf_path);

/*
 * What the master sends: PREFLIGHT_LINT or another word, and `weir-handoff VERSION`, `held` lines, in a memfd. What comes back: messages `part` with a
 * `held` line for each descriptor, then `verdict passed|refused WORKERS PROCESSES` with a memfd of `message` and
 * `file` lines.
 */
/* The checks are to run too. */
#define PREFLIGHT_LINT "lint"
enum { PREFLIGHT_MESSAGE_MAX = 60000 };

#endif
