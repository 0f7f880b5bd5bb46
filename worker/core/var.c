/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * var.c - the names that a configuration uses, each with an index, and the values of an exchange tree by that index.
 *
 * A name is looked up without case, at load. http {} and stream {} have names of their own: the same name may mean two
 * getters. At run time a cached value is an array look-up; only the stamps of the array are zeroed at its making.
 */
#include "worker/core/var.h"

#include "common/base/num.h"
#include "common/module.h"
#include "worker/core/cycle.h"
#include "worker/core/exchange.h"

enum {
    VAR_NESTING_MAX = 100, /* getters that ask for variables; more is a cycle */
    VAR_NAME_MAX = 255,
};

/* A name that this configuration uses. Filled at load, its getter at the end of it. */
struct var_entry {
    struct str name; /* lower case */
    bool stream;     /* used in stream {}; else in http {} */
    bool defined;    /* by var_define; else a row of a module's table is wanted */
    uint32_t flags;
    var_get_fn get; /* NULL when defined: only what `set` stored */
    var_set_fn set;
    const void *data;
    struct conf_pos pos; /* of the first use */
};

struct var_table {
    struct vec entries;     /* of struct var_entry; fixed after load */
    struct hash by_name[2]; /* http, stream: name -> struct str * made of the index, see var_find */
    bool checked;
};

/* A value; valid when its stamp says so. */
struct var_cache {
    uint32_t round;  /* volatile values of another round are stale */
    uint32_t depth;  /* of templates under way: the outermost one begins a round */
    uint32_t *stamp; /* 0: nothing; VAR_STAMP_CACHED; else the round */
    struct var_value value[];
};
#define VAR_STAMP_CACHED UINT32_MAX

/* ---- rows of modules ---- */

static bool
var_row_in(const struct variable *row, bool stream)
{
    return stream ? (row->flags & (VAR_STREAM | VAR_STREAM_ONLY)) != 0
                  : (row->flags & VAR_STREAM_ONLY) == 0;
}

/* The row for a name (lower case): an exact one, else that of the longest prefix, behind which nothing need stand. */
static const struct variable *
var_row(struct str name, bool stream)
{
    const struct variable *best = NULL;
    size_t best_len = 0;

    for (struct module *const *m = modules; *m != NULL; m++) {
        for (const struct variable *row = (*m)->variables; row != NULL && row->name != NULL;
             row++) {
            struct str rn = str_c(row->name);

            if (!var_row_in(row, stream))
                continue;
            if ((row->flags & VAR_PREFIX) == 0) {
                if (str_eq(rn, name))
                    return row;
            } else if (rn.len > best_len && name.len >= rn.len && str_starts(name, rn)) {
                best = row;
                best_len = rn.len;
            }
        }
    }
    return best;
}

/* ---- names at load ---- */

static struct var_table *
var_table(struct conf_load *l)
{
    struct config *c = conf_config(l);

    if (c->vars == NULL) {
        struct var_table *t = ARENA_NEW(&c->arena, struct var_table);

        if (t == NULL)
            return NULL;
        vec_init(&t->entries, &c->arena, sizeof(struct var_entry));
        hash_init(&t->by_name[0], &c->arena);
        hash_init(&t->by_name[1], &c->arena);
        c->vars = t;
    }
    return c->vars;
}

/* The table's values are index + 1, since a value is not NULL. */
static bool
var_find(const struct var_table *t, struct str name, bool stream, uint32_t *index)
{
    void *v = hash_get(&t->by_name[stream], name);

    *index = (uint32_t)((uintptr_t)v - 1);
    return v != NULL;
}

static bool
var_in_stream(struct conf_load *l)
{
    struct scope *s = conf_scope(l);

    return s != NULL && scope_up(s, SCOPE_STREAM) != NULL;
}

