/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * var.h - variables: registration, look-up by index, the cache of an exchange tree.
 *
 * Values are cached in the root and shared by the tree; internal redirects keep them. Volatile variables are computed
 * once per expanded template, not per use.
 */
#ifndef WEIR_CORE_VAR_H
#define WEIR_CORE_VAR_H

#include "common/conf/config.h"

struct exchange;

struct var_value {
    struct str text; /* valid as long as the exchange tree's memory; empty when not found */
    bool found;      /* false: "not found": logs print '-', templates nothing */
};

enum {
    VAR_CACHED = 0,
    VAR_VOLATILE = 1, /* may change during the exchange: computed for each template */
    VAR_SETTABLE = 2, /* the row has a setter: `set $args`, `set $limit_rate` */
    VAR_PREFIX =
        4, /* name is a prefix (`arg_`, `http_`): the getter's data is a struct str *, the rest of the name */
    VAR_STREAM = 8, /* also in stream {}; without: http only */
    VAR_STREAM_ONLY = 16,
    VAR_CHANGEABLE = 32, /* map, set and geo may define a variable of this name again */
    VAR_WEAK =
        64, /* of var_define: for names that nothing else defines; another getter stays, or takes its place */
    VAR_OF_CONN =
        128, /* asks the client's connection, which leaves before a detached child may be done */
};

/* Fills *v (zeroed before: not found). `data` is the row's, or for a prefix the rest of the name (struct str *). */
typedef void (*var_get_fn)(struct exchange *x, struct var_value *v, const void *data);
typedef void (*var_set_fn)(struct exchange *x, struct str value, const void *data);

/* A row of a module's variable table; ends with a zeroed row. */
struct variable {
    const char *name;
    var_get_fn get;
    uint32_t flags;
    var_set_fn set;
    const void *data;
};

/* Load time. The index of `name` (without '$', any case), for use at `pos`; unknown names fail at the end of loading
 * with `unknown "name" variable`, file:line and a suggestion. */
uint32_t var_index(struct conf_load *l, struct str name, struct conf_pos pos);
/* Defines a variable of the configuration (map, set, geo ...). False after conf_fail: it is a built-in one that may
 * not change. get may be NULL for `set`: the cache alone holds it. Defined again with the same get: the same index. */
bool var_define(struct conf_load *l, const struct conf_node *n, int arg, struct str name,
                uint32_t flags, var_get_fn get, var_set_fn set, const void *data, uint32_t *index);
/* At the end of a load: all referenced names are known; sizes the cache. Called by the loader's last module. */
bool var_check(struct conf_load *l);

/* Run time. Cached per tree. Never NULL text when found. */
struct var_value var_get(struct exchange *x, uint32_t index);
/* `set`, auth_request_set ...: stores in the cache, or calls the row's setter. The text lives in x's memory. */
void var_set(struct exchange *x, uint32_t index, struct str value);
/* By name at run time (SSI, tests): not found when the configuration knows no such variable. */
struct var_value var_get_named(struct exchange *x, struct str name);
/* Looks up all of VAR_OF_CONN that the configuration mentions, for children that have no connection. */
void var_keep_of_conn(struct exchange *x);
/* Forgets a cached value whose reason has changed: the next use computes it. */
void var_forget_named(struct exchange *x, struct str name);
/* Forgets volatile values. A template does so by itself at its start. */
void var_new_round(struct exchange *x);
/* Around the expansion of a template: between them a volatile variable is computed once. Nests. */
void var_template_begin(struct exchange *x);
void var_template_end(struct exchange *x);
/* Helper for getters: found, text. */
static inline void
var_found(struct var_value *v, struct str text)
{
    v->found = true;
    v->text = text;
}
/* Found, with the decimal number written into the exchange's memory. */
void var_number(struct exchange *x, struct var_value *v, uint64_t n);

#endif
