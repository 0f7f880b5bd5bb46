/* SPDX-License-Identifier: BSD-2-Clause */
/* names.h - names of contexts, and of the modules that bring directives which weir does not have. */
#ifndef WEIR_CONF_NAMES_H
#define WEIR_CONF_NAMES_H

#include "common/base/text.h"

/* "http, server, location" with `between` in between, each name once, as nginx's documentation has them. */
void names_contexts(struct text *t, uint32_t contexts, const char *between);
/* The module that a directive belongs to elsewhere: "the Lua module (lua-nginx-module, OpenResty)"; NULL: unknown. */
const char *names_foreign(struct str directive);

#endif
