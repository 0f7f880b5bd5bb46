/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.c - counting by slot: totals never fall, each dead process is added once. */
#include "common/shm/counters.h"

#include <signal.h>

#include "common/log/log.h"
#include "common/module.h"
#include "common/shm/lock.h"
#include "common/shm/zone_layout.h"
#include "test.h"

static uint16_t id_requests, id_active, id_bytes, id_new;

static const struct counter_def first_rows[] = {
    { "requests_total", "requests", false, &id_requests },
    { "active", "requests under way", true, &id_active },
    { 0 },
};
static const struct counter_def second_rows[] = {
    { "bytes_total", "bytes", false, &id_bytes },
    { 0 },
};
/* Of a later program: another order, one more, one less. */
static const struct counter_def later_rows[] = {
    { "bytes_total", "bytes", false, &id_bytes },
    { "new_total", "new", false, &id_new },
    { "requests_total", "requests", false, &id_requests },
    { 0 },
};
static struct module first = { .name = "first", .counters = first_rows };
static struct module silent = { .name = "silent" };
static struct module second = { .name = "second", .counters = second_rows };
static struct module later = { .name = "later", .counters = later_rows };
static struct module *const program[] = { &first, &silent, &second, NULL };
static struct module *const later_program[] = { &later, NULL };

static void
use(struct module *const *list, unsigned n)
{
    modules = list;
    module_count = n;
    counters_number();
}

static struct zone *
zone_new(void)
{
    struct error err = { 0 };
    struct zone *z;

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    use(program, 3);
    z = zone_create(S("counters"), counters_number(), &counters_zone_ops, &err);
    lock_init_process();
    return z == NULL ? abort(), NULL : z;
}

struct work {
    uint32_t slot;
    uint64_t incarnation;
    int requests, active, bytes;
};

/* A process that counts, and ends without a word. */
static void
work(struct zone *z, struct work w)
{
    pid_t pid = fork();

    if (pid == 0) {
        lock_init_process();
        counters_attach(z, w.slot, w.incarnation);
        counter_add(id_requests, w.requests);
        counter_add(id_active, w.active);
        counter_add(id_bytes, w.bytes);
        raise(SIGKILL);
    }
    waitpid(pid, NULL, 0);
}

/* What a reader in a process of its own gets; it has a slot like any other. */
static uint64_t
sum(struct zone *z, uint16_t *id)
{
    uint64_t n = 0;
    int up[2];
    pid_t pid;

    if (pipe(up) != 0)
        abort();
    pid = fork();
    if (pid == 0) {
        lock_init_process();
        counters_attach(z, 1000, 1);
        n = counters_sum(*id);
        _exit(write(up[1], &n, sizeof(n)) != sizeof(n));
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ(read(up[0], &n, sizeof(n)), sizeof(n));
    close(up[0]);
    close(up[1]);
    return n;
}

TEST(names_and_ids)
{
    uint16_t id;

    use(program, 3);
    CHECK(counters_find("active", &id));
    CHECK_EQ(id, id_active);
    CHECK(!counters_find("nothing", &id));
    CHECK(counters_at(2) == &second_rows[0]);
    CHECK(counters_at(3) == NULL);
    CHECK(id_requests != id_active && id_active != id_bytes);
    counter_add(id_requests, 3);
    CHECK_EQ(counters_sum(id_requests), 3, "without a zone: this process");
    counter_add(id_requests, -3);
}

TEST(totals_survive_their_processes)
{
    struct zone *z = zone_new();

    work(z, (struct work){ 0, 11, 5, 2, 100 });
    work(z, (struct work){ 3, 12, 7, 1, 200 });
    CHECK_EQ(sum(z, &id_requests), 12);
    CHECK_EQ(sum(z, &id_active), 3, "not yet reaped");
    zone_reap(z, 0, 11);
    CHECK_EQ(sum(z, &id_requests), 12);
    CHECK_EQ(sum(z, &id_active), 1, "gauges go with their process");
    zone_reap(z, 0, 11);
    zone_reap(z, 3, 12);
    zone_reap(z, 3, 12);
    work(z, (struct work){ 0, 13, 1, 1, 1 });
    zone_reap(z, 0, 11);
    CHECK_EQ(sum(z, &id_requests), 13);
    CHECK_EQ(sum(z, &id_bytes), 301);
    CHECK_EQ(sum(z, &id_active), 1);
    zone_drop(z);
}

TEST(a_slot_that_nobody_reaped_is_added_by_its_next_process)
{
    struct zone *z = zone_new();

    work(z, (struct work){ 4, 1, 5, 2, 0 });
    work(z, (struct work){ 4, 2, 6, 1, 0 });
    CHECK_EQ(sum(z, &id_requests), 11);
    CHECK_EQ(sum(z, &id_active), 1);
    zone_reap(z, 4, 1);
    CHECK_EQ(sum(z, &id_requests), 11);
    zone_drop(z);
}

TEST(what_was_counted_before_attaching_moves_along)
{
    struct zone *z = zone_new();
    pid_t pid = fork();

    if (pid == 0) {
        lock_init_process();
        counter_add(id_bytes, 40);
        counters_attach(z, 2, 5);
        counter_add(id_bytes, 2);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    CHECK_EQ(sum(z, &id_bytes), 42);
    zone_drop(z);
}

/* An upgrade with another set of counters, while the old generation still counts. */
TEST(columns_go_by_name)
{
    struct zone *z = zone_new();
    struct error err = { 0 };

    work(z, (struct work){ 0, 1, 5, 2, 100 });
    use(later_program, 1);
    z = zone_adopt(zone_fd(z), S("counters"), counters_number(), &counters_zone_ops, &err);
    REQUIRE(z != NULL, "%s", err.text);
    work(z, (struct work){ 1, 2, 10, 0, 1000 });
    CHECK_EQ(sum(z, &id_requests), 15);
    CHECK_EQ(sum(z, &id_bytes), 1100);
    CHECK_EQ(sum(z, &id_new), 0);
    use(program, 3);
    zone_reap(z, 0, 1);
    zone_reap(z, 1, 2);
    CHECK_EQ(sum(z, &id_requests), 15);
    CHECK_EQ(sum(z, &id_bytes), 1100);
    CHECK_EQ(sum(z, &id_active), 0, "its column still is a gauge's");
}

TEST(too_many_columns)
{
    static char names[600][16];
    static uint16_t ids[600];
    static struct counter_def rows[300];
    static struct module many = { .name = "many", .counters = rows };
    static struct module *const list[] = { &many, NULL };
    struct zone *z = zone_new();

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 299; i++) {
            unsigned k = round * 299 + i;

            snprintf(names[k], sizeof(names[k]), "n%u", k);
            rows[i] = (struct counter_def){ names[k], "", false, &ids[k] };
        }
        use(list, 1);
        work(z, (struct work){ 0, round + 1, 0, 0, 0 });
        zone_reap(z, 0, round + 1);
    }
    use(program, 3);
    work(z, (struct work){ 0, 9, 3, 0, 0 });
    (void)sum(z, &id_requests); /* column 0 takes it: nothing is overwritten */
    zone_drop(z);
}

