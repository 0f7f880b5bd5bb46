/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * num_map.c - variables whose value is looked up by a number, or by the range that it lies in.
 *
 * A line for the number itself comes first, then the first range in the order of the text that holds it. Numbers may
 * have up to three decimals, as times do, and are kept in thousandths.
 *
 * Directive: num_map.
 */
#include "common/base/hash.h"
#include "common/base/num.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"

enum { DECIMALS = 3 };

/* From first to last, both included. */
struct num_range {
    int64_t first, last;
    const struct template *value;
};

struct num_map {
    struct template source;
    struct hash numbers; /* by the bytes of an int64_t: to struct template * */
    struct vec ranges;   /* of struct num_range, in text order */
    struct template *otherwise;
    bool is_volatile;
};

/* False: the text is no number, or one out of bounds. */
static bool
parse_number(struct str text, int64_t *number)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t size;

    if (negative)
        text = str_from(text, 1);
    if (!num_parse_fixed(text, DECIMALS, &size) || size > INT64_MAX)
        return false;
    *number = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

static struct str
number_key(const int64_t *number)
{
    return str_n((const char *)number, sizeof(*number));
}

/* ---- at run time ---- */

static const struct template *
find_value(const struct num_map *m, int64_t number)
{
    const struct template *value = hash_get(&m->numbers, number_key(&number));

    if (value != NULL)
        return value;
    VEC_FOREACH (r, struct num_range, &m->ranges) {
        if (number >= r->first && number <= r->last)
            return r->value;
    }
    return m->otherwise;
}

static void
num_map_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct num_map *m = data;
    const struct template *value = m->otherwise;
    int64_t number;
    struct str text;

    if (parse_number(template_expand(x, &m->source), &number))
        value = find_value(m, number);
    text = value != NULL ? template_expand(x, value) : S("");
    if (text.ptr != NULL)
        var_found(v, text);
}

/* ---- loading ---- */

/* "<=9", "<9", ">=9", ">9" and "1-9". */
static bool
parse_range(struct str text, struct num_range *r)
{
    bool below = str_starts(text, S("<")), above = str_starts(text, S(">"));
    bool with = text.len > 1 && text.ptr[1] == '=';
    int64_t number;
    size_t minus;

    r->first = INT64_MIN;
    r->last = INT64_MAX;
    if (below || above) {
        if (!parse_number(str_from(text, 1 + (size_t)with), &number))
            return false;
        if (below)
            r->last = with ? number : number - 1;
        else
            r->first = with ? number : number + (number < INT64_MAX);
        return true;
    }
    if (text.len == 0)
        return false;
    minus = 1 + str_find(str_from(text, 1), '-'); /* a minus in front belongs to the number */
    return minus < text.len && parse_number(str_upto(text, minus), &r->first) &&
           parse_number(str_from(text, minus + 1), &r->last) && r->first <= r->last;
}

static bool
add_number(struct conf_load *l, const struct conf_node *n, struct num_map *m, int64_t number,
           struct template *value)
{
    int64_t *key = ARENA_NEW(conf_arena(l), int64_t);

    if (key == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *key = number;
    if (hash_get(&m->numbers, number_key(key)) != NULL)
        return conf_fail(l, n, 0, "conflicting parameter \"%.*s\"", STR(n->args[0]));
    return hash_set(&m->numbers, number_key(key), value) || conf_fail(l, n, 0, "out of memory");
}

static bool
add_source(struct conf_load *l, const struct conf_node *n, struct num_map *m,
           struct template *value)
{
    struct num_range *slot, r = { .value = value };
    int64_t number;

    if (parse_number(n->args[0], &number))
        return add_number(l, n, m, number, value);
    if (!parse_range(n->args[0], &r))
        return conf_fail(l, n, 0, "invalid number or range \"%.*s\"", STR(n->args[0]));
    slot = VEC_PUSH(&m->ranges, struct num_range);
    if (slot == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *slot = r;
    return true;
}

static bool
add_line(struct conf_load *l, const struct conf_node *n, struct num_map *m)
{
    struct template *value;

    if (n->n == 1 && str_eq(n->args[0], S("volatile"))) {
        m->is_volatile = true;
        return true;
    }
    if (n->n != 2)
        return conf_fail(l, n, 0, "invalid number of the num_map parameters");
    value = ARENA_NEW(conf_arena(l), struct template);
    if (value == NULL)
        return conf_fail(l, n, 1, "out of memory");
    if (!template_compile(l, n, 1, n->args[1], value))
        return false;
    if (!str_eq(n->args[0], S("default")))
        return add_source(l, n, m, value);
    if (m->otherwise != NULL)
        return conf_fail(l, n, 0, "duplicate default num_map parameter");
    m->otherwise = value;
    return true;
}

static bool
num_map_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct num_map *m = ARENA_NEW(conf_arena(l), struct num_map);
    bool good = true;
    uint32_t index;

    (void)d, (void)conf;
    if (m == NULL)
        return conf_fail(l, n, 0, "out of memory");
    hash_init(&m->numbers, conf_arena(l));
    vec_init(&m->ranges, conf_arena(l), sizeof(struct num_range));
    if (n->args[2].len < 2 || n->args[2].ptr[0] != '$')
        return conf_fail(l, n, 2, "invalid variable name \"%.*s\"", STR(n->args[2]));
    if (!template_compile(l, n, 1, n->args[1], &m->source))
        return false;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = add_line(l, line, m) && good;
    return good &&
           var_define(l, n, 2, str_from(n->args[2], 1), m->is_volatile ? VAR_VOLATILE : VAR_CACHED,
                      num_map_get, NULL, m, &index);
}

static const struct directive num_map_directives[] = {
    D_TABLE("num_map", CTX_HTTP, ARGS(2, 2), num_map_set, .repeat = true), D_END
};

struct module num_map_module = {
    .name = "num_map",
    .directives = num_map_directives,
};
