/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * browser.c - variables that tell modern browsers from ancient ones by the field User-Agent.
 *
 * Browsers pretend to be others, so they are looked for in a fixed order, each behind what such names begin with; the
 * first one found decides by its version.
 *
 * Directives: modern_browser, modern_browser_value, ancient_browser, ancient_browser_value.
 * Variables: $modern_browser, $ancient_browser, $msie.
 */
#include "worker/core/var.h"
#include "worker/http/http_conf.h"

/* In the order in which they are looked for. */
enum browser { OPERA, MSIE, GECKO, SAFARI, KONQUEROR, BROWSERS };

static const struct {
    struct str name; /* in the configuration */
    struct str mark; /* what the version stands behind */
    size_t skip;     /* bytes of the field that come before */
    bool separator;  /* one byte between mark and version */
} browsers[BROWSERS] = {
    [OPERA] = { S_INIT("opera"), S_INIT("Opera"), 0, true },
    [MSIE] = { S_INIT("msie"), S_INIT("MSIE "), sizeof("Mozilla/4.0 (compatible; ") - 1, false },
    [GECKO] = { S_INIT("gecko"), S_INIT("rv:"), sizeof("Mozilla/5.0 (") - 1, false },
    [SAFARI] = { S_INIT("safari"), S_INIT("Safari/"), sizeof("Mozilla/5.0 (") - 1, false },
    [KONQUEROR] = { S_INIT("konqueror"), S_INIT("Konqueror/"),
                    sizeof("Mozilla/5.0 (compatible; ") - 1, false },
};

enum {
    VERSION_SCALE = 1000000, /* of its first number; each further one has a hundredth of that */
    VERSION_PART_MAX = 1000000,
    NETSCAPE_MIN = sizeof("Mozilla/4.72 ") /* bytes of a field from which on it may be Netscape 4 */
};

/* What modern_browser says at one level. */
struct modern_list {
    bool any, unlisted;
    struct {
        bool set;
        uint64_t from; /* this version and later ones are modern */
    } browser[BROWSERS];
};

/* What ancient_browser says at one level. */
struct ancient_list {
    struct vec words; /* of struct str */
    bool netscape4;
};

struct browser_conf {
    struct modern_list modern;
    struct ancient_list ancient;
    struct str modern_value, ancient_value;
};

extern struct module browser_module;

/* The version at the front of `s`, as one number. *all: nothing stands behind it. */
static uint64_t
read_version(struct str s, bool *all)
{
    uint64_t version = 0, scale = VERSION_SCALE, part = 0;
    size_t i = 0;

    for (; i < s.len; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9') {
            if (part < VERSION_PART_MAX)
                part = part * 10 + (uint64_t)(c - '0');
        } else if (c == '.') {
            version += part * scale;
            scale /= 100;
            part = 0;
        } else {
            break;
        }
    }
    *all = i == s.len;
    return version + part * scale;
}

/* What stands behind the mark of a browser; empty: the field does not name it. */
static struct str
version_of(enum browser b, struct str agent)
{
    size_t skip = browsers[b].skip, at;

    if (skip >= agent.len)
        return STR_NONE;
    agent = str_from(agent, skip);
    at = str_search(agent, browsers[b].mark);
    if (at == agent.len)
        return STR_NONE;
    at += browsers[b].mark.len + browsers[b].separator;
    return at < agent.len ? str_from(agent, at) : STR_NONE;
}

static bool
is_ancient(const struct ancient_list *list, struct str agent)
{
    VEC_FOREACH (word, struct str, &list->words) {
        if (str_search(agent, *word) < agent.len)
            return true;
    }
    return list->netscape4 && agent.len >= NETSCAPE_MIN && str_starts(agent, S("Mozilla/")) &&
           agent.ptr[8] >= '1' && agent.ptr[8] <= '4';
}

