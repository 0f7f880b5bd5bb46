/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_vars.c - the variables of module `ssl`: what a handshake agreed on, and the client's certificate.
 *
 * On a connection without TLS none is found.
 */
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "common/base/escape.h"
#include "common/sys/clock.h"
#include "worker/core/exchange.h"
#include "worker/tls/tls_conf.h"
#include "worker/tls/tls_conn.h"

/* The client's side of an exchange; NULL: not TLS, or gone. */
static const struct tls *
client_tls(struct exchange *x)
{
    const struct conn *c = x->root->conn;
    const struct tls *t = c != NULL ? tls_of(c) : NULL;

    return t != NULL && t->ssl != NULL ? t : NULL;
}

static void
found(struct var_value *v, struct str text)
{
    if (text.len > 0)
        var_found(v, text);
}

/* ---- texts of the library's own, valid as long as the connection ---- */

static const char *
protocol_of(const struct tls *t)
{
    return SSL_get_version(t->ssl);
}

static const char *
cipher_of(const struct tls *t)
{
    return SSL_get_cipher_name(t->ssl);
}

static const char *
reused_of(const struct tls *t)
{
    return SSL_session_reused((SSL *)t->ssl) ? "r" : ".";
}

static const char *
early_of(const struct tls *t)
{
    return t->context->settings.early_data && !SSL_is_init_finished(t->ssl) ? "1" : "";
}

typedef const char *(*text_fn)(const struct tls *t);
struct text_source {
    text_fn get;
};
static const struct text_source from_protocol = { protocol_of }, from_cipher = { cipher_of },
                                from_reused = { reused_of }, from_early = { early_of };

static void
get_text(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    const char *text = t != NULL ? ((const struct text_source *)data)->get(t) : NULL;

    /* The connection may end before the exchange does. */
    if (text != NULL && *text != '\0')
        found(v, arena_str(&x->mem->arena, str_c(text)));
}

static void
get_server_name(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);

    (void)data;
    if (t != NULL)
        found(v, arena_str(&x->mem->arena, t->name));
}

static void
get_alpn(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);

    (void)data;
    if (t != NULL)
        found(v, arena_str(&x->mem->arena, tls_alpn(t->c)));
}

static void
get_handshake_time(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);

    (void)data;
    if (t != NULL)
        found(v,
              arena_fmt(&x->mem->arena, "%llu.%03llu", (unsigned long long)(t->took_us / 1000000),
                        (unsigned long long)(t->took_us / 1000 % 1000)));
}

/* ---- lists of what the client can do ---- */

static void
get_ciphers(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    const unsigned char *raw = NULL;
    size_t each, bytes;
    struct text list;

    (void)data;
    if (t == NULL)
        return;
    each = SSL_get0_raw_cipherlist(t->ssl, NULL);
    bytes = SSL_get0_raw_cipherlist(t->ssl, &raw);
    if (raw == NULL || each == 0)
        return;
    text_init(&list, &x->mem->arena);
    for (size_t i = 0; i + each <= bytes; i += each) {
        const SSL_CIPHER *cipher = SSL_CIPHER_find(t->ssl, raw + i);

        if (i > 0)
            text_char(&list, ':');
        if (cipher != NULL) {
            text_add(&list, str_c(SSL_CIPHER_get_name(cipher)));
        } else {
            TEXT_LIT(&list, "0x");
            text_hex(&list, str_n((const char *)raw + i, each));
        }
    }
    found(v, text_str(&list));
}

/* Groups of newer kinds (X25519MLKEM768) have a name in TLS only, and some none at all. */
static void
add_group(struct text *t, SSL *ssl, int nid)
{
    const char *name = nid & TLSEXT_nid_unknown ? SSL_group_to_name(ssl, nid) : OBJ_nid2sn(nid);

    if (name != NULL)
        text_add(t, str_c(name));
    else
        text_fmt(t, "0x%04x", (unsigned)nid & 0xffff);
}

static void
get_curves(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    struct text list;
    int n, *nids;

    (void)data;
    n = t != NULL ? (int)SSL_get1_groups(t->ssl, NULL) : 0;
    if (n <= 0)
        return;
    nids = arena_array(&x->mem->arena, (size_t)n, sizeof(int));
    if (nids == NULL || SSL_get1_groups(t->ssl, nids) != n)
        return;
    text_init(&list, &x->mem->arena);
    for (int i = 0; i < n; i++) {
        if (i > 0)
            text_char(&list, ':');
        add_group(&list, t->ssl, nids[i]);
    }
    found(v, text_str(&list));
}

