/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_key_log.h - the secrets of sessions in a file, for who has to read recorded traffic. Inside this room. */
#ifndef WEIR_TLS_TLS_KEY_LOG_H
#define WEIR_TLS_TLS_KEY_LOG_H

#include "worker/tls/tls_context.h"

/* A path, or "off"; the field is a struct log_file *, NULL for off. */
bool tls_key_log_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* As the context's settings say. */
void tls_key_log_set_up(const struct tls_context *c);

#endif
