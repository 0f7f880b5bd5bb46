/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slab.c - allocator inside a zone.
 *
 * Objects of up to 2048 bytes share pages by size class, larger ones take runs of pages within one segment. The
 * truth is in the page tables: a page's kind, the length of a run, a bit for each small object. It changes by single
 * stores, in such an order that a death between two of them leaks nothing and gives nothing away twice. Free maps,
 * lists of pages with room and sums only speed things up: slab_recover() builds them again after a death, and also
 * when one of them is found to lie.
 *
 * Where segments begin and end is read from the zone once and then kept in the process (struct slab_span).
 */
#include "common/shm/slab.h"

#include <inttypes.h>

#include "common/log/log.h"
#include "common/shm/zone_layout.h"

enum { SLAB_MAGIC = 0x62616c73, SLAB_RUN_MAX = SLAB_SEGMENT_PAGES * ZONE_PAGE };

/* From 64 on multiples of it, so that objects begin at cache lines. A page holds at most 256 objects. */
static const uint16_t class_size[SLAB_CLASSES] = { 16,  24,  32,  48,  64,  128,  192,  256, 320,
                                                   384, 448, 512, 640, 768, 1024, 1344, 2048 };

/* A page in its segment. */
struct place {
    struct slab_segment *seg;
    struct slab_page *page;
    uint32_t span;  /* index in z->spans */
    uint32_t index; /* of the page in the segment */
};

static unsigned
class_of(uint64_t bytes)
{
    unsigned c = 0;

    while (class_size[c] < bytes)
        c++;
    return c;
}

static unsigned
class_room(unsigned class)
{
    return ZONE_PAGE / class_size[class];
}

static uint32_t
table_pages(uint32_t pages)
{
    size_t bytes = sizeof(struct slab_segment) + pages * sizeof(struct slab_page);

    return (uint32_t)((bytes + ZONE_PAGE - 1) / ZONE_PAGE);
}

static struct slab_segment *
span_segment(struct zone *z, const struct slab_span *s)
{
    return (struct slab_segment *)((char *)z->h + ZONE_DATA_AT + (uint64_t)s->first * ZONE_PAGE);
}

static void *
page_memory(struct zone *z, const struct place *at)
{
    return (char *)span_segment(z, &z->spans[at->span]) + (uint64_t)at->index * ZONE_PAGE;
}

static uint32_t
page_number(struct zone *z, const struct place *at)
{
    return z->spans[at->span].first + at->index;
}

static void
slab_break(struct zone *z, const char *why)
{
    if (!z->slab_broken)
        log_error(0, "zone \"%s\": corrupt: %s", z->name, why);
    z->slab_broken = true;
}

/* ---- segments ------------------------------------------------------------------------------------------------ */

static void
spans_add(struct zone *z, uint32_t pages)
{
    struct slab_span *s = &z->spans[z->n_spans++];

    s->first = (uint32_t)(z->span_bytes / ZONE_PAGE);
    s->pages = pages;
    s->table = table_pages(pages);
    z->span_bytes += (uint64_t)pages * ZONE_PAGE;
}

/* Learns the segments that another process has added. */
static void
spans_look(struct zone *z)
{
    uint64_t extent = __atomic_load_n(&z->h->slab.extent, __ATOMIC_ACQUIRE);

    if (LIKELY(extent == z->span_bytes) || z->slab_broken)
        return;
    if (extent < z->span_bytes || extent % ZONE_PAGE != 0 ||
        (extent > z->seen - ZONE_DATA_AT && extent > zone_look(z) - ZONE_DATA_AT)) {
        slab_break(z, "extent of the slab");
        return;
    }
    while (z->span_bytes < extent) {
        struct slab_span next = { .first = (uint32_t)(z->span_bytes / ZONE_PAGE) };
        struct slab_segment *seg = span_segment(z, &next);
        uint32_t pages = __atomic_load_n(&seg->pages, __ATOMIC_RELAXED);

        if (seg->magic != SLAB_MAGIC || pages < 2 || pages > SLAB_SEGMENT_PAGES ||
            (uint64_t)pages * ZONE_PAGE > extent - z->span_bytes || z->n_spans == z->max_spans) {
            slab_break(z, "a segment of the slab");
            return;
        }
        spans_add(z, pages);
    }
}

