/* SPDX-License-Identifier: BSD-2-Clause */
/* text.c - growable texts. */
#include "common/base/text.h"

#include "t/unit/test.h"

static void
build(struct text *t)
{
    text_add(t, S("abc"));
    text_char(t, '-');
    text_lower(t, S("DeF\xc3\x89"));
    text_num(t, INT64_MIN);
    text_unum(t, UINT64_MAX);
    text_pad(t, 7, 3);
    text_pad(t, 1234, 3);
    text_hex(t, S("\x01\xff"));
    text_fmt(t, "<%s>", "x");
    TEXT_LIT(t, "end");
}
static const char built[] =
    "abc-def\xc3\x89-922337203685477580818446744073709551615007123401ff<x>end";

TEST(appends_on_the_heap_and_in_an_arena)
{
    struct arena a;
    struct text t;

    text_init(&t, NULL);
    CHECK_STR(text_str(&t), "");
    CHECK(text_str(&t).ptr != NULL, "empty is not none");
    build(&t);
    CHECK_STR(text_str(&t), built);
    text_free(&t);

    arena_init(&a, 512);
    text_init(&t, &a);
    build(&t);
    CHECK_STR(text_str(&t), built);
    arena_free(&a);
}

TEST(grows_in_place_or_moves)
{
    struct arena a;
    struct text t;

    arena_init(&a, 4096);
    text_init(&t, &a);
    for (unsigned i = 0; i < 100000; i++) {
        text_char(&t, (char)i);
        if (i % 1000 == 0)
            memset(arena_alloc(&a, 16), 0xee, 16); /* in its way */
    }
    REQUIRE(!t.failed && t.len == 100000);
    for (unsigned i = 0; i < 100000; i++)
        if (t.ptr[i] != (char)i)
            CHECK(false, "byte %u", i);
    arena_free(&a);
}

TEST(long_formats)
{
    struct text t;

    text_init(&t, NULL);
    text_fmt(&t, "%1000d|", 5);
    text_fmt(&t, "%255d|", 5);
    text_fmt(&t, "%256d|", 5);
    CHECK_EQ(t.len, 1001 + 256 + 257);
    CHECK_EQ(t.ptr[1000], '|');
    CHECK_EQ(t.ptr[t.len - 1], '|');
    text_free(&t);
}

TEST(a_failure_is_remembered)
{
    char mem[8];
    struct text t;

    text_init_fixed(&t, mem, sizeof(mem));
    text_add(&t, S("12345678"));
    CHECK_STR(text_str(&t), "12345678");
    text_char(&t, '9');
    CHECK(t.failed);
    CHECK(text_str(&t).ptr == NULL);
    CHECK(text_room(&t, 0) == NULL, "later appends do nothing");
    text_free(&t);

    text_init(&t, NULL);
    CHECK(text_room(&t, SIZE_MAX) == NULL && t.failed);
    text_hex(&t, S("x"));
    CHECK(text_str(&t).ptr == NULL);
    text_free(&t);
}
