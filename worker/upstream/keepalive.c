/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keepalive.c - idle connections to origins, per worker and group: the most recently used one first.
 *
 * An idle connection has no exchange. Whatever happens on it (EOF, bytes that nobody asked for, an error, its time-out)
 * ends it.
 */
#include <stdlib.h>

#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/upstream/group.h"

struct idle_conn {
    struct list node; /* in group.idle */
    struct upstream_group *group;
    struct conn *conn;
    const void *key; /* of `local` */
    struct addr addr;
};

static void
idle_remove(struct idle_conn *i)
{
    list_del(&i->node);
    i->group->n_idle--;
    timer_stop(&i->conn->timer);
    free(i);
}

static void
idle_end(struct idle_conn *i)
{
    struct conn *c = i->conn;

    idle_remove(i);
    conn_close(c);
}

static void
idle_on_event(struct conn *c)
{
    if (c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR))
        idle_end(c->owner);
}

static void
idle_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);

    idle_end(c->owner);
}

struct conn *
upstream_idle_get(struct upstream_try *t)
{
    struct upstream_group *g = t->group;
    const struct upstream_peer *p = upstream_current(t);

    LIST_FOREACH (it, &g->idle) {
        struct idle_conn *i = LIST_ENTRY(it, struct idle_conn, node);
        struct conn *c = i->conn;

        if (!addr_eq(&i->addr, &p->addr) || (g->keepalive_local && i->key != t->pool_key))
            continue;
        idle_remove(i);
        return c;
    }
    return NULL;
}

/* Whether the connection may serve another request of this group. */
static bool
worth_keeping(const struct upstream_group *g, struct conn *c)
{
    if (g->keepalive == 0 || c->in != NULL || (c->bits & (CONN_READABLE | CONN_EOF | CONN_ERROR)))
        return false;
    return ++c->requests < g->keepalive_requests && clock_ms - c->opened_ms < g->keepalive_time_ms;
}

void
upstream_idle_put(struct upstream_try *t, struct conn *c)
{
    struct upstream_group *g = t->group;
    const struct upstream_peer *p = upstream_current(t);
    struct idle_conn *i;

    if (p == NULL || worker_state >= WORKER_QUITTING || !worth_keeping(g, c) ||
        (i = malloc(sizeof(*i))) == NULL) {
        conn_close(c);
        return;
    }
    if (g->n_idle >= g->keepalive)
        idle_end(LIST_ENTRY(g->idle.prev, struct idle_conn, node));
    *i = (struct idle_conn){ .group = g, .conn = c, .key = t->pool_key, .addr = p->addr };
    list_add_head(&g->idle, &i->node);
    g->n_idle++;
    c->owner = i;
    c->on_event = idle_on_event;
    c->timer.on_time = idle_on_time;
    timer_set(&c->timer, g->keepalive_timeout_ms);
}
