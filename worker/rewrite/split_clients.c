/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * split_clients.c - variables that share clients out by a hash of a text: the same text always gets the same value.
 *
 * The hash is MurmurHash2 and the borders are those of nginx, so that a client stays on its side when nginx is replaced.
 *
 * Directive: split_clients.
 */
#include "common/base/num.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"

enum { PERCENT_ALL = 10000 /* hundredths of a percent */ };

struct split_part {
    uint64_t end; /* hashes below it, and not below that of the part before, get the value */
    struct str value;
};

struct split {
    struct template source;
    struct vec parts; /* of struct split_part */
};

/* MurmurHash2 by Austin Appleby (public domain), 32 bits, with seed 0. */
static uint32_t
murmur2(struct str s)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *p = (const uint8_t *)s.ptr;
    uint32_t h = (uint32_t)s.len;
    size_t left = s.len;

    for (; left >= 4; p += 4, left -= 4) {
        uint32_t k = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;

        k *= m;
        k ^= k >> 24;
        k *= m;
        h *= m;
        h ^= k;
    }
    if (left >= 3)
        h ^= (uint32_t)p[2] << 16;
    if (left >= 2)
        h ^= (uint32_t)p[1] << 8;
    if (left >= 1) {
        h ^= p[0];
        h *= m;
    }
    h ^= h >> 13;
    h *= m;
    h ^= h >> 15;
    return h;
}

static void
split_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct split *s = data;
    struct str source = template_expand(x, &s->source);
    uint32_t hash;

    if (source.ptr == NULL)
        return;
    hash = murmur2(source);
    VEC_FOREACH (part, struct split_part, &s->parts) {
        if (hash < part->end) {
            var_found(v, part->value);
            return;
        }
    }
    var_found(v, S(""));
}

/* "12.5%" in hundredths of a percent; "*" takes the rest and leaves *percent alone. */
static bool
parse_percent(struct str text, uint64_t *percent)
{
    return text.len > 1 && text.ptr[text.len - 1] == '%' &&
           num_parse_fixed(str_upto(text, text.len - 1), 2, percent) && *percent > 0;
}

static bool
add_line(struct conf_load *l, const struct conf_node *n, struct split *s, uint64_t *total,
         uint64_t *end)
{
    struct split_part *part;
    uint64_t percent = 0;
    bool rest = str_eq(n->args[0], S("*"));

    if (n->n != 2)
        return conf_fail(l, n, 0, "invalid number of the split_clients parameters");
    if (!rest && !parse_percent(n->args[0], &percent))
        return conf_fail(l, n, 0, "invalid percent value \"%.*s\"", STR(n->args[0]));
    if (percent > PERCENT_ALL || *total + percent > PERCENT_ALL)
        return conf_fail(l, n, 0, "percent total is greater than 100%%");
    part = VEC_PUSH(&s->parts, struct split_part);
    if (part == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *total += percent;
    *end += percent * UINT32_MAX / PERCENT_ALL;
    part->end = rest ? UINT64_MAX : *end;
    part->value = n->args[1].len > 0 ? n->args[1] : S("");
    return true;
}

static bool
split_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct split *s = ARENA_NEW(conf_arena(l), struct split);
    uint64_t total = 0, end = 0;
    bool good = true;
    uint32_t index;

    (void)d, (void)conf;
    if (s == NULL)
        return conf_fail(l, n, 0, "out of memory");
    vec_init(&s->parts, conf_arena(l), sizeof(struct split_part));
    if (n->args[2].len < 2 || n->args[2].ptr[0] != '$')
        return conf_fail(l, n, 2, "invalid variable name \"%.*s\"", STR(n->args[2]));
    if (!template_compile(l, n, 1, n->args[1], &s->source))
        return false;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = add_line(l, line, s, &total, &end) && good;
    return good &&
           var_define(l, n, 2, str_from(n->args[2], 1), VAR_CACHED, split_get, NULL, s, &index);
}

static const struct directive split_directives[] = {
    D_TABLE("split_clients", CTX_HTTP, ARGS(2, 2), split_set, .repeat = true), D_END
};

struct module split_clients_module = {
    .name = "split_clients",
    .directives = split_directives,
};
