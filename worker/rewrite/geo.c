/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * geo.c - variables whose value depends on an address: the client's, or one that another variable has.
 *
 * The networks or ranges of a block are laid out at load as spans that touch but never overlap, in order of their first
 * addresses, so a look-up is one binary search. Of networks within each other the smallest counts.
 *
 * Directive: geo.
 */
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/sys/addr.h"
#include "worker/http/http_conf.h"

/* An address as a number: IPv4 in the lower 32 bits. */
struct geo_ip {
    uint64_t high, low;
};

/* From here to the next span's beginning. */
struct geo_span {
    struct geo_ip from;
    const struct str *value; /* NULL: the default */
};

struct geo_table {
    struct vec spans; /* of struct geo_span, in order */
    struct str otherwise;
};

struct geo {
    bool recursive, is_volatile;
    bool has_port; /* source is $upstream_last_addr */
    bool is_text; /* source is a variable of the configuration, as text; else $binary_remote_addr */
    uint32_t source;      /* the variable that has the address */
    struct vec proxies;   /* of struct cidr */
    uint32_t forwarded;   /* variable $http_x_forwarded_for, when there are proxies */
    struct geo_table at4; /* IPv4 */
    struct geo_table at6;
};

static int
ip_cmp(struct geo_ip a, struct geo_ip b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

static struct geo_ip
ip_of_bytes(const uint8_t *p, unsigned n)
{
    struct geo_ip ip = { 0, 0 };

    for (unsigned i = 0; i < n; i++) {
        ip.high = ip.high << 8 | ip.low >> 56;
        ip.low = ip.low << 8 | p[i];
    }
    return ip;
}

/* The address as a number; IPv4 within IPv6 is IPv4. */
static struct geo_ip
ip_of(const struct addr *a, bool *v6)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    const uint8_t *p = (const uint8_t *)addr_bytes(a).ptr;

    *v6 = false;
    if (a->sa.sa_family == AF_INET)
        return ip_of_bytes(p, 4);
    *v6 = memcmp(p, mapped, sizeof(mapped)) != 0;
    return *v6 ? ip_of_bytes(p, 16) : ip_of_bytes(p + sizeof(mapped), 4);
}

/* ---- at run time ---- */

static struct str
table_find(const struct geo_table *t, struct geo_ip ip)
{
    uint32_t low = 0, high = t->spans.len; /* the last span that begins at or before ip: low - 1 */

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (ip_cmp(VEC_AT(&t->spans, struct geo_span, middle)->from, ip) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || VEC_AT(&t->spans, struct geo_span, low - 1)->value == NULL)
        return t->otherwise;
    return *VEC_AT(&t->spans, struct geo_span, low - 1)->value;
}

static bool
is_proxy(const struct geo *g, const struct addr *a)
{
    VEC_FOREACH (c, struct cidr, &g->proxies) {
        if (cidr_match(c, a))
            return true;
    }
    return false;
}

/* With or without a port. */
static bool
addr_of_text(struct str text, struct addr *a)
{
    if (str_starts(text, S("unix:")))
        return false;
    return addr_parse_ip(text, a) || addr_parse(text, 0, a);
}

/* Takes the last address off a list; false when there is none, or it is no address. */
static bool
take_last(struct str *list, struct addr *a)
{
    struct str last;
    size_t comma;

    do {
        comma = str_rfind(*list, ',');
        last = str_trim(comma < list->len ? str_from(*list, comma + 1) : *list);
        *list = str_upto(*list, comma < list->len ? comma : 0);
    } while (last.len == 0 && list->len > 0);
    return addr_of_text(last, a);
}

/* A proxy says for whom it asks; what somebody else says does not count. */
static void
follow_proxies(struct exchange *x, const struct geo *g, struct addr *a)
{
    struct addr before;
    struct str list;

    if (g->proxies.len == 0)
        return;
    list = var_get(x, g->forwarded).text;
    while (list.len > 0 && is_proxy(g, a) && take_last(&list, &before)) {
        *a = before;
        if (!g->recursive)
            return;
    }
}

/* From the bytes of $binary_remote_addr. */
static bool
addr_of_bytes(struct str bytes, struct addr *a)
{
    memset(a, 0, sizeof(*a));
    if (bytes.len == sizeof(a->in.sin_addr)) {
        a->len = sizeof(a->in);
        a->in.sin_family = AF_INET;
        memcpy(&a->in.sin_addr, bytes.ptr, bytes.len);
        return true;
    }
    if (bytes.len != sizeof(a->in6.sin6_addr))
        return false;
    a->len = sizeof(a->in6);
    a->in6.sin6_family = AF_INET6;
    memcpy(&a->in6.sin6_addr, bytes.ptr, bytes.len);
    return true;
}

