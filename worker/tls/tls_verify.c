/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_verify.c - certificates of clients.
 *
 * The handshake only finds out what is wrong with a certificate, so that a client reads a page that says so (495, 496)
 * in place of an alert that no browser explains.
 */
#include "worker/tls/tls_verify.h"

#include <openssl/x509.h>

#include "worker/tls/tls_conn.h"

static int
on_verify(int good, X509_STORE_CTX *store)
{
    (void)good, (void)store; /* the result stays in the session */
    return 1;
}

void
tls_verify_set_up(SSL_CTX *ctx, uint32_t depth)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
    SSL_CTX_set_verify_depth(ctx, (int)depth);
}

bool
tls_verify_accepts(enum tls_verify mode, long result)
{
    if (result == X509_V_OK)
        return true;
    if (mode != TLS_VERIFY_OPTIONAL_NO_CA)
        return false;
    switch (result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return true;
    default:
        return false;
    }
}
