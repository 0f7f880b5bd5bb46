/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.c - bump allocation and cleanups. */
#include "common/base/arena.h"

#include "common/base/sanitize.h"
#include "t/unit/test.h"

TEST(pieces_are_aligned_and_their_own)
{
    struct arena a;
    char *pieces[200];

    arena_init(&a, 512);
    for (unsigned i = 0; i < 200; i++) {
        pieces[i] = arena_alloc(&a, i * 7 % 900);
        REQUIRE(pieces[i] != NULL);
        CHECK_EQ((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i * 7 % 900);
    }
    for (unsigned i = 0; i < 200; i++)
        for (unsigned k = 0; k < i * 7 % 900; k++)
            if (pieces[i][k] != (char)i)
                CHECK(false, "piece %u, byte %u", i, k);
    arena_free(&a);
    CHECK(a.chunks == NULL && a.used == 0);
    CHECK(arena_alloc(&a, 10) != NULL, "usable again");
    arena_free(&a);
}

TEST(a_given_first_chunk_is_used_first)
{
    char first[256] __attribute__((aligned(16)));
    struct arena a;

    arena_init_in(&a, 256, first, sizeof(first));
#ifndef WEIR_ASAN
    CHECK(arena_alloc(&a, 100) == first);
#endif
    CHECK(arena_alloc(&a, 1000) != NULL);
    arena_free(&a);
}

TEST(impossible_sizes_are_refused)
{
    struct arena a;

    arena_init(&a, 256);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX - 20) == NULL);
    CHECK(arena_array(&a, SIZE_MAX / 8, 16) == NULL);
    CHECK(arena_str(&a, str_n("x", SIZE_MAX)).ptr == NULL);
    CHECK(arena_alloc(&a, 1) != NULL, "and the arena lives on");
    arena_free(&a);
}

TEST(copies_end_with_nul)
{
    struct arena a;
    struct str s;
    char *zeroes;

    arena_init(&a, 256);
    s = arena_str(&a, S("abc"));
    CHECK_STR(s, "abc");
    CHECK_EQ(s.ptr[3], 0);
    CHECK_EQ(strlen(arena_cstr(&a, str_n("abcdef", 2))), 2);
    s = arena_fmt(&a, "%s-%d", "x", 5);
    CHECK_STR(s, "x-5");
    CHECK_EQ(s.ptr[s.len], 0);
    CHECK_EQ(arena_fmt(&a, "%700d", 1).len, 700);
    zeroes = arena_zalloc(&a, 300);
    for (unsigned i = 0; i < 300; i++)
        CHECK_EQ(zeroes[i], 0);
    arena_free(&a);
}

static char order[8];
static struct arena *during;

static void
note(void *data)
{
    strcat(order, data);
    if (during != NULL) { /* a cleanup may register another one */
        struct arena *a = during;

        during = NULL;
        arena_on_free(a, note, "+");
    }
}

TEST(cleanups_run_last_first)
{
    struct arena a;

    arena_init(&a, 256);
    during = &a;
    order[0] = '\0';
    CHECK(arena_on_free(&a, note, "1"));
    CHECK(arena_on_free(&a, note, "2"));
    arena_free(&a);
    CHECK(strcmp(order, "2+1") == 0, "%s", order);
    arena_free(&a);
    CHECK(strcmp(order, "2+1") == 0, "once");
}
