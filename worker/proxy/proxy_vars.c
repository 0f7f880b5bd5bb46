/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_vars.c - $proxy_host, $proxy_port, $proxy_add_x_forwarded_for, $upstream_http_*, $upstream_cookie_*,
 * $upstream_trailer_*.
 */
#include "worker/core/var.h"
#include "worker/proxy/proxy.h"

static const struct proxy_url *
url_of(struct exchange *x)
{
    const struct proxy_conf *c = scope_conf(x->scope, &proxy_module);
    const struct proxy_exchange *p = exchange_state(x, &proxy_module, 0);

    if (p != NULL && p->url.host.len > 0)
        return &p->url;
    return c->pass.set && template_is_const(&c->pass) ? &c->url : NULL;
}

static void
get_proxy_host(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct proxy_url *u = url_of(x);

    if (u != NULL)
        var_found(v, u->host_header);
}

static void
get_proxy_port(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct proxy_url *u = url_of(x);
    size_t colon;

    if (u == NULL)
        return;
    colon = str_rfind(u->host, ':');
    if (str_starts(u->host, S("unix:")))
        var_found(v, S(""));
    else if (colon < u->host.len && u->host.ptr[u->host.len - 1] != ']')
        var_found(v, str_from(u->host, colon + 1));
    else
        var_number(x, v, u->port);
}

/* The client's X-Forwarded-For with our view of it appended (all fields of that name, in order). */
static void
get_add_x_forwarded_for(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct request *r = request_of(x);
    struct str had = fields_joined(&r->fields, S("X-Forwarded-For"), ", ", request_arena(r));
    struct str addr = var_get_named(x, S("remote_addr")).text;
    struct text t;

    if (had.ptr == NULL) {
        var_found(v, addr);
        return;
    }
    text_init(&t, request_arena(r));
    text_add(&t, had);
    TEXT_LIT(&t, ", ");
    text_add(&t, addr);
    if (!t.failed)
        var_found(v, text_str(&t));
}

/* "x_powered_by" is X-Powered-By. */
static bool
name_is(struct str field, struct str variable)
{
    if (field.len != variable.len)
        return false;
    for (size_t i = 0; i < field.len; i++) {
        char c = char_lower(field.ptr[i]);

        if ((c == '-' ? '_' : c) != char_lower(variable.ptr[i]))
            return false;
    }
    return true;
}

static void
get_field(struct exchange *x, struct var_value *v, const struct fields *fields, struct str name)
{
    struct text t;
    struct field *f;
    bool any = false;

    text_init(&t, &x->mem->arena);
    for (uint32_t i = 0; (f = fields_each(fields, &i)) != NULL;) {
        if (!name_is(f->name, name))
            continue;
        if (!any && fields->n == i) {
            var_found(v, f->value); /* the last one and alone */
            return;
        }
        if (any)
            TEXT_LIT(&t, ", ");
        text_add(&t, f->value);
        any = true;
    }
    if (any && !t.failed)
        var_found(v, text_str(&t));
}

/* They last beyond an internal redirect: X-Accel-Redirect's location may ask for them. */
static const struct fields *
head_of(struct exchange *x)
{
    const struct upstream_history *h = upstream_history_of(x);

    return h != NULL ? h->fields : NULL;
}

static void
get_upstream_http(struct exchange *x, struct var_value *v, const void *data)
{
    if (head_of(x) != NULL)
        get_field(x, v, head_of(x), *(const struct str *)data);
}

static void
get_upstream_trailer(struct exchange *x, struct var_value *v, const void *data)
{
    const struct upstream_history *h = upstream_history_of(x);

    if (h != NULL && h->trailers != NULL)
        get_field(x, v, h->trailers, *(const struct str *)data);
}

static void
get_upstream_cookie(struct exchange *x, struct var_value *v, const void *data)
{
    const struct fields *fields = head_of(x);
    struct str name = *(const struct str *)data;
    struct field *f = fields != NULL ? fields_get(fields, FIELD_SET_COOKIE) : NULL;

    for (; f != NULL; f = fields_more(fields, f)) {
        size_t eq = str_find(f->value, '=');

        if (eq < f->value.len && str_eq_nocase(str_upto(f->value, eq), name)) {
            struct str rest = str_from(f->value, eq + 1);

            var_found(v, str_upto(rest, str_find(rest, ';')));
            return;
        }
    }
}

const struct variable proxy_variables[] = {
    { "proxy_host", get_proxy_host, VAR_VOLATILE, NULL, NULL },
    { "proxy_port", get_proxy_port, VAR_VOLATILE, NULL, NULL },
    { "proxy_add_x_forwarded_for", get_add_x_forwarded_for, VAR_VOLATILE, NULL, NULL },
    { "upstream_http_", get_upstream_http, VAR_VOLATILE | VAR_PREFIX, NULL, NULL },
    { "upstream_trailer_", get_upstream_trailer, VAR_VOLATILE | VAR_PREFIX, NULL, NULL },
    { "upstream_cookie_", get_upstream_cookie, VAR_VOLATILE | VAR_PREFIX, NULL, NULL },
    { 0 },
};
