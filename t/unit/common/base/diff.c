/* SPDX-License-Identifier: BSD-2-Clause */
/* diff.c - unified differences: known ones, and random ones that are applied again. */
#include "common/base/diff.h"

#include <stdlib.h>

#include "t/unit/test.h"

static struct text out;

static struct str
diff(struct str old, struct str new)
{
    text_free(&out);
    text_init(&out, NULL);
    CHECK(diff_unified(&out, old, new));
    return out.len > 0 ? text_str(&out) : S("");
}

TEST(equal_texts_have_no_difference)
{
    CHECK_STR(diff(S(""), S("")), "");
    CHECK_STR(diff(S("a\nb\n"), S("a\nb\n")), "");
    CHECK_STR(diff(S("a"), S("a")), "");
}

TEST(known_ones)
{
    CHECK_STR(diff(S(""), S("a\n")), "@@ -0,0 +1 @@\n+a\n");
    CHECK_STR(diff(S("a\n"), S("")), "@@ -1 +0,0 @@\n-a\n");
    CHECK_STR(diff(S("a\nb\nc\n"), S("a\nx\nc\n")), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
    CHECK_STR(diff(S("a\n"), S("a")), "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
    CHECK_STR(diff(S("1\n2\n3\n4\n5\n6\n7\n8\n9\n"), S("1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n")),
              "@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+x\n");
}

TEST(far_changes_have_hunks_of_their_own)
{
    CHECK_STR(diff(S("a\n1\n2\n3\n4\n5\n6\n7\nb\n"), S("A\n1\n2\n3\n4\n5\n6\n7\nB\n")),
              "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n");
    CHECK_STR(diff(S("a\n1\n2\n3\n4\n5\n6\nb\n"), S("A\n1\n2\n3\n4\n5\n6\nB\n")),
              "@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n");
}

/* Applies hunks of texts whose lines all end: what patch(1) does. */
static void
apply(struct str old, struct str hunks, struct text *to)
{
    struct str line;
    unsigned at = 1;

    while (hunks.len > 0 && str_split(&hunks, '\n', &line) && line.len > 0) {
        unsigned from;
        char *end;

        if (line.ptr[0] == '@') {
            from = (unsigned)strtoul(line.ptr + 4, &end, 10);
            if (*end == ',' && end[1] == '0') /* nothing of the old text: behind that line */
                from++;
            for (; at < from; at++) {
                CHECK(str_split(&old, '\n', &line));
                text_add(to, line);
                text_char(to, '\n');
            }
            continue;
        }
        if (line.ptr[0] != '+') {
            struct str is;

            CHECK(str_split(&old, '\n', &is));
            CHECK(str_eq(is, str_from(line, 1)));
            at++;
        }
        if (line.ptr[0] != '-') {
            text_add(to, str_from(line, 1));
            text_char(to, '\n');
        }
    }
    text_add(to, old);
}

static void
random_text(struct text *t, unsigned lines, unsigned kinds)
{
    text_init(t, NULL);
    for (unsigned i = 0; i < lines; i++)
        text_fmt(t, "line %d\n", rand() % (int)kinds);
}

TEST(random_ones_lead_from_one_to_the_other)
{
    srand(7);
    for (unsigned i = 0; i < 400; i++) {
        struct text a, b, c;
        struct str old, new;

        random_text(&a, (unsigned)rand() % 40, 1 + (unsigned)rand() % 12);
        random_text(&b, (unsigned)rand() % 40, 1 + (unsigned)rand() % 12);
        old = a.len > 0 ? text_str(&a) : S("");
        new = b.len > 0 ? text_str(&b) : S("");
        text_init(&c, NULL);
        apply(old, diff(old, new), &c);
        CHECK(str_eq(c.len > 0 ? text_str(&c) : S(""), new));
        text_free(&a);
        text_free(&b);
        text_free(&c);
    }
}

TEST(very_many_differences_end_soon)
{
    struct text a, b;

    text_init(&a, NULL);
    text_init(&b, NULL);
    for (unsigned i = 0; i < 10000; i++) {
        text_fmt(&a, "a%u\n", i);
        text_fmt(&b, "b%u\n", i);
    }
    CHECK(str_starts(diff(text_str(&a), text_str(&b)), S("@@ -1,10000 +1,10000 @@\n-a0\n")));
    text_free(&a);
    text_free(&b);
    text_free(&out);
}
