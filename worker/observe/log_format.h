/* SPDX-License-Identifier: BSD-2-Clause */
/* log_format.h - formats of the access log: compiled at load, a line for each request. Inside this room only. */
#ifndef WEIR_OBSERVE_LOG_FORMAT_H
#define WEIR_OBSERVE_LOG_FORMAT_H

#include "worker/core/var.h"

struct log_format;

/* Those of one configuration. */
struct log_formats {
    struct vec all; /* of struct log_format * */
};

/* With `combined`. False: memory, said. */
bool log_formats_init(struct conf_load *l, struct log_formats *f);
/* A `log_format` line. False after conf_fail. */
bool log_format_define(struct conf_load *l, struct log_formats *f, const struct conf_node *n);
/* `json` is made at its first use unless the configuration has one of its own: so when all lines are known. NULL: there
 * is none of that name, or no memory. */
const struct log_format *log_format_find(struct conf_load *l, struct log_formats *f,
                                         struct str name);
/* Appends the line without its end. */
void log_format_line(struct exchange *x, const struct log_format *f, struct text *t);

#endif
