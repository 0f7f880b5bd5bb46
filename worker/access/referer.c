/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * referer.c - tells whether the field Referer names a place from which a request may come.
 *
 * Directives: valid_referers, referer_hash_max_size, referer_hash_bucket_size.   Variable: $invalid_referer.
 */
#include "common/conf/lint.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"
#include "worker/http/name_table.h"
#include "worker/http/server.h"

enum { REFERER_HOST_MAX = 255 };

/* What stands at one level. */
struct referer_list {
    struct name_table
        *names;         /* to struct str *: what the path has to begin with; NULL: no names yet */
    struct vec regexes; /* of const struct named_regex *: matched with what is behind the scheme */
    struct vec server_regexes; /* the same: with the host alone */
    bool none, blocked, server_names;
    struct conf_pos pos;
};

struct referer_conf {
    struct referer_list list;
};

extern struct module referer_module;

/* ---- at run time ---- */

/* What is behind the scheme; ptr NULL: there is none, or too little behind it (nginx's bound: "http://i.ru"). */
static struct str
without_scheme(struct str referer)
{
    if (str_starts_nocase(referer, S("http://")) && referer.len >= 11)
        return str_from(referer, 7);
    if (str_starts_nocase(referer, S("https://")) && referer.len >= 12)
        return str_from(referer, 8);
    return STR_NONE;
}

static bool
matches_any(struct request *r, const struct vec *regexes, struct str subject)
{
    VEC_FOREACH (re, const struct named_regex *, regexes) {
        if (named_regex_match(r, *re, subject))
            return true;
    }
    return false;
}

/* `rest` is host[:port][/path]. */
static bool
place_is_valid(struct request *r, const struct referer_list *list, struct str rest)
{
    char *lower = arena_alloc(request_arena(r), REFERER_HOST_MAX);
    size_t slash = str_find(rest, '/'), end = str_find(rest, ':');
    const struct str *path;
    struct str host;

    if (end > slash)
        end = slash;
    if (lower == NULL || end > REFERER_HOST_MAX)
        return false;
    for (size_t i = 0; i < end; i++)
        lower[i] = char_lower(rest.ptr[i]);
    host = str_n(lower, end);
    path = list->names != NULL ? name_table_find(list->names, host) : NULL;
    if (path != NULL)
        return str_starts(str_from(rest, slash), *path);
    return matches_any(r, &list->server_regexes, host) || matches_any(r, &list->regexes, rest);
}

static bool
referer_is_valid(struct request *r, const struct referer_list *list)
{
    struct field *f = fields_get(&r->fields, FIELD_REFERER);
    struct str rest;

    if (list->names == NULL) /* valid_referers does not stand here */
        return true;
    if (f == NULL)
        return list->none;
    rest = without_scheme(f->value);
    return rest.ptr != NULL ? place_is_valid(r, list, rest) : list->blocked;
}

static void
get_invalid(struct exchange *x, struct var_value *v, const void *data)
{
    const struct referer_conf *c = scope_conf(x->scope, &referer_module);

    (void)data;
    var_found(v, referer_is_valid(request_of(x), &c->list) ? S("") : S("1"));
}

/* ---- loading ---- */

static bool
add_regex(struct conf_load *l, struct vec *to, const struct named_regex *re)
{
    const struct named_regex **slot;

    if (to->size == 0)
        vec_init(to, conf_arena(l), sizeof(re));
    slot = VEC_PUSH(to, const struct named_regex *);
    if (slot == NULL)
        return false;
    *slot = re;
    return true;
}

static bool
add_pattern(struct conf_load *l, const struct conf_node *n, int arg, struct referer_list *list)
{
    struct named_regex *re;

    if (n->args[arg].len == 1)
        return conf_fail(l, n, arg, "empty regex in \"%.*s\"", STR(n->args[arg]));
    re = named_regex_compile(l, n, arg, str_from(n->args[arg], 1), true);
    return re != NULL &&
           (add_regex(l, &list->regexes, re) || conf_fail(l, n, arg, "out of memory"));
}

