/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * group.c - module `upstream`: upstream {} with its `server` lines, and the implicit groups of addresses in pass
 * directives. (dynamic.c has those of pass directives with variables.)
 *
 * A name that does not resolve never keeps weir down: it is a warning, its servers are missing until it resolves, and
 * it is asked for again when a request needs the group.
 */
#include "worker/upstream/group.h"

#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/core/var.h"

enum {
    ASK_AGAIN_MS = 1000,
    ASK_TIMEOUT_MS = 5000,
};

/* Of SCOPE_UPSTREAM: the group being loaded. Of http and outer: the list of groups. */
struct upstream_conf {
    struct upstream_group *group; /* I_BLOCK */
};

struct upstream_groups {
    struct hash by_name; /* -> struct upstream_group */
    struct vec all;      /* of struct upstream_group * */
};
static struct upstream_groups groups;

/* ---- making groups ---- */

void
group_init(struct upstream_group *g, struct arena *a, struct str name)
{
    memset(g, 0, sizeof(*g));
    g->name = name;
    g->arena = a;
    g->balancer = &round_robin_balancer;
    g->keepalive = 32;
    g->keepalive_local = true;
    g->keepalive_requests = 1000;
    g->keepalive_time_ms = 3600 * 1000;
    g->keepalive_timeout_ms = 60 * 1000;
    vec_init(&g->specs, a, sizeof(struct peer_spec));
    vec_init(&g->peers, a, sizeof(struct upstream_peer));
    vec_init(&g->pending, a, sizeof(struct pending_name));
    list_init(&g->idle);
}

bool
group_add_peer(struct upstream_group *g, const struct peer_spec *spec, const struct addr *a,
               struct str server)
{
    struct upstream_peer *p = VEC_PUSH(&g->peers, struct upstream_peer);
    struct peer_spec *s = p != NULL ? VEC_PUSH(&g->specs, struct peer_spec) : NULL;
    char text[ADDR_TEXT_MAX];

    if (s == NULL)
        return false;
    *s = *spec;
    p->addr = *a;
    p->name = s->name = arena_str(g->arena, str_n(text, addr_format(a, true, text)));
    p->server = server;
    p->weight = s->weight;
    p->max_fails = s->max_fails;
    p->max_conns = s->max_conns;
    p->fail_timeout_ms = s->fail_timeout_ms;
    p->backup = s->backup;
    p->down = s->down;
    g->backups += s->backup;
    return p->name.ptr != NULL;
}

static bool
add_addresses(struct upstream_group *g, const struct peer_spec *spec, const struct addr *addrs,
              uint32_t n, uint16_t port, struct str server)
{
    for (uint32_t i = 0; i < n; i++) {
        struct addr a = addrs[i];

        addr_set_port(&a, port);
        if (!group_add_peer(g, spec, &a, server))
            return false;
    }
    return true;
}

/* "host:port", "host", "[v6]:port", "unix:/path": a literal, or a name to resolve. */
static bool
split_port(struct str text, uint16_t fallback, struct str *host, uint16_t *port)
{
    size_t colon = str_rfind(text, ':');
    uint32_t n;

    *host = text;
    *port = fallback;
    if (colon == text.len)
        return text.len > 0;
    if (!num_parse_u32(str_from(text, colon + 1), &n) || n == 0 || n > 65535)
        return false;
    *host = str_upto(text, colon);
    *port = (uint16_t)n;
    return host->len > 0;
}

/* Resolves now or remembers the name; false after conf_fail. */
static bool
add_server_text(struct conf_load *l, struct upstream_group *g, const struct conf_node *n, int arg,
                struct str text, uint16_t port, const struct peer_spec *spec)
{
    struct addr a;
    struct str host;
    struct vec found;
    bool literal = addr_parse(text, port, &a);

    if (literal && a.sa.sa_family != AF_UNIX && addr_port(&a) == 0)
        return conf_fail(l, n, arg, "invalid port in upstream \"%.*s\"", STR(text));
    if (literal)
        return group_add_peer(g, spec, &a, text) || conf_fail(l, n, arg, "no memory");
    if (str_starts(text, S("unix:")) || str_starts(text, S("[")) ||
        !split_port(text, port, &host, &port))
        return conf_fail(l, n, arg, "invalid host in upstream \"%.*s\"", STR(text));

    vec_init(&found, conf_arena(l), sizeof(struct addr));
    if (resolver_now(host, &found))
        return add_addresses(g, spec, found.data, found.len, port, text) ||
               conf_fail(l, n, arg, "no memory");

    struct pending_name *p = VEC_PUSH(&g->pending, struct pending_name);

