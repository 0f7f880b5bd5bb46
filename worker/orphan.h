/* SPDX-License-Identifier: BSD-2-Clause */
/* orphan.h - life of a worker without a master. ARCHITECTURE.md 9. */
#ifndef WEIR_ORPHAN_H
#define WEIR_ORPHAN_H

#include "common/inherit.h"

/* Watches the master. When it has died this worker serves on and answers on the control listener; `stop` ends it. */
void orphan_watch(const struct inherit *in, void (*stop)(void));
bool orphan_is(void);
/* A new master has told this worker to leave: it has the control listener from now on. */
void orphan_leave(void);

#endif
