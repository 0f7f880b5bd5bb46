/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scope.c - levels that share their parent's structs until they differ.
 *
 * The array of pointers is shared too: a scope that sets nothing has the array of its parent.
 */
#include "common/conf/scope.h"

#include "common/conf/apply.h"
#include "common/conf/tree.h"

struct scope *
scope_up(struct scope *s, enum scope_kind kind)
{
    while (s != NULL && s->kind != kind)
        s = s->parent;
    return s;
}

struct scope *
scope_new(struct conf_load *l, enum scope_kind kind, struct scope *parent)
{
    struct config *c = l->config;
    struct scope *s = ARENA_NEW(&c->arena, struct scope);
    struct scope **at = s != NULL ? vec_push(&c->scopes) : NULL;

    if (at == NULL) {
        message_no_memory(l);
        return NULL;
    }
    *at = s;
    s->kind = kind;
    s->id = c->scopes.len - 1;
    s->parent = parent;
    s->children_end = &s->children;
    if (parent != NULL) {
        *parent->children_end = s;
        parent->children_end = &s->next;
    }
    return s;
}

bool
scope_owns(const struct conf_load *l, const struct scope *s, const struct module *m)
{
    return s->conf[m->index] != NULL && s->conf[m->index] != l->absent &&
           (s->parent == NULL || s->conf[m->index] != s->parent->conf[m->index]);
}

static void
replace_array(struct scope *s, void **old, void **fresh)
{
    s->conf = fresh;
    for (struct scope *child = s->children; child != NULL; child = child->next)
        if (child->conf == old)
            replace_array(child, old, fresh);
}

static void
replace_conf(struct scope *s, uint16_t index, const void *old, void *fresh)
{
    s->conf[index] = fresh;
    for (struct scope *child = s->children; child != NULL; child = child->next)
        if (child->conf != NULL && (child->conf[index] == old || child->conf == s->conf))
            replace_conf(child, index, old, fresh);
}

/* Scopes below that were entered before and share the old struct see the new one. */
static bool
set_conf(struct conf_load *l, struct scope *s, uint16_t index, void *conf)
{
    if (s->parent != NULL && s->conf == s->parent->conf) {
        void **own = arena_array(&l->config->arena, module_count, sizeof(void *));

        if (own == NULL)
            return message_no_memory(l);
        memcpy(own, s->conf, module_count * sizeof(void *));
        replace_array(s, s->conf, own);
    }
    replace_conf(s, index, s->conf[index], conf);
    return true;
}

void *
conf_own(struct conf_load *l, struct scope *s, const struct module *m)
{
    void *copy;

    ASSERT(s->conf != NULL && s->conf[m->index] != NULL);
    if (scope_owns(l, s, m))
        return s->conf[m->index];
    copy = arena_alloc(&l->config->arena, m->conf_size);
    if (copy == NULL) {
        message_no_memory(l);
        return NULL;
    }
    memcpy(copy, s->conf[m->index], m->conf_size);
    return set_conf(l, s, m->index, copy) ? copy : NULL;
}

/* ---- entering ---- */

static bool
is_zero(const char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static bool
reset_fields(struct conf_load *l, struct scope *s)
{
    bool inner = s->kind == SCOPE_IF || s->kind == SCOPE_IF_SERVER || s->kind == SCOPE_LIMIT_EXCEPT;

    VEC_FOREACH (r, struct row_reset, &l->rows->resets) {
        char *conf = s->conf[r->module];

        if ((inner && r->inner) || is_zero(conf + r->offset, r->size))
            continue;
        conf = conf_own(l, s, modules[r->module]);
        if (conf == NULL)
            return false;
        memset(conf + r->offset, 0, r->size);
    }
    return true;
}

/* A module whose rows stand in these contexts, and not further out, has its first struct in a scope of this kind. */
static uint32_t
contexts_below(enum scope_kind kind)
{
    switch (kind) {
    case SCOPE_MAIN:
        return CTX_MAIN;
    case SCOPE_EVENTS:
        return CTX_EVENTS;
    case SCOPE_HTTP:
        return CTX_HTTP | CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF | CTX_LMT;
    case SCOPE_UPSTREAM:
        return CTX_UPS;
    case SCOPE_STREAM:
        return CTX_STREAM | CTX_SSRV;
    case SCOPE_STREAM_UPSTREAM:
        return CTX_SUPS;
    default:
        return 0;
    }
}

static bool
apply_defaults(struct conf_load *l, struct module *m, void *conf)
{
    for (const struct directive *d = m->directives; d != NULL && d->name != NULL; d++) {
        struct conf_node *n;

        if (d->initial == NULL)
            continue;
        n = tree_default(l, d->name, d->initial);
        if (n == NULL)
            return message_no_memory(l);
        if (!d->set(l, d, n, conf))
            return false;
    }
    return true;
}

static bool
create_confs(struct conf_load *l, struct scope *s)
{
    uint32_t below = contexts_below(s->kind);
    bool *created = l->rows->created;
    bool ok = true;

    if (below == 0)
        return true;
    for (unsigned i = 0; i < module_count; i++) {
        uint32_t contexts = l->rows->contexts[i];
        void *conf;

        created[i] = s->conf[i] == l->absent &&
                     ((contexts & below) != 0 || (contexts == 0 && s->kind == SCOPE_MAIN));
        if (!created[i])
            continue;
        conf = arena_zalloc(&l->config->arena, modules[i]->conf_size);
        if (conf == NULL)
            return message_no_memory(l);
        if (!set_conf(l, s, (uint16_t)i, conf))
            return false;
    }
    for (unsigned i = 0; i < module_count; i++)
        if (created[i])
            ok = apply_defaults(l, modules[i], s->conf[i]) && ok;
    for (unsigned i = 0; ok && i < module_count; i++)
        if (created[i] && modules[i]->conf_init != NULL)
            ok = modules[i]->conf_init(l, s, s->conf[i]);
    return ok;
}

/* Until a module gets its first struct, it has zeros to look at: scope_conf() is never NULL. */
static bool
enter_root(struct conf_load *l, struct scope *s)
{
    struct arena *a = &l->config->arena;
    size_t size = 1;

    for (unsigned i = 0; i < module_count; i++)
        size = modules[i]->conf_size > size ? modules[i]->conf_size : size;
    l->absent = arena_zalloc(a, size);
    s->conf = arena_zalloc(a, module_count * sizeof(void *));
    if (l->absent == NULL || s->conf == NULL)
        return message_no_memory(l);
    for (unsigned i = 0; i < module_count; i++)
        if (modules[i]->conf_size > 0)
            s->conf[i] = l->absent;
    return true;
}

bool
scope_enter(struct conf_load *l, struct scope *s)
{
    if (s->parent != NULL)
        s->conf = s->parent->conf;
    else if (!enter_root(l, s))
        return false;
    l->scope = s;
    return reset_fields(l, s) && create_confs(l, s);
}
