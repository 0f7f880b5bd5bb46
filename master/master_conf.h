/* SPDX-License-Identifier: BSD-2-Clause */
/* master_conf.h - module `core`: the settings of the master and of processes as such. */
#ifndef WEIR_MASTER_CONF_H
#define WEIR_MASTER_CONF_H

#include "common/conf/config.h"
#include "common/module.h"

extern struct module core_module;
/*
 * The pid path that the last load has seen, also of a load that failed: the control tool has to find the master of a
 * configuration that is broken. ptr NULL when there was none. Valid until the next load.
 */
struct str core_seen_pid_path(void);

#endif
