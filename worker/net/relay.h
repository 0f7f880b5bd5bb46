/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - copies both ways between two connections with backpressure and half-close; splice when both are plain.
 * For L4 sessions, Upgrade and CONNECT on HTTP/1.
 */
#ifndef WEIR_NET_RELAY_H
#define WEIR_NET_RELAY_H

#include "worker/net/conn.h"

struct relay;
struct relay_options {
    uint64_t timeout_ms;      /* nothing moves in either direction for so long: ends; 0: none */
    uint64_t send_timeout_ms; /* the same while `b` takes nothing of what waits for it; 0: none */
    uint64_t buffer_size;     /* of reads that are not spliced; 0: 16 kB */
    void (*ended)(struct relay *r, void *data,
                  const char *why); /* both connections are still open: the caller closes */
    void *data;
};
/* Takes over on_event, owner and timer of both. Bytes read ahead (c->in) are forwarded first. NULL: memory. */
struct relay *relay_start(struct conn *a, struct conn *b, const struct relay_options *o);
/* Bytes given to `b` (from a) and to `a`. */
void relay_counts(const struct relay *r, uint64_t *a_to_b, uint64_t *b_to_a);
/* Stops without calling ended. */
void relay_stop(struct relay *r);

#endif
