/* SPDX-License-Identifier: BSD-2-Clause */
/* master_conf.h - module `core`: the settings of the master and of processes as such. */
#ifndef WEIR_MASTER_CONF_H
#define WEIR_MASTER_CONF_H

#include "common/conf/config.h"
#include "common/module.h"

extern struct module core_module;

#endif
