/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.c - the head filters of each scope, in the order of their stages. The lists are made at load; a response runs
 * through those that its scope wants and no other.
 */
#include "worker/http/filter.h"

#include "common/module.h"
#include "worker/http/request.h"

enum { FILTERS_MAX = 64 };

struct filter_list {
    unsigned n;
    const struct filter *at[];
};

/* All filters that the scope wants, by stage; equal stages keep the order of the modules. */
static unsigned
filters_collect(const struct scope *s, const struct filter *found[FILTERS_MAX])
{
    unsigned n = 0;

    for (struct module *const *m = modules; *m != NULL; m++) {
        for (const struct filter *f = (*m)->filters; f != NULL && f->head != NULL; f++) {
            unsigned at = n;

            if (f->wanted != NULL && !f->wanted(s))
                continue;
            ASSERT(n < FILTERS_MAX);
            for (; at > 0 && found[at - 1]->stage > f->stage; at--)
                found[at] = found[at - 1];
            found[at] = f;
            n++;
        }
    }
    return n;
}

bool
filters_prepare(struct conf_load *l, struct scope *s)
{
    const struct filter *found[FILTERS_MAX];
    unsigned n = filters_collect(s, found);
    struct filter_list *parent = s->parent != NULL ? s->parent->filters : NULL;
    struct filter_list *list;

    if (parent != NULL && parent->n == n &&
        (n == 0 || memcmp(parent->at, found, n * sizeof(*found)) == 0)) {
        s->filters = parent;
        return true;
    }
    list = arena_alloc(conf_arena(l), sizeof(*list) + n * sizeof(*found));
    if (list == NULL)
        return conf_fail_at(l, s->pos, "out of memory");
    list->n = n;
    if (n > 0)
        memcpy(list->at, found, n * sizeof(*found));
    s->filters = list;
    return true;
}

bool
filters_run(struct exchange *x, struct response *res)
{
    const struct filter_list *list = x->scope->filters;
    bool child = x->parent != NULL;

    for (unsigned i = 0; list != NULL && i < list->n; i++) {
        const struct filter *f = list->at[i];

        if (child && (f->root_only || f->stage > FILTER_JOIN))
            continue;
        if (request_of(x)->clone && f->stage > FILTER_SLICE)
            continue; /* its body becomes a part of its parent's, which passes the rest */
        if (!f->head(x, res))
            return false;
        if (res->refused != 0)
            return true;
    }
    return true;
}
