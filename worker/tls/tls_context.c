/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_context.c - contexts of the library from settings of the configuration.
 *
 * They are made while the configuration is loaded, by the master, which may read keys that workers may not. A
 * context is known by all of its settings: servers that agree in them share it, and each pair of certificate and key is
 * read once. Of the same settings those that a session depends on, with the content of certificates and files of trust,
 * are hashed: a session can be resumed only where they are what they were when it began.
 */
#include "worker/tls/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/base/panic.h"
#include "common/base/text.h"
#include "common/sys/file.h"
#include "worker/tls/tls_certificate.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_dynamic.h"
#include "worker/tls/tls_error.h"
#include "worker/tls/tls_key_log.h"
#include "worker/tls/tls_session.h"
#include "worker/tls/tls_staple.h"
#include "worker/tls/tls_ticket.h"
#include "worker/tls/tls_verify.h"

enum {
    FILE_MAX = 16 * 1024 * 1024, /* bytes of a list of certificates or revocations */
};

/* ---- what lives as long as the configuration ---- */

struct tls_shared *
tls_shared_new(struct arena *a, struct str conf_dir)
{
    struct tls_shared *s = ARENA_NEW(a, struct tls_shared);

    if (s == NULL)
        return NULL;
    s->arena = a;
    s->conf_dir = conf_dir;
    hash_init(&s->contexts, a);
    hash_init(&s->certificates, a);
    vec_init(&s->all, a, sizeof(struct tls_certificate *));
    vec_init(&s->computed, a, sizeof(struct tls_certificate *));
    hash_init(&s->passwords, a);
    return s;
}

static void
context_free(void *data)
{
    SSL_CTX_free(data);
}

/* ---- settings as text ---- */

static void
add_file(struct text *t, const struct tls_file *f)
{
    text_fmt(t, "%zu:", f->path.len);
    text_add(t, f->path);
}

static void
add_files(struct text *t, const struct vec *files)
{
    text_fmt(t, "%u;", files->len);
    VEC_FOREACH (f, struct tls_file, files)
        add_file(t, f);
}

bool
tls_verify_is_same(const struct tls_settings *a, const struct tls_settings *b)
{
    return a->verify == b->verify && a->verify_depth == b->verify_depth &&
           str_eq(a->client_ca.path, b->client_ca.path) &&
           str_eq(a->trusted_ca.path, b->trusted_ca.path) && str_eq(a->crl.path, b->crl.path) &&
           a->ocsp == b->ocsp && a->ocsp_cache == b->ocsp_cache &&
           str_eq(a->ocsp_responder, b->ocsp_responder);
}

/* What a session may not outlive: how clients are verified, and what was agreed on. The content of certificates and of
 * files of trust is added where they are read. */
static void
add_binding(struct text *t, const struct tls_settings *s)
{
    text_fmt(t, "%d %u %u %u %d ", s->client, s->verify, s->verify_depth, s->protocols,
             s->prefer_server_ciphers);
    text_fmt(t, "%zu:%.*s", s->ciphers.len, STR(s->ciphers));
    text_fmt(t, "%zu:%.*s", s->curves.len, STR(s->curves));
    VEC_FOREACH (c, struct tls_command, &s->commands)
        text_fmt(t, "%zu:%.*s%zu:%.*s", c->name.len, STR(c->name), c->value.len, STR(c->value));
    TEXT_LIT(t, ";");
}

static void
add_ocsp(struct text *t, const struct tls_settings *s)
{
    text_fmt(t, ";%u %p %d %d %p %llu ", s->ocsp, (void *)s->ocsp_cache, s->stapling,
             s->stapling_verify, (const void *)s->resolver,
             (unsigned long long)s->resolver_timeout_ms);
    add_file(t, &s->stapling_file);
    text_fmt(t, "%zu:%.*s", s->ocsp_responder.len, STR(s->ocsp_responder));
    text_fmt(t, "%zu:%.*s", s->stapling_responder.len, STR(s->stapling_responder));
}