    if (p == NULL)
        return conf_fail(l, n, arg, "no memory");
    *p = (struct pending_name){
        .host = arena_str(g->arena, host), .port = port, .spec = *spec, .group = g
    };
    conf_warn(l, n, arg, "host not found in upstream \"%.*s\"", STR(text));
    conf_hint(l, "its requests are answered with 502 until the name resolves; it is asked for "
                 "again meanwhile");
    return true;
}

/* ---- directives ---- */

static bool
set_upstream(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
             void *conf UNUSED)
{
    struct upstream_group *g = ARENA_NEW(conf_arena(l), struct upstream_group);
    struct upstream_group *other = hash_get(&groups.by_name, n->args[1]), **slot;
    struct scope *s;

    if (g == NULL)
        return conf_fail(l, n, 0, "no memory");
    if (other != NULL) {
        conf_fail(l, n, 1, "duplicate upstream \"%.*s\"", STR(n->args[1]));
        conf_hint(l, "the first one is in %.*s:%u",
                  STR(config_pos_file(conf_config(l), other->pos)), other->pos.line);
        return false;
    }
    group_init(g, conf_arena(l), n->args[1]);
    g->pos = n->pos;
    slot = VEC_PUSH(&groups.all, struct upstream_group *);
    s = conf_open_scope(l, n, SCOPE_UPSTREAM,
                        arena_fmt(conf_arena(l), "upstream \"%.*s\"", STR(n->args[1])), g);
    if (slot == NULL || s == NULL || !hash_set(&groups.by_name, g->name, g))
        return conf_fail(l, n, 0, "no memory");
    g->scope = s;
    *slot = g;
    return true;
}

static struct upstream_group *
loading_group(struct conf_load *l)
{
    return conf_scope(l)->owner;
}

static bool
server_param(struct conf_load *l, struct conf_node *n, int i, struct peer_spec *spec)
{
    static const char *const later[] = { "resolve", "service", "route", "drain", "slow_start" };
    struct str arg = n->args[i], v;

    if (conf_param(arg, "weight", &v))
        return (num_parse_u32(v, &spec->weight) && spec->weight > 0 && spec->weight <= 1000000) ||
               conf_fail(l, n, i, "invalid parameter \"%.*s\"", STR(arg));
    if (conf_param(arg, "max_fails", &v))
        return num_parse_u32(v, &spec->max_fails) ||
               conf_fail(l, n, i, "invalid parameter \"%.*s\"", STR(arg));
    if (conf_param(arg, "max_conns", &v))
        return num_parse_u32(v, &spec->max_conns) ||
               conf_fail(l, n, i, "invalid parameter \"%.*s\"", STR(arg));
    if (conf_param(arg, "fail_timeout", &v))
        return num_parse_duration(v, &spec->fail_timeout_ms) ||
               conf_fail(l, n, i, "invalid parameter \"%.*s\"", STR(arg));
    if (str_eq(arg, S("backup")))
        return spec->backup = true;
    if (str_eq(arg, S("down")))
        return spec->down = true;

    conf_fail(l, n, i, "invalid parameter \"%.*s\"", STR(arg));
    for (size_t k = 0; k < ARRAY_LEN(later); k++)
        if (str_eq(arg, str_c(later[k])) || conf_param(arg, later[k], &v))
            conf_hint(l, "this version does not support \"%s\"", later[k]);
    return false;
}

static bool
set_server(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
           void *conf UNUSED)
{
    struct peer_spec spec = { .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000 };

    for (uint32_t i = 2; i < n->n; i++)
        if (!server_param(l, n, (int)i, &spec))
            return false;
    return add_server_text(l, loading_group(l), n, 1, n->args[1], 80, &spec);
}

static bool
set_zone(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
         void *conf UNUSED)
{
    struct upstream_group *g = loading_group(l);
    uint64_t size = 0;

    if (n->n > 2 && !num_parse_size(n->args[2], &size))
        return conf_fail(l, n, 2, "invalid zone size \"%.*s\"", STR(n->args[2]));
    if (n->n > 2 && size < 8 * 4096)
        return conf_fail(l, n, 2, "zone \"%.*s\" is too small", STR(n->args[1]));
    g->zone = config_zone(l, n, n->args[1], size, &peer_zone_ops);
    return g->zone != NULL;
}

static bool
set_keepalive(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
              void *conf UNUSED)
{
    struct upstream_group *g = loading_group(l);

    if (!num_parse_u32(n->args[1], &g->keepalive))
        return conf_fail(l, n, 1, "invalid value \"%.*s\" in \"keepalive\" directive",
                         STR(n->args[1]));
    g->keepalive_local = n->n > 2;
    if (n->n > 2 && !str_eq(n->args[2], S("local")))
        return conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
    return true;
}