/* nginx takes the broadcast address for what is no IP address. */
static void
address_of(struct exchange *x, const struct geo *g, struct addr *a)
{
    struct str source = var_get(x, g->source).text;

    bool known = g->has_port  ? addr_of_text(source, a)
                 : g->is_text ? addr_parse_ip(source, a)
                              : addr_of_bytes(source, a);

    if (!known)
        addr_parse_ip(S("255.255.255.255"), a);
}

static void
geo_get(struct exchange *x, struct var_value *v, const void *data)
{
    const struct geo *g = data;
    struct geo_ip ip;
    struct addr a;
    bool v6;

    address_of(x, g, &a);
    follow_proxies(x, g, &a);
    ip = ip_of(&a, &v6);
    var_found(v, table_find(v6 ? &g->at6 : &g->at4, ip));
}

/* ---- loading: the lines ---- */

/* A network or range of the text. */
struct geo_range {
    struct geo_ip first, last;
    const struct str *value; /* NULL: the default */
    const struct conf_node *node;
    struct str text;
    uint32_t number; /* in the order of the text */
    bool v6, deleted;
};

/* A block while it is read. */
struct geo_load {
    struct conf_load *l;
    struct geo *g;
    struct arena scratch;
    struct vec ranges;   /* of struct geo_range * */
    struct hash by_ends; /* the same by first and last address */
    struct hash values;  /* each value once: to struct str * */
    bool are_ranges, has_default;
};

/* What a range is known by. */
struct geo_ends {
    struct geo_ip first, last;
    uint64_t v6;
};

static const struct str *
shared_value(struct geo_load *b, struct str text)
{
    struct str *value = hash_get(&b->values, text);

    if (value != NULL)
        return value;
    value = ARENA_NEW(conf_arena(b->l), struct str);
    if (value == NULL)
        return NULL;
    *value = text.len > 0 ? text : S("");
    return hash_set(&b->values, text, value) ? value : NULL;
}

static bool
parse_network(struct geo_load *b, const struct conf_node *n, int arg, struct cidr *c)
{
    struct str text = n->args[arg];
    bool low_bits;

    if (!cidr_parse(text, c, &low_bits) || (c->family != AF_INET && c->family != AF_INET6))
        return conf_fail(b->l, n, arg, "invalid network \"%.*s\"", STR(text));
    if (low_bits)
        conf_warn(b->l, n, arg, "low address bits of %.*s are meaningless", STR(text));
    return true;
}

static bool
range_of_network(struct geo_load *b, const struct conf_node *n, int arg, struct geo_range *r)
{
    unsigned width, free_bits;
    struct cidr c;

    if (!parse_network(b, n, arg, &c))
        return false;
    r->v6 = c.family == AF_INET6;
    width = r->v6 ? 128 : 32;
    free_bits = width - c.bits;
    r->first = r->last = ip_of_bytes(c.addr, width / 8);
    if (free_bits >= 64) {
        r->last.low = UINT64_MAX;
        r->last.high |= free_bits == 128 ? UINT64_MAX : ((uint64_t)1 << (free_bits - 64)) - 1;
    } else {
        r->last.low |= ((uint64_t)1 << free_bits) - 1;
    }
    return true;
}

static bool
range_of_ends(struct geo_load *b, const struct conf_node *n, int arg, struct geo_range *r)
{
    struct str text = n->args[arg];
    size_t minus = str_find(text, '-');
    struct addr first, last;

    r->v6 = false;
    if (minus == text.len || !addr_parse_ip(str_upto(text, minus), &first) ||
        !addr_parse_ip(str_from(text, minus + 1), &last) || first.sa.sa_family != AF_INET ||
        last.sa.sa_family != AF_INET)
        return conf_fail(b->l, n, arg, "invalid range \"%.*s\"", STR(text));
    r->first = ip_of_bytes((const uint8_t *)addr_bytes(&first).ptr, 4);
    r->last = ip_of_bytes((const uint8_t *)addr_bytes(&last).ptr, 4);
    if (ip_cmp(r->first, r->last) > 0)
        return conf_fail(b->l, n, arg, "invalid range \"%.*s\"", STR(text));
    return true;
}

/* The same range again; NULL when there was none. */
static struct geo_range *
find_range(const struct geo_load *b, const struct geo_range *r)
{
    struct geo_ends ends = { r->first, r->last, r->v6 };

    return hash_get(&b->by_ends, str_n((const char *)&ends, sizeof(ends)));
}

static bool
add_range(struct geo_load *b, const struct geo_range *r)
{
    struct geo_range **slot = VEC_PUSH(&b->ranges, struct geo_range *);
    struct geo_ends *ends = ARENA_NEW(&b->scratch, struct geo_ends);
    struct geo_range *copy = ARENA_NEW(&b->scratch, struct geo_range);

    if (slot == NULL || ends == NULL || copy == NULL)
        return false;
    *copy = *r;
    copy->number = b->ranges.len;
    *slot = copy;
    *ends = (struct geo_ends){ r->first, r->last, r->v6 };
    return hash_set(&b->by_ends, str_n((const char *)ends, sizeof(*ends)), copy);
}

