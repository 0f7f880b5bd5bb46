/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.h - a hash table from byte strings to pointers, and the seeded hash behind it.
 *
 * Keys are compared exactly; the caller lowers them where case does not count. Keyed by a process-wide random
 * seed, so a client cannot choose collisions.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "common/base/arena.h"

struct hash_slot;
struct hash {
    struct hash_slot *slots; /* open addressing, power of two */
    uint32_t n, cap;
    struct arena *arena; /* NULL: heap, hash_free gives it back */
};

/* 64 bits, well mixed, keyed with the seed of this process (set at first use from the kernel's random source). */
uint64_t hash_bytes(struct str key);
/* The same with ASCII letters folded to lower case. */
uint64_t hash_bytes_nocase(struct str key);
/* The same in all processes and for ever (for what lies in shared memory or on disk, with its own seed). */
uint64_t hash_bytes_seeded(struct str key, uint64_t seed);

void hash_init(struct hash *h, struct arena *a);
void hash_free(struct hash *h);
/* The value, or NULL. */
void *hash_get(const struct hash *h, struct str key);
/* The key is borrowed and has to live as long as the table. Replaces; `value` is not NULL. False: memory is out. */
bool hash_set(struct hash *h, struct str key, void *value);
/* The value that was there, or NULL. */
void *hash_del(struct hash *h, struct str key);
/* Walks in no particular order: *at starts at 0. False at the end. No changes meanwhile. */
bool hash_next(const struct hash *h, uint32_t *at, struct str *key, void **value);

#endif
