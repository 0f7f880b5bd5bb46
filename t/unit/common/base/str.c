/* SPDX-License-Identifier: BSD-2-Clause */
/* str.c - comparing, searching and splitting counted strings. */
#include "common/base/str.h"

#include "t/unit/test.h"

TEST(equality_knows_case_only_where_asked)
{
    CHECK(str_eq(S("abc"), S("abc")));
    CHECK(!str_eq(S("abc"), S("abC")));
    CHECK(!str_eq(S("abc"), S("abcd")));
    CHECK(str_eq(STR_NONE, S("")));
    CHECK(str_eq_nocase(S("Transfer-Encoding"), S("tRANSFER-eNCODING")));
    CHECK(!str_eq_nocase(S("Transfer-Encodin1"), S("transfer-encodinQ")));
}

/* All pairs of bytes, at every place of a word and beside it. */
TEST(folding_touches_ascii_letters_only)
{
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            bool same = char_lower((char)a) == char_lower((char)b);
            char x[11], y[11];
            size_t at = (a + b) % sizeof(x);

            memset(x, 'Z', sizeof(x));
            memset(y, 'z', sizeof(y));
            x[at] = (char)a;
            y[at] = (char)b;
            if (str_eq_nocase(str_n(x, sizeof(x)), str_n(y, sizeof(y))) != same)
                CHECK(false, "%u and %u at %zu", a, b, at);
        }
    }
}

TEST(order_is_by_bytes_then_length)
{
    CHECK(str_cmp(S("a"), S("b")) < 0);
    CHECK(str_cmp(S("a"), S("a\xff")) < 0);
    CHECK(str_cmp(S("\xff"), S("a")) > 0);
    CHECK_EQ(str_cmp(S(""), STR_NONE), 0);
}

TEST(prefix_and_suffix)
{
    CHECK(str_starts(S("unix:/x"), S("unix:")));
    CHECK(!str_starts(S("uni"), S("unix:")));
    CHECK(str_starts_nocase(S("HTTP/1.1"), S("http/")));
    CHECK(str_ends(S("a.html"), S(".html")));
    CHECK(!str_ends(S("html"), S(".html")));
    CHECK(str_ends(S("x"), S("")));
}

TEST(searching_gives_the_length_when_there_is_none)
{
    CHECK_EQ(str_find(S("a:b:c"), ':'), 1);
    CHECK_EQ(str_rfind(S("a:b:c"), ':'), 3);
    CHECK_EQ(str_find(S("abc"), ':'), 3);
    CHECK_EQ(str_rfind(S("abc"), ':'), 3);
    CHECK_EQ(str_find(STR_NONE, ':'), 0);
    CHECK_EQ(str_search(S("hello"), S("llo")), 2);
    CHECK_EQ(str_search(S("hello"), S("")), 0);
    CHECK_EQ(str_search(S("hello"), S("hello!")), 5);
    CHECK_EQ(str_search(S("hello"), S("x")), 5);
}

TEST(splitting_keeps_empty_pieces)
{
    static const char *const pieces[] = { "a", "", "b", "" };
    struct str rest = S("a,,b,"), piece;
    unsigned n = 0;

    for (; str_split(&rest, ',', &piece); n++)
        if (n < 4)
            CHECK_STR(piece, pieces[n], "piece %u", n);
    CHECK_EQ(n, 4);
    rest = S("");
    CHECK(str_split(&rest, ',', &piece) && piece.len == 0, "an empty string is one piece");
    CHECK(!str_split(&rest, ',', &piece));
}

TEST(trimming_takes_blanks_and_tabs)
{
    CHECK_STR(str_trim(S(" \t a b\t ")), "a b");
    CHECK_STR(str_trim(S(" \t ")), "");
    CHECK_STR(str_trim(S("\n")), "\n");
}

TEST(c_strings_are_cut)
{
    char to[4];

    CHECK(str_to_c(S("abc"), to, sizeof(to)) && strcmp(to, "abc") == 0);
    CHECK(!str_to_c(S("abcd"), to, sizeof(to)) && strcmp(to, "abc") == 0);
    CHECK(str_to_c(STR_NONE, to, sizeof(to)) && to[0] == '\0');
}

static const struct {
    const char *a, *b;
    unsigned limit, distance;
} distances[] = {
    { "proxy_pass", "proxy_pass", 2, 0 },
    { "proxy_pas", "proxy_pass", 2, 1 },
    { "porxy_pass", "proxy_pass", 2, 2 },
    { "listen", "server", 2, 3 }, /* gave up */
    { "", "ab", 2, 2 },
    { "ab", "", 1, 2 },
    { "kitten", "sitting", 5, 3 },
};

TEST(distances)
{
    EACH (distances, d) {
        CHECK_EQ(str_distance(str_c(d->a), str_c(d->b), d->limit), d->distance, "%s %s", d->a,
                 d->b);
    }
}
