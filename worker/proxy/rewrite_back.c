/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite_back.c - proxy_redirect, proxy_cookie_domain, proxy_cookie_path: what the origin says about itself is told to
 * the client in our own terms.
 *
 * Of several rules the first that matches is used. A literal one replaces a prefix (of a domain, the whole), a regular
 * expression the whole value.
 */
#include "worker/http/named_regex.h"
#include "worker/http/redirect.h"
#include "worker/proxy/proxy.h"

struct proxy_rule {
    struct named_regex *regex; /* NULL: */
    struct template from;
    struct template to;
    bool is_default; /* `proxy_redirect default`: from and to are found at the end of the load */
    struct conf_pos pos;
};

/* ---- at load ---- */

static struct proxy_rule *
add_rule(struct conf_load *l, struct conf_node *n, struct vec *rules)
{
    struct proxy_rule *rule;

    if (rules->size == 0)
        vec_init(rules, conf_arena(l), sizeof(struct proxy_rule));
    rule = VEC_PUSH(rules, struct proxy_rule);
    if (rule == NULL)
        conf_fail(l, n, 0, "no memory");
    else
        rule->pos = n->pos;
    return rule;
}

static bool
set_rule(struct conf_load *l, struct conf_node *n, struct vec *rules, bool nocase)
{
    struct proxy_rule *rule = add_rule(l, n, rules);
    struct str pattern = n->args[1];

    if (rule == NULL)
        return false;
    if (str_starts(pattern, S("~"))) {
        pattern = str_from(pattern, 1);
        if (str_starts(pattern, S("*"))) {
            pattern = str_from(pattern, 1);
            nocase = true;
        }
        rule->regex = named_regex_compile(l, n, 1, pattern, nocase);
        if (rule->regex == NULL)
            return false;
    } else if (!template_compile(l, n, 1, n->args[1], &rule->from)) {
        return false;
    }
    return template_compile(l, n, 2, n->args[2], &rule->to);
}

bool
proxy_redirect_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                   void *conf)
{
    struct proxy_conf *c = conf;
    struct proxy_rule *rule;

    c->redirect_off = n->n == 2 && str_eq(n->args[1], S("off"));
    if (c->redirect_off)
        return true;
    if (n->n == 3)
        return set_rule(l, n, &c->redirects, false);
    if (!str_eq(n->args[1], S("default")))
        return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    rule = add_rule(l, n, &c->redirects);
    if (rule != NULL)
        rule->is_default = true;
    return rule != NULL;
}

bool
proxy_cookie_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *rules = (struct vec *)((char *)conf + d->offset);
    bool is_domain = d->offset == offsetof(struct proxy_conf, cookie_domains);

    if (n->n == 2)
        return str_eq(n->args[1], S("off")) ||
               conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    return set_rule(l, n, rules, is_domain);
}

/* The URL of proxy_pass becomes the location's name, or without a URI its host becomes ours. */
static bool
fill_default(struct conf_load *l, const struct proxy_conf *c, struct proxy_rule *rule)
{
    bool has_uri = c->url.uri.len > 0;
    struct str uri = has_uri ? c->url.uri : S("/");

    rule->from.text = arena_fmt(conf_arena(l), "%s://%.*s%.*s", proxy_scheme(&c->url),
                                STR(c->url.host_header), STR(uri));
    rule->to.text = has_uri ? c->location : S("/");
    return rule->from.text.ptr != NULL;
}

/* The list of this scope: rows may be inherited, what `default` means is not. */
bool
proxy_redirect_finish(struct conf_load *l, struct proxy_conf *c)
{
    bool known = c->pass.set && template_is_const(&c->pass);
    const struct proxy_rule implied = { .is_default = true };
    struct proxy_rule *slot;

    vec_init(&c->rules, conf_arena(l), sizeof(struct proxy_rule));
    if (!c->pass.set || c->redirect_off)
        return true;
    if (c->redirects.len == 0 && known) {
        slot = VEC_PUSH(&c->rules, struct proxy_rule);
        if (slot == NULL)
            return false;
        *slot = implied;
    }
    VEC_FOREACH (rule, struct proxy_rule, &c->redirects) {
        if (rule->is_default && !known)
            return conf_fail_at(l, rule->pos,
                                "\"proxy_redirect default\" cannot be used with \"proxy_pass\" "
                                "directive with variables");
        slot = VEC_PUSH(&c->rules, struct proxy_rule);
        if (slot == NULL)
            return false;
        *slot = *rule;
    }
    VEC_FOREACH (rule, struct proxy_rule, &c->rules)
        if (rule->is_default && !fill_default(l, c, rule))
            return false;
    return true;
}

/* ---- rules at work ---- */

/* What the value becomes; ptr NULL: the rule does not match, or memory is out. */
static struct str
apply_rule(struct request *r, const struct proxy_rule *rule, struct str value)
{
    struct str from;
    struct text t;

    if (rule->regex != NULL)
        return named_regex_match(r, rule->regex, value) ? template_expand(&r->x, &rule->to)
                                                        : STR_NONE;
    from = template_expand(&r->x, &rule->from);
    if (from.ptr == NULL || !str_starts(value, from))
        return STR_NONE;
    text_init(&t, request_arena(r));
    template_append(&r->x, &rule->to, &t);
    text_add(&t, str_from(value, from.len));
    return t.len == 0 && !t.failed ? S("") : text_str(&t);
}

