/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_session.c - the shared cache of sessions: what is kept, for how long, and what damage does. */
#include "worker/tls/tls_session.h"

#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/shm/slab.h"
#include "common/shm/zone_layout.h"
#include "test.h"

static char found[TLS_SESSION_MAX];

static struct zone *
zone_of(uint64_t size)
{
    struct error err = { 0 };
    struct zone *z;

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    z = zone_create(S("sessions"), size, &tls_session_zone_ops, &err);
    return z == NULL ? abort(), NULL : z;
}

/* An ID that the number tells. */
static struct str
id_of(unsigned n)
{
    static char id[32];

    memset(id, 'i', sizeof(id));
    memcpy(id, &n, sizeof(n));
    return str_n(id, sizeof(id));
}

/* A session of `len` bytes that the number tells. */
static struct str
session_of(unsigned n, size_t len)
{
    static char bytes[TLS_SESSION_MAX + 1];

    memset(bytes, (int)(n * 31 + 7), sizeof(bytes));
    return str_n(bytes, len);
}

static void
store(struct zone *z, unsigned n, size_t len, uint64_t now, uint64_t expires)
{
    tls_session_store(z, id_of(n), session_of(n, len), now, expires);
}

static bool
has(struct zone *z, unsigned n, size_t len, uint64_t now)
{
    return tls_session_find(z, id_of(n), now, found) == len &&
           memcmp(found, session_of(n, len).ptr, len) == 0;
}

TEST(a_session_is_found_until_it_expires)
{
    struct zone *z = zone_of(1 << 20);

    CHECK(!has(z, 1, 200, 10));
    store(z, 1, 200, 10, 100);
    store(z, 2, 1, 10, 50);
    CHECK(has(z, 1, 200, 10));
    CHECK(has(z, 2, 1, 49));
    CHECK_EQ(tls_session_find(z, id_of(2), 50, found), 0);
    CHECK(has(z, 1, 200, 99));
    CHECK_EQ(tls_session_find(z, id_of(1), 100, found), 0);
    zone_drop(z);
}

TEST(the_same_id_again_replaces)
{
    struct zone *z = zone_of(1 << 20);

    store(z, 1, 200, 10, 100);
    tls_session_store(z, id_of(1), session_of(9, 333), 20, 200);
    CHECK_EQ(tls_session_find(z, id_of(1), 150, found), 333);
    CHECK(memcmp(found, session_of(9, 333).ptr, 333) == 0);
    tls_session_forget(z, id_of(1));
    CHECK_EQ(tls_session_find(z, id_of(1), 150, found), 0);
    tls_session_forget(z, id_of(1));
    zone_drop(z);
}

TEST(what_does_not_fit_is_not_kept)
{
    struct zone *z = zone_of(1 << 20), *small = zone_of(32 << 10);
    struct str long_id = str_n("0123456789012345678901234567890123", 34);

    store(z, 1, TLS_SESSION_MAX, 1, 100);
    CHECK(has(z, 1, TLS_SESSION_MAX, 2));
    store(z, 2, TLS_SESSION_MAX + 1, 1, 100);
    CHECK_EQ(tls_session_find(z, id_of(2), 2, found), 0);
    store(small, 1, TLS_SESSION_MAX, 1, 100);
    CHECK_EQ(tls_session_find(small, id_of(1), 2, found), 0);
    store(small, 1, 2000, 1, 100);
    CHECK(has(small, 1, 2000, 2));
    tls_session_store(z, long_id, session_of(1, 10), 1, 100);
    tls_session_store(z, S(""), session_of(1, 10), 1, 100);
    CHECK_EQ(tls_session_find(z, long_id, 2, found), 0);
    CHECK_EQ(tls_session_find(z, S(""), 2, found), 0);
    tls_session_forget(z, S(""));
    zone_drop(z);
    zone_drop(small);
}

/* nginx: a megabyte has room for about 4000. */
TEST(a_megabyte_holds_thousands_and_the_oldest_go_first)
{
    enum { N = 20000, LEN = 150 };
    struct zone *z = zone_of(1 << 20);
    unsigned kept = 0, recent = 0;

    for (unsigned n = 0; n < N; n++)
        store(z, n, LEN, n, n + 1000000);
    for (unsigned n = 0; n < N; n++) {
        bool is = has(z, n, LEN, N);

        kept += is;
        recent += is && n >= N - 2000;
    }
    CHECK(kept > 3300, "%u", kept);
    CHECK(recent > 1900, "of the last 2000: %u", recent);
    CHECK(!has(z, 0, LEN, N));
    zone_drop(z);
}

TEST(sessions_stay_when_a_zone_grows)
{
    struct zone *z = zone_of(1 << 20);
    struct error err = { 0 };
    unsigned kept = 0;

    for (unsigned n = 0; n < 3000; n++)
        store(z, n, 200, 1, 1000);
    CHECK(zone_extend(z, 4 << 20, &err), "%s", err.text);
    zone_worker_start(z, NULL);
    for (unsigned n = 0; n < 3000; n++)
        kept += has(z, n, 200, 2);
    CHECK(kept > 2500, "%u", kept);
    for (unsigned n = 3000; n < 9000; n++)
        store(z, n, 200, 1, 1000);
    for (unsigned n = 3000; n < 9000; n++)
        kept += has(z, n, 200, 2);
    CHECK(kept > 6000, "%u", kept);
    zone_drop(z);
}

/* Whatever stands in the zone, nothing is read or written outside of it, and what is found is what was stored. */
TEST(damage_is_a_miss)
{
    enum { ROUNDS = 300 };
    uint64_t random = 88172645463325252u;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct zone *z = zone_of(64 << 10);
        char *bytes = zone_root(z, 4000);

        for (unsigned n = 0; n < 100; n++)
            store(z, n, 180, 1, 1000);
        for (unsigned i = 0; i < 40; i++) {
            size_t span = round % 3 == 0 ? 64 : round % 3 == 1 ? 4000 : 60 << 10;
            /* The root, and what lies behind the slab's own pages. */
            size_t skip = round % 3 == 2 ? ZONE_DATA_AT - ZONE_ROOT_AT + 4096 : 0;

            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            bytes[skip + random % (span - (skip != 0 ? skip : 0))] ^=
                (char)(1 << (random >> 40) % 8);
        }
        for (unsigned n = 0; n < 120; n++) {
            size_t len = tls_session_find(z, id_of(n), 2, found);

            CHECK(len == 0 || (len == 180 && memcmp(found, session_of(n, 180).ptr, 180) == 0));
            store(z, n + 50, 180, 2, 1000);
            tls_session_forget(z, id_of(n));
        }
        zone_drop(z);
    }
}