static struct str
var_lower(struct arena *a, struct str name)
{
    char *copy = arena_alloc(a, name.len + 1);

    if (copy == NULL)
        return STR_NONE;
    for (size_t i = 0; i < name.len; i++)
        copy[i] = char_lower(name.ptr[i]);
    copy[name.len] = '\0';
    return str_n(copy, name.len);
}

/* Finds or adds. NULL: memory (said). Borrowed until the next one is added. */
static struct var_entry *
var_entry(struct conf_load *l, struct str name, struct conf_pos pos, uint32_t *index)
{
    struct var_table *t = var_table(l);
    bool stream = var_in_stream(l);
    struct str lower = var_lower(conf_arena(l), name);
    struct var_entry *e;

    *index = 0;
    if (t == NULL || lower.ptr == NULL)
        goto fail;
    if (var_find(t, lower, stream, index))
        return VEC_AT(&t->entries, struct var_entry, *index);
    e = VEC_PUSH(&t->entries, struct var_entry);
    if (e == NULL)
        goto fail;
    *index = t->entries.len - 1;
    *e = (struct var_entry){ .name = lower, .stream = stream, .pos = pos };
    if (!hash_set(&t->by_name[stream], lower, (void *)(uintptr_t)(*index + 1)))
        goto fail;
    return e;

fail:
    conf_fail_at(l, pos, "out of memory");
    return NULL;
}

uint32_t
var_index(struct conf_load *l, struct str name, struct conf_pos pos)
{
    uint32_t index;

    if (var_entry(l, name, pos, &index) == NULL)
        return 0;
    /* A name first seen after the check (by a module behind it) could not be reported any more. */
    ASSERT(!conf_config(l)->vars->checked);
    return index;
}

static bool
var_may_define(const struct variable *row, var_get_fn get, uint32_t flags)
{
    if (row == NULL || (row->flags & VAR_PREFIX) != 0)
        return true;
    if ((row->flags & VAR_CHANGEABLE) != 0)
        return true;
    return (get == NULL || (flags & VAR_WEAK) != 0) && (row->flags & VAR_SETTABLE) != 0;
}

bool
var_define(struct conf_load *l, const struct conf_node *n, int arg, struct str name, uint32_t flags,
           var_get_fn get, var_set_fn set, const void *data, uint32_t *index)
{
    struct conf_pos pos = arg >= 0 && (uint32_t)arg < n->n ? n->arg_pos[arg] : n->pos;
    struct var_entry *e = var_entry(l, name, pos, index);
    const struct variable *row;

    if (e == NULL)
        return false;
    row = var_row(e->name, e->stream);
    if (!var_may_define(row, get, flags) || (e->defined && e->get != NULL && get != NULL &&
                                             e->get != get && (e->flags & VAR_CHANGEABLE) == 0))
        return conf_fail(l, n, arg, "the duplicate \"%.*s\" variable", STR(name));
    if ((flags & VAR_WEAK) != 0 && (e->defined || row != NULL))
        return true;
    /* `set $args`, or a `set` of what a map defines: the getter stays, the stored value wins. */
    if (get == NULL && (e->defined || (row != NULL && (row->flags & VAR_PREFIX) == 0)))
        return true;
    e->defined = true;
    e->flags = flags | VAR_CHANGEABLE;
    e->get = get;
    e->set = set;
    e->data = data;
    return true;
}

/* ---- the end of a load ---- */

/* The nearest name among rows and entries; empty when none is near. */
static struct str
var_suggest(const struct var_table *t, const struct var_entry *wanted)
{
    struct str best = STR_NONE;
    unsigned limit = str_typo_limit(wanted->name), best_distance = limit + 1;

    for (struct module *const *m = modules; *m != NULL; m++) {
        for (const struct variable *row = (*m)->variables; row != NULL && row->name != NULL;
             row++) {
            unsigned d = str_distance(wanted->name, str_c(row->name), limit);

            if (var_row_in(row, wanted->stream) && d < best_distance) {
                best = str_c(row->name);
                best_distance = d;
            }
        }
    }
    VEC_FOREACH (e, struct var_entry, &t->entries) {
        unsigned d = str_distance(wanted->name, e->name, limit);

        if (e->defined && e->stream == wanted->stream && d < best_distance) {
            best = e->name;
            best_distance = d;
        }
    }
    return best;
}

