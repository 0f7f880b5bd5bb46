/* SPDX-License-Identifier: BSD-2-Clause */
/* retry.c - which peers of a group an exchange has tried. */
#include "worker/upstream/group.h"

#include "test.h"

#include "t/unit/worker/fixture.h"

static int chosen;

static int
pick_chosen(struct upstream_group *g UNUSED, struct upstream_try *t UNUSED, bool backup UNUSED)
{
    return chosen;
}

static const struct balancer method = { .name = "chosen", .pick = pick_chosen };

static void
add_peers(struct upstream_group *g, uint32_t n)
{
    while (g->peers.len < n)
        (void)VEC_PUSH(&g->peers, struct upstream_peer);
}

static void
try_peer(struct upstream_try *t, int peer)
{
    chosen = peer;
    CHECK_EQ(upstream_pick(t), PICKED, "peer %d", peer);
    t->busy = false; /* nothing is shared here */
}

/* Names that resolve late add peers while exchanges are under way. */
TEST(peers_that_join_later)
{
    struct upstream_group g = { .balancer = &method };
    struct upstream_try t;
    struct exchange *x;
    struct arena a;

    fixture_loop();
    modules_number(fixture_modules);
    arena_init(&a, 1024);
    group_init(&g, &a, S("g"));
    g.balancer = &method;
    x = fixture_exchange(NULL);
    add_peers(&g, 70);
    upstream_begin(&t, &g, x);
    CHECK(!upstream_tried(&t, 3) && !upstream_tried(&t, 69), "none was tried");
    try_peer(&t, 3);
    try_peer(&t, 69);
    CHECK(upstream_tried(&t, 3) && upstream_tried(&t, 69), "two were");
    CHECK(!upstream_tried(&t, 4) && !upstream_tried(&t, 68), "others were not");

    add_peers(&g, 5000);
    CHECK(upstream_tried(&t, 128) && upstream_tried(&t, 4999), "later ones count as tried");
    try_peer(&t, 4999);
    CHECK(upstream_tried(&t, 69) && !upstream_tried(&t, 68), "and change nothing");
    exchange_finish(x);
    fixture_settle();
    arena_free(&a);
}
