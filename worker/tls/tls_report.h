/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_report.h - what operators are told of the certificates: on request, and before they expire. Inside this room. */
#ifndef WEIR_TLS_TLS_REPORT_H
#define WEIR_TLS_TLS_REPORT_H

#include "common/shm/zone.h"
#include "worker/tls/tls_certificate.h"

enum {
    TLS_EXPIRING_DAYS = 30, /* the first warning */
    TLS_DAY_S = 86400,
};

/* Answers `certs` and adds to `status`. In a worker, once. */
void tls_report_start(const struct tls_shared *shared);

/* tls_expiry.c: the warnings. */
extern const struct zone_ops tls_expiry_zone_ops;
/* Asks for the zone. False after conf_fail. */
bool tls_expiry_set_up(struct conf_load *l, struct tls_shared *shared);
/* In a worker, once: looks now and then. */
void tls_expiry_start(const struct tls_shared *shared);
/* Which warning is due `left_s` seconds before the end: 0: none; 1: 30 days; 2: 7; 3: 1; 4: it is over. */
unsigned tls_expiry_level(int64_t left_s);
/* Whether the warning of this level is to be given now: nobody has, for what `what` names. */
bool tls_expiry_is_news(struct zone *z, struct str what, unsigned level);

#endif
