/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subrequest.c - joins: pages of text and children, nested, whose children begin late, wait, fail or are empty, give all
 * bytes in order; and all exchanges end.
 */
#include "worker/http/subrequest.h"

#include "test.h"

#include "t/unit/worker/http/body_fixture.h"

/* ---- a page: a source that is a join ---- */

struct page {
    struct source s;
    struct join *join;
};

static enum pull
page_pull(struct source *s, struct batch *b)
{
    return join_pull(CONTAINER_OF(s, struct page, s)->join, b);
}

static void
page_stop(struct source *s, enum stop why)
{
    join_stop(CONTAINER_OF(s, struct page, s)->join, why);
}

static const struct source_ops page_ops = { page_pull, page_stop };

static struct page *
page_new(struct request *r)
{
    struct page *p = ARENA_NEW(request_arena(r), struct page);

    p->s = (struct source){ .ops = &page_ops, .x = &r->x };
    p->join = join_new(&r->x);
    return p;
}

/* ---- children that begin some turns later ---- */

struct begin {
    struct task task;
    struct request *r;
    uint64_t turns;
    bool aborts; /* it ends without a response */
};

static void
begin_run(struct task *t)
{
    struct begin *b = CONTAINER_OF(t, struct begin, task);

    if (b->r->x.given)
        return;
    if (b->turns-- > 0) {
        task_ready(t);
    } else if (b->aborts) {
        exchange_abort(&b->r->x, STOP_FAILED);
    } else {
        b->r->x.responding = true;
        b->r->x.sink->head(&b->r->x);
    }
}

/* In memory of the test's: a task outlives the exchange that it was made for. */
static struct begin begins[4096];
static unsigned n_begins;

static void
begin_later(struct request *r, bool aborts)
{
    struct begin *b = &begins[n_begins++];

    ASSERT(n_begins < ARRAY_LEN(begins));
    *b = (struct begin){
        .task = { .run = begin_run }, .r = r, .turns = choice(5), .aborts = aborts
    };
    task_ready(&b->task);
}

static void
begins_end(void)
{
    for (unsigned i = 0; i < n_begins; i++)
        task_cancel(&begins[i].task);
    n_begins = 0;
}

/* ---- random pages ---- */

static void
add_bytes(struct text *want, uint64_t from, size_t n)
{
    char *bytes = bytes_new(from, n);

    text_bytes(want, bytes, n);
    free(bytes);
}

static void fill_page(struct request *r, struct page *p, unsigned depth, struct text *want);

/* A child with a body of its own, or none, or a failure; `want` gets what is to come of it. */
static void
add_child(struct request *parent, struct join *j, unsigned depth, struct text *want)
{
    struct request *c = sim_request(parent);
    struct str stub = one_in(2) ? S("[stub]") : STR_NONE;
    size_t before = want->len;
    bool aborts = one_in(12);

    if (!aborts && depth > 0 && one_in(2)) {
        struct page *p = page_new(c);

        fill_page(c, p, depth - 1, want);
        c->res.body = source_checked(&p->s);
    } else if (!aborts && !one_in(6)) {
        uint64_t from = choice(10000), len = choice(one_in(4) ? 30000 : 500);

        c->res.body =
            source_checked(pieces_new(&c->x, from, len, one_in(5) ? PULL_FAILED : PULL_END));
        add_bytes(want, from, len);
    }
    if (want->len == before)
        text_add(want, stub);
    join_child(j, &c->x, stub);
    begin_later(c, aborts);
}

static void
fill_page(struct request *r, struct page *p, unsigned depth, struct text *want)
{
    for (uint64_t n = choice(8); n > 0; n--) {
        if (one_in(2)) {
            struct str text =
                arena_fmt(request_arena(r), "<%llu>", (unsigned long long)choice(100000));

            join_text(p->join, text);
            text_add(want, text);
        } else {
            add_child(r, p->join, depth, want);
        }
    }
}

