/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_session.h - sessions that clients resume by their ID: the library's own cache, and one in a shared zone. */
#ifndef WEIR_TLS_TLS_SESSION_H
#define WEIR_TLS_TLS_SESSION_H

#include "common/shm/zone.h"
#include "worker/tls/tls_context.h"

extern const struct zone_ops tls_session_zone_ops;
/* The same for what OCSP responders said, under 32 bytes of tls_ocsp_key. */
extern const struct zone_ops tls_ocsp_zone_ops;

/* The cache of a context, as its settings say. */
void tls_session_set_up(struct tls_context *c, const struct tls_settings *s);

/* The shared cache by itself. A session is a run of bytes; times are monotonic milliseconds. */
enum { TLS_SESSION_MAX = 8192 }; /* bytes of one that is kept */
void tls_session_store(struct zone *z, struct str id, struct str session, uint64_t now_ms,
                       uint64_t expires_ms);
/* Copies it to `to` (TLS_SESSION_MAX bytes): how many; 0: it is not there. */
size_t tls_session_find(struct zone *z, struct str id, uint64_t now_ms, void *to);
void tls_session_forget(struct zone *z, struct str id);

#endif
