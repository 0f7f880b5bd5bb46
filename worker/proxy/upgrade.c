/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upgrade.c - tunnels after 101 (RFC 9110, 7.8), WebSockets above all.
 *
 * When the client has the head, both connections go to a relay: it copies both ways with backpressure, passes the end of
 * each half on, and ends when nothing has moved in either direction for proxy_read_timeout.
 */
#include "worker/proxy/proxy.h"

const char *
upgrade_check(struct origin *o)
{
    const struct proxy_exchange *p = proxy_of_origin(o);
    struct request *r = o->r;
    struct str protocol = fields_value(&o->res.fields, FIELD_UPGRADE);

    if (!p->sent_upgrade || r->x.parent != NULL)
        return "upstream switched protocols though nobody asked for it";
    if (o->send != SEND_SHUT)
        return "upstream switched protocols before it had the whole request";
    if (r->codec->take_conn == NULL || r->codec->tunnel == NULL || !r->codec->tunnel(&r->x))
        return "upstream switched protocols, which the client's connection cannot do";
    o->res.length = -1;
    if (protocol.len > 0)
        fields_add(&r->res.fields, FIELD_UPGRADE, STR_NONE, protocol);
    return NULL;
}

/* What passed counts as body on both sides. */
static void
count_tunnel(struct proxy_exchange *p)
{
    struct origin *o = &p->origin;
    uint64_t up, down;

    relay_counts(p->tunnel, &up, &down);
    o->attempt->bytes_sent += up;
    o->attempt->bytes_received += down;
    o->attempt->response_length += down;
    o->r->bytes_sent += down;
    o->r->body_sent += down;
}

static void
on_tunnel_end(struct relay *relay, void *data, const char *why)
{
    struct proxy_exchange *p = data;
    struct origin *o = &p->origin;

    (void)relay;
    count_tunnel(p);
    p->tunnel = NULL;
    if (str_eq(str_c(why), S("timed out")))
        xlog(&o->r->x, LOG_LEVEL_ERROR, ETIMEDOUT, "upstream timed out");
    else
        xlog(&o->r->x, LOG_LEVEL_INFO, 0, "tunnel: %s", why);
    upstream_report(&o->try, UPSTREAM_OK);
    origin_close(o);
}

bool
upgrade_tunnel(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    struct request *r = o->r;
    const struct relay_options options = { .timeout_ms = o->conf->read_timeout_ms,
                                           .ended = on_tunnel_end,
                                           .data = p };
    struct conn *client;

    o->stream = NULL;
    if (!h1_client_release_conn(&p->h1))
        return false;
    client = r->codec->take_conn(&r->x);
    if (client == NULL)
        return false;
    r->x.doing = "proxying upgraded connection";
    p->tunnel = relay_start(client, o->conn, &options);
    if (p->tunnel == NULL)
        r->codec->tunnel_ended(&r->x);
    return p->tunnel != NULL;
}

/* The origin's connection is closed by origin_close, the client's by its codec. */
void
upgrade_close(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    if (p->tunnel != NULL) {
        count_tunnel(p);
        relay_stop(p->tunnel);
        p->tunnel = NULL;
    }
    o->r->codec->tunnel_ended(&o->r->x);
}
