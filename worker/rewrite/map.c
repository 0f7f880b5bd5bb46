/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - variables whose value is looked up by the value of others.
 *
 * A value is looked for when the variable is first used: as it is, without case; then by masks of host names, if the map
 * has `hostnames`; then by regular expressions in the order of the text, whose captures the result may use.
 *
 * Directives: map, map_hash_max_size, map_hash_bucket_size.
 */
#include "worker/http/http_conf.h"
#include "worker/http/name_table.h"
#include "worker/rewrite/map_lines.h"

enum { MAP_KEY_MAX = 256 /* bytes that are put into lower case on the stack */ };

struct map_regex {
    const struct named_regex *regex;
    const struct template *value;
};

struct map {
    struct map_lines lines;
    struct name_table names; /* to struct template * */
    struct vec regexes;      /* of struct map_regex */
    bool hostnames;          /* a dot at the end of the source does not count */
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
    return m->lines.otherwise;
}

static void
map_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct map *m = CONTAINER_OF(data, struct map, lines);
    struct str source = template_expand(x, &m->lines.source);

    if (source.ptr == NULL)
        return;
    if (m->hostnames && source.len > 0 && source.ptr[source.len - 1] == '.')
        source.len--;
    map_lines_found(x, v, find_value(x, m, source));
}

/* ---- loading ---- */

static bool
add_name(struct conf_load *l, const struct conf_node *n, struct map *m,
         const struct template *value)
{
    struct str name = n->args[0];

    /* "\default", "\~x": names that would mean something else. */
    if (name.len > 0 && name.ptr[0] == '\\')
        name = str_from(name, 1);
    switch (name_table_add(&m->names, name, m->hostnames, (void *)(uintptr_t)value)) {
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
add_regex(struct conf_load *l, const struct conf_node *n, struct map *m,
          const struct template *value)
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
map_add(struct conf_load *l, const struct conf_node *n, struct map_lines *lines,
        const struct template *value)
{
    struct map *m = CONTAINER_OF(lines, struct map, lines);

    if (n->args[0].len > 0 && n->args[0].ptr[0] == '~')
        return add_regex(l, n, m, value);
    return add_name(l, n, m, value);
}

static bool
map_word(struct map_lines *lines, struct str word)
{
    struct map *m = CONTAINER_OF(lines, struct map, lines);

    m->hostnames |= str_eq(word, S("hostnames"));
    return str_eq(word, S("hostnames"));
}

static bool
map_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    static const struct map_kind kind = {
        .name = "map", .add = map_add, .word = map_word, .get = map_get
    };
    struct map *m = ARENA_NEW(conf_arena(l), struct map);

    (void)d, (void)conf;
    if (m == NULL)
        return conf_fail(l, n, 0, "out of memory");
    name_table_init(&m->names, conf_arena(l));
    vec_init(&m->regexes, conf_arena(l), sizeof(struct map_regex));
    return map_lines_read(l, n, &kind, &m->lines);
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
