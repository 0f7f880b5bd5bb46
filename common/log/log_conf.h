/* SPDX-License-Identifier: BSD-2-Clause */
/* log_conf.h - the error log that holds in a scope. */
#ifndef WEIR_LOG_LOG_CONF_H
#define WEIR_LOG_LOG_CONF_H

#include "common/module.h"

/* Module `log`: error_log. */
extern struct module log_module;

/* After load; never NULL then. Lives as long as the configuration. */
struct log *log_of_scope(const struct scope *s);

#endif
