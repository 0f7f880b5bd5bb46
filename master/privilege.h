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

/* In the child: the descriptor limit of the first start, which the master raised for itself. */
void privilege_lower_nofile(const struct kept *k);
/* In the child: replaces the environment by what `env` lines and TZ say. */
void privilege_environment(const struct config *c, const struct kept *k);
/* Makes the temporary directories of the configuration, owned by the workers' user. False with a report. */
bool privilege_temp_dirs(const struct config *c, struct report *r);

#endif
