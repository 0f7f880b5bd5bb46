/* SPDX-License-Identifier: BSD-2-Clause */
/* group.h - the inside of a group; an inner wall of upstream/. */
#ifndef WEIR_UPSTREAM_GROUP_H
#define WEIR_UPSTREAM_GROUP_H

#include "common/conf/config.h"
#include "worker/net/resolver.h"
#include "worker/upstream/peer.h"
#include "worker/upstream/upstream.h"

/* A `server` line whose name did not resolve (yet). */
struct pending_name {
    struct str host;
    uint16_t port;
    struct peer_spec spec; /* of each address that it will have */
    struct resolver_query *query;
    struct upstream_group *group;
    uint64_t asked_ms; /* of the last question; 0: never */
    bool resolved;
};

struct dynamic_group; /* dynamic.c */

struct upstream_group {
    struct str name;
    struct conf_pos pos;
    bool implicit;          /* of an address in a pass directive */
    struct vec specs;       /* of struct peer_spec, parallel to peers */
    struct vec peers;       /* of struct upstream_peer */
    struct vec pending;     /* of struct pending_name */
    struct zone_spec *zone; /* NULL: the common one */
    struct peers *shared;
    struct arena *arena; /* what grows at run time; the group's lifetime */
    const struct balancer *balancer;
    void *balancer_data;
    struct scope *scope;             /* whose `resolver` is asked; NULL: made at run time */
    const struct resolver *resolver; /* for pending names; NULL: the system's */
    uint32_t backups;

    uint32_t keepalive; /* idle connections kept by each worker; 0: none */
    bool keepalive_local;
    uint32_t keepalive_requests;
    uint64_t keepalive_time_ms, keepalive_timeout_ms;
    struct list idle; /* struct idle_conn, most recently used first: keepalive.c */
    uint32_t n_idle;

    struct dynamic_group *dynamic; /* made at run time; else NULL */
};

extern const struct balancer round_robin_balancer;
/* Adds the addresses of a name to the group; at run time the shared states are attached anew. False: memory. */
bool group_add_peer(struct upstream_group *g, const struct peer_spec *spec, const struct addr *a,
                    struct str server);
bool group_attach(struct upstream_group *g);
/* Asks for names that are still unknown, at most once a second each. */
void group_ask_names(struct upstream_group *g);
void group_init(struct upstream_group *g, struct arena *a, struct str name);
/* Closes the idle connections of a group that nobody uses any more. */
void group_close_idle(struct upstream_group *g);
/* An exchange uses a dynamic group, or does no more. */
void dynamic_use(struct dynamic_group *d);
void dynamic_leave(struct dynamic_group *d);

#endif
