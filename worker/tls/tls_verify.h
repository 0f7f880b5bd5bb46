/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_verify.h - certificates of clients: asked for in the handshake, judged by each request. */
#ifndef WEIR_TLS_TLS_VERIFY_H
#define WEIR_TLS_TLS_VERIFY_H

#include <openssl/ssl.h>

#include "worker/tls/tls_context.h"

/* Clients are asked for a certificate. A bad one does not end the handshake: the request is answered with 495. */
void tls_verify_set_up(SSL_CTX *ctx, uint32_t depth);
/* Whether `mode` takes a certificate with this result of its verification. */
bool tls_verify_accepts(enum tls_verify mode, long result);

#endif
