/* SPDX-License-Identifier: BSD-2-Clause */
/* harness.c - the test harness itself: walking arrays, comparing, dying. */
#include "t/unit/test.h"

static const struct {
    const char *text;
    int len;
} rows[] = { { "", 0 }, { "one", 3 }, { "three", 5 } };

TEST(each_row_is_visited_once)
{
    int n = 0;

    EACH (rows, r) {
        CHECK_EQ(strlen(r->text), r->len, "%s", r->text);
        n++;
    }
    CHECK_EQ(n, 3);
}

TEST(strings_compare_by_length_and_bytes)
{
    CHECK_STR(S("one"), "one");
    CHECK_STR(STR_NONE, "");
}

TEST(a_death_is_seen)
{
    CHECK_DIES(abort(), "by abort");
}
