/* SPDX-License-Identifier: BSD-2-Clause */
/* date.c - the three forms of RFC 9110, 5.6.7, and what is no date. */
#include "worker/http/date.h"

#include "test.h"

static const struct {
    const char *text;
    bool ok;
    int64_t seconds;
} dates[] = {
    { "Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777 },
    { "Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777 },
    { "Sun Nov  6 08:49:37 1994", true, 784111777 },
    { "Sun Nov 16 08:49:37 1994", true, 784975777 },
    { "Thu, 01 Jan 1970 00:00:00 GMT", true, 0 },
    { "Thu, 29 Feb 2024 23:59:60 GMT", true, 1709251200 },
    { "Fri, 31 Dec 9999 23:59:59 GMT", true, 253402300799 },
    { "Tuesday, 19-Jan-38 03:14:08 GMT", true, 2147483648 },
    { "Mon, 01 Jan 1900 00:00:00 GMT", false, 0 },
    { "Wed, 29 Feb 2023 00:00:00 GMT", false, 0 },
    { "Sun, 31 Apr 2023 00:00:00 GMT", false, 0 },
    { "Sun, 00 Nov 1994 08:49:37 GMT", false, 0 },
    { "Sun, 06 Nov 1994 24:00:00 GMT", false, 0 },
    { "Sun, 06 Nov 1994 08:60:00 GMT", false, 0 },
    { "Sun, 06 nov 1994 08:49:37 GMT", false, 0 },
    { "Sun, 06 Nov 1994 08:49:37", false, 0 },
    { "Sun, 06 Nov 1994 08:49:37 GMTx", false, 0 },
    { "Sun, 6 Nov 1994 08:49:37 GMT", false, 0 },
    { "Sun Nov 6 08:49:37 1994", false, 0 },
    { "", false, 0 },
    { ",", false, 0 },
    { "0", false, 0 },
    { "784111777", false, 0 },
};

TEST(parse)
{
    EACH (dates, d) {
        int64_t seconds = 0;

        CHECK_EQ(date_parse(str_c(d->text), &seconds), d->ok, "%s", d->text);
        CHECK_EQ(seconds, d->seconds, "%s", d->text);
    }
}

TEST(format_is_read_again)
{
    char text[DATE_LEN];
    int64_t seconds;

    date_format(784111777, text);
    CHECK(memcmp(text, "Sun, 06 Nov 1994 08:49:37 GMT", DATE_LEN) == 0);
    for (int64_t t = 0; t < 253402300799; t += 86400 * 97 + 3607) {
        seconds = -1;
        date_format(t, text);
        CHECK(date_parse(str_n(text, DATE_LEN), &seconds) && seconds == t, "%.29s", text);
    }
    date_format(-5, text);
    CHECK(memcmp(text, "Thu, 01 Jan 1970 00:00:00 GMT", DATE_LEN) == 0);
    date_format(INT64_MAX, text);
    CHECK(memcmp(text, "Fri, 31 Dec 9999 23:59:59 GMT", DATE_LEN) == 0);
}
