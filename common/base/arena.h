/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - bump allocation for things that end together: a cycle, a connection, an exchange.
 *
 * Nothing is freed singly. What needs an explicit end (a file, a reference) registers a cleanup; cleanups run in
 * reverse order of registration when the arena is freed or reset.
 */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include "common/base/panic.h"
#include "common/base/str.h"

struct arena_chunk;
struct arena_cleanup;

struct arena {
    char *at, *end; /* the free rest of the newest chunk */
    struct arena_chunk
        *chunks; /* newest first; the last one may lie in memory given to arena_init */
    struct arena_cleanup *cleanups;
    size_t step; /* size of the next ordinary chunk, bytes */
    size_t used; /* bytes asked for so far */
};

/* Starts empty; chunks of `step` bytes (at least 256) come from malloc as they are needed. */
void arena_init(struct arena *a, size_t step);
/* The same, with a first chunk that the caller owns (16-byte aligned). */
void arena_init_in(struct arena *a, size_t step, void *first, size_t first_len);
/* Runs the cleanups and gives all chunks back. The arena is then as after arena_init (a caller's chunk is forgotten). */
void arena_free(struct arena *a);

/* 16-byte aligned, not zeroed; NULL when memory is out. Zero bytes give a valid pointer. */
void *arena_alloc_slow(struct arena *a, size_t bytes);
static inline void *
arena_alloc(struct arena *a, size_t bytes)
{
    size_t round = (bytes + 15) & ~(size_t)15;

    if (LIKELY(round >= bytes && round <= (size_t)(a->end - a->at) && round != 0)) {
        void *p = a->at;

        a->at += round;
        a->used += round;
        return p;
    }
    return arena_alloc_slow(a, bytes);
}
void *arena_zalloc(struct arena *a, size_t bytes);
/* NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
/* Zeroed in front of `member` only: for a large end that is filled before it is read, and most often not at all. */
void *arena_zalloc_front(struct arena *a, size_t bytes, size_t front);
#define ARENA_NEW_FRONT(a, type, member) \
    ((type *)arena_zalloc_front((a), sizeof(type), offsetof(type, member)))

/* A copy with a NUL behind it; ptr NULL when memory is out. */
struct str arena_str(struct arena *a, struct str s);
/* The same as a C string. */
char *arena_cstr(struct arena *a, struct str s);
/* Formatted text with a NUL behind it; ptr NULL when memory is out. */
struct str arena_fmt(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

typedef void (*arena_free_fn)(void *data);
/* False when memory is out: then nothing is registered and the caller ends `data` itself. */
bool arena_on_free(struct arena *a, arena_free_fn fn, void *data);

#endif
