/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * allow_deny.c - lets clients in or refuses them by address; the first rule that fits decides.
 *
 * Directives: allow, deny.
 */
#include "worker/core/explain.h"
#include "worker/http/http_conf.h"
#include "worker/net/conn.h"

struct access_rule {
    struct cidr network;
    bool deny;
    struct conf_pos pos;
};

struct access_conf {
    struct vec rules; /* of struct access_rule, in text order */
};

extern struct module allow_deny_module;

static enum phase_result
access_check(struct exchange *x)
{
    const struct access_conf *c = scope_conf(x->scope, &allow_deny_module);
    const struct addr *client = conn_client(x);

    if (client == NULL) /* the client has gone */
        return PHASE_NEXT;
    VEC_FOREACH (rule, struct access_rule, &c->rules) {
        if (!cidr_match(&rule->network, client))
            continue;
        EXPLAIN("phase", rule->pos, "access: the rule fits the client");
        if (!rule->deny)
            return PHASE_ALLOW;
        if (http_conf(x->scope)->satisfy == SATISFY_ALL)
            xlog(x, LOG_LEVEL_ERROR, 0, "access forbidden by rule");
        return phase_deny(x, 403);
    }
    return PHASE_NEXT;
}

static bool
access_wanted(const struct scope *s)
{
    return ((const struct access_conf *)scope_conf(s, &allow_deny_module))->rules.len > 0;
}

static bool
access_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_conf *c = conf;
    struct access_rule *rule;
    bool low_bits = false;

    if (c->rules.size == 0)
        vec_init(&c->rules, conf_arena(l), sizeof(struct access_rule));
    rule = VEC_PUSH(&c->rules, struct access_rule);
    if (rule == NULL)
        return conf_fail(l, n, 0, "out of memory");
    rule->pos = n->pos;
    rule->deny = str_eq(str_c(d->name), S("deny"));
    if (!cidr_parse(n->args[1], &rule->network, &low_bits))
        return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    if (low_bits)
        conf_warn(l, n, 1, "low address bits of %.*s are meaningless", STR(n->args[1]));
    return true;
}

enum { ANYWHERE = CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LMT };

static const struct directive access_directives[] = {
    D_CALL("allow", ANYWHERE, ARGS(1, 1), access_set, FIELD(struct access_conf, rules),
           .inherit = I_LIST),
    D_CALL("deny", ANYWHERE, ARGS(1, 1), access_set, FIELD(struct access_conf, rules),
           .inherit = I_LIST),
    D_END
};

static const struct phase_entry access_phases[] = { { .phase = HTTP_ACCESS,
                                                      .run = access_check,
                                                      .wanted = access_wanted,
                                                      .order = ORDER_ALLOW_DENY },
                                                    { 0 } };

struct module allow_deny_module = {
    .name = "allow_deny",
    .conf_size = sizeof(struct access_conf),
    .directives = access_directives,
    .phases = access_phases,
};
