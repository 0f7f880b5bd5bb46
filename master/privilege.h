/* SPDX-License-Identifier: BSD-2-Clause */
/* privilege.h - what a child may: limits, priority, CPUs, environment. The change of user is worker_run's. */
#ifndef WEIR_MASTER_PRIVILEGE_H
#define WEIR_MASTER_PRIVILEGE_H

#include "common/conf/config.h"
#include "master/kept.h"

/* In the child, while it still is the master's user. What fails is logged and left as it is, as nginx does. */
void privilege_limits(const struct config *c, const struct kept *k, uint32_t index, bool worker);
/* Replaces the environment by what `env` lines and TZ say. */
void privilege_environment(const struct config *c, const struct kept *k);
/* Makes the temporary directories of the configuration, owned by the workers' user. False with a report. */
struct report;
bool privilege_temp_dirs(const struct config *c, struct report *r);

#endif