static void
get_curve(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    struct text name;
    int nid;

    (void)data;
    nid = t != NULL ? (int)SSL_get_negotiated_group(t->ssl) : NID_undef;
    if (nid == NID_undef)
        return;
    text_init(&name, &x->mem->arena);
    add_group(&name, t->ssl, nid);
    found(v, text_str(&name));
}

static void
get_session_id(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    const SSL_SESSION *session = t != NULL ? SSL_get0_session(t->ssl) : NULL;
    unsigned int len = 0;
    const unsigned char *id;
    struct text hex;

    (void)data;
    if (session == NULL)
        return;
    id = SSL_SESSION_get_id(session, &len);
    text_init(&hex, &x->mem->arena);
    text_hex(&hex, str_n((const char *)id, len));
    found(v, text_str(&hex));
}

/* ---- the client's certificate ---- */

static X509 *
certificate_of(struct exchange *x)
{
    const struct tls *t = client_tls(x);

    return t != NULL ? SSL_get0_peer_certificate(t->ssl) : NULL;
}

/* What a BIO holds, copied. */
static void
found_in(struct exchange *x, struct var_value *v, BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);

    if (len > 0)
        found(v, arena_str(&x->mem->arena, str_n(bytes, (size_t)len)));
}

/* PEM without the line end behind it; ptr NULL: there is no certificate. */
static struct str
pem_of(struct exchange *x)
{
    X509 *certificate = certificate_of(x);
    struct var_value v = { .found = false };
    BIO *bio;

    if (certificate == NULL)
        return STR_NONE;
    bio = BIO_new(BIO_s_mem());
    if (bio == NULL)
        return STR_NONE;
    if (PEM_write_bio_X509(bio, certificate) == 1)
        found_in(x, &v, bio);
    BIO_free(bio);
    if (v.text.len > 0 && v.text.ptr[v.text.len - 1] == '\n')
        v.text.len--;
    return v.text;
}

static void
get_raw_cert(struct exchange *x, struct var_value *v, const void *data)
{
    struct str pem = pem_of(x);

    (void)data;
    if (pem.len > 0)
        var_found(v, str_n(pem.ptr, pem.len + 1)); /* with its last line end */
}

/* For a field: lines are parted by tabs.
 * nginx differs: it folds the field (line end and tab), which a sender must not do (RFC 9112, 5.2). */
static void
get_cert(struct exchange *x, struct var_value *v, const void *data)
{
    struct str pem = pem_of(x), piece;
    struct text t;
    bool first = true;

    (void)data;
    if (pem.ptr == NULL)
        return;
    text_init(&t, &x->mem->arena);
    while (str_split(&pem, '\n', &piece)) {
        if (!first)
            text_char(&t, '\t');
        text_add(&t, piece);
        first = false;
    }
    found(v, text_str(&t));
}

static void
get_escaped_cert(struct exchange *x, struct var_value *v, const void *data)
{
    struct str pem = pem_of(x);
    struct text t;

    (void)data;
    if (pem.len == 0)
        return;
    text_init(&t, &x->mem->arena);
    escape_uri(&t, str_n(pem.ptr, pem.len + 1), ESCAPE_URI_COMPONENT);
    found(v, text_str(&t));
}

enum dn { SUBJECT, ISSUER, SUBJECT_LEGACY, ISSUER_LEGACY };
static const enum dn dn_subject = SUBJECT, dn_issuer = ISSUER, dn_subject_legacy = SUBJECT_LEGACY,
                     dn_issuer_legacy = ISSUER_LEGACY;

static void
get_dn(struct exchange *x, struct var_value *v, const void *data)
{
    enum dn which = *(const enum dn *)data;
    X509 *certificate = certificate_of(x);
    const X509_NAME *name;
    BIO *bio;
    char *line;

    if (certificate == NULL)
        return;
    name = which == SUBJECT || which == SUBJECT_LEGACY ? X509_get_subject_name(certificate)
                                                       : X509_get_issuer_name(certificate);
    if (which == SUBJECT_LEGACY || which == ISSUER_LEGACY) {
        line = X509_NAME_oneline(name, NULL, 0);
        if (line != NULL)
            found(v, arena_str(&x->mem->arena, str_c(line)));
        OPENSSL_free(line);
        return;
    }
    bio = BIO_new(BIO_s_mem());
    if (bio == NULL)
        return;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        found_in(x, v, bio);
    BIO_free(bio);
}

static void
get_serial(struct exchange *x, struct var_value *v, const void *data)
{
    X509 *certificate = certificate_of(x);
    BIO *bio;

    (void)data;
    if (certificate == NULL)
        return;
    bio = BIO_new(BIO_s_mem());
    if (bio == NULL)
        return;
    if (i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate)) > 0)
        found_in(x, v, bio);
    BIO_free(bio);
}

