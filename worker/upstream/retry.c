/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * retry.c - the state of one exchange with a group: which peers were tried, which one is next, how it went.
 */
#include "common/sys/clock.h"
#include "worker/core/explain.h"
#include "worker/upstream/group.h"

bool
upstream_tried(const struct upstream_try *t, int peer)
{
    size_t word = (size_t)peer / 64;

    if (peer < 64)
        return (t->tried_small >> peer) & 1;
    if (!t->tried_made)
        return false;
    return word >= t->tried_words || ((t->tried[word] >> (peer % 64)) & 1);
}

/* More than 64 peers: a bit set for those known now; peers that join later count as tried, and all of them do when there
 * is no memory for it. */
static void
mark_tried(struct upstream_try *t, int peer)
{
    size_t words = t->group->peers.len / 64 + 1, word = (size_t)peer / 64;

    if (peer < 64) {
        t->tried_small |= 1ULL << peer;
        return;
    }
    if (!t->tried_made) {
        t->tried_made = true;
        t->tried = arena_zalloc(&t->x->mem->arena, words * sizeof(uint64_t));
        t->tried_words = t->tried != NULL ? words : 0;
    }
    if (word < t->tried_words)
        t->tried[word] |= 1ULL << (peer % 64);
}

bool
upstream_usable(struct upstream_group *g, int peer)
{
    bool usable;

    peers_lock(g->shared);
    usable = peer_usable(g->shared, (uint32_t)peer, clock_ms);
    peers_unlock(g->shared);
    return usable;
}

void
upstream_begin(struct upstream_try *t, struct upstream_group *g, struct exchange *x)
{
    memset(t, 0, sizeof(*t));
    t->group = g;
    t->x = x;
    t->peer = -1;
    t->started_ms = clock_ms;
    if (g->dynamic != NULL)
        dynamic_use(g->dynamic);
}

/* Primary servers first; the backups when none of them can serve. */
enum upstream_picked
upstream_pick(struct upstream_try *t)
{
    struct upstream_group *g = t->group;
    int peer;

    upstream_release(t);
    t->peer = -1;
    if (g->pending.len > 0)
        group_ask_names(g);
    if (g->peers.len == 0)
        return PICK_NO_NAMES;

    peer = t->on_backup ? -1 : g->balancer->pick(g, t, false);
    if (peer < 0 && g->backups > 0) {
        t->on_backup = true;
        peer = g->balancer->pick(g, t, true);
    }
    if (peer < 0)
        return PICK_NONE;
    t->peer = peer;
    t->attempts++;
    t->busy = true;
    mark_tried(t, peer);
    return PICKED;
}

bool
upstream_has_next(struct upstream_try *t)
{
    for (uint32_t i = 0; i < t->group->peers.len; i++)
        if (!upstream_tried(t, (int)i) && upstream_usable(t->group, (int)i))
            return true;
    return false;
}

static void
explain_peer(const struct upstream_try *t, uint32_t i, struct text *list)
{
    const struct upstream_peer *p = VEC_AT(&t->group->peers, struct upstream_peer, i);
    bool picked = (int)i == t->peer;
    const char *state = p->down                             ? ", down"
                        : picked                            ? ", picked now"
                        : upstream_usable(t->group, (int)i) ? ""
                                                            : ", cannot serve now";

    explain_step("upstream", EXPLAIN_NOWHERE, "%.*s weight=%u%s%s", STR(p->name), p->weight,
                 p->backup ? " backup" : "", state);
    if (i > 0)
        text_char(list, ' ');
    text_add(list, p->name);
    if (picked)
        explain_fact("upstream_peer", p->name);
}

void
upstream_explain(const struct upstream_try *t)
{
    const struct upstream_group *g = t->group;
    struct text list;

    explain_step("upstream", g->pos, "\"%.*s\", %u address%s, %s", STR(g->name), g->peers.len,
                 g->peers.len == 1 ? "" : "es", g->balancer->name);
    explain_fact("upstream", g->name);
    explain_fact("upstream_method", str_c(g->balancer->name));
    text_init(&list, NULL);
    for (uint32_t i = 0; i < g->peers.len; i++)
        explain_peer(t, i, &list);
    explain_fact("upstream_peers", text_str(&list));
    text_free(&list);
}

const struct upstream_peer *
upstream_current(const struct upstream_try *t)
{
    return t->peer >= 0 ? VEC_AT(&t->group->peers, struct upstream_peer, t->peer) : NULL;
}

/* An answer such as 404 moves on to the next peer, but is no failure of this one (nginx: http_403, http_404). */
static bool
counts_as_failure(enum upstream_failure failure)
{
    return failure != UPSTREAM_OK && failure != UPSTREAM_HTTP_403 && failure != UPSTREAM_HTTP_404;
}

void
upstream_report(struct upstream_try *t, enum upstream_failure failure)
{
    struct peers *p = t->group->shared;
    bool disabled = false;

    if (!t->busy)
        return;
    t->busy = false;
    peers_lock(p);
    peer_release(p, (uint32_t)t->peer);
    if (counts_as_failure(failure))
        disabled = peer_failed(p, (uint32_t)t->peer, clock_ms);
    else
        peer_succeeded(p, (uint32_t)t->peer, clock_ms);
    peers_unlock(p);
    if (disabled)
        xlog(t->x, LOG_LEVEL_WARN, 0, "upstream server temporarily disabled");
    if (t->group->balancer->done != NULL)
        t->group->balancer->done(t->group, t, t->peer, counts_as_failure(failure));
}

void
upstream_release(struct upstream_try *t)
{
    if (!t->busy)
        return;
    t->busy = false;
    peers_lock(t->group->shared);
    peer_release(t->group->shared, (uint32_t)t->peer);
    peers_unlock(t->group->shared);
    if (t->group->balancer->done != NULL)
        t->group->balancer->done(t->group, t, t->peer, false);
}

void
upstream_end(struct upstream_try *t)
{
    if (t->group == NULL)
        return;
    upstream_release(t);
    if (t->group->dynamic != NULL)
        dynamic_leave(t->group->dynamic);
    t->group = NULL;
}
