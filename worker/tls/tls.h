/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.h - TLS as a kind of connection: handshakes of both sides, and what is known of them. ARCHITECTURE.md 10.
 *
 * The room knows neither http nor l4: who owns a listener says which context serves a name, and who owns a scope hangs
 * the settings of module `ssl` on it.
 */
#ifndef WEIR_TLS_TLS_H
#define WEIR_TLS_TLS_H

#include "common/conf/directive.h"
#include "worker/net/conn.h"

/* Certificates, keys and everything else that a handshake needs; servers with equal settings share one. Lives as long as
 * the configuration. */
struct tls_context;
struct scope;

/* ---- settings of a server ---- */

/* What handshakes for the server of this scope use. NULL: it has no certificate of its own (a default server's is used,
 * if any). */
const struct tls_context *tls_context_of(const struct scope *s);
/* ssl_reject_handshake. */
bool tls_is_rejected(const struct scope *s);

/* ---- the server's side ---- */

/* The owner of a listener. */
struct tls_server_ops {
    /* The client asks for `name` (lower case, without a trailing dot; empty: none, or not a host name). *server is kept
     * for tls_server_of. NULL: the handshake is refused with unrecognized_name. */
    const struct tls_context *(*choose)(struct conn *c, struct str name, const void **server);
    /* What ALPN may agree on, in the form of the wire (RFC 7301), the most wanted first. */
    struct str (*protocols)(struct conn *c);
    /* The handshake is complete, or early data came: takes over c->on_event. */
    void (*ready)(struct conn *c);
    /* The first byte is not TLS's: the connection is a plain one, its bytes lie in c->in. */
    void (*plain)(struct conn *c);
};
/* Takes over a fresh connection; it is closed when there is no handshake within `timeout_ms`. Nothing blocks. */
void tls_accept(struct conn *c, const struct tls_server_ops *ops, uint64_t timeout_ms);

/* ---- what is known of a connection ---- */

bool conn_is_tls(const struct conn *c);
/* What `choose` said. NULL: not TLS. */
const void *tls_server_of(const struct conn *c);
/* The protocol agreed on by ALPN; empty: none. */
struct str tls_alpn(const struct conn *c);

/* Whether a server may answer on this connection. */
enum tls_verdict {
    TLS_FINE,
    TLS_MISDIRECTED, /* 421: the server has other verification settings than the one of the handshake */
    TLS_CERT_BAD,    /* 495 */
    TLS_CERT_MISSING /* 496 */
};
/* For a request of the server of scope `s`. *why is for the log: constant, or in `a`. */
enum tls_verdict tls_check(const struct conn *c, const struct scope *s, struct arena *a,
                           const char **why);

#endif
