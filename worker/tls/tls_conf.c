/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_conf.c - module `ssl`: the ssl_* directives, and what they make of a server.
 *
 * Files are read while the configuration is loaded; what is wrong with one is said with the place of the line that names
 * it.
 */
#include "worker/tls/tls_conf.h"

#include "common/base/num.h"
#include "common/sys/core_dump.h"
#include "worker/core/template.h"
#include "worker/tls/tls_cert_cache.h"
#include "worker/tls/tls_certificate.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_key_log.h"
#include "worker/tls/tls_ocsp.h"
#include "worker/tls/tls_report.h"
#include "worker/tls/tls_session.h"
#include "worker/tls/tls_staple.h"
#include "worker/tls/tls_ticket.h"
#include "worker/tls/tls_verify.h"
#include "worker/tls/tls_x509.h"

enum { BUILTIN_DEFAULT = 20480 /* sessions */ };

/* ---- names of values ---- */

const struct conf_name tls_protocol_names[] = {
    { "SSLv2", TLS_SSLV2 },  { "SSLv3", TLS_SSLV3 },  { "TLSv1", TLS_V1 }, { "TLSv1.1", TLS_V1_1 },
    { "TLSv1.2", TLS_V1_2 }, { "TLSv1.3", TLS_V1_3 }, { NULL, 0 }
};
static const struct conf_name verify_names[] = { { "off", TLS_VERIFY_OFF },
                                                 { "on", TLS_VERIFY_ON },
                                                 { "optional", TLS_VERIFY_OPTIONAL },
                                                 { "optional_no_ca", TLS_VERIFY_OPTIONAL_NO_CA },
                                                 { NULL, 0 } };

static const struct conf_name error_names[] = { { "strict", 0 }, { "isolate", 1 }, { NULL, 0 } };

static const struct conf_name ocsp_names[] = {
    { "off", TLS_OCSP_OFF }, { "on", TLS_OCSP_ON }, { "leaf", TLS_OCSP_LEAF }, { NULL, 0 }
};

/* ---- setters ---- */

static const char no_variables; /* in add_file: a '$' is a character like others */

/* A file by its path, taken from the configuration's directory. False after conf_fail. */
static bool
file_of(struct conf_load *l, const struct conf_node *n, struct tls_file *f)
{
    f->pos = n->arg_pos[1];
    f->path = conf_path(l, n->args[1], true);
    return f->path.ptr != NULL || conf_fail(l, n, 1, "out of memory");
}

bool
tls_set_file(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_file *f = (struct tls_file *)((char *)conf + d->offset);

    *f = (struct tls_file){ .path = S("") };
    return n->args[1].len == 0 || file_of(l, n, f);
}

/* What may be something else than a path. */
bool
tls_is_no_path(struct str text)
{
    return str_starts(text, S("data:")) || str_starts(text, S("engine:")) ||
           str_starts(text, S("store:"));
}

static bool
file_with_variables(struct conf_load *l, const struct conf_node *n, struct tls_file *f)
{
    struct template *text = ARENA_NEW(conf_arena(l), struct template);

    if (text == NULL)
        return conf_fail(l, n, 1, "out of memory");
    if (!template_compile(l, n, 1, n->args[1], text))
        return false;
    f->pos = n->arg_pos[1];
    f->path = n->args[1];
    f->text = text;
    return true;
}

