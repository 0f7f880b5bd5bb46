/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c - slabs of equal pieces in one range of addresses.
 *
 * One range makes "is it ours" one comparison, and what is known of a slab lies in a table beside them all: a piece that
 * is written beyond its end does not reach it. A free piece holds the number of the next one of its slab, mixed with a
 * secret: a link that was overwritten is found out, and cannot lead out of the slab in any case.
 *
 * Slabs are filled from low addresses on, so that the high ones become empty when there is less to hold.
 */
#include "common/base/heap.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/list.h"
#include "common/base/rand.h"
#include "common/base/sanitize.h"

enum {
    SLAB_SHIFT = 16,
    SLAB_BYTES = 1 << SLAB_SHIFT,
    GROW_SLABS = 16, /* at a time: a system call for each megabyte */
    TRIM_SLABS = 32, /* at a time */

    PIECE_MAX = 32768,
    FINE_STEP = 16, /* sizes up to FINE_MAX are multiples of it */
    FINE_MAX = 1024,
    FINE_CLASSES = FINE_MAX / FINE_STEP,
    PER_DOUBLING = 8, /* sizes from there to the double of it: at most an eighth is wasted */
    CLASSES = FINE_CLASSES + 5 * PER_DOUBLING,

    /* First pieces are the most used ones: were all at the starts of slabs, they would share a few lines of the cache. */
    COLOURS = 32,
    COLOUR_BYTES = 64,

    LINK_BITS =
        16, /* of a free piece's first word: the number of the next one + 1; the others are the secret's */
};

enum slab_state {
    SLAB_EMPTY, /* in range.empty or range.returned */
    SLAB_CURRENT, /* the one that its class allocates from; the only one that may be without a piece in use */
    SLAB_PARTIAL, /* in the list of its class */
    SLAB_FULL,
    SLAB_INHERITED, /* of the parent process: pieces are freed from it and never taken */
};

struct slab {
    struct list node;
    uint32_t reciprocal; /* 2^32 / size, rounded up: divides an offset by the size */
    uint16_t size;       /* of a piece */
    uint16_t count;      /* pieces that there is room for */
    uint16_t carved; /* pieces that have been in use; those behind them have never been touched */
    uint16_t used;
    uint16_t free; /* number of the first free piece + 1 */
    uint8_t colour;
    uint8_t state;
};

_Static_assert(sizeof(struct slab) == 32, "a slab's entry is half a cache line");

static struct {
    uintptr_t start;             /* of slab 0; 0: no heap */
    size_t bytes;                /* that are reserved for slabs */
    struct slab *table;          /* one for each */
    size_t table_open;           /* bytes of the table that are memory, whole pages */
    uint32_t slabs, open, begun; /* there is room for; are memory; were in use already */
    struct list empty;           /* slabs that are memory */
    struct list returned;        /* slabs whose memory went back to the system */
    uint32_t spare, spare_low;   /* length of `empty`; its minimum since the last trim */
    uint64_t secret;
} range;

static struct slab
    nowhere; /* has no piece and room for none: the current slab of a class that has none */
static struct slab *current[CLASSES];
static struct list partial[CLASSES];
static _Atomic(void *)
    foreign; /* pieces that other threads freed; each begins with a pointer to the next */

/* Whether the calling thread is the heap's. */
static __thread bool is_owner;

/* ---- sizes ---- */

static inline unsigned
class_of(size_t bytes)
{
    unsigned doubling, eighth;

    if (LIKELY(bytes <= FINE_MAX))
        return (unsigned)(bytes - 1) / FINE_STEP;
    doubling = 63 - (unsigned)__builtin_clzll(bytes - 1); /* from 10 on */
    eighth = (unsigned)((bytes - 1) >> (doubling - 3)) & (PER_DOUBLING - 1);
    return FINE_CLASSES + (doubling - 10) * PER_DOUBLING + eighth;
}

static unsigned
class_size(unsigned class)
{
    unsigned doubling, eighth;

    if (class < FINE_CLASSES)
        return (class + 1) * FINE_STEP;
    doubling = (class - FINE_CLASSES) / PER_DOUBLING;
    eighth = (class - FINE_CLASSES) % PER_DOUBLING;
    return (FINE_MAX / PER_DOUBLING << doubling) * (PER_DOUBLING + eighth + 1);
}

/* ---- slabs ---- */

