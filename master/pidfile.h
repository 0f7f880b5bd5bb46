/* SPDX-License-Identifier: BSD-2-Clause */
/* pidfile.h - the pid file, and the names of the control socket and the start lock beside it. */
#ifndef WEIR_MASTER_PIDFILE_H
#define WEIR_MASTER_PIDFILE_H

#include <sys/types.h>

#include "common/base/arena.h"
#include "common/base/error.h"

/* `X.pid` gives `X` and the suffix, any other name has it appended. With a NUL behind it; ptr NULL: memory. */
struct str pidfile_sibling(struct arena *a, struct str pid_path, const char *suffix);
/* Whether it can be written; changes nothing. */
bool pidfile_check(const char *path, struct error *err);
/* Atomically where the directory allows it: a reader never sees it empty. */
bool pidfile_write(const char *path, struct error *err);
/* Only if it names this process. */
void pidfile_remove(const char *path);
/* The process it names; 0 and nginx's reason when there is none. */
pid_t pidfile_read(const char *path, struct error *err);

#endif
