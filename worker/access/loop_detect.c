/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop_detect.c - refuses requests that come round again, with 508: their CDN-Loop field (RFC 8586) has our name too often.
 *
 * The name gets there by `proxy_set_header CDN-Loop $proxy_add_cdn_loop`. Whoever is in between may add its own.
 *
 * Directive: loop_detect.   Variable: $proxy_add_cdn_loop.
 */
#include "common/base/num.h"
#include "worker/http/http_conf.h"

enum { MAX_USUAL = 5 };

static const struct str cdn_loop = S_INIT("CDN-Loop");

struct loop_conf {
    struct str name; /* empty: off */
    uint32_t max;    /* times that it may stand there */
};

extern struct module loop_detect_module;

/* A member of the list up to its parameters: "name; a=b". */
static uint32_t
times_in(struct str list, struct str name)
{
    struct str rest = list, member;
    uint32_t n = 0;

    while (rest.ptr != NULL && str_split(&rest, ',', &member))
        n += str_eq_nocase(str_trim(str_upto(member, str_find(member, ';'))), name);
    return n;
}

static enum phase_result
loop_check(struct exchange *x)
{
    const struct loop_conf *c = scope_conf(x->scope, &loop_detect_module);
    struct request *r = request_of(x);
    uint32_t n;

    if (x->parent != NULL)
        return PHASE_NEXT;
    n = times_in(fields_joined(&r->fields, cdn_loop, ",", request_arena(r)), c->name);
    if (n < c->max)
        return PHASE_NEXT;
    xlog(x, LOG_LEVEL_ERROR, 0,
         "a loop: the request has passed \"%.*s\" %u times, by its field CDN-Loop", STR(c->name),
         n);
    return phase_respond(x, 508);
}

static bool
loop_wanted(const struct scope *s)
{
    return ((const struct loop_conf *)scope_conf(s, &loop_detect_module))->name.len > 0;
}

/* What came, and our name behind it. */
static void
get_add_loop(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct loop_conf *c = scope_conf(x->scope, &loop_detect_module);
    struct request *r = request_of(x);
    struct text t;

    text_init(&t, request_arena(r));
    text_add(&t, fields_joined(&r->fields, cdn_loop, ", ", request_arena(r)));
    if (t.len > 0 && c->name.len > 0)
        TEXT_LIT(&t, ", ");
    text_add(&t, c->name);
    if (!t.failed && t.len > 0)
        var_found(v, text_str(&t));
}

/* ---- configuration ---- */

static bool
loop_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct loop_conf *c = conf;
    struct str max;

    *c = (struct loop_conf){ .name = n->args[1], .max = MAX_USUAL };
    if (n->n == 2 && str_eq(c->name, S("off"))) {
        c->name = S("");
        return true;
    }
    if (!field_name_valid(c->name)) /* a token, as there */
        return conf_fail(l, n, 1, "invalid name \"%.*s\"", STR(c->name));
    if (n->n == 2)
        return true;
    return (conf_param(n->args[2], "max", &max) && num_parse_u32(max, &c->max) && c->max > 0) ||
           conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
}

static const struct directive loop_directives[] = {
    D_CALL("loop_detect", CTX_HTTP | CTX_SRV | CTX_LOC, ARGS(1, 2), loop_set,
           FIELD(struct loop_conf, name), DEFAULT(off)),
    D_END,
};

static const struct variable loop_variables[] = {
    { "proxy_add_cdn_loop", get_add_loop, VAR_VOLATILE, NULL, NULL },
    { 0 },
};

static const struct phase_entry loop_phases[] = {
    { .phase = HTTP_PREACCESS, .run = loop_check, .wanted = loop_wanted },
    { 0 },
};

struct module loop_detect_module = {
    .name = "loop_detect",
    .conf_size = sizeof(struct loop_conf),
    .directives = loop_directives,
    .variables = loop_variables,
    .phases = loop_phases,
};
