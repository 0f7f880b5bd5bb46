/* SPDX-License-Identifier: BSD-2-Clause */
/* heap.c - pieces of slabs: what fits where, what comes again, what goes back, and what is found out. */
#include "common/base/heap.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "common/base/rand.h"
#include "t/unit/test.h"

enum { MEGABYTE = 1024 * 1024 };

/* False where a memory checker looks on: everything is malloc's then, and only the contract can be tested. */
static bool
has_slabs(void)
{
    static int known = -1;

    if (known < 0)
        known = heap_init();
    return known;
}

static bool
all_are(const void *p, int byte, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (((const unsigned char *)p)[i] != (unsigned char)byte)
            return false;
    }
    return true;
}

/* Pages of the process that are its own and memory now. */
static size_t
resident(void)
{
    unsigned long pages = 0, shared = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fscanf(f, "%*u %lu %lu", &pages, &shared) != 2)
        pages = shared = 0;
    if (f != NULL)
        fclose(f);
    return (pages - shared) * (size_t)getpagesize();
}

/* Once more than what is spare has to stay spare. */
static void
trim_all(void)
{
    for (int i = 0; i < 3; i++) {
        while (heap_trim(0))
            ;
    }
}

/* Runs fn in a child; its exit status, -1 when it did not exit. */
static int
in_child(int (*fn)(void))
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(fn());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int
child_can_start(void)
{
    return heap_init();
}

static int
child_has_few_addresses(void)
{
    const struct rlimit limit = { .rlim_cur = 256 * MEGABYTE, .rlim_max = 256 * MEGABYTE };

    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 1;
    if (!heap_init())
        return 2;
    for (int i = 0; i < 100 * 1024; i++) { /* more than its part of them */
        if (heap_alloc(1024) == NULL)
            return 3;
    }
    return malloc(50 * MEGABYTE) != NULL ? 0 : 4;
}

TEST(a_limit_of_addresses_leaves_most_to_others)
{
    if (in_child(child_can_start) == 1)
        CHECK_EQ(in_child(child_has_few_addresses), 0);
}

TEST(before_the_start_all_comes_from_malloc)
{
    char *p = heap_alloc(100);

    REQUIRE(p != NULL);
    memset(p, 'm', 100);
    has_slabs();
    p = heap_realloc(p, 50000);
    REQUIRE(p != NULL);
    CHECK(all_are(p, 'm', 100));
    heap_free(p);
    CHECK(heap_alloc(0) == NULL);
    CHECK(heap_realloc(NULL, 0) == NULL);
    heap_free(NULL);
    if (has_slabs())
        CHECK(heap_init(), "again is harmless");
}

TEST(every_size_has_its_own_aligned_room)
{
    enum { LAST = 33000 };
    static unsigned char *piece[LAST + 1];

    has_slabs();
    for (size_t n = 1; n <= LAST; n += n < 2100 ? 1 : 97) {
        piece[n] = heap_alloc(n);
        REQUIRE(piece[n] != NULL, "%zu", n);
        CHECK_EQ((uintptr_t)piece[n] % 16, 0, "%zu", n);
        memset(piece[n], (int)(n % 251), n);
    }
    for (size_t n = 1; n <= LAST; n++) {
        if (piece[n] == NULL)
            continue;
        CHECK(all_are(piece[n], (int)(n % 251), n), "%zu", n);
        heap_free(piece[n]);
    }
}

/* The edges of classes: by 16 up to 1 kB, then by an eighth of a power of two, then malloc's. */
static const size_t edges[] = { 1,    15,    16,    17,    32,    33,    1008,
                                1009, 1024,  1025,  1152,  1153,  2048,  2049,
                                2304, 16384, 16385, 18432, 32767, 32768, 32769 };

TEST(a_piece_keeps_its_bytes_when_its_size_changes)
{
    has_slabs();
    EACH (edges, from) {
        EACH (edges, to) {
            size_t both = *from < *to ? *from : *to;
            char *p = heap_alloc(*from);

            REQUIRE(p != NULL);
            memset(p, 'r', *from);
            p = heap_realloc(p, *to);
            REQUIRE(p != NULL);
            CHECK(all_are(p, 'r', both), "%zu to %zu", *from, *to);
            memset(p, 's', *to);
            CHECK(heap_realloc(p, 0) == NULL);
        }
    }
}

