/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * texts.h - the texts of the configuration that serves and of the good one before it: for `weirctl diff` and `rollback`.
 */
#ifndef WEIR_MASTER_TEXTS_H
#define WEIR_MASTER_TEXTS_H

#include "master/master.h"

/* A new generation serves m->config: what served before becomes what a rollback brings back, if it was another text. */
void texts_settle(struct master *m);
/* Lines for the hand-over, and back: `back` for each file, `rolled`. */
void texts_put(const struct master *m, struct text *t);
bool texts_get(struct master *m, struct str key, struct str fields);
/* What orphans serve, by the state that their master left with them. Nothing when it is not certain that a master of our
 * user wrote it. */
void texts_adopt(struct master *m, int state_fd);
/* A sealed memfd with what serves, for the tool: lines `prefix`, `conf` and `file`. -1: err says why. */
int texts_memfd(const struct master *m, struct error *err);

#endif
