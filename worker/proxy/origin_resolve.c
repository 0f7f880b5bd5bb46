/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_resolve.c - where a pass directive with variables leads: a group of that name, a literal address, or a name to resolve.
 *
 * The resolver has a cache, so a name is asked for at each request and its group is renewed when its addresses change.
 */
#include "common/base/num.h"
#include "worker/net/resolver.h"
#include "worker/proxy/origin.h"

static void
on_name(void *data, const struct resolver_answer *a)
{
    struct origin_place *p = data;
    struct request *r = p->r;
    struct addr *addrs = NULL;

    p->query = NULL;
    p->resolved = true;
    p->status = 502;
    exchange_off_abort(&p->on_abort);
    if (a->error != NULL)
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "%.*s could not be resolved (%s)", LOG_STR(p->host),
             a->error);
    else if ((addrs = arena_array(request_arena(r), a->n, sizeof(*addrs))) == NULL)
        p->status = 500;
    for (uint32_t i = 0; addrs != NULL && i < a->n; i++) {
        addrs[i] = a->addrs[i];
        addr_set_port(&addrs[i], p->port);
    }
    p->addrs = addrs;
    p->n_addrs = addrs != NULL ? a->n : 0;
    phase_resume(&r->x);
    exchange_release(&r->x, "origin name");
}

static void
cancel_query(struct abort_hook *h, struct exchange *x)
{
    struct origin_place *p = CONTAINER_OF(h, struct origin_place, on_abort);

    resolver_cancel(p->query);
    p->query = NULL;
    exchange_release(x, "origin name");
}

static enum phase_result
use_addresses(struct origin_place *p, const struct addr *addrs, uint32_t n)
{
    struct str name = p->host;

    /* The same host by http and by https is two groups. */
    if (p->tls && str_find(name, ':') == name.len)
        name = arena_fmt(request_arena(p->r), "%.*s:%u", STR(name), p->port);
    p->group = name.ptr != NULL ? upstream_dynamic(name, addrs, n) : NULL;
    return p->group != NULL ? PHASE_NEXT : phase_respond(&p->r->x, 500);
}

/* "name:port": the name; its port into the URL's. False: no such port. */
static bool
split_port(struct origin_place *p, struct str *name)
{
    size_t colon = str_rfind(p->host, ':');
    uint32_t port;

    *name = str_upto(p->host, colon);
    if (colon == p->host.len)
        return true;
    if (!num_parse_u32(str_from(p->host, colon + 1), &port) || port == 0 || port > UINT16_MAX)
        return false;
    p->port = (uint16_t)port;
    return name->len > 0;
}

static enum phase_result
ask(struct origin_place *p, struct str name)
{
    struct request *r = p->r;
    uint64_t timeout_ms;
    const struct resolver *resolver = resolver_of_scope(r->x.scope, &timeout_ms);

    p->query = resolver_ask(resolver, name, timeout_ms, on_name, p);
    if (p->query == NULL)
        return phase_respond(&r->x, 500);
    exchange_hold(&r->x, "origin name");
    p->on_abort.run = cancel_query;
    exchange_on_abort(&r->x, &p->on_abort);
    return PHASE_WAIT;
}

enum phase_result
origin_resolve(struct origin_place *p)
{
    struct request *r = p->r;
    struct addr a;
    struct str name;

    if (p->query != NULL)
        return PHASE_WAIT;
    if (p->resolved) {
        if (p->n_addrs == 0)
            return phase_respond(&r->x, p->status);
        return use_addresses(p, p->addrs, p->n_addrs);
    }
    p->group = upstream_find(p->host);
    if (p->group != NULL)
        return PHASE_NEXT;
    if (addr_parse(p->host, p->port, &a))
        return use_addresses(p, &a, 1);
    if (!split_port(p, &name)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid port in upstream \"%.*s\"", LOG_STR(p->host));
        return phase_respond(&r->x, 500);
    }
    return ask(p, name);
}
