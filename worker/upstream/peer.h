/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.h - the shared state of a group's peers: balancing, failures, connections. It holds across workers and reloads,
 * matched by group and address. Knows no HTTP; used by http {} and stream {} alike.
 *
 * All groups without a `zone` of their own share the zone "upstreams". When a zone is full, or there is none, the state
 * lies in process memory: balancing goes on, each worker for itself.
 */
#ifndef WEIR_UPSTREAM_PEER_H
#define WEIR_UPSTREAM_PEER_H

#include "common/base/arena.h"
#include "common/shm/zone.h"

extern const struct zone_ops peer_zone_ops;

/* What the configuration says of a peer. */
struct peer_spec {
    /* "10.0.0.1:80": with the group's name the identity of the state. The second of the same name in a group is a peer
     * of its own. */
    struct str name;
    uint32_t weight, max_fails,
        max_conns; /* max_fails 0: never marked as failed; max_conns 0: unlimited */
    uint64_t fail_timeout_ms;
    bool backup, down;
};

/* Guarded by peers_lock. Times are clock_ms; that of another worker may be some milliseconds ahead of ours. */
struct peer_state {
    int64_t current_weight;   /* smooth weighted round-robin */
    int64_t effective_weight; /* falls with failures, recovers to the weight */
    uint32_t fails;           /* since window_ms; from max_fails on the peer is given up on */
    uint32_t conns;           /* requests under way, all processes */
    uint64_t window_ms;       /* the first of these failures */
    uint64_t
        checked_ms; /* the last failure, or the last try that was let through after fail_timeout */
    uint64_t accessed_ms;        /* the last failure */
    uint64_t requests, failures; /* totals */
    uint32_t weight;             /* of the configuration that attached last */
    uint32_t spare32;
    uint64_t spare[6]; /* for health checks and slow start */
};

/* Of a zone that has room for so many peers in so many groups, each used by two generations of `processes` (a reload
 * under way), and for as many others that the older one still uses. */
uint64_t peers_zone_bytes(uint64_t peers, uint64_t groups, uint64_t processes);

struct peers;
/*
 * In a worker, once per group, and again when its list of peers has grown at run time: finds or makes the states of `n`
 * peers. `z` NULL: process memory. Never NULL unless memory is out. A state whose weight changed by a reload keeps its
 * failures and starts its weights anew. States of peers that no process uses any more stay until the room is needed.
 */
struct peers *peers_attach(struct arena *a, struct zone *z, struct str group,
                           const struct peer_spec *specs, uint32_t n);
void peers_lock(struct peers *p);
void peers_unlock(struct peers *p);
/* The i-th; looked at and changed between peers_lock and peers_unlock only. */
struct peer_state *peers_at(struct peers *p, uint32_t i);
const struct peer_spec *peers_spec(const struct peers *p, uint32_t i);

/* Lock held: not down, not failed max_fails times within fail_timeout (one try passes after it), below max_conns. */
bool peer_usable(struct peers *p, uint32_t i, uint64_t now_ms);
/* Lock held: counts a request under way for this process's slot, and takes it back. The reaper does it for the dead. */
void peer_acquire(struct peers *p, uint32_t i);
void peer_release(struct peers *p, uint32_t i);
/*
 * Lock held: for methods that choose a peer by themselves. When it is usable it is acquired, and the try that passes after
 * fail_timeout is used up; else false.
 */
bool peer_take(struct peers *p, uint32_t i, uint64_t now_ms);
/* Lock held: max_fails and fail_timeout as nginx documents them, and the effective weight. True: with this failure the
 * peer is given up on for fail_timeout, which is worth a line in the log. */
bool peer_failed(struct peers *p, uint32_t i, uint64_t now_ms);
void peer_succeeded(struct peers *p, uint32_t i, uint64_t now_ms);
/* Lock held: the next one by smooth weighted round-robin among usable peers for which skip(data, i) is false; -1: none.
 * The caller acquires it under the same lock. */
int peers_round_robin(struct peers *p, bool backup, uint64_t now_ms,
                      bool (*skip)(void *data, uint32_t i), void *data);

#endif
