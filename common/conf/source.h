/* SPDX-License-Identifier: BSD-2-Clause */
/* source.h - where the text comes from: files, or the texts of a hand-over. */
#ifndef WEIR_CONF_SOURCE_H
#define WEIR_CONF_SOURCE_H

#include "common/conf/load.h"

enum { SOURCE_NONE = UINT32_MAX };

/* Before anything is read. */
bool source_start(struct conf_load *l);
/*
 * The index in config->files of a path's text, read once. `n` is the `include` that names it, NULL for the main file.
 * SOURCE_NONE after saying why.
 */
uint32_t source_file(struct conf_load *l, struct str path, const struct conf_node *n);
/* The text of -g as a file of its own; SOURCE_NONE also when there is none. */
uint32_t source_globals(struct conf_load *l);
/* The paths that match, sorted, appended to `paths` (of struct str). False after saying why. */
bool source_glob(struct conf_load *l, struct str pattern, const struct conf_node *n,
                 struct vec *paths);

#endif
