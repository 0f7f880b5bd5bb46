/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * realip.c - the client's address as trusted proxies tell it: in a field, or in a header of the PROXY protocol.
 *
 * Only what a trusted peer has added counts. A list of addresses is read from its end: the last one was written by our
 * peer; with real_ip_recursive each trusted address vouches for the one before it. What cannot be read as an address
 * ends the chain, so nothing that a client invents in front of it is ever reached.
 *
 * The address holds for one request, its children included: x->client, which conn_client() gives to all who ask.
 *
 * Directives: set_real_ip_from, real_ip_header, real_ip_recursive.
 * Variables: $realip_remote_addr, $realip_remote_port, $proxy_forwarded_elem, $proxy_add_forwarded.
 */
#include "common/conf/lint.h"
#include "common/shm/counters.h"
#include "worker/core/explain.h"
#include "worker/http/forwarded.h"
#include "worker/http/http_conf.h"
#include "worker/net/conn.h"
#include "worker/net/proxy_protocol.h"
#include "worker/net/resolver.h"

struct realip_conf {
    struct vec trusted; /* of struct cidr */
    struct str field;   /* whose value it is; empty: the PROXY protocol's */
    bool recursive;
};

extern struct module realip_module;

static uint16_t ignored_total; /* id of a counter */

static bool
is_trusted(const struct realip_conf *c, const struct addr *a)
{
    VEC_FOREACH (network, struct cidr, &c->trusted) {
        if (cidr_match(network, a))
            return true;
    }
    return false;
}

/* ---- chains ---- */

/* What has been found so far, from the near end of a chain. */
struct chain {
    const struct realip_conf *conf;
    struct addr found; /* len 0: nothing yet */
};

/* The next address from the end. True: those before it count too. */
static bool
chain_take(struct chain *chain, const struct addr *a)
{
    chain->found = *a;
    return chain->conf->recursive && is_trusted(chain->conf, a);
}

/* RFC 3986: an address, with a port behind it if there is one; IPv6 stands in brackets then. */
static bool
read_addr(struct str text, struct addr *a)
{
    if (str_starts(text, S("unix:")))
        return false;
    return addr_parse_ip(text, a) || addr_parse(text, 0, a);
}

static bool
is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t';
}

/* The addresses of a line from its end; false: the chain ends in it. */
static bool
chain_line(struct chain *chain, struct str line)
{
    for (;;) {
        struct addr a;
        size_t from;

        while (line.len > 0 && is_separator(line.ptr[line.len - 1]))
            line.len--;
        if (line.len == 0)
            return true;
        for (from = line.len; from > 0 && !is_separator(line.ptr[from - 1]);)
            from--;
        if (!read_addr(str_from(line, from), &a) || !chain_take(chain, &a))
            return false;
        line.len = from;
    }
}

/* All lines of the field, the last one first. */
static void
chain_field(struct chain *chain, struct request *r)
{
    struct vec lines;
    struct field *f = NULL;

    vec_init(&lines, request_arena(r), sizeof(struct str));
    while ((f = fields_find(&r->fields, chain->conf->field, f)) != NULL) {
        struct str *line = VEC_PUSH(&lines, struct str);

        if (line == NULL)
            return;
        *line = f->value;
    }
    for (uint32_t i = lines.len; i > 0; i--) {
        if (!chain_line(chain, *VEC_AT(&lines, struct str, i - 1)))
            return;
    }
}

/* Forwarded (RFC 7239) is read whole. False: it is malformed, and nobody knows which part of it our peer wrote. */
static bool
chain_forwarded(struct chain *chain, struct request *r)
{
    struct field *f = fields_get(&r->fields, FIELD_FORWARDED);
    struct vec hops;

    vec_init(&hops, request_arena(r), sizeof(struct forwarded));
    for (; f != NULL; f = fields_more(&r->fields, f)) {
        if (!forwarded_parse(f->value, &hops))
            return false;
    }
    for (uint32_t i = hops.len; i > 0; i--) {
        struct addr a;

        if (!forwarded_addr(VEC_AT(&hops, struct forwarded, i - 1), &a) || !chain_take(chain, &a))
            break;
    }
    return true;
}

/* ---- the phases ---- */

TELLER void
explain_client(const struct request *r, const struct addr *found)
{
    char text[ADDR_TEXT_MAX];

    explain_step("client", explain_place(r->x.scope, "real_ip_header", S("")), "%.*s",
                 (int)addr_format_ip(found, text), text);
}