TEST(many_pieces_come_and_go_without_overlap)
{
    enum { PIECES = 4000, ROUNDS = 200000 };
    static struct {
        unsigned char *p;
        size_t n;
        int byte;
    } live[PIECES];

    has_slabs();
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t i = rand_below(PIECES);

        if (live[i].p != NULL) {
            if (live[i].p[0] != live[i].byte || live[i].p[live[i].n - 1] != live[i].byte ||
                live[i].p[live[i].n / 2] != live[i].byte) {
                CHECK(false, "piece of %zu bytes has others' bytes", live[i].n);
                return;
            }
            heap_free(live[i].p);
            live[i].p = NULL;
        } else {
            live[i].n = 1 + rand_below(rand_below(8) == 0 ? 33000 : 600);
            live[i].byte = (int)rand_below(256);
            live[i].p = heap_alloc(live[i].n);
            REQUIRE(live[i].p != NULL);
            memset(live[i].p, live[i].byte, live[i].n);
        }
    }
    for (uint32_t i = 0; i < PIECES; i++)
        heap_free(live[i].p);
}

TEST(impossible_sizes_are_refused)
{
    size_t bytes = (size_t)PTRDIFF_MAX + 1; /* the compiler is not to know it */
    char *p;

    if (!has_slabs()) /* a checker reports it */
        return;
    __asm__("" : "+r"(bytes));
    p = heap_alloc(10);
    CHECK(heap_alloc(bytes) == NULL);
    CHECK(heap_realloc(p, bytes) == NULL);
    heap_free(p);
}

/* ---- what only slabs do ---- */

TEST(what_was_freed_last_comes_first)
{
    void *a, *b;

    if (!has_slabs())
        return;
    trim_all();
    a = heap_alloc(200);
    b = heap_alloc(200);
    CHECK_EQ((char *)b - (char *)a, 208, "side by side, without headers");
    heap_free(a);
    heap_free(b);
    CHECK(heap_alloc(193) == b);
    CHECK(heap_alloc(208) == a);
    heap_free(a);
    heap_free(b);
}

TEST(a_piece_that_still_fits_stays_where_it_is)
{
    void *p;

    if (!has_slabs())
        return;
    p = heap_alloc(1000);
    CHECK(heap_realloc(p, 1008) == p);
    CHECK(heap_realloc(p, 600) == p);
    heap_free(p);
}

TEST(memory_comes_down_after_a_storm)
{
    enum { PIECES = 64 * 1024, SIZE = 1000 };
    static void *piece[PIECES];
    size_t before, full;

    if (!has_slabs())
        return;
    trim_all();
    before = resident();
    for (int i = 0; i < PIECES; i++) {
        piece[i] = heap_alloc(SIZE);
        REQUIRE(piece[i] != NULL);
        memset(piece[i], 1, SIZE);
    }
    full = resident();
    CHECK(full - before > (size_t)PIECES * SIZE);
    CHECK(full - before < (size_t)PIECES * SIZE / 100 * 105, "%zu bytes", full - before);
    CHECK(heap_spare() < MEGABYTE);
    for (int i = 0; i < PIECES; i++)
        heap_free(piece[i]);
    CHECK(heap_spare() > (size_t)PIECES * SIZE / 100 * 95);
    CHECK(!heap_trim(MEGABYTE), "it was not spare for long");
    CHECK(heap_spare() > (size_t)PIECES * SIZE / 100 * 95);
    CHECK(heap_trim(MEGABYTE), "only a part goes at a time");
    CHECK(resident() > before + (size_t)PIECES * SIZE / 2);
    while (heap_trim(MEGABYTE))
        ;
    CHECK(heap_spare() <= MEGABYTE + 128 * 1024);
    CHECK(resident() < before + 2 * MEGABYTE);

    /* And the addresses serve again, another size as well. */
    for (int i = 0; i < PIECES / 2; i++) {
        piece[i] = heap_alloc(2 * SIZE);
        memset(piece[i], 2, 2 * SIZE);
    }
    CHECK(all_are(piece[0], 2, 2 * SIZE));
    for (int i = 0; i < PIECES / 2; i++)
        heap_free(piece[i]);
    trim_all();
    CHECK(resident() < before + MEGABYTE);
}

