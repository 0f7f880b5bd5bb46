/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.c - the shared state of a group's peers.
 *
 * A zone holds groups in a hash table of chains, each group a chain of peers in no particular order. A worker looks its
 * peers up once, by name, and keeps pointers (its mapping never moves). Everything is linked with one store when it is
 * complete, and unlinked with one before it is freed.
 *
 * Requests under way are counted per process ("holds"), so that the reaper can take back those of a dead one. A process
 * has a hold on each peer that it may use from the moment it finds it: what nobody holds may be freed when a zone is
 * full.
 */
#include "worker/upstream/peer.h"

#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/base/vec.h"
#include "common/log/log.h"
#include "common/shm/slab.h"
#include "common/shm/slots.h"

enum {
    LAYOUT = 2,
    BUCKETS = 256,
    HOLDS_FIRST = 8,
    NAME_MAX_LEN = 512,
    NAME_USUAL = 64, /* bytes: an address with its port; most names of groups */
    WALK_MAX = 1000000,
    ZONE_OVERHEAD =
        256 *
        1024, /* bytes: header, table of groups, tables of pages, pages that are filled in part */
};

/* Far from any overflow, whatever somebody wrote there. */
#define WEIGHT_BOUND ((int64_t)1 << 48)

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
    uint32_t nth; /* of its name in the group */
    uint32_t name_len;
    char name[]; /* not terminated */
};

struct shared_group {
    off next;  /* of the bucket */
    off peers; /* first */
    uint32_t name_len;
    uint32_t spare;
    char name[];
};

struct peers_root {
    off bucket[BUCKETS]; /* first group of each chain */
};

