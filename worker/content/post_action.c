/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * post_action.c - a request to another location when the answer to one is through; nobody waits for it.
 *
 * A detached subrequest from the log phase. It sees the variables of the request as they are then.
 *
 * Directive: post_action.
 */
#include "worker/http/http_conf.h"
#include "worker/http/subrequest.h"

struct post_action_conf {
    struct str uri; /* empty: off */
};

extern struct module post_action_module;

static bool
post_action_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct post_action_conf *c = conf;

    c->uri = n->args[1];
    if (str_eq(c->uri, S("off")))
        c->uri = S("");
    else if (c->uri.len == 0 || c->uri.ptr[0] != '/')
        return conf_fail(l, n, 1, "invalid URI \"%.*s\"", STR(c->uri));
    return true;
}

static enum phase_result
post_action_log(struct exchange *x)
{
    const struct post_action_conf *c = scope_conf(x->scope, &post_action_module);
    struct request *r = request_of(x);
    struct subrequest_options o = { .uri = c->uri, .args = r->args, .detached = true };
    struct request *child = x->parent == NULL ? subrequest_new(r, &o) : NULL;

    if (child == NULL)
        return PHASE_NEXT;
    /* $status and its like are those of the request until there is an answer */
    child->res.status = r->res.status;
    child->bytes_sent = r->bytes_sent;
    child->body_sent = r->body_sent;
    subrequest_drain(child);
    return PHASE_NEXT;
}

static bool
post_action_wanted(const struct scope *s)
{
    return ((const struct post_action_conf *)scope_conf(s, &post_action_module))->uri.len > 0;
}

static const struct directive post_action_directives[] = {
    D_CALL("post_action", CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF, ARGS(1, 1), post_action_set,
           FIELD(struct post_action_conf, uri), DEFAULT(off)),
    D_END,
};

static const struct phase_entry post_action_phases[] = {
    { .phase = HTTP_LOG, .run = post_action_log, .wanted = post_action_wanted },
    { 0 },
};

struct module post_action_module = {
    .name = "post_action",
    .conf_size = sizeof(struct post_action_conf),
    .directives = post_action_directives,
    .phases = post_action_phases,
};
