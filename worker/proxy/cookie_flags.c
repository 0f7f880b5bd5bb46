/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cookie_flags.c - proxy_cookie_flags: Secure, HttpOnly and SameSite of the origin's cookies are added or taken away.
 *
 * The first rule whose cookie is meant holds. An attribute that stays, or changes its value, keeps its place.
 */
#include "worker/http/named_regex.h"
#include "worker/proxy/proxy.h"

struct proxy_flags_rule {
    struct named_regex *regex; /* NULL: */
    struct template cookie;
    struct vec flags; /* of struct template */
};

enum cookie_flag {
    COOKIE_SECURE = 1 << 0,
    COOKIE_HTTPONLY = 1 << 1,
    COOKIE_SAMESITE_STRICT = 1 << 2,
    COOKIE_SAMESITE_LAX = 1 << 3,
    COOKIE_SAMESITE_NONE = 1 << 4,
    COOKIE_NO_SECURE = 1 << 5,
    COOKIE_NO_HTTPONLY = 1 << 6,
    COOKIE_NO_SAMESITE = 1 << 7,
};

static const struct {
    struct str name;
    unsigned flag, group; /* the group: what it takes the place of */
} flag_names[] = {
    { S_INIT("secure"), COOKIE_SECURE, COOKIE_SECURE | COOKIE_NO_SECURE },
    { S_INIT("nosecure"), COOKIE_NO_SECURE, COOKIE_SECURE | COOKIE_NO_SECURE },
    { S_INIT("httponly"), COOKIE_HTTPONLY, COOKIE_HTTPONLY | COOKIE_NO_HTTPONLY },
    { S_INIT("nohttponly"), COOKIE_NO_HTTPONLY, COOKIE_HTTPONLY | COOKIE_NO_HTTPONLY },
#define SAMESITE \
    (COOKIE_SAMESITE_STRICT | COOKIE_SAMESITE_LAX | COOKIE_SAMESITE_NONE | COOKIE_NO_SAMESITE)
    { S_INIT("samesite=strict"), COOKIE_SAMESITE_STRICT, SAMESITE },
    { S_INIT("samesite=lax"), COOKIE_SAMESITE_LAX, SAMESITE },
    { S_INIT("samesite=none"), COOKIE_SAMESITE_NONE, SAMESITE },
    { S_INIT("nosamesite"), COOKIE_NO_SAMESITE, SAMESITE },
};

/* ---- at load ---- */

static bool
flag_add(struct str name, unsigned *flags)
{
    for (size_t i = 0; i < ARRAY_LEN(flag_names); i++) {
        if (!str_eq_nocase(name, flag_names[i].name))
            continue;
        *flags = (*flags & ~flag_names[i].group) | flag_names[i].flag;
        return true;
    }
    return false;
}

bool
proxy_cookie_flags_set(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                       void *conf)
{
    struct proxy_conf *c = conf;
    struct proxy_flags_rule *rule;
    struct str cookie = n->args[1];
    unsigned flags = 0;

    if (n->n == 2 && str_eq(cookie, S("off")))
        return true;
    if (c->cookie_flags.size == 0)
        vec_init(&c->cookie_flags, conf_arena(l), sizeof(*rule));
    rule = VEC_PUSH(&c->cookie_flags, struct proxy_flags_rule);
    if (rule == NULL)
        return conf_fail(l, n, 0, "no memory");
    if (str_starts(cookie, S("~"))) {
        rule->regex = named_regex_compile(l, n, 1, str_from(cookie, 1), true);
        if (rule->regex == NULL)
            return false;
    } else if (!template_compile(l, n, 1, cookie, &rule->cookie)) {
        return false;
    }
    vec_init(&rule->flags, conf_arena(l), sizeof(struct template));
    for (uint32_t i = 2; i < n->n; i++) {
        struct template *t = VEC_PUSH(&rule->flags, struct template);

        if (t == NULL)
            return conf_fail(l, n, 0, "no memory");
        if (!template_compile(l, n, (int)i, n->args[i], t))
            return false;
        if (template_is_const(t) && !flag_add(t->text, &flags))
            return conf_fail(l, n, (int)i, "invalid parameter \"%.*s\"", STR(n->args[i]));
    }
    return true;
}

/* ---- at work ---- */

static unsigned
flags_of(struct request *r, const struct proxy_flags_rule *rule)
{
    unsigned flags = 0;

    VEC_FOREACH (t, struct template, &rule->flags) {
        struct str name = template_expand(&r->x, t);

        if (name.len > 0 && !flag_add(name, &flags))
            xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid proxy_cookie_flags flag \"%.*s\"",
                 LOG_STR(name));
    }
    return flags;
}

/* What is to be done to a cookie of this name; 0: nothing. */
static unsigned
flags_for(struct request *r, const struct vec *rules, struct str cookie)
{
    VEC_FOREACH (rule, struct proxy_flags_rule, rules) {
        bool meant = rule->regex != NULL
                         ? named_regex_match(r, rule->regex, cookie)
                         : str_eq_nocase(template_expand(&r->x, &rule->cookie), cookie);

        if (meant)
            return flags_of(r, rule);
    }
    return 0;
}

static struct str
samesite_of(unsigned flags)
{
    return flags & COOKIE_SAMESITE_STRICT ? S("SameSite=Strict")
           : flags & COOKIE_SAMESITE_LAX  ? S("SameSite=Lax")
                                          : S("SameSite=None");
}

/* One attribute of the cookie; what is settled by it is taken out of *flags. */
static void
add_attribute(struct text *t, struct str attribute, unsigned *flags)
{
    struct str name = str_trim(str_upto(attribute, str_find(attribute, '=')));

    if (str_eq_nocase(name, S("secure"))) {
        if (*flags & COOKIE_NO_SECURE)
            return;
        *flags &= ~(unsigned)COOKIE_SECURE;
    } else if (str_eq_nocase(name, S("httponly"))) {
        if (*flags & COOKIE_NO_HTTPONLY)
            return;
        *flags &= ~(unsigned)COOKIE_HTTPONLY;
    } else if (str_eq_nocase(name, S("samesite"))) {
        if (*flags & COOKIE_NO_SAMESITE)
            return;
        if (*flags & SAMESITE) {
            attribute = samesite_of(*flags);
            *flags &= ~(unsigned)SAMESITE;
        }
    }
    TEXT_LIT(t, "; ");
    text_add(t, attribute);
}

struct str
proxy_cookie_flags_apply(struct request *r, const struct vec *rules, struct str cookie)
{
    struct str rest = cookie, piece;
    size_t eq = str_find(cookie, '=');
    unsigned flags;
    struct text t;

    if (eq >= str_find(cookie, ';'))
        return cookie; /* no name: nobody can mean it */
    flags = flags_for(r, rules, str_trim(str_upto(cookie, eq)));
    if (flags == 0)
        return cookie;
    text_init(&t, request_arena(r));
    (void)str_split(&rest, ';', &piece);
    text_add(&t, str_trim(piece));
    while (rest.ptr != NULL && str_split(&rest, ';', &piece))
        add_attribute(&t, str_trim(piece), &flags);
    if (flags & COOKIE_SECURE)
        TEXT_LIT(&t, "; Secure");
    if (flags & COOKIE_HTTPONLY)
        TEXT_LIT(&t, "; HttpOnly");
    if (flags & (SAMESITE & ~(unsigned)COOKIE_NO_SAMESITE)) {
        TEXT_LIT(&t, "; ");
        text_add(&t, samesite_of(flags));
    }
    return t.failed ? S("") : text_str(&t); /* no memory: never a cookie without its flags */
}