/* One more file of a list: certificates, their keys, keys of tickets. */
static bool
add_file(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *files = (struct vec *)((char *)conf + d->offset);
    struct tls_file *f;

    if (files->size == 0) {
        vec_init(files, conf_arena(l), sizeof(struct tls_file));
        /* Most often there is one, and there may be thousands of servers. */
        files->data = arena_alloc(conf_arena(l), sizeof(struct tls_file));
        files->cap = files->data != NULL ? 1 : 0;
    }
    f = VEC_PUSH(files, struct tls_file);
    if (f == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (str_find(n->args[1], '$') < n->args[1].len && d->data == NULL)
        return file_with_variables(l, n, f);
    if (!tls_is_no_path(n->args[1]))
        return file_of(l, n, f);
    f->pos = n->arg_pos[1];
    f->path = arena_str(conf_arena(l), n->args[1]);
    return f->path.ptr != NULL || conf_fail(l, n, 1, "out of memory");
}

bool
tls_add_command(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *commands = (struct vec *)((char *)conf + d->offset);
    struct tls_command *c;

    if (commands->size == 0)
        vec_init(commands, conf_arena(l), sizeof(struct tls_command));
    c = VEC_PUSH(commands, struct tls_command);
    if (c == NULL)
        return conf_fail(l, n, 0, "out of memory");
    c->name = arena_str(conf_arena(l), n->args[1]);
    c->value = arena_str(conf_arena(l), n->args[2]);
    c->pos = n->pos;
    return (c->name.ptr != NULL && c->value.ptr != NULL) || conf_fail(l, n, 0, "out of memory");
}

static bool
set_compression(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    if (!conf_set_flag(l, d, n, conf))
        return false;
#ifndef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
    if (((struct tls_conf *)conf)->s.compress) {
        conf_fail(l, n, 0, "\"%s\" is not supported by " OPENSSL_VERSION_TEXT, d->name);
        conf_hint(l, "OpenSSL 3.2 is the first version that has it");
        return false;
    }
#endif
    return true;
}

static bool
set_ciphers(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    ((struct tls_conf *)conf)->s.ciphers_pos = n->pos;
    return conf_set_str(l, d, n, conf);
}

static bool
set_curves(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    ((struct tls_conf *)conf)->s.curves_pos = n->pos;
    return conf_set_str(l, d, n, conf);
}

static bool
set_verify(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_conf *c = conf;

    c->verify_pos = n->pos;
    return conf_set_enum(l, d, n, conf);
}

/* "NAME:SIZE" behind "shared:". NULL after conf_fail. */
static struct zone_spec *
shared_cache(struct conf_load *l, const struct conf_node *n, int arg, const char *what,
             const struct zone_ops *ops)
{
    struct str text = str_from(n->args[arg], 7);
    size_t colon = str_find(text, ':');
    uint64_t size;

    if (colon == 0 || colon >= text.len || !num_parse_size(str_from(text, colon + 1), &size)) {
        conf_fail(l, n, arg, "invalid %s cache \"%.*s\"", what, STR(n->args[arg]));
        return NULL;
    }
    if (size < ops->size_min) {
        conf_fail(l, n, arg, "%s cache \"%.*s\" is too small", what, STR(n->args[arg]));
        return NULL;
    }
    return config_zone(l, n, str_upto(text, colon), size, ops);
}

static bool
set_session_cache(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_settings *s = &((struct tls_conf *)conf)->s;

    (void)d;
    s->cache = TLS_CACHE_NONE;
    s->builtin_sessions = 0;
    s->sessions = NULL;
    for (uint32_t i = 1; i < n->n; i++) {
        struct str text = n->args[i];

        if (str_eq(text, S("none"))) {
            s->cache = TLS_CACHE_NONE;
        } else if (str_eq(text, S("off"))) {
            s->cache = TLS_CACHE_OFF;
        } else if (str_eq(text, S("builtin"))) {
            s->builtin_sessions = BUILTIN_DEFAULT;
        } else if (str_starts(text, S("builtin:"))) {
            if (!num_parse_u32(str_from(text, 8), &s->builtin_sessions) || s->builtin_sessions == 0)
                return conf_fail(l, n, (int)i, "invalid session cache \"%.*s\"", STR(text));
        } else if (str_starts(text, S("shared:"))) {
            s->sessions = shared_cache(l, n, (int)i, "session", &tls_session_zone_ops);
            if (s->sessions == NULL)
                return false;
        } else {
            return conf_fail(l, n, (int)i, "invalid session cache \"%.*s\"", STR(text));
        }
    }
    if (s->builtin_sessions > 0 || s->sessions != NULL)
        s->cache = TLS_CACHE_ON;
    return true;
}

static bool
set_ocsp_cache(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_settings *s = &((struct tls_conf *)conf)->s;

    (void)d;
    s->ocsp_cache = NULL;
    if (str_eq(n->args[1], S("off")))
        return true;
    if (!str_starts(n->args[1], S("shared:")))
        return conf_fail(l, n, 1, "invalid OCSP cache \"%.*s\"", STR(n->args[1]));
    s->ocsp_cache = shared_cache(l, n, 1, "OCSP", &tls_ocsp_zone_ops);
    return s->ocsp_cache != NULL;
}

static bool
set_ocsp_responder(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_ocsp_url url;

    switch (tls_ocsp_url_parse(n->args[1], &url)) {
    case OCSP_URL_NO_HTTP:
        return conf_fail(l, n, 1, "invalid URL prefix in OCSP responder \"%.*s\" in \"%s\"",
                         STR(n->args[1]), d->name);
    case OCSP_URL_NO_HOST:
        return conf_fail(l, n, 1, "invalid host in OCSP responder \"%.*s\" in \"%s\"",
                         STR(n->args[1]), d->name);
    case OCSP_URL_GOOD:
        break;
    }
    ((struct tls_conf *)conf)->s.ocsp_responder = n->args[1];
    return true;
}

/* ---- loading ---- */

static bool
ssl_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct tls_conf *c = conf;

    (void)s;
    struct str conf_dir = conf_path(l, S(""), true);

    c->shared = tls_shared_new(conf_arena(l), conf_dir);
    return c->shared != NULL;
}

