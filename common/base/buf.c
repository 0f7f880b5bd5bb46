/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf.c - free lists of I/O buffers, one per size class, for the process's one loop thread.
 *
 * Under AddressSanitizer nothing is kept, so that a use after buf_put is reported with both of its stacks.
 */
#include "common/base/buf.h"

#include <stdlib.h>

#include "common/base/num.h"
#include "common/base/panic.h"
#include "common/base/sanitize.h"

enum {
    BUF_CLASSES = 9, /* 1 kB << class */
    BUF_UNPOOLED = 0xff,
    TRIM_STEP = 2 * 1024 * 1024, /* bytes that are given back at once */
};

static struct buf *free_lists[BUF_CLASSES];
static size_t free_bytes; /* in all lists, */
static size_t free_low;   /* and the least of it since the last trim */

static inline size_t
class_bytes(unsigned class)
{
    return (size_t)1024 << class;
}

static struct buf *
buf_new(size_t cap, unsigned class)
{
    struct buf *b;

    if (cap > UINT32_MAX - sizeof(*b))
        return NULL;
    b = malloc(sizeof(*b) + cap);
    if (b == NULL)
        return NULL;
    b->cap = (uint32_t)cap;
    b->class = (uint8_t) class;
    return b;
}

struct buf *
buf_get(size_t bytes)
{
    unsigned class = 0;
    struct buf *b;

    if (bytes > class_bytes(BUF_CLASSES - 1)) {
        b = buf_new(bytes, BUF_UNPOOLED);
    } else {
        if (bytes > 1024)
            class = (unsigned)(64 - __builtin_clzll((bytes - 1) >> 10));
        b = free_lists[class];
        if (b != NULL) {
            free_lists[class] = b->next;
            free_bytes -= b->cap;
            if (free_bytes < free_low)
                free_low = free_bytes;
            __builtin_prefetch(b->next); /* for who asks next */
        } else {
            b = buf_new(class_bytes(class), class);
        }
    }
    if (b != NULL) {
        b->next = NULL;
        b->start = b->end = 0;
    }
    return b;
}

size_t
buf_take(struct buf **b, void *to, size_t len)
{
    struct buf *first = *b;
    size_t n = num_min(len, buf_len(first));

    memcpy(to, first->mem + first->start, n);
    first->start += (uint32_t)n;
    if (buf_len(first) == 0) {
        *b = first->next;
        first->next = NULL;
        buf_put(first);
    }
    return n;
}

void
buf_put(struct buf *b)
{
    if (b == NULL)
        return;
#ifndef WEIR_ASAN
    if (b->class != BUF_UNPOOLED) {
        b->next = free_lists[b->class];
        free_lists[b->class] = b;
        free_bytes += b->cap;
        return;
    }
#endif
    free(b);
}

struct buf *
buf_resize(struct buf *b, size_t bytes)
{
    struct buf *other = buf_get(num_max(bytes, buf_len(b)));

    if (other == NULL)
        return NULL;
    memcpy(other->mem, b->mem + b->start, buf_len(b));
    other->end = (uint32_t)buf_len(b);
    buf_put(b);
    return other;
}

void
buf_put_chain(struct buf *b)
{
    while (b != NULL) {
        struct buf *next = b->next;

        buf_put(b);
        b = next;
    }
}

size_t
buf_spare(void)
{
    return free_bytes;
}

bool
buf_trim(size_t keep)
{
    size_t given = 0;

    for (unsigned class = BUF_CLASSES; class -- > 0;) {
        while (free_low > keep && given < TRIM_STEP && free_lists[class] != NULL) {
            struct buf *b = free_lists[class];

            free_lists[class] = b->next;
            free_bytes -= b->cap;
            free_low -= num_min(b->cap, free_low);
            given += b->cap;
            free(b);
        }
    }
    if (free_low > keep && given > 0)
        return true;
    free_low = free_bytes;
    return false;
}
