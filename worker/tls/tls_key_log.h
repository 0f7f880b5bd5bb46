/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_key_log.h - the secrets of sessions in a file, for who has to read recorded traffic. Inside this room. */
#ifndef WEIR_TLS_TLS_KEY_LOG_H
#define WEIR_TLS_TLS_KEY_LOG_H

#include "worker/tls/tls_context.h"

/* As the context's settings say. */
void tls_key_log_set_up(const struct tls_context *c);

#endif