static bool
set_keepalive_requests(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                       void *conf UNUSED)
{
    return num_parse_u32(n->args[1], &loading_group(l)->keepalive_requests) ||
           conf_fail(l, n, 1, "invalid number \"%.*s\"", STR(n->args[1]));
}

static bool
set_keepalive_time(struct conf_load *l, const struct directive *d, struct conf_node *n,
                   void *conf UNUSED)
{
    struct upstream_group *g = loading_group(l);
    uint64_t *field = d->data != NULL ? &g->keepalive_timeout_ms : &g->keepalive_time_ms;

    return num_parse_duration(n->args[1], field) ||
           conf_fail(l, n, 1, "invalid value \"%.*s\" in \"%s\" directive", STR(n->args[1]),
                     d->name);
}

bool
upstream_set_balancer(struct conf_load *l, const struct conf_node *n, const struct balancer *b,
                      void *data)
{
    struct upstream_group *g = loading_group(l);

    if (g->balancer != &round_robin_balancer)
        conf_warn(l, n, 0, "load balancing method redefined");
    g->balancer = b;
    g->balancer_data = data;
    return true;
}

/* ---- load time ---- */

/* A lone server is never given up on: there is nobody else. */
static void
relax_lone_peer(struct upstream_group *g)
{
    if (g->specs.len == 1 && g->pending.len == 0)
        VEC_AT(&g->specs, struct peer_spec, 0)->max_fails = 0;
}

/* "NAME:port" of an upstream {}: its servers have ports of their own. */
static bool
names_group_with_port(struct str host)
{
    size_t colon = str_rfind(host, ':');
    struct upstream_group *g = hash_get(&groups.by_name, str_upto(host, colon));

    return colon < host.len && g != NULL && !g->implicit;
}

struct upstream_group *
upstream_of_url(struct conf_load *l, const struct conf_node *n, int arg, struct str host,
                uint16_t port)
{
    struct upstream_group *g = hash_get(&groups.by_name, host), **slot;
    const struct peer_spec spec = { .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000 };
    struct str key;

    if (g != NULL && !g->implicit)
        return g;
    if (names_group_with_port(host)) {
        size_t colon = str_rfind(host, ':');

        conf_fail(l, n, arg, "upstream \"%.*s\" may not have port %.*s", STR(str_upto(host, colon)),
                  STR(str_from(host, colon + 1)));
        return NULL;
    }
    key = arena_fmt(conf_arena(l), "%.*s\t%u", STR(host), port);
    g = hash_get(&groups.by_name, key);
    if (g != NULL)
        return g;
    if (conf_is_damaged(l, NULL, &upstream_module))
        return NULL; /* it may be the name of a group whose line has an error */
    g = ARENA_NEW(conf_arena(l), struct upstream_group);
    if (g == NULL || key.ptr == NULL)
        return conf_fail(l, n, arg, "no memory"), NULL;
    group_init(g, conf_arena(l), arena_str(conf_arena(l), host));
    g->pos = n->pos;
    g->scope = conf_scope(l);
    g->implicit = true;
    if (!add_server_text(l, g, n, arg, g->name, port, &spec))
        return NULL;
    slot = VEC_PUSH(&groups.all, struct upstream_group *);
    if (slot == NULL)
        return conf_fail(l, n, arg, "no memory"), NULL;
    *slot = g;
    if (!hash_set(&groups.by_name, key, g))
        return conf_fail(l, n, arg, "no memory"), NULL;
    return g;
}

static bool
upstream_conf_init(struct conf_load *l, struct scope *s UNUSED, void *conf UNUSED)
{
    memset(&groups, 0, sizeof(groups));
    hash_init(&groups.by_name, conf_arena(l));
    vec_init(&groups.all, conf_arena(l), sizeof(struct upstream_group *));
    return true;
}

