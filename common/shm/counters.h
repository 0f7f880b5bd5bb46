/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters.h - named 64-bit counters, a row of cache lines for each process slot; summed by the reader.
 *
 * A worker adds to its own row without a lock. When it dies, its counters are added to the `retired` sum, so totals
 * never fall; its gauges are dropped.
 */
#ifndef WEIR_SHM_COUNTERS_H
#define WEIR_SHM_COUNTERS_H

#include "common/shm/zone.h"

/* A row of a module's counter table; `id` is written once at start. */
struct counter_def {
    const char *name; /* "http_requests_total" */
    const char *help;
    bool gauge; /* may fall; dropped with its process */
    uint16_t *id;
};

extern const struct zone_ops counters_zone_ops;
/* Gives ids to the rows of all modules (modules.h) in order; the zone's size for them. */
uint64_t counters_number(void);
/* This process's row, before the first count; without it counting goes to a private row. */
void counters_attach(struct zone *z, uint32_t slot, uint64_t incarnation);
extern uint64_t *counters_row;
static inline void
counter_add(uint16_t id, int64_t n)
{
    __atomic_store_n(&counters_row[id], counters_row[id] + (uint64_t)n, __ATOMIC_RELAXED);
}
/* Over all live rows and the retired sum. */
uint64_t counters_sum(uint16_t id);
/* By name, for status; false when there is none. */
bool counters_find(const char *name, uint16_t *id);
/* The i-th definition, for listings; NULL at the end. */
const struct counter_def *counters_at(unsigned i);

#endif
