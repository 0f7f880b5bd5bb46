/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * set.c - gives a variable a value: one of the configuration's own, or a built-in one that can be set ($args ...).
 *
 * Directive: set.
 */
#include "worker/core/explain.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"
#include "worker/http/rewrite.h"
#include "worker/rewrite/rewrite.h"

struct set_rule {
    uint32_t variable;
    struct template value;
    struct conf_pos pos;
};

static enum rewrite_step
set_run(struct request *r, const void *data, enum phase_result *result)
{
    const struct set_rule *rule = data;
    struct str value = template_expand(&r->x, &rule->value);

    if (value.ptr == NULL) {
        *result = phase_respond(&r->x, 500);
        return REWRITE_STOP;
    }
    EXPLAIN("rewrite", rule->pos, "the value is \"%.*s\"", STR(value));
    var_set(&r->x, rule->variable, value);
    return REWRITE_NEXT;
}

/* The value as long as no `set` has been run. */
static void
set_get_unset(struct exchange *x, struct var_value *v, const void *data)
{
    const struct str *name = data;

    if (rewrite_warns(x))
        xlog(x, LOG_LEVEL_WARN, 0, "using uninitialized \"%.*s\" variable", STR(*name));
    var_found(v, S(""));
}

static bool
set_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct set_rule *rule = ARENA_NEW(conf_arena(l), struct set_rule);
    struct str *name = ARENA_NEW(conf_arena(l), struct str);

    (void)d, (void)conf;
    if (rule == NULL || name == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (n->args[1].len < 2 || n->args[1].ptr[0] != '$')
        return conf_fail(l, n, 1, "invalid variable name \"%.*s\"", STR(n->args[1]));
    rule->pos = n->pos;
    *name = str_from(n->args[1], 1);
    if (!var_define(l, n, 1, *name, VAR_WEAK, set_get_unset, NULL, name, &rule->variable) ||
        !template_compile(l, n, 2, n->args[2], &rule->value))
        return false;
    return rewrite_append(l, set_run, rule) || conf_fail(l, n, 0, "out of memory");
}

static const struct directive set_directives[] = {
    D_CALL("set", CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF, ARGS(2, 2), set_set, .repeat = true), D_END
};

struct module set_module = {
    .name = "set",
    .directives = set_directives,
};
