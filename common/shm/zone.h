/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone.h - named shared memory that outlives processes and reloads (ARCHITECTURE.md 9).
 *
 * A zone is a sealed memfd. Every process maps `reserve` bytes, which may lie beyond the file's end, so it grows in
 * place. The master creates, adopts and extends; what lies behind the header is its owner's, in workers.
 */
#ifndef WEIR_SHM_ZONE_H
#define WEIR_SHM_ZONE_H

#include "build/config.h"
#include "common/base/error.h"
#include "common/shm/off.h"

struct zone;
struct shm_lock;

/* What the owner of a kind of zone brings. All but `init` run in workers; all but `copy` under the zone's lock. */
struct zone_ops {
    const char *kind;  /* "upstream", "limit_req": two kinds never share a zone */
    uint32_t layout;   /* the owner's version; another one means a fresh zone */
    uint64_t size_min; /* bytes */
    /* A fresh, zeroed zone; in the master, before any worker is forked. */
    void (*init)(struct zone *z);
    /* LOCK_OWNER_DIED and dirty: makes the owner's structures whole again; may be run again. The slab is whole by
     * then, the zone dirty. NULL: the zone is reset. */
    void (*repair)(struct zone *z);
    /* Gives back what the slot's dead process held; repeated without harm. */
    void (*reap)(struct zone *z, uint32_t slot, uint64_t incarnation);
    /* New space is in the slab; the owner may extend tables. */
    void (*grow)(struct zone *z, uint64_t old_size);
    /* Takes over what it can from a zone of another layout or size; once, in one worker, before READY. Returns the
     * entries copied. */
    uint64_t (*copy)(struct zone *z, struct zone *old);
};

/*
 * Creates a zone: memfd of `size` bytes, mode 0600, sealed against shrinking, `reserve` fixed. `init` runs.
 * NULL with the reason.
 */
struct zone *zone_create(struct str name, uint64_t size, const struct zone_ops *ops,
                         struct error *err);
/*
 * Maps a zone from a descriptor of another generation or process (taken on success). The header is hostile: magic,
 * versions, checksum, seals and sizes are checked. NULL with the reason: the caller creates a fresh one.
 */
struct zone *zone_adopt(int fd, struct str name, uint64_t size, const struct zone_ops *ops,
                        struct error *err);
/*
 * The same for a zone of `ops`' kind whose owner's layout may be another one: only to copy from it (zone_worker_start).
 * It is in no list, is never repaired, and zone_layout says how to read it.
 */
struct zone *zone_map_old(int fd, struct str name, const struct zone_ops *ops, struct error *err);
/* In the master, before it forks: `old` (of zone_map_old) is what `z` replaces; zone_worker_start copies from it. */
void zone_set_old(struct zone *z, struct zone *old);
/* Unmaps and closes: a zone that no process of this generation uses. Not in a worker. */
void zone_drop(struct zone *z);
/* What the header of a foreign descriptor says; false when it is no zone. The master's view in the hand-over. */
bool zone_peek(int fd, char name[64], uint64_t *size, struct error *err);
/* Extends the file in place (the master, before it forks). False beyond the reserve. */
bool zone_extend(struct zone *z, uint64_t size, struct error *err);
/*
 * In a worker before READY: appends space that the file gained; runs `copy` from `old`, or when that is NULL from the zone of
 * zone_set_old if there is one, in the first worker that comes here.
 */
void zone_worker_start(struct zone *z, struct zone *old);

/*
 * From here on this process has a copy of its own that nobody else sees change, made page by page as it writes: it can
 * run the owner's code without effect. What others write at that time may look torn to it. False with errno.
 */
bool zone_detach(struct zone *z);

int zone_fd(const struct zone *z);
struct str zone_name(const struct zone *z);
uint64_t zone_size(const struct zone *z);    /* bytes usable now; a soft limit may be lower: */
uint64_t zone_limit(const struct zone *z);   /* what the configuration asks for */
uint64_t zone_repairs(const struct zone *z); /* count, for metrics */
uint32_t zone_layout(const struct zone *z);  /* the owner's, as the header says */
const struct zone_ops *zone_ops(const struct zone *z);
/* The owner's root object: zeroed at creation, `size` <= 4000 bytes, at a fixed place behind the header. */
void *zone_root(struct zone *z, uint64_t size);
void zone_set_owner(struct zone *z, void *owner); /* process-local */
void *zone_owner(const struct zone *z);

/*
 * The zone's lock. One at a time in a process, and never in the master. zone_lock repairs after a dead owner by itself; between zone_dirty
 * and zone_clean the owner's structures may be torn. Unlock asserts clean.
 */
void zone_lock(struct zone *z);
void zone_unlock(struct zone *z);
void zone_dirty(struct zone *z);
void zone_clean(struct zone *z);
/* Runs the owner's reap for a dead slot unless the zone's mark says that it has been done. */
void zone_reap(struct zone *z, uint32_t slot, uint64_t incarnation);
/* The owner found a bad offset: starts it anew under the lock (init), counted and logged. Lock held. */
void zone_reset(struct zone *z, const char *why);

/* All zones of this process, for reaping and status: the first for NULL; NULL at the end. */
struct zone *zone_next(struct zone *z);
/* For lock_on_stuck; NULL when it is none of ours. */
struct zone *zone_of_lock(const struct shm_lock *l);

/* Debug builds: dies here when WEIR_CRASH_AT names this point (a count may follow: "zone_dirty:3"), or names a file of
 * such names: the first process that comes by the first of them takes it away and dies. */
#ifdef WEIR_CRASH_POINTS
void crash_point(const char *name);
#else
#define crash_point(name) ((void)0)
#endif

#endif
