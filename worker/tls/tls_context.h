/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_context.h - what handshakes need, made from settings while a configuration is loaded: certificates, keys, trust,
 * protocols. Inside this room; the door is tls.h.
 */
#ifndef WEIR_TLS_TLS_CONTEXT_H
#define WEIR_TLS_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "common/base/hash.h"
#include "worker/tls/tls.h"

struct tls_ticket_keys; /* tls_ticket.h */
struct tls_pair;        /* tls_pair.h */

struct tls_context {
    SSL_CTX *ssl;
    struct tls_settings settings;
    const struct tls_shared *shared;
    const struct tls_ticket_keys *ticket_keys; /* of files; NULL: those in the zone */
    struct vec staples;                        /* of struct tls_staple * */
    struct vec certificates; /* of struct tls_certificate *: those without variables */
    struct vec computed;     /* of struct tls_certificate *: those with variables */
    bool broken;             /* none of its certificates is good: handshakes are refused */
    bool dynamic;            /* some have variables in their names */
    bool by_connection;      /* each connection is given the certificates that are good now */
    struct str passwords;    /* of keys that are read in handshakes */
};

/* What the contexts of one configuration have in common: each file is read once. */
struct tls_shared {
    struct arena *arena;
    struct str conf_dir;       /* what relative names are relative to; ends with '/' */
    struct hash contexts;      /* by settings: struct tls_context * */
    struct hash certificates;  /* by paths: struct tls_certificate * */
    struct vec all;            /* those without variables, in the order of the text */
    struct vec computed;       /* those with variables: what connections use has other places */
    struct hash passwords;     /* by path: struct str *, the lines of a password file */
    struct zone_spec *staples; /* OCSP responses for stapling; NULL: nobody uses them */
    struct zone_spec *tickets; /* of the keys of our own making; NULL: nobody uses them */
    struct zone_spec *expiry;  /* of what has been said of certificates; NULL: there are none */
    uint64_t timeout_max_s;    /* the longest of all contexts: how long a ticket key is good */
};

/* A certificate of the context has been renewed; old NULL: it was bad. */
void tls_context_renew(struct tls_context *c, const struct tls_pair *old,
                       const struct tls_pair *new);
/* Whether both verify clients in the same way. */
bool tls_verify_is_same(const struct tls_settings *a, const struct tls_settings *b);
#endif
