/* SPDX-License-Identifier: BSD-2-Clause */
/* rate.c - what limit_rate allows, and when it allows more. */
#include "worker/net/rate.h"

#include "test.h"

static const struct {
    const char *what;
    struct rate r;
    uint64_t now, allowed, wait;
} rows[] = {
    { "unlimited", { 0, 0, 0, 1000 }, 5, UINT64_MAX, 0 },
    { "a quarter second's worth at once", { 1000, 0, 100, 0 }, 100, 250, 0 },
    { "after a second", { 1000, 0, 100, 1000 }, 1100, 250, 0 },
    { "used up: a tenth of a second more", { 1000, 0, 100, 250 }, 100, 0, 100 },
    { "free bytes first", { 1000, 500, 100, 0 }, 100, 750, 0 },
    { "far ahead", { 1000, 0, 100, 2250 }, 100, 0, 2100 },
    { "one byte a second", { 1, 0, 0, 1 }, 0, 0, 2000 },
    { "a clock that stands behind", { 1000, 0, 5000, 0 }, 100, 250, 0 },
    { "more than can be counted", { UINT64_MAX, 0, 0, 5 }, 100000, UINT64_MAX - 5, 0 },
    { "free bytes without end", { 10, UINT64_MAX, 0, 5 }, 100000, UINT64_MAX, 0 },
};

TEST(allowed)
{
    EACH (rows, row) {
        uint64_t wait;

        CHECK_EQ(rate_allowed(&row->r, row->now, &wait), row->allowed, "%s", row->what);
        CHECK_EQ(wait, row->wait, "%s", row->what);
    }
}

/* A sender that takes what it may and waits as it is told arrives at the rate. */
TEST(the_rate_holds)
{
    struct rate r = { .bytes_per_s = 10007 };
    uint64_t now = 0, wakes = 0;

    while (now < 10000) {
        uint64_t wait, n = rate_allowed(&r, now, &wait);

        r.passed += n;
        if (n == 0) {
            CHECK(wait > 0);
            now += wait;
            wakes++;
        }
    }
    CHECK(r.passed >= 100070 && r.passed <= 105000, "%llu", (unsigned long long)r.passed);
    CHECK(wakes <= 101, "%llu", (unsigned long long)wakes);
}
