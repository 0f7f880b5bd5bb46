/* SPDX-License-Identifier: BSD-2-Clause */
/* return_lint.h - checks of `return` and redirecting `rewrite` lines, for the table of module return. Inside this room. */
#ifndef WEIR_REWRITE_RETURN_LINT_H
#define WEIR_REWRITE_RETURN_LINT_H

#include "common/conf/lint.h"

extern struct module return_module;
extern const struct lint_check return_checks[];

#endif
