/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver.h - asynchronous names with a cache and TTL. c-ares lies behind resolver.c alone; without a `resolver`
 * line the system's own look-up runs in the thread pool.
 */
#ifndef WEIR_NET_RESOLVER_H
#define WEIR_NET_RESOLVER_H

#include "common/base/vec.h"
#include "common/sys/addr.h"

struct scope;
struct resolver; /* what one `resolver` line says; NULL: the system's */
struct resolver_query;

struct resolver_answer {
    const char *error;        /* NULL: found; else "Host not found", "Operation timed out" */
    const struct addr *addrs; /* borrowed until the callback returns; port 0 */
    uint32_t n;
    uint64_t ttl_ms;
};
typedef void (*resolver_fn)(void *data, const struct resolver_answer *a);

/* Asks; the callback comes later from the loop (never from within), unless cancelled. NULL: memory, nothing follows. */
struct resolver_query *resolver_ask(const struct resolver *r, struct str name, uint64_t timeout_ms,
                                    resolver_fn fn, void *data);
void resolver_cancel(struct resolver_query *q);
/* What `resolver` and `resolver_timeout` say in a scope; NULL: no such line. */
const struct resolver *resolver_of_scope(const struct scope *s, uint64_t *timeout_ms);
/* For load time (the master's check): the system's blocking look-up with a bound on time. Addresses in `a`. */
bool resolver_now(struct str name, struct vec *addrs);

#endif
