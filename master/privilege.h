/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.h - what a child inherits of the master's rights and surroundings, and what the master prepares for the
 * workers' user. The change of user itself is worker_run's.
 */
#ifndef WEIR_MASTER_PRIVILEGE_H
#define WEIR_MASTER_PRIVILEGE_H

#include "common/conf/config.h"
#include "master/kept.h"
#include "master/report.h"

/*
 * In the child, while it still has the rights of the master: descriptor limit (that of the first start, which the
 * master raised for itself, or the configured one), core size, priority, CPUs, directory. False when the child cannot
 * serve (logged); what else fails is logged and left as it is, as in nginx.
 */
bool privilege_limits(const struct config *c, const struct kept *k, uint32_t index, bool worker);
/* In the child: replaces the environment by what `env` lines and TZ say. */
void privilege_environment(const struct config *c, const struct kept *k);
/* Makes the temporary directories of the configuration, owned by the workers' user. False with a report. */
bool privilege_temp_dirs(const struct config *c, struct report *r);

#endif