/* The whole of a page; or only the beginning, and then the client goes. */
static void
one_round(unsigned seed, bool all)
{
    unsigned before = exchange_count();
    struct request *r = sim_request(NULL);
    struct page *p = page_new(r);
    struct text want;
    struct taker t = { 0 };

    choices_begin(seed);
    text_init(&want, NULL);
    fill_page(r, p, 3, &want);
    r->x.responding = true;
    r->res.body = t.s = source_checked(&p->s);
    t.text = want.ptr;
    t.text_len = want.len;
    if (all) {
        CHECK(taker_take_all(&t), "seed %u: it ends", seed);
        CHECK_EQ(t.last, PULL_END, "seed %u", seed);
        CHECK_EQ(t.at, want.len, "seed %u: all bytes", seed);
    } else {
        for (uint64_t pulls = choice(30); pulls > 0 && !taker_is_over(&t); pulls--) {
            if (taker_pull(&t) == PULL_WAIT)
                loop_turn(0);
        }
    }
    CHECK(!t.wrong, "seed %u: bytes in order", seed);
    taker_look(&t);
    free(t.room);
    if (all)
        exchange_finish(&r->x);
    else
        exchange_abort(&r->x, STOP_CLIENT_GONE);
    begins_end();
    UNTIL(exchange_count() == before);
    CHECK_EQ(exchange_count(), before, "seed %u: all exchanges have ended", seed);
    CHECK_EQ(pieces_alive, 0, "seed %u: each source was stopped", seed);
    text_free(&want);
}

TEST(nested_pages)
{
    body_loop();
    for (unsigned seed = 0; seed < 1000 && test_failures == 0; seed++)
        one_round(seed, true);
}

TEST(left_in_the_middle)
{
    body_loop();
    for (unsigned seed = 0; seed < 1000 && test_failures == 0; seed++)
        one_round(seed, false);
}

/* ---- single sentences ---- */

static struct batch batch;

static enum pull
pull(struct source *s)
{
    batch_init(&batch, 1000, PIECE_MEM);
    return source_pull(s, &batch);
}

TEST(a_child_ends_only_when_its_bytes_are_gone)
{
    struct request *r, *c;
    struct page *p;

    body_loop();
    r = sim_request(NULL);
    p = page_new(r);
    c = sim_request(r);
    c->res.body = pieces_new(&c->x, 0, 0, PULL_END);
    join_child(p->join, &c->x, STR_NONE);
    join_text(p->join, S("behind"));
    r->x.responding = true;
    r->res.body = &p->s;
    CHECK_EQ(pull(&p->s), PULL_WAIT, "it has not begun");
    CHECK(c->x.waited_for);
    CHECK(!join_empty(p->join));
    c->x.responding = true;
    while (pull(&p->s) == PULL_WAIT)
        loop_turn(0);
    CHECK(batch.n == 1 && str_eq(str_n(batch.piece[0].mem, batch.piece[0].len), S("behind")));
    CHECK(join_empty(p->join));
    settle();
    CHECK_EQ(pieces_alive, 0);
    sim_end(r);
}

TEST(texts_fill_batches)
{
    struct request *r;
    struct page *p;
    unsigned n = 0;
    enum pull after;

    body_loop();
    r = sim_request(NULL);
    p = page_new(r);
    for (int i = 0; i < 100; i++)
        join_text(p->join, S("x"));
    join_text(p->join, S(""));
    do {
        after = pull(&p->s);
        n += batch.n;
        CHECK(batch.n > 0 && (batch.n == BATCH_PIECES || after == PULL_END));
    } while (after == PULL_MORE);
    CHECK_EQ(n, 100);
    CHECK_EQ(pull(&p->s), PULL_END, "an empty join");
    page_stop(&p->s, STOP_DONE);
    sim_end(r);
}

TEST(captured)
{
    static const uint64_t limits[] = { 99, 100, 1000 };

    body_loop();
    EACH (limits, limit) {
        struct request *r = sim_request(NULL), *c = sim_request(r);
        struct str text;

        choices_begin(*limit);
        c->res.body = source_checked(pieces_new(&c->x, 0, 100, PULL_END));
        subrequest_capture(c, *limit);
        exchange_hold(&c->x, "the test");
        c->x.responding = true;
        c->x.sink->head(&c->x);
        UNTIL(c->x.given);
        text = subrequest_captured(c);
        if (*limit < 100)
            CHECK(text.ptr == NULL, "too large");
        else
            CHECK(text.len == 100 && bytes_right(text.ptr, 0, 100));
        exchange_release(&c->x, "the test");
        sim_end(r);
    }
}

TEST(drained)
{
    enum pull ends[] = { PULL_END, PULL_FAILED };
    unsigned before;

    body_loop();
    before = exchange_count();
    EACH (ends, e) {
        struct request *r = sim_request(NULL), *c = sim_request(r);

        choices_begin(*e);
        c->res.body = source_checked(pieces_new(&c->x, 0, 100000, *e));
        subrequest_drain(c);
        c->x.responding = true;
        c->x.sink->head(&c->x);
        UNTIL(exchange_count() == before + 1);
        CHECK_EQ(exchange_count(), before + 1, "the child has ended");
        CHECK_EQ(pieces_alive, 0);
        sim_end(r);
    }
}
