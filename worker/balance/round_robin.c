/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * round_robin.c - smooth weighted round-robin, the method of a group that names no other.
 *
 * The weights' state is shared by all workers (peer.h): N workers together keep the order that one would.
 */
#include "common/sys/clock.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/upstream.h"

static bool
skip_tried(void *data, uint32_t i)
{
    return upstream_tried(data, (int)i);
}

static int
round_robin_pick(struct upstream_group *g, struct upstream_try *t, bool backup)
{
    struct peers *p = upstream_shared(g);
    int peer;

    peers_lock(p);
    peer = peers_round_robin(p, backup, clock_ms, skip_tried, t);
    if (peer >= 0)
        peer_acquire(p, (uint32_t)peer);
    peers_unlock(p);
    return peer;
}

extern const struct balancer round_robin_balancer;
const struct balancer round_robin_balancer = {
    .name = "round_robin",
    .pick = round_robin_pick,
};
