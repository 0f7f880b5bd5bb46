/* SPDX-License-Identifier: BSD-2-Clause */
/* map_lines.c - reads the lines of map and num_map. */
#include "worker/rewrite/map_lines.h"

void
map_lines_found(struct exchange *x, struct var_value *v, const struct template *value)
{
    struct str text = value != NULL ? template_expand(x, value) : S("");

    if (text.ptr != NULL)
        var_found(v, text);
}

static bool
read_line(struct conf_load *l, const struct conf_node *n, const struct map_kind *kind,
          struct map_lines *m)
{
    struct template *value;

    if (n->n == 1 && str_eq(n->args[0], S("volatile"))) {
        m->is_volatile = true;
        return true;
    }
    if (n->n == 1 && kind->word != NULL && kind->word(m, n->args[0]))
        return true;
    if (n->n != 2)
        return conf_fail(l, n, 0, "invalid number of the %s parameters", kind->name);
    value = ARENA_NEW(conf_arena(l), struct template);
    if (value == NULL)
        return conf_fail(l, n, 1, "out of memory");
    if (!template_compile(l, n, 1, n->args[1], value))
        return false;
    if (!str_eq(n->args[0], S("default")))
        return kind->add(l, n, m, value);
    if (m->otherwise != NULL)
        return conf_fail(l, n, 0, "duplicate default %s parameter", kind->name);
    m->otherwise = value;
    return true;
}

bool
map_lines_read(struct conf_load *l, struct conf_node *n, const struct map_kind *kind,
               struct map_lines *m)
{
    bool good = true;
    uint32_t index;

    if (n->args[2].len < 2 || n->args[2].ptr[0] != '$')
        return conf_fail(l, n, 2, "invalid variable name \"%.*s\"", STR(n->args[2]));
    if (!template_compile(l, n, 1, n->args[1], &m->source))
        return false;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = read_line(l, line, kind, m) && good;
    return good &&
           var_define(l, n, 2, str_from(n->args[2], 1), m->is_volatile ? VAR_VOLATILE : VAR_CACHED,
                      kind->get, NULL, m, &index);
}