static void
map_set(struct slab_segment *seg, uint32_t i)
{
    seg->free_map[i / 64] |= (uint64_t)1 << (i % 64);
}

static void
map_clear(struct slab_segment *seg, uint32_t i)
{
    seg->free_map[i / 64] &= ~((uint64_t)1 << (i % 64));
}

/* All its pages free. */
static void
segment_clear(struct zone *z, const struct slab_span *s)
{
    struct slab_segment *seg = span_segment(z, s);

    memset(seg, 0, sizeof(*seg) + s->pages * sizeof(seg->page[0]));
    seg->magic = SLAB_MAGIC;
    seg->pages = s->pages;
    seg->free = s->pages - s->table;
    for (uint32_t i = 0; i < s->table; i++)
        seg->page[i].kind = SLAB_TABLE;
    for (uint32_t i = s->table; i < s->pages; i++)
        map_set(seg, i);
}

void
slab_extend(struct zone *z, uint64_t bytes)
{
    struct slab_head *head = &z->h->slab;

    ASSERT(z->dirty);
    spans_look(z);
    if (z->slab_broken || bytes > zone_look(z) - ZONE_DATA_AT)
        return;
    while (bytes > z->span_bytes && z->n_spans < z->max_spans) {
        uint64_t pages = (bytes - z->span_bytes) / ZONE_PAGE;

        if (pages < 2)
            break;                      /* a page alone would be its own table: it waits for more */
        if (pages > SLAB_SEGMENT_PAGES) /* and none is to be left over */
            pages = pages == SLAB_SEGMENT_PAGES + 1 ? pages - 2 : SLAB_SEGMENT_PAGES;
        spans_add(z, (uint32_t)pages);
        segment_clear(z, &z->spans[z->n_spans - 1]);
        crash_point("slab_extend");
        __atomic_store_n(&head->extent, z->span_bytes, __ATOMIC_RELEASE);
        head->free_pages += pages - table_pages((uint32_t)pages);
    }
}

void
slab_reset(struct zone *z)
{
    ASSERT(z->dirty);
    spans_look(z);
    if (z->slab_broken) { /* what this process knows is kept, the rest is laid out anew */
        z->slab_broken = false;
        z->h->slab.extent = z->span_bytes;
    }
    slab_repair_begin(z);
    slab_recover(z);
    slab_extend(z, zone_look(z) - ZONE_DATA_AT);
}

/* ---- finding and linking pages ------------------------------------------------------------------------------- */

/* The page of this number, tables excluded. False: there is none. */
static bool
page_find(struct zone *z, uint32_t number, struct place *at)
{
    uint32_t low = 0, high = z->n_spans;
    const struct slab_span *s;

    if (z->last_span < high && number >= z->spans[z->last_span].first)
        low = z->last_span;
    if (low + 1 < high && number < z->spans[low + 1].first)
        high = low + 1;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (number >= z->spans[mid].first)
            low = mid;
        else
            high = mid;
    }
    if (high == 0)
        return false;
    s = &z->spans[low];
    if (number - s->first >= s->pages || number - s->first < s->table)
        return false;
    z->last_span = low;
    at->span = low;
    at->index = number - s->first;
    at->seg = span_segment(z, s);
    at->page = &at->seg->page[at->index];
    return true;
}

/* The page that holds `p`, and where in it. */
static bool
page_of(struct zone *z, const void *p, struct place *at, uint64_t *within)
{
    uint64_t o = off_of(z, p);

    if (o < ZONE_DATA_AT || o - ZONE_DATA_AT >= z->span_bytes)
        return false;
    *within = o % ZONE_PAGE;
    return page_find(z, (uint32_t)((o - ZONE_DATA_AT) / ZONE_PAGE), at);
}

/* A page that a link names: of this class, else the lists lie. */
static bool
link_find(struct zone *z, uint32_t link, unsigned class, struct place *at)
{
    return link != 0 && page_find(z, link - 1, at) && at->page->kind == SLAB_SMALL &&
           at->page->class == class;
}