/* A network that is gone shows the one around it; in place of a range there is the default. */
static bool
delete_line(struct geo_load *b, const struct conf_node *n)
{
    struct geo_range r = { .node = n }, *old;

    if (!(b->are_ranges ? range_of_ends(b, n, 1, &r) : range_of_network(b, n, 1, &r)))
        return false;
    old = find_range(b, &r);
    if (old == NULL || old->deleted) {
        conf_warn(b->l, n, 1, "no %s \"%.*s\" to delete",
                  b->are_ranges ? "address range" : "network", STR(n->args[1]));
        return true;
    }
    old->deleted = true;
    old->value = NULL;
    return true;
}

static bool
value_line(struct geo_load *b, const struct conf_node *n)
{
    struct geo_range r = { .node = n, .text = n->args[0] }, *old;

    if (!(b->are_ranges ? range_of_ends(b, n, 0, &r) : range_of_network(b, n, 0, &r)))
        return false;
    r.value = shared_value(b, n->args[1]);
    if (r.value == NULL)
        return conf_fail(b->l, n, 1, "out of memory");
    old = find_range(b, &r);
    if (old == NULL)
        return add_range(b, &r) || conf_fail(b->l, n, 0, "out of memory");
    if (!old->deleted)
        conf_warn(b->l, n, 0, "duplicate %s \"%.*s\", value: \"%.*s\", old value: \"%.*s\"",
                  b->are_ranges ? "range" : "network", STR(n->args[0]), STR(*r.value),
                  STR(*old->value));
    old->deleted = false;
    old->value = r.value;
    return true;
}

static bool
default_line(struct geo_load *b, const struct conf_node *n)
{
    struct str value = n->args[1].len > 0 ? n->args[1] : S("");

    if (b->has_default)
        conf_warn(b->l, n, 0, "duplicate default value: \"%.*s\", old value: \"%.*s\"", STR(value),
                  STR(b->g->at4.otherwise));
    b->has_default = true;
    b->g->at4.otherwise = b->g->at6.otherwise = value;
    return true;
}

static bool
proxy_line(struct geo_load *b, const struct conf_node *n)
{
    struct cidr *c = VEC_PUSH(&b->g->proxies, struct cidr);

    if (c == NULL)
        return conf_fail(b->l, n, 0, "out of memory");
    return parse_network(b, n, 1, c);
}

static bool
word_line(struct geo_load *b, const struct conf_node *n)
{
    if (str_eq(n->args[0], S("ranges"))) {
        if (b->ranges.len > 0)
            return conf_fail(b->l, n, 0,
                             "the \"ranges\" directive must be the first directive inside \"geo\" "
                             "block");
        b->are_ranges = true;
        return true;
    }
    if (str_eq(n->args[0], S("proxy_recursive")))
        b->g->recursive = true;
    else if (str_eq(n->args[0], S("volatile")))
        b->g->is_volatile = true;
    else
        return conf_fail(b->l, n, 0, "invalid number of the geo parameters");
    return true;
}

static bool
geo_line(struct geo_load *b, const struct conf_node *n)
{
    if (n->n == 1)
        return word_line(b, n);
    if (n->n != 2)
        return conf_fail(b->l, n, 0, "invalid number of the geo parameters");
    if (str_eq(n->args[0], S("default")))
        return default_line(b, n);
    if (str_eq(n->args[0], S("delete")))
        return delete_line(b, n);
    if (str_eq(n->args[0], S("proxy")))
        return proxy_line(b, n);
    return value_line(b, n);
}

/* ---- loading: the spans ---- */

/* By first address; of those that begin alike the widest comes first. */
static int
compare_ranges(const void *a, const void *b)
{
    const struct geo_range *ra = *(struct geo_range *const *)a, *rb = *(struct geo_range *const *)b;
    int first = ip_cmp(ra->first, rb->first);

    return first != 0 ? first : ip_cmp(rb->last, ra->last);
}

static bool
add_span(struct geo_load *b, struct vec *spans, struct geo_ip from, const struct str *value)
{
    struct geo_span *last = spans->len > 0 ? VEC_AT(spans, struct geo_span, spans->len - 1) : NULL;

    if (last != NULL && ip_cmp(last->from, from) == 0) {
        last->value = value;
        return true;
    }
    if (last != NULL ? last->value == value : value == NULL)
        return true;
    last = VEC_PUSH(spans, struct geo_span);
    if (last == NULL)
        return conf_fail_at(b->l, (struct conf_pos){ 0, 0, 0 }, "out of memory");
    *last = (struct geo_span){ from, value };
    return true;
}