static inline uintptr_t
slab_start(const struct slab *s)
{
    return range.start + ((uintptr_t)(s - range.table) << SLAB_SHIFT);
}

static inline void *
piece_at(const struct slab *s, unsigned i)
{
    return (void *)(slab_start(s) + (unsigned)s->colour * COLOUR_BYTES + (size_t)i * s->size);
}

/* The number of the piece that starts there; a panic when none does that was ever in use. */
static inline unsigned
piece_number(const struct slab *s, uintptr_t offset)
{
    unsigned within = (unsigned)(offset & (SLAB_BYTES - 1)) - (unsigned)s->colour * COLOUR_BYTES;
    unsigned i = (unsigned)((uint64_t)within * s->reciprocal >> 32);

    ASSERT(i < s->carved && i * s->size == within);
    return i;
}

/* More addresses become memory. False: the system refuses it, or the range is at its end. */
static bool
range_grow(void)
{
    uint32_t n = range.slabs - range.open < GROW_SLABS ? range.slabs - range.open : GROW_SLABS;
    size_t page = (size_t)getpagesize();
    size_t table = ((range.open + n) * sizeof(struct slab) + page - 1) / page * page;

    if (n == 0)
        return false;
    if (table > range.table_open) {
        if (mprotect((char *)range.table + range.table_open, table - range.table_open,
                     PROT_READ | PROT_WRITE) != 0)
            return false;
        range.table_open = table;
    }
    if (mprotect((void *)(range.start + ((uintptr_t)range.open << SLAB_SHIFT)),
                 (size_t)n << SLAB_SHIFT, PROT_READ | PROT_WRITE) != 0)
        return false;
    range.open += n;
    return true;
}

/* Without pieces yet. NULL: there is none. */
static struct slab *
slab_take(void)
{
    struct list *node = list_first(&range.empty);

    if (node != NULL) {
        if (--range.spare < range.spare_low)
            range.spare_low = range.spare;
    } else {
        node = list_first(&range.returned);
    }
    if (node != NULL) {
        list_del(node);
        return LIST_ENTRY(node, struct slab, node);
    }
    if (range.begun == range.open && !range_grow())
        return NULL;
    return &range.table[range.begun++];
}

static void
slab_begin(struct slab *s, unsigned class)
{
    unsigned size = class_size(class);

    s->size = (uint16_t)size;
    s->reciprocal = (uint32_t)((((uint64_t)1 << 32) + size - 1) / size);
    s->colour = size <= FINE_MAX ? (uint8_t)((s - range.table) % COLOURS) : 0;
    s->count = (uint16_t)((SLAB_BYTES - (unsigned)s->colour * COLOUR_BYTES) / size);
    s->carved = s->used = s->free = 0;
    s->state = SLAB_CURRENT;
}

/* It had its last piece freed. */
static void
slab_end(struct slab *s)
{
    s->state = SLAB_EMPTY;
    s->carved = s->count = s->free = 0;
    list_add_head(&range.empty, &s->node);
    range.spare++;
}

/* It has room again. Those at low addresses come first, roughly. */
static void
slab_offer(struct slab *s)
{
    struct list *head = &partial[class_of(s->size)], *first = list_first(head);

    s->state = SLAB_PARTIAL;
    if (first == NULL || s < LIST_ENTRY(first, struct slab, node))
        list_add_head(head, &s->node);
    else
        list_add_tail(head, &s->node);
}

static void
slab_return(struct slab *s)
{
    list_del(&s->node);
    range.spare--;
    (void)madvise((void *)slab_start(s), SLAB_BYTES, MADV_DONTNEED);
    list_add_tail(&range.returned, &s->node);
}

/* ---- pieces ---- */

/* Of a slab that has room. */
static inline void *
piece_take(struct slab *s)
{
    uint64_t *p, next;

    s->used++;
    if (s->free == 0)
        return piece_at(s, s->carved++);
    p = piece_at(s, s->free - 1U);
    next = *p ^ range.secret;
    ASSERT(next <= s->carved); /* else it was written after it was freed */
    s->free = (uint16_t)next;
    *p = 0;
    return p;
}

