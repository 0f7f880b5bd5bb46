/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl.h - the tool's side: `weirctl COMMAND`, `weir ctl COMMAND`, and `-s SIGNAL`. */
#ifndef WEIR_MASTER_CTL_H
#define WEIR_MASTER_CTL_H

#include "master/options.h"

/* 0: ok; 1: an error was answered; 2: not understood here; 3: nobody answered. */
int ctl_run(const struct options *o);
/* nginx's exit codes: 0 or 1. */
int ctl_signal(const struct options *o);

/* ---- for commands that have a file of their own ---- */

enum { EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_NO_ANSWER = 3 };

/* Asks the master of the configuration for something that may be long: 0 with *text, from the arena; else an exit status,
 * after saying why. */
int ctl_fetch(const struct options *o, struct str request, struct arena *a, struct str *text);

#endif
