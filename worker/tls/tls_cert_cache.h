/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_cert_cache.h - pairs of certificate and key whose names are known only when a connection needs them: read beside the
 * loop, kept as `ssl_certificate_cache` and its like say. Inside this room.
 */
#ifndef WEIR_TLS_TLS_CERT_CACHE_H
#define WEIR_TLS_TLS_CERT_CACHE_H

#include "common/base/list.h"
#include "common/conf/directive.h"
#include "worker/tls/tls.h"
#include "worker/tls/tls_pair.h"

/* What a directive says; the content is each worker's own. */
struct tls_cert_cache;

/* Who waits for a pair; embedded in him, zeroed before first use. */
struct tls_cert_wait {
    struct list node;
    /* From the loop. p is borrowed; NULL: e says why. */
    void (*done)(struct tls_cert_wait *w, struct tls_pair *p, const struct tls_pair_error *e);
};

enum tls_pair_result {
    TLS_PAIR_HERE, /* *p is a reference for the caller */
    TLS_PAIR_BAD,  /* *e says why */
    TLS_PAIR_WAIT, /* w->done will be called */
};

/* cache NULL: it is read each time. The strings of *s are copied where they are needed longer, but for the passwords. */
enum tls_pair_result tls_cert_get(struct tls_cert_cache *cache, const struct tls_pair_source *s,
                                  struct tls_cert_wait *w, struct tls_pair **p,
                                  struct tls_pair_error *e);
/* Waits no more; harmless when it does not. */
static inline void
tls_cert_forget(struct tls_cert_wait *w)
{
    list_del(&w->node);
}

#endif
