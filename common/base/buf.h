/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf.h - I/O buffers from free lists by size class. A worker gives back to the C library only what it had no use for in a
 * while (measured: heap trimming for each request costs more than the body).
 */
#ifndef WEIR_BASE_BUF_H
#define WEIR_BASE_BUF_H

#include "common/base/str.h"

/* Bytes [start, end) of mem are filled. */
struct buf {
    struct buf *next; /* the owner's chain; NULL otherwise */
    uint32_t cap;
    uint32_t start, end;
    uint8_t class;
    char mem[] __attribute__((aligned(16)));
};

/* With cap >= bytes (classes of 1, 2, 4 ... 256 kB; larger ones are allocated exactly). NULL when memory is out. */
struct buf *buf_get(size_t bytes);
/* Moves what is filled to the beginning of another one for `bytes` in all, and gives b back. NULL: memory; b stays. */
struct buf *buf_resize(struct buf *b, size_t bytes);
/* Copies up to `len` bytes of the first buffer of a chain, not NULL, which leave it; with its last byte it is given back and
 * the next one stands in its place. How many. */
size_t buf_take(struct buf **b, void *to, size_t len);
/* Back to its list; NULL is harmless. In sanitizer builds it is freed, so that a late use is reported. */
void buf_put(struct buf *b);
/* A whole chain. */
void buf_put_chain(struct buf *b);
/* Bytes in the free lists. */
size_t buf_spare(void);
/* Gives back to the system what was free all the time since the last call, except `keep` bytes. True: there is more of it,
 * for the next call, so that none blocks for long. */
bool buf_trim(size_t keep);

static inline size_t
buf_len(const struct buf *b)
{
    return b->end - b->start;
}
static inline size_t
buf_space(const struct buf *b)
{
    return b->cap - b->end;
}
static inline struct str
buf_str(const struct buf *b)
{
    return str_n(b->mem + b->start, buf_len(b));
}

#endif