/* Of the configuration's http {}; NULL: there is none. */
static struct tls_shared *
shared_of(const struct config *c)
{
    VEC_FOREACH (s, struct scope *, &c->scopes) {
        if ((*s)->kind == SCOPE_HTTP)
            return ((const struct tls_conf *)scope_conf(*s, &ssl_module))->shared;
    }
    return NULL;
}

/* Without either of them contexts differ in none of these. */
static void
set_up_ocsp(const struct scope *scope, struct tls_settings *s)
{
    if (s->verify == TLS_VERIFY_OFF)
        s->ocsp = TLS_OCSP_OFF;
    if (s->ocsp == TLS_OCSP_OFF) {
        s->ocsp_cache = NULL;
        s->ocsp_responder = S("");
    } else {
        /* nginx differs: a session has no chain that could be asked about, so each client is asked for it anew. */
        s->cache = TLS_CACHE_OFF;
        s->sessions = NULL;
        s->builtin_sessions = 0;
        s->tickets = false;
    }
    if (!s->stapling) {
        s->stapling_verify = false;
        s->stapling_file = (struct tls_file){ .path = S("") };
        s->stapling_responder = S("");
    }
    if (s->ocsp != TLS_OCSP_OFF || s->stapling)
        s->resolver = resolver_of_scope(scope, &s->resolver_timeout_ms);
}

/* Whether a server has these settings: what http {} says is not looked at where every server says something else. */
static bool
is_of_server(struct conf_load *l, const struct scope *s, const struct tls_conf *c)
{
    if (s->kind == SCOPE_SERVER)
        return true;
    VEC_FOREACH (other, struct scope *, &conf_config(l)->scopes) {
        if ((*other)->kind == SCOPE_SERVER && scope_conf(*other, &ssl_module) == c)
            return true;
    }
    return false;
}

static bool
ssl_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct tls_conf *c = conf;

    if (c->s.certificates.len == 0 || !is_of_server(l, s, c))
        return true;
    if ((c->s.verify == TLS_VERIFY_ON || c->s.verify == TLS_VERIFY_OPTIONAL) &&
        c->s.client_ca.path.len == 0 && c->s.trusted_ca.path.len == 0)
        return conf_fail_at(l, c->verify_pos,
                            "no ssl_client_certificate or ssl_trusted_certificate for "
                            "ssl_verify_client");
    if (c->s.ocsp != TLS_OCSP_OFF && c->s.verify == TLS_VERIFY_OPTIONAL_NO_CA)
        return conf_fail_at(
            l, c->verify_pos,
            "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"");
    set_up_ocsp(s, &c->s);
    c->s.isolate = c->isolate != 0;
    c->s.pos = VEC_AT(&c->s.certificates, struct tls_file, 0)->pos;
    c->context = tls_context_get(l, c->shared, &c->s);
    return c->context != NULL;
}

