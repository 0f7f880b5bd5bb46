/* SPDX-License-Identifier: BSD-2-Clause */
/* hints.c - what may be meant by a directive that is wrong. */
#include "common/conf/apply.h"
#include "common/conf/names.h"

/* The contexts of all rows of the name. */
static uint32_t
all_contexts(const struct row *r)
{
    uint32_t contexts = 0;

    for (; r != NULL; r = r->next)
        contexts |= r->d->contexts;
    return contexts;
}

static void
hint_belongs(struct conf_load *l, const char *fmt, const struct row *r)
{
    struct text t;

    text_init(&t, &l->scratch);
    names_contexts(&t, all_contexts(r), ", ");
    if (!t.failed)
        conf_hint(l, fmt, r->d->name, STR(text_str(&t)));
}

void
hint_contexts(struct conf_load *l, const struct row *r, const struct scope *s)
{
    uint32_t contexts = all_contexts(r);
    struct str place;

    hint_belongs(l, "\"%s\" belongs in %.*s", r);
    if (s->parent == NULL || !(contexts & 1u << s->parent->kind))
        return;
    place = message_place(l, s->pos);
    conf_hint(l, "a \"}\" may be missing for the block of %.*s", STR(place));
    l->misread = l->unclosed;
}

/* The row with the nearest name; of equally near ones, one that may stand in the scope. */
static struct row *
nearest(struct conf_load *l, struct str name, enum scope_kind kind)
{
    unsigned limit = name.len < 6 ? 1 : name.len < 9 ? 2 : 3, best_score = UINT32_MAX;
    struct row *best = NULL;

    for (uint32_t i = 0; i < l->rows->n; i++) {
        struct row *r = &l->rows->rows[i];
        unsigned distance = str_distance(name, str_c(r->d->name), limit);
        unsigned score = distance * 2 + !(r->d->contexts & 1u << kind);

        if (distance <= limit && score < best_score) {
            best = r;
            best_score = score;
        }
    }
    return best;
}

struct row *
hint_unknown(struct conf_load *l, const struct conf_node *n, const struct scope *s)
{
    struct str name = n->args[0];
    const char *module = names_foreign(name);
    struct row *r;

    conf_fail(l, n, 0, "unknown directive \"%.*s\"", STR(name));
    if (module != NULL) {
        conf_hint(l, "it belongs to %s, which is not part of this build", module);
        return NULL;
    }
    if (str_find(name, '}') < name.len) {
        conf_hint(l, "a regular expression with braces needs quotes around it");
        l->misread = true;
        return NULL;
    }
    r = nearest(l, name, s->kind);
    if (r == NULL)
        return NULL;
    if (r->d->contexts & 1u << s->kind)
        conf_hint(l, "did you mean \"%s\"?", r->d->name);
    else
        hint_belongs(l, "did you mean \"%s\"? It belongs in %.*s",
                     hash_get(&l->rows->by_name, str_c(r->d->name)));
    return r;
}

void
hint_semicolon(struct conf_load *l, const struct conf_node *n)
{
    for (uint32_t i = 1; i < n->n; i++) {
        if (n->arg_pos[i].line == n->arg_pos[i - 1].line || n->quoted[i] ||
            hash_get(&l->rows->by_name, n->args[i]) == NULL)
            continue;
        conf_hint(l, "a \";\" may be missing at the end of line %u", n->arg_pos[i - 1].line);
        return;
    }
}