static void
page_link(struct zone *z, const struct place *at, unsigned class)
{
    uint32_t *first = &z->h->slab.partial[class], me = page_number(z, at) + 1;
    struct place next;

    at->page->prev = 0;
    at->page->next = 0;
    if (link_find(z, *first, class, &next)) {
        at->page->next = *first;
        next.page->prev = me;
    }
    *first = me;
}

static void
page_unlink(struct zone *z, const struct place *at, unsigned class)
{
    struct place next, prev;
    uint32_t link_next = at->page->next, link_prev = at->page->prev;

    if (link_find(z, link_next, class, &next))
        next.page->prev = link_prev;
    if (link_find(z, link_prev, class, &prev))
        prev.page->next = link_next;
    else
        z->h->slab.partial[class] = link_next;
    at->page->next = at->page->prev = 0;
}

static unsigned
page_used(const struct slab_page *page)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ARRAY_LEN(page->used); i++)
        n += (unsigned)__builtin_popcountll(page->used[i]);
    return n;
}

/* ---- runs of pages ------------------------------------------------------------------------------------------- */

/* First of `n` neighbours in the map; SLAB_SEGMENT_PAGES: none. */
static uint32_t
map_find(const struct slab_segment *seg, const struct slab_span *s, uint32_t n)
{
    uint32_t run = 0;

    for (uint32_t i = s->table; i < s->pages; i++) {
        uint64_t word = seg->free_map[i / 64] >> (i % 64);

        if (word == 0) { /* none up to the end of this word */
            run = 0;
            i |= 63;
        } else if ((word & 1) == 0) {
            run = 0;
        } else if (++run == n) {
            return i + 1 - n;
        }
    }
    return SLAB_SEGMENT_PAGES;
}

/* Takes `n` pages that the map calls free. False when the table says otherwise. */
static bool
run_take(struct zone *z, uint32_t span, uint32_t index, uint32_t n, struct place *at)
{
    struct slab_segment *seg = span_segment(z, &z->spans[span]);

    *at = (struct place){ seg, &seg->page[index], span, index };
    for (uint32_t i = 0; i < n; i++)
        if (at->page[i].kind != SLAB_FREE)
            return false;
    for (uint32_t i = 0; i < n; i++)
        map_clear(seg, index + i);
    seg->free -= n;
    z->h->slab.free_pages -= n;
    return true;
}

/* `n` neighbouring pages, their kinds still SLAB_FREE. *lies: the map was wrong. */
static bool
run_alloc(struct zone *z, uint32_t n, struct place *at, bool *lies)
{
    struct slab_head *head = &z->h->slab;
    uint32_t first = head->first_free;

    *lies = first > z->n_spans;
    if (*lies)
        return false;
    for (uint32_t i = first; i < z->n_spans; i++) {
        struct slab_segment *seg = span_segment(z, &z->spans[i]);
        uint32_t index;

        if (seg->free < n) {
            if (seg->free == 0 && i == head->first_free)
                head->first_free = i + 1;
            continue;
        }
        index = map_find(seg, &z->spans[i], n);
        if (index == SLAB_SEGMENT_PAGES)
            continue;
        *lies = !run_take(z, i, index, n, at);
        return !*lies;
    }
    return false;
}

static void
run_free(struct zone *z, const struct place *at, uint32_t n)
{
    struct slab_head *head = &z->h->slab;

    at->page->kind = SLAB_FREE; /* first: tails without a head are free */
    crash_point("slab_run_free");
    for (uint32_t i = 1; i < n; i++)
        at->page[i].kind = SLAB_FREE;
    for (uint32_t i = 0; i < n; i++)
        map_set(at->seg, at->index + i);
    at->seg->free += n;
    head->free_pages += n;
    if (at->span < head->first_free)
        head->first_free = at->span;
}

static void *
large_alloc(struct zone *z, uint64_t bytes, bool *lies)
{
    uint32_t n;
    struct place at;

    *lies = false;
    if (bytes > SLAB_RUN_MAX)
        return NULL;
    n = (uint32_t)((bytes + ZONE_PAGE - 1) / ZONE_PAGE);
    if (!run_alloc(z, n, &at, lies))
        return NULL;
    for (uint32_t i = 1; i < n; i++)
        at.page[i].kind = SLAB_TAIL;
    at.page->run = n;
    crash_point("slab_run");
    __atomic_store_n(&at.page->kind, SLAB_RUN, __ATOMIC_RELEASE);
    return page_memory(z, &at);
}

