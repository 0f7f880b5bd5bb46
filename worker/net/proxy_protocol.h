/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_protocol.h - the PROXY protocol, versions 1 and 2: whom a load balancer speaks for, said before the first byte
 * of a connection.
 */
#ifndef WEIR_NET_PROXY_PROTOCOL_H
#define WEIR_NET_PROXY_PROTOCOL_H

#include "common/sys/addr.h"

struct conn;

/* What a header said. In struct conn it lives as long as the connection. */
struct proxy_protocol {
    uint8_t version;            /* 1 or 2 */
    struct addr client, server; /* len 0: it names none (UNKNOWN, LOCAL, no TCP over IP) */
    struct str tlvs; /* of version 2: type, length of two bytes, value, each of them whole */
};

enum proxy_parse { PROXY_MORE /* the header is not complete */, PROXY_DONE, PROXY_BAD };
enum { PROXY_HEADER_MAX = 4096 }; /* bytes; a longer one is bad */

/* Pure. DONE: the first *len bytes of `in` are the header, and p->tlvs points into it. */
enum proxy_parse proxy_protocol_parse(struct str in, struct proxy_protocol *p, size_t *len);

/* The value of the first TLV of a type; ptr NULL: none. */
struct str proxy_protocol_tlv(struct str tlvs, uint8_t type);
/*
 * By the name that $proxy_protocol_tlv_NAME has: alpn, authority, unique_id, ssl, netns, or its number as 0xNN; with ssl_
 * in front version, cn, cipher, sig_alg, key_alg or a number within the TLV of that name. ptr NULL: none.
 */
struct str proxy_protocol_tlv_named(struct str tlvs, struct str name);
/* What the ssl TLV says of the verification of the client's certificate: 0 is good. False: it says nothing. */
bool proxy_protocol_ssl_verify(struct str tlvs, uint32_t *result);

/*
 * Takes the connection over until its header has come: then c->proxy is set, exactly the header's bytes are gone, and
 * `then` is called, which makes another the owner. A bad header, none within the time, or the client's end closes.
 */
void proxy_protocol_begin(struct conn *c, uint64_t timeout_ms, void (*then)(struct conn *c));

#endif