/* Ends the ranges on the stack that lie before `ip` (NULL: all): what was around each goes on behind it. */
static bool
close_ranges(struct geo_load *b, struct vec *open, struct vec *spans, const struct geo_ip *ip)
{
    while (open->len > 0) {
        const struct geo_range *top = *VEC_AT(open, struct geo_range *, open->len - 1);
        struct geo_ip next = top->last;
        const struct str *around = NULL;

        if (ip != NULL && ip_cmp(top->last, *ip) >= 0)
            return true;
        open->len--;
        if (++next.low == 0 && ++next.high == 0) /* the end of all addresses */
            continue;
        if (open->len > 0)
            around = (*VEC_AT(open, struct geo_range *, open->len - 1))->value;
        if (!add_span(b, spans, next, around))
            return false;
    }
    return true;
}

static bool
overlap(struct geo_load *b, const struct geo_range *one, const struct geo_range *two)
{
    const struct geo_range *later = one->number > two->number ? one : two;
    const struct geo_range *earlier = later == one ? two : one;

    return conf_fail(b->l, later->node, 0, "range \"%.*s\" overlaps \"%.*s\"", STR(later->text),
                     STR(earlier->text));
}

/* Lays out the sorted ranges of one family. */
static bool
lay_out(struct geo_load *b, bool v6, struct vec *spans)
{
    struct vec open; /* of struct geo_range *: those around the current place, outermost first */

    vec_init(&open, &b->scratch, sizeof(struct geo_range *));
    vec_init(spans, conf_arena(b->l), sizeof(struct geo_span));
    VEC_FOREACH (at, struct geo_range *, &b->ranges) {
        struct geo_range *r = *at, **slot;

        if (r->v6 != v6 || (r->deleted && !b->are_ranges))
            continue;
        if (!close_ranges(b, &open, spans, &r->first))
            return false;
        if (open.len > 0) {
            const struct geo_range *around = *VEC_AT(&open, struct geo_range *, open.len - 1);

            if (ip_cmp(r->last, around->last) > 0)
                return overlap(b, r, around);
        }
        slot = VEC_PUSH(&open, struct geo_range *);
        if (slot == NULL)
            return conf_fail(b->l, r->node, 0, "out of memory");
        *slot = r;
        if (!add_span(b, spans, r->first, r->value))
            return false;
    }
    return close_ranges(b, &open, spans, NULL);
}

static bool
geo_read(struct conf_load *l, const struct conf_node *n, struct geo *g)
{
    struct geo_load b = { .l = l, .g = g };
    bool good = true;

    arena_init(&b.scratch, 65536);
    vec_init(&b.ranges, &b.scratch, sizeof(struct geo_range *));
    hash_init(&b.by_ends, &b.scratch);
    hash_init(&b.values, &b.scratch);
    vec_init(&g->proxies, conf_arena(l), sizeof(struct cidr));
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = geo_line(&b, line) && good;
    if (b.ranges.len > 1)
        qsort(b.ranges.data, b.ranges.len, sizeof(struct geo_range *), compare_ranges);
    good = good && lay_out(&b, false, &g->at4.spans) && lay_out(&b, true, &g->at6.spans);
    arena_free(&b.scratch);
    return good;
}

static bool
is_variable(struct conf_load *l, const struct conf_node *n, int arg)
{
    if (n->args[arg].len > 1 && n->args[arg].ptr[0] == '$')
        return true;
    return conf_fail(l, n, arg, "invalid variable name \"%.*s\"", STR(n->args[arg]));
}

static bool
geo_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct geo *g = ARENA_NEW(conf_arena(l), struct geo);
    int name = (int)n->n - 1;
    uint32_t index;

    (void)d, (void)conf;
    if (g == NULL)
        return conf_fail(l, n, 0, "out of memory");
    g->at4.otherwise = g->at6.otherwise = S("");
    for (int i = 1; i <= name; i++) {
        if (!is_variable(l, n, i))
            return false;
    }
    g->is_text = name == 2;
    g->has_port = g->is_text && str_eq(n->args[1], S("$upstream_last_addr"));
    g->source =
        var_index(l, g->is_text ? str_from(n->args[1], 1) : S("binary_remote_addr"), n->arg_pos[1]);
    if (!geo_read(l, n, g))
        return false;
    if (g->proxies.len > 0)
        g->forwarded = var_index(l, S("http_x_forwarded_for"), n->pos);
    return var_define(l, n, name, str_from(n->args[name], 1),
                      g->is_volatile ? VAR_VOLATILE : VAR_CACHED, geo_get, NULL, g, &index);
}

static const struct directive geo_directives[] = {
    D_TABLE("geo", CTX_HTTP, ARGS(1, 2), geo_set, .repeat = true), D_END
};

struct module geo_module = {
    .name = "geo",
    .directives = geo_directives,
};
