/* SPDX-License-Identifier: BSD-2-Clause */
/* vec.c - growable arrays. */
#include "common/base/vec.h"

#include "t/unit/test.h"

static void
fill(struct vec *v)
{
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t *n = VEC_PUSH(v, uint32_t);

        REQUIRE(n != NULL);
        CHECK_EQ(*n, 0);
        *n = i;
    }
    vec_remove(v, 0);
    vec_remove(v, 498);
    vec_remove(v, v->len - 1);
    CHECK_EQ(v->len, 997);
    CHECK_EQ(*VEC_AT(v, uint32_t, 0), 1);
    CHECK_EQ(*VEC_AT(v, uint32_t, 497), 498);
    CHECK_EQ(*VEC_AT(v, uint32_t, 498), 500);
}

TEST(a_zeroed_vec_is_an_empty_one_on_the_heap)
{
    struct vec v = { 0 };
    uint32_t sum = 0;

    VEC_FOREACH (n, uint32_t, &v)
        sum += *n;
    CHECK_EQ(sum, 0);
    fill(&v);
    VEC_FOREACH (n, uint32_t, &v)
        sum += *n;
    CHECK_EQ(sum, 499500 - 0 - 499 - 999);
    vec_free(&v);
    CHECK(v.data == NULL && v.len == 0);
}

TEST(in_an_arena)
{
    struct arena a;
    struct vec v;

    arena_init(&a, 256);
    vec_init(&v, &a, sizeof(uint32_t));
    fill(&v);
    arena_free(&a);
}

TEST(wrong_use_ends_the_process)
{
    struct vec v = { 0 };

    CHECK_DIES(vec_push(&v), "without a size");
    CHECK_DIES(vec_remove(&v, 0), "behind the end");
}