/* ---- small objects ------------------------------------------------------------------------------------------- */

static bool
small_page(struct zone *z, unsigned class, struct place *at, bool *lies)
{
    uint32_t link = z->h->slab.partial[class];

    if (link != 0) {
        *lies = !link_find(z, link, class, at);
        return !*lies;
    }
    if (!run_alloc(z, 1, at, lies))
        return false;
    memset(at->page->used, 0, sizeof(at->page->used));
    at->page->class = (uint8_t) class;
    crash_point("slab_page");
    __atomic_store_n(&at->page->kind, SLAB_SMALL, __ATOMIC_RELEASE);
    page_link(z, at, class);
    return true;
}

/* Index of a bit that is not set among the first `room`; `room` when there is none. */
static unsigned
bit_free(const struct slab_page *page, unsigned room)
{
    for (unsigned i = 0; i < ARRAY_LEN(page->used) && i * 64 < room; i++) {
        unsigned bit;

        if (~page->used[i] == 0)
            continue;
        bit = i * 64 + (unsigned)__builtin_ctzll(~page->used[i]);
        return bit < room ? bit : room;
    }
    return room;
}

static void *
small_alloc(struct zone *z, uint64_t bytes, bool *lies)
{
    unsigned class = class_of(bytes), room = class_room(class), bit;
    struct place at;

    if (!small_page(z, class, &at, lies))
        return NULL;
    bit = bit_free(at.page, room);
    if (bit == room) { /* full, and in the list */
        *lies = true;
        return NULL;
    }
    at.page->used[bit / 64] |= (uint64_t)1 << (bit % 64);
    crash_point("slab_object");
    if (page_used(at.page) >= room)
        page_unlink(z, &at, class);
    return (char *)page_memory(z, &at) + bit * class_size[class];
}

static bool
small_free(struct zone *z, const struct place *at, uint64_t within)
{
    unsigned class = at->page->class, room, bit, used;

    if (class >= SLAB_CLASSES || within % class_size[class] != 0)
        return false;
    room = class_room(class);
    bit = (unsigned)(within / class_size[class]);
    if (bit >= room || (at->page->used[bit / 64] >> (bit % 64) & 1) == 0)
        return false;
    used = page_used(at->page);
    at->page->used[bit / 64] &= ~((uint64_t)1 << (bit % 64));
    crash_point("slab_free");
    if (used >= room)
        page_link(z, at, class);
    if (used <= 1) {
        page_unlink(z, at, class);
        run_free(z, at, 1);
    }
    return true;
}

/* ---- the door ------------------------------------------------------------------------------------------------ */

void *
slab_alloc(struct zone *z, uint64_t bytes)
{
    ASSERT(z->dirty);
    spans_look(z);
    if (z->slab_broken)
        return NULL;
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        bool lies = false;
        void *p = bytes > class_size[SLAB_CLASSES - 1] ? large_alloc(z, bytes, &lies)
                                                       : small_alloc(z, bytes, &lies);

        if (!lies)
            return p;
        log_error(0, "zone \"%s\": corrupt: lists of the slab are built again", z->name);
        slab_recover(z);
    }
    return NULL;
}

void
slab_free(struct zone *z, void *p)
{
    struct place at;
    uint64_t within;

    if (p == NULL)
        return;
    ASSERT(z->dirty);
    spans_look(z);
    if (page_of(z, p, &at, &within)) {
        uint32_t n = __atomic_load_n(&at.page->run, __ATOMIC_RELAXED);

        if (at.page->kind == SLAB_SMALL && small_free(z, &at, within))
            return;
        if (at.page->kind == SLAB_RUN && within == 0 && n != 0 &&
            n <= z->spans[at.span].pages - at.index) {
            run_free(z, &at, n);
            return;
        }
    }
    log_error(0, "zone \"%s\": corrupt: nothing is allocated at offset %" PRIu64, z->name,
              off_of(z, p));
}

