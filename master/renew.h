/* SPDX-License-Identifier: BSD-2-Clause */
/* renew.h - files that are watched: when they change, what is in them is passed to the workers without a reload. */
#ifndef WEIR_MASTER_RENEW_H
#define WEIR_MASTER_RENEW_H

#include "master/master.h"

/* Watches what m->config names, in place of what was watched before. What has changed since it was loaded is noticed. */
void renew_begin(struct master *m);
void renew_end(struct master *m);
/* In a child. */
void renew_forget(struct master *m);

#endif
