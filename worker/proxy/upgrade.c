/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upgrade.c - tunnels after Upgrade (RFC 9110, 7.8): the origin switched to the protocol that the client asked for.
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
    if (!origin_tunnel_possible(o))
        return "upstream switched protocols, which the client's connection cannot do";
    o->res.length = -1;
    if (protocol.len > 0)
        fields_add(&r->res.fields, FIELD_UPGRADE, STR_NONE, protocol);
    return NULL;
}

bool
upgrade_release(struct origin *o)
{
    return h1_client_release_conn(&proxy_of_origin(o)->h1);
}
