/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * template.h - "text with $variables", compiled at load to a short program, expanded per exchange. Constants stay
 * constants.
 */
#ifndef WEIR_CORE_TEMPLATE_H
#define WEIR_CORE_TEMPLATE_H

#include "worker/core/var.h"

struct template_part;
struct template
{
    struct str text;             /* as written; the value when n is 0 */
    struct template_part *parts; /* literal, variable, capture ($1 .. $9) */
    uint32_t n;                  /* parts; 0: constant */
    bool set;                    /* false: the directive was not given */
};

/* `arg` is the argument of the node that holds the text, for the caret. False after conf_fail. */
bool template_compile(struct conf_load *l, const struct conf_node *n, int arg, struct str text,
                      struct template *t);
/* For a text without a node. */
bool template_compile_at(struct conf_load *l, struct conf_pos pos, struct str text,
                         struct template *t);
static inline bool
template_is_const(const struct template *t)
{
    return t->n == 0;
}
/* Whether it refers to captures ($1): the caller has to have a regular expression. */
bool template_has_captures(const struct template *t);
/* The value; a constant is returned as it is, else it is built in x's memory. ptr NULL: memory is out. NUL behind. */
struct str template_expand(struct exchange *x, const struct template *t);
void template_append(struct exchange *x, const struct template *t, struct text *to);
/* $1 .. $9 of the exchange's last match: set by the owner of the kind (http/request.c). */
extern struct str (*template_capture)(struct exchange *x, unsigned group);

/* One argument into a struct template field. */
bool conf_set_template(struct conf_load *l, const struct directive *d, struct conf_node *n,
                       void *conf);
#define D_TEMPLATE(nm, ctx, T, f, ...)                                                  \
    {                                                                                   \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_template, FIELD(T, f), \
        __VA_ARGS__                                                                     \
    }

/* Strings that are conditions: appended to a struct vec of struct template; a row at an inner level begins anew. */
bool conf_set_conditions(struct conf_load *l, const struct directive *d, struct conf_node *n,
                         void *conf);
/* Whether all of them are neither empty nor "0"; true for none. */
bool conditions_hold(struct exchange *x, const struct vec *conditions);
/* Whether one of them is; false for none. */
bool conditions_any(struct exchange *x, const struct vec *conditions);

#endif
