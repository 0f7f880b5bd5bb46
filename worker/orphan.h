/* SPDX-License-Identifier: BSD-2-Clause */
/* orphan.h - life of a worker without a master. ARCHITECTURE.md 9. */
#ifndef WEIR_ORPHAN_H
#define WEIR_ORPHAN_H

#include "common/inherit.h"

/* Watches the master. When it has died this worker serves on and answers on the control listener; `stop` ends it. */
void orphan_watch(struct inherit *in, void (*stop)(void));
bool orphan_is(void);
/* This worker drains or ends. It has no listeners that a new master could take over, so it leaves the control listener
 * to those that have, also when the master dies later. */
void orphan_leave(void);

#endif
