/* SPDX-License-Identifier: BSD-2-Clause */
/* logs.h - log files of all generations: the master opens them, everybody writes. */
#ifndef WEIR_MASTER_LOGS_H
#define WEIR_MASTER_LOGS_H

#include "master/master.h"

/* Notes which files the generation of m->config has, for as long as one of its processes lives. */
void logs_note(struct master *m);
/* Opens all files anew and passes them to the processes of every generation. */
void logs_reopen(struct master *m);
/* In the background, what is written to standard error belongs into the error log. */
void logs_redirect_stderr(const struct master *m);

#endif
