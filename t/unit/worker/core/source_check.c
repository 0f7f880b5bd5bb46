/* SPDX-License-Identifier: BSD-2-Clause */
/* source_check.c - the checker passes all bytes on, whatever it does to their boundaries. */
#include "worker/core/source.h"

#include "test.h"

#ifdef WEIR_CHECKER

#include "t/unit/worker/fixture.h"

/* Gives a text in pieces of three, waits now and then, and must be stopped once. */
struct letters {
    struct source s;
    struct str left;
    unsigned pulls, stops;
};

static enum pull
letters_pull(struct source *s, struct batch *b)
{
    struct letters *p = CONTAINER_OF(s, struct letters, s);
    size_t n = p->left.len < 3 ? p->left.len : 3;

    if (++p->pulls % 3 == 0)
        return PULL_WAIT;
    batch_mem(b, p->left.ptr, n);
    p->left = str_from(p->left, n);
    return p->left.len == 0 ? PULL_END : PULL_MORE;
}

static void
letters_stop(struct source *s, enum stop why UNUSED)
{
    CONTAINER_OF(s, struct letters, s)->stops++;
}

static const struct source_ops letters_ops = { letters_pull, letters_stop };

TEST(all_bytes_in_order)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";

    fixture_loop();
    for (int round = 0; round < 200; round++) {
        struct letters p = { .s = { .ops = &letters_ops }, .left = str_c(text) };
        struct source *s = source_checked(source_checked(&p.s));
        char got[sizeof(text)] = "";
        enum pull r;

        do {
            struct batch b;

            batch_init(&b, 16, PIECE_MEM);
            r = source_pull(s, &b);
            for (unsigned i = 0; i < b.n; i++)
                strncat(got, b.piece[i].mem, b.piece[i].len);
        } while (r != PULL_END);
        CHECK_STR(str_c(got), text);
        source_stop(s, STOP_DONE);
        CHECK_EQ(p.stops, 1);
        fixture_settle();
    }
}

#else

TEST(not_in_this_build)
{
    struct source *s = NULL;

    CHECK(source_checked(s) == NULL);
}

#endif
