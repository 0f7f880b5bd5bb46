/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls.h - TLS as a kind of connection: handshakes of both sides, and what is known of them. ARCHITECTURE.md 10.
 *
 * The room knows neither http nor l4: who owns a listener says which context serves a name, and who owns a scope hangs
 * the settings of module `ssl` on it.
 */
#ifndef WEIR_TLS_TLS_H
#define WEIR_TLS_TLS_H

#include "common/conf/config.h"
#include "worker/net/conn.h"

/* Certificates, keys and everything else that a handshake needs; servers with equal settings share one. Lives as long as
 * the configuration. */
extern struct module ssl_module;
struct tls_context;
/* What the contexts of one configuration have in common: each file is read once. */
struct tls_shared;
struct scope;
struct resolver; /* worker/net/resolver.h */
struct exchange;
struct template;
struct tls_cert_cache;

/* ---- settings ---- */

/* A file that a directive names. path.len 0: none. */
struct tls_file {
    struct str path;             /* absolute, ends with NUL; "data:..." holds the content itself */
    const struct template *text; /* with variables; NULL: `path` is all */
    struct conf_pos pos;
};

/* One `ssl_conf_command`. */
struct tls_command {
    struct str name, value; /* end with NUL */
    struct conf_pos pos;
};

enum { TLS_NAME_MAX = 255 /* bytes of a name for SNI */ };

enum tls_protocol {
    TLS_SSLV2 = 1,
    TLS_SSLV3 = 2,
    TLS_V1 = 4,
    TLS_V1_1 = 8,
    TLS_V1_2 = 16,
    TLS_V1_3 = 32,
};

enum tls_verify { TLS_VERIFY_OFF, TLS_VERIFY_ON, TLS_VERIFY_OPTIONAL, TLS_VERIFY_OPTIONAL_NO_CA };

enum tls_revocation { TLS_OCSP_OFF, TLS_OCSP_ON, TLS_OCSP_LEAF };

enum tls_cache {
    TLS_CACHE_NONE, /* clients are told that sessions may be reused; none is kept */
    TLS_CACHE_OFF,  /* they are told that sessions are not reused */
    TLS_CACHE_ON,   /* builtin, shared or both */
};

/* All that makes a context. Equal settings make the same one. */
struct tls_settings {
    bool client;         /* for connections to origins; what only servers have is not looked at */
    struct conf_pos pos; /* of what is wrong without a place of its own */
    struct vec certificates, keys;            /* of struct tls_file; the n-th belong together */
    struct tls_cert_cache *certificate_cache; /* of those with variables; NULL: none is kept */
    struct tls_file password_file, dhparam;
    bool isolate;       /* a bad certificate is no error of the configuration */
    bool watch;         /* renewed certificates are picked up without a reload */
    uint32_t protocols; /* bits of enum tls_protocol */
    struct str ciphers, curves;
    struct conf_pos ciphers_pos, curves_pos; /* without a line: `pos` */
    struct vec commands;                     /* of struct tls_command */
    bool prefer_server_ciphers;
    struct log_file *key_log; /* NULL: secrets of sessions are written nowhere */
    bool compress;            /* ssl_certificate_compression */
    uint64_t buffer_size;     /* bytes of plain text in a record, at most 16384 */
    bool early_data;

    uint32_t verify; /* enum tls_verify; of a client: OFF or ON */
    uint32_t verify_depth;
    struct tls_file client_ca, trusted_ca, crl;

    uint32_t ocsp;                /* enum tls_revocation: of clients' certificates */
    struct zone_spec *ocsp_cache; /* NULL: every answer is asked for */
    struct str ocsp_responder;    /* URL; empty: that of the certificate */
    bool stapling, stapling_verify;
    struct tls_file stapling_file;
    struct str stapling_responder;   /* URL; empty: that of the certificate */
    const struct resolver *resolver; /* of names of responders; NULL: the system's */
    uint64_t resolver_timeout_ms;

    enum tls_cache cache;
    uint32_t builtin_sessions;  /* 0: no builtin cache */
    struct zone_spec *sessions; /* NULL: no shared cache */
    uint64_t timeout_s;
    bool tickets;
    struct vec ticket_keys; /* of struct tls_file; none: keys of the server's own making */
};