TEST(a_slab_of_one_size_serves_another)
{
    enum { PIECES = 4096 };
    static char *piece[PIECES];
    uintptr_t low = UINTPTR_MAX, high = 0;
    char *other[64];
    int within = 0;

    if (!has_slabs())
        return;
    for (int i = 0; i < PIECES; i++) {
        piece[i] = heap_alloc(512);
        low = (uintptr_t)piece[i] < low ? (uintptr_t)piece[i] : low;
        high = (uintptr_t)piece[i] > high ? (uintptr_t)piece[i] : high;
    }
    for (int i = 0; i < PIECES; i++)
        heap_free(piece[i]);
    for (int i = 0; i < 64; i++) {
        other[i] = heap_alloc(6000);
        within += (uintptr_t)other[i] >= low && (uintptr_t)other[i] <= high;
    }
    CHECK(within > 50, "%d", within);
    for (int i = 0; i < 64; i++)
        heap_free(other[i]);
}

static int
child_runs_out(void)
{
    const struct rlimit limit = { .rlim_cur = 64 * MEGABYTE, .rlim_max = 64 * MEGABYTE };
    void *p = NULL, *last = NULL;
    int n = 0;

    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        return 1;
    for (; n < 10000 && (p = heap_alloc(32000)) != NULL; n++)
        last = p;
    if (p != NULL || n < 1000)
        return 2;
    if (heap_realloc(last, 32768) != last || heap_realloc(last, 40000) != NULL)
        return 3;
    heap_free(last);
    return heap_alloc(32000) == last ? 0 : 4;
}

TEST(exhaustion_is_NULL)
{
    if (has_slabs())
        CHECK_EQ(in_child(child_runs_out), 0);
}

/* ---- threads ---- */

struct errand {
    void *mine[100], *theirs[100];
};

static void *
in_a_thread(void *data)
{
    struct errand *e = data;

    for (int i = 0; i < 100; i++) {
        e->mine[i] = heap_alloc(48);
        memset(e->mine[i], 't', 48);
        if (i % 2 == 0)
            heap_free(e->theirs[i]);
        else
            e->theirs[i] = heap_realloc(e->theirs[i], 4000);
    }
    return NULL;
}

TEST(another_thread_may_free_what_is_not_its_own)
{
    struct errand e;
    pthread_t thread;
    void *was[100], *again[100];
    int same = 0;

    has_slabs();
    trim_all();
    for (int i = 0; i < 100; i++) {
        was[i] = e.theirs[i] = heap_alloc(3000);
        memset(e.theirs[i], 'l', 3000);
    }
    REQUIRE(pthread_create(&thread, NULL, in_a_thread, &e) == 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 100; i++) {
        CHECK(all_are(e.mine[i], 't', 48));
        heap_free(e.mine[i]);
        if (i % 2 == 1)
            CHECK(all_are(e.theirs[i], 'l', 3000));
    }
    heap_trim(0); /* takes them in */
    for (int i = 0; i < 100; i++) {
        again[i] = heap_alloc(3000);
        for (int j = 0; j < 100; j++)
            same += again[i] == was[j];
    }
    if (has_slabs())
        CHECK(same > 90, "%d are used again", same);
    for (int i = 0; i < 100; i++) {
        heap_free(again[i]);
        if (i % 2 == 1)
            heap_free(e.theirs[i]);
    }
}

/* ---- processes ---- */

/* Kilobytes that are the process's own in the mapping of `p`. */
static long
private_dirty(const void *p)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool there = false;
    long kb = -1;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            there = (uintptr_t)p >= start && (uintptr_t)p < end;
        else if (there)
            sscanf(line, "Private_Dirty: %ld", &kb);
    }
    if (f != NULL)
        fclose(f);
    return kb;
}

