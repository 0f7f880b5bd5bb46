/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.c - the shared state of a group's peers.
 *
 * A zone holds a list of groups, each a list of peers in no particular order; a worker looks them up once, by name, and
 * keeps pointers (its mapping never moves). Nothing is freed: a peer that the configuration has dropped costs its 300
 * bytes and is found again when it returns. A full zone leaves what does not fit in process memory.
 *
 * Requests under way are counted per process, so that the reaper can take back those of a dead one.
 */
#include "worker/upstream/peer.h"

#include "common/base/num.h"
#include "common/log/log.h"
#include "common/shm/slab.h"
#include "common/shm/slots.h"

enum { LAYOUT = 1, HOLDS_FIRST = 8, NAME_MAX_LEN = 512, WALK_MAX = 1000000 };

/* What one process has under way with a peer. */
struct hold {
    uint64_t slot; /* slot_ref; 0: free */
    uint32_t n;
    uint32_t spare;
};

struct shared_peer {
    struct peer_state state;
    off next;  /* of the group */
    off holds; /* array of struct hold */
    uint32_t holds_cap;
    uint32_t name_len;
    char name[]; /* not terminated */
};

struct shared_group {
    off next;
    off peers; /* first */
    uint32_t name_len;
    uint32_t spare;
    char name[];
};

struct peers_root {
    off groups; /* first */
    uint64_t spare[7];
};

/* One peer as this process sees it. */
struct local_peer {
    struct peer_spec spec;
    struct shared_peer *shared; /* NULL: own */
    struct peer_state own;
    uint32_t hold; /* index of ours in the holds + 1; 0: not known */
};

struct peers {
    struct zone *zone; /* NULL: process memory */
    uint32_t n;
    struct local_peer at[];
};

static struct peers_root *
root_of(struct zone *z)
{
    return zone_root(z, sizeof(struct peers_root));
}

/* ---- walking: every offset is checked, a bad one ends the walk and starts the zone anew ---- */

static struct shared_group *
group_at(struct zone *z, off o)
{
    struct shared_group *g = OFF_GET(z, o, struct shared_group);

    return g != NULL && g->name_len <= NAME_MAX_LEN ? off_get(z, o, sizeof(*g) + g->name_len)
                                                    : NULL;
}

static struct shared_peer *
peer_at(struct zone *z, off o)
{
    struct shared_peer *p = OFF_GET(z, o, struct shared_peer);

    return p != NULL && p->name_len <= NAME_MAX_LEN ? off_get(z, o, sizeof(*p) + p->name_len)
                                                    : NULL;
}

static struct hold *
holds_of(struct zone *z, const struct shared_peer *p)
{
    return p->holds_cap <= SLOTS_MAX ? off_get(z, p->holds, p->holds_cap * sizeof(struct hold))
                                     : NULL;
}

/* Calls fn for each peer of the zone; false: it is corrupt. Lock held. */
static bool
each_peer(struct zone *z, void (*fn)(struct zone *z, struct shared_peer *p, void *data), void *data)
{
    unsigned steps = 0;

    for (off g_at = root_of(z)->groups; g_at != 0;) {
        struct shared_group *g = group_at(z, g_at);

        if (g == NULL)
            return false;
        for (off p_at = g->peers; p_at != 0;) {
            struct shared_peer *p = peer_at(z, p_at);

            if (p == NULL || ++steps > WALK_MAX)
                return false;
            fn(z, p, data);
            p_at = p->next;
        }
        if (++steps > WALK_MAX)
            return false;
        g_at = g->next;
    }
    return true;
}

/* ---- what the zone layer asks of its owner ---- */

static void
peers_init_zone(struct zone *z)
{
    memset(root_of(z), 0, sizeof(struct peers_root));
}

static void
recount(struct zone *z, struct shared_peer *p, void *data)
{
    struct hold *h = holds_of(z, p);
    uint32_t sum = 0;

    (void)data;
    for (uint32_t i = 0; h != NULL && i < p->holds_cap; i++)
        sum += h[i].slot != 0 ? h[i].n : 0;
    p->state.conns = sum;
    p->state.current_weight = 0;
}

static void
mark_peer(struct zone *z, struct shared_peer *p, void *data)
{
    struct hold *h = holds_of(z, p);

    (void)data;
    (void)slab_repair_mark(z, p, sizeof(*p) + p->name_len);
    if (h != NULL)
        (void)slab_repair_mark(z, h, p->holds_cap * sizeof(*h));
}

/* Lists are published with one store, so they are whole; sums may be torn, and so may the slab. */
static void
peers_repair(struct zone *z)
{
    if (!each_peer(z, recount, NULL)) {
        zone_reset(z, "a peer's offset is out of bounds");
        return;
    }
    slab_repair_begin(z);
    for (off at = root_of(z)->groups; at != 0;) {
        struct shared_group *g = group_at(z, at);

        (void)slab_repair_mark(z, g, sizeof(*g) + g->name_len);
        at = g->next;
    }
    (void)each_peer(z, mark_peer, NULL);
    slab_repair_end(z);
}

