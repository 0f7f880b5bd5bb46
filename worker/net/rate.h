/* SPDX-License-Identifier: BSD-2-Clause */
/* rate.h - byte-rate limiting: how much may be sent now, and when more. Pure arithmetic on a clock. */
#ifndef WEIR_NET_RATE_H
#define WEIR_NET_RATE_H

#include <stdint.h>

struct rate {
    uint64_t bytes_per_s; /* 0: unlimited */
    uint64_t after;       /* bytes free of any limit first */
    uint64_t started_ms;
    uint64_t passed; /* bytes so far */
};
/* Bytes allowed now; 0: none until *wait_ms from now. */
uint64_t rate_allowed(const struct rate *r, uint64_t now_ms, uint64_t *wait_ms);

#endif
