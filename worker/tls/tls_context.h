/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_context.h - what handshakes need, made from settings while a configuration is loaded: certificates, keys, trust,
 * protocols. Inside this room; the door is tls.h.
 */
#ifndef WEIR_TLS_TLS_CONTEXT_H
#define WEIR_TLS_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "common/base/hash.h"
#include "common/conf/config.h"

/* A file that a directive names. path.len 0: none. */
struct tls_file {
    struct str path; /* absolute, ends with NUL; "data:..." holds the content itself */
    struct conf_pos pos;
};

/* One `ssl_conf_command`. */
struct tls_command {
    struct str name, value; /* end with NUL */
    struct conf_pos pos;
};

enum tls_protocol {
    TLS_SSLV2 = 1,
    TLS_SSLV3 = 2,
    TLS_V1 = 4,
    TLS_V1_1 = 8,
    TLS_V1_2 = 16,
    TLS_V1_3 = 32,
};

enum tls_verify { TLS_VERIFY_OFF, TLS_VERIFY_ON, TLS_VERIFY_OPTIONAL, TLS_VERIFY_OPTIONAL_NO_CA };

enum tls_cache {
    TLS_CACHE_NONE, /* clients are told that sessions may be reused; none is kept */
    TLS_CACHE_OFF,  /* they are told that sessions are not reused */
    TLS_CACHE_ON,   /* builtin, shared or both */
};

/* All that makes a context. Two servers with equal settings have the same one. */
struct tls_settings {
    struct vec certificates, keys; /* of struct tls_file; the n-th belong together */
    struct tls_file password_file, dhparam;
    uint32_t protocols; /* bits of enum tls_protocol */
    struct str ciphers, curves;
    struct vec commands; /* of struct tls_command */
    bool prefer_server_ciphers;
    uint64_t buffer_size; /* bytes of plain text in a record, at most 16384 */
    bool early_data;

    uint32_t verify; /* enum tls_verify */
    uint32_t verify_depth;
    struct tls_file client_ca, trusted_ca, crl;

    enum tls_cache cache;
    uint32_t builtin_sessions;  /* 0: no builtin cache */
    struct zone_spec *sessions; /* NULL: no shared cache */
    uint64_t timeout_s;
    bool tickets;
    struct vec ticket_keys; /* of struct tls_file; none: keys of the server's own making */
};

struct tls_ticket_keys; /* tls_ticket.h */

struct tls_context {
    SSL_CTX *ssl;
    struct tls_settings settings;
    const struct tls_shared *shared;
    const struct tls_ticket_keys *ticket_keys; /* of files; NULL: those in the zone */
};

/* What the contexts of one configuration have in common: each file is read once. */
struct tls_shared {
    struct arena *arena;
    struct hash contexts;      /* by settings: struct tls_context * */
    struct hash pairs;         /* by paths: certificate with its key */
    struct zone_spec *tickets; /* of the keys of our own making; NULL: nobody uses them */
    uint64_t timeout_max_s;    /* the longest of all contexts: how long a ticket key is good */
};

struct tls_shared *tls_shared_new(struct arena *a);
/* Whether both verify clients in the same way. */
bool tls_verify_is_same(const struct tls_settings *a, const struct tls_settings *b);
/* Finds or makes the context of a server. NULL after conf_fail. */
struct tls_context *tls_context_get(struct conf_load *l, struct tls_shared *shared,
                                    const struct tls_settings *s);

#endif