uint64_t
slab_free_bytes(struct zone *z)
{
    uint64_t pages = __atomic_load_n(&z->h->slab.free_pages, __ATOMIC_RELAXED);

    return pages > z->reserve / ZONE_PAGE ? 0 : pages * ZONE_PAGE;
}

/* ---- repair -------------------------------------------------------------------------------------------------- */

/* Pages of the run that begins here, as far as its tails go; at least 1. */
static uint32_t
run_length(const struct slab_page *page, uint32_t left)
{
    uint32_t n = 1;

    while (n < page->run && n < left && page[n].kind == SLAB_TAIL)
        n++;
    return n;
}

/* Decides about one page by what its row says. Returns the pages dealt with. */
static uint32_t
page_recover(struct zone *z, struct place *at)
{
    const struct slab_span *s = &z->spans[at->span];
    struct slab_page *page = at->page;
    unsigned class = page->class, room, used;

    if (page->kind == SLAB_RUN)
        return page->run = run_length(page, s->pages - at->index);
    if (page->kind == SLAB_SMALL && class < SLAB_CLASSES) {
        room = class_room(class);
        for (unsigned i = 0; i < ARRAY_LEN(page->used); i++)
            if (room < (i + 1) * 64)
                page->used[i] &= room <= i * 64 ? 0 : ((uint64_t)1 << (room % 64)) - 1;
        used = page_used(page);
        page->next = page->prev = 0;
        if (used != 0 && used < room)
            page_link(z, at, class);
        if (used != 0)
            return 1;
    }
    page->kind = SLAB_FREE;
    map_set(at->seg, at->index);
    at->seg->free++;
    return 1;
}

void
slab_recover(struct zone *z)
{
    struct slab_head *head = &z->h->slab;

    spans_look(z);
    memset(head->partial, 0, sizeof(head->partial));
    head->first_free = 0;
    head->free_pages = 0;
    for (uint32_t i = 0; i < z->n_spans; i++) {
        const struct slab_span *s = &z->spans[i];
        struct slab_segment *seg = span_segment(z, s);

        seg->magic = SLAB_MAGIC;
        seg->pages = s->pages;
        seg->free = 0;
        memset(seg->free_map, 0, sizeof(seg->free_map));
        for (uint32_t k = s->table; k < s->pages;) {
            struct place at = { seg, &seg->page[k], i, k };

            k += page_recover(z, &at);
        }
        head->free_pages += seg->free;
    }
}

void
slab_repair_begin(struct zone *z)
{
    ASSERT(z->dirty);
    spans_look(z);
    for (uint32_t i = 0; i < z->n_spans; i++)
        segment_clear(z, &z->spans[i]);
}

bool
slab_repair_mark(struct zone *z, const void *p, uint64_t bytes)
{
    struct place at;
    uint64_t within;
    unsigned class, bit;
    uint64_t n;

    if (bytes > SLAB_RUN_MAX || !page_of(z, p, &at, &within))
        return false;
    n = (bytes + ZONE_PAGE - 1) / ZONE_PAGE;
    if (bytes > class_size[SLAB_CLASSES - 1]) {
        if (within != 0 || n > z->spans[at.span].pages - at.index)
            return false;
        for (uint32_t i = 0; i < n; i++)
            if (at.page[i].kind != SLAB_FREE)
                return false;
        for (uint32_t i = 1; i < n; i++)
            at.page[i].kind = SLAB_TAIL;
        at.page->run = (uint32_t)n;
        at.page->kind = SLAB_RUN;
        return true;
    }
    class = class_of(bytes);
    bit = (unsigned)(within / class_size[class]);
    if (within % class_size[class] != 0 || bit >= class_room(class))
        return false;
    if (at.page->kind == SLAB_FREE) {
        at.page->class = (uint8_t) class;
        at.page->kind = SLAB_SMALL;
    }
    if (at.page->kind != SLAB_SMALL || at.page->class != class ||
        (at.page->used[bit / 64] >> (bit % 64) & 1) != 0)
        return false;
    at.page->used[bit / 64] |= (uint64_t)1 << (bit % 64);
    return true;
}

void
slab_repair_end(struct zone *z)
{
    slab_recover(z);
}