static bool
ssl_loaded(struct conf_load *l)
{
    struct tls_shared *shared = shared_of(conf_config(l));

    return shared == NULL || tls_expiry_set_up(l, shared);
}

static bool
ssl_worker_init(struct config *c)
{
    struct tls_shared *shared = shared_of(c);

    if (shared == NULL)
        return true;
    if (shared->contexts.n > 0)
        core_dump_hide_memory(); /* again: the worker's limit is known now */
    tls_report_start(shared);
    tls_staple_start(shared);
    tls_expiry_start(shared);
    return true;
}

/* ---- for the owners of listeners ---- */

static const struct tls_conf *
conf_of(const struct scope *s)
{
    return scope_conf(s, &ssl_module);
}

struct tls_shared *
tls_shared_of(const struct scope *s)
{
    return conf_of(s)->shared;
}

const struct tls_context *
tls_context_of(const struct scope *s)
{
    return conf_of(s)->context;
}

bool
tls_is_rejected(const struct scope *s)
{
    return conf_of(s)->reject;
}

bool
tls_name_server(struct conf_load *l, const struct scope *s, struct str name)
{
    struct tls_context *c = conf_of(s)->context;

    return c == NULL || tls_certificates_name(c, name) || conf_fail_at(l, s->pos, "out of memory");
}

bool
tls_is_for(const struct scope *s, struct str name, struct arena *a, struct str *file,
           struct str *names)
{
    const struct tls_context *c = conf_of(s)->context;
    const struct tls_certificate *missed = c != NULL ? tls_certificates_miss(c, name) : NULL;
    struct text t;

    if (missed == NULL)
        return true;
    text_init(&t, a);
    x509_add_names(&t, missed->pair->leaf);
    *names = t.failed || t.len == 0 ? S("nothing") : text_str(&t);
    *file = tls_pem_shown(missed->file.path);
    return false;
}

enum tls_verdict
tls_check(const struct conn *c, const struct scope *s, struct arena *a, const char **why)
{
    const struct tls_settings *wanted = &conf_of(s)->s;
    const struct tls *t = tls_of(c);
    struct str text;
    long result;

    if (t == NULL || wanted->verify == TLS_VERIFY_OFF)
        return TLS_FINE;
    if (!tls_verify_is_same(&t->context->settings, wanted)) {
        *why = "client attempted to request the server name different from the one that was "
               "negotiated";
        return TLS_MISDIRECTED;
    }
    result = SSL_get_verify_result(t->ssl);
    if (!tls_verify_accepts(wanted->verify, result)) {
        text = arena_fmt(a, "client SSL certificate verify error: (%ld:%s)", result,
                         X509_verify_cert_error_string(result));
        *why = text.ptr != NULL ? text.ptr : "client SSL certificate verify error";
        return TLS_CERT_BAD;
    }
    if (t->revocation != NULL) {
        text = arena_fmt(a, "client SSL certificate verify error: %s", t->revocation);
        *why = text.ptr != NULL ? text.ptr : t->revocation;
        return TLS_CERT_BAD;
    }
    if (wanted->verify == TLS_VERIFY_ON && SSL_get0_peer_certificate(t->ssl) == NULL) {
        *why = "client sent no required SSL certificate";
        return TLS_CERT_MISSING;
    }
    return TLS_FINE;
}

/* ---- the table ---- */

enum { HS = CTX_HTTP | CTX_SRV };
#define T             struct tls_conf
#define FILES(nm, f)  D_CALL(nm, HS, ARGS(1, 1), add_file, FIELD(T, f), .inherit = I_LIST)
#define A_FILE(nm, f) D_CALL(nm, HS, ARGS(1, 1), tls_set_file, FIELD(T, f))

