/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.h - the identity of a process for its life (ARCHITECTURE.md 9). Written by the master alone; workers have a
 * read-only mapping.
 */
#ifndef WEIR_SHM_SLOTS_H
#define WEIR_SHM_SLOTS_H

#include <sys/types.h>

#include "common/base/error.h"

enum { SLOTS_MAX = 1024 };
enum slot_state { SLOT_FREE, SLOT_LIVE, SLOT_DRAINING, SLOT_DEAD };

struct slot_row {
    uint32_t state; /* enum slot_state */
    int32_t pid;
    uint64_t incarnation; /* never used twice in a slot; 48 bits */
    uint64_t start_time;  /* of the process, from /proc */
    uint64_t generation;
    uint32_t kind;  /* 0 worker, 1 .. helper */
    uint32_t index; /* of the worker in its generation */
    uint64_t spare[2];
};
struct slot_table {
    char magic[8];
    uint32_t layout;
    uint32_t high_water; /* rows ever used */
    uint64_t next_incarnation;
    uint64_t spare[5];
    struct slot_row row[SLOTS_MAX];
};

/* The master's. The memfd is mode 0600; *fd is the writable descriptor, *ro_fd a read-only one for workers. */
struct slot_table *slots_create(int *fd, int *ro_fd, struct error *err);
/*
 * From a descriptor opened for writing, of the image before this one or by slots_reopen. Hostile: made by this user,
 * mode, seals, layout and every row are checked. The descriptor stays the caller's.
 */
struct slot_table *slots_adopt(int fd, int *ro_fd, struct error *err);
/* A worker's read-only descriptor opened for writing, by the next master. -1 with the reason. */
int slots_reopen(int ro_fd, struct error *err);
/* A free row made LIVE (pid and start time follow with slots_started); -1: none free. */
int slots_take(struct slot_table *t, uint64_t generation, uint32_t kind, uint32_t index);
void slots_started(struct slot_table *t, uint32_t slot, pid_t pid);
void slots_set(struct slot_table *t, uint32_t slot, enum slot_state state);
unsigned slots_free_count(const struct slot_table *t);
/*
 * F_SETLK on the writable descriptor: false and *holder when another process holds it (0: not known). The lock is
 * lost when this process closes any descriptor of the table.
 */
bool slots_lock(int fd, pid_t *holder);
/* A worker's mapping: read-only. */
const struct slot_table *slots_map(int ro_fd, struct error *err);

/* A reference from a zone to a process: 16 bits slot, 48 bits incarnation. */
static inline uint64_t
slot_ref(uint32_t slot, uint64_t incarnation)
{
    return ((uint64_t)slot << 48) | (incarnation & 0xffffffffffffULL);
}
/* This process's own reference, set once by the worker; 0: it has no slot. */
extern uint64_t process_slot;
/* Whether the referred process still holds its slot (LIVE or DRAINING). */
bool slot_ref_alive(const struct slot_table *t, uint64_t ref);

#endif