/* All of the settings; the first *binding bytes are those that sessions are bound to. */
static struct str
settings_text(struct arena *a, const struct tls_settings *s, size_t *binding)
{
    struct text t;

    text_init(&t, a);
    add_binding(&t, s);
    *binding = t.len;
    add_files(&t, &s->certificates);
    add_files(&t, &s->keys);
    add_file(&t, &s->password_file);
    add_file(&t, &s->dhparam);
    add_file(&t, &s->client_ca);
    add_file(&t, &s->trusted_ca);
    add_file(&t, &s->crl);
    text_fmt(&t, "%d %llu %d %u %llu %d ", s->early_data, (unsigned long long)s->buffer_size,
             (int)s->cache, s->builtin_sessions, (unsigned long long)s->timeout_s, s->tickets);
    add_files(&t, &s->ticket_keys);
    if (s->sessions != NULL)
        text_add(&t, s->sessions->name);
    text_fmt(&t, ";%p %p %d %d %d", (void *)s->certificate_cache, (void *)s->key_log, s->isolate,
             s->watch, s->compress);
    add_ocsp(&t, s);
    return text_str(&t);
}

/* ---- certificates and keys ---- */

static bool
call_fail(struct conf_load *l, const struct tls_file *f, const char *call)
{
    return conf_fail_at(l, f->pos, "%s(\"%.*s\") failed%s", call, STR(f->path), tls_error_text());
}

/* Sessions of certificates that have variables in their names are bound to the names. */
static bool
bind_names(struct conf_load *l, const struct tls_settings *s, EVP_MD_CTX *bind)
{
    VEC_FOREACH (f, struct tls_file, &s->certificates) {
        if (EVP_DigestUpdate(bind, f->path.ptr, f->path.len) != 1)
            return call_fail(l, f, "EVP_DigestUpdate");
    }
    return true;
}

/* A constant certificate; of a bad one only the place is kept. */
static bool
use_certificate(struct conf_load *l, struct tls_certificate *certificate, struct tls_context *c,
                EVP_MD_CTX *bind)
{
    const struct tls_pair *p = certificate->pair;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (!tls_certificate_use(l, certificate, c))
        return false;
    if (p == NULL)
        return true;
    c->broken = false;
    if (SSL_CTX_use_cert_and_key(c->ssl, p->leaf, p->key, p->chain, 1) != 1)
        return call_fail(l, &certificate->file, "SSL_CTX_use_certificate");
    if (X509_digest(p->leaf, EVP_sha256(), digest, &len) != 1 ||
        EVP_DigestUpdate(bind, digest, len) != 1)
        return call_fail(l, &certificate->file, "X509_digest");
    return true;
}

