/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mirror.c - sends copies of requests to other locations and forgets their answers: mirror, mirror_request_body.
 *
 * A copy is a detached subrequest whose body is drained: it holds the memory of the request, not its connection. So
 * neither the client nor its next request waits for a mirror. (nginx differs: there the next request of the connection
 * does.)
 */
#include "common/module.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"
#include "worker/http/subrequest.h"

/* What stands at one level: `off` alone, or any number of URIs. */
struct mirror_list {
    struct vec uris; /* of struct str */
    bool off;
};

struct mirror_conf {
    struct mirror_list list;
    bool request_body; /* read the body first, and send it along */
};

extern struct module mirror_module;

static bool
mirror_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct mirror_list *list = &((struct mirror_conf *)conf)->list;
    bool off = str_eq(n->args[1], S("off"));
    struct str *uri;

    if (list->off || (off && list->uris.len > 0))
        return conf_fail(l, n, 0, "\"mirror\" directive is duplicate");
    if (off) {
        list->off = true;
        return true;
    }
    if (n->args[1].len == 0 || n->args[1].ptr[0] != '/')
        return conf_fail(l, n, 1, "invalid URI \"%.*s\"", STR(n->args[1]));
    if (list->uris.size == 0)
        vec_init(&list->uris, conf_arena(l), sizeof(*uri));
    uri = VEC_PUSH(&list->uris, struct str);
    if (uri == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *uri = n->args[1];
    return true;
}

/* One that cannot be made is missing at the mirror; the client has nothing to do with it. */
static void
mirror_start(struct request *r, const struct mirror_conf *c)
{
    VEC_FOREACH (uri, struct str, &c->list.uris) {
        struct subrequest_options o = {
            .uri = *uri,
            .args = r->args,
            .detached = true,
            .keep_method = true,
            .keep_body = c->request_body,
        };
        struct request *child = subrequest_new(r, &o);

        if (child != NULL)
            subrequest_drain(child);
    }
}

/* A redirect to another location with mirrors sends further copies. */
static enum phase_result
mirror_precontent(struct exchange *x)
{
    const struct mirror_conf *c = scope_conf(x->scope, &mirror_module);
    struct request *r = request_of(x);

    if (x->parent != NULL)
        return PHASE_NEXT;
    if (c->request_body) {
        enum phase_result body = request_body_collect(r);

        if (body != PHASE_NEXT)
            return body;
    }
    mirror_start(r, c);
    return PHASE_NEXT;
}

static bool
mirror_wanted(const struct scope *s)
{
    const struct mirror_conf *c = scope_conf(s, &mirror_module);

    return c->list.uris.len > 0;
}

#define MIRROR_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive mirror_directives[] = {
    D_CALL("mirror", MIRROR_CTX, ARGS(1, 1), mirror_set, FIELD(struct mirror_conf, list),
           .inherit = I_LIST),
    D_FLAG("mirror_request_body", MIRROR_CTX, struct mirror_conf, request_body, DEFAULT(on)),
    D_END,
};

static const struct phase_entry mirror_phases[] = {
    { .phase = HTTP_PRECONTENT,
      .run = mirror_precontent,
      .wanted = mirror_wanted,
      .order = ORDER_MIRROR },
    { 0 },
};

struct module mirror_module = {
    .name = "mirror",
    .conf_size = sizeof(struct mirror_conf),
    .directives = mirror_directives,
    .phases = mirror_phases,
};