/* Every group shares its peers, with a `zone` line or without. */
static bool
upstream_loaded(struct conf_load *l)
{
    const struct conf_node none = { 0 };
    uint64_t peers = 0;
    struct zone_spec *common = NULL;

    VEC_FOREACH (g, struct upstream_group *, &groups.all) {
        if ((*g)->peers.len == 0 && (*g)->pending.len == 0 &&
            !conf_is_damaged(l, (*g)->scope, &upstream_module))
            conf_fail_at(l, (*g)->pos, "no servers are inside upstream");
    }
    if (conf_has_errors(l))
        return false;
    VEC_FOREACH (g, struct upstream_group *, &groups.all) {
        relax_lone_peer(*g);
        peers += (*g)->peers.len + 16 * (*g)->pending.len;
        if ((*g)->balancer->init != NULL && !(*g)->balancer->init(*g, (*g)->balancer_data))
            return conf_fail_at(l, (*g)->pos, "load balancing method of upstream \"%.*s\" failed",
                                STR((*g)->name));
    }
    if (peers == 0)
        return true;
    common =
        config_zone(l, &none, S("upstreams"),
                    peers_zone_bytes(peers, groups.all.len, conf_config(l)->core.worker_processes),
                    &peer_zone_ops);
    if (common == NULL)
        return false;
    VEC_FOREACH (g, struct upstream_group *, &groups.all)
        if ((*g)->zone == NULL)
            (*g)->zone = common;
    return true;
}

/* ---- run time ---- */

bool
group_attach(struct upstream_group *g)
{
    struct zone *z = g->zone != NULL ? g->zone->zone : NULL;

    g->shared = peers_attach(g->arena, z, g->name, g->specs.data, g->specs.len);
    return g->shared != NULL;
}

static bool
upstream_worker_init(struct config *c UNUSED)
{
    VEC_FOREACH (g, struct upstream_group *, &groups.all) {
        if (!group_attach(*g)) {
            log_emerg(0, "no memory for the peers of upstream \"%.*s\"", STR((*g)->name));
            return false;
        }
        if ((*g)->pending.len > 0) {
            uint64_t timeout_ms;

            (*g)->resolver = resolver_of_scope((*g)->scope, &timeout_ms);
            group_ask_names(*g);
        }
    }
    return true;
}

static void
on_name(void *data, const struct resolver_answer *a)
{
    struct pending_name *p = data;
    struct upstream_group *g = p->group;

    p->query = NULL;
    if (a->error != NULL) {
        log_warn(0, "%.*s could not be resolved (%s) for upstream \"%.*s\"", STR(p->host), a->error,
                 STR(g->name));
        return;
    }
    p->resolved = add_addresses(g, &p->spec, a->addrs, a->n, p->port, p->host) && group_attach(g);
    if (p->resolved)
        log_notice(0, "%.*s resolved for upstream \"%.*s\"", STR(p->host), STR(g->name));
}

void
group_ask_names(struct upstream_group *g)
{
    VEC_FOREACH (p, struct pending_name, &g->pending) {
        if (p->resolved || p->query != NULL ||
            (p->asked_ms != 0 && clock_ms - p->asked_ms < ASK_AGAIN_MS))
            continue;
        p->asked_ms = clock_ms;
        p->query = resolver_ask(g->resolver, p->host, ASK_TIMEOUT_MS, on_name, p);
    }
}

struct upstream_group *
upstream_find(struct str name)
{
    struct upstream_group *g = hash_get(&groups.by_name, name);

    return g != NULL && !g->implicit ? g : NULL;
}

struct upstream_peer *
upstream_peers(struct upstream_group *g, uint32_t *n)
{
    *n = g->peers.len;
    return g->peers.data;
}

bool
upstream_is_temporary(const struct upstream_group *g)
{
    return g->dynamic != NULL;
}

struct str
upstream_name(const struct upstream_group *g)
{
    return g->name;
}

struct peers *
upstream_shared(const struct upstream_group *g)
{
    return g->shared;
}

static const struct directive upstream_directives[] = {
    D_SCOPE("upstream", CTX_HTTP, ARGS(1, 1), set_upstream),
    D_CALL("server", CTX_UPS, ARGS(1, ARGS_ANY), set_server, .repeat = true),
    D_CALL("zone", CTX_UPS, ARGS(1, 2), set_zone),
    D_CALL("keepalive", CTX_UPS, ARGS(1, 2), set_keepalive),
    D_CALL("keepalive_requests", CTX_UPS, ARGS(1, 1), set_keepalive_requests),
    D_CALL("keepalive_time", CTX_UPS, ARGS(1, 1), set_keepalive_time),
    D_CALL("keepalive_timeout", CTX_UPS, ARGS(1, 1), set_keepalive_time, .data = "timeout"),
    D_END,
};

extern const struct variable upstream_variables[];

struct module upstream_module = {
    .name = "upstream",
    .conf_size = sizeof(struct upstream_conf),
    .directives = upstream_directives,
    .conf_init = upstream_conf_init,
    .loaded = upstream_loaded,
    .loaded_anyway = true,
    .variables = upstream_variables,
    .zone = &peer_zone_ops,
    .worker_init = upstream_worker_init,
};