static const struct directive ssl_directives[] = {
    FILES("ssl_certificate", s.certificates), FILES("ssl_certificate_key", s.keys),
    D_ENUM("ssl_certificate_error", HS, T, isolate, error_names, DEFAULT(strict)),
    D_FLAG("ssl_certificate_watch", HS, T, s.watch, DEFAULT(off)),
    D_CALL("ssl_certificate_cache", HS, ARGS(1, 3), tls_cert_cache_set,
           FIELD(T, s.certificate_cache)),
    A_FILE("ssl_password_file", s.password_file),
    D_BITS("ssl_protocols", HS, T, s.protocols, tls_protocol_names, .initial = "TLSv1.2 TLSv1.3"),
    D_CALL("ssl_ciphers", HS, ARGS(1, 1), set_ciphers, FIELD(T, s.ciphers),
           .initial = "HIGH:!aNULL:!MD5"),
    D_FLAG("ssl_prefer_server_ciphers", HS, T, s.prefer_server_ciphers, DEFAULT(off)),
    D_CALL("ssl_ecdh_curve", HS, ARGS(1, 1), set_curves, FIELD(T, s.curves), DEFAULT(auto)),
    A_FILE("ssl_dhparam", s.dhparam),
    D_CALL("ssl_conf_command", HS, ARGS(2, 2), tls_add_command, FIELD(T, s.commands),
           .inherit = I_LIST),
    D_CALL("ssl_key_log", HS, ARGS(1, 1), tls_key_log_set, FIELD(T, s.key_log)),
    D_CALL("ssl_certificate_compression", HS, ARGS(1, 1), set_compression, FIELD(T, s.compress),
           DEFAULT(off)),
    D_SIZE("ssl_buffer_size", HS, T, s.buffer_size, DEFAULT(16k)),
    D_FLAG("ssl_early_data", HS, T, s.early_data, DEFAULT(off)),
    D_FLAG("ssl_reject_handshake", HS, T, reject, DEFAULT(off)),

    /* clients' certificates */
    D_CALL("ssl_verify_client", HS, ARGS(1, 1), set_verify, FIELD(T, s.verify),
           .data = verify_names, DEFAULT(off)),
    D_NUM("ssl_verify_depth", HS, T, s.verify_depth, DEFAULT(1)),
    A_FILE("ssl_client_certificate", s.client_ca), A_FILE("ssl_trusted_certificate", s.trusted_ca),
    A_FILE("ssl_crl", s.crl), D_ENUM("ssl_ocsp", HS, T, s.ocsp, ocsp_names, DEFAULT(off)),
    D_CALL("ssl_ocsp_cache", HS, ARGS(1, 1), set_ocsp_cache, FIELD(T, s.ocsp_cache)),
    D_CALL("ssl_ocsp_responder", HS, ARGS(1, 1), set_ocsp_responder, FIELD(T, s.ocsp_responder)),

    /* OCSP responses that go with certificates */
    D_FLAG("ssl_stapling", HS, T, s.stapling, DEFAULT(off)),
    D_FLAG("ssl_stapling_verify", HS, T, s.stapling_verify, DEFAULT(off)),
    A_FILE("ssl_stapling_file", s.stapling_file),
    D_STR("ssl_stapling_responder", HS, T, s.stapling_responder),

    /* resumption */
    D_CALL("ssl_session_cache", HS, ARGS(1, 2), set_session_cache, DEFAULT(none)),
    D_SEC("ssl_session_timeout", HS, T, s.timeout_s, DEFAULT(5m)),
    D_FLAG("ssl_session_tickets", HS, T, s.tickets, DEFAULT(on)),
    D_CALL("ssl_session_ticket_key", HS, ARGS(1, 1), add_file, FIELD(T, s.ticket_keys),
           .inherit = I_LIST, .data = &no_variables),
    D_END
};

struct module ssl_module = {
    .name = "ssl",
    .configure_token = "--with-http_ssl_module",
    .conf_size = sizeof(struct tls_conf),
    .directives = ssl_directives,
    .conf_init = ssl_init,
    .finish = ssl_finish,
    .loaded = ssl_loaded,
    .worker_init = ssl_worker_init,
    .variables = tls_variables,
};
