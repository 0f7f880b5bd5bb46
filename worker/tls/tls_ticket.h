/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_ticket.h - the keys of session tickets: of files, or of our own making in a zone that all workers share. */
#ifndef WEIR_TLS_TLS_TICKET_H
#define WEIR_TLS_TLS_TICKET_H

#include "common/shm/zone.h"
#include "worker/tls/tls_context.h"

enum { TICKET_NAME = 16, TICKET_KEY = 32 };

struct tls_ticket_key {
    uint8_t name[TICKET_NAME];
    uint8_t cipher[TICKET_KEY], mac[TICKET_KEY];
    uint32_t key_len; /* of both: 16 (AES-128) or 32 (AES-256) */
};

/* The first one encrypts, all decrypt. */
struct tls_ticket_keys {
    uint32_t n;
    struct tls_ticket_key key[];
};

extern const struct zone_ops tls_ticket_zone_ops;

/* Keys of a context: read from its files, or those of the zone, which it asks for. False after conf_fail. */
bool tls_ticket_set_up(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
                       struct tls_context *c);

enum { TICKET_KEYS = 2 }; /* the one in use, and the one before, whose tickets are still good */
/* The keys in the zone, by now: a new one takes over when the first has been in use for `life_ms`. */
void tls_ticket_keys_now(struct zone *z, uint64_t now_ms, uint64_t life_ms,
                         struct tls_ticket_key keys[TICKET_KEYS]);

#endif
