/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - chunks of memory for bump allocation, and the cleanups that run at their end.
 *
 * Under AddressSanitizer every piece is a chunk of its own, so that a byte beyond it is reported.
 */
#include "common/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/sanitize.h"

struct arena_chunk {
    struct arena_chunk *next;
    char mem[] __attribute__((aligned(16)));
};

struct arena_cleanup {
    struct arena_cleanup *next; /* registered before this one */
    arena_free_fn fn;
    void *data;
};

enum { ARENA_STEP_MIN = 256 };

void
arena_init(struct arena *a, size_t step)
{
    *a = (struct arena){ .step = step < ARENA_STEP_MIN ? ARENA_STEP_MIN : step };
}

void
arena_init_in(struct arena *a, size_t step, void *first, size_t first_len)
{
    arena_init(a, step);
#ifndef WEIR_ASAN
    a->at = first;
    a->end = a->at + first_len;
#else
    (void)first;
    (void)first_len;
#endif
}

void
arena_free(struct arena *a)
{
    while (a->cleanups != NULL) {
        struct arena_cleanup *c = a->cleanups;

        a->cleanups = c->next;
        c->fn(c->data);
    }
    while (a->chunks != NULL) {
        struct arena_chunk *c = a->chunks;

        a->chunks = c->next;
        free(c);
    }
    arena_init(a, a->step);
}

static struct arena_chunk *
chunk_new(struct arena *a, size_t bytes)
{
    struct arena_chunk *c;

    if (bytes > SIZE_MAX / 2)
        return NULL;
    c = malloc(sizeof(*c) + bytes);
    if (c == NULL)
        return NULL;
    c->next = a->chunks;
    a->chunks = c;
    return c;
}

void *
arena_alloc_slow(struct arena *a, size_t bytes)
{
    size_t round = bytes == 0 ? 16 : (bytes + 15) & ~(size_t)15;
    size_t step = a->step - sizeof(struct arena_chunk);
    struct arena_chunk *c;

    if (round < bytes)
        return NULL;
#ifdef WEIR_ASAN
    step = 0;
    c = chunk_new(a, bytes);
#else
    if (round <= (size_t)(a->end - a->at)) { /* no bytes were asked for */
        a->at += round;
        a->used += round;
        return a->at - round;
    }
    /* A large piece gets a chunk of its own, and what is left of the current one stays in use. */
    c = chunk_new(a, round > step / 2 ? round : step);
#endif
    if (c == NULL)
        return NULL;
    if (round <= step / 2) {
        a->at = c->mem + round;
        a->end = c->mem + step;
    }
    a->used += round;
    return c->mem;
}

void *
arena_zalloc(struct arena *a, size_t bytes)
{
    void *p = arena_alloc(a, bytes);

    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

void *
arena_zalloc_front(struct arena *a, size_t bytes, size_t front)
{
    void *p = arena_alloc(a, bytes);

    if (p != NULL)
        memset(p, 0, front);
    return p;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return arena_zalloc(a, bytes);
}

struct str
arena_str(struct arena *a, struct str s)
{
    char *p = s.len == SIZE_MAX ? NULL : arena_alloc(a, s.len + 1);

    if (p == NULL)
        return STR_NONE;
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return str_n(p, s.len);
}

char *
arena_cstr(struct arena *a, struct str s)
{
    return (char *)(uintptr_t)arena_str(a, s).ptr;
}

struct str
arena_fmt(struct arena *a, const char *fmt, ...)
{
    char first[256];
    va_list args;
    char *p;
    int n;

    va_start(args, fmt);
    n = vsnprintf(first, sizeof(first), fmt, args);
    va_end(args);
    if (n < 0)
        return STR_NONE;
    if ((size_t)n < sizeof(first))
        return arena_str(a, str_n(first, (size_t)n));

    p = arena_alloc(a, (size_t)n + 1);
    if (p == NULL)
        return STR_NONE;
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return str_n(p, (size_t)n);
}

bool
arena_on_free(struct arena *a, arena_free_fn fn, void *data)
{
    struct arena_cleanup *c = arena_alloc(a, sizeof(*c));

    if (c == NULL)
        return false;
    *c = (struct arena_cleanup){ .next = a->cleanups, .fn = fn, .data = data };
    a->cleanups = c;
    return true;
}
