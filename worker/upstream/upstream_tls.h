/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream_tls.h - TLS towards origins, for all protocols: the *_ssl_* directives, written once and prefixed per protocol,
 * and what they make of a connection.
 *
 * A module's struct has a `struct upstream_tls_conf tls`, its table UPSTREAM_TLS_DIRECTIVES("proxy", ctx, struct
 * proxy_conf), its finish calls upstream_tls_finish. Then for each exchange upstream_tls_prepare, and tls_connect for each
 * connection that is not a pooled one.
 */
#ifndef WEIR_UPSTREAM_UPSTREAM_TLS_H
#define WEIR_UPSTREAM_UPSTREAM_TLS_H

#include "worker/core/exchange.h"
#include "worker/core/phase.h"
#include "worker/core/template.h"
#include "worker/tls/tls.h"

/* A path with variables. */
struct upstream_tls_path {
    struct template path;
    struct conf_pos pos;
};

struct upstream_tls_conf {
    struct tls_settings s;
    struct
        template name; /* the origin's, for SNI and verification; not set: that of the pass directive */
    struct upstream_tls_path certificate, key;
    bool verify, server_name, session_reuse;
    const struct tls_context *context; /* derived; NULL: no TLS here */
};

/* For a module's finish, where its pass directive leads, or may lead, to TLS. False after conf_fail. */
bool upstream_tls_finish(struct conf_load *l, struct scope *s, struct upstream_tls_conf *c,
                         const char *prefix);
/* What connections of an exchange have to be; of its memory. */
struct upstream_tls {
    struct tls_client client; /* `protocols` and `done` are the caller's to set */
    struct tls_own *own;
    struct exchange *x;
    struct abort_hook on_abort; /* while the certificate is waited for */
};
/*
 * Makes *t, which is NULL at first; `host` is the pass directive's, with or without a port. NEXT: it is ready; WAIT: the
 * phase is resumed, and has to call again; else an error's result, logged.
 */
enum phase_result upstream_tls_prepare(struct upstream_tls **t, struct exchange *x,
                                       const struct upstream_tls_conf *c, struct str host);

/* A constant or variable path into a struct upstream_tls_path. */
bool upstream_tls_set_path(struct conf_load *l, const struct directive *d, struct conf_node *n,
                           void *conf);

#define UPSTREAM_TLS_DIRECTIVES(p, ctx, T)                                                        \
    D_FLAG(p "_ssl_server_name", ctx, T, tls.server_name, DEFAULT(off)),                          \
        D_TEMPLATE(p "_ssl_name", ctx, T, tls.name),                                              \
        D_FLAG(p "_ssl_verify", ctx, T, tls.verify, DEFAULT(off)),                                \
        D_NUM(p "_ssl_verify_depth", ctx, T, tls.s.verify_depth, DEFAULT(1)),                     \
        D_CALL(p "_ssl_trusted_certificate", ctx, ARGS(1, 1), tls_set_file,                       \
               FIELD(T, tls.s.trusted_ca)),                                                       \
        D_CALL(p "_ssl_crl", ctx, ARGS(1, 1), tls_set_file, FIELD(T, tls.s.crl)),                 \
        D_CALL(p "_ssl_certificate", ctx, ARGS(1, 1), upstream_tls_set_path,                      \
               FIELD(T, tls.certificate)),                                                        \
        D_CALL(p "_ssl_certificate_key", ctx, ARGS(1, 1), upstream_tls_set_path,                  \
               FIELD(T, tls.key)),                                                                \
        D_CALL(p "_ssl_certificate_cache", ctx, ARGS(1, 3), tls_cert_cache_set,                   \
               FIELD(T, tls.s.certificate_cache)),                                                \
        D_CALL(p "_ssl_password_file", ctx, ARGS(1, 1), tls_set_file,                             \
               FIELD(T, tls.s.password_file)),                                                    \
        D_CALL(p "_ssl_key_log", ctx, ARGS(1, 1), tls_key_log_set, FIELD(T, tls.s.key_log)),      \
        D_FLAG(p "_ssl_session_reuse", ctx, T, tls.session_reuse, DEFAULT(on)),                   \
        D_BITS(p "_ssl_protocols", ctx, T, tls.s.protocols, tls_protocol_names,                   \
               .initial = "TLSv1.2 TLSv1.3"),                                                     \
        D_STR(p "_ssl_ciphers", ctx, T, tls.s.ciphers, DEFAULT(DEFAULT)),                         \
        D_CALL(p "_ssl_conf_command", ctx, ARGS(2, 2), tls_add_command, FIELD(T, tls.s.commands), \
               .inherit = I_LIST)

#endif