/* It looks free; the bytes of a piece in use may do so by chance. */
static void
check_not_free(const struct slab *s, unsigned i)
{
    unsigned steps = 0, at = s->free;

    while (at != 0) {
        uint64_t next = *(const uint64_t *)piece_at(s, at - 1) ^ range.secret;

        ASSERT(at - 1 != i); /* else it is freed twice */
        ASSERT(next <= s->carved && steps++ < s->carved);
        at = (unsigned)next;
    }
}

static inline void
piece_put(struct slab *s, unsigned i, void *p)
{
    *(uint64_t *)p = range.secret ^ s->free;
    s->free = (uint16_t)(i + 1);
    s->used--;
}

static inline bool
looks_free(const void *p)
{
    return (*(const uint64_t *)p ^ range.secret) >> LINK_BITS == 0;
}

/* Into a slab that its class does not allocate from, or what looks free. */
static __attribute__((noinline)) void
put_aside(struct slab *s, unsigned i, void *p)
{
    if (s->state == SLAB_INHERITED) {
        ASSERT(s->used > 0);
        if (--s->used == 0)
            slab_end(s);
        return;
    }
    if (looks_free(p))
        check_not_free(s, i);
    piece_put(s, i, p);
    if (s->state == SLAB_FULL) {
        slab_offer(s);
    } else if (s->state == SLAB_PARTIAL && s->used == 0) {
        list_del(&s->node);
        slab_end(s);
    }
}

static inline void
put(void *p, uintptr_t offset)
{
    struct slab *s = &range.table[offset >> SLAB_SHIFT];
    unsigned i = piece_number(s, offset);

    if (LIKELY(s->state == SLAB_CURRENT && !looks_free(p)))
        piece_put(s, i, p);
    else
        put_aside(s, i, p);
}

static void
put_foreign(void *p)
{
    void *first = atomic_load_explicit(&foreign, memory_order_relaxed);

    do {
        memcpy(p, &first, sizeof(first));
    } while (!atomic_compare_exchange_weak_explicit(&foreign, &first, p, memory_order_release,
                                                    memory_order_relaxed));
}

static void
collect_foreign(void)
{
    void *p = atomic_load_explicit(&foreign, memory_order_relaxed);

    if (p == NULL)
        return;
    p = atomic_exchange_explicit(&foreign, NULL, memory_order_acquire);
    while (p != NULL) {
        uintptr_t offset = (uintptr_t)p - range.start;
        void *next;

        ASSERT(offset < (uintptr_t)range.begun << SLAB_SHIFT);
        memcpy(&next, p, sizeof(next));
        put(p, offset);
        p = next;
    }
}

/* The current slab of the class is used up. */
static __attribute__((noinline)) void *
alloc_slow(unsigned class, size_t bytes)
{
    struct slab *s;
    struct list *node;

    collect_foreign();
    s = current[class];
    if (s->free != 0)
        return piece_take(s);
    node = list_first(&partial[class]);
    if (node != NULL) {
        list_del(node);
        s = LIST_ENTRY(node, struct slab, node);
        s->state = SLAB_CURRENT;
    } else {
        s = slab_take();
        if (s == NULL)
            return malloc(bytes);
        slab_begin(s, class);
    }
    if (current[class] != &nowhere)
        current[class]->state = SLAB_FULL;
    current[class] = s;
    return piece_take(s);
}

void *
heap_alloc(size_t bytes)
{
    unsigned class;
    struct slab *s;

    if (UNLIKELY(!is_owner || bytes - 1 >= PIECE_MAX))
        return bytes == 0 ? NULL : malloc(bytes);
    class = class_of(bytes);
    s = current[class];
    if (LIKELY(s->free != 0 || s->carved < s->count))
        return piece_take(s);
    return alloc_slow(class, bytes);
}

void
heap_free(void *p)
{
    uintptr_t offset = (uintptr_t)p - range.start;

    if (UNLIKELY(offset >= range.bytes))
        free(p);
    else if (LIKELY(is_owner))
        put(p, offset);
    else
        put_foreign(p);
}

void *
heap_realloc(void *p, size_t bytes)
{
    uintptr_t offset = (uintptr_t)p - range.start;
    size_t size;
    void *moved;

    if (p == NULL)
        return heap_alloc(bytes);
    if (bytes == 0) {
        heap_free(p);
        return NULL;
    }
    if (offset >= range.bytes)
        return realloc(p, bytes);
    size = range.table[offset >> SLAB_SHIFT].size;
    if (bytes <= size && bytes >= size / 2)
        return p;
    moved = heap_alloc(bytes);
    if (moved == NULL)
        return NULL;
    memcpy(moved, p, bytes < size ? bytes : size);
    heap_free(p);
    return moved;
}

