/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_resolve.c - where a proxy_pass with variables leads: a group of that name, a literal address, or a name to resolve.
 *
 * The resolver has a cache, so a name is asked for at each request and its group is renewed when its addresses change.
 */
#include "common/base/num.h"
#include "worker/proxy/proxy.h"

static void
on_name(void *data, const struct resolver_answer *a)
{
    struct proxy_exchange *p = data;
    struct request *r = p->origin.r;
    struct addr *addrs = NULL;

    p->query = NULL;
    p->resolved = true;
    p->resolve_status = 502;
    exchange_off_abort(&p->on_abort);
    if (a->error != NULL)
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "%.*s could not be resolved (%s)", LOG_STR(p->url.host),
             a->error);
    else if ((addrs = arena_array(request_arena(r), a->n, sizeof(*addrs))) == NULL)
        p->resolve_status = 500;
    for (uint32_t i = 0; addrs != NULL && i < a->n; i++) {
        addrs[i] = a->addrs[i];
        addr_set_port(&addrs[i], p->url.port);
    }
    p->addrs = addrs;
    p->n_addrs = addrs != NULL ? a->n : 0;
    phase_resume(&r->x);
    exchange_release(&r->x, "proxy name");
}

static void
cancel_query(struct abort_hook *h, struct exchange *x)
{
    struct proxy_exchange *p = CONTAINER_OF(h, struct proxy_exchange, on_abort);

    resolver_cancel(p->query);
    p->query = NULL;
    exchange_release(x, "proxy name");
}

static enum phase_result
use_addresses(struct proxy_exchange *p, struct request *r, const struct addr *addrs, uint32_t n)
{
    struct str name = p->url.host;

    /* The same host by http and by https is two groups. */
    if (p->url.tls && str_find(name, ':') == name.len)
        name = arena_fmt(request_arena(r), "%.*s:%u", STR(name), p->url.port);
    p->group = name.ptr != NULL ? upstream_dynamic(name, addrs, n) : NULL;
    return p->group != NULL ? PHASE_NEXT : phase_respond(&r->x, 500);
}

/* "name:port": the name; its port into the URL's. False: no such port. */
static bool
split_port(struct proxy_url *u, struct str *name)
{
    size_t colon = str_rfind(u->host, ':');
    uint32_t port;

    *name = str_upto(u->host, colon);
    if (colon == u->host.len)
        return true;
    if (!num_parse_u32(str_from(u->host, colon + 1), &port) || port == 0 || port > UINT16_MAX)
        return false;
    u->port = (uint16_t)port;
    return name->len > 0;
}

static enum phase_result
ask(struct proxy_exchange *p, struct request *r, struct str name)
{
    uint64_t timeout_ms;
    const struct resolver *resolver = resolver_of_scope(r->x.scope, &timeout_ms);

    p->query = resolver_ask(resolver, name, timeout_ms, on_name, p);
    if (p->query == NULL)
        return phase_respond(&r->x, 500);
    exchange_hold(&r->x, "proxy name");
    p->on_abort.run = cancel_query;
    exchange_on_abort(&r->x, &p->on_abort);
    return PHASE_WAIT;
}

enum phase_result
proxy_resolve(struct proxy_exchange *p, struct request *r)
{
    struct addr a;
    struct str name;

    if (p->query != NULL)
        return PHASE_WAIT;
    if (p->resolved) {
        if (p->n_addrs == 0)
            return phase_respond(&r->x, p->resolve_status);
        return use_addresses(p, r, p->addrs, p->n_addrs);
    }
    p->group = upstream_find(p->url.host);
    if (p->group != NULL)
        return PHASE_NEXT;
    if (addr_parse(p->url.host, p->url.port, &a))
        return use_addresses(p, r, &a, 1);
    if (!split_port(&p->url, &name)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid port in upstream \"%.*s\"", LOG_STR(p->url.host));
        return phase_respond(&r->x, 500);
    }
    return ask(p, r, name);
}
