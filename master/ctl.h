/* SPDX-License-Identifier: BSD-2-Clause */
/* ctl.h - the tool's side: `weirctl COMMAND`, `weir ctl COMMAND`, and `-s SIGNAL`. */
#ifndef WEIR_MASTER_CTL_H
#define WEIR_MASTER_CTL_H

#include "master/options.h"

/* 0: ok; 1: an error was answered; 2: not understood here; 3: nobody answered. */
int ctl_run(const struct options *o);
/* nginx's exit codes: 0 or 1. */
int ctl_signal(const struct options *o);

#endif
