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

/* ---- a consumer that pulls only when it was called ---- */

/* Gives three letters and says WAIT; is ready again at once. */
struct caller {
    struct source s;
    struct str left;
    struct task ready;
};

static void
caller_ready(struct task *t)
{
    exchange_ready(CONTAINER_OF(t, struct caller, ready)->s.x);
}

static enum pull
caller_pull(struct source *s, struct batch *b)
{
    struct caller *p = CONTAINER_OF(s, struct caller, s);

    for (int i = 0; i < 3 && p->left.len > 0; i++) {
        batch_mem(b, p->left.ptr, 1);
        p->left = str_from(p->left, 1);
    }
    if (p->left.len == 0)
        return PULL_END;
    task_ready(&p->ready);
    return PULL_WAIT;
}

static void
caller_stop(struct source *s, enum stop why UNUSED)
{
    task_cancel(&CONTAINER_OF(s, struct caller, s)->ready);
}

static const struct source_ops caller_ops = { caller_pull, caller_stop };

static char taken[64];
static bool over;

static void
take_one(struct exchange *x)
{
    struct batch b;

    batch_init(&b, 16, PIECE_MEM);
    switch (source_pull(x->sink_data, &b)) {
    case PULL_MORE:
        exchange_ready(x);
        break;
    case PULL_END:
        over = true;
        break;
    default:
        break;
    }
    for (unsigned i = 0; i < b.n; i++)
        strncat(taken, b.piece[i].mem, b.piece[i].len);
}

static const struct sink_ops taker_sink = { .ready = take_one };

TEST(no_call_is_lost)
{
    static const char text[] = "the quick brown fox jumps over the lazy dog";

    fixture_loop();
    for (int round = 0; round < 200; round++) {
        struct exchange *x = fixture_exchange(NULL);
        struct caller p = { .s = { .ops = &caller_ops, .x = x },
                            .left = str_c(text),
                            .ready = { .run = caller_ready } };

        taken[0] = '\0';
        over = false;
        x->responding = true;
        exchange_set_sink(x, &taker_sink, source_checked(source_checked(&p.s)));
        UNTIL(over);
        CHECK_STR(str_c(taken), text);
        source_stop(x->sink_data, STOP_DONE);
        exchange_finish(x);
        fixture_settle();
    }
}

/* ---- what it catches ---- */

/* Breaks the contract in the way that `left` names. */
static enum pull
broken_pull(struct source *s, struct batch *b)
{
    struct str way = CONTAINER_OF(s, struct letters, s)->left;

    if (str_eq(way, S("more of nothing")))
        return PULL_MORE;
    if (str_eq(way, S("an empty piece")))
        batch_mem(b, "x", 0);
    if (str_eq(way, S("a file that nobody asked for")))
        batch_file(b, 0, 0, 1);
    return PULL_END;
}

static const struct source_ops broken_ops = { broken_pull, letters_stop };

static void
pull_times(struct source *s, int n)
{
    struct batch b;

    while (n-- > 0) {
        batch_init(&b, 16, PIECE_MEM);
        (void)source_pull(s, &b);
    }
}

TEST(broken_sources)
{
    static const char *const ways[] = { "more of nothing", "an empty piece",
                                        "a file that nobody asked for" };

    fixture_loop();
    EACH (ways, way) {
        struct letters p = { .s = { .ops = &broken_ops }, .left = str_c(*way) };
        struct source *s = source_checked(&p.s);

        CHECK_DIES(pull_times(s, 1), "%s", *way);
        source_stop(s, STOP_DONE);
    }
}

TEST(broken_consumers)
{
    struct letters p = { .s = { .ops = &letters_ops }, .left = S("a") };
    struct source *s = source_checked(&p.s);

    fixture_loop();
    CHECK_DIES(pull_times(s, 10), "a pull after the end");
    CHECK_DIES((source_stop(s, STOP_DONE), source_stop(s, STOP_DONE)), "a second stop");
    CHECK_DIES((source_stop(s, STOP_DONE), pull_times(s, 1)), "a pull after stop");
    source_stop(s, STOP_DONE);
}

#else

TEST(not_in_this_build)
{
    struct source *s = NULL;

    CHECK(source_checked(s) == NULL);
}

#endif