/* RFC 8879; with all that the library has. Where that is nothing, certificates are sent as they are. */
static void
compress(struct tls_context *c)
{
#ifdef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
    if (!c->settings.compress)
        SSL_CTX_set_options(c->ssl, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION |
                                        SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
    else if (SSL_CTX_compress_certs(c->ssl, 0) != 1)
        ERR_clear_error();
#else
    (void)c;
#endif
}

static bool
use_certificates(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
                 struct tls_context *c, EVP_MD_CTX *bind)
{
    uint32_t i = 0;

    vec_init(&c->certificates, shared->arena, sizeof(struct tls_certificate *));
    vec_init(&c->computed, shared->arena, sizeof(struct tls_certificate *));
    c->broken = s->certificates.len > 0;
    VEC_FOREACH (f, struct tls_file, &s->certificates) {
        struct tls_certificate *certificate;

        if (i >= s->keys.len)
            return conf_fail_at(l, f->pos,
                                "no \"ssl_certificate_key\" is defined for certificate \"%.*s\"",
                                STR(f->path));
        if (tls_dynamic_is(f, VEC_AT(&s->keys, struct tls_file, i))) {
            c->dynamic = true;
            if (!tls_certificate_compute(l, shared, s, i, c))
                return false;
        } else {
            certificate = tls_certificate_get(l, shared, s, i);
            if (certificate == NULL || !use_certificate(l, certificate, c, bind))
                return false;
        }
        i++;
    }
    compress(c);
    if (!c->dynamic)
        return true;
    c->broken = false;
    if (!s->client) /* who connects brings his own */
        tls_dynamic_set_up(c);
    return bind_names(l, s, bind) && tls_passwords_get(l, shared, &s->password_file, &c->passwords);
}

static bool
is_same_type(const struct tls_pair *a, const struct tls_pair *b)
{
    return EVP_PKEY_get_base_id(a->key) == EVP_PKEY_get_base_id(b->key);
}

/*
 * A context cannot lose a certificate, only get another one of the same type. Where the type changes, connections get
 * the certificates that are good now one by one.
 */
void
tls_context_renew(struct tls_context *c, const struct tls_pair *old, const struct tls_pair *new)
{
    c->broken = false;
    if (old != NULL && !is_same_type(old, new)) {
        c->by_connection = true;
        tls_dynamic_set_up(c);
    }
    if (SSL_CTX_use_cert_and_key(c->ssl, new->leaf, new->key, new->chain, 1) != 1)
        log_alert(0, "SSL_CTX_use_certificate() failed%s", tls_error_text());
    tls_staple_renew(c);
}

/* ---- protocols, ciphers, curves, parameters ---- */

static uint64_t
options_of(const struct tls_settings *s)
{
    static const struct {
        uint32_t protocol;
        uint64_t off;
    } off[] = {
        { TLS_SSLV3, SSL_OP_NO_SSLv3 },  { TLS_V1, SSL_OP_NO_TLSv1 },
        { TLS_V1_1, SSL_OP_NO_TLSv1_1 }, { TLS_V1_2, SSL_OP_NO_TLSv1_2 },
        { TLS_V1_3, SSL_OP_NO_TLSv1_3 },
    };
    /* IGNORE_UNEXPECTED_EOF: many clients leave without close_notify, and HTTP frames its messages by itself.
     * NO_ANTI_REPLAY: it knows the tickets of one process only, so it would protect nothing and refuse most. */
    uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_ANTI_REPLAY |
                       SSL_OP_ENABLE_KTLS;

    if (!s->client)
        options |= SSL_OP_IGNORE_UNEXPECTED_EOF;

    for (size_t i = 0; i < ARRAY_LEN(off); i++) {
        if (!(s->protocols & off[i].protocol))
            options |= off[i].off;
    }
    if (s->prefer_server_ciphers)
        options |= SSL_OP_CIPHER_SERVER_PREFERENCE;
    if (!s->tickets)
        options |= SSL_OP_NO_TICKET;
    return options;
}

static bool
use_dhparam(struct conf_load *l, const struct tls_file *f, SSL_CTX *ctx)
{
    EVP_PKEY *parameters;
    BIO *bio;

    if (f->path.len == 0)
        return true;
    bio = BIO_new_file(f->path.ptr, "r");
    if (bio == NULL)
        return call_fail(l, f, "BIO_new_file");
    parameters = PEM_read_bio_Parameters(bio, NULL);
    BIO_free(bio);
    if (parameters == NULL)
        return call_fail(l, f, "PEM_read_bio_DHparams");
    if (SSL_CTX_set0_tmp_dh_pkey(ctx, parameters) != 1) {
        EVP_PKEY_free(parameters);
        return call_fail(l, f, "SSL_CTX_set_tmp_dh");
    }
    return true;
}

static bool
run_commands(struct conf_load *l, const struct tls_settings *s, SSL_CTX *ctx)
{
    SSL_CONF_CTX *conf;
    bool good = true;

    if (s->commands.len == 0)
        return true;
    conf = SSL_CONF_CTX_new();
    if (conf == NULL)
        return conf_fail_at(l, s->pos, "out of memory");
    SSL_CONF_CTX_set_flags(conf, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CLIENT |
                                     SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
    SSL_CONF_CTX_set_ssl_ctx(conf, ctx);
    VEC_FOREACH (c, struct tls_command, &s->commands) {
        if (SSL_CONF_cmd(conf, c->name.ptr, c->value.ptr) > 0)
            continue;
        good = conf_fail_at(l, c->pos, "SSL_CONF_cmd(\"%.*s\", \"%.*s\") failed%s", STR(c->name),
                            STR(c->value), tls_error_text());
        break;
    }
    if (good && SSL_CONF_CTX_finish(conf) != 1)
        good = conf_fail_at(l, s->pos, "SSL_CONF_finish() failed%s", tls_error_text());
    SSL_CONF_CTX_free(conf);
    return good;
}

static struct conf_pos
place_or(struct conf_pos pos, struct conf_pos otherwise)
{
    return pos.line > 0 ? pos : otherwise;
}

static bool
set_up_protocols(struct conf_load *l, const struct tls_settings *s, SSL_CTX *ctx)
{
    char *text = arena_cstr(conf_arena(l), s->ciphers);

    /* The system's own limits (openssl.cnf) make way: what the configuration says holds. */
    SSL_CTX_set_min_proto_version(ctx, 0);
    SSL_CTX_set_max_proto_version(ctx, 0);
    SSL_CTX_set_options(ctx, options_of(s));
    if (text == NULL || SSL_CTX_set_cipher_list(ctx, text) != 1)
        return conf_fail_at(l, place_or(s->ciphers_pos, s->pos),
                            "SSL_CTX_set_cipher_list(\"%.*s\") failed%s", STR(s->ciphers),
                            tls_error_text());
    if (!str_eq(s->curves, S("auto"))) {
        text = arena_cstr(conf_arena(l), s->curves);
        if (text == NULL || SSL_CTX_set1_curves_list(ctx, text) != 1)
            return conf_fail_at(l, place_or(s->curves_pos, s->pos),
                                "SSL_CTX_set1_curves_list(\"%.*s\") failed%s", STR(s->curves),
                                tls_error_text());
    }
    return use_dhparam(l, &s->dhparam, ctx);
}

/* ---- whom to trust ---- */

/* Content of a file of trust: a list of revocations that changes ends the sessions that began before. */
static bool
bind_file(struct conf_load *l, const struct tls_file *f, EVP_MD_CTX *bind)
{
    struct str content = S("");
    struct error err;
    struct arena a;
    bool good = true;

    arena_init(&a, 65536);
    if (f->path.len > 0)
        good = file_read(&a, f->path.ptr, FILE_MAX, &content, &err) ||
               conf_fail_at(l, f->pos, "%s", err.text);
    if (good && (EVP_DigestUpdate(bind, &content.len, sizeof(content.len)) != 1 ||
                 EVP_DigestUpdate(bind, content.ptr, content.len) != 1))
        good = conf_fail_at(l, f->pos, "out of memory");
    arena_free(&a);
    return good;
}

static bool
trust_file(struct conf_load *l, const struct tls_file *f, SSL_CTX *ctx)
{
    if (f->path.len == 0)
        return true;
    return SSL_CTX_load_verify_locations(ctx, f->path.ptr, NULL) == 1 ||
           call_fail(l, f, "SSL_CTX_load_verify_locations");
}

static bool
name_authorities(struct conf_load *l, const struct tls_file *f, SSL_CTX *ctx)
{
    STACK_OF(X509_NAME) * names;

    if (f->path.len == 0)
        return true;
    names = SSL_load_client_CA_file(f->path.ptr);
    if (names == NULL)
        return call_fail(l, f, "SSL_load_client_CA_file");
    SSL_CTX_set_client_CA_list(ctx, names);
    return true;
}

static bool
use_crl(struct conf_load *l, const struct tls_file *f, SSL_CTX *ctx)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_LOOKUP *lookup;

    if (f->path.len == 0)
        return true;
    lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL)
        return call_fail(l, f, "X509_STORE_add_lookup");
    if (X509_LOOKUP_load_file(lookup, f->path.ptr, X509_FILETYPE_PEM) != 1)
        return call_fail(l, f, "X509_LOOKUP_load_file");
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool
set_up_trust(struct conf_load *l, const struct tls_settings *s, SSL_CTX *ctx, EVP_MD_CTX *bind)
{
    if (!trust_file(l, &s->client_ca, ctx) || !name_authorities(l, &s->client_ca, ctx) ||
        !trust_file(l, &s->trusted_ca, ctx) || !use_crl(l, &s->crl, ctx))
        return false;
    if (s->verify != TLS_VERIFY_OFF)
        tls_verify_set_up(ctx, s->verify_depth);
    else if (s->client)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    return bind_file(l, &s->client_ca, bind) && bind_file(l, &s->trusted_ca, bind) &&
           bind_file(l, &s->crl, bind);
}

/* ---- contexts ---- */

static bool
set_up_sessions(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
                struct tls_context *c, EVP_MD_CTX *bind)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (EVP_DigestFinal_ex(bind, digest, &len) != 1 || len > SSL_MAX_SID_CTX_LENGTH ||
        SSL_CTX_set_session_id_context(c->ssl, digest, len) != 1)
        return conf_fail_at(l, s->pos, "SSL_CTX_set_session_id_context() failed%s",
                            tls_error_text());
    SSL_CTX_set_timeout(c->ssl, (long)s->timeout_s);
    if (s->timeout_s > shared->timeout_max_s)
        shared->timeout_max_s = s->timeout_s;
    tls_session_set_up(c, s);
    return tls_ticket_set_up(l, shared, s, c);
}