/* One peer as this process sees it. */
struct local_peer {
    struct peer_spec spec;
    struct shared_peer *shared; /* NULL: own */
    struct peer_state own;
    uint32_t nth;
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

static off *
bucket_of(struct zone *z, struct str group)
{
    return &root_of(z)->bucket[hash_bytes_seeded(group, 0) % BUCKETS];
}

/* Objects of the allocator are up to a half larger than asked for, and a list of holds grows by a copy. */
uint64_t
peers_zone_bytes(uint64_t peers, uint64_t groups, uint64_t processes)
{
    uint64_t holds = HOLDS_FIRST, per_peer;

    while (holds < 2 * processes)
        holds *= 2;
    per_peer = sizeof(struct shared_peer) + NAME_USUAL + 3 * holds / 2 * sizeof(struct hold);
    return ZONE_OVERHEAD + 2 * (peers * per_peer * 3 / 2 +
                                groups * (sizeof(struct shared_group) + NAME_USUAL) * 3 / 2);
}

/* ---- walking: every offset is checked, and every walk has an end ---- */

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

/* *cap as it was when it was checked. NULL: none. */
static struct hold *
holds_of(struct zone *z, const struct shared_peer *p, uint32_t *cap)
{
    *cap = p->holds_cap;
    if (*cap <= SLOTS_MAX) {
        struct hold *h = off_get(z, p->holds, *cap * sizeof(struct hold));

        if (h != NULL)
            return h;
    }
    *cap = 0;
    return NULL;
}

typedef void (*peer_fn)(struct zone *z, const struct shared_group *g, struct shared_peer *p,
                        void *data);

/* Calls fn for each peer of the zone; false: it is corrupt. Lock held. */
static bool
each_peer(struct zone *z, peer_fn fn, void *data)
{
    unsigned steps = 0;

    for (unsigned b = 0; b < BUCKETS; b++) {
        for (off g_at = root_of(z)->bucket[b]; g_at != 0;) {
            struct shared_group *g = group_at(z, g_at);

            if (g == NULL || ++steps > WALK_MAX)
                return false;
            for (off p_at = g->peers; p_at != 0;) {
                struct shared_peer *p = peer_at(z, p_at);

                if (p == NULL || ++steps > WALK_MAX)
                    return false;
                fn(z, g, p, data);
                p_at = p->next;
            }
            g_at = g->next;
        }
    }
    return true;
}

/* ---- what the zone layer asks of its owner ---- */

static void
repair_peer(struct zone *z, struct shared_peer *p)
{
    uint32_t cap, sum = 0;
    struct hold *h = holds_of(z, p, &cap);

    if (h != NULL && !slab_repair_mark(z, h, cap * sizeof(*h)))
        h = NULL;
    if (h == NULL) {
        p->holds = 0;
        p->holds_cap = cap = 0;
    }
    for (uint32_t i = 0; i < cap; i++)
        sum += h[i].slot != 0 ? h[i].n : 0;
    p->state.conns = sum;
    p->state.current_weight = 0;
}

/* Walks a chain from its first link and marks what it finds. What cannot be or is there already ends it. */
static bool
repair_peers(struct zone *z, off *link)
{
    while (*link != 0) {
        struct shared_peer *p = peer_at(z, *link);

        if (p == NULL || !slab_repair_mark(z, p, sizeof(*p) + p->name_len)) {
            *link = 0;
            return false;
        }
        repair_peer(z, p);
        link = &p->next;
    }
    return true;
}

static bool
repair_groups(struct zone *z, off *link)
{
    bool whole = true;

    while (*link != 0) {
        struct shared_group *g = group_at(z, *link);

        if (g == NULL || !slab_repair_mark(z, g, sizeof(*g) + g->name_len)) {
            *link = 0;
            return false;
        }
        whole &= repair_peers(z, &g->peers);
        link = &g->next;
    }
    return whole;
}

/* A death leaves chains whole; sums, and what was not yet or no longer in a chain, are put right here. */
static void
peers_repair(struct zone *z)
{
    bool whole = true;

    slab_repair_begin(z);
    for (unsigned b = 0; b < BUCKETS; b++)
        whole &= repair_groups(z, &root_of(z)->bucket[b]);
    slab_repair_end(z);
    if (!whole)
        log_error(0, "zone \"%.*s\": corrupt: some peers were forgotten", STR(zone_name(z)));
}

static void
reap_peer(struct zone *z, const struct shared_group *g UNUSED, struct shared_peer *p, void *data)
{
    uint64_t slot = *(const uint64_t *)data;
    uint32_t cap;
    struct hold *h = holds_of(z, p, &cap);

    for (uint32_t i = 0; i < cap; i++) {
        if (h[i].slot != slot)
            continue;
        p->state.conns -= (uint32_t)num_min(p->state.conns, h[i].n);
        crash_point("peer_reap");
        h[i].n = 0;
        h[i].slot = 0;
    }
}

static void
peers_reap(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    uint64_t ref = slot_ref(slot, incarnation);

    zone_dirty(z);
    if (!each_peer(z, reap_peer, &ref))
        zone_reset(z, "a peer's offset is out of bounds");
    zone_clean(z);
}

/* ---- finding and making ---- */

/* Unlinks and frees what no process holds. Returns whether there was something. */
static bool
sweep_peers(struct zone *z, off *link)
{
    bool some = false;

    for (unsigned steps = 0; *link != 0 && steps < WALK_MAX; steps++) {
        struct shared_peer *p = peer_at(z, *link);
        uint32_t cap, held = 0;
        struct hold *h = p != NULL ? holds_of(z, p, &cap) : NULL;

        if (h == NULL)
            break;
        for (uint32_t i = 0; i < cap; i++)
            held += h[i].slot != 0;
        if (held != 0) {
            link = &p->next;
            continue;
        }
        __atomic_store_n(link, p->next, __ATOMIC_RELEASE);
        slab_free(z, h);
        slab_free(z, p);
        some = true;
    }
    return some;
}

/* `keep` is about to get peers. */
static bool
sweep(struct zone *z, const struct shared_group *keep)
{
    bool some = false;
    unsigned steps = 0;

    for (unsigned b = 0; b < BUCKETS; b++) {
        off *link = &root_of(z)->bucket[b];

        while (*link != 0 && ++steps < WALK_MAX) {
            struct shared_group *g = group_at(z, *link);

            if (g == NULL)
                break;
            some |= sweep_peers(z, &g->peers);
            if (g->peers != 0 || g == keep) {
                link = &g->next;
                continue;
            }
            __atomic_store_n(link, g->next, __ATOMIC_RELEASE);
            slab_free(z, g);
            some = true;
        }
    }
    return some;
}

/* A process without a slot is alone and holds nothing that others could see. */
static void *
make_room(struct zone *z, uint64_t bytes, const struct shared_group *keep)
{
    void *p = slab_alloc(z, bytes);

    if (p == NULL && process_slot != 0 && sweep(z, keep))
        p = slab_alloc(z, bytes);
    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

static struct shared_group *
find_group(struct zone *z, struct str name)
{
    off *first = bucket_of(z, name);
    struct shared_group *g;
    unsigned steps = 0;

    for (off at = *first; at != 0; at = g->next) {
        g = group_at(z, at);
        if (g == NULL || ++steps > WALK_MAX)
            return NULL;
        if (str_eq(str_n(g->name, g->name_len), name))
            return g;
    }
    if (name.len > NAME_MAX_LEN)
        return NULL;
    g = make_room(z, sizeof(*g) + name.len, NULL);
    if (g == NULL)
        return NULL;
    g->name_len = (uint32_t)name.len;
    memcpy(g->name, name.ptr, name.len);
    g->next = *first;
    crash_point("peer_group");
    __atomic_store_n(first, off_of(z, g), __ATOMIC_RELEASE);
    return g;
}

static struct shared_peer *
find_peer(struct zone *z, struct shared_group *g, struct str name, uint32_t nth)
{
    struct shared_peer *p;
    struct hold *h;
    unsigned steps = 0;

    for (off at = g->peers; at != 0; at = p->next) {
        p = peer_at(z, at);
        if (p == NULL || ++steps > WALK_MAX)
            return NULL;
        if (p->nth == nth && str_eq(str_n(p->name, p->name_len), name))
            return p;
    }
    if (name.len > NAME_MAX_LEN)
        return NULL;
    p = make_room(z, sizeof(*p) + name.len, g);
    h = make_room(z, HOLDS_FIRST * sizeof(*h), g);
    if (p == NULL || h == NULL) {
        slab_free(z, p);
        slab_free(z, h);
        return NULL;
    }
    p->holds = off_of(z, h);
    p->holds_cap = HOLDS_FIRST;
    p->nth = nth;
    p->name_len = (uint32_t)name.len;
    memcpy(p->name, name.ptr, name.len);
    p->next = g->peers;
    crash_point("peer_new");
    __atomic_store_n(&g->peers, off_of(z, p), __ATOMIC_RELEASE);
    return p;
}

/* ---- requests under way ---- */

static bool
holds_grow(struct zone *z, struct shared_peer *p)
{
    uint32_t old_cap, cap;
    struct hold *old = holds_of(z, p, &old_cap), *h;

    cap = old_cap == 0 ? HOLDS_FIRST : (uint32_t)num_min(2 * (uint64_t)old_cap, SLOTS_MAX);
    h = cap > old_cap ? slab_alloc(z, cap * sizeof(*h)) : NULL;
    if (h == NULL)
        return false;
    memset(h, 0, cap * sizeof(*h));
    if (old != NULL)
        memcpy(h, old, old_cap * sizeof(*h));
    /* The smaller number is right for either array. */
    __atomic_store_n(&p->holds, off_of(z, h), __ATOMIC_RELEASE);
    crash_point("peer_holds");
    __atomic_store_n(&p->holds_cap, cap, __ATOMIC_RELEASE);
    slab_free(z, old);
    return true;
}

/* Our entry, made when there is none; NULL: no room. */
static struct hold *
our_hold(struct zone *z, struct local_peer *l)
{
    uint32_t cap, unused = SLOTS_MAX;
    struct hold *h = holds_of(z, l->shared, &cap);

    if (l->hold > 0 && l->hold <= cap && h[l->hold - 1].slot == process_slot)
        return &h[l->hold - 1];
    for (uint32_t i = 0; i < cap; i++) {
        if (h[i].slot == process_slot) {
            l->hold = i + 1;
            return &h[i];
        }
        if (h[i].slot == 0 && unused == SLOTS_MAX)
            unused = i;
    }
    if (unused == SLOTS_MAX) {
        if (!holds_grow(z, l->shared))
            return NULL;
        unused = cap;
        h = holds_of(z, l->shared, &cap);
        if (h == NULL || unused >= cap)
            return NULL;
    }
    h[unused].n = 0;
    h[unused].slot = process_slot;
    l->hold = unused + 1;
    return &h[unused];
}

static struct peer_state *
state_of(struct local_peer *l)
{
    return l->shared != NULL ? &l->shared->state : &l->own;
}

void
peer_acquire(struct peers *p, uint32_t i)
{
    struct local_peer *l = &p->at[i];
    struct peer_state *st = state_of(l);

    st->requests++;
    if (l->shared != NULL && process_slot != 0) {
        struct hold *h = our_hold(p->zone, l);

        if (h == NULL)
            return;
        h->n++;
        crash_point("peer_acquire");
    }
    st->conns++;
}

void
peer_release(struct peers *p, uint32_t i)
{
    struct local_peer *l = &p->at[i];
    struct peer_state *st = state_of(l);

    if (l->shared != NULL && process_slot != 0) {
        struct hold *h = our_hold(p->zone, l);

        if (h == NULL || h->n == 0)
            return;
        h->n--;
        crash_point("peer_release");
    }
    if (st->conns > 0)
        st->conns--;
}

/* ---- attaching ---- */

/* A new state, or one whose weight has changed, starts with its full weight. */
static void
adopt_weight(struct local_peer *l)
{
    struct peer_state *st = state_of(l);

    if (st->weight == l->spec.weight)
        return;
    st->weight = l->spec.weight;
    st->effective_weight = l->spec.weight;
    st->current_weight = 0;
}

/* How many of the same name come before each. */
static void
number_names(struct peers *p)
{
    struct hash seen;

    hash_init(&seen, NULL);
    for (uint32_t i = 0; i < p->n; i++) {
        struct local_peer *before = hash_get(&seen, p->at[i].spec.name);

        if (before != NULL)
            p->at[i].nth = before->nth + 1;
        /* Without memory namesakes share a state, which costs some evenness. */
        (void)hash_set(&seen, p->at[i].spec.name, &p->at[i]);
    }
    hash_free(&seen);
}

static void
attach_one(struct zone *z, struct shared_group *g, struct local_peer *l)
{
    l->shared = find_peer(z, g, l->spec.name, l->nth);
    /* Without a hold others could free it. */
    if (l->shared != NULL && process_slot != 0 && our_hold(z, l) == NULL)
        l->shared = NULL;
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
    for (uint32_t i = 0; i < n; i++)
        p->at[i].spec = specs[i];
    number_names(p);
    peers_lock(p);
    if (z != NULL)
        g = find_group(z, group);
    for (uint32_t i = 0; i < n; i++) {
        if (g != NULL)
            attach_one(z, g, &p->at[i]);
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

/* ---- failures ---- */

/* 0 when `since` lies ahead: another worker's clock was updated after ours. */
static uint64_t
elapsed(uint64_t now_ms, uint64_t since_ms)
{
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

static bool
is_given_up(const struct peer_state *st, const struct peer_spec *spec)
{
    return spec->max_fails > 0 && st->fails >= spec->max_fails;
}

bool
peer_usable(struct peers *p, uint32_t i, uint64_t now_ms)
{
    const struct peer_spec *spec = &p->at[i].spec;
    const struct peer_state *st = state_of(&p->at[i]);

    if (spec->down || (spec->max_conns > 0 && st->conns >= spec->max_conns))
        return false;
    return !is_given_up(st, spec) || elapsed(now_ms, st->checked_ms) >= spec->fail_timeout_ms;
}

/* Of a peer that was given up on one try is let through each fail_timeout; others wait for its outcome. */
static void
peer_chosen(struct peers *p, uint32_t i, uint64_t now_ms)
{
    struct peer_state *st = state_of(&p->at[i]);

    if (is_given_up(st, &p->at[i].spec))
        st->checked_ms = now_ms;
}

bool
peer_take(struct peers *p, uint32_t i, uint64_t now_ms)
{
    if (!peer_usable(p, i, now_ms))
        return false;
    peer_chosen(p, i, now_ms);
    peer_acquire(p, i);
    return true;
}

bool
peer_failed(struct peers *p, uint32_t i, uint64_t now_ms)
{
    const struct peer_spec *spec = &p->at[i].spec;
    struct peer_state *st = state_of(&p->at[i]);

    st->failures++;
    st->accessed_ms = now_ms;
    if (spec->max_fails == 0)
        return false;
    if (!is_given_up(st, spec) &&
        (st->fails == 0 || elapsed(now_ms, st->window_ms) > spec->fail_timeout_ms)) {
        st->fails = 0;
        st->window_ms = now_ms;
    }
    if (st->fails < UINT32_MAX)
        st->fails++;
    st->checked_ms = now_ms;
    st->effective_weight -= spec->weight / spec->max_fails;
    if (st->effective_weight < 0)
        st->effective_weight = 0;
    return st->fails == spec->max_fails;
}

/* Only a try after the last failure says that a peer which was given up on is back. */
void
peer_succeeded(struct peers *p, uint32_t i, uint64_t now_ms UNUSED)
{
    struct peer_state *st = state_of(&p->at[i]);

    if (is_given_up(st, &p->at[i].spec) && st->accessed_ms < st->checked_ms)
        st->fails = 0;
}

/* ---- weights ---- */

static int64_t
bounded(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
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
        int64_t weight = p->at[i].spec.weight;

        if (p->at[i].spec.backup != backup || skip(data, i) || !peer_usable(p, i, now_ms))
            continue;
        st->effective_weight = bounded(st->effective_weight, 0, weight);
        st->current_weight = bounded(st->current_weight, -WEIGHT_BOUND, WEIGHT_BOUND);
        st->current_weight += st->effective_weight;
        total += st->effective_weight;
        if (st->effective_weight < weight)
            st->effective_weight++;
        if (best == NULL || st->current_weight > best->current_weight) {
            best = st;
            best_i = (int)i;
        }
    }
    if (best == NULL)
        return -1;
    best->current_weight -= total;
    peer_chosen(p, (uint32_t)best_i, now_ms);
    return best_i;
}

/* ---- taking over from a zone that is left behind ---- */

struct copied_peer {
    struct str group, name;
    uint32_t nth;
    struct peer_state state;
};

struct copy {
    struct arena arena;
    struct vec peers; /* of struct copied_peer */
};

static void
copy_out(struct zone *old UNUSED, const struct shared_group *g, struct shared_peer *p, void *data)
{
    struct copy *c = data;
    struct copied_peer *to = VEC_PUSH(&c->peers, struct copied_peer);

    if (to == NULL)
        return;
    to->group = arena_str(&c->arena, str_n(g->name, num_min(g->name_len, NAME_MAX_LEN)));
    to->name = arena_str(&c->arena, str_n(p->name, num_min(p->name_len, NAME_MAX_LEN)));
    to->nth = p->nth;
    to->state = p->state;
    to->state.conns = 0; /* they stay with the processes that use the old zone */
}

static bool
copy_in(struct zone *z, const struct copied_peer *from)
{
    struct shared_group *g = NULL;
    struct shared_peer *p;

    if (from->group.ptr != NULL && from->name.ptr != NULL)
        g = find_group(z, from->group);
    p = g != NULL ? find_peer(z, g, from->name, from->nth) : NULL;
    if (p != NULL)
        p->state = from->state;
    return p != NULL;
}

static uint64_t
peers_copy(struct zone *z, struct zone *old)
{
    struct copy c;
    uint64_t n = 0;

    if (zone_layout(old) != LAYOUT)
        return 0;
    arena_init(&c.arena, 16 * 1024);
    vec_init(&c.peers, &c.arena, sizeof(struct copied_peer));
    zone_lock(old);
    (void)each_peer(old, copy_out, &c);
    zone_unlock(old);
    zone_lock(z);
    zone_dirty(z);
    for (uint32_t i = 0; i < c.peers.len; i++)
        n += copy_in(z, VEC_AT(&c.peers, struct copied_peer, i));
    zone_clean(z);
    zone_unlock(z);
    arena_free(&c.arena);
    return n;
}

const struct zone_ops peer_zone_ops = {
    .kind = "upstream",
    .layout = LAYOUT,
    .size_min = 32 * 1024,
    .repair = peers_repair,
    .reap = peers_reap,
    .copy = peers_copy,
};
