/* SPDX-License-Identifier: BSD-2-Clause */
/* zone.c - zones: hostile headers, growth in use, repair, reaping, copies. */
#include "common/shm/zone.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/base/crc32c.h"
#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/shm/slab.h"
#include "common/shm/zone_layout.h"
#include "test.h"

enum { SIZE = 64 << 10 };

/* The root of the test's kind: a pair that is equal when whole, and what the owner's functions were called with. */
struct pair {
    uint64_t a, b;
    uint32_t inits, repairs, grows, reaps, copies;
    uint64_t grown_from, reaped_incarnation;
    uint32_t ready, stop, die_in_repair;
    off chain; /* of struct link: objects allocated by workers */
};

static struct pair *
pair(struct zone *z)
{
    return zone_root(z, sizeof(struct pair));
}

static void
pair_init(struct zone *z)
{
    pair(z)->inits++;
}

static void
pair_repair(struct zone *z)
{
    pair(z)->repairs++;
    if (pair(z)->die_in_repair > 0) {
        pair(z)->die_in_repair--;
        raise(SIGKILL);
    }
    pair(z)->b = pair(z)->a;
}

static void
pair_reap(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    pair(z)->reaps += slot == 5;
    pair(z)->reaped_incarnation = incarnation;
}

static void
pair_grow(struct zone *z, uint64_t old_size)
{
    pair(z)->grows++;
    pair(z)->grown_from = old_size;
}

static uint64_t
pair_copy(struct zone *z, struct zone *old)
{
    uint64_t a;

    zone_lock(old);
    a = pair(old)->a;
    zone_unlock(old);
    zone_lock(z);
    zone_dirty(z);
    pair(z)->a = pair(z)->b = a;
    pair(z)->copies++;
    zone_clean(z);
    zone_unlock(z);
    return 1;
}

static const struct zone_ops pair_ops = {
    .kind = "pair",
    .layout = 3,
    .size_min = 8192,
    .init = pair_init,
    .repair = pair_repair,
    .reap = pair_reap,
    .grow = pair_grow,
    .copy = pair_copy,
};
static const struct zone_ops other_layout = { .kind = "pair", .layout = 4, .copy = pair_copy };
static const struct zone_ops other_kind = { .kind = "triple", .layout = 3 };
static const struct zone_ops no_repair = { .kind = "pair", .layout = 3, .init = pair_init };

static struct zone *
zone_new_of(const struct zone_ops *ops)
{
    struct error err = { 0 };
    struct zone *z = zone_create(S("test"), SIZE, ops, &err);

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    if (z == NULL) {
        printf("# %s\n", err.text);
        abort();
    }
    return z;
}

static struct zone *
zone_new(void)
{
    return zone_new_of(&pair_ops);
}

static pid_t
start(void (*run)(struct zone *), struct zone *z)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lock_init_process();
        run(z);
        _exit(0);
    }
    return pid;
}