static bool
set_up(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
       struct tls_context *c, EVP_MD_CTX *bind)
{
    SSL_CTX *ctx = c->ssl;

    SSL_CTX_set_app_data(ctx, c);
    /* NO_AUTO_CHAIN: who is trusted as a client's authority is no part of our chain. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (s->client)
        tls_connect_set_up(ctx);
    else
        tls_conn_set_up(ctx);
    tls_key_log_set_up(c);
    if (s->early_data)
        SSL_CTX_set_max_early_data(ctx, 16384);
    /* The ciphers come first: "@SECLEVEL=0" among them says which certificates are good enough. */
    return set_up_protocols(l, s, ctx) && use_certificates(l, shared, s, c, bind) &&
           run_commands(l, s, ctx) && set_up_trust(l, s, ctx, bind) &&
           (s->client ||
            (set_up_sessions(l, shared, s, c, bind) && tls_staple_set_up(l, shared, c)));
}

/* NULL after conf_fail. `text` has all of the settings; its first `binding` bytes bind sessions. */
static struct tls_context *
context_new(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
            struct str text, size_t binding)
{
    EVP_MD_CTX *bind = EVP_MD_CTX_new();
    struct tls_context *c = ARENA_NEW(shared->arena, struct tls_context);
    struct str key = arena_str(shared->arena, text);
    bool good = false;