/* ---- the process ---- */

/* Memcheck and its like take malloc's place and watch it. Those that only count (callgrind) do not. */
static bool
is_watched(void)
{
    const char *preloaded = getenv("LD_PRELOAD");

#ifdef WEIR_ASAN
    return true;
#endif
    for (preloaded = preloaded != NULL ? strstr(preloaded, "vgpreload_") : NULL; preloaded != NULL;
         preloaded = strstr(preloaded + 1, "vgpreload_")) {
        if (strncmp(preloaded, "vgpreload_core", 14) != 0)
            return true;
    }
    return false;
}

/* With a table in front. Guards make it begin at a slab's boundary. */
static bool
reserve(uint32_t slabs)
{
    size_t table = ((size_t)slabs * sizeof(struct slab) + SLAB_BYTES - 1) >> SLAB_SHIFT
                                                                                 << SLAB_SHIFT;
    size_t bytes = ((size_t)slabs << SLAB_SHIFT) + table + SLAB_BYTES;
    void *mem = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mem == MAP_FAILED)
        return false;
    (void)madvise(mem, bytes, MADV_DONTDUMP);
    range.table = (struct slab *)(((uintptr_t)mem + SLAB_BYTES - 1) >> SLAB_SHIFT << SLAB_SHIFT);
    range.start = (uintptr_t)range.table + table;
    range.bytes = (size_t)slabs << SLAB_SHIFT;
    range.slabs = slabs;
    return true;
}

static void
forget_slabs(void)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        current[class] = &nowhere;
        list_init(&partial[class]);
    }
    rand_bytes(&range.secret, sizeof(range.secret));
}

/* Addresses for that many slabs. Where these are limited most are left to others. */
static uint32_t
slabs_wanted(void)
{
    const uint32_t most = (uint32_t)1 << (34 - SLAB_SHIFT); /* 16 GB: a million TLS connections */
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
        limit.rlim_cur / 4 >> SLAB_SHIFT >= most)
        return most;
    return (uint32_t)(limit.rlim_cur / 4 >> SLAB_SHIFT);
}

bool
heap_init(void)
{
    if (range.start != 0 || is_watched())
        return range.start != 0;
    for (uint32_t slabs = slabs_wanted(); slabs >= GROW_SLABS; slabs /= 2) {
        if (reserve(slabs)) {
            list_init(&range.empty);
            list_init(&range.returned);
            forget_slabs();
            is_owner = true;
            return true;
        }
    }
    return false;
}

void
heap_after_fork(void)
{
    if (!is_owner)
        return;
    for (uint32_t i = 0; i < range.begun; i++) {
        struct slab *s = &range.table[i];

        if (s->state == SLAB_EMPTY)
            continue;
        list_init(&s->node);
        s->state = SLAB_INHERITED;
        s->carved = s->count;
        if (s->used == 0)
            slab_end(s);
    }
    while (!list_empty(&range.empty)) /* these are the parent's pages, too */
        slab_return(LIST_ENTRY(range.empty.next, struct slab, node));
    range.spare_low = 0;
    atomic_store_explicit(&foreign, NULL, memory_order_relaxed);
    forget_slabs(); /* with a secret of its own: free pieces of inherited slabs are not looked at again */
}

size_t
heap_spare(void)
{
    return (size_t)range.spare << SLAB_SHIFT;
}

/* The class that has no use for it takes another when it does. */
static void
release_unused(void)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct slab *s = current[class];

        if (s != &nowhere && s->used == 0) {
            current[class] = &nowhere;
            slab_end(s);
        }
    }
}

bool
heap_trim(size_t keep)
{
    uint32_t keep_slabs = (uint32_t)(keep >> SLAB_SHIFT);

    if (!is_owner)
        return false;
    collect_foreign();
    for (unsigned n = 0; range.spare_low > keep_slabs && n < TRIM_SLABS; n++) {
        slab_return(
            LIST_ENTRY(range.empty.prev, struct slab, node)); /* empty for the longest time */
        range.spare_low--;
    }
    if (range.spare_low > keep_slabs)
        return true;
    release_unused();
    range.spare_low = range.spare;
    return false;
}
