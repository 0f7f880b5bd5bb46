/* SPDX-License-Identifier: BSD-2-Clause */
/* buf.c - pooled I/O buffers. */
#include "common/base/buf.h"

#include "common/base/sanitize.h"
#include "t/unit/test.h"

static const struct {
    size_t asked;
    uint32_t cap;
} classes[] = {
    { 0, 1024 },        { 1, 1024 },          { 1024, 1024 },     { 1025, 2048 },
    { 4096, 4096 },     { 4097, 8192 },       { 131073, 262144 }, { 262144, 262144 },
    { 262145, 262145 }, { 1000001, 1000001 },
};

TEST(classes_are_powers_of_two_up_to_256k)
{
    EACH (classes, c) {
        struct buf *b = buf_get(c->asked);

        REQUIRE(b != NULL);
        CHECK_EQ(b->cap, c->cap, "%zu", c->asked);
        CHECK_EQ((uintptr_t)b->mem % 16, 0);
        CHECK(b->next == NULL && buf_len(b) == 0 && buf_space(b) == b->cap);
        memset(b->mem, 'x', b->cap);
        b->end = 3;
        b->start = 1;
        CHECK_STR(buf_str(b), "xx");
        buf_put(b);
    }
    buf_put(NULL);
    buf_trim(0);
}

#ifndef WEIR_ASAN
TEST(what_is_put_back_comes_again)
{
    struct buf *a = buf_get(4096), *b = buf_get(4096);

    a->next = b;
    a->start = a->end = 5;
    buf_put_chain(a);
    CHECK(buf_get(4096) == b);
    CHECK(buf_get(3000) == a);
    CHECK(a->next == NULL && a->start == 0 && a->end == 0);
    buf_put(a);
    buf_put(b);
    buf_trim(0);
}

TEST(what_was_free_for_a_while_is_given_back)
{
    enum { N = 64, KB64 = 64 * 1024 };
    struct buf *b[N];
    size_t before;

    while (buf_trim(0))
        ;
    before = buf_spare();
    for (unsigned i = 0; i < N; i++)
        b[i] = buf_get(KB64);
    for (unsigned i = 0; i < N; i++)
        buf_put(b[i]);
    CHECK_EQ(buf_spare(), before + (size_t)N * KB64);
    CHECK(!buf_trim(0), "they were in use since the last look");
    CHECK_EQ(buf_spare(), before + (size_t)N * KB64);
    b[0] = buf_get(KB64);
    buf_put(b[0]);
    CHECK(buf_trim(0), "in parts");
    while (buf_trim(0))
        ;
    CHECK_EQ(buf_spare(), before + KB64, "one was in use");
    CHECK(!buf_trim(KB64));
    CHECK_EQ(buf_spare(), before + KB64, "that much is kept");
    while (buf_trim(0))
        ;
    CHECK_EQ(buf_spare(), 0);
}
#endif

TEST(what_is_filled_moves_to_another_size)
{
    struct buf *b = buf_get(4096), *other;

    memcpy(b->mem, "gone, and text", 14);
    b->start = 10;
    b->end = 14;
    other = buf_resize(b, 20000);
    REQUIRE(other != NULL);
    CHECK(other->cap >= 20000 && other->start == 0);
    CHECK_STR(buf_str(other), "text");
    b = buf_resize(other, 1);
    REQUIRE(b != NULL);
    CHECK(b->cap < 4096);
    CHECK_STR(buf_str(b), "text");
    CHECK(buf_resize(b, SIZE_MAX) == NULL, "it stays");
    CHECK_STR(buf_str(b), "text");
    buf_put(b);
}

TEST(bytes_are_taken_from_a_chain)
{
    struct buf *b = buf_get(10);
    char to[10] = "";

    REQUIRE(b != NULL && (b->next = buf_get(10)) != NULL);
    memcpy(b->mem, "..first", b->end = 7);
    b->start = 2;
    memcpy(b->next->mem, "second", b->next->end = 6);
    CHECK_EQ(buf_take(&b, to, 2), 2);
    CHECK_EQ(buf_take(&b, to + 2, 8), 3, "not over its end");
    CHECK(memcmp(to, "first", 5) == 0);
    REQUIRE(b != NULL);
    CHECK_STR(buf_str(b), "second");
    CHECK_EQ(buf_take(&b, to, sizeof(to)), 6);
    CHECK(b == NULL && memcmp(to, "second", 6) == 0);
}

TEST(impossible_sizes_are_refused)
{
    CHECK(buf_get(SIZE_MAX) == NULL);
    CHECK(buf_get((size_t)UINT32_MAX + 1) == NULL);
}
