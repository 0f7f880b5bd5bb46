/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apply.c - looks each directive up, checks it and calls its setter.
 *
 * A level's own rows come first, then the scopes that they opened, in the order of the text. So a scope begins with
 * what its parents say, wherever in the text they say it.
 */
#include "common/conf/apply.h"

/* ---- tables ---- */

static void
share_list(struct row_table *t, struct row *r, uint32_t module_start)
{
    r->list = r;
    for (uint32_t i = module_start; i < t->n; i++) {
        struct row *other = &t->rows[i];

        if (other->d->inherit == I_LIST && other->d->offset == r->d->offset) {
            r->list = other->list;
            return;
        }
    }
}

static bool
add_row(struct conf_load *l, const struct directive *d, struct module *m, uint32_t module_start)
{
    struct row_table *t = l->rows;
    struct row *r = &t->rows[t->n], *same = hash_get(&t->by_name, str_c(d->name));
    struct row_reset *reset;

    /* A row without a setter, or with a field that is not in the module's struct, is a mistake in the table. */
    ASSERT(d->set != NULL && d->offset + d->size <= m->conf_size);
    ASSERT(d->inherit == I_VALUE || d->size > 0);
    *r = (struct row){ .d = d, .module = m };
    if (d->inherit == I_LIST)
        share_list(t, r, module_start);
    t->n++;
    if (d->inherit == I_BLOCK || d->inherit == I_INNER) {
        reset = vec_push(&t->resets);
        if (reset == NULL)
            return message_no_memory(l);
        *reset = (struct row_reset){ m->index, d->inherit == I_INNER, d->offset, d->size };
    }
    if (same == NULL)
        return hash_set(&t->by_name, str_c(d->name), r) || message_no_memory(l);
    while (same->next != NULL)
        same = same->next;
    same->next = r;
    return true;
}

static bool
add_module(struct conf_load *l, struct module *m)
{
    uint32_t start = l->rows->n;

    for (const struct directive *d = m->directives; d != NULL && d->name != NULL; d++) {
        l->rows->contexts[m->index] |= d->contexts;
        if (!add_row(l, d, m, start))
            return false;
    }
    return true;
}

bool
apply_start(struct conf_load *l)
{
    struct row_table *t = ARENA_NEW(&l->scratch, struct row_table);
    uint32_t n = 0;

    if (t == NULL)
        return message_no_memory(l);
    for (unsigned i = 0; i < module_count; i++)
        for (const struct directive *d = modules[i]->directives; d != NULL && d->name != NULL; d++)
            n++;
    l->rows = t;
    hash_init(&t->by_name, &l->scratch);
    vec_init(&t->resets, &l->scratch, sizeof(struct row_reset));
    vec_init(&l->pending, &l->scratch, sizeof(struct load_pending));
    vec_init(&l->damages, &l->scratch, sizeof(struct load_damage));
    hash_init(&l->undecided, &l->scratch);
    t->rows = arena_array(&l->scratch, n, sizeof(struct row));
    t->contexts = arena_zalloc(&l->scratch, module_count * sizeof(*t->contexts));
    t->created = arena_zalloc(&l->scratch, module_count * sizeof(*t->created));
    if (t->rows == NULL || t->contexts == NULL || t->created == NULL)
        return message_no_memory(l);
    for (unsigned i = 0; i < module_count; i++)
        if (!add_module(l, modules[i]))
            return false;
    return true;
}

/* ---- damage: lines with errors, and what else would be nonsense because of them ---- */

static void
damage_add(struct conf_load *l, const struct scope *s, const struct module *m)
{
    struct load_damage *d = vec_push(&l->damages);

    if (d == NULL)
        message_no_memory(l);
    else
        *d = (struct load_damage){ s, m };
}

static void
undecide(struct conf_load *l, struct str name)
{
    size_t end = 0;
    char *copy;

    while (end < name.len && char_is_word(name.ptr[end]))
        end++;
    copy = end > 0 ? arena_alloc(&l->scratch, end) : NULL;
    for (size_t i = 0; copy != NULL && i < end; i++)
        copy[i] = char_lower(name.ptr[i]);
    if (copy != NULL)
        hash_set(&l->undecided, str_n(copy, end), l);
}

