/* SPDX-License-Identifier: BSD-2-Clause */
/* apply.h - the tree and the tables of the modules become scopes with structs. */
#ifndef WEIR_CONF_APPLY_H
#define WEIR_CONF_APPLY_H

#include "common/conf/load.h"

/* A row of a module's table, with what the load keeps about it. */
struct row {
    const struct directive *d;
    struct module *module;
    struct row *next;        /* another row of the same name */
    struct row *list;        /* I_LIST: the row that stands for all with this field */
    uint32_t seen_in;        /* id + 1 of the scope that has it last */
    uint32_t begun_in;       /* the same for the field of `list` */
    struct conf_pos seen_at; /* where */
};

/* A field that inner scopes do not inherit. */
struct row_reset {
    uint16_t module;
    bool inner; /* I_INNER: `if` and `limit_except` do */
    size_t offset, size;
};

struct row_table {
    struct hash by_name; /* to struct row, the first of its name */
    struct row *rows;
    uint32_t n;
    struct vec resets;  /* of struct row_reset */
    uint32_t *contexts; /* by module: where its rows may stand, together */
    bool *created;      /* by module: scratch of scope_enter */
};

/* Reads the tables of all modules. False: memory. */
bool apply_start(struct conf_load *l);
/* All rows of all levels. */
void apply_tree(struct conf_load *l);
/* finish and loaded of the modules; after errors only what can find further ones. */
void apply_finish(struct conf_load *l);

/* ---- hints.c ---- */

/* Says that no row has this name, and which may be meant: returned; NULL: none. */
struct row *hint_unknown(struct conf_load *l, const struct conf_node *n, const struct scope *s);
/* After the message that a directive is not allowed in the scope: where it is, and whether a '}' may be missing. */
void hint_contexts(struct conf_load *l, const struct row *r, const struct scope *s);
/* After a message about a directive that spans lines: where a ';' may be missing. */
void hint_semicolon(struct conf_load *l, const struct conf_node *n);

/* ---- scope.c ---- */

/* A scope that is not entered yet: its conf is NULL. NULL: memory. */
struct scope *scope_new(struct conf_load *l, enum scope_kind kind, struct scope *parent);
/* Fills conf: what it inherits, and the structs of the modules for which it is the outermost scope. */
bool scope_enter(struct conf_load *l, struct scope *s);
/* Whether the module's struct of the scope is another one than the parent's. */
bool scope_owns(const struct conf_load *l, const struct scope *s, const struct module *m);

#endif