static void
set_client(struct request *r, const struct addr *found)
{
    static const char *const names[] = { "remote_addr", "remote_port", "binary_remote_addr" };
    struct addr *a = ARENA_NEW(request_arena(r), struct addr);

    if (a == NULL)
        return;
    *a = *found;
    if (UNLIKELY(explain_on))
        explain_client(r, a);
    r->x.client = a;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        var_forget_named(&r->x, str_c(names[i]));
}

/* After the head has come with what the server says, and before access with what the location says, until one found it. */
/* Somebody whom we do not trust says who the client is: for the operator to know, once for a request. */
static void
count_ignored(struct request *r, const struct realip_conf *c)
{
    bool *counted;

    if (c->field.len == 0 || fields_joined(&r->fields, c->field, ",", request_arena(r)).ptr == NULL)
        return;
    counted = exchange_state(&r->x, &realip_module, sizeof(*counted));
    if (counted == NULL || *counted)
        return;
    *counted = true;
    exchange_keep_state(&r->x, &realip_module);
    counter_add(ignored_total, 1);
}

static enum phase_result
realip_find(struct exchange *x)
{
    const struct realip_conf *c = scope_conf(x->scope, &realip_module);
    struct request *r = request_of(x);
    struct chain chain = { .conf = c };

    if (x->parent != NULL || x->client != NULL || x->conn == NULL)
        return PHASE_NEXT;
    if (!is_trusted(c, &x->conn->peer)) {
        count_ignored(r, c);
        return PHASE_NEXT;
    }
    if (c->field.len == 0) {
        if (x->conn->proxy != NULL)
            chain.found = x->conn->proxy->client;
    } else if (!str_eq_nocase(c->field, S("Forwarded"))) {
        chain_field(&chain, r);
    } else if (!chain_forwarded(&chain, r)) {
        xlog(x, LOG_LEVEL_INFO, 0, "client sent invalid \"Forwarded\" field");
        return phase_respond(x, 400);
    }
    if (chain.found.len > 0)
        set_client(r, &chain.found);
    return PHASE_NEXT;
}

static bool
realip_wanted(const struct scope *s)
{
    return ((const struct realip_conf *)scope_conf(s, &realip_module))->trusted.len > 0;
}

/* ---- variables ---- */

static struct conn *
client_conn(struct exchange *x)
{
    return x->root->conn;
}

static void
get_realip_addr(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct conn *c = client_conn(x);
    char text[ADDR_TEXT_MAX];
    struct str copy;

    if (c == NULL)
        return;
    copy = arena_str(&x->mem->arena, str_n(text, addr_format_ip(&c->peer, text)));
    if (copy.ptr != NULL)
        var_found(v, copy);
}

static void
get_realip_port(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct conn *c = client_conn(x);

    if (c == NULL)
        return;
    if (addr_port(&c->peer) != 0)
        var_number(x, v, addr_port(&c->peer));
    else
        var_found(v, S(""));
}

static void
write_elem(struct text *t, struct exchange *x)
{
    const struct request *root = request_of(x->root);

    forwarded_write(t, conn_client(x), root->authority, root->scheme);
}

static void
get_forwarded_elem(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct text t;

    text_init(&t, &x->mem->arena);
    write_elem(&t, x);
    if (!t.failed)
        var_found(v, text_str(&t));
}

/* The client's Forwarded, if it can be read, with our element behind it. */
static void
get_add_forwarded(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct request *r = request_of(x);
    struct str had = fields_joined(&r->fields, S("Forwarded"), ", ", request_arena(r));
    struct vec hops;
    struct text t;

    vec_init(&hops, request_arena(r), sizeof(struct forwarded));
    text_init(&t, request_arena(r));
    if (had.len > 0 && forwarded_parse(had, &hops) && hops.len > 0) {
        text_add(&t, had);
        TEXT_LIT(&t, ", ");
    }
    write_elem(&t, x);
    if (!t.failed)
        var_found(v, text_str(&t));
}

/* ---- configuration ---- */

