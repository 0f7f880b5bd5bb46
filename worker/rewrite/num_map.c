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
#include "worker/http/http_conf.h"
#include "worker/rewrite/map_lines.h"

enum { DECIMALS = 3 };

/* From first to last, both included. */
struct num_range {
    int64_t first, last;
    const struct template *value;
};

struct num_map {
    struct map_lines lines;
    struct hash numbers; /* by the bytes of an int64_t: to struct template * */
    struct vec ranges;   /* of struct num_range, in text order */
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
    return m->lines.otherwise;
}

static void
num_map_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct num_map *m = CONTAINER_OF(data, struct num_map, lines);
    const struct template *value = m->lines.otherwise;
    int64_t number;

    if (parse_number(template_expand(x, &m->lines.source), &number))
        value = find_value(m, number);
    map_lines_found(x, v, value);
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
           const struct template *value)
{
    int64_t *key = ARENA_NEW(conf_arena(l), int64_t);

    if (key == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *key = number;
    if (hash_get(&m->numbers, number_key(key)) != NULL)
        return conf_fail(l, n, 0, "conflicting parameter \"%.*s\"", STR(n->args[0]));
    return hash_set(&m->numbers, number_key(key), (void *)(uintptr_t)value) ||
           conf_fail(l, n, 0, "out of memory");
}

static bool
num_map_add(struct conf_load *l, const struct conf_node *n, struct map_lines *lines,
            const struct template *value)
{
    struct num_map *m = CONTAINER_OF(lines, struct num_map, lines);
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
num_map_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    static const struct map_kind kind = { .name = "num_map",
                                          .add = num_map_add,
                                          .get = num_map_get };
    struct num_map *m = ARENA_NEW(conf_arena(l), struct num_map);

    (void)d, (void)conf;
    if (m == NULL)
        return conf_fail(l, n, 0, "out of memory");
    hash_init(&m->numbers, conf_arena(l));
    vec_init(&m->ranges, conf_arena(l), sizeof(struct num_range));
    return map_lines_read(l, n, &kind, &m->lines);
}

static const struct directive num_map_directives[] = {
    D_TABLE("num_map", CTX_HTTP, ARGS(2, 2), num_map_set, .repeat = true), D_END
};

struct module num_map_module = {
    .name = "num_map",
    .directives = num_map_directives,
};
