/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - variables whose value is looked up by the value of others.
 *
 * A value is looked for when the variable is first used: as it is, without case; then by masks of host names, if the map
 * has `hostnames`; then by regular expressions in the order of the text, whose captures the result may use.
 *
 * Directives: map, map_hash_max_size, map_hash_bucket_size.
 */
#include "worker/core/template.h"
#include "worker/http/http_conf.h"
#include "worker/http/name_table.h"

enum { MAP_KEY_MAX = 256 /* bytes that are put into lower case on the stack */ };

struct map_regex {
    const struct named_regex *regex;
    const struct template *value;
};

struct map {
    struct template source;
    struct name_table names; /* to struct template * */
    struct vec regexes;      /* of struct map_regex */
    struct template *otherwise;
    bool hostnames; /* a dot at the end of the source does not count */
    bool is_volatile;
};

/* ---- at run time ---- */

static const struct template *
find_name(struct exchange *x, const struct map *m, struct str source)
{
    char small[MAP_KEY_MAX], *lower = small;

    if (source.len > sizeof(small))
        lower = arena_alloc(&x->mem->arena, source.len);
    if (lower == NULL)
        return NULL;
    for (size_t i = 0; i < source.len; i++)
        lower[i] = char_lower(source.ptr[i]);
    return name_table_find(&m->names, str_n(lower, source.len));
}

static const struct template *
find_value(struct exchange *x, const struct map *m, struct str source)
{
    const struct template *value = find_name(x, m, source);

    if (value != NULL)
        return value;
    VEC_FOREACH (r, struct map_regex, &m->regexes) {
        if (named_regex_match(request_of(x), r->regex, source))
            return r->value;
    }
    return m->otherwise;
}

static void
map_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct map *m = data;
    struct str source = template_expand(x, &m->source), text;
    const struct template *value;

    if (source.ptr == NULL)
        return;
    if (m->hostnames && source.len > 0 && source.ptr[source.len - 1] == '.')
        source.len--;
    value = find_value(x, m, source);
    text = value != NULL ? template_expand(x, value) : S("");
    if (text.ptr != NULL)
        var_found(v, text);
}

/* ---- loading ---- */

static bool
add_name(struct conf_load *l, const struct conf_node *n, struct map *m, struct template *value)
{
    struct str name = n->args[0];

    /* "\default", "\~x": names that would mean something else. */
    if (name.len > 0 && name.ptr[0] == '\\')
        name = str_from(name, 1);
    switch (name_table_add(&m->names, name, m->hostnames, value)) {
    case NAME_ADDED:
        return true;
    case NAME_INVALID:
        return conf_fail(l, n, 0, "invalid hostname or wildcard \"%.*s\"", STR(name));
    case NAME_TWICE:
        return conf_fail(l, n, 0, "conflicting parameter \"%.*s\"", STR(name));
    case NAME_NO_MEMORY:
        break;
    }
    return conf_fail(l, n, 0, "out of memory");
}

static bool
add_regex(struct conf_load *l, const struct conf_node *n, struct map *m, struct template *value)
{
    struct str pattern = str_from(n->args[0], 1);
    struct map_regex *r = VEC_PUSH(&m->regexes, struct map_regex);
    bool nocase = pattern.len > 0 && pattern.ptr[0] == '*';

    if (r == NULL)
        return conf_fail(l, n, 0, "out of memory");
    r->value = value;
    r->regex = named_regex_compile(l, n, 0, str_from(pattern, nocase), nocase);
    return r->regex != NULL;
}

static bool
add_line(struct conf_load *l, const struct conf_node *n, struct map *m)
{
    struct template *value;

    if (n->n == 1 && str_eq(n->args[0], S("hostnames"))) {
        m->hostnames = true;
        return true;
    }
    if (n->n == 1 && str_eq(n->args[0], S("volatile"))) {
        m->is_volatile = true;
        return true;
    }
    if (n->n != 2)
        return conf_fail(l, n, 0, "invalid number of the map parameters");
    value = ARENA_NEW(conf_arena(l), struct template);
    if (value == NULL)
        return conf_fail(l, n, 1, "out of memory");
    if (!template_compile(l, n, 1, n->args[1], value))
        return false;
    if (str_eq(n->args[0], S("default"))) {
        if (m->otherwise != NULL)
            return conf_fail(l, n, 0, "duplicate default map parameter");
        m->otherwise = value;
        return true;
    }
    if (n->args[0].len > 0 && n->args[0].ptr[0] == '~')
        return add_regex(l, n, m, value);
    return add_name(l, n, m, value);
}

static bool
map_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct map *m = ARENA_NEW(conf_arena(l), struct map);
    bool good = true;
    uint32_t index;

    (void)d, (void)conf;
    if (m == NULL)
        return conf_fail(l, n, 0, "out of memory");
    name_table_init(&m->names, conf_arena(l));
    vec_init(&m->regexes, conf_arena(l), sizeof(struct map_regex));
    if (n->args[2].len < 2 || n->args[2].ptr[0] != '$')
        return conf_fail(l, n, 2, "invalid variable name \"%.*s\"", STR(n->args[2]));
    if (!template_compile(l, n, 1, n->args[1], &m->source))
        return false;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = add_line(l, line, m) && good;
    return good && var_define(l, n, 2, str_from(n->args[2], 1),
                              m->is_volatile ? VAR_VOLATILE : VAR_CACHED, map_get, NULL, m, &index);
}

#define NO_HASH "tables grow as they need to"

static const struct directive map_directives[] = {
    D_TABLE("map", CTX_HTTP, ARGS(2, 2), map_set, .repeat = true),
    D_NO_OP("map_hash_max_size", CTX_HTTP, ARGS(1, 1), NO_HASH),
    D_NO_OP("map_hash_bucket_size", CTX_HTTP, ARGS(1, 1), NO_HASH), D_END
};

struct module map_module = {
    .name = "map",
    .directives = map_directives,
};