static bool
trust(struct conf_load *l, struct conf_node *n, struct realip_conf *c, const struct cidr *network)
{
    struct cidr *to = VEC_PUSH(&c->trusted, struct cidr);

    if (to == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *to = *network;
    return true;
}

/* Each address that the name has now. */
static bool
trust_name(struct conf_load *l, struct conf_node *n, struct realip_conf *c)
{
    struct vec addrs;

    vec_init(&addrs, conf_arena(l), sizeof(struct addr));
    if (!resolver_now(n->args[1], &addrs) || addrs.len == 0) {
        conf_warn(l, n, 1, "host not found in set_real_ip_from \"%.*s\"", STR(n->args[1]));
        conf_hint(l, "nobody is trusted by that name until the next reload");
        return true;
    }
    VEC_FOREACH (a, struct addr, &addrs) {
        struct str bytes = addr_bytes(a);
        struct cidr network = { .family = a->sa.sa_family, .bits = (uint8_t)(bytes.len * 8) };

        memcpy(network.addr, bytes.ptr, bytes.len);
        if (!trust(l, n, c, &network))
            return false;
    }
    return true;
}

static bool
realip_set_from(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct realip_conf *c = conf;
    struct str text = n->args[1];
    struct cidr network;
    bool low_bits = false;

    if (c->trusted.size == 0)
        vec_init(&c->trusted, conf_arena(l), sizeof(struct cidr));
    if (!str_eq(text, S("all")) && cidr_parse(text, &network, &low_bits)) {
        if (low_bits)
            conf_warn(l, n, 1, "low address bits of %.*s are meaningless", STR(text));
        return trust(l, n, c, &network);
    }
    if (text.len == 0 || str_find(text, '/') < text.len || str_find(text, ':') < text.len)
        return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(text));
    return trust_name(l, n, c);
}

static bool
realip_set_header(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                  void *conf)
{
    struct realip_conf *c = conf;

    if (str_eq(n->args[1], S("proxy_protocol"))) {
        c->field = S("");
        return true;
    }
    if (!field_name_valid(n->args[1]))
        return conf_fail(l, n, 1, "invalid field name \"%.*s\"", STR(n->args[1]));
    c->field = n->args[1];
    return true;
}

#define REALIP_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static void
check_anyone(struct conf_load *l, const struct lint_line *at)
{
    struct str network = at->node->args[1];

    if (!str_eq(network, S("0.0.0.0/0")) && !str_eq(network, S("::/0")))
        return;
    lint_say(
        l, at->node, 1,
        "every client is trusted to say which address it has: allow, deny, limits and logs go by "
        "what it invents");
    conf_hint(l, "name the addresses of your proxies alone, as \"set_real_ip_from 10.0.0.0/8\"");
}

static const struct lint_check realip_checks[] = {
    { "real-ip-of-anyone", "set_real_ip_from", check_anyone },
    { 0 },
};

static const struct directive realip_directives[] = {
    D_CALL("set_real_ip_from", REALIP_CTX, ARGS(1, 1), realip_set_from,
           FIELD(struct realip_conf, trusted), .inherit = I_LIST),
    D_CALL("real_ip_header", REALIP_CTX, ARGS(1, 1), realip_set_header,
           FIELD(struct realip_conf, field), .initial = "X-Real-IP"),
    D_FLAG("real_ip_recursive", REALIP_CTX, struct realip_conf, recursive, DEFAULT(off)),
    D_END,
};

static const struct variable realip_variables[] = {
    { "realip_remote_addr", get_realip_addr, VAR_OF_CONN, NULL, NULL },
    { "realip_remote_port", get_realip_port, VAR_OF_CONN, NULL, NULL },
    { "proxy_forwarded_elem", get_forwarded_elem, VAR_VOLATILE | VAR_CHANGEABLE, NULL, NULL },
    { "proxy_add_forwarded", get_add_forwarded, VAR_VOLATILE | VAR_CHANGEABLE, NULL, NULL },
    { 0 },
};

static const struct phase_entry realip_phases[] = {
    { .phase = HTTP_POST_READ, .run = realip_find, .wanted = realip_wanted },
    { .phase = HTTP_PREACCESS, .run = realip_find, .wanted = realip_wanted },
    { 0 },
};

static const struct counter_def realip_counters[] = {
    { "realip_ignored_total", "Requests whose client address was told by nobody that is trusted",
      false, &ignored_total },
    { 0 },
};

struct module realip_module = {
    .name = "realip",
    .configure_token = "--with-http_realip_module",
    .conf_size = sizeof(struct realip_conf),
    .directives = realip_directives,
    .lint = realip_checks,
    .variables = realip_variables,
    .counters = realip_counters,
    .phases = realip_phases,
};
