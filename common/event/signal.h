/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signal.h - signals as loop events, through a signalfd. All are blocked from before the first fork on, so none
 * is lost across exec (ARCHITECTURE.md 9).
 */
#ifndef WEIR_EVENT_SIGNAL_H
#define WEIR_EVENT_SIGNAL_H

#include <stdbool.h>

#include "common/base/error.h"

/* Blocks everything but the synchronous faults; SIGCHLD back to default, SIGPIPE ignored. First thing in main. */
void signal_block_all(void);
/* Delivers the listed signals (0 ends) to `on_signal` from the loop. */
bool signal_watch(const int *signals, void (*on_signal)(int sig), struct error *err);
/* In a child: closes the parent's signalfd; the mask stays. */
void signal_reset_after_fork(void);
/* Unblocks all and restores defaults: for a child that execs a foreign program. */
void signal_restore(void);

#endif