static bool
var_resolve(struct conf_load *l, const struct var_table *t, struct var_entry *e)
{
    const struct variable *row;
    struct str near;

    if (e->defined)
        return true;
    row = var_row(e->name, e->stream);
    if (row == NULL && conf_may_define(l, e->name))
        return false;
    if (row == NULL) {
        near = var_suggest(t, e);
        conf_fail_at(l, e->pos, "unknown \"%.*s\" variable", STR(e->name));
        if (near.len > 0)
            conf_hint(l, "did you mean \"$%.*s\"?", STR(near));
        return false;
    }
    e->flags = row->flags;
    e->get = row->get;
    e->set = row->set;
    e->data = row->data;
    if ((row->flags & VAR_PREFIX) != 0) {
        struct str *rest = ARENA_NEW(conf_arena(l), struct str);

        if (rest == NULL)
            return conf_fail_at(l, e->pos, "out of memory");
        *rest = str_from(e->name, strlen(row->name));
        e->data = rest;
    }
    return true;
}

bool
var_check(struct conf_load *l)
{
    struct var_table *t = var_table(l);
    bool good = true;

    if (t == NULL)
        return false;
    VEC_FOREACH (e, struct var_entry, &t->entries)
        good = var_resolve(l, t, e) && good;
    t->checked = true;
    return good;
}

/* ---- at run time ---- */

static struct var_cache *
var_cache(struct exchange *x)
{
    struct xmem *m = x->mem;

    if (m->vars == NULL) {
        uint32_t n = worker_config->vars->entries.len;
        struct var_cache *c =
            arena_alloc(&m->arena, sizeof(*c) + n * (sizeof(struct var_value) + sizeof(uint32_t)));

        if (c == NULL)
            return NULL;
        c->round = 1;
        c->depth = 0;
        c->stamp = (uint32_t *)&c->value[n];
        memset(c->stamp, 0, n * sizeof(uint32_t));
        m->vars = c;
    }
    return m->vars;
}

static struct var_value
var_call(struct exchange *x, struct str name, var_get_fn get, const void *data)
{
    static unsigned nesting;
    struct var_value v = { .text = STR_NONE };

    if (nesting >= VAR_NESTING_MAX) {
        xlog(x, LOG_LEVEL_ERROR, 0, "cycle while evaluating variable \"%.*s\"", STR(name));
        return v;
    }
    nesting++;
    get(x, &v, data);
    nesting--;
    if (!v.found)
        v.text = STR_NONE;
    if (v.text.ptr == NULL)
        v.text = S("");
    return v;
}

static struct var_value
var_compute(struct exchange *x, const struct var_entry *e)
{
    if (e->get == NULL)
        return (struct var_value){ .text = S(""), .found = true };
    return var_call(x, e->name, e->get, e->data);
}

struct var_value
var_get(struct exchange *x, uint32_t index)
{
    const struct var_table *t = worker_config->vars;
    struct var_cache *c = var_cache(x);
    const struct var_entry *e;
    struct var_value v;
    uint32_t round;

    ASSERT(index < t->entries.len);
    if (c != NULL && c->stamp[index] == VAR_STAMP_CACHED)
        return c->value[index];
    e = VEC_AT(&t->entries, struct var_entry, index);
    if (c == NULL)
        return var_compute(x, e);
    if ((e->flags & VAR_VOLATILE) == 0) {
        v = var_compute(x, e);
        c->value[index] = v;
        c->stamp[index] = VAR_STAMP_CACHED;
        return v;
    }
    if (c->depth > 0 && c->stamp[index] == c->round)
        return c->value[index];
    round = c->round;
    v = var_compute(x, e);
    /* The getter may have stored a value itself. */
    if (c->stamp[index] != VAR_STAMP_CACHED) {
        c->value[index] = v;
        c->stamp[index] = round;
    }
    return v;
}

