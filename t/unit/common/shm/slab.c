/* SPDX-License-Identifier: BSD-2-Clause */
/* slab.c - the allocator in a zone, compared with a list of what it gave out. */
#include "common/shm/slab.h"

#include <signal.h>
#include <sys/prctl.h>

#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/shm/zone_layout.h"
#include "test.h"

static const struct zone_ops plain_ops = { .kind = "plain", .layout = 1 };

/* A zone whose lock is held, ready for changes. */
static struct zone *
zone_open(uint64_t size)
{
    struct error err = { 0 };
    struct zone *z = zone_create(S("slab"), size, &plain_ops, &err);

    if (z == NULL)
        abort();
    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    zone_lock(z);
    zone_dirty(z);
    return z;
}

static void
zone_shut(struct zone *z)
{
    zone_clean(z);
    zone_unlock(z);
    zone_drop(z);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

struct held {
    unsigned char *at;
    uint64_t bytes;
    unsigned char mark;
};

enum { HELD = 400 };

static uint64_t
random_size(void)
{
    switch (next_random() % 8) {
    case 0:
        return 1 + next_random() % 40000;
    case 1:
        return 2000 + next_random() % 100;
    default:
        return 1 + next_random() % 600;
    }
}

static bool
overlaps(const struct held *h, const struct held *all)
{
    for (const struct held *o = all; o < all + HELD; o++)
        if (o != h && o->at != NULL && h->at < o->at + o->bytes && o->at < h->at + h->bytes)
            return true;
    return false;
}

static bool
is_marked(const struct held *h)
{
    for (uint64_t i = 0; i < h->bytes; i++)
        if (h->at[i] != h->mark)
            return false;
    return true;
}

/* Takes or gives back one at random. False when something is wrong. */
static bool
one_step(struct zone *z, struct held *all)
{
    struct held *h = &all[next_random() % HELD];

    if (h->at != NULL) {
        if (!is_marked(h))
            return false;
        slab_free(z, h->at);
        h->at = NULL;
        return true;
    }
    h->bytes = random_size();
    h->mark = (unsigned char)next_random();
    h->at = slab_alloc(z, h->bytes);
    if (h->at == NULL)
        return true; /* full */
    if ((uintptr_t)h->at % (h->bytes >= 64 ? 64 : 8) != 0 ||
        off_get(z, off_of(z, h->at), h->bytes) != h->at || overlaps(h, all))
        return false;
    memset(h->at, h->mark, h->bytes);
    return true;
}

static const uint64_t sizes[] = { 32 << 10, 1 << 20, (2 << 20) + 4096, 9 << 20 };

TEST(objects_never_overlap)
{
    EACH (sizes, size) {
        static struct held all[HELD];
        struct zone *z = zone_open(*size);
        uint64_t room = slab_free_bytes(z);
        bool ok = true;

        memset(all, 0, sizeof(all));
        for (unsigned i = 0; i < 6000 && ok; i++) {
            ok = one_step(z, all);
            if (i % 1000 == 999) { /* as after a death: nothing changes */
                uint64_t before = slab_free_bytes(z);

                slab_recover(z);
                CHECK_EQ(slab_free_bytes(z), before);
            }
        }
        CHECK(ok, "size %llu", (unsigned long long)*size);
        EACH (all, h) {
            CHECK(h->at == NULL || is_marked(h));
            slab_free(z, h->at);
        }
        CHECK_EQ(slab_free_bytes(z), room, "all is given back");
        zone_shut(z);
    }
}

TEST(a_full_zone_gives_null)
{
    struct zone *z = zone_open(32 << 10);
    void *p, *last = NULL;
    unsigned n = 0;

    while ((p = slab_alloc(z, 512)) != NULL) {
        last = p;
        n++;
    }
    CHECK_EQ(n, 7 * 8, "seven pages beside the table");
    CHECK(slab_alloc(z, 1) == NULL);
    slab_free(z, last);
    CHECK(slab_alloc(z, 512) == last);
    CHECK(slab_alloc(z, UINT64_MAX) == NULL);
    CHECK(slab_alloc(z, 3 << 20) == NULL, "longer than a segment");
    zone_shut(z);
}

TEST(largest_run)
{
    struct zone *z = zone_open(4 << 20);
    uint64_t bytes = (SLAB_SEGMENT_PAGES - 7) * 4096;
    void *one = slab_alloc(z, bytes), *two = slab_alloc(z, bytes);

    CHECK(one != NULL && two != NULL);
    CHECK_EQ(slab_free_bytes(z), 0);
    CHECK(slab_alloc(z, 16) == NULL);
    slab_free(z, one);
    CHECK(slab_alloc(z, bytes + 1) == NULL);
    CHECK(slab_alloc(z, bytes) == one);
    zone_shut(z);
}

TEST(what_is_not_allocated_is_not_freed)
{
    struct zone *z = zone_open(64 << 10);
    char *small = slab_alloc(z, 100), *large = slab_alloc(z, 9000);
    uint64_t room = slab_free_bytes(z);
    char local;

    slab_free(z, NULL);
    slab_free(z, small + 8);
    slab_free(z, small + 128);
    slab_free(z, large + 4096);
    slab_free(z, large + 8);
    slab_free(z, z->h);
    slab_free(z, (char *)z->h + ZONE_DATA_AT); /* the table */
    slab_free(z, (char *)z->h + z->reserve);
    slab_free(z, &local);
    CHECK_EQ(slab_free_bytes(z), room);
    slab_free(z, large);
    room = slab_free_bytes(z);
    slab_free(z, large);
    CHECK_EQ(slab_free_bytes(z), room, "twice");
    slab_free(z, small);
    slab_free(z, small);
    CHECK_EQ(slab_free_bytes(z), room + 4096);
    zone_shut(z);
}

TEST(grows_by_segments)
{
    struct zone *z = zone_open(8192);
    struct error err;

    CHECK_EQ(slab_free_bytes(z), 4096);
    zone_clean(z);
    zone_unlock(z);
    CHECK(zone_extend(z, 12288, &err));
    zone_worker_start(z, NULL);
    CHECK_EQ(slab_free_bytes(z), 4096, "a page alone waits for more");
    CHECK(zone_extend(z, 16384, &err));
    zone_worker_start(z, NULL);
    CHECK_EQ(slab_free_bytes(z), 8192);
    CHECK(zone_extend(z, 16384 + (2 << 20) + 4096, &err));
    zone_worker_start(z, NULL);
    CHECK_EQ(z->n_spans, 4, "no page is left over");
    CHECK_EQ(z->span_bytes, 16384 + (2 << 20) + 4096);
    zone_worker_start(z, NULL);
    CHECK_EQ(z->n_spans, 4);
    zone_lock(z);
    zone_dirty(z);
    zone_shut(z);
}

/* What a death in the middle, or a wild store, leaves in lists and maps is found out and built again. */
TEST(lists_that_lie_are_built_again)
{
    struct zone *z = zone_open(256 << 10);
    struct slab_segment *seg = (void *)((char *)z->h + ZONE_DATA_AT);
    char *a = slab_alloc(z, 100), *b = slab_alloc(z, 100), *c;

    for (unsigned i = 0; i < SLAB_CLASSES; i++)
        z->h->slab.partial[i] = 0xfffffff0u;
    c = slab_alloc(z, 100);
    CHECK(c != NULL && c != a && c != b);

    for (unsigned i = 0; i < SLAB_CLASSES; i++)
        z->h->slab.partial[i] = 1; /* the table itself */
    c = slab_alloc(z, 100);
    CHECK(c != NULL && c != a && c != b);

    memset(seg->free_map, 0xff, sizeof(seg->free_map));
    seg->free = 512;
    c = slab_alloc(z, 5000);
    CHECK(c != NULL && (c + 5000 <= a || c >= a + 4096));

    z->h->slab.first_free = 1u << 31;
    CHECK(slab_alloc(z, 5000) != NULL);

    memset(seg->free_map, 0, sizeof(seg->free_map));
    CHECK(slab_alloc(z, 5000) == NULL);
    slab_recover(z);
    CHECK(slab_alloc(z, 5000) != NULL);
    zone_shut(z);
}

TEST(tables_that_lie_stay_within_bounds)
{
    for (unsigned round = 0; round < 2000; round++) {
        struct zone *z = zone_open(64 << 10);
        struct slab_segment *seg = (void *)((char *)z->h + ZONE_DATA_AT);
        unsigned char *bytes = (unsigned char *)seg;
        void *p[20];

        for (unsigned i = 0; i < 20; i++)
            p[i] = slab_alloc(z, 1 + next_random() % 5000);
        for (unsigned i = 0; i < 30; i++)
            bytes[8 + next_random() % (sizeof(*seg) + 16 * sizeof(seg->page[0]) - 8)] =
                (unsigned char)next_random();
        for (unsigned i = 0; i < 20; i++) {
            char *q = slab_alloc(z, 1 + next_random() % 5000);

            if (q != NULL)
                CHECK(off_get(z, off_of(z, q), 16) == q);
            if (i % 2 != 0)
                slab_free(z, p[i]);
        }
        slab_recover(z);
        slab_reset(z);
        CHECK_EQ(slab_free_bytes(z), 15 * 4096);
        zone_shut(z);
    }
}

/* The owner walks its structures and marks; the rest is free afterwards. */
TEST(marks_decide_what_stays)
{
    struct zone *z = zone_open(1 << 20);
    uint64_t room = slab_free_bytes(z);
    struct held kept[20];
    void *lost[20];
    char *small, *large;

    for (unsigned i = 0; i < 20; i++) {
        kept[i] = (struct held){ NULL, 1 + next_random() % 9000, (unsigned char)i };
        kept[i].at = slab_alloc(z, kept[i].bytes);
        memset(kept[i].at, (int)i, kept[i].bytes);
        lost[i] = slab_alloc(z, 1 + next_random() % 9000);
        CHECK(lost[i] != NULL);
    }
    slab_repair_begin(z);
    EACH (kept, h)
        CHECK(slab_repair_mark(z, h->at, h->bytes));
    EACH (kept, h)
        CHECK(!slab_repair_mark(z, h->at, h->bytes), "marked already");
    CHECK(!slab_repair_mark(z, kept[0].at + 1, 10), "no object begins here");
    CHECK(!slab_repair_mark(z, z->h, 10));
    CHECK(!slab_repair_mark(z, kept[0].at, UINT64_MAX));
    slab_repair_end(z);

    for (unsigned i = 0; i < 2000; i++) {
        uint64_t bytes = random_size();
        char *p = slab_alloc(z, bytes);

        if (p != NULL)
            memset(p, 0xee, bytes);
    }
    EACH (kept, h)
        CHECK(is_marked(h), "not given away");
    slab_repair_begin(z);
    EACH (kept, h)
        slab_repair_mark(z, h->at, h->bytes);
    slab_repair_end(z);
    EACH (kept, h)
        slab_free(z, h->at);
    CHECK_EQ(slab_free_bytes(z), room);

    small = slab_alloc(z, 100);
    large = slab_alloc(z, 9000);
    slab_repair_begin(z);
    CHECK(slab_repair_mark(z, large, 9000));
    CHECK(!slab_repair_mark(z, large + 4096, 100), "inside a run");
    CHECK(slab_repair_mark(z, small, 100));
    CHECK(!slab_repair_mark(z, small, 1000), "another size");
    slab_repair_end(z);
    zone_shut(z);
}

#ifdef WEIR_CRASH_POINTS
static void
repair_nothing(struct zone *z)
{
    (void)z;
}

static const struct zone_ops trusting_ops = { .kind = "plain",
                                              .layout = 1,
                                              .repair = repair_nothing };

/* Dies at the point; the lock's next taker has whole lists, with what was handed out still taken. */
static void
die_allocating(struct zone *z, const char *point)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lock_init_process();
        setenv("WEIR_CRASH_AT", point, 1);
        zone_lock(z);
        zone_dirty(z);
        for (unsigned i = 1; i < 40; i++) {
            void *p = slab_alloc(z, 200 * i), *q = slab_alloc(z, 300 * i);

            if (p == NULL || q == NULL)
                _exit(1);
            slab_free(z, i % 2 != 0 ? p : q);
        }
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status), "%s", point);
}

TEST(a_death_leaves_the_lists_whole)
{
    static const char *const points[] = { "slab_run",    "slab_run:5",    "slab_page",
                                          "slab_page:3", "slab_object:2", "slab_run_free:4",
                                          "slab_free",   "slab_free:7" };

    EACH (points, point) {
        struct error err;
        struct zone *z = zone_create(S("slab"), 1 << 20, &trusting_ops, &err);
        uint64_t room;

        REQUIRE(z != NULL);
        lock_init_process();
        die_allocating(z, *point);
        zone_lock(z);
        CHECK_EQ(zone_repairs(z), 1);
        room = slab_free_bytes(z);
        zone_dirty(z);
        slab_recover(z);
        CHECK_EQ(slab_free_bytes(z), room, "%s", *point);
        zone_shut(z);
    }
}
#endif