/* The variables that a line with an error may be there to define: `set $x`, `map ... $x`, (?<x>...). */
static void
undecide_words(struct conf_load *l, const struct conf_node *n)
{
    for (uint32_t i = 1; i < n->n; i++) {
        struct str rest = n->args[i];

        if (str_starts(rest, S("$")))
            undecide(l, str_from(rest, 1));
        for (size_t at; (at = str_search(rest, S("?<"))) < rest.len; rest = str_from(rest, at + 2))
            undecide(l, str_from(rest, at + 2));
    }
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        undecide_words(l, line);
}

bool
conf_is_damaged(struct conf_load *l, const struct scope *s, const struct module *m)
{
    VEC_FOREACH (d, const struct load_damage, &l->damages) {
        const struct scope *up = s;

        if (d->module != m)
            continue;
        while (up != NULL && up != d->scope)
            up = up->parent;
        if (s == NULL || up != NULL)
            return true;
    }
    return false;
}

bool
conf_has_errors(struct conf_load *l)
{
    return l->errors > 0;
}

bool
conf_may_define(struct conf_load *l, struct str variable)
{
    return hash_get(&l->undecided, variable) != NULL;
}

/* ---- rows ---- */

/* The row for this name in this kind of scope; NULL after saying what is wrong. */
static struct row *
find_row(struct conf_load *l, const struct conf_node *n, const struct scope *s)
{
    struct row *first = hash_get(&l->rows->by_name, n->args[0]);

    for (struct row *r = first; r != NULL; r = r->next)
        if (r->d->contexts & 1u << s->kind)
            return r;
    if (first == NULL) {
        first = hint_unknown(l, n, s);
    } else {
        conf_fail(l, n, 0, "\"%.*s\" directive is not allowed here", STR(n->args[0]));
        hint_contexts(l, first, s);
    }
    if (first != NULL)
        damage_add(l, s, first->module);
    return NULL;
}

static void
hint_arguments(struct conf_load *l, const struct directive *d)
{
    if (d->args_min == 0 && d->args_max == 0)
        conf_hint(l, "it takes no argument");
    else if (d->args_max == ARGS_ANY)
        conf_hint(l, "it takes %u argument%s or more", d->args_min, d->args_min == 1 ? "" : "s");
    else if (d->args_min == d->args_max)
        conf_hint(l, "it takes %u argument%s", d->args_min, d->args_min == 1 ? "" : "s");
    else
        conf_hint(l, "it takes %u to %u arguments", d->args_min, d->args_max);
}

static bool
check_form(struct conf_load *l, const struct conf_node *n, const struct directive *d)
{
    if (n->block && d->block == BLOCK_NO) {
        conf_fail(l, n, 0, "directive \"%s\" is not terminated by \";\"", d->name);
        hint_semicolon(l, n);
        return false;
    }
    if (!n->block && d->block != BLOCK_NO)
        return conf_fail(l, n, -1, "directive \"%s\" has no opening \"{\"", d->name);
    if (n->n - 1 < d->args_min || (n->n - 1 > d->args_max && d->args_max != ARGS_ANY)) {
        conf_fail(l, n, 0, "invalid number of arguments in \"%s\" directive", d->name);
        hint_arguments(l, d);
        hint_semicolon(l, n);
        return false;
    }
    return true;
}

static bool
check_duplicate(struct conf_load *l, const struct conf_node *n, struct row *r,
                const struct scope *s)
{
    if (r->seen_in == s->id + 1 && !r->d->repeat && r->d->inherit != I_LIST) {
        struct str place = message_place(l, r->seen_at);

        conf_fail(l, n, 0, "\"%s\" directive is duplicate", r->d->name);
        conf_hint(l, "it is set in %.*s", STR(place));
        return false;
    }
    r->seen_in = s->id + 1;
    r->seen_at = n->pos;
    return true;
}

/* Lines of a table are read by its setter, which has no use for blocks. */
static bool
check_table(struct conf_load *l, const struct conf_node *n, const struct directive *d)
{
    bool ok = true;

    if (d->block != BLOCK_TABLE)
        return true;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        if (line->block)
            ok = conf_fail(l, line, 0, "unexpected \"{\"");
    return ok;
}

static void
drop_pending(struct conf_load *l, uint32_t from)
{
    for (uint32_t i = from; i < l->pending.len; i++) {
        struct scope *s = VEC_AT(&l->pending, struct load_pending, i)->scope;

        s->conf = s->parent->conf;
    }
    l->pending.len = from;
}