    if (c == NULL || key.ptr == NULL || bind == NULL ||
        EVP_DigestInit_ex(bind, EVP_sha256(), NULL) != 1 ||
        EVP_DigestUpdate(bind, text.ptr, binding) != 1)
        goto no_memory;
    *c = (struct tls_context){ .settings = *s, .shared = shared };
    c->ssl = SSL_CTX_new(s->client ? TLS_client_method() : TLS_server_method());
    if (c->ssl == NULL || !arena_on_free(shared->arena, context_free, c->ssl) ||
        !hash_set(&shared->contexts, key, c))
        goto no_memory;
    good = set_up(l, shared, s, c, bind);
    EVP_MD_CTX_free(bind);
    return good ? c : NULL;

no_memory:
    EVP_MD_CTX_free(bind);
    conf_fail_at(l, s->pos, "out of memory%s", tls_error_text());
    return NULL;
}

struct tls_context *
tls_context_get(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s)
{
    struct tls_context *c = NULL;
    size_t binding;
    struct str text;
    struct arena a;

    ERR_clear_error();
    arena_init(&a, 4096);
    text = settings_text(&a, s, &binding);
    if (text.ptr == NULL)
        conf_fail_at(l, s->pos, "out of memory");
    else
        c = hash_get(&shared->contexts, text);
    if (c == NULL && text.ptr != NULL)
        c = context_new(l, shared, s, text, binding);
    arena_free(&a);
    return c;
}
