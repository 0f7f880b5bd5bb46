/* SPDX-License-Identifier: BSD-2-Clause */
/* exchange.c - the end of exchanges: order, holds, children, abort; states of modules. */
#include "worker/core/exchange.h"

#include "test.h"

#include "t/unit/worker/fixture.h"

static void
freed(void *data)
{
    note("%s ", (const char *)data);
}

/* Runs what is ready and compares the notes since the last look. */
#define NOTES(want)                            \
    do {                                       \
        fixture_settle();                      \
        CHECK_STR(str_c(fixture_notes), want); \
        fixture_notes[0] = '\0';               \
    } while (0)

TEST(order_of_the_end)
{
    struct exchange *x;

    fixture_loop();
    modules_number(fixture_modules);
    x = fixture_exchange(NULL);
    CHECK_EQ(exchange_count(), 1);
    arena_on_free(&x->mem->arena, freed, "first");
    arena_on_free(&x->mem->arena, freed, "second");
    exchange_ready(x);
    NOTES("");
    x->responding = true;
    exchange_ready(x);
    NOTES("ready ");
    exchange_finish(x);
    NOTES("stop-0 log ended second first ");
    CHECK_EQ(exchange_count(), 0);
}

TEST(a_hold_keeps_it)
{
    struct exchange *x;

    fixture_loop();
    x = fixture_exchange(NULL);
    exchange_hold(x, "timer");
    exchange_hold(x, "query");
    exchange_finish(x);
    NOTES("stop-0 ");
    exchange_release(x, "timer");
    NOTES("");
    exchange_release(x, "query");
    NOTES("log ended ");
}

static void
child_done(struct exchange *x, void *data)
{
    CHECK(x->parent != NULL);
    note("done-%s ", (const char *)data);
}

TEST(a_child_ends_before_its_parent)
{
    struct exchange *x, *child;

    fixture_loop();
    x = fixture_exchange(NULL);
    child = fixture_child(x, false);
    CHECK(child->root == x && child->mem == x->mem);
    child->done = child_done;
    child->done_data = "include";
    exchange_finish(x);
    NOTES("stop-0 ");
    exchange_finish(child);
    NOTES("stop-child-0 log-child done-include ended-child log ended ");
}

TEST(a_detached_child_outlives_its_parent)
{
    struct exchange *x, *child;

    fixture_loop();
    x = fixture_exchange(NULL);
    child = fixture_child(x, true);
    arena_on_free(&x->mem->arena, freed, "memory");
    CHECK(child->root == child);
    exchange_finish(x);
    NOTES("stop-0 log ended ");
    exchange_finish(child);
    NOTES("stop-child-0 log-child ended-child memory ");
}

struct waiter {
    struct abort_hook hook;
};

static void
waiter_aborted(struct abort_hook *h UNUSED, struct exchange *x)
{
    note("cancel%s ", x->parent != NULL ? "-child" : "");
    exchange_release(x, "waiter");
}

TEST(abort_goes_from_the_leaves)
{
    struct exchange *x, *child;
    struct waiter w = { .hook = { .run = waiter_aborted } };

    fixture_loop();
    x = fixture_exchange(NULL);
    child = fixture_child(x, false);
    exchange_hold(child, "waiter");
    exchange_on_abort(child, &w.hook);
    x->responding = child->responding = true;
    exchange_abort(x, STOP_CLIENT_GONE);
    exchange_abort(x, STOP_CLIENT_GONE);
    NOTES("cancel-child stop-child-1 stop-1 log-child ended-child log ended ");
}

TEST(readiness_reaches_the_root_only_when_waited_for)
{
    struct exchange *x, *a, *a1;

    fixture_loop();
    x = fixture_exchange(NULL);
    a = fixture_child(x, false);
    a1 = fixture_child(a, false);
    x->responding = a->responding = a1->responding = true;
    a1->waited_for = true;
    exchange_ready(a1); /* a waits for it; nobody waits for a */
    NOTES("ready-child ready-child ");
    a->waited_for = true;
    exchange_ready(a1);
    NOTES("ready-child ready ");
    exchange_abort(x, STOP_FAILED);
    fixture_settle();
}

TEST(another_sink_gets_the_rest)
{
    static const struct sink_ops drain;
    struct exchange *x;

    fixture_loop();
    x = fixture_exchange(NULL);
    x->responding = true;
    exchange_set_sink(x, &drain, NULL);
    NOTES("");
    exchange_finish(x);
    NOTES("stop-0 log ");
}

TEST(states)
{
    struct exchange *x;
    int *kept, *lost;

    fixture_loop();
    modules_number(fixture_modules);
    x = fixture_exchange(NULL);
    CHECK(exchange_state(x, &events_module, 0) == NULL);
    kept = exchange_state(x, &events_module, sizeof(int));
    lost = exchange_state(x, &fixture_module, sizeof(int));
    CHECK(kept != NULL && *kept == 0 && lost != NULL);
    *kept = *lost = 7;
    CHECK(exchange_state(x, &events_module, sizeof(int)) == kept);
    exchange_keep_state(x, &events_module);
    exchange_clear_states(x);
    CHECK(exchange_state(x, &events_module, 0) == kept);
    CHECK(exchange_state(x, &fixture_module, 0) == NULL);
    exchange_finish(x);
    fixture_settle();
}

TEST(memory_is_reused)
{
    struct xmem *a = xmem_get(), *b;

    xmem_ref(a);
    xmem_put(a);
    xmem_put(a);
    b = xmem_get();
    CHECK(a == b);
    xmem_put(b);
}
