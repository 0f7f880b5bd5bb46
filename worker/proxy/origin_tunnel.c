/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_tunnel.c - both connections of an exchange become one relay: after Upgrade (RFC 9110, 7.8) and CONNECT (9.3.6).
 *
 * The relay passes the end of each half on, and ends when nothing has moved in either direction for the read time-out, or
 * the origin has taken nothing for the send time-out. It begins when the client has taken the response's head.
 */
#include "worker/proxy/origin.h"

bool
origin_tunnel_possible(struct origin *o)
{
    const struct codec *codec = o->r->codec;

    return codec->take_conn != NULL && codec->tunnel != NULL && codec->tunnel(&o->r->x);
}

/* What passed counts as body on both sides. */
static void
count_tunnel(struct origin *o)
{
    uint64_t up, down;

    relay_counts(o->relay, &up, &down);
    o->attempt->bytes_sent += up;
    o->attempt->bytes_received += down;
    o->attempt->response_length += down;
    o->r->bytes_sent += down;
    o->r->body_sent += down;
}

static void
log_timeout(struct origin *o, const char *timeout, uint64_t ms)
{
    o->fault.timeout = timeout;
    o->fault.timeout_ms = ms;
    xlog(&o->r->x, LOG_LEVEL_ERROR, ETIMEDOUT, "upstream timed out");
}

static void
on_tunnel_end(struct relay *relay, void *data, const char *why)
{
    struct origin *o = data;

    (void)relay;
    count_tunnel(o);
    o->relay = NULL;
    if (str_eq(str_c(why), S("timed out")))
        log_timeout(o, "read_timeout", o->conf->read_timeout_ms);
    else if (str_eq(str_c(why), S("sending timed out")))
        log_timeout(o, "send_timeout", o->conf->send_timeout_ms);
    else
        xlog(&o->r->x, LOG_LEVEL_INFO, 0, "tunnel: %s", why);
    upstream_report(&o->try, UPSTREAM_OK);
    origin_close(o);
}

/* The client's connection is ours. False: memory. */
static bool
start(struct origin *o, struct conn *client)
{
    const struct relay_options options = { .timeout_ms = o->conf->read_timeout_ms,
                                           .send_timeout_ms = o->conf->send_timeout_ms,
                                           .buffer_size = o->tunnel_buffer_size,
                                           .ended = on_tunnel_end,
                                           .data = o };

    o->stream = NULL;
    if (o->driver->release != NULL && !o->driver->release(o))
        return false;
    o->r->x.doing = o->res.status == 101 ? "proxying upgraded connection" : "proxying connection";
    o->relay = relay_start(client, o->conn, &options);
    return o->relay != NULL;
}

void
origin_tunnel_run(struct origin *o)
{
    struct request *r = o->r;
    struct conn *client = NULL;

    if (o->closed || o->relay != NULL)
        return;
    switch (r->codec->take_conn(&r->x, &client)) {
    case IO_OK:
        exchange_off_ready(&o->on_client);
        if (start(o, client))
            return;
        r->codec->tunnel_ended(&r->x);
        break;
    case IO_AGAIN: /* on_client: the head is on its way */
        return;
    case IO_EOF:
    case IO_ERROR:
        break;
    }
    r->codec->abort(&r->x, ABORT_CLOSE);
}

/* The origin's connection is closed by origin_close, the client's by its codec. */
void
origin_tunnel_close(struct origin *o)
{
    exchange_off_ready(&o->on_client);
    if (o->relay != NULL) {
        count_tunnel(o);
        relay_stop(o->relay);
        o->relay = NULL;
    }
    o->r->codec->tunnel_ended(&o->r->x);
}
