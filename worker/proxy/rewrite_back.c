/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite_back.c - proxy_redirect, proxy_cookie_domain, proxy_cookie_path: what the origin says about itself is told to
 * the client in our own terms.
 */
#include "common/base/regex.h"
#include "worker/proxy/proxy.h"

/* One replacement: a literal prefix (or whole domain) or a regular expression, and what takes its place. */
struct proxy_rule {
    struct regex *regex;  /* NULL: `from` is literal */
    struct template from; /* may have variables */
    struct template to;
};

static bool
compile_regex(struct conf_load *l, struct conf_node *n, struct proxy_rule *rule)
{
    struct str pattern = str_from(n->args[1], 1);
    bool nocase = str_starts(pattern, S("*"));
    struct text err;

    if (nocase)
        pattern = str_from(pattern, 1);
    text_init(&err, conf_arena(l));
    rule->regex = regex_compile(conf_arena(l), pattern, nocase, &err);
    return rule->regex != NULL || conf_fail(l, n, 1, "%.*s", STR(text_str(&err)));
}

static struct proxy_rule *
add_rule(struct conf_load *l, struct vec *rules)
{
    if (rules->size == 0)
        vec_init(rules, conf_arena(l), sizeof(struct proxy_rule));
    return VEC_PUSH(rules, struct proxy_rule);
}

static bool
set_rule(struct conf_load *l, struct conf_node *n, struct vec *rules)
{
    struct proxy_rule *rule = add_rule(l, rules);

    if (rule == NULL)
        return conf_fail(l, n, 0, "no memory");
    if (str_starts(n->args[1], S("~"))) {
        if (!compile_regex(l, n, rule))
            return false;
    } else if (!template_compile(l, n, 1, n->args[1], &rule->from)) {
        return false;
    }
    return template_compile(l, n, 2, n->args[2], &rule->to);
}

/* `default`: the URL of proxy_pass becomes the location's name; made in finish, when proxy_pass is known. */
bool
proxy_redirect_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                   void *conf)
{
    struct proxy_conf *c = conf;

    c->redirect_off = false;
    if (n->n == 2) {
        if (str_eq(n->args[1], S("off"))) {
            c->redirect_off = true;
            return true;
        }
        if (!str_eq(n->args[1], S("default")))
            return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
        struct proxy_rule *rule = add_rule(l, &c->redirects);

        return rule != NULL || conf_fail(l, n, 0, "no memory"); /* empty: finish fills it */
    }
    return set_rule(l, n, &c->redirects);
}

bool
proxy_cookie_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *rules = (struct vec *)((char *)conf + d->offset);

    if (n->n == 2)
        return str_eq(n->args[1], S("off")) ||
               conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    return set_rule(l, n, rules);
}

static void
fill_default(struct conf_load *l, struct proxy_conf *c, struct proxy_rule *rule)
{
    struct location *loc = http_location_of(c->pass_scope);
    struct str to = loc != NULL && c->url.has_uri ? loc->name : S("/");

    rule->from.text = arena_fmt(conf_arena(l), "%.*s://%.*s%.*s", STR(c->url.scheme),
                                STR(c->url.host_header), STR(c->url.has_uri ? c->url.uri : S("/")));
    rule->from.set = rule->to.set = true;
    rule->to.text = to;
}

bool
proxy_redirect_finish(struct conf_load *l, struct proxy_conf *c)
{
    bool usable = c->pass.set && template_is_const(&c->pass);

    if (usable && !c->redirect_off && c->redirects.len == 0 && add_rule(l, &c->redirects) == NULL)
        return false;
    VEC_FOREACH (rule, struct proxy_rule, &c->redirects) {
        if (rule->to.set || rule->regex != NULL || !usable)
            continue;
        fill_default(l, c, rule);
    }
    return true;
}

/* The value with the rule applied: true and *out. Literal rules match at the start. */
static bool
apply_rule(struct request *r, const struct proxy_rule *rule, struct str value, struct str *out)
{
    struct str rest;
    struct text t;

    if (!rule->to.set)
        return false;
    if (rule->regex != NULL) {
        struct regex_match m;

        if (!regex_match(rule->regex, value, &m, NULL))
            return false;
        request_captures(r, value, &m);
        text_init(&t, request_arena(r));
        text_add(&t, str_upto(value, m.at[0]));
        template_append(&r->x, &rule->to, &t);
        text_add(&t, str_from(value, m.at[1]));
        *out = text_str(&t);
        return !t.failed;
    }
    struct str from = template_expand(&r->x, &rule->from);

    if (from.ptr == NULL || !str_starts(value, from))
        return false;
    rest = str_from(value, from.len);
    text_init(&t, request_arena(r));
    template_append(&r->x, &rule->to, &t);
    text_add(&t, rest);
    *out = text_str(&t);
    return !t.failed;
}