/* That of the configuration whose http {} or stream {} the scope is in. */
struct tls_shared *tls_shared_of(const struct scope *s);
/* conf_dir: what names with variables are relative to; ends with '/'. NULL: memory. */
struct tls_shared *tls_shared_new(struct arena *a, struct str conf_dir);
/* Finds or makes the context. While a configuration is loaded; NULL after conf_fail. */
struct tls_context *tls_context_get(struct conf_load *l, struct tls_shared *shared,
                                    const struct tls_settings *s);

/* For tables of directives: protocols by name; a path into a struct tls_file, "" for none; name and value into a struct
 * vec of struct tls_command. */
extern const struct conf_name tls_protocol_names[];
/* "data:...", "engine:..." and "store:..." name no file. */
bool tls_is_no_path(struct str text);
bool tls_set_file(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool tls_add_command(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* A path, or "off"; the field is a struct log_file *, NULL for off. */
bool tls_key_log_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* `off`, or max=N [inactive=TIME] [valid=TIME]; the field is a struct tls_cert_cache *, NULL for off. */
bool tls_cert_cache_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                        void *conf);

/* ---- settings of a server ---- */

/* What handshakes for the server of this scope use. NULL: it has no certificate of its own (a default server's is used,
 * if any). */
const struct tls_context *tls_context_of(const struct scope *s);
/* A host name of the server of the scope, which its certificates, renewed ones too, should be for. False after conf_fail. */
bool tls_name_server(struct conf_load *l, const struct scope *s, struct str name);
/* Whether a certificate of the scope is for the name, as far as it is known. Else *file has its name, and *names what it is
 * for; in `a`, or constant. */
bool tls_is_for(const struct scope *s, struct str name, struct arena *a, struct str *file,
                struct str *names);
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
    /* A root without a request, for variables in the handshake of a client that asks for `name`. NULL: memory. */
    struct exchange *(*exchange)(struct conn *c, struct str name);
    void (*exchange_over)(struct exchange *x);
};
/* Takes over a fresh connection; it is closed when there is no handshake within `timeout_ms`. Nothing blocks. */
void tls_accept(struct conn *c, const struct tls_server_ops *ops, uint64_t timeout_ms);

/* ---- the client's side ---- */

/* A certificate to show to an origin, one whose name has variables: read beside the loop, or from the context's cache. */
struct tls_own;
enum tls_own_state { TLS_OWN_WAITS, TLS_OWN_HERE, TLS_OWN_BAD };
/* The names are copied. fn comes later from the loop when the state is WAITS, and only then. NULL: memory. */
struct tls_own *tls_own_ask(const struct tls_context *c, struct str certificate, struct str key,
                            void (*fn)(void *data), void *data);
/* BAD: *why says it, for the log. */
enum tls_own_state tls_own_state(const struct tls_own *o, const char **why);
/* fn will not come; again is harmless. */
void tls_own_cancel(struct tls_own *o);
/* The end of a struct tls_own; connections may outlive it. */
void tls_own_end(void *own);

/* What one connection wants. Everything is borrowed until `done`. */
struct tls_client {
    const struct tls_context *context;
    struct str name;           /* sent as SNI; len 0, or an address: none is */
    struct str verify_name;    /* name or address that the certificate has to be for, if verified */
    struct str protocols;      /* for ALPN, in the form of the wire; len 0: none */
    const struct tls_own *own; /* HERE; NULL: what the context has */
    bool resume;               /* the newest session with this server is offered, and kept */
    /* Takes c->on_event back. why: NULL, or what went wrong, to be logged by the caller, who closes c. */
    void (*done)(struct conn *c, const char *why);
};
/* Takes over an outgoing connection that is established, until `done`, which may come at once. The timer is the
 * caller's. c->owner stays. */
void tls_connect(struct conn *c, const struct tls_client *o);
/* Whether an open connection is what o asks for: the same settings, names and protocols. o NULL: no TLS. */
bool tls_serves(const struct conn *c, const struct tls_client *o);
/* One look whether nothing has come on an idle connection but what TLS has to say by itself (tickets, new keys). */
bool tls_is_quiet(struct conn *c);
/* Why a connection to an origin broke, in nginx's form; NULL: it was not TLS. Lives as long as the connection. */
const char *tls_problem(const struct conn *c);
/* The handshake failed when a session of before was offered. None is for some time now, so it is worth a second try. */
bool tls_refused_session(const struct conn *c);
/* The peer's end came without close_notify: what has no length may be incomplete (RFC 9112, 9.8). */
bool tls_was_cut(const struct conn *c);

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