TEST(all_slots_have_room)
{
    struct zone *z = zone_new();

    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        work(z, (struct work){ i, i + 1, 1, 0, 0 });
    CHECK_EQ(sum(z, &id_requests), SLOTS_MAX);
    zone_drop(z);
}

TEST(a_spoilt_zone_does_not_harm_its_readers)
{
    for (unsigned round = 0; round < 16; round++) {
        struct zone *z = zone_new();
        uint64_t *root = zone_root(z, 64);

        work(z, (struct work){ 0, 1, 5, 2, 100 });
        root[round % 8] = round < 8 ? UINT64_MAX : 12;
        (void)sum(z, &id_requests);
        zone_reap(z, 0, 1);
        z->h->dirty = 1;
        zone_reap(z, 0, 2);
        work(z, (struct work){ 0, 3, 5, 2, 100 });
        zone_drop(z);
    }
}

#ifdef WEIR_CRASH_POINTS
static void
die_reaping(struct zone *z, const char *at)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        lock_init_process();
        setenv("WEIR_CRASH_AT", at, 1);
        zone_reap(z, 0, 1);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status), "%s", at);
}

TEST(a_reaper_that_dies_adds_nothing_twice)
{
    static const char *const points[] = { "lock_taken",       "zone_dirty",  "counters_retire",
                                          "counters_retired", "zone_clean",  "zone_cleaned",
                                          "zone_reap",        "lock_release" };

    EACH (points, p) {
        struct zone *z = zone_new();

        work(z, (struct work){ 0, 1, 5, 2, 100 });
        work(z, (struct work){ 1, 2, 10, 1, 1000 });
        die_reaping(z, *p);
        zone_reap(z, 1, 2); /* between: the last one added is another */
        zone_reap(z, 0, 1);
        CHECK_EQ(sum(z, &id_requests), 15, "%s", *p);
        CHECK_EQ(sum(z, &id_bytes), 1100, "%s", *p);
        CHECK_EQ(sum(z, &id_active), 0, "%s", *p);
        zone_drop(z);
    }
}

TEST(a_process_that_dies_attaching)
{
    struct zone *z = zone_new();

    setenv("WEIR_CRASH_AT", "counters_attach", 1);
    work(z, (struct work){ 0, 1, 5, 2, 100 });
    unsetenv("WEIR_CRASH_AT");
    work(z, (struct work){ 0, 2, 6, 0, 0 });
    CHECK_EQ(sum(z, &id_requests), 6);
    CHECK_EQ(zone_repairs(z), 1);
    zone_drop(z);
}
#endif
