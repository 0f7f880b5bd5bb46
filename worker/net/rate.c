/* SPDX-License-Identifier: BSD-2-Clause */
/* rate.c - the arithmetic of limit_rate. */
#include "worker/net/rate.h"

#include "common/base/num.h"

enum {
    BURST_MS =
        250, /* of the rate is allowed at once, so that a limited client is served in few, useful pieces */
    PIECE_MS = 100, /* worth of the rate is waited for at least: no wake-up for single bytes */
};

/* bytes_per_s for `ms`; UINT64_MAX when that is beyond counting. */
static uint64_t
bytes_in(uint64_t bytes_per_s, uint64_t ms)
{
    uint64_t thousandths;

    return num_mul(bytes_per_s, ms, &thousandths) ? thousandths / 1000 : UINT64_MAX;
}

uint64_t
rate_allowed(const struct rate *r, uint64_t now_ms, uint64_t *wait_ms)
{
    uint64_t elapsed = now_ms > r->started_ms ? now_ms - r->started_ms : 0;
    uint64_t budget, piece, missing;

    *wait_ms = 0;
    if (r->bytes_per_s == 0)
        return UINT64_MAX;
    if (!num_add(elapsed, BURST_MS, &elapsed) ||
        !num_add(bytes_in(r->bytes_per_s, elapsed), r->after, &budget))
        return UINT64_MAX;
    if (budget > r->passed)
        return budget - r->passed;

    piece = num_max(bytes_in(r->bytes_per_s, PIECE_MS), 1);
    if (!num_add(r->passed - budget, piece, &missing))
        missing = UINT64_MAX;
    /* Rounded up: to come a moment early would find nothing. */
    *wait_ms = missing / r->bytes_per_s * 1000 +
               (missing % r->bytes_per_s * 1000 + r->bytes_per_s - 1) / r->bytes_per_s;
    return 0;
}
