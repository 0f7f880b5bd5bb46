/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events_conf.c - module `events`: the events {} block.
 *
 * Directives: events, worker_connections, multi_accept, use, stall_threshold; accepted without effect: accept_mutex,
 * accept_mutex_delay, debug_connection, worker_aio_requests.
 */
#include "worker/net/events_conf.h"

#include "common/module.h"
#include "common/shm/counters.h"

extern struct module events_module;

uint16_t events_accepted, events_handled, events_active;

static struct scope *
events_scope(const struct config *c)
{
    struct scope *s = c->root->children;

    while (s != NULL && s->kind != SCOPE_EVENTS)
        s = s->next;
    return s;
}

const struct events_conf *
events_conf(const struct config *c)
{
    struct scope *s = events_scope(c);

    return scope_conf(s != NULL ? s : c->root, &events_module);
}

static bool
events_open(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)d;
    (void)conf;
    return conf_open_scope(l, n, SCOPE_EVENTS, S("events"), NULL) != NULL;
}

/* nginx configurations say `use epoll`; the other methods are of other systems or slower. */
static bool
events_use(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    static const char *const others[] = { "select", "poll", "kqueue", "devpoll", "eventport" };

    (void)d;
    (void)conf;
    if (str_eq(n->args[1], S("epoll")))
        return true;
    for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
        if (!str_eq(n->args[1], str_c(others[i])))
            continue;
        conf_fail(l, n, 1, "event method \"%s\" is not supported", others[i]);
        conf_hint(l, "remove the line: epoll is used always");
        return false;
    }
    return conf_fail(l, n, 1, "invalid event type \"%.*s\"", STR(n->args[1]));
}

/* Runs for main's defaults first, then for the block's own struct when it has one. */
static bool
events_finish(struct conf_load *l, struct scope *s, void *conf)
{
    const struct events_conf *e = conf;

    (void)s;
    conf_config(l)->core.worker_connections = e->worker_connections;
    return true;
}

static bool
events_loaded(struct conf_load *l)
{
    if (events_scope(conf_config(l)) == NULL && !conf_is_damaged(l, NULL, &events_module))
        return conf_fail_at(l, (struct conf_pos){ .line = 0 },
                            "no \"events\" section in configuration");
    return true;
}

static const struct directive events_directives[] = {
    { .name = "events",
      .contexts = CTX_MAIN,
      ARGS(0, 0),
      .set = events_open,
      .block = BLOCK_SCOPE },
    D_NUM("worker_connections", CTX_EVENTS, struct events_conf, worker_connections, DEFAULT(512),
          RANGE(1, 100000000)),
    D_FLAG("multi_accept", CTX_EVENTS, struct events_conf, multi_accept, DEFAULT(off)),
    D_CALL("use", CTX_EVENTS, ARGS(1, 1), events_use),
    D_MSEC("stall_threshold", CTX_EVENTS, struct events_conf, stall_threshold_ms, DEFAULT(1000ms)),
    D_NO_OP("accept_mutex", CTX_EVENTS, ARGS(1, 1),
            "without effect: workers take turns through the kernel's queue, not by a lock"),
    D_NO_OP("accept_mutex_delay", CTX_EVENTS, ARGS(1, 1),
            "without effect: there is no lock around accept"),
    { .name = "debug_connection",
      .contexts = CTX_EVENTS,
      ARGS(1, 1),
      .set = conf_set_nothing,
      .repeat = true,
      .help = "without effect: debug lines are chosen by level alone" },
    D_NO_OP("epoll_events", CTX_EVENTS, ARGS(1, 1),
            "without effect: a turn of the loop takes up to a fixed number of events, the rest "
            "wait for the next"),
    D_NO_OP("worker_aio_requests", CTX_EVENTS, ARGS(1, 1),
            "without effect: files are read by threads, not by the kernel's AIO"),
    D_END
};

static const struct counter_def events_counters[] = {
    { "connections_accepted", "Client connections accepted", false, &events_accepted },
    { "connections_handled", "Client connections served, not refused at a limit", false,
      &events_handled },
    { "connections_active", "Client connections open now, idle ones included", true,
      &events_active },
    { 0 },
};

struct module events_module = {
    .name = "events",
    .conf_size = sizeof(struct events_conf),
    .directives = events_directives,
    .finish = events_finish,
    .loaded = events_loaded,
    .loaded_anyway = true,
    .counters = events_counters,
};
