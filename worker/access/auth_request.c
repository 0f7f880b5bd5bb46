/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * auth_request.c - asks another location whether a request may pass: 2xx lets it in, 401 and 403 refuse it.
 *
 * The question is a subrequest (GET, without the body) whose answer is drained. auth_request_set keeps what its answer
 * said in variables of the request; a challenge of a 401 (WWW-Authenticate) is passed on to the client.
 *
 * Directives: auth_request, auth_request_set.
 */
#include "worker/core/explain.h"
#include "worker/http/http_conf.h"
#include "worker/http/subrequest.h"

/* One auth_request_set line. */
struct auth_value {
    uint32_t index; /* of the variable that is set */
    struct template value;
};

struct auth_request_conf {
    struct str uri;    /* empty: off */
    struct vec values; /* of struct auth_value, in text order */
};

enum auth_state { AUTH_NEW, AUTH_ASKED, AUTH_ANSWERED };

/* The question of one exchange; an internal redirect forgets it and asks again. */
struct auth_request {
    enum auth_state state;
    unsigned status; /* of the answer; 0: there was none */
    struct request *child;
};

extern struct module auth_request_module;

/* ---- the answer ---- */

/* Its variables are those of the subrequest, so they are read while it still has its state. */
static void
keep_values(struct exchange *child, const struct auth_request_conf *c)
{
    VEC_FOREACH (v, struct auth_value, &c->values) {
        struct str value = template_expand(child, &v->value);

        if (value.ptr != NULL)
            var_set(child->parent, v->index, value);
    }
}

static void
on_answer(struct exchange *child, void *data)
{
    struct auth_request *a = data;
    struct exchange *x = child->parent;

    if (a->state != AUTH_ASKED)
        return;
    a->state = AUTH_ANSWERED;
    a->status = child->responding ? request_of(child)->res.status : 0;
    if (x->given) /* it has been aborted meanwhile */
        return;
    keep_values(child, scope_conf(x->scope, &auth_request_module));
    phase_resume(x);
}

/* How the client may get in: the challenges of the answer, however many. */
static bool
pass_challenges(struct request *r, struct request *child)
{
    const struct fields *from = &child->res.fields;
    struct str hidden;

    fields_remove(&r->res.fields, FIELD_WWW_AUTHENTICATE);
    for (struct field *f = fields_get(from, FIELD_WWW_AUTHENTICATE); f != NULL;
         f = fields_more(from, f))
        fields_add(&r->res.fields, FIELD_WWW_AUTHENTICATE, STR_NONE, f->value);
    if (fields_get(from, FIELD_WWW_AUTHENTICATE) == NULL) {
        /* an error_page or proxy_hide_header of the asked location takes it from the response */
        hidden = var_get_named(&child->x, S("upstream_http_www_authenticate")).text;
        if (hidden.len > 0)
            fields_add(&r->res.fields, FIELD_WWW_AUTHENTICATE, STR_NONE, hidden);
    }
    return !r->res.fields.failed;
}

static enum phase_result
auth_verdict(struct request *r, const struct auth_request *a)
{
    if (a->status >= 200 && a->status < 300) {
        /* a challenge of a module before this one is settled */
        if (HTTP_CONF(r)->satisfy == SATISFY_ANY)
            fields_remove(&r->res.fields, FIELD_WWW_AUTHENTICATE);
        return PHASE_ALLOW;
    }
    if (a->status == 403)
        return phase_deny(&r->x, 403);
    if (a->status == 401)
        return pass_challenges(r, a->child) ? phase_deny(&r->x, 401) : phase_respond(&r->x, 500);
    xlog(&r->x, LOG_LEVEL_ERROR, 0, "auth request unexpected status: %u", a->status);
    return phase_respond(&r->x, 500);
}

/* ---- the question ---- */

static enum phase_result
auth_ask(struct request *r, struct auth_request *a, const struct auth_request_conf *c)
{
    struct subrequest_options o = { .uri = c->uri, .done = on_answer, .done_data = a };

    a->child = subrequest_new(r, &o);
    if (a->child == NULL)
        return phase_respond(&r->x, 500);
    a->child->method = METHOD_GET;
    a->child->method_name = S("GET"); /* for HEAD too, as nginx does */
    a->state = AUTH_ASKED;
    subrequest_drain(a->child);
    return PHASE_WAIT;
}

static enum phase_result
auth_access(struct exchange *x)
{
    const struct auth_request_conf *c = scope_conf(x->scope, &auth_request_module);
    struct auth_request *a = exchange_state(x, &auth_request_module, sizeof(*a));

    if (a == NULL)
        return phase_respond(x, 500);
    if (UNLIKELY(explain_on)) {
        explain_step("phase", explain_place(x->scope, "auth_request", S("")),
                     "access: \"%.*s\" would be asked; let it answer 200", STR(c->uri));
        return PHASE_ALLOW;
    }
    switch (a->state) {
    case AUTH_NEW:
        return auth_ask(request_of(x), a, c);
    case AUTH_ASKED:
        return PHASE_WAIT;
    case AUTH_ANSWERED:
        break;
    }
    return auth_verdict(request_of(x), a);
}

static bool
auth_wanted(const struct scope *s)
{
    return ((const struct auth_request_conf *)scope_conf(s, &auth_request_module))->uri.len > 0;
}

/* ---- configuration ---- */

static bool
auth_set_uri(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct auth_request_conf *c = conf;

    if (str_eq(n->args[1], S("off"))) {
        c->uri = S("");
        return true;
    }
    if (n->args[1].len == 0)
        return conf_fail(l, n, 1, "invalid URI \"\"");
    c->uri = n->args[1];
    return true;
}

static bool
auth_set_value(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
               void *conf)
{
    struct auth_request_conf *c = conf;
    struct auth_value *v;

    if (c->values.size == 0)
        vec_init(&c->values, conf_arena(l), sizeof(*v));
    v = VEC_PUSH(&c->values, struct auth_value);
    if (v == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (n->args[1].len < 2 || n->args[1].ptr[0] != '$')
        return conf_fail(l, n, 1, "invalid variable name \"%.*s\"", STR(n->args[1]));
    return var_define(l, n, 1, str_from(n->args[1], 1), VAR_CHANGEABLE, NULL, NULL, NULL,
                      &v->index) &&
           template_compile(l, n, 2, n->args[2], &v->value);
}

#define AUTH_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive auth_request_directives[] = {
    D_CALL("auth_request", AUTH_CTX, ARGS(1, 1), auth_set_uri, FIELD(struct auth_request_conf, uri),
           DEFAULT(off)),
    D_CALL("auth_request_set", AUTH_CTX, ARGS(2, 2), auth_set_value,
           FIELD(struct auth_request_conf, values), .inherit = I_LIST),
    D_END,
};

static const struct phase_entry auth_request_phases[] = {
    { .phase = HTTP_ACCESS,
      .run = auth_access,
      .wanted = auth_wanted,
      .order = ORDER_AUTH_REQUEST },
    { 0 },
};

struct module auth_request_module = {
    .name = "auth_request",
    .configure_token = "--with-http_auth_request_module",
    .conf_size = sizeof(struct auth_request_conf),
    .directives = auth_request_directives,
    .phases = auth_request_phases,
};
