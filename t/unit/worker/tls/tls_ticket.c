/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_ticket.c - keys of tickets in a zone: when they change, and who knows them. */
#include "worker/tls/tls_ticket.h"

#include <sys/wait.h>

#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/sys/clock.h"
#include "test.h"

enum { LIFE = 1000 };

static struct zone *
zone_new(void)
{
    struct error err = { 0 };
    struct zone *z;

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    z = zone_create(S("tickets"), 32 << 10, &tls_ticket_zone_ops, &err);
    return z == NULL ? abort(), NULL : z;
}

static bool
same(const struct tls_ticket_key *a, const struct tls_ticket_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

TEST(a_key_serves_for_a_life_and_is_understood_for_another)
{
    struct zone *z = zone_new();
    struct tls_ticket_key first[TICKET_KEYS], later[TICKET_KEYS], third[TICKET_KEYS];
    uint64_t now = clock_ms + 1000000;

    tls_ticket_keys_now(z, now, LIFE, first);
    CHECK_EQ(first[0].key_len, 32);
    CHECK(!same(&first[0], &first[1]));
    tls_ticket_keys_now(z, now + LIFE - 1, LIFE, later);
    CHECK(same(&first[0], &later[0]) && same(&first[1], &later[1]));
    tls_ticket_keys_now(z, now + LIFE, LIFE, later);
    CHECK(!same(&first[0], &later[0]));
    CHECK(same(&first[0], &later[1]));
    tls_ticket_keys_now(z, now + LIFE + LIFE, LIFE, third);
    CHECK(same(&later[0], &third[1]));
    CHECK(!same(&first[0], &third[0]) && !same(&first[0], &third[1]), "forgotten");
    zone_drop(z);
}

TEST(after_a_long_silence_both_are_new)
{
    struct zone *z = zone_new();
    struct tls_ticket_key first[TICKET_KEYS], later[TICKET_KEYS];
    uint64_t now = clock_ms + 1000000;

    tls_ticket_keys_now(z, now, LIFE, first);
    tls_ticket_keys_now(z, now + 5 * LIFE, LIFE, later);
    for (unsigned i = 0; i < TICKET_KEYS; i++) {
        for (unsigned j = 0; j < TICKET_KEYS; j++)
            CHECK(!same(&first[i], &later[j]));
    }
    zone_drop(z);
}

/* What another process changes is seen at once. */
TEST(all_processes_have_the_same_keys)
{
    struct zone *z = zone_new();
    struct tls_ticket_key first[TICKET_KEYS], mine[TICKET_KEYS];
    struct tls_ticket_key *theirs =
        zone_root(z, 4000); /* only to pass them on: behind the root's own */
    uint64_t now = clock_ms + 1000000;
    int status;
    pid_t pid;

    theirs = (struct tls_ticket_key *)((char *)theirs + 2048);
    tls_ticket_keys_now(z, now, LIFE, first);
    pid = fork();
    if (pid == 0) {
        lock_init_process();
        tls_ticket_keys_now(z, now + LIFE + 5, LIFE, theirs);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    /* By our own clock the first key would still be good. */
    tls_ticket_keys_now(z, now + LIFE - 5, LIFE, mine);
    CHECK(same(&mine[0], &theirs[0]) && same(&mine[1], &theirs[1]));
    CHECK(same(&mine[1], &first[0]));
    zone_drop(z);
}
