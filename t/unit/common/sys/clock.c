/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.c - the forms of a second. */
#include "common/sys/clock.h"

#include "t/unit/test.h"

static const struct {
    const char *zone;
    uint64_t second;
    const char *http, *log, *error, *iso;
} forms[] = {
    { "UTC0", 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:08:49:37 +0000",
      "1994/11/06 08:49:37", "1994-11-06T08:49:37+00:00" },
    { "XXX-5:30", 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "06/Nov/1994:14:19:37 +0530",
      "1994/11/06 14:19:37", "1994-11-06T14:19:37+05:30" },
    { "YYY3:30", 1709251199, "Thu, 29 Feb 2024 23:59:59 GMT", "29/Feb/2024:20:29:59 -0330",
      "2024/02/29 20:29:59", "2024-02-29T20:29:59-03:30" },
    { "UTC0", 1709251200, "Fri, 01 Mar 2024 00:00:00 GMT", "01/Mar/2024:00:00:00 +0000",
      "2024/03/01 00:00:00", "2024-03-01T00:00:00+00:00" },
};

TEST(forms_of_a_second)
{
    EACH (forms, f) {
        setenv("TZ", f->zone, 1);
        tzset();
        clock_wall_ms = 1000; /* so that nothing is remembered */
        clock_http_date();
        clock_log_time();
        clock_error_time();
        clock_iso8601();
        clock_wall_ms = f->second * 1000 + 999;
        CHECK_STR(clock_http_date(), f->http);
        CHECK_STR(clock_log_time(), f->log);
        CHECK_STR(clock_error_time(), f->error);
        CHECK_STR(clock_iso8601(), f->iso);
    }
}

TEST(texts_are_made_once_a_second)
{
    const char *first;

    clock_wall_ms = UINT64_C(784111777000);
    first = clock_http_date().ptr;
    ((char *)(uintptr_t)first)[0] = 's'; /* a second call would write it anew */
    clock_wall_ms += 500;
    CHECK_EQ(clock_http_date().ptr[0], 's');
    clock_wall_ms += 500;
    CHECK_STR(clock_http_date(), "Sun, 06 Nov 1994 08:49:38 GMT");
}

TEST(update_reads_both_clocks)
{
    uint64_t us = clock_now_us();

    clock_ms = clock_wall_ms = 0;
    clock_update();
    CHECK(clock_ms != 0 && clock_ms <= clock_now_us() / 1000);
    CHECK(clock_ms + 1000 > us / 1000, "the same clock");
    CHECK(clock_wall_ms / 1000 + 2 > (uint64_t)time(NULL));
}
