/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lint_vars.h - what checks may know of the values of variables: the constants that a configuration gives them, and
 * whether bytes of the decoded path can be in them.
 */
#ifndef WEIR_HTTP_LINT_VARS_H
#define WEIR_HTTP_LINT_VARS_H

#include "common/conf/lint.h"
#include "common/module.h"

/*
 * The first variable or capture of `text`, a value at this line, that brings bytes of the decoded path with it: $uri, a
 * group of a location's pattern that matches blanks and control bytes, or what was set from these. False: none.
 */
bool lint_decoded(struct conf_load *l, const struct lint_line *at, struct str text,
                  struct str *variable);
/* The same for argument `arg` of the line, said with `where` it gets into, and what to write instead. */
void lint_say_decoded(struct conf_load *l, const struct lint_line *at, int arg, const char *where,
                      const char *instead);

/* Takes a value; false ends the walk. */
typedef bool (*lint_value_fn)(void *data, struct str value);
/*
 * Gives `fn` each value that `text` can have, with its first variable replaced by what `map`, `split_clients`, `geo` and
 * `set` say. False: a variable of it has values that are not known.
 */
bool lint_values(struct conf_load *l, struct str text, lint_value_fn fn, void *data);

/* The next variable of a text from *at on, "$name" or "${name}" or "$1": moves *at behind it. False: there is none. */
bool lint_next_variable(struct str text, size_t *at, struct str *name);

#endif
