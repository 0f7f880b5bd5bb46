/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_sigalg.c - variables of signature algorithms: $ssl_sigalg, $ssl_client_sigalg, $ssl_sigalgs.
 *
 * The names are those of the registry "TLS SignatureScheme" (RFC 8446, 4.2.3). The library tells the kind of a signature and
 * its digest apart; in TLS 1.2 the curve is not a part of it, so the names say the one that belongs to the digest there.
 */
#include "worker/core/exchange.h"
#include "worker/tls/tls_conf.h"
#include "worker/tls/tls_conn.h"

static const struct scheme {
    uint16_t code;
    const char *name;
    int kind, digest, key; /* NIDs; key: of the certificate, where the kind does not say it */
} schemes[] = {
    { 0x0201, "rsa_pkcs1_sha1", EVP_PKEY_RSA, NID_sha1, 0 },
    { 0x0203, "ecdsa_sha1", EVP_PKEY_EC, NID_sha1, 0 },
    { 0x0301, "rsa_pkcs1_sha224", EVP_PKEY_RSA, NID_sha224, 0 },
    { 0x0303, "ecdsa_sha224", EVP_PKEY_EC, NID_sha224, 0 },
    { 0x0401, "rsa_pkcs1_sha256", EVP_PKEY_RSA, NID_sha256, 0 },
    { 0x0501, "rsa_pkcs1_sha384", EVP_PKEY_RSA, NID_sha384, 0 },
    { 0x0601, "rsa_pkcs1_sha512", EVP_PKEY_RSA, NID_sha512, 0 },
    { 0x0403, "ecdsa_secp256r1_sha256", EVP_PKEY_EC, NID_sha256, 0 },
    { 0x0503, "ecdsa_secp384r1_sha384", EVP_PKEY_EC, NID_sha384, 0 },
    { 0x0603, "ecdsa_secp521r1_sha512", EVP_PKEY_EC, NID_sha512, 0 },
    { 0x0804, "rsa_pss_rsae_sha256", EVP_PKEY_RSA_PSS, NID_sha256, EVP_PKEY_RSA },
    { 0x0805, "rsa_pss_rsae_sha384", EVP_PKEY_RSA_PSS, NID_sha384, EVP_PKEY_RSA },
    { 0x0806, "rsa_pss_rsae_sha512", EVP_PKEY_RSA_PSS, NID_sha512, EVP_PKEY_RSA },
    { 0x0807, "ed25519", EVP_PKEY_ED25519, NID_undef, 0 },
    { 0x0808, "ed448", EVP_PKEY_ED448, NID_undef, 0 },
    { 0x0809, "rsa_pss_pss_sha256", EVP_PKEY_RSA_PSS, NID_sha256, EVP_PKEY_RSA_PSS },
    { 0x080a, "rsa_pss_pss_sha384", EVP_PKEY_RSA_PSS, NID_sha384, EVP_PKEY_RSA_PSS },
    { 0x080b, "rsa_pss_pss_sha512", EVP_PKEY_RSA_PSS, NID_sha512, EVP_PKEY_RSA_PSS },
    { 0x081a, "ecdsa_brainpoolP256r1tls13_sha256", 0, 0, 0 },
    { 0x081b, "ecdsa_brainpoolP384r1tls13_sha384", 0, 0, 0 },
    { 0x081c, "ecdsa_brainpoolP512r1tls13_sha512", 0, 0, 0 },
    { 0x0904, "mldsa44", 0, 0, 0 },
    { 0x0905, "mldsa65", 0, 0, 0 },
    { 0x0906, "mldsa87", 0, 0, 0 },
};

/* NULL: not TLS. */
static SSL *
session_of(struct exchange *x)
{
    const struct conn *c = x->root->conn;
    const struct tls *t = c != NULL ? tls_of(c) : NULL;

    return t != NULL ? t->ssl : NULL;
}

static void
found_scheme(struct var_value *v, int kind, int digest, const X509 *certificate)
{
    const EVP_PKEY *key = certificate != NULL ? X509_get0_pubkey(certificate) : NULL;

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        const struct scheme *s = &schemes[i];

        if (s->kind != 0 && s->kind == kind && s->digest == digest &&
            (s->key == 0 || (key != NULL && s->key == EVP_PKEY_get_base_id(key)))) {
            var_found(v, str_c(s->name));
            return;
        }
    }
}

static void
get_sigalg(struct exchange *x, struct var_value *v, const void *data)
{
    SSL *ssl = session_of(x);
    int kind = 0, digest = 0;

    (void)data;
    if (ssl == NULL || SSL_session_reused(ssl) || SSL_get_signature_type_nid(ssl, &kind) != 1)
        return;
    (void)SSL_get_signature_nid(ssl, &digest);
    found_scheme(v, kind, digest, SSL_get_certificate(ssl));
}

static void
get_client_sigalg(struct exchange *x, struct var_value *v, const void *data)
{
    SSL *ssl = session_of(x);
    int kind = 0, digest = 0;

    (void)data;
    if (ssl == NULL || SSL_session_reused(ssl) || SSL_get0_peer_certificate(ssl) == NULL ||
        SSL_get_peer_signature_type_nid(ssl, &kind) != 1)
        return;
    (void)SSL_get_peer_signature_nid(ssl, &digest);
    found_scheme(v, kind, digest, SSL_get0_peer_certificate(ssl));
}

static void
add_code(struct text *t, unsigned code)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (schemes[i].code == code) {
            text_add(t, str_c(schemes[i].name));
            return;
        }
    }
    text_fmt(t, "0x%04x", code);
}

/* What the client understands, the most wanted first. */
static void
get_sigalgs(struct exchange *x, struct var_value *v, const void *data)
{
    SSL *ssl = session_of(x);
    unsigned char kind = 0, digest = 0;
    struct str list;
    struct text t;
    int n;

    (void)data;
    n = ssl != NULL ? SSL_get_sigalgs(ssl, -1, NULL, NULL, NULL, NULL, NULL) : 0;
    if (n <= 0)
        return;
    text_init(&t, &x->mem->arena);
    for (int i = 0; i < n; i++) {
        if (SSL_get_sigalgs(ssl, i, NULL, NULL, NULL, &kind, &digest) <= 0)
            break;
        if (i > 0)
            text_char(&t, ':');
        add_code(&t, (unsigned)digest << 8 | kind);
    }
    list = text_str(&t);
    if (list.len > 0)
        var_found(v, list);
}

/* The library knows nothing of encrypted ClientHellos (ECH), so none has been used. */
static void
get_nothing(struct exchange *x, struct var_value *v, const void *data)
{
    (void)x, (void)v, (void)data;
}

static const struct variable tls_sigalg_variables[] = {
    { "ssl_sigalg", get_sigalg, VAR_CHANGEABLE, NULL, NULL },
    { "ssl_client_sigalg", get_client_sigalg, VAR_CHANGEABLE, NULL, NULL },
    { "ssl_sigalgs", get_sigalgs, VAR_CHANGEABLE, NULL, NULL },
    { "ssl_ech_status", get_nothing, VAR_CHANGEABLE, NULL, NULL },
    { "ssl_ech_outer_server_name", get_nothing, VAR_CHANGEABLE, NULL, NULL },
    { 0 }
};

struct module ssl_sigalg_module = { .name = "ssl_sigalg", .variables = tls_sigalg_variables };
