/* SPDX-License-Identifier: BSD-2-Clause */
/* peer.c - peers' state: the order of balancing, failures, and counts that outlive no process. */
#include "worker/upstream/peer.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/shm/slab.h"
#include "common/shm/zone_layout.h"
#include "test.h"

static struct arena arena;

static struct zone *
zone_of(uint64_t size)
{
    struct error err = { 0 };
    struct zone *z;

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    if (arena.step == 0)
        arena_init(&arena, 16 * 1024);
    lock_init_process();
    process_slot = slot_ref(1023, 7);
    z = zone_create(S("upstreams"), size, &peer_zone_ops, &err);
    return z == NULL ? abort(), NULL : z;
}

static struct zone *
zone_new(void)
{
    return zone_of(256 << 10);
}

static struct peer_spec
spec(const char *name, uint32_t weight)
{
    return (struct peer_spec){
        .name = str_c(name), .weight = weight, .max_fails = 1, .fail_timeout_ms = 10000
    };
}

static struct peers *
attach(struct zone *z, const struct peer_spec *specs, uint32_t n)
{
    struct peers *p = peers_attach(&arena, z, S("api"), specs, n);

    return p == NULL ? abort(), NULL : p;
}

static bool
skip_none(void *data, uint32_t i)
{
    (void)data;
    (void)i;
    return false;
}

static bool
skip_mask(void *data, uint32_t i)
{
    return (*(unsigned *)data >> i & 1) != 0;
}

static int
pick(struct peers *p, uint64_t now_ms)
{
    int i;

    peers_lock(p);
    i = peers_round_robin(p, false, now_ms, skip_none, NULL);
    peers_unlock(p);
    return i;
}

static bool
failed(struct peers *p, uint32_t i, uint64_t now_ms)
{
    bool given_up;

    peers_lock(p);
    given_up = peer_failed(p, i, now_ms);
    peers_unlock(p);
    return given_up;
}

static void
succeeded(struct peers *p, uint32_t i, uint64_t now_ms)
{
    peers_lock(p);
    peer_succeeded(p, i, now_ms);
    peers_unlock(p);
}

static bool
usable(struct peers *p, uint32_t i, uint64_t now_ms)
{
    bool yes;

    peers_lock(p);
    yes = peer_usable(p, i, now_ms);
    peers_unlock(p);
    return yes;
}

static bool
take(struct peers *p, uint32_t i, uint64_t now_ms)
{
    bool yes;

    peers_lock(p);
    yes = peer_take(p, i, now_ms);
    peers_unlock(p);
    return yes;
}

static void
acquire(struct peers *p, uint32_t i)
{
    peers_lock(p);
    peer_acquire(p, i);
    peers_unlock(p);
}

static void
release(struct peers *p, uint32_t i)
{
    peers_lock(p);
    peer_release(p, i);
    peers_unlock(p);
}

static uint32_t
conns(struct peers *p, uint32_t i)
{
    uint32_t n;

    peers_lock(p);
    n = peers_at(p, i)->conns;
    peers_unlock(p);
    return n;
}

/* A process of this slot and incarnation. */
static pid_t
start(uint32_t slot, uint64_t incarnation, void (*run)(void *), void *data)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        lock_init_process();
        process_slot = slot_ref(slot, incarnation);
        run(data);
        _exit(0);
    }
    return pid;
}