static bool
is_modern(const struct request *r, const struct browser_conf *c)
{
    const struct field *f = fields_get(&r->fields, FIELD_USER_AGENT);

    if (f == NULL)
        return c->modern.unlisted;
    for (enum browser b = 0; c->modern.any && b < BROWSERS; b++) {
        struct str version;
        bool all;

        /* Opera pretends to be any of them, so it is looked for even if nobody asks about it. */
        if (!c->modern.browser[b].set && b != OPERA)
            continue;
        version = version_of(b, f->value);
        if (version.len > 0)
            return c->modern.browser[b].set &&
                   read_version(version, &all) >= c->modern.browser[b].from;
    }
    return c->modern.unlisted && !is_ancient(&c->ancient, f->value);
}

static void
get_browser(struct exchange *x, struct var_value *v, const void *data)
{
    const struct browser_conf *c = scope_conf(x->scope, &browser_module);
    bool modern = is_modern(request_of(x), c);

    if (modern == (data != NULL))
        var_found(v, modern ? c->modern_value : c->ancient_value);
}

static void
get_msie(struct exchange *x, struct var_value *v, const void *data)
{
    struct str agent = fields_value(&request_of(x)->fields, FIELD_USER_AGENT);
    size_t at = str_search(agent, S("MSIE "));

    (void)data;
    if (at + sizeof("MSIE x.x") - 1 <= agent.len && str_search(agent, S("Opera")) == agent.len)
        var_found(v, S("1"));
}

/* ---- loading ---- */

static bool
modern_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct modern_list *list = &((struct browser_conf *)conf)->modern;
    bool all;

    (void)d;
    if (n->n == 2 && str_eq(n->args[1], S("unlisted"))) {
        list->unlisted = true;
        return true;
    }
    for (enum browser b = 0; b < BROWSERS; b++) {
        uint64_t from;

        if (n->n == 2 || !str_eq(n->args[1], browsers[b].name))
            continue;
        from = read_version(n->args[2], &all);
        if (!all)
            return conf_fail(l, n, 2, "invalid browser version \"%.*s\"", STR(n->args[2]));
        list->any = true;
        if (!list->browser[b].set)
            list->browser[b].from = from;
        list->browser[b].set = true;
        return true;
    }
    if (n->n == 2)
        return conf_fail(l, n, 0, "invalid number of arguments in \"modern_browser\" directive");
    return conf_fail(l, n, 1, "unknown browser name \"%.*s\"", STR(n->args[1]));
}

static bool
ancient_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct ancient_list *list = &((struct browser_conf *)conf)->ancient;

    (void)d;
    if (list->words.size == 0)
        vec_init(&list->words, conf_arena(l), sizeof(struct str));
    for (uint32_t i = 1; i < n->n; i++) {
        struct str *word;

        if (str_eq(n->args[i], S("netscape4"))) {
            list->netscape4 = true;
            continue;
        }
        word = VEC_PUSH(&list->words, struct str);
        if (word == NULL)
            return conf_fail(l, n, (int)i, "out of memory");
        *word = n->args[i];
    }
    return true;
}

enum { ANYWHERE = CTX_HTTP | CTX_SRV | CTX_LOC };

static const struct directive browser_directives[] = {
    D_CALL("modern_browser", ANYWHERE, ARGS(1, 2), modern_set, FIELD(struct browser_conf, modern),
           .inherit = I_LIST),
    D_CALL("ancient_browser", ANYWHERE, ARGS(1, ARGS_ANY), ancient_set,
           FIELD(struct browser_conf, ancient), .inherit = I_LIST),
    D_STR("modern_browser_value", ANYWHERE, struct browser_conf, modern_value, DEFAULT(1)),
    D_STR("ancient_browser_value", ANYWHERE, struct browser_conf, ancient_value, DEFAULT(1)), D_END
};

static const struct variable browser_variables[] = {
    { .name = "modern_browser", .get = get_browser, .flags = VAR_CHANGEABLE, .data = "modern" },
    { .name = "ancient_browser", .get = get_browser, .flags = VAR_CHANGEABLE },
    { .name = "msie", .get = get_msie, .flags = VAR_CHANGEABLE },
    { 0 },
};

struct module browser_module = {
    .name = "browser",
    .conf_size = sizeof(struct browser_conf),
    .directives = browser_directives,
    .variables = browser_variables,
};
