/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dynamic.c - groups made at run time, for a pass directive with variables: one per name and set of addresses.
 *
 * Each has an arena of its own and lives while it is in the table or an exchange uses it. When a name's addresses have
 * changed, a new group takes its place; when the table is full, the one that was not asked for longest leaves.
 */
#include <stdlib.h>

#include "common/base/hash.h"
#include "worker/upstream/group.h"

enum { GROUPS_MAX = 1024, GROUP_ARENA_STEP = 1024 };

struct dynamic_group {
    struct upstream_group group;
    struct arena arena;
    struct list node; /* in recent */
    uint32_t users;   /* exchanges */
    bool listed;      /* in the table and in recent */
};

static struct hash by_name;                    /* -> struct dynamic_group */
static struct list recent = LIST_INIT(recent); /* asked for last first */

static void
dynamic_free(struct dynamic_group *d)
{
    group_close_idle(&d->group);
    arena_free(&d->arena);
    free(d);
}

static void
dynamic_unlist(struct dynamic_group *d)
{
    (void)hash_del(&by_name, d->group.name);
    list_del(&d->node);
    d->listed = false;
    if (d->users == 0)
        dynamic_free(d);
}

void
dynamic_use(struct dynamic_group *d)
{
    d->users++;
}

void
dynamic_leave(struct dynamic_group *d)
{
    ASSERT(d->users > 0);
    if (--d->users == 0 && !d->listed)
        dynamic_free(d);
}

static bool
has_addresses(struct upstream_group *g, const struct addr *addrs, uint32_t n)
{
    if (g->peers.len != n)
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!addr_eq(&VEC_AT(&g->peers, struct upstream_peer, i)->addr, &addrs[i]))
            return false;
    return true;
}

static struct dynamic_group *
dynamic_new(struct str name, const struct addr *addrs, uint32_t n)
{
    const struct peer_spec spec = { .weight = 1, .max_fails = n > 1, .fail_timeout_ms = 10000 };
    struct dynamic_group *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    arena_init(&d->arena, GROUP_ARENA_STEP);
    group_init(&d->group, &d->arena, arena_str(&d->arena, name));
    d->group.dynamic = d;
    for (uint32_t i = 0; i < n; i++)
        if (!group_add_peer(&d->group, &spec, &addrs[i], d->group.name))
            goto fail;
    if (d->group.name.ptr != NULL && group_attach(&d->group))
        return d;

fail:
    dynamic_free(d);
    return NULL;
}

struct upstream_group *
upstream_dynamic(struct str name, const struct addr *addrs, uint32_t n)
{
    struct dynamic_group *d = hash_get(&by_name, name);

    if (d != NULL && has_addresses(&d->group, addrs, n)) {
        list_del(&d->node);
        list_add_head(&recent, &d->node);
        return &d->group;
    }
    if (d != NULL)
        dynamic_unlist(d);
    else if (by_name.n >= GROUPS_MAX)
        dynamic_unlist(LIST_ENTRY(recent.prev, struct dynamic_group, node));

    d = dynamic_new(name, addrs, n);
    if (d == NULL)
        return NULL;
    if (!hash_set(&by_name, d->group.name, d)) {
        dynamic_free(d);
        return NULL;
    }
    d->listed = true;
    list_add_head(&recent, &d->node);
    return &d->group;
}