static int
run_as(uint32_t slot, uint64_t incarnation, void (*run)(void *), void *data)
{
    int status = 0;

    waitpid(start(slot, incarnation, run, data), &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- weights ------------------------------------------------------------------------------------------------- */

TEST(smooth_weighted_order)
{
    static const int order[] = { 0, 0, 1, 0, 2, 0, 0 };
    const struct peer_spec specs[] = { spec("a", 5), spec("b", 1), spec("c", 1) };
    struct zone *z = zone_new();
    struct peers *shared = attach(z, specs, 3), *alone = attach(NULL, specs, 3);

    for (unsigned i = 0; i < 21; i++) {
        CHECK_EQ(pick(shared, 1000), order[i % 7], "shared, pick %u", i);
        CHECK_EQ(pick(alone, 1000), order[i % 7], "alone, pick %u", i);
    }
    zone_drop(z);
}

struct shared_pick {
    struct zone *z;
    const struct peer_spec *specs;
    uint32_t n;
};

static void
pick_and_exit(void *data)
{
    struct shared_pick *s = data;

    _exit(pick(attach(s->z, s->specs, s->n), 1000));
}

TEST(processes_keep_one_order)
{
    static const int order[] = { 0, 0, 1, 0, 2, 0, 0 };
    const struct peer_spec specs[] = { spec("a", 5), spec("b", 1), spec("c", 1) };
    struct zone *z = zone_new();
    struct shared_pick s = { z, specs, 3 };

    for (uint32_t i = 0; i < 14; i++)
        CHECK_EQ(run_as(i % 3, 1, pick_and_exit, &s), order[i % 7], "pick %u", i);
    zone_drop(z);
}

TEST(backup_down_and_skipped)
{
    struct peer_spec specs[] = { spec("a", 1), spec("b", 1), spec("c", 1), spec("d", 1) };
    struct zone *z = zone_new();
    struct peers *p;
    unsigned mask = 1;

    specs[1].down = true;
    specs[2].backup = specs[3].backup = true;
    p = attach(z, specs, 4);
    CHECK_EQ(pick(p, 1), 0);
    CHECK_EQ(pick(p, 1), 0);
    CHECK(!take(p, 1, 1), "down");
    peers_lock(p);
    CHECK_EQ(peers_round_robin(p, false, 1, skip_mask, &mask), -1);
    CHECK_EQ(peers_round_robin(p, true, 1, skip_mask, &mask), 2);
    CHECK_EQ(peers_round_robin(p, true, 1, skip_mask, &mask), 3);
    mask |= 1 << 2 | 1 << 3;
    CHECK_EQ(peers_round_robin(p, true, 1, skip_mask, &mask), -1);
    peers_unlock(p);
    zone_drop(z);
}

TEST(a_failed_peer_gets_its_weight_back_by_and_by)
{
    const struct peer_spec specs[] = { spec("a", 10), spec("b", 10) };
    struct zone *z = zone_new();
    struct peers *p = attach(z, specs, 2);
    unsigned of_a = 0;

    CHECK(failed(p, 0, 1000));
    CHECK_EQ(pick(p, 1001), 1);
    for (unsigned i = 0; i < 8; i++)
        of_a += pick(p, 12000) == 0; /* one try is let through */
    CHECK_EQ(of_a, 1);
    succeeded(p, 0, 12001);
    of_a = 0;
    for (unsigned i = 0; i < 6; i++)
        of_a += pick(p, 12002) == 0;
    CHECK(of_a < 3, "less than its share at first: %u", of_a);
    for (unsigned i = 0; i < 20; i++)
        (void)pick(p, 12003);
    of_a = 0;
    for (unsigned i = 0; i < 20; i++)
        of_a += pick(p, 12004) == 0;
    CHECK_EQ(of_a, 10);
    zone_drop(z);
}

/* ---- failures ------------------------------------------------------------------------------------------------ */

TEST(max_fails_within_fail_timeout)
{
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    s.max_fails = 3;
    p = attach(z, &s, 1);
    CHECK(!failed(p, 0, 100000));
    CHECK(!failed(p, 0, 104000));
    CHECK(usable(p, 0, 104000));
    CHECK(failed(p, 0, 110000), "the third within ten seconds");
    CHECK(!usable(p, 0, 110000));
    CHECK(!usable(p, 0, 119999));
    CHECK(usable(p, 0, 120000));
    zone_drop(z);
}

TEST(failures_far_apart_do_not_add_up)
{
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    s.max_fails = 2;
    p = attach(z, &s, 1);
    for (uint64_t t = 1000; t < 100000; t += 10001) {
        CHECK(!failed(p, 0, t));
        CHECK(usable(p, 0, t));
    }
    CHECK_EQ(peers_at(p, 0)->failures, 10);
    zone_drop(z);
}

TEST(a_success_between_does_not_forget)
{
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    s.max_fails = 2;
    p = attach(z, &s, 1);
    CHECK(!failed(p, 0, 1000));
    succeeded(p, 0, 1500);
    CHECK(failed(p, 0, 2000), "two attempts failed within the time");
    zone_drop(z);
}

TEST(one_try_after_the_time)
{
    const struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p = attach(z, &s, 1);

    CHECK(failed(p, 0, 1000));
    CHECK(!take(p, 0, 10999));
    CHECK(take(p, 0, 11000));
    CHECK(!take(p, 0, 11000), "others wait for its outcome");
    CHECK(!failed(p, 0, 12000), "said once");
    CHECK(!take(p, 0, 21999));
    CHECK(take(p, 0, 22000));
    succeeded(p, 0, 22500);
    CHECK(take(p, 0, 22500));
    CHECK(take(p, 0, 22500));
    CHECK_EQ(conns(p, 0), 4);
    zone_drop(z);
}

TEST(a_success_begun_before_the_failure_proves_nothing)
{
    const struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p = attach(z, &s, 1);

    failed(p, 0, 1000);
    succeeded(p, 0, 1001);
    CHECK(!usable(p, 0, 1001));
    zone_drop(z);
}

TEST(without_max_fails_it_is_never_given_up)
{
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    s.max_fails = 0;
    p = attach(z, &s, 1);
    for (uint64_t t = 1; t < 20; t++)
        CHECK(!failed(p, 0, t) && usable(p, 0, t));
    zone_drop(z);
}

/* Each worker reads its clock once per turn of its loop. */
TEST(the_clock_of_another_worker_is_ahead)
{
    const struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p = attach(z, &s, 1);

    failed(p, 0, 5000);
    CHECK(!usable(p, 0, 4990));
    CHECK_EQ(pick(p, 4990), -1);
    zone_drop(z);
}

TEST(max_conns)
{
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    s.max_conns = 2;
    p = attach(z, &s, 1);
    CHECK(take(p, 0, 1));
    CHECK(take(p, 0, 1));
    CHECK(!take(p, 0, 1));
    CHECK_EQ(pick(p, 1), -1);
    release(p, 0);
    CHECK(take(p, 0, 1));
    zone_drop(z);
}

/* ---- who is who ---------------------------------------------------------------------------------------------- */

TEST(state_survives_a_changed_list)
{
    const struct peer_spec before[] = { spec("a", 1), spec("b", 2), spec("c", 1) };
    const struct peer_spec after[] = { spec("d", 1), spec("b", 2), spec("a", 4) };
    struct zone *z = zone_new();
    struct peers *old = attach(z, before, 3), *new, *other;

    failed(old, 0, 1000);
    failed(old, 1, 1000);
    acquire(old, 1);
    new = attach(z, after, 3);
    CHECK(usable(new, 0, 1001));
    CHECK(!usable(new, 1, 1001));
    CHECK(!usable(new, 2, 1001), "found under another index");
    CHECK_EQ(conns(new, 1), 1);
    CHECK_EQ(peers_at(new, 2)->effective_weight, 4, "a new weight starts whole");
    release(new, 1);
    CHECK_EQ(conns(old, 1), 0);
    other = peers_attach(&arena, z, S("other"), before, 3);
    CHECK(usable(other, 0, 1001), "another group's");
    zone_drop(z);
}

TEST(namesakes_are_peers_of_their_own)
{
    const struct peer_spec specs[] = { spec("a", 3), spec("a", 1), spec("b", 1), spec("a", 1) };
    struct zone *z = zone_new();
    struct peers *p = attach(z, specs, 4), *again = attach(z, specs, 4);
    unsigned n[4] = { 0 };

    for (unsigned i = 0; i < 60; i++)
        n[pick(i % 2 != 0 ? p : again, 1)]++;
    CHECK_EQ(n[0], 30);
    CHECK_EQ(n[1], 10);
    CHECK_EQ(n[2], 10);
    CHECK_EQ(n[3], 10);
    failed(p, 1, 1000);
    CHECK(!usable(again, 1, 1000));
    CHECK(usable(again, 0, 1000) && usable(again, 3, 1000));
    zone_drop(z);
}

TEST(without_a_zone_or_a_slot)
{
    const struct peer_spec specs[] = { spec("a", 1), spec("b", 1) };
    struct zone *z = zone_new();
    struct peers *alone = attach(NULL, specs, 2), *p;

    acquire(alone, 0);
    CHECK_EQ(conns(alone, 0), 1);
    release(alone, 0);
    release(alone, 0);
    CHECK_EQ(conns(alone, 0), 0);
    process_slot = 0; /* master_process off */
    p = attach(z, specs, 2);
    acquire(p, 1);
    CHECK_EQ(conns(p, 1), 1);
    release(p, 1);
    CHECK_EQ(conns(p, 1), 0);
    zone_drop(z);
}

TEST(names_too_long_and_empty_groups)
{
    static char text[2000];
    struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p;

    memset(text, 'x', sizeof(text));
    s.name = str_n(text, sizeof(text));
    p = attach(z, &s, 1);
    CHECK_EQ(pick(p, 1), 0, "in process memory");
    p = peers_attach(&arena, z, s.name, &s, 1);
    CHECK_EQ(pick(p, 1), 0);
    p = attach(z, NULL, 0);
    CHECK_EQ(pick(p, 1), -1);
    zone_drop(z);
}

/* ---- room ---------------------------------------------------------------------------------------------------- */

static struct peers *
attach_many(struct zone *z, const char *prefix, uint32_t n)
{
    struct peer_spec *specs = arena_zalloc(&arena, n * sizeof(*specs));

    for (uint32_t i = 0; i < n; i++) {
        specs[i] = spec("", 1);
        specs[i].name = arena_fmt(&arena, "%s%u", prefix, i);
    }
    return attach(z, specs, n);
}

TEST(a_full_zone_leaves_the_rest_to_each_worker)
{
    struct zone *z = zone_of(32 << 10);
    struct peers *p = attach_many(z, "peer", 500);
    unsigned seen[500] = { 0 };

    CHECK_EQ(slab_free_bytes(z), 0);
    for (unsigned i = 0; i < 1000; i++)
        seen[pick(p, 1)]++;
    for (unsigned i = 0; i < 500; i++)
        CHECK_EQ(seen[i], 2);
    acquire(p, 499);
    CHECK_EQ(conns(p, 499), 1);
    zone_drop(z);
}

TEST(what_nobody_holds_makes_room)
{
    struct zone *z = zone_of(32 << 10);
    uint32_t before, after;

    failed(attach_many(z, "first", 40), 0, 1000);
    CHECK(!usable(attach_many(z, "first", 1), 0, 1000));
    before = (uint32_t)slab_free_bytes(z);
    zone_reap(z, 1023, 7);
    process_slot = slot_ref(1022, 8);
    CHECK(!usable(attach_many(z, "first", 1), 0, 1000), "room is left: nothing is forgotten");
    zone_reap(z, 1022, 8);
    process_slot = slot_ref(1021, 9);
    for (unsigned round = 0; round < 20; round++) {
        char prefix[16];

        snprintf(prefix, sizeof(prefix), "round%u-", round);
        failed(attach_many(z, prefix, 30), 29, 1000);
        CHECK(!usable(attach_many(z, prefix, 30), 29, 1000), "shared: round %u", round);
        zone_reap(z, 1021, 9 + round);
        process_slot = slot_ref(1021, 10 + round);
    }
    after = (uint32_t)slab_free_bytes(z);
    CHECK(after <= before + (32 << 10));
    zone_drop(z);
}

TEST(more_processes_than_holds)
{
    enum { PROCESSES = 40 };
    const struct peer_spec s = spec("a", 1);
    struct zone *z = zone_new();
    struct peers *p = NULL;

    for (uint32_t i = 0; i < PROCESSES; i++) {
        process_slot = slot_ref(i, 1);
        p = attach(z, &s, 1);
        acquire(p, 0);
        acquire(p, 0);
    }
    CHECK_EQ(conns(p, 0), 2 * PROCESSES);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        zone_reap(z, i, 1);
        zone_reap(z, i, 1);
        CHECK_EQ(conns(p, 0), 2 * (PROCESSES - 1 - i));
    }
    zone_drop(z);
}

/* Every process counts a request with every peer: how many of them all see. */
static uint32_t
seen_by_all(struct zone *z, const char *prefix, uint32_t peers, uint32_t first_slot,
            uint32_t processes)
{
    struct peers *p = NULL;
    uint32_t complete = 0;

    for (uint32_t i = 0; i < processes; i++) {
        process_slot = slot_ref(first_slot + i, 1);
        p = attach_many(z, prefix, peers);
        for (uint32_t k = 0; k < peers; k++)
            acquire(p, k);
    }
    for (uint32_t k = 0; k < peers; k++)
        complete += conns(p, k) == processes;
    return complete;
}

TEST(the_zone_has_room_for_all_peers_of_two_generations)
{
    static const struct {
        uint32_t peers, processes;
    } cases[] = { { 1, 1 }, { 1, 64 }, { 500, 1 }, { 300, 32 }, { 60, 300 } };

    EACH (cases, c) {
        struct zone *z = zone_of(peers_zone_bytes(c->peers, 1, c->processes));

        CHECK_EQ(seen_by_all(z, "192.168.100.200:65", c->peers, 0, 2 * c->processes), c->peers,
                 "%u peers, %u processes", c->peers, c->processes);
        CHECK_EQ(seen_by_all(z, "[2001:db8:1234:5678::9abc]:80", c->peers, 0, c->processes),
                 c->peers, "and others, %u peers, %u processes", c->peers, c->processes);
        zone_drop(z);
    }
}

/* ---- death --------------------------------------------------------------------------------------------------- */

struct job {
    struct zone *z;
    const struct peer_spec *specs;
    uint32_t n;
    const char *point;
};

static const struct peer_spec three[] = { { S_INIT("a"), 2, 1, 0, 10000, false, false },
                                          { S_INIT("b"), 1, 1, 0, 10000, false, false },
                                          { S_INIT("c"), 1, 1, 0, 10000, false, false } };

static void
acquire_and_die(void *data)
{
    struct job *j = data;
    struct peers *p = attach(j->z, j->specs, j->n);

    for (unsigned i = 0; i < 30; i++)
        acquire(p, i % j->n);
    for (unsigned i = 0; i < 10; i++)
        release(p, i % j->n);
    raise(SIGKILL);
}

TEST(the_dead_hold_nothing_once_reaped)
{
    struct zone *z = zone_new();
    struct peers *p = attach(z, three, 3);
    struct job j = { .z = z, .specs = three, .n = 3 };

    acquire(p, 0);
    for (uint32_t slot = 0; slot < 12; slot++)
        CHECK_EQ(run_as(slot, 5 + slot, acquire_and_die, &j), SIGKILL);
    CHECK_EQ(conns(p, 0) + conns(p, 1) + conns(p, 2), 12 * 20 + 1);
    for (uint32_t slot = 0; slot < 12; slot++)
        zone_reap(z, slot, 5 + slot);
    CHECK_EQ(conns(p, 0), 1, "ours");
    CHECK_EQ(conns(p, 1), 0);
    CHECK_EQ(conns(p, 2), 0);
    CHECK_EQ(peers_at(p, 0)->requests, 12 * 10 + 1, "totals stay");
    zone_drop(z);
}

/* Until killed. Time stands still, and is up at once (fail_timeout 0). */
static void
hammer(void *data)
{
    struct job *j = data;
    struct peers *p = attach(j->z, j->specs, j->n);

    for (uint64_t t = 1;; t++) {
        int i;

        peers_lock(p);
        i = peers_round_robin(p, false, 1000, skip_none, NULL);
        if (i >= 0)
            peer_acquire(p, (uint32_t)i);
        peers_unlock(p);
        if (i >= 0 && t % 64 != 0) {
            peers_lock(p);
            peer_release(p, (uint32_t)i);
            if (t % 5 == 0)
                (void)peer_failed(p, (uint32_t)i, 1000);
            else
                peer_succeeded(p, (uint32_t)i, 1000);
            peers_unlock(p);
        }
    }
}

TEST(kills_under_load_leave_nothing)
{
    enum { WORKERS = 3, KILLS = 60 };
    struct zone *z = zone_new();
    struct peers *p = attach(z, three, 3);
    struct peer_state *a = peers_at(p, 0);
    struct peer_spec specs[3] = { three[0], three[1], three[2] };
    struct job j = { .z = z, .specs = specs, .n = 3 };
    pid_t pid[WORKERS];
    uint64_t incarnation[WORKERS], next = 100;

    EACH (specs, s)
        s->fail_timeout_ms = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        pid[i] = start(i, incarnation[i] = next++, hammer, &j);
    for (uint32_t k = 0; k < KILLS; k++) {
        uint32_t i = k % WORKERS;
        uint64_t from = __atomic_load_n(&a->requests, __ATOMIC_RELAXED);

        while (__atomic_load_n(&a->requests, __ATOMIC_RELAXED) < from + 50 + k)
            sched_yield();
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
        zone_reap(z, i, incarnation[i]);
        pid[i] = start(i, incarnation[i] = next++, hammer, &j);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        kill(pid[i], SIGKILL);
        waitpid(pid[i], NULL, 0);
        zone_reap(z, i, incarnation[i]);
    }
    for (uint32_t i = 0; i < 3; i++)
        CHECK_EQ(conns(p, i), 0, "peer %u", i);
    zone_drop(z);
}

#ifdef WEIR_CRASH_POINTS
static void
all_points(void *data)
{
    struct job *j = data;
    struct peers *p;

    setenv("WEIR_CRASH_AT", j->point, 1);
    p = attach(j->z, j->specs, j->n);
    for (uint32_t i = 0; i < j->n; i++)
        acquire(p, i);
    for (uint32_t i = 0; i < j->n; i++)
        release(p, i);
}

static void
reap_at_point(void *data)
{
    struct job *j = data;

    setenv("WEIR_CRASH_AT", j->point, 1);
    zone_reap(j->z, 4, 9);
}

static void
hold_some(void *data)
{
    struct job *j = data;
    struct peers *p = attach(j->z, j->specs, j->n);

    for (uint32_t i = 0; i < 5; i++)
        acquire(p, i % j->n);
}

TEST(death_at_each_point)
{
    static const char *const points[] = { "peer_group",     "peer_new",       "peer_new:3",
                                          "peer_acquire",   "peer_acquire:2", "peer_release",
                                          "peer_release:3", "zone_dirty:3",   "zone_clean:3",
                                          "zone_cleaned:2", "peer_holds",     "slab_object:3" };

    EACH (points, point) {
        struct zone *z = zone_new();
        struct job j = { .z = z, .specs = three, .n = 3, .point = *point };
        bool grows = strcmp(*point, "peer_holds") == 0;
        struct peers *p;

        for (uint32_t slot = 100; grows && slot < 108; slot++)
            CHECK_EQ(run_as(slot, 1, hold_some, &j), 0);
        CHECK_EQ(run_as(4, 9, all_points, &j), SIGKILL, "%s", *point);
        p = attach(z, three, 3);
        acquire(p, 1);
        zone_reap(z, 4, 9);
        for (uint32_t slot = 100; grows && slot < 108; slot++)
            zone_reap(z, slot, 1);
        for (uint32_t i = 0; i < 3; i++)
            CHECK_EQ(conns(p, i), i == 1, "%s, peer %u", *point, i);
        zone_drop(z);
    }
}

TEST(a_reaper_that_dies_is_followed_by_another)
{
    static const char *const points[] = { "peer_reap", "peer_reap:2", "zone_reap", "zone_clean" };

    EACH (points, point) {
        struct zone *z = zone_new();
        struct job j = { .z = z, .specs = three, .n = 3, .point = *point };
        struct peers *p = attach(z, three, 3);

        CHECK_EQ(run_as(4, 9, hold_some, &j), 0);
        CHECK_EQ(conns(p, 0), 2);
        CHECK_EQ(run_as(5, 10, reap_at_point, &j), SIGKILL, "%s", *point);
        zone_reap(z, 4, 9);
        for (uint32_t i = 0; i < 3; i++)
            CHECK_EQ(conns(p, i), 0, "%s, peer %u", *point, i);
        zone_drop(z);
    }
}
#endif

/* ---- another zone, and bytes that nobody meant ---------------------------------------------------------------- */

struct move {
    struct zone *z, *old;
};

static void
start_with_old(void *data)
{
    struct move *m = data;

    zone_worker_start(m->z, m->old);
}

TEST(a_larger_zone_takes_the_states_along)
{
    struct zone *old = zone_of(64 << 10), *z = zone_of(128 << 10);
    struct error err = { 0 };
    struct move m = { z, zone_map_old(dup(zone_fd(old)), S("upstreams"), &peer_zone_ops, &err) };
    struct peers *p = attach(old, three, 3);

    REQUIRE(m.old != NULL, "%s", err.text);
    failed(p, 1, 1000);
    acquire(p, 0);
    CHECK_EQ(run_as(3, 1, start_with_old, &m), 0);
    CHECK_EQ(run_as(4, 1, start_with_old, &m), 0);
    p = attach(z, three, 3);
    CHECK(usable(p, 0, 1001));
    CHECK(!usable(p, 1, 1001));
    CHECK_EQ(conns(p, 0), 0, "under way in the old zone");
    zone_drop(m.old);
    zone_drop(z);
    zone_drop(old);
}

TEST(any_bytes_are_survived)
{
    uint64_t seed = 0x2545f4914f6cdd1d;

    for (unsigned round = 0; round < 400; round++) {
        struct zone *z = zone_of(64 << 10), *copy = NULL;
        struct error err;
        struct peers *p = attach_many(z, "peer", 20), *again;
        unsigned char *bytes = (unsigned char *)z->h + ZONE_ROOT_AT;

        for (unsigned i = 0; i < 60; i++) {
            size_t at;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at = (seed >> 33) % (12 * 4096);
            bytes[at] = round % 2 != 0 ? (unsigned char)(seed >> 25) : 0xff;
        }
        z->h->dirty = round % 3 == 0;
        for (unsigned i = 0; i < 20; i++) {
            (void)pick(p, i * 1000);
            acquire(p, i);
            (void)failed(p, i, UINT64_MAX - i);
            release(p, i);
        }
        zone_reap(z, 1023, round + 1);
        again = attach_many(z, "other", 40);
        for (unsigned i = 0; i < 40; i++)
            acquire(again, i);
        copy = zone_map_old(dup(zone_fd(z)), S("upstreams"), &peer_zone_ops, &err);
        if (copy != NULL) {
            struct zone *fresh = zone_of(64 << 10);

            zone_worker_start(fresh, copy);
            zone_drop(copy);
            zone_drop(fresh);
        }
        zone_drop(z);
        arena_free(&arena);
        arena_init(&arena, 16 * 1024);
    }
}

/* A chain that bites its tail: each walk has an end. */
TEST(a_ring_is_no_endless_chain)
{
    struct zone *z = zone_new();
    struct peers *p = attach(z, three, 3);
    off *bucket = zone_root(z, 256 * sizeof(off));
    unsigned b = 0;
    off *group;

    while (bucket[b] == 0)
        b++;
    group = off_get(z, bucket[b], 16);
    group[0] = bucket[b];
    p = peers_attach(&arena, z, S("not there"), three, 3);
    CHECK_EQ(pick(p, 1), 0);
    zone_reap(z, 1, 1);
    CHECK_EQ(z->h->resets, 1);
    zone_drop(z);
}