enum { PIECES_BEFORE = 4000 };
static char *before_fork[PIECES_BEFORE];

static int
child_has_its_own(void)
{
    char *own;
    int wrong = 0;

    heap_after_fork();
    own = heap_alloc(500);
    memset(own, 'c', 500);
    wrong |= private_dirty(own) > 64 ? 1 : 0;
    for (int i = 1; i < PIECES_BEFORE; i += 2)
        wrong |= !all_are(before_fork[i], 'p', 500) ? 2 : 0;
    for (int i = 1; i < PIECES_BEFORE; i += 2) {
        char *p = heap_realloc(before_fork[i], 2000);

        wrong |= p == NULL || !all_are(p, 'p', 500) ? 4 : 0;
        heap_free(p);
    }
    wrong |= private_dirty(own) > 160 ? 8 : 0;
    wrong |= !all_are(own, 'c', 500) ? 16 : 0;
    heap_free(own);
    return wrong;
}

TEST(a_child_writes_into_no_page_of_its_parent)
{
    if (!has_slabs())
        return;
    for (int i = 0; i < PIECES_BEFORE; i++) {
        before_fork[i] = heap_alloc(500);
        memset(before_fork[i], 'p', 500);
    }
    for (int i = 0; i < PIECES_BEFORE; i += 2) /* room in every slab */
        heap_free(before_fork[i]);
    CHECK_EQ(in_child(child_has_its_own), 0);
    for (int i = 1; i < PIECES_BEFORE; i += 2) {
        CHECK(all_are(before_fork[i], 'p', 500), "nor is the parent changed");
        heap_free(before_fork[i]);
    }
}

TEST(it_is_left_out_of_core_files)
{
    FILE *f;
    char line[512];
    void *p = heap_alloc(100);
    bool there = false, hidden = false;

    if (!has_slabs()) {
        heap_free(p);
        return;
    }
    f = fopen("/proc/self/smaps", "r");
    REQUIRE(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        unsigned long start, end;

        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            there = (uintptr_t)p >= start && (uintptr_t)p < end;
        else if (there && strncmp(line, "VmFlags:", 8) == 0)
            hidden = strstr(line, " dd") != NULL;
    }
    fclose(f);
    CHECK(hidden);
    heap_free(p);
}

/* ---- what must not be ---- */

static void
free_twice(size_t bytes, bool another_between)
{
    void *p = heap_alloc(bytes), *q = heap_alloc(bytes);

    heap_free(p);
    if (another_between)
        heap_free(q);
    heap_free(p);
}

static void
write_after_free(void)
{
    void *volatile p = heap_alloc(64);

    heap_free(p);
    *(volatile uint64_t *)p = 0x4141414141414141;
    for (int i = 0; i < 3; i++)
        (void)heap_alloc(64);
}

static void
free_within(size_t offset)
{
    heap_free((char *)heap_alloc(64) + offset);
}

static void
free_in_an_empty_slab(void)
{
    static char *piece[200];

    for (int i = 0; i < 200; i++)
        piece[i] = heap_alloc(6100);
    for (int i = 0; i < 200; i++)
        heap_free(piece[i]);
    heap_free(piece[150]);
}

/* Whatever its bytes are, a piece in use is none that is free. */
static void
free_what_looks_free(void)
{
    void *volatile a = heap_alloc(64), *volatile b = heap_alloc(64);
    uint64_t link;

    heap_free(a);
    memcpy(&link, a, sizeof(link));
    memcpy(b, &link, sizeof(link));
    heap_free(b);
    CHECK(heap_alloc(64) == b);
    CHECK(heap_alloc(64) == a);
    heap_free(a);
    heap_free(b);
}

TEST(misuse_is_a_panic)
{
    if (!has_slabs())
        return;
    CHECK_DIES(free_twice(64, false));
    CHECK_DIES(free_twice(64, true));
    CHECK_DIES(free_twice(7624, true));
    CHECK_DIES(write_after_free());
    CHECK_DIES(free_within(1));
    CHECK_DIES(free_within(16));
    CHECK_DIES(free_in_an_empty_slab());
    free_what_looks_free();
}
