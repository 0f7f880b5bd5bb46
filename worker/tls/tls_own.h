/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_own.h - certificates that we show to origins, inside this room; the door is tls.h. */
#ifndef WEIR_TLS_TLS_OWN_H
#define WEIR_TLS_TLS_OWN_H

#include "worker/tls/tls_cert_cache.h"
#include "worker/tls/tls_context.h"

/* What it shows; NULL unless it is here. */
const struct tls_pair *tls_own_pair(const struct tls_own *o);

#endif
