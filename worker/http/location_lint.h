/* SPDX-License-Identifier: BSD-2-Clause */
/* location_lint.h - checks of locations and of the files under them; for the table of module http_core. */
#ifndef WEIR_HTTP_LOCATION_LINT_H
#define WEIR_HTTP_LOCATION_LINT_H

#include "common/conf/lint.h"

extern const struct lint_check location_checks[];

/* For `..._temp_path` lines: a directory that is memory, which they are there to save. */
void lint_temp_path(struct conf_load *l, const struct lint_line *at);

#endif