void
var_set(struct exchange *x, uint32_t index, struct str value)
{
    const struct var_table *t = worker_config->vars;
    struct var_cache *c = var_cache(x);
    const struct var_entry *e;

    ASSERT(index < t->entries.len);
    e = VEC_AT(&t->entries, struct var_entry, index);
    if (e->set != NULL) {
        e->set(x, value, e->data);
        if (c != NULL)
            c->stamp[index] = 0;
        return;
    }
    if (c == NULL)
        return;
    c->value[index] =
        (struct var_value){ .text = value.ptr != NULL ? value : S(""), .found = true };
    c->stamp[index] = VAR_STAMP_CACHED;
}

struct var_value
var_get_named(struct exchange *x, struct str name)
{
    bool stream = x->scope != NULL && scope_up(x->scope, SCOPE_STREAM) != NULL;
    const struct var_table *t = worker_config->vars;
    char lower[VAR_NAME_MAX];
    const struct variable *row;
    struct str key, *rest;
    uint32_t index;

    if (name.len > sizeof(lower))
        return (struct var_value){ .text = S("") };
    for (size_t i = 0; i < name.len; i++)
        lower[i] = char_lower(name.ptr[i]);
    key = str_n(lower, name.len);
    if (t != NULL && var_find(t, key, stream, &index))
        return var_get(x, index);
    row = var_row(key, stream);
    if (row == NULL)
        return (struct var_value){ .text = S("") };
    if ((row->flags & VAR_PREFIX) == 0)
        return var_call(x, key, row->get, row->data);
    /* Values may point at the name's rest, so it lives as long as they do. */
    rest = ARENA_NEW(&x->mem->arena, struct str);
    if (rest == NULL)
        return (struct var_value){ .text = S("") };
    *rest = arena_str(&x->mem->arena, str_from(key, strlen(row->name)));
    return rest->ptr != NULL ? var_call(x, key, row->get, rest)
                             : (struct var_value){ .text = S("") };
}

void
var_keep_of_conn(struct exchange *x)
{
    const struct var_table *t = worker_config->vars;

    for (uint32_t i = 0; t != NULL && i < t->entries.len; i++) {
        const struct var_entry *e = VEC_AT(&t->entries, struct var_entry, i);

        if ((e->flags & VAR_OF_CONN) != 0 && !e->stream)
            (void)var_get(x, i);
    }
}

void
var_forget_named(struct exchange *x, struct str name)
{
    bool stream = x->scope != NULL && scope_up(x->scope, SCOPE_STREAM) != NULL;
    uint32_t index;

    if (x->mem->vars != NULL && var_find(worker_config->vars, name, stream, &index))
        x->mem->vars->stamp[index] = 0;
}

void
var_new_round(struct exchange *x)
{
    struct var_cache *c = x->mem->vars;

    if (c != NULL && ++c->round == VAR_STAMP_CACHED)
        c->round = 1;
}

void
var_template_begin(struct exchange *x)
{
    struct var_cache *c = var_cache(x);

    if (c != NULL && c->depth++ == 0)
        var_new_round(x);
}

void
var_template_end(struct exchange *x)
{
    struct var_cache *c = x->mem->vars;

    if (c != NULL && c->depth > 0)
        c->depth--;
}

void
var_number(struct exchange *x, struct var_value *v, uint64_t n)
{
    char *to = arena_alloc(&x->mem->arena, NUM_TEXT_MAX);

    if (to != NULL)
        var_found(v, str_n(to, num_format_u64(to, n)));
}

struct module variables_module = {
    .name = "variables",
    .loaded = var_check,
    .loaded_anyway = true,
};
