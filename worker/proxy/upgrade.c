/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upgrade.c - tunnels after 101 (RFC 9110, 7.8), WebSockets above all.
 *
 * A tunnel is both halves of the exchange with flush always set: what the client sends is pulled by the request half as
 * a raw body, what the origin sends is the response's body until it closes. So HTTP/2's WebSockets need no second path.
 */
#include "worker/proxy/upgrade.h"

#include "worker/http/request_body.h"

static void
on_client_bytes(void *data)
{
    origin_run(data);
}

bool
upgrade_begin(struct proxy_exchange *p)
{
    struct origin *o = &p->origin;
    struct request *r = o->r;
    struct response *res = &o->res;
    struct str protocol = fields_value(&res->fields, FIELD_UPGRADE);
    struct source *raw;

    if (!p->sent_upgrade || r->x.parent != NULL || r->codec->tunnel == NULL)
        return false;
    if (o->send != SEND_SHUT || !r->codec->tunnel(&r->x))
        return false;
    raw = r->codec->body(&r->x);
    if (raw == NULL)
        return false;
    source_stop(o->body, STOP_DONE);
    o->body = raw;
    o->body_length = -1;
    o->send = SEND_BODY;
    o->tunnel = true;
    o->unbuffered = true;
    h1_client_tunnel(&p->h1);
    request_body_on_more(r, on_client_bytes, o);

    r->res.tunnel = true;
    res->length = -1;
    if (protocol.len > 0)
        fields_add(&r->res.fields, FIELD_UPGRADE, STR_NONE, protocol);
    fields_add(&r->res.fields, FIELD_CONNECTION, STR_NONE, S("upgrade"));
    return true;
}
