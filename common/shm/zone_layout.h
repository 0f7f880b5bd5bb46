/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone_layout.h - what lies in a zone's memory and in the process beside it; inner wall of common/shm.
 *
 *     0      struct zone_header: what is fixed, the lock, the slab's lists, the reapers' marks
 *     12288  the owner's root object, up to 4000 bytes
 *     16384  slab segments, each of at most 2 MB: page table, then pages
 *
 * Everything here may have been written by a process that went wrong. A number from it is an index only after a
 * check against what this process knows by itself (struct zone).
 */
#ifndef WEIR_SHM_ZONE_LAYOUT_H
#define WEIR_SHM_ZONE_LAYOUT_H

#include <stddef.h>

#include "common/shm/lock.h"
#include "common/shm/slots.h"
#include "common/shm/zone.h"

enum {
    ZONE_FORMAT = 1,      /* of the header */
    ZONE_LOCK_LAYOUT = 1, /* the lock's protocol */
    ZONE_SLAB_LAYOUT = 1,

    ZONE_PAGE = 4096,
    ZONE_ROOT_AT = 3 * ZONE_PAGE,
    ZONE_ROOT_MAX = 4000,
    ZONE_DATA_AT = 4 * ZONE_PAGE,

    SLAB_SEGMENT_PAGES = 512,
    SLAB_CLASSES = 17,
};
#define ZONE_SIZE_MAX ((uint64_t)1 << 44)

/* Written once by the process that creates the zone; `crc` is that of all bytes before it. */
struct zone_fixed {
    char magic[8];
    uint32_t format, lock_layout, slab_layout, owner_layout;
    char name[64];    /* ends with NUL */
    char kind[32];    /* ends with NUL */
    uint64_t reserve; /* bytes that every process maps, this header included */
    uint32_t spare[31];
    uint32_t crc;
};

/* Lists and sums that slab_recover() can build again from the page tables. */
struct slab_head {
    uint64_t extent; /* bytes behind ZONE_DATA_AT that lie in segments; stored last when it grows */
    uint64_t free_pages;            /* of all segments */
    uint32_t first_free;            /* no segment before it has a free page */
    uint32_t partial[SLAB_CLASSES]; /* page + 1 of the first page with room; 0: none */
};

struct zone_header {
    struct zone_fixed fixed;
    struct shm_lock lock __attribute__((aligned(64)));
    uint32_t dirty; /* 1: the owner's structures may be torn */
    uint64_t
        size; /* bytes behind ZONE_DATA_AT that the owner knows of; stored last when it grows */
    uint64_t repairs; /* after a death with `dirty` */
    uint64_t resets;
    uint32_t copied; /* a worker has begun to copy from the zone before this one */
    uint32_t spare[7];
    struct slab_head slab;
    /* Incarnation of the last process in the slot whose things were given back. */
    uint64_t reaped[SLOTS_MAX] __attribute__((aligned(4096)));
};
_Static_assert(sizeof(struct zone_fixed) == 256, "the header's fixed part");
_Static_assert(sizeof(struct zone_header) == ZONE_ROOT_AT, "the root object follows the header");

enum slab_kind { SLAB_FREE, SLAB_SMALL, SLAB_RUN, SLAB_TAIL, SLAB_TABLE };

/* One page of a segment: a row of its table. `used`, `kind`, `class` and `run` are the truth, the links follow. */
struct slab_page {
    uint64_t used[4];    /* SLAB_SMALL: a bit for each object */
    uint32_t next, prev; /* page + 1 in the list of pages with room of its class; 0: none */
    uint32_t run;        /* SLAB_RUN: pages of it, this one included */
    uint16_t spare;
    uint8_t kind;  /* enum slab_kind */
    uint8_t class; /* SLAB_SMALL: index of the size class */
};
struct slab_segment {
    uint32_t magic;
    uint32_t pages; /* all of the segment, its table included */
    uint32_t free;  /* pages */
    uint32_t spare[5];
    uint64_t free_map[SLAB_SEGMENT_PAGES / 64]; /* bit set: free */
    struct slab_page page[];
};
_Static_assert(sizeof(struct slab_page) == 48, "a row of the page table");
_Static_assert(sizeof(struct slab_segment) == 96, "a segment's head");

/* A segment as this process has checked it once. */
struct slab_span {
    uint32_t first; /* page number of its first page, counted from ZONE_DATA_AT */
    uint32_t pages;
    uint32_t table; /* pages of them that its head and table take */
};

/* A process's handle. */
struct zone {
    struct zone *next;     /* in the list of all */
    struct zone_header *h; /* the mapping */
    int fd;
    bool locked, dirty;  /* by this process, now */
    bool foreign;        /* of an older owner's layout, mapped only to copy from it */
    bool slab_broken;    /* its segments were found unusable: no allocations, said once */
    uint32_t layout;     /* the owner's, as in the header when it was checked */
    uint64_t reserve;    /* bytes mapped */
    uint64_t seen;       /* bytes that the file is known to have; it cannot shrink */
    uint64_t limit;      /* bytes that the configuration asks for */
    uint64_t span_bytes; /* covered by `spans` */
    struct slab_span *spans;
    uint32_t n_spans, max_spans;
    uint32_t last_span; /* that a look-up found */
    const struct zone_ops *ops;
    struct zone *old; /* that it replaces; NULL: none */
    void *owner;
    char name[64];
};

/* Learns how long the file is now; bytes of it, the header included, at most the reserve. */
uint64_t zone_look(struct zone *z);
/* Whether these bytes can be the fixed part of a zone whose file has `file_size` bytes. */
bool zone_check_fixed(const struct zone_fixed *f, uint64_t file_size, struct error *err);

/* Segments for what lies between the end of the last one and `bytes`; again is harmless. */
void slab_extend(struct zone *z, uint64_t bytes);
/* After a death: lists, maps and sums again from the page tables. */
void slab_recover(struct zone *z);
/* Forgets all allocations, and segments that make no sense. */
void slab_reset(struct zone *z);

#endif
