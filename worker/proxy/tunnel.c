/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tunnel.c - CONNECT (RFC 9110, 9.3.6): a connection to the host and port that the client names, or that the configuration
 * does, and bytes both ways.
 *
 * A driver of the origin engine that sends nothing: its stream is open as soon as the connection is, and its response is a
 * 200 of our own. CONNECT is refused wherever tunnel_pass does not stand.
 */
#include "worker/proxy/origin_conf.h"

struct tunnel_conf {
    struct origin_conf origin; /* first: origin_set_bind */
    struct template pass;
    struct conf_node *pass_node;
    struct upstream_group *group; /* NULL: the address has variables */
    uint64_t buffer_size;
};

struct tunnel_exchange {
    struct origin origin;
    struct origin_place place;
    struct upstream_group *group;
};

enum { PORT_UNSET = 443 }; /* of an address without one */

extern struct module tunnel_module;

/* ---- the stream: nothing but the connection ---- */

static bool
tunnel_open(struct origin *o)
{
    o->stream = o;
    return true;
}

static struct source *
tunnel_body(struct origin *o UNUSED)
{
    return NULL;
}

static enum sent
tunnel_send(struct origin *o UNUSED, struct source *body UNUSED)
{
    return SENT_ALL;
}

static bool
tunnel_head_sent(const struct origin *o UNUSED)
{
    return true;
}

static enum recv
tunnel_recv_head(struct origin *o UNUSED, struct response *res)
{
    res->status = 200;
    res->tunnel = true;
    return GOT_HEAD;
}

static enum recv
tunnel_take(struct origin *o UNUSED, struct str *bytes)
{
    *bytes = STR_NONE;
    return GOT_NOTHING;
}

static enum recv
tunnel_recv_body(struct origin *o UNUSED, struct iovec *room UNUSED, int n UNUSED, size_t *got)
{
    *got = 0;
    return GOT_NOTHING;
}

static bool
tunnel_finish_stream(struct origin *o UNUSED)
{
    return false;
}

static const struct origin_stream_ops tunnel_stream_ops = {
    .send_head = tunnel_send,
    .send_body = tunnel_send,
    .head_sent = tunnel_head_sent,
    .recv_head = tunnel_recv_head,
    .take = tunnel_take,
    .recv_body = tunnel_recv_body,
    .finish = tunnel_finish_stream,
};

static const char *
tunnel_check(struct origin *o)
{
    return origin_tunnel_possible(o) ? NULL : "the client's connection cannot be a tunnel";
}

static void
tunnel_rewrite(struct origin *o UNUSED, struct response *res UNUSED)
{
}

static void
tunnel_describe(const struct origin *o, struct text *t)
{
    if (o->attempt != NULL)
        text_add(t, o->attempt->addr);
}

static const struct origin_driver tunnel_driver = {
    .prefix = "tunnel",
    .ops = &tunnel_stream_ops,
    .open = tunnel_open,
    .body = tunnel_body,
    .upgrade = tunnel_check,
    .rewrite = tunnel_rewrite,
    .describe = tunnel_describe,
};

/* ---- the content handler ---- */

static enum phase_result
find_group(struct tunnel_exchange *t, const struct tunnel_conf *c, struct request *r)
{
    enum phase_result result;

    t->group = c->group;
    if (t->group != NULL)
        return PHASE_NEXT;
    if (t->place.r == NULL) {
        t->place = (struct origin_place){ .r = r,
                                          .host = template_expand(&r->x, &c->pass),
                                          .port = PORT_UNSET };
        if (t->place.host.len == 0 || !field_value_valid(t->place.host)) {
            xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid address \"%.*s\" of a tunnel",
                 LOG_STR(t->place.host));
            return phase_respond(&r->x, 500);
        }
    }
    result = origin_resolve(&t->place);
    t->group = t->place.group;
    return result;
}

static enum phase_result
tunnel_content(struct exchange *x)
{
    const struct tunnel_conf *c = scope_conf(x->scope, &tunnel_module);
    struct request *r = request_of(x);
    struct tunnel_exchange *t;
    enum phase_result result;

    if (r->method != METHOD_CONNECT || x->parent != NULL)
        return phase_respond(x, 405);
    t = exchange_state(x, &tunnel_module, sizeof(*t));
    if (t == NULL)
        return phase_respond(x, 500);
    if (t->origin.begun)
        return origin_answer(&t->origin);
    result = find_group(t, c, r);
    if (result != PHASE_NEXT)
        return result;
    t->origin.tunnel_buffer_size = c->buffer_size;
    origin_begin(&t->origin, r, t->group, &c->origin, &tunnel_driver);
    return origin_answer(&t->origin);
}

/* Other content handlers would take it for a request of theirs. */
static enum phase_result
tunnel_only(struct exchange *x)
{
    if (request_of(x)->method != METHOD_CONNECT || http_content(x->scope) == tunnel_content)
        return PHASE_NEXT;
    return phase_respond(x, 405);
}

static bool
tunnel_only_wanted(const struct scope *s)
{
    const struct server *server = http_server_of((struct scope *)(uintptr_t)s);

    return server != NULL && server->takes_connect;
}

/* ---- configuration ---- */

static bool
tunnel_set_pass(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct tunnel_conf *c = conf;
    struct str address = n->n > 1 ? n->args[1] : S("$host:$request_port");

    c->pass_node = n;
    c->group = NULL;
    http_server_of(conf_scope(l))->takes_connect = true;
    if (address.len == 0)
        return conf_fail(l, n, 1, "invalid address \"\"");
    return template_compile(l, n, n->n > 1 ? 1 : 0, address, &c->pass) &&
           (http_set_content(l, tunnel_content) || conf_fail(l, n, 0, "no memory"));
}

static bool
tunnel_finish(struct conf_load *l, struct scope *s, void *conf)
{
    static const char *const nothing[] = { NULL };
    struct tunnel_conf *c = conf;

    if (!origin_conf_settle(l, s, &c->origin, nothing))
        return false;
    if (!c->pass.set || !template_is_const(&c->pass) || c->group != NULL)
        return true;
    c->group = upstream_of_url(l, c->pass_node, 1, c->pass.text, PORT_UNSET);
    return c->group != NULL;
}

static const struct conf_name next_upstream_names[] = {
    { "error", UPSTREAM_ERROR },
    { "timeout", UPSTREAM_TIMEOUT },
    { "denied", UPSTREAM_DENIED },
    { "off", UPSTREAM_OFF },
    { NULL, 0 },
};

static const struct directive tunnel_directives[] = {
    D_CALL("tunnel_pass", CTX_SRV | CTX_LOC | CTX_LIF, ARGS(0, 1), tunnel_set_pass,
           FIELD(struct tunnel_conf, pass), .inherit = I_INNER),
    D_SIZE("tunnel_buffer_size", ORIGIN_CTX, struct tunnel_conf, buffer_size, DEFAULT(16k),
           RANGE(1, 16 << 20)),
    ORIGIN_CONNECTION_DIRECTIVES("tunnel", struct tunnel_conf, next_upstream_names),
    D_END,
};

static const struct phase_entry tunnel_phases[] = {
    { .phase = HTTP_PRECONTENT, .run = tunnel_only, .wanted = tunnel_only_wanted },
    { 0 },
};

struct module tunnel_module = {
    .name = "tunnel",
    .conf_size = sizeof(struct tunnel_conf),
    .directives = tunnel_directives,
    .finish = tunnel_finish,
    .phases = tunnel_phases,
};
