/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.h - allocator inside a zone: a chain of 2 MB segments, each with its own page table, so a zone can grow.
 * The caller holds the zone's lock and has called zone_dirty. NULL when full is ordinary: evict or refuse.
 */
#ifndef WEIR_SHM_SLAB_H
#define WEIR_SHM_SLAB_H

#include "common/shm/zone.h"

/* 8-byte aligned (64 from 64 bytes on), not zeroed. */
void *slab_alloc(struct zone *z, uint64_t bytes);
/* `p` from slab_alloc of the same zone; NULL is harmless. A foreign or free pointer is reported as corrupt. */
void slab_free(struct zone *z, void *p);
/* Bytes free in pages, for metrics. */
uint64_t slab_free_bytes(struct zone *z);
/* After a repair that walks the owner's structures: forgets all allocations; the owner marks what it still uses. */
void slab_repair_begin(struct zone *z);
bool slab_repair_mark(struct zone *z, const void *p, uint64_t bytes);
void slab_repair_end(struct zone *z);

#endif
