/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream.h - groups of origin servers for http and stream alike: pick a peer, get a connection, report the outcome.
 *
 * The order of calls of one exchange: upstream_begin; then for each attempt upstream_pick, a pooled connection or one to
 * upstream_current's address, and upstream_report; upstream_end. Takes an exchange, so l4/ sees no HTTP through it.
 */
#ifndef WEIR_UPSTREAM_UPSTREAM_H
#define WEIR_UPSTREAM_UPSTREAM_H

#include "common/base/vec.h"
#include "common/conf/directive.h"
#include "worker/core/exchange.h"
#include "worker/net/connect.h"
#include "worker/upstream/balancer.h"

struct upstream_group; /* an upstream {}, or the implicit one of an address in proxy_pass */
struct peers;          /* peer.h: the shared state */
struct tls_client;     /* worker/tls/tls.h */

/* One address of a group, process-local; its state is shared (peer.h). */
struct upstream_peer {
    struct addr addr;
    struct str name;   /* as $upstream_addr shows it: "10.0.0.1:80", "unix:/x" */
    struct str server; /* the text of its `server` line */
    uint32_t weight, max_fails, max_conns;
    uint64_t fail_timeout_ms;
    bool backup, down;
};

/* What a failure was: proxy_next_upstream's words. */
enum upstream_failure {
    UPSTREAM_OK = 0,
    UPSTREAM_ERROR = 1 << 0,
    UPSTREAM_TIMEOUT = 1 << 1,
    UPSTREAM_INVALID_HEADER = 1 << 2,
    UPSTREAM_HTTP_500 = 1 << 3,
    UPSTREAM_HTTP_502 = 1 << 4,
    UPSTREAM_HTTP_503 = 1 << 5,
    UPSTREAM_HTTP_504 = 1 << 6,
    UPSTREAM_HTTP_403 = 1 << 7,
    UPSTREAM_HTTP_404 = 1 << 8,
    UPSTREAM_HTTP_429 = 1 << 9,
    UPSTREAM_NON_IDEMPOTENT = 1 << 10, /* a permission, no failure */
    UPSTREAM_OFF = 1 << 11,
    UPSTREAM_DENIED = 1 << 12, /* by our own configuration */
};

/* One attempt as $upstream_* report it. */
struct upstream_attempt {
    struct str addr;
    struct str server; /* as its `server` line or the pass directive names it */
    uint16_t status;   /* 0: none came */
    bool new_jump;     /* an internal redirect lies before it: ' : ' instead of ', ' */
    int64_t connect_ms, header_ms, response_ms; /* -1: not reached */
    uint64_t bytes_received, bytes_sent, response_length;
};

struct fields; /* worker/http/fields.h */
struct origin; /* worker/proxy/origin.h */
/* What $upstream_* and the error log tell of an exchange; survives internal redirects. */
struct upstream_history {
    struct vec attempts;                    /* of struct upstream_attempt */
    bool jumped;                            /* the next attempt follows an internal redirect */
    struct origin *origin;                  /* at work now; NULL: none */
    const struct fields *fields, *trailers; /* of the last response head; NULL: none came */
};
/* Made at the first call. NULL: memory is out. */
struct upstream_history *upstream_history(struct exchange *x);
/* NULL also when there is none. */
struct upstream_history *upstream_history_of(struct exchange *x);

/* The state of one exchange with a group; embedded in the caller's, zeroed. */
struct upstream_try {
    struct upstream_group *group;
    struct exchange *x;
    int peer; /* index of the current one; -1: none */
    bool on_backup;
    uint32_t attempts;
    uint64_t started_ms;
    uint64_t tried_small; /* bits of peers tried; more than 64: */
    uint64_t *tried;
    size_t tried_words;   /* of `tried`: peers beyond them count as tried */
    bool tried_made;      /* or memory was out */
    bool busy;            /* the current peer is counted as ours */
    const void *pool_key; /* `keepalive ... local`: a pooled connection serves one key only */
    const struct addr
        *from; /* the source address asked for, and so that of a pooled one; NULL: any */
    const struct tls_client *tls; /* what a connection has to be, also a pooled one; NULL: plain */
    void *balancer_data;          /* of the method, per exchange */
};

enum upstream_picked {
    PICKED,
    PICK_NONE /* none can serve: 502 */,
    PICK_NO_NAMES /* names unresolved: 502, logged */
};

/* ---- load time ---- */
/*
 * host[:port] or unix:path of a directive: an upstream {} of that name, defined anywhere in the same http or stream, else an
 * implicit group of its addresses (resolved now; a name that does not resolve is a warning with file:line, tried again at
 * run time). Only valid in `finish`. NULL after conf_fail.
 */
struct upstream_group *upstream_of_url(struct conf_load *l, const struct conf_node *n, int arg,
                                       struct str host, uint16_t port);
/* A balancing method's directive inside upstream {}: sets it for the group being loaded. */
bool upstream_set_balancer(struct conf_load *l, const struct conf_node *n, const struct balancer *b,
                           void *data);

/* ---- run time ---- */
/*
 * A group for addresses that are known only now (proxy_pass with variables), for upstream_begin in the same callback. Found
 * again by its name while the addresses are the same, so the worker keeps its idle connections and failures. Addresses are
 * copied. NULL: memory.
 */
struct upstream_group *upstream_dynamic(struct str name, const struct addr *addrs, uint32_t n);
/* By name at run time (proxy_pass with variables); NULL: no such group. */
struct upstream_group *upstream_find(struct str name);
void upstream_begin(struct upstream_try *t, struct upstream_group *g, struct exchange *x);
/* Whether another peer could be picked after the current one: an answer such as 502 is then not passed on. */
bool upstream_has_next(struct upstream_try *t);
/* Chooses t->peer and counts it busy. */
enum upstream_picked upstream_pick(struct upstream_try *t);
const struct upstream_peer *upstream_current(const struct upstream_try *t);
/* A pooled idle connection to the current peer, or NULL. The caller owns it and sets on_event; it may be stale: a request
 * that meets a closed one is repeated on a fresh connection without counting a failure. */
struct conn *upstream_idle_get(struct upstream_try *t);
/* One look whether an idle connection is still open and nothing has come on it; for requests that must not be repeated. */
bool upstream_conn_is_quiet(struct conn *c);
/* Back to the pool if keepalive allows, else closed. Nothing is unread and the origin allows reuse. */
void upstream_idle_put(struct upstream_try *t, struct conn *c);
/* The attempt's outcome: failure counts for max_fails as nginx documents. Releases the peer. */
void upstream_report(struct upstream_try *t, enum upstream_failure failure);
/* Releases a peer still busy without judging it. Harmless when none is. */
void upstream_release(struct upstream_try *t);
/* The same, and the end of the exchange with the group. Again is harmless. */
void upstream_end(struct upstream_try *t);
/* For explain: the group, its peers, and the one that was picked. */
void upstream_explain(const struct upstream_try *t);
/* For balancers. */
bool upstream_tried(const struct upstream_try *t, int peer);
bool upstream_usable(struct upstream_group *g,
                     int peer); /* not down, not failed within fail_timeout, under max_conns */
struct upstream_peer *upstream_peers(struct upstream_group *g, uint32_t *n);
struct str upstream_name(const struct upstream_group *g);
/* Made by upstream_dynamic: its names may be gone when the exchange's try has ended. */
bool upstream_is_temporary(const struct upstream_group *g);
/* The peers' shared state, for balancers; made in worker_init. */
struct peers *upstream_shared(const struct upstream_group *g);
extern struct module upstream_module;

#endif
