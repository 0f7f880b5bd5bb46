/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_ocsp.h - asks an OCSP responder about a certificate (RFC 6960). One client for stapling and for certificates of
 * clients. Inside this room.
 */
#ifndef WEIR_TLS_TLS_OCSP_H
#define WEIR_TLS_TLS_OCSP_H

#include <openssl/ocsp.h>

#include "common/base/str.h"
#include "worker/net/resolver.h"

/* The parts of "http://host:port/path". */
struct tls_ocsp_url {
    struct str host, path; /* path begins with '/' */
    uint16_t port;
};
enum tls_ocsp_url_result { OCSP_URL_GOOD, OCSP_URL_NO_HTTP, OCSP_URL_NO_HOST };
enum tls_ocsp_url_result tls_ocsp_url_parse(struct str text, struct tls_ocsp_url *u);

/* Everything is borrowed; certificates are held while they are needed. */
struct tls_ocsp_question {
    X509 *certificate, *issuer;
    STACK_OF(X509) * chain; /* further ones that help to verify the answer; may be NULL */
    X509_STORE *trust;      /* NULL: the answer is not verified */
    struct tls_ocsp_url url;
    const struct resolver *resolver;
    uint64_t resolver_timeout_ms;
};

enum tls_ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN, OCSP_FAILED };

struct tls_ocsp_answer {
    enum tls_ocsp_status status;
    const char *why; /* FAILED: for the log */
    struct str der;  /* of the response */
    int64_t until_s; /* wall clock: not good any more then; INT64_MAX: it does not say */
};

/* What a response says about the certificate of q. `why` is in a buffer of this file. */
void tls_ocsp_judge(const struct tls_ocsp_question *q, struct str der, struct tls_ocsp_answer *a);

/* Seconds since 1970; INT64_MAX for NULL: for ever. */
int64_t tls_ocsp_time(const ASN1_GENERALIZEDTIME *t);

struct tls_ocsp;
/* The answer lasts until fn returns. */
typedef void (*tls_ocsp_fn)(void *data, const struct tls_ocsp_answer *a);
/* fn comes once, from the loop and never from within, unless cancelled; what is wrong is logged before. NULL: memory, or
 * the certificate names nobody who could be asked. */
struct tls_ocsp *tls_ocsp_ask(const struct tls_ocsp_question *q, tls_ocsp_fn fn, void *data);
void tls_ocsp_cancel(struct tls_ocsp *o);

/* The name of a certificate's status among others: certificate and issuer, hashed. False: memory. */
bool tls_ocsp_key(X509 *certificate, X509 *issuer, char key[32]);

#endif
