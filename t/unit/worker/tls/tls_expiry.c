/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_expiry.c - when warnings of certificates are due, and that each is given once. */
#include "worker/tls/tls_report.h"

#include "common/log/log.h"
#include "common/shm/lock.h"
#include "test.h"

static struct zone *
zone_new(uint64_t size)
{
    struct error err = { 0 };
    struct zone *z;

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    z = zone_create(S("certificates"), size, &tls_expiry_zone_ops, &err);
    return z == NULL ? abort(), NULL : z;
}

static const struct {
    int64_t left_s;
    unsigned level;
} levels[] = {
    { 400 * (int64_t)TLS_DAY_S, 0 },
    { 30 * TLS_DAY_S + 1, 0 },
    { 30 * TLS_DAY_S, 1 },
    { 7 * TLS_DAY_S + 1, 1 },
    { 7 * TLS_DAY_S, 2 },
    { TLS_DAY_S + 1, 2 },
    { TLS_DAY_S, 3 },
    { 1, 3 },
    { 0, 4 },
    { -1000 * (int64_t)TLS_DAY_S, 4 },
};

TEST(warnings_are_due_30_7_and_1_days_before)
{
    EACH (levels, l)
        CHECK_EQ(tls_expiry_level(l->left_s), l->level, "%lld", (long long)l->left_s);
}

TEST(each_is_news_once)
{
    struct zone *z = zone_new(64 << 10);

    CHECK(tls_expiry_is_news(z, S("a"), 1));
    CHECK(!tls_expiry_is_news(z, S("a"), 1));
    CHECK(tls_expiry_is_news(z, S("b"), 1), "another certificate");
    CHECK(tls_expiry_is_news(z, S("a"), 3), "nearer to the end");
    CHECK(!tls_expiry_is_news(z, S("a"), 2), "what is less is said");
    CHECK(!tls_expiry_is_news(z, S("a"), 3));
    zone_drop(z);
}

TEST(thousands_have_a_place)
{
    struct zone *z = zone_new(256 << 10);
    unsigned again = 0;
    char name[24];

    for (unsigned i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "certificate %u", i);
        CHECK(tls_expiry_is_news(z, str_c(name), 1));
    }
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(name, sizeof(name), "certificate %u", i);
        again += tls_expiry_is_news(z, str_c(name), 1);
    }
    CHECK_EQ(again, 0u);
    zone_drop(z);
}

TEST(a_zone_that_is_too_small_forgets_and_does_no_harm)
{
    struct zone *z = zone_new(tls_expiry_zone_ops.size_min);
    char name[24];

    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof(name), "certificate %u", i);
        (void)tls_expiry_is_news(z, str_c(name), 1);
    }
    CHECK(!tls_expiry_is_news(z, str_c(name), 1), "the newest is known");
    zone_drop(z);
}
