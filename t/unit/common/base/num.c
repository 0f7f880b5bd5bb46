/* SPDX-License-Identifier: BSD-2-Clause */
/* num.c - numbers, sizes, durations and rates from text. */
#include "common/base/num.h"

#include "t/unit/test.h"

static const struct {
    const char *text;
    bool ok;
    uint64_t ms;
} durations[] = {
    { "10", true, 10000 }, /* bare number: seconds */
    { "0", true, 0 },
    { "1h 30m", true, 5400000 },
    { "1h30m", true, 5400000 },
    { "500ms", true, 500 },
    { "1s500ms", true, 1500 },
    { "1m 30", true, 90000 }, /* the last one without a unit */
    { "1y2M3w4d5h6m7s8ms", true,
      UINT64_C(1000) * (365 * 86400 + 60 * 86400 + 25 * 86400 + 5 * 3600 + 6 * 60 + 7) + 8 },
    { "1M", true, UINT64_C(30) * 86400000 },
    { "30m 1h", false, 0 }, /* units go from large to small */
    { "1m 1m", false, 0 },
    { "1s 1", false, 0 },
    { "1 30m", false, 0 },
    { "", false, 0 },
    { "h", false, 0 },
    { "1x", false, 0 },
    { "1hm", false, 0 },
    { "-1", false, 0 },
    { " 1", false, 0 },
    { "1 ", false, 0 },
    { "1h ", false, 0 },
    { "1.5h", false, 0 },
    { "9999999999y", false, 0 }, /* overflow is an error, not a wrap */
    { "18446744073709551615ms", true, UINT64_MAX },
    { "18446744073709551616ms", false, 0 },
};

TEST(durations)
{
    EACH (durations, d) {
        uint64_t ms = 0;

        CHECK_EQ(num_parse_duration(str_c(d->text), &ms), d->ok, "\"%s\"", d->text);
        CHECK_EQ(ms, d->ms, "\"%s\"", d->text);
    }
}

static const struct {
    const char *text;
    bool ok;
    uint64_t bytes;
} sizes[] = {
    { "0", true, 0 },
    { "10k", true, 10240 },
    { "10K", true, 10240 },
    { "1m", true, 1048576 },
    { "2G", true, UINT64_C(2) << 30 },
    { "17179869183g", true, UINT64_C(17179869183) << 30 },
    { "17179869184g", false, 0 },
    { "18446744073709551615", true, UINT64_MAX },
    { "18446744073709551616", false, 0 },
    { "", false, 0 },
    { "k", false, 0 },
    { "1kb", false, 0 },
    { "1 k", false, 0 },
    { "+1", false, 0 },
    { "1t", false, 0 },
};

TEST(sizes)
{
    EACH (sizes, s) {
        uint64_t bytes = 0;

        CHECK_EQ(num_parse_size(str_c(s->text), &bytes), s->ok, "\"%s\"", s->text);
        CHECK_EQ(bytes, s->bytes, "\"%s\"", s->text);
    }
}

static const struct {
    const char *text;
    bool ok;
    int64_t value;
} integers[] = {
    { "0", true, 0 },
    { "-0", true, 0 },
    { "-5", true, -5 },
    { "9223372036854775807", true, INT64_MAX },
    { "-9223372036854775808", true, INT64_MIN },
    { "9223372036854775808", false, 0 },
    { "-9223372036854775809", false, 0 },
    { "--5", false, 0 },
    { "-", false, 0 },
    { "5-", false, 0 },
};

TEST(integers)
{
    uint64_t n = 7;
    uint32_t small = 7;

    EACH (integers, i) {
        int64_t value = 0;

        CHECK_EQ(num_parse_i64(str_c(i->text), &value), i->ok, "\"%s\"", i->text);
        CHECK_EQ(value, i->value, "\"%s\"", i->text);
    }
    CHECK(num_parse_u32(S("4294967295"), &small) && small == UINT32_MAX);
    CHECK(!num_parse_u32(S("4294967296"), &small) && small == UINT32_MAX, "unchanged");
    CHECK(!num_parse_u64(S("-1"), &n) && n == 7);
    CHECK(num_parse_hex(S("fFfFfFfFfFfFfFfF"), &n) && n == UINT64_MAX);
    CHECK(!num_parse_hex(S("10000000000000000"), &n));
    CHECK(!num_parse_hex(S("0x1"), &n));
    CHECK(!num_parse_hex(S(""), &n));
}

TEST(rates)
{
    uint64_t r = 0;

    CHECK(num_parse_rate(S("10r/s"), &r) && r == 10000);
    CHECK(num_parse_rate(S("30r/m"), &r) && r == 500);
    CHECK(!num_parse_rate(S("30"), &r));
    CHECK(!num_parse_rate(S("30r/h"), &r));
    CHECK(!num_parse_rate(S("r/s"), &r));
    CHECK(!num_parse_rate(S("18446744073709551615r/s"), &r));
}

static const struct {
    const char *text;
    unsigned digits;
    bool ok;
    uint64_t value;
} fractions[] = {
    { "1.5", 2, true, 150 },  { "1", 3, true, 1000 },   { "0.5", 1, true, 5 },
    { ".5", 1, true, 5 },     { "1.555", 2, false, 0 }, { "1.", 2, false, 0 },
    { ".", 2, false, 0 },     { "", 2, false, 0 },      { "1.-5", 2, false, 0 },
    { "1.5.5", 3, false, 0 }, { "x", 0, false, 0 },     { "18446744073709551615", 1, false, 0 },
};

TEST(fractions)
{
    EACH (fractions, f) {
        uint64_t value = 0;

        CHECK_EQ(num_parse_fixed(str_c(f->text), f->digits, &value), f->ok, "\"%s\"", f->text);
        CHECK_EQ(value, f->value, "\"%s\"", f->text);
    }
}

TEST(formatting)
{
    static const uint64_t values[] = { 0, 9, 10, 99, 100, 101, 12345, 1000000, UINT64_MAX };

    EACH (values, v) {
        char ours[NUM_TEXT_MAX], theirs[NUM_TEXT_MAX + 1];

        snprintf(theirs, sizeof(theirs), "%llu", (unsigned long long)*v);
        CHECK_STR(str_n(ours, num_format_u64(ours, *v)), theirs);
    }
}

TEST(arithmetic_that_would_wrap_changes_nothing)
{
    uint64_t r = 5;

    CHECK(!num_add(UINT64_MAX, 1, &r) && r == 5);
    CHECK(!num_mul(UINT64_MAX, 2, &r) && r == 5);
    CHECK(num_add(1, 2, &r) && r == 3);
    CHECK(num_mul(4, 5, &r) && r == 20);
}
