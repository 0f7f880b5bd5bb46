/* SPDX-License-Identifier: BSD-2-Clause */
/* signals.h - signals to the master, as events of its lifecycle. */
#ifndef WEIR_MASTER_SIGNALS_H
#define WEIR_MASTER_SIGNALS_H

#include "master/master.h"

/* They are blocked since before the first fork and wait in the kernel until here. */
bool signals_watch(struct master *m, struct error *err);
/* In a child. */
void signals_forget(void);
/* SIGTERM for "stop" and so on; 0 for an unknown name. */
int signals_by_name(const char *name);

#endif