static struct str
apply_rules(struct request *r, const struct vec *rules, struct str value)
{
    struct str out;

    VEC_FOREACH (rule, struct proxy_rule, rules)
        if (apply_rule(r, rule, value, &out))
            return out;
    return value;
}

/* A domain is compared as a whole, without case and without its leading dot. */
static struct str
apply_domain(struct request *r, const struct vec *rules, struct str value)
{
    struct str out, bare = str_starts(value, S(".")) ? str_from(value, 1) : value;

    VEC_FOREACH (rule, struct proxy_rule, rules) {
        if (rule->regex != NULL) {
            if (apply_rule(r, rule, value, &out))
                return out;
            continue;
        }
        struct str from = template_expand(&r->x, &rule->from);

        if (str_starts(from, S(".")))
            from = str_from(from, 1);
        if (str_eq_nocase(from, bare))
            return template_expand(&r->x, &rule->to);
    }
    return value;
}

/* Set-Cookie: NAME=VALUE; Path=...; Domain=...: attributes are rewritten, all else stays byte for byte. */
static struct str
rewrite_cookie(struct request *r, const struct proxy_conf *c, struct str cookie)
{
    struct text t;
    struct str rest = cookie, piece;
    bool first = true;

    text_init(&t, request_arena(r));
    while (str_split(&rest, ';', &piece)) {
        struct str trimmed = str_trim(piece), v;
        size_t eq = str_find(trimmed, '=');
        struct str name = str_trim(str_upto(trimmed, eq));

        if (!first)
            text_char(&t, ';');
        v = eq < trimmed.len ? str_trim(str_from(trimmed, eq + 1)) : STR_NONE;
        if (!first && v.len > 0 && str_eq_nocase(name, S("path"))) {
            TEXT_LIT(&t, " ");
            text_add(&t, name);
            text_char(&t, '=');
            text_add(&t, apply_rules(r, &c->cookie_paths, v));
        } else if (!first && v.len > 0 && str_eq_nocase(name, S("domain"))) {
            TEXT_LIT(&t, " ");
            text_add(&t, name);
            text_char(&t, '=');
            text_add(&t, apply_domain(r, &c->cookie_domains, v));
        } else {
            text_add(&t, piece);
        }
        first = false;
    }
    return t.failed ? cookie : text_str(&t);
}

/* Refresh: "5; url=http://..." */
static struct str
rewrite_refresh(struct request *r, const struct proxy_conf *c, struct str value)
{
    static const char key[] = "url=";
    size_t at = 0;
    struct text t;

    while (at + 4 <= value.len && !str_eq_nocase(str_n(value.ptr + at, 4), str_c(key)))
        at++;
    if (at + 4 > value.len)
        return value;
    at += 4;
    text_init(&t, request_arena(r));
    text_add(&t, str_upto(value, at));
    text_add(&t, apply_rules(r, &c->redirects, str_from(value, at)));
    return t.failed ? value : text_str(&t);
}

void
proxy_redirect_apply(struct proxy_exchange *p, struct response *res)
{
    struct request *r = p->origin.r;
    const struct proxy_conf *c = p->conf;
    struct field *f;

    if (!c->redirect_off && c->redirects.len > 0) {
        if ((f = fields_get(&res->fields, FIELD_LOCATION)) != NULL)
            f->value = apply_rules(r, &c->redirects, f->value);
        if ((f = fields_get(&res->fields, FIELD_REFRESH)) != NULL)
            f->value = rewrite_refresh(r, c, f->value);
    }
    if (c->cookie_domains.len == 0 && c->cookie_paths.len == 0)
        return;
    for (f = fields_get(&res->fields, FIELD_SET_COOKIE); f != NULL;
         f = fields_more(&res->fields, f))
        f->value = rewrite_cookie(r, c, f->value);
}