static void
get_fingerprint(struct exchange *x, struct var_value *v, const void *data)
{
    X509 *certificate = certificate_of(x);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    struct text hex;

    (void)data;
    if (certificate == NULL || X509_digest(certificate, EVP_sha1(), digest, &len) != 1)
        return;
    text_init(&hex, &x->mem->arena);
    text_hex(&hex, str_n((const char *)digest, len));
    found(v, text_str(&hex));
}

static void
get_verify(struct exchange *x, struct var_value *v, const void *data)
{
    const struct tls *t = client_tls(x);
    long result;

    (void)data;
    if (t == NULL)
        return;
    result = SSL_get_verify_result(t->ssl);
    if (SSL_get0_peer_certificate(t->ssl) == NULL)
        var_found(v, S("NONE"));
    else if (t->revocation != NULL)
        found(v, arena_fmt(&x->mem->arena, "FAILED:%s", t->revocation));
    else if (result == X509_V_OK)
        var_found(v, S("SUCCESS"));
    else
        found(v, arena_fmt(&x->mem->arena, "FAILED:%s", X509_verify_cert_error_string(result)));
}

static void
found_time(struct exchange *x, struct var_value *v, const ASN1_TIME *time)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return;
    if (ASN1_TIME_print(bio, time) == 1)
        found_in(x, v, bio);
    BIO_free(bio);
}

static void
get_start(struct exchange *x, struct var_value *v, const void *data)
{
    X509 *certificate = certificate_of(x);

    (void)data;
    if (certificate != NULL)
        found_time(x, v, X509_get0_notBefore(certificate));
}

static void
get_end(struct exchange *x, struct var_value *v, const void *data)
{
    X509 *certificate = certificate_of(x);

    (void)data;
    if (certificate != NULL)
        found_time(x, v, X509_get0_notAfter(certificate));
}

/* Whole days; 0 once it has expired. */
static void
get_remain(struct exchange *x, struct var_value *v, const void *data)
{
    X509 *certificate = certificate_of(x);
    int days = 0, seconds = 0;

    (void)data;
    if (certificate == NULL ||
        ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        return;
    var_number(x, v, days > 0 ? (uint64_t)days : 0);
}

#define CHANGEABLE (VAR_CHANGEABLE | VAR_OF_CONN)

const struct variable tls_variables[] = {
    { "ssl_protocol", get_text, CHANGEABLE, NULL, &from_protocol },
    { "ssl_cipher", get_text, CHANGEABLE, NULL, &from_cipher },
    { "ssl_ciphers", get_ciphers, CHANGEABLE, NULL, NULL },
    { "ssl_curve", get_curve, CHANGEABLE, NULL, NULL },
    { "ssl_curves", get_curves, CHANGEABLE, NULL, NULL },
    { "ssl_session_id", get_session_id, CHANGEABLE, NULL, NULL },
    { "ssl_session_reused", get_text, CHANGEABLE, NULL, &from_reused },
    { "ssl_early_data", get_text, CHANGEABLE | VAR_VOLATILE, NULL, &from_early },
    { "ssl_server_name", get_server_name, CHANGEABLE, NULL, NULL },
    { "ssl_alpn_protocol", get_alpn, CHANGEABLE, NULL, NULL },
    { "ssl_handshake_time", get_handshake_time, CHANGEABLE, NULL, NULL },

    { "ssl_client_cert", get_cert, CHANGEABLE, NULL, NULL },
    { "ssl_client_raw_cert", get_raw_cert, CHANGEABLE, NULL, NULL },
    { "ssl_client_escaped_cert", get_escaped_cert, CHANGEABLE, NULL, NULL },
    { "ssl_client_s_dn", get_dn, CHANGEABLE, NULL, &dn_subject },
    { "ssl_client_i_dn", get_dn, CHANGEABLE, NULL, &dn_issuer },
    { "ssl_client_s_dn_legacy", get_dn, CHANGEABLE, NULL, &dn_subject_legacy },
    { "ssl_client_i_dn_legacy", get_dn, CHANGEABLE, NULL, &dn_issuer_legacy },
    { "ssl_client_serial", get_serial, CHANGEABLE, NULL, NULL },
    { "ssl_client_fingerprint", get_fingerprint, CHANGEABLE, NULL, NULL },
    { "ssl_client_verify", get_verify, CHANGEABLE, NULL, NULL },
    { "ssl_client_v_start", get_start, CHANGEABLE, NULL, NULL },
    { "ssl_client_v_end", get_end, CHANGEABLE, NULL, NULL },
    { "ssl_client_v_remain", get_remain, CHANGEABLE, NULL, NULL },
    { 0 }
};
