/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_dynamic.h - certificates of a context that are chosen in the handshake: those with variables in their names. Inside
 * this room.
 */
#ifndef WEIR_TLS_TLS_DYNAMIC_H
#define WEIR_TLS_TLS_DYNAMIC_H

#include "worker/tls/tls_context.h"

struct tls;
struct tls_dynamic;

/* Whether the pair is read in the handshake. */
static inline bool
tls_dynamic_is(const struct tls_file *certificate, const struct tls_file *key)
{
    return certificate->text != NULL || key->text != NULL;
}
/* Makes handshakes of the context ask for their certificates. */
void tls_dynamic_set_up(struct tls_context *c);
/* What a handshake that ends midway holds; NULL is nothing. */
void tls_dynamic_drop(struct tls_dynamic *d);

#endif