/* A host, maybe with a mask, and what its paths begin with. */
static bool
add_place(struct conf_load *l, const struct conf_node *n, int arg, struct referer_list *list)
{
    struct str text = n->args[arg];
    size_t slash = str_find(text, '/');
    struct str *path = ARENA_NEW(conf_arena(l), struct str);

    if (path == NULL)
        return conf_fail(l, n, arg, "out of memory");
    if (text.len == 0)
        return conf_fail(l, n, arg, "invalid referer \"%.*s\"", STR(text));
    *path = str_from(text, slash);
    switch (name_table_add(list->names, str_upto(text, slash), true, path)) {
    case NAME_ADDED:
        return true;
    case NAME_INVALID:
        return conf_fail(l, n, arg, "invalid hostname or wildcard \"%.*s\"",
                         STR(str_upto(text, slash)));
    case NAME_TWICE:
        return conf_fail(l, n, arg, "conflicting parameter \"%.*s\"", STR(str_upto(text, slash)));
    case NAME_NO_MEMORY:
        break;
    }
    return conf_fail(l, n, arg, "out of memory");
}

static bool
referers_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct referer_list *list = &((struct referer_conf *)conf)->list;

    (void)d;
    if (list->names == NULL) {
        list->names = ARENA_NEW(conf_arena(l), struct name_table);
        if (list->names == NULL)
            return conf_fail(l, n, 0, "out of memory");
        name_table_init(list->names, conf_arena(l));
        list->pos = n->pos;
    }
    for (int i = 1; i < (int)n->n; i++) {
        struct str word = n->args[i];

        if (str_eq(word, S("none")))
            list->none = true;
        else if (str_eq(word, S("blocked")))
            list->blocked = true;
        else if (str_eq(word, S("server_names")))
            list->server_names = true;
        else if (str_starts(word, S("~")) ? !add_pattern(l, n, i, list) : !add_place(l, n, i, list))
            return false;
    }
    return true;
}

static bool
has_places(const struct referer_list *list)
{
    return list->names->exact.n + list->names->leading.n + list->names->ending.n > 0 ||
           list->regexes.len > 0 || list->server_names;
}

/* The names of the server are known now. One that is in the list already keeps what the list says. */
static bool
add_server_names(struct conf_load *l, struct referer_list *list, const struct server *s)
{
    static struct str any_path = S_INIT("");

    VEC_FOREACH (name, struct server_name, &s->names) {
        if (name->regex != NULL) {
            if (!add_regex(l, &list->server_regexes, name->regex))
                return false;
        } else if (name->text.len > 0 &&
                   name_table_add(list->names, name->text, true, &any_path) == NAME_NO_MEMORY) {
            return false;
        }
    }
    return true;
}

static bool
referer_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct referer_list *list = &((struct referer_conf *)conf)->list;
    const struct server *server = http_server_of(s);

    if (list->names == NULL)
        return true;
    if (!has_places(list))
        return conf_fail_at(l, list->pos,
                            "the \"none\" or \"blocked\" referers are specified in the "
                            "\"valid_referers\" directive without any valid referer");
    if (list->server_names && server != NULL && !add_server_names(l, list, server))
        return conf_fail_at(l, list->pos, "out of memory");
    return true;
}

static void
check_none(struct conf_load *l, const struct lint_line *at)
{
    for (uint32_t i = 1; i < at->node->n; i++) {
        if (!str_eq(at->node->args[i], S("none")))
            continue;
        lint_say(l, at->node, (int)i,
                 "\"none\" lets all requests by that have no Referer: whoever leaves it out is not "
                 "kept off");
        conf_hint(l, "take \"none\" away if the field is to protect something");
        return;
    }
}

static const struct lint_check referer_checks[] = {
    { "referer-none", "valid_referers", check_none },
    { 0 },
};

#define NO_HASH "tables grow as they need to"

static const struct directive referer_directives[] = {
    D_CALL("valid_referers", CTX_SRV | CTX_LOC, ARGS(1, ARGS_ANY), referers_set,
           FIELD(struct referer_conf, list), .inherit = I_LIST),
    D_NO_OP("referer_hash_max_size", CTX_SRV | CTX_LOC, ARGS(1, 1), NO_HASH),
    D_NO_OP("referer_hash_bucket_size", CTX_SRV | CTX_LOC, ARGS(1, 1), NO_HASH), D_END
};

static const struct variable referer_variables[] = {
    { .name = "invalid_referer", .get = get_invalid }, { 0 }
};

struct module referer_module = {
    .name = "referer",
    .conf_size = sizeof(struct referer_conf),
    .directives = referer_directives,
    .lint = referer_checks,
    .finish = referer_finish,
    .variables = referer_variables,
};
