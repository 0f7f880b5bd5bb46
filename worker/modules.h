/* SPDX-License-Identifier: BSD-2-Clause */
/* modules.h - the modules of the worker as an array: modules.def, expanded. */
#ifndef WEIR_MODULES_H
#define WEIR_MODULES_H

#include "common/base/text.h"
#include "common/module.h"

extern struct module *const worker_modules[]; /* ends with NULL */

/* One line for each variable, for --directives: config_dump_variables, as common/ does not know what a variable is. */
void modules_dump_variables(struct text *t);

#endif
