/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keepalive.c - idle connections to origins, per worker and group: the most recently used one first.
 *
 * An idle connection has no exchange. Whatever happens on it (EOF, bytes that nobody asked for, an error, its time-out, a
 * shortage of descriptors) ends it.
 */
#include <errno.h>
#include <stdlib.h>

#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/tls/tls.h"
#include "worker/upstream/group.h"

struct idle_conn {
    struct list node; /* in group.idle, or in spare */
    struct upstream_group *group;
    struct conn *conn; /* its `peer` is whose it is */
    const void *key;   /* of `local` */
    struct addr from;  /* the source address asked for; len 0: any, and the rest is not set */
};

static struct list spare = LIST_INIT(spare); /* for the next ones: no malloc for each request */

static struct idle_conn *
idle_take(void)
{
    struct list *node = list_first(&spare);

    if (node == NULL)
        return malloc(sizeof(struct idle_conn));
    list_del(node);
    return LIST_ENTRY(node, struct idle_conn, node);
}

static void
idle_remove(struct idle_conn *i)
{
    list_del(&i->node);
    i->group->n_idle--;
    timer_stop(&i->conn->timer);
    conn_set_idle(i->conn, false);
    list_add_head(&spare, &i->node);
}

static void
idle_end(struct idle_conn *i)
{
    struct conn *c = i->conn;

    idle_remove(i);
    conn_close(c);
}

void
group_close_idle(struct upstream_group *g)
{
    while (!list_empty(&g->idle))
        idle_end(LIST_ENTRY(g->idle.next, struct idle_conn, node));
}

/* TLS may have something to say by itself: a ticket is no answer that nobody asked for. */
static void
idle_on_event(struct conn *c)
{
    bool ended = (c->bits & (CONN_EOF | CONN_ERROR)) != 0;

    if (ended || ((c->bits & CONN_READABLE) && !(conn_is_tls(c) && tls_is_quiet(c))))
        idle_end(c->owner);
}

static void
idle_on_time(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);

    idle_end(c->owner);
}

/* Who asked for a certain source address gets it, and nobody else does. */
static bool
same_source(const struct idle_conn *i, const struct upstream_try *t)
{
    if (t->from == NULL)
        return i->from.len == 0;
    return i->from.len > 0 && addr_eq(&i->from, t->from);
}

struct conn *
upstream_idle_get(struct upstream_try *t)
{
    struct upstream_group *g = t->group;
    const struct upstream_peer *p = upstream_current(t);

    LIST_FOREACH (it, &g->idle) {
        struct idle_conn *i = LIST_ENTRY(it, struct idle_conn, node);
        struct conn *c = i->conn;

        if ((g->keepalive_local && i->key != t->pool_key) || !addr_eq(&c->peer, &p->addr) ||
            !same_source(i, t) || !tls_serves(c, t->tls))
            continue;
        idle_remove(i);
        return c;
    }
    return NULL;
}

bool
upstream_conn_is_quiet(struct conn *c)
{
    char byte;

    if (conn_is_tls(c))
        return tls_is_quiet(c);
    if (c->in != NULL || recv(c->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
        (errno != EAGAIN && errno != EWOULDBLOCK))
        return false;
    c->bits &= (uint8_t)~CONN_READABLE;
    return true;
}

/* Whether the connection may serve another request of this group. READABLE only says that the last read was not short. */
static bool
worth_keeping(const struct upstream_group *g, struct conn *c)
{
    if (g->keepalive == 0 || c->in != NULL || (c->bits & (CONN_EOF | CONN_ERROR)))
        return false;
    if (++c->requests >= g->keepalive_requests || clock_ms - c->opened_ms >= g->keepalive_time_ms)
        return false;
    return !(c->bits & CONN_READABLE) || upstream_conn_is_quiet(c);
}

void
upstream_idle_put(struct upstream_try *t, struct conn *c)
{
    struct upstream_group *g = t->group;
    const struct upstream_peer *p = upstream_current(t);
    struct idle_conn *i;

    if (p == NULL || worker_state >= WORKER_QUITTING || !worth_keeping(g, c) ||
        (i = idle_take()) == NULL) {
        conn_close(c);
        return;
    }
    if (g->n_idle >= g->keepalive)
        idle_end(LIST_ENTRY(g->idle.prev, struct idle_conn, node));
    i->group = g;
    i->conn = c;
    i->key = t->pool_key;
    i->from.len = 0;
    if (t->from != NULL)
        i->from = *t->from;
    list_init(&i->node);
    list_add_head(&g->idle, &i->node);
    g->n_idle++;
    c->owner = i;
    c->on_event = idle_on_event;
    c->timer.on_time = idle_on_time;
    conn_set_idle(c, true);
    timer_set(&c->timer, g->keepalive_timeout_ms);
}