static void
reap_peer(struct zone *z, struct shared_peer *p, void *data)
{
    struct hold *h = holds_of(z, p);
    uint64_t slot = *(const uint64_t *)data;

    for (uint32_t i = 0; h != NULL && i < p->holds_cap; i++) {
        if (h[i].slot != slot)
            continue;
        p->state.conns -= (uint32_t)num_min(p->state.conns, h[i].n);
        h[i].n = 0;
        h[i].slot = 0;
    }
}

static void
peers_reap(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    uint64_t ref = slot_ref(slot, incarnation);

    if (!each_peer(z, reap_peer, &ref))
        zone_reset(z, "a peer's offset is out of bounds");
}

const struct zone_ops peer_zone_ops = {
    .kind = "upstream",
    .layout = LAYOUT,
    .size_min = 32 * 1024,
    .init = peers_init_zone,
    .repair = peers_repair,
    .reap = peers_reap,
};

/* ---- attaching ---- */

static struct shared_group *
find_group(struct zone *z, struct str name)
{
    struct shared_group *g;
    off at = root_of(z)->groups;

    for (; at != 0; at = g->next) {
        g = group_at(z, at);
        if (g == NULL)
            return NULL;
        if (str_eq(str_n(g->name, g->name_len), name))
            return g;
    }
    if (name.len > NAME_MAX_LEN)
        return NULL;
    g = slab_alloc(z, sizeof(*g) + name.len);
    if (g == NULL)
        return NULL;
    memset(g, 0, sizeof(*g));
    g->name_len = (uint32_t)name.len;
    memcpy(g->name, name.ptr, name.len);
    g->next = root_of(z)->groups;
    __atomic_store_n(&root_of(z)->groups, off_of(z, g), __ATOMIC_RELEASE);
    return g;
}

static struct shared_peer *
find_peer(struct zone *z, struct shared_group *g, struct str name)
{
    struct shared_peer *p;
    struct hold *h;
    off at = g->peers;

    for (; at != 0; at = p->next) {
        p = peer_at(z, at);
        if (p == NULL)
            return NULL;
        if (str_eq(str_n(p->name, p->name_len), name))
            return p;
    }
    if (name.len > NAME_MAX_LEN)
        return NULL;
    p = slab_alloc(z, sizeof(*p) + name.len);
    h = slab_alloc(z, HOLDS_FIRST * sizeof(*h));
    if (p == NULL || h == NULL) {
        slab_free(z, p);
        slab_free(z, h);
        return NULL;
    }
    memset(h, 0, HOLDS_FIRST * sizeof(*h));
    memset(p, 0, sizeof(*p));
    p->holds = off_of(z, h);
    p->holds_cap = HOLDS_FIRST;
    p->name_len = (uint32_t)name.len;
    memcpy(p->name, name.ptr, name.len);
    p->next = g->peers;
    __atomic_store_n(&g->peers, off_of(z, p), __ATOMIC_RELEASE);
    return p;
}

static struct peer_state *
state_of(struct local_peer *l)
{
    return l->shared != NULL ? &l->shared->state : &l->own;
}

/* A new state, or one whose weight has changed, starts with its full weight. */
static void
adopt_weight(struct local_peer *l)
{
    struct peer_state *st = state_of(l);

    if (st->weight == l->spec.weight)
        return;
    st->weight = l->spec.weight;
    st->effective_weight = (int32_t)l->spec.weight;
    st->current_weight = 0;
}

struct peers *
peers_attach(struct arena *a, struct zone *z, struct str group, const struct peer_spec *specs,
             uint32_t n)
{
    struct peers *p = arena_zalloc(a, sizeof(*p) + n * sizeof(struct local_peer));
    struct shared_group *g = NULL;
    uint32_t missing = 0;

    if (p == NULL)
        return NULL;
    p->zone = z;
    p->n = n;
    peers_lock(p);
    if (z != NULL)
        g = find_group(z, group);
    for (uint32_t i = 0; i < n; i++) {
        p->at[i].spec = specs[i];
        if (g != NULL)
            p->at[i].shared = find_peer(z, g, specs[i].name);
        missing += p->at[i].shared == NULL;
        adopt_weight(&p->at[i]);
    }
    peers_unlock(p);
    if (z != NULL && missing > 0)
        log_warn(0,
                 "zone \"%.*s\" is full: %u peers of upstream \"%.*s\" are balanced by each worker "
                 "alone",
                 STR(zone_name(z)), missing, STR(group));
    return p;
}

void
peers_lock(struct peers *p)
{
    if (p->zone == NULL)
        return;
    zone_lock(p->zone);
    zone_dirty(p->zone);
}

void
peers_unlock(struct peers *p)
{
    if (p->zone == NULL)
        return;
    zone_clean(p->zone);
    zone_unlock(p->zone);
}

struct peer_state *
peers_at(struct peers *p, uint32_t i)
{
    return state_of(&p->at[i]);
}