/* ptr NULL: no rule matches. */
static struct str
apply_rules(struct request *r, const struct vec *rules, struct str value)
{
    VEC_FOREACH (rule, struct proxy_rule, rules) {
        struct str out = apply_rule(r, rule, value);

        if (out.ptr != NULL)
            return out;
    }
    return STR_NONE;
}

static struct str
without_dot(struct str domain)
{
    return str_starts(domain, S(".")) ? str_from(domain, 1) : domain;
}

/* Domains are compared as a whole, without case and leading dots; the value keeps its dot. */
static struct str
apply_domains(struct request *r, const struct vec *rules, struct str value)
{
    VEC_FOREACH (rule, struct proxy_rule, rules) {
        struct str from, to;

        if (rule->regex != NULL) {
            struct str out = apply_rule(r, rule, value);

            if (out.ptr != NULL)
                return out;
            continue;
        }
        from = template_expand(&r->x, &rule->from);
        if (from.ptr == NULL || !str_eq_nocase(without_dot(from), without_dot(value)))
            continue;
        to = without_dot(template_expand(&r->x, &rule->to));
        return value.ptr[0] == '.' ? arena_fmt(request_arena(r), ".%.*s", STR(to)) : to;
    }
    return STR_NONE;
}

/* ---- cookies ---- */

/* "Path=/x" of a Set-Cookie field with its value rewritten; ptr NULL: nothing to rewrite. */
static struct str
rewrite_attribute(struct request *r, const struct proxy_conf *c, struct str name, struct str value)
{
    if (value.len == 0)
        return STR_NONE;
    if (str_eq_nocase(name, S("path")))
        return apply_rules(r, &c->cookie_paths, value);
    if (str_eq_nocase(name, S("domain")))
        return apply_domains(r, &c->cookie_domains, value);
    return STR_NONE;
}

/* NAME=VALUE; Path=...; Domain=...: written anew when an attribute has changed, else untouched. */
static struct str
rewrite_cookie(struct request *r, const struct proxy_conf *c, struct str cookie)
{
    struct str rest = cookie, piece;
    bool changed = false;
    struct text t;

    text_init(&t, request_arena(r));
    for (bool first = true; str_split(&rest, ';', &piece); first = false) {
        struct str attribute = str_trim(piece), to;
        size_t eq = str_find(attribute, '=');
        struct str name = str_trim(str_upto(attribute, eq));
        struct str value = eq < attribute.len ? str_trim(str_from(attribute, eq + 1)) : STR_NONE;

        if (first) {
            text_add(&t, attribute);
            continue;
        }
        TEXT_LIT(&t, "; ");
        to = rewrite_attribute(r, c, name, value);
        if (to.ptr == NULL) {
            text_add(&t, attribute);
            continue;
        }
        changed = true;
        text_add(&t, name);
        text_char(&t, '=');
        text_add(&t, to);
    }
    return changed && !t.failed ? text_str(&t) : cookie;
}

/* ---- Location, Refresh ---- */

static void
rewrite_location(struct request *r, const struct proxy_conf *c, struct field *f)
{
    struct str to = apply_rules(r, &c->rules, f->value);

    if (to.ptr == NULL)
        return;
    if (to.len > 0 && to.ptr[0] == '/' && HTTP_CONF(r)->absolute_redirect)
        to = redirect_absolute(r, to);
    if (to.ptr != NULL)
        f->value = to;
}

/* "5; url=http://..." */
static void
rewrite_refresh(struct request *r, const struct proxy_conf *c, struct field *f)
{
    struct str value = f->value, to;
    size_t at = 0;
    struct text t;

    while (at + 4 <= value.len && !str_eq_nocase(str_n(value.ptr + at, 4), S("url=")))
        at++;
    if (at + 4 > value.len)
        return;
    to = apply_rules(r, &c->rules, str_from(value, at + 4));
    if (to.ptr == NULL)
        return;
    text_init(&t, request_arena(r));
    text_add(&t, str_upto(value, at + 4));
    text_add(&t, to);
    if (!t.failed)
        f->value = text_str(&t);
}

void
proxy_redirect_apply(struct origin *o, struct response *res)
{
    struct request *r = o->r;
    const struct proxy_conf *c = proxy_of_origin(o)->conf;
    struct field *f;

    if (c->rules.len > 0) {
        if ((f = fields_get(&res->fields, FIELD_LOCATION)) != NULL)
            rewrite_location(r, c, f);
        if ((f = fields_get(&res->fields, FIELD_REFRESH)) != NULL)
            rewrite_refresh(r, c, f);
    }
    if (c->cookie_domains.len == 0 && c->cookie_paths.len == 0 && c->cookie_flags.len == 0)
        return;
    for (f = fields_get(&res->fields, FIELD_SET_COOKIE); f != NULL;
         f = fields_more(&res->fields, f))
        f->value = proxy_cookie_flags_apply(r, &c->cookie_flags, rewrite_cookie(r, c, f->value));
}
