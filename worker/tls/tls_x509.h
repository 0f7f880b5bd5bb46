/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_x509.h - what a certificate says, as text. Inside this room. */
#ifndef WEIR_TLS_TLS_X509_H
#define WEIR_TLS_TLS_X509_H

#include <openssl/x509.h>

#include "common/base/text.h"

/* Each appends; nothing when the library has no memory. */
void x509_add_serial(struct text *t, const X509 *x);
void x509_add_fingerprint(struct text *t, const X509 *x, const EVP_MD *digest);
/* "CN=...,O=..." (RFC 2253) */
void x509_add_name(struct text *t, const X509_NAME *name);
/* Host names and addresses that it is for, parted by spaces: of subjectAltName, or where there is none the common name. */
void x509_add_names(struct text *t, const X509 *x);
/* "EC prime256v1", "RSA 2048", "ED25519" */
void x509_add_key_type(struct text *t, EVP_PKEY *key);
/* Seconds since 1970; 0: not told. */
int64_t x509_time(const ASN1_TIME *time);
/* Whether it is for a host name or address. */
bool x509_covers(X509 *x, struct str name);

#endif
