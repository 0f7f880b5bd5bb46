/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lint.h - checks of a configuration that loads: what is allowed, and not what was meant.
 *
 * A module lists its checks in a table (module.h: lint). They run after a load without errors, when the options ask for
 * them, over the lines in the order of the text; what they find is a warning, never an error.
 */
#ifndef WEIR_CONF_LINT_H
#define WEIR_CONF_LINT_H

#include "common/conf/directive.h"

/* A line of the text while it is looked at. */
struct lint_line {
    const struct conf_node *node;
    struct scope *scope;           /* in which it stands */
    const struct lint_line *outer; /* the line whose block it is in; NULL: none */
};

typedef void (*lint_fn)(struct conf_load *l, const struct lint_line *at);

/* A table of these ends with a zeroed row. */
struct lint_check {
    const char *id;        /* "alias-slash": begins the messages, names the check for tools */
    const char *directive; /* whose lines it looks at */
    lint_fn run;
};

/*
 * Says what the check found at argument `arg` of a line (0: its name; -1: its end). conf_hint() adds what to write
 * instead.
 */
void lint_say(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
    PRINTF(4, 5);
void lint_say_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* "FILE:LINE", for messages that name a second place. In the load's memory. */
struct str lint_place(struct conf_load *l, struct conf_pos pos);
/* The first line of the block (of the file for the outermost level). */
const struct conf_node *lint_first(struct conf_load *l, const struct lint_line *outer);
/* The next line from `n` on (itself included) with this name; NULL: none. */
const struct conf_node *lint_find(const struct conf_node *n, const char *name);
/*
 * The lines of this name in a block (at the outermost level, if NULL), of const struct conf_node *. Remembered, as
 * thousands of blocks have the same outer level. NULL: memory.
 */
const struct vec *lint_lines(struct conf_load *l, const struct lint_line *outer, const char *name);
/* The module's memory during this run, zeroed at first; NULL: memory. */
void *lint_state(struct conf_load *l, const struct module *m, size_t size);

/*
 * For lists that a level replaces as a whole: says which lines of the outer level do not hold any more because this
 * block has some of its own. Lines with the same first argument (case does not count) are not lost but replaced. False:
 * none is lost.
 */
bool lint_lost_lines(struct conf_load *l, const struct lint_line *at);

#endif