static void
run_setter(struct conf_load *l, struct conf_node *n, struct row *r, struct scope *s)
{
    const struct directive *d = r->d;
    uint32_t errors = l->errors, pending = l->pending.len;
    void *conf = NULL;

    if (r->module->conf_size > 0) {
        conf = conf_own(l, s, r->module);
        if (conf == NULL)
            return;
    }
    if (d->inherit == I_LIST && r->list->begun_in != s->id + 1) {
        r->list->begun_in = s->id + 1;
        memset((char *)conf + d->offset, 0, d->size);
    }
    l->line = n->pos;
    if (d->set(l, d, n, conf))
        return;
    drop_pending(l, pending);
    damage_add(l, s, r->module);
    if (l->errors == 0)
        conf_fail(l, n, 0, "\"%s\" directive is invalid", d->name);
    if (l->errors > errors)
        hint_semicolon(l, n);
}

static void
apply_line(struct conf_load *l, struct conf_node *n, struct scope *s)
{
    uint32_t errors = l->errors;
    struct row *r = find_row(l, n, s);

    if (r != NULL) {
        if (!check_form(l, n, r->d) || !check_duplicate(l, n, r, s) || !check_table(l, n, r->d))
            damage_add(l, s, r->module);
        else
            run_setter(l, n, r, s);
    }
    if (l->errors > errors)
        undecide_words(l, n);
}

static void
apply_scope(struct conf_load *l, struct scope *s, struct conf_node *lines)
{
    uint32_t start = l->pending.len, end;

    if (!scope_enter(l, s))
        return;
    for (struct conf_node *n = lines; n != NULL && !load_gave_up(l); n = n->next)
        apply_line(l, n, s);
    end = l->pending.len;
    for (uint32_t i = start; i < end && !load_gave_up(l); i++) {
        struct load_pending p = *VEC_AT(&l->pending, struct load_pending, i);

        apply_scope(l, p.scope, p.node != NULL ? p.node->children : NULL);
    }
    l->pending.len = start;
    l->scope = s->parent;
}

struct scope *
conf_open_scope(struct conf_load *l, struct conf_node *n, enum scope_kind kind, struct str name,
                void *owner)
{
    struct scope *s = scope_new(l, kind, l->scope);
    struct load_pending *p = s != NULL ? vec_push(&l->pending) : NULL;

    if (p == NULL) {
        message_no_memory(l);
        return NULL;
    }
    *p = (struct load_pending){ s, n };
    s->name = name;
    s->owner = owner;
    s->pos = n != NULL ? n->pos : l->scope->pos;
    if (n != NULL)
        n->scope = s;
    return s;
}

void
apply_tree(struct conf_load *l)
{
    struct scope *root = scope_new(l, SCOPE_MAIN, NULL);

    if (root == NULL)
        return;
    l->config->root = root;
    apply_scope(l, root, l->config->tree);
}

/* ---- finish ---- */

static void
finish_scope(struct conf_load *l, struct scope *s)
{
    if (s->parent != NULL && s->conf == s->parent->conf)
        return;
    l->scope = s;
    for (unsigned i = 0; i < module_count && !load_gave_up(l); i++) {
        struct module *m = modules[i];

        if (m->finish == NULL || m->conf_size == 0 || !scope_owns(l, s, m) ||
            conf_is_damaged(l, s, m))
            continue;
        if (m->finish(l, s, s->conf[i]))
            continue;
        damage_add(l, s, m);
        if (l->errors == 0)
            conf_fail_at(l, s->pos, "the settings of module \"%s\" are invalid", m->name);
    }
}

void
apply_finish(struct conf_load *l)
{
    const struct vec *scopes = &l->config->scopes;

    for (uint32_t i = 0; i < scopes->len && !load_gave_up(l); i++)
        finish_scope(l, *VEC_AT(scopes, struct scope *, i));
    l->scope = l->config->root;
    for (unsigned i = 0; i < module_count && !load_gave_up(l); i++) {
        const struct module *m = modules[i];

        if (m->loaded == NULL || (l->errors > 0 && !m->loaded_anyway))
            continue;
        if (!m->loaded(l) && l->errors == 0)
            conf_fail_at(l, (struct conf_pos){ 0, 0, 0 }, "module \"%s\" cannot be set up",
                         m->name);
    }
}
