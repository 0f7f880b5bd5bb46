/* SPDX-License-Identifier: BSD-2-Clause */
/* tree.h - the text as nested directives, with what `include` names in its place. */
#ifndef WEIR_CONF_TREE_H
#define WEIR_CONF_TREE_H

#include "common/conf/load.h"

/*
 * Reads -g and the main file into config->tree. False after a mistake in the syntax, which ends the reading: the
 * tree then holds what stands before it.
 */
bool tree_read(struct conf_load *l);
/* The words of a default as a directive without a place; NULL: memory, or no words. */
struct conf_node *tree_default(struct conf_load *l, const char *name, const char *initial);

#endif