const struct peer_spec *
peers_spec(const struct peers *p, uint32_t i)
{
    return &p->at[i].spec;
}

/* ---- requests under way ---- */

static bool
holds_grow(struct zone *z, struct shared_peer *p, const struct hold *old)
{
    uint32_t cap = (uint32_t)num_min(2 * (uint64_t)p->holds_cap, SLOTS_MAX);
    struct hold *h = cap > p->holds_cap ? slab_alloc(z, cap * sizeof(*h)) : NULL;

    if (h == NULL)
        return false;
    memset(h, 0, cap * sizeof(*h));
    memcpy(h, old, p->holds_cap * sizeof(*h));
    p->holds = off_of(z, h);
    p->holds_cap = cap;
    slab_free(z, (void *)(uintptr_t)old);
    return true;
}

/* Our entry, made when there is none; NULL: no room, then this process does not count. */
static struct hold *
our_hold(struct peers *p, struct local_peer *l)
{
    struct hold *h = holds_of(p->zone, l->shared), *unused = NULL;
    uint32_t i;

    if (h == NULL || process_slot == 0)
        return NULL;
    if (l->hold > 0 && l->hold <= l->shared->holds_cap && h[l->hold - 1].slot == process_slot)
        return &h[l->hold - 1];
    for (i = 0; i < l->shared->holds_cap; i++) {
        if (h[i].slot == process_slot) {
            l->hold = i + 1;
            return &h[i];
        }
        if (h[i].slot == 0 && unused == NULL)
            unused = &h[i];
    }
    if (unused == NULL)
        return holds_grow(p->zone, l->shared, h) ? our_hold(p, l) : NULL;
    unused->n = 0;
    unused->slot = process_slot;
    l->hold = (uint32_t)(unused - h) + 1;
    return unused;
}

void
peer_acquire(struct peers *p, uint32_t i)
{
    struct local_peer *l = &p->at[i];
    struct peer_state *st = state_of(l);

    st->requests++;
    if (l->shared != NULL) {
        struct hold *h = our_hold(p, l);

        if (h == NULL)
            return;
        h->n++;
    }
    st->conns++;
}

void
peer_release(struct peers *p, uint32_t i)
{
    struct local_peer *l = &p->at[i];
    struct peer_state *st = state_of(l);

    if (l->shared != NULL) {
        struct hold *h = our_hold(p, l);

        if (h == NULL || h->n == 0)
            return;
        h->n--;
    }
    if (st->conns > 0)
        st->conns--;
}

/* ---- failures ---- */

bool
peer_usable(struct peers *p, uint32_t i, uint64_t now_ms)
{
    const struct peer_spec *spec = &p->at[i].spec;
    const struct peer_state *st = state_of(&p->at[i]);

    if (spec->down || (spec->max_conns > 0 && st->conns >= spec->max_conns))
        return false;
    if (spec->max_fails == 0 || st->fails < spec->max_fails)
        return true;
    return now_ms - st->checked_ms > spec->fail_timeout_ms;
}

bool
peer_failed(struct peers *p, uint32_t i, uint64_t now_ms)
{
    const struct peer_spec *spec = &p->at[i].spec;
    struct peer_state *st = state_of(&p->at[i]);

    st->failures++;
    st->fails++;
    st->accessed_ms = now_ms;
    st->checked_ms = now_ms;
    if (spec->max_fails == 0)
        return false;
    st->effective_weight -= (int32_t)(spec->weight / spec->max_fails);
    if (st->effective_weight < 0)
        st->effective_weight = 0;
    return st->fails == spec->max_fails;
}

/* A success after the last look at a failed peer clears its record; without one the window runs out by itself. */
void
peer_succeeded(struct peers *p, uint32_t i, uint64_t now_ms)
{
    struct peer_state *st = state_of(&p->at[i]);

    (void)now_ms;
    if (st->accessed_ms < st->checked_ms || now_ms - st->checked_ms > p->at[i].spec.fail_timeout_ms)
        st->fails = 0;
}

int
peers_round_robin(struct peers *p, bool backup, uint64_t now_ms,
                  bool (*skip)(void *data, uint32_t i), void *data)
{
    struct peer_state *best = NULL;
    int best_i = -1;
    int64_t total = 0;

    for (uint32_t i = 0; i < p->n; i++) {
        struct peer_state *st = state_of(&p->at[i]);

        if (p->at[i].spec.backup != backup || skip(data, i) || !peer_usable(p, i, now_ms))
            continue;
        st->current_weight += st->effective_weight;
        total += st->effective_weight;
        if (st->effective_weight < (int32_t)p->at[i].spec.weight)
            st->effective_weight++;
        if (best == NULL || st->current_weight > best->current_weight) {
            best = st;
            best_i = (int)i;
        }
    }
    if (best == NULL)
        return -1;
    best->current_weight -= (int32_t)total;
    if (now_ms - best->checked_ms > p->at[best_i].spec.fail_timeout_ms)
        best->checked_ms = now_ms; /* one try is let through; others wait for its outcome */
    return best_i;
}