/* Runs it in a process of its own. Returns the signal that ended it, 0 for none. */
static int
run_in_child(void (*run)(struct zone *), struct zone *z)
{
    int status = 0;

    waitpid(start(run, z), &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct zone *
adopt(struct zone *z, uint64_t size, const struct zone_ops *ops, struct error *err)
{
    int fd = dup(zone_fd(z));
    struct zone *again = zone_adopt(fd, S("test"), size, ops, err);

    if (again == NULL)
        close(fd);
    return again;
}

/* ---- making, adopting ---------------------------------------------------------------------------------------- */

TEST(a_new_zone)
{
    struct zone *z = zone_new();
    struct stat st;
    char name[64];
    uint64_t size = 0;
    struct error err = { 0 };

    REQUIRE(fstat(zone_fd(z), &st) == 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK(fcntl(zone_fd(z), F_GET_SEALS) & F_SEAL_SHRINK);
    CHECK(fcntl(zone_fd(z), F_GETFD) & FD_CLOEXEC);
    CHECK_EQ(zone_size(z), SIZE);
    CHECK_EQ(zone_limit(z), SIZE);
    CHECK_STR(zone_name(z), "test");
    CHECK_EQ(pair(z)->inits, 1);
    CHECK(zone_next(NULL) == z && zone_next(z) == NULL);
    CHECK(zone_of_lock(&z->h->lock) == z);
    CHECK(zone_peek(zone_fd(z), name, &size, &err), "%s", err.text);
    CHECK_STR(str_c(name), "test");
    CHECK_EQ(size, SIZE);
    zone_drop(z);
    CHECK(zone_next(NULL) == NULL);
}

TEST(sizes_and_names)
{
    struct error err;
    struct zone *z;

    CHECK(zone_create(S("z"), 4096, &pair_ops, &err) == NULL, "below size_min");
    CHECK(zone_create(S("z"), UINT64_MAX, &pair_ops, &err) == NULL);
    CHECK(zone_create(S("0123456789012345678901234567890123456789012345678901234567890123"), SIZE,
                      &pair_ops, &err) == NULL,
          "64 characters");
    z = zone_create(S("z"), 8193, &pair_ops, &err);
    REQUIRE(z != NULL);
    CHECK_EQ(zone_size(z), 12288, "whole pages");
    zone_drop(z);
}

TEST(adopt_keeps_content)
{
    struct zone *z = zone_new(), *again;
    struct error err = { 0 };

    pair(z)->a = 77;
    again = adopt(z, SIZE, &pair_ops, &err);
    REQUIRE(again != NULL, "%s", err.text);
    CHECK_EQ(pair(again)->a, 77);
    CHECK_EQ(pair(again)->inits, 1);
    CHECK_EQ(zone_size(again), SIZE);
    zone_drop(again);
    zone_drop(z);
}

TEST(adopt_refuses_what_it_does_not_know)
{
    struct zone *z = zone_new();
    struct error err = { 0 };
    int fd = dup(zone_fd(z));

    CHECK(adopt(z, SIZE, &other_layout, &err) == NULL);
    CHECK_STR(str_c(err.text), "zone \"test\": layout 3 -> 4");
    CHECK(adopt(z, SIZE, &other_kind, &err) == NULL);
    CHECK(zone_adopt(fd, S("other"), SIZE, &pair_ops, &err) == NULL);
    CHECK(adopt(z, UINT64_MAX, &pair_ops, &err) == NULL);
    CHECK(adopt(z, (uint64_t)1 << 40, &pair_ops, &err) == NULL, "beyond the reserve");
    CHECK(fcntl(fd, F_GETFD) >= 0, "the descriptor is still the caller's");
    close(fd);
    zone_drop(z);
}

/* A file that looks like the zone but for what `spoil` did to it. */
static int
forge(struct zone *z, mode_t mode, int seals, uint64_t size)
{
    int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct zone_fixed f = z->h->fixed;

    if (fchmod(fd, mode) != 0 || ftruncate(fd, (off_t)size) != 0 ||
        pwrite(fd, &f, sizeof(f), 0) < 0 || fcntl(fd, F_ADD_SEALS, seals) != 0)
        abort();
    return fd;
}

TEST(adopt_checks_the_file)
{
    struct zone *z = zone_new();
    const struct {
        const char *what;
        mode_t mode;
        int seals;
        uint64_t size;
        bool ok;
    } files[] = {
        { "as made", 0600, F_SEAL_SHRINK, ZONE_DATA_AT + SIZE, true },
        { "may shrink", 0600, F_SEAL_GROW, ZONE_DATA_AT + SIZE, false },
        { "not writable", 0600, F_SEAL_SHRINK | F_SEAL_WRITE, ZONE_DATA_AT + SIZE, false },
        { "for everybody", 0666, F_SEAL_SHRINK, ZONE_DATA_AT + SIZE, false },
        { "empty", 0600, F_SEAL_SHRINK, 256, false },
        { "header only", 0600, F_SEAL_SHRINK, ZONE_DATA_AT, false },
        { "half a page", 0600, F_SEAL_SHRINK, ZONE_DATA_AT + SIZE + 100, false },
        { "beyond its reserve", 0600, F_SEAL_SHRINK, (uint64_t)512 << 20, false },
    };
    struct error err;
    int pipes[2];
    char name[64];
    uint64_t size;

    EACH (files, f) {
        int fd = forge(z, f->mode, f->seals, f->size);
        struct zone *got = zone_adopt(fd, S("test"), SIZE, &pair_ops, &err);

        CHECK_EQ(got != NULL, f->ok, "%s", f->what);
        if (got == NULL)
            close(fd);
        zone_drop(got);
    }
    REQUIRE(pipe(pipes) == 0);
    CHECK(!zone_peek(pipes[0], name, &size, &err), "a pipe");
    CHECK(!zone_peek(-1, name, &size, &err), "nothing");
    close(pipes[0]);
    close(pipes[1]);
    zone_drop(z);
}

static void
seal_again(struct zone_fixed *f)
{
    f->crc = crc32c(0, f, offsetof(struct zone_fixed, crc));
}

TEST(every_flipped_byte_of_the_header_is_found)
{
    struct zone *z = zone_new();
    struct error err;

    for (size_t i = 0; i < sizeof(struct zone_fixed); i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct zone_fixed f = z->h->fixed;

            ((unsigned char *)&f)[i] ^= (unsigned char)(1u << bit);
            CHECK(!zone_check_fixed(&f, ZONE_DATA_AT + SIZE, &err), "byte %zu bit %u", i, bit);
        }
    }
    zone_drop(z);
}

/* Whoever writes a false header can write its checksum too. */
TEST(every_field_is_checked_behind_a_right_checksum)
{
    struct zone *z = zone_new();
    struct zone_fixed *f = &z->h->fixed, whole = *f;
    const struct {
        const char *what;
        void *at;
        uint64_t value;
        size_t size;
    } changes[] = {
        { "magic", f->magic, 'x', 1 },
        { "format", &f->format, 2, 4 },
        { "lock layout", &f->lock_layout, 0, 4 },
        { "slab layout", &f->slab_layout, 99, 4 },
        { "owner layout", &f->owner_layout, 4, 4 },
        { "name", f->name, 'T', 1 },
        { "kind", f->kind, 'P', 1 },
        { "reserve 0", &f->reserve, 0, 8 },
        { "reserve smaller than the file", &f->reserve, ZONE_DATA_AT, 8 },
        { "reserve odd", &f->reserve, whole.reserve + 1, 8 },
        { "reserve a page larger", &f->reserve, whole.reserve + 4096, 8 },
        { "reserve huge", &f->reserve, (uint64_t)1 << 46, 8 },
        { "reserve negative", &f->reserve, UINT64_MAX - 4095, 8 },
    };
    struct error err = { 0 };

    EACH (changes, c) {
        struct zone *got;

        memcpy(c->at, &c->value, c->size);
        seal_again(f);
        got = adopt(z, SIZE, &pair_ops, &err);
        CHECK(got == NULL, "%s", c->what);
        zone_drop(got);
        *f = whole;
    }
    memset(f->name, 'n', sizeof(f->name));
    seal_again(f);
    CHECK(adopt(z, SIZE, &pair_ops, &err) == NULL, "a name without end");
    *f = whole;
    memset(f->kind, 'k', sizeof(f->kind));
    seal_again(f);
    CHECK(adopt(z, SIZE, &pair_ops, &err) == NULL, "a kind without end");
    *f = whole;
    zone_drop(z);
}

/* The part behind the fixed one is the workers': whatever it says, nothing outside the file is touched. */
TEST(any_changing_part_is_survived)
{
    struct error err;
    uint64_t seed = 0x9e3779b97f4a7c15;

    for (unsigned round = 0; round < 300; round++) {
        struct zone *z = zone_new(), *again;
        unsigned char *bytes = (unsigned char *)z->h;

        for (unsigned i = 0; i < 200; i++) {
            size_t at;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at = sizeof(struct zone_fixed) + (seed >> 33) % (ZONE_DATA_AT + 4096 - 256);
            bytes[at] = round % 3 == 0 ? 0xff : (unsigned char)(seed >> 25);
        }
        z->h->lock.word = 0;
        z->h->dirty = round % 2;
        again = adopt(z, 2 * SIZE, &pair_ops, &err);
        REQUIRE(again != NULL, "the fixed part is whole");
        pair(again)->die_in_repair = 0;
        zone_worker_start(again, NULL);
        zone_lock(again);
        zone_dirty(again);
        for (unsigned i = 0; i < 40; i++) {
            void *p = slab_alloc(again, 16 + 97 * i);

            if (p != NULL)
                memset(p, 1, 16 + 97 * i);
            if (i % 3 == 0)
                slab_free(again, p);
        }
        if (round % 5 == 0)
            zone_reset(again, "test");
        zone_clean(again);
        zone_unlock(again);
        zone_reap(again, 3, 1);
        (void)slab_free_bytes(again);
        (void)zone_size(again);
        zone_drop(again);
        zone_drop(z);
    }
}

TEST(offsets_are_checked)
{
    struct zone *z = zone_new();
    const uint64_t end = ZONE_DATA_AT + SIZE;
    const struct {
        off o;
        uint64_t size;
        bool ok;
    } offsets[] = {
        { 0, 8, false },
        { 8, 8, false },
        { ZONE_ROOT_AT - 8, 8, false },
        { ZONE_ROOT_AT, 8, true },
        { ZONE_DATA_AT, SIZE, true },
        { ZONE_DATA_AT, SIZE + 1, false },
        { ZONE_DATA_AT + 4, 8, false },
        { end - 8, 8, true },
        { end - 8, 9, false },
        { end, 0, true },
        { end, 1, false },
        { end + 8, 0, false },
        { z->reserve, 0, false },
        { UINT64_MAX - 7, 8, false },
        { UINT64_MAX - 7, 16, false },
        { ZONE_DATA_AT, UINT64_MAX, false },
        { ZONE_DATA_AT, UINT64_MAX - ZONE_DATA_AT + 1, false },
    };

    EACH (offsets, t) {
        void *p = off_get(z, t->o, t->size);

        CHECK_EQ(p != NULL, t->ok, "%llu + %llu", (unsigned long long)t->o,
                 (unsigned long long)t->size);
        if (p != NULL)
            CHECK_EQ(off_of(z, p), t->o);
    }
    CHECK_EQ(off_of(z, NULL), 0);
    zone_drop(z);
}

/* ---- size ---------------------------------------------------------------------------------------------------- */

TEST(a_smaller_size_is_a_soft_limit)
{
    struct zone *z = zone_new(), *again;
    struct error err = { 0 };

    again = adopt(z, SIZE / 2, &pair_ops, &err);
    REQUIRE(again != NULL, "%s", err.text);
    zone_worker_start(again, NULL);
    CHECK_EQ(zone_size(again), SIZE);
    CHECK_EQ(zone_limit(again), SIZE / 2);
    CHECK_EQ(pair(again)->grows, 0);
    zone_drop(again);
    zone_drop(z);
}

TEST(without_address_space_there_is_no_reserve)
{
    struct rlimit was, now;
    struct zone *z;
    struct error err;

    REQUIRE(getrlimit(RLIMIT_AS, &was) == 0);
    now = was;
    now.rlim_cur = (rlim_t)1 << 46;
    REQUIRE(setrlimit(RLIMIT_AS, &now) == 0);
    z = zone_new();
    CHECK_EQ(z->reserve, ZONE_DATA_AT + SIZE);
    CHECK(!zone_extend(z, 2 * SIZE, &err));
    setrlimit(RLIMIT_AS, &was);
    zone_drop(z);
}

struct link {
    off next;
    uint64_t tag;
    char bytes[200];
};

static uint64_t
chain_length(struct zone *z)
{
    uint64_t n = 0;

    for (off o = pair(z)->chain; o != 0; n++) {
        struct link *l = OFF_GET(z, o, struct link);

        if (l == NULL || l->tag != 42)
            return 0;
        o = l->next;
    }
    return n;
}

/* Until told to stop: adds links as long as there is room. */
static void
fill(struct zone *z)
{
    struct pair *p = pair(z);

    __atomic_add_fetch(&p->ready, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE) == 0) {
        struct link *l;

        zone_lock(z);
        zone_dirty(z);
        l = slab_alloc(z, sizeof(*l));
        if (l != NULL) {
            l->tag = 42;
            l->next = p->chain;
            p->chain = off_of(z, l);
            p->a = p->b = p->a + 1;
        }
        zone_clean(z);
        zone_unlock(z);
        if (l == NULL)
            sched_yield();
    }
}

static void
start_worker(struct zone *z)
{
    zone_worker_start(z, NULL);
}

TEST(grows_while_two_processes_use_it)
{
    struct zone *z = zone_new(), *again;
    struct error err = { 0 };
    pid_t one = start(fill, z), two = start(fill, z);

    /* Steps that are odd on purpose: a segment is appended wherever the last one ended. */
    for (uint64_t size = SIZE; size <= 5 << 20; size = size * 3 + 4096) {
        uint64_t target = size / 400;

        again = adopt(z, size, &pair_ops, &err);
        REQUIRE(again != NULL, "%s", err.text);
        CHECK_EQ(run_in_child(start_worker, again), 0);
        CHECK_EQ(zone_size(z), size);
        while (__atomic_load_n(&pair(z)->a, __ATOMIC_ACQUIRE) < target)
            sched_yield();
        zone_drop(again);
    }
    __atomic_store_n(&pair(z)->stop, 1, __ATOMIC_RELEASE);
    waitpid(one, NULL, 0);
    waitpid(two, NULL, 0);
    zone_lock(z);
    CHECK_EQ(chain_length(z), pair(z)->a);
    CHECK(pair(z)->grows > 2 && pair(z)->grown_from >= SIZE);
    zone_unlock(z);
    CHECK_EQ(zone_repairs(z), 0);
    zone_drop(z);
}

/* ---- death and repair ---------------------------------------------------------------------------------------- */

static void
die_torn(struct zone *z)
{
    zone_lock(z);
    zone_dirty(z);
    pair(z)->a++;
    raise(SIGKILL);
}

static void
die_whole(struct zone *z)
{
    zone_lock(z);
    zone_dirty(z);
    pair(z)->a++;
    pair(z)->b++;
    zone_clean(z);
    raise(SIGKILL);
}

static void
look_in(struct zone *z)
{
    zone_lock(z);
    zone_unlock(z);
}

TEST(a_torn_zone_is_repaired_by_the_next)
{
    struct zone *z = zone_new();

    run_in_child(die_whole, z);
    look_in(z);
    CHECK_EQ(pair(z)->repairs, 0);
    run_in_child(die_torn, z);
    CHECK_EQ(run_in_child(look_in, z), 0);
    CHECK_EQ(pair(z)->repairs, 1);
    CHECK_EQ(pair(z)->a, 2);
    CHECK_EQ(pair(z)->b, 2);
    CHECK_EQ(zone_repairs(z), 1);
    look_in(z);
    CHECK_EQ(zone_repairs(z), 1);
    zone_drop(z);
}

/* In a process of its own: takes a copy while somebody holds the lock, in the middle of something. */
static void
work_on_a_copy(struct zone *z)
{
    if (!zone_detach(z))
        raise(SIGKILL);
    zone_lock(z);
    if (pair(z)->b != pair(z)->a || pair(z)->repairs != 1)
        raise(SIGKILL);
    zone_dirty(z);
    pair(z)->a = pair(z)->b = 1000;
    zone_clean(z);
    zone_unlock(z);
}

TEST(a_detached_zone_is_a_copy_whose_lock_is_free)
{
    struct zone *z = zone_new(), *same;
    struct error err = { 0 };

    same = adopt(z, SIZE, &pair_ops, &err);
    REQUIRE(same != NULL, "%s", err.text);
    zone_lock(z);
    zone_dirty(z);
    pair(z)->a++;
    CHECK_EQ(run_in_child(work_on_a_copy, same), 0);
    pair(z)->b++;
    zone_clean(z);
    zone_unlock(z);
    CHECK_EQ(pair(z)->a, 1, "nothing of it is seen here");
    CHECK_EQ(pair(z)->repairs, 0);
    look_in(z);
    CHECK_EQ(zone_repairs(z), 0);
    zone_drop(same);
    zone_drop(z);
}

TEST(a_repair_that_dies_is_run_again)
{
    struct zone *z = zone_new();

    run_in_child(die_torn, z);
    pair(z)->die_in_repair = 2;
    CHECK_EQ(run_in_child(look_in, z), SIGKILL);
    CHECK_EQ(run_in_child(look_in, z), SIGKILL);
    CHECK_EQ(run_in_child(look_in, z), 0);
    CHECK_EQ(pair(z)->repairs, 3);
    CHECK_EQ(pair(z)->b, pair(z)->a);
    CHECK_EQ(z->h->dirty, 0);
    zone_drop(z);
}

TEST(without_repair_it_starts_anew)
{
    struct zone *z = zone_new_of(&no_repair);
    uint64_t room = slab_free_bytes(z);

    zone_lock(z);
    zone_dirty(z);
    CHECK(slab_alloc(z, 3000) != NULL);
    zone_clean(z);
    zone_unlock(z);
    run_in_child(die_torn, z);
    look_in(z);
    CHECK_EQ(pair(z)->a, 0);
    CHECK_EQ(pair(z)->inits, 1, "zeroed, then init");
    CHECK_EQ(z->h->resets, 1);
    CHECK_EQ(slab_free_bytes(z), room);
    zone_drop(z);
}

TEST(misuse_asserts)
{
    struct zone *z = zone_new();

    CHECK_DIES((lock_init_process(), zone_unlock(z)), "not locked");
    CHECK_DIES((lock_init_process(), zone_dirty(z)), "not locked");
    CHECK_DIES((lock_init_process(), zone_lock(z), zone_dirty(z), zone_unlock(z)), "dirty");
    CHECK_DIES((lock_init_process(), zone_lock(z), slab_alloc(z, 8)), "not dirty");
    CHECK_DIES((lock_init_process(), zone_lock(z), zone_lock(z)), "twice");
    CHECK_DIES(zone_lock(z), "a child that has not registered");
    zone_drop(z);
}

static void
reap_5_9(struct zone *z)
{
    zone_reap(z, 5, 9);
}

TEST(reaping_is_done_once)
{
    struct zone *z = zone_new();

    reap_5_9(z);
    run_in_child(reap_5_9, z);
    CHECK_EQ(pair(z)->reaps, 1);
    zone_reap(z, 5, 8);
    CHECK_EQ(pair(z)->reaps, 1, "a late reaper of an earlier process");
    zone_reap(z, 5, 10);
    CHECK_EQ(pair(z)->reaps, 2);
    CHECK_EQ(pair(z)->reaped_incarnation, 10);
    zone_reap(z, SLOTS_MAX, 10);
    CHECK_EQ(pair(z)->reaps, 2, "no such slot");
    zone_drop(z);
}

/* ---- another layout ------------------------------------------------------------------------------------------ */

static struct zone *copy_from;

static void
start_with_old(struct zone *z)
{
    zone_worker_start(z, copy_from);
}

TEST(a_new_layout_copies_once)
{
    struct zone *old = zone_new(), *z = zone_new_of(&other_layout);
    struct error err = { 0 };
    int fd = dup(zone_fd(old));

    pair(old)->a = pair(old)->b = 1234;
    copy_from = zone_map_old(fd, S("test"), &other_layout, &err);
    REQUIRE(copy_from != NULL, "%s", err.text);
    CHECK_EQ(zone_layout(copy_from), 3);
    CHECK(zone_next(z) == NULL, "the old one is not in the list");
    zone_set_old(z, copy_from);
    CHECK_EQ(run_in_child(start_worker, z), 0);
    CHECK_EQ(run_in_child(start_with_old, z), 0);
    CHECK_EQ(pair(z)->a, 1234);
    CHECK_EQ(pair(z)->copies, 1);
    zone_drop(copy_from);
    zone_drop(z);
    zone_drop(old);
}

TEST(a_torn_old_zone_is_left_alone)
{
    struct zone *old = zone_new(), *z = zone_new_of(&other_layout);
    struct error err = { 0 };

    run_in_child(die_torn, old);
    copy_from = zone_map_old(dup(zone_fd(old)), S("test"), &other_layout, &err);
    REQUIRE(copy_from != NULL, "%s", err.text);
    CHECK_EQ(run_in_child(start_with_old, z), 0);
    CHECK_EQ(pair(z)->copies, 0);
    CHECK_EQ(old->h->dirty, 1, "its own workers repair it");
    look_in(old);
    CHECK_EQ(pair(old)->repairs, 1);
    zone_drop(copy_from);
    zone_drop(z);
    zone_drop(old);
}

/* ---- death at every point ------------------------------------------------------------------------------------ */

#ifdef WEIR_CRASH_POINTS
/* Everything that has a point in it; leaves a and b equal and one link more. */
static void
do_all(struct zone *z)
{
    struct error err;
    void *large, *mine;
    struct link *l;

    if (!zone_extend(z, zone_size(z) + (3 << 20), &err))
        _exit(1);
    zone_worker_start(z, NULL);
    zone_lock(z);
    zone_dirty(z);
    large = slab_alloc(z, 10000);
    mine = slab_alloc(z, 1500);
    l = slab_alloc(z, sizeof(*l));
    if (l == NULL)
        _exit(1);
    l->tag = 42;
    l->next = pair(z)->chain;
    pair(z)->chain = off_of(z, l);
    pair(z)->a++;
    slab_free(z, large);
    slab_free(z, mine);
    pair(z)->b++;
    zone_clean(z);
    zone_unlock(z);
    zone_reap(z, 5, pair(z)->reaped_incarnation + 1);
}

static char point[40];

static void
die_at_point(struct zone *z)
{
    setenv("WEIR_CRASH_AT", point, 1);
    do_all(z);
}

static void
mark_chain(struct zone *z)
{
    slab_repair_begin(z);
    for (off o = pair(z)->chain; o != 0;) {
        struct link *l = OFF_GET(z, o, struct link);

        if (l == NULL || !slab_repair_mark(z, l, sizeof(*l)))
            break;
        o = l->next;
    }
    slab_repair_end(z);
}

static void
repair_chain(struct zone *z)
{
    pair_repair(z);
    mark_chain(z);
}

TEST(death_at_each_point)
{
    static const char *const points[] = {
        "lock_take",  "lock_taken",   "lock_release", "lock_released", "zone_dirty",
        "zone_clean", "zone_cleaned", "zone_grow",    "zone_reap",     "slab_extend",
        "slab_run",   "slab_page",    "slab_object",  "slab_run_free", "slab_free",
    };
    struct zone_ops ops = pair_ops;
    struct zone *z;
    uint64_t room;

    ops.repair = repair_chain;
    ops.grow = NULL;
    z = zone_new_of(&ops);
    EACH (points, p) {
        for (unsigned hit = 1; hit <= 3; hit++) {
            int how;

            snprintf(point, sizeof(point), "%s:%u", *p, hit);
            how = run_in_child(die_at_point, z);
            CHECK(how == SIGKILL || hit > 1, "%s", point);
            CHECK_EQ(run_in_child(look_in, z), 0, "%s", point);
            CHECK_EQ(pair(z)->a, pair(z)->b, "%s", point);
            CHECK(pair(z)->chain == 0 || chain_length(z) > 0, "%s", point);
        }
    }
    /* All that is held is in the chain: nothing leaked. */
    zone_lock(z);
    zone_dirty(z);
    room = slab_free_bytes(z);
    mark_chain(z);
    CHECK_EQ(slab_free_bytes(z), room);
    zone_clean(z);
    zone_unlock(z);
    zone_drop(z);
}

static void
die_in_recovery(struct zone *z)
{
    setenv("WEIR_CRASH_AT", "zone_repair", 1);
    look_in(z);
}

TEST(death_before_a_repair)
{
    struct zone *z = zone_new();

    run_in_child(die_torn, z);
    CHECK_EQ(run_in_child(die_in_recovery, z), SIGKILL);
    look_in(z);
    CHECK_EQ(pair(z)->a, pair(z)->b);
    CHECK_EQ(zone_repairs(z), 2);
    zone_drop(z);
}
#endif
