/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_staple.h - OCSP responses that go with our certificates (RFC 6066, 8). Inside this room. */
#ifndef WEIR_TLS_TLS_STAPLE_H
#define WEIR_TLS_TLS_STAPLE_H

#include "worker/tls/tls_context.h"

/* Makes c->staples, when its settings ask for them. While a configuration is loaded. False after conf_fail. */
bool tls_staple_set_up(struct conf_load *l, struct tls_shared *shared, struct tls_context *c);
/* In a worker: from now on they are kept fresh. */
void tls_staple_start(struct tls_shared *shared);

/* A certificate of the context has been renewed. */
void tls_staple_renew(struct tls_context *c);

#endif
