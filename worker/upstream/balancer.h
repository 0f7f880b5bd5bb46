/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balancer.h - what a balancing method implements. One file per method in balance/; it works in http {} and stream {}.
 */
#ifndef WEIR_UPSTREAM_BALANCER_H
#define WEIR_UPSTREAM_BALANCER_H

#include <stdbool.h>
#include <stdint.h>

struct exchange;
struct upstream_group;
struct upstream_try;

struct balancer {
    const char *name; /* "round_robin" */
    /* Once per group at load, in finish: `data` is what the method's directive made (NULL for the default method). */
    bool (*init)(struct upstream_group *g, void *data);
    /*
     * Index of the peer to try among the group's primary (or, with `backup`, its backup) servers, -1: none can serve now.
     * The peer is counted as busy (peer_acquire) under the same lock. It is none that was tried (upstream_tried) or cannot serve (upstream_usable).
     */
    int (*pick)(struct upstream_group *g, struct upstream_try *t, bool backup);
    /* The attempt is over; NULL: nothing to do. */
    void (*done)(struct upstream_group *g, struct upstream_try *t, int peer, bool failed);
};

#endif
