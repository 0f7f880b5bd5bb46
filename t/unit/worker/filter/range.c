/* SPDX-License-Identifier: BSD-2-Clause */
/* range.c - the wrapper cuts the right bytes out of any body, however it comes in pieces. */
#include "test.h"

#include "worker/http/body.h"
#include "worker/http/filter.h"

#include "t/unit/worker/http/body_fixture.h"

extern struct module range_module;

enum { SIZE_MAX_USED = 200000, PARTS_MAX = 6 };

/* The head filter on a response of `size` bytes; true when it has made it partial. */
static bool
ask(struct request *r, struct source *body, uint64_t size, const char *range)
{
    fields_init(&r->fields, request_arena(r));
    fields_add(&r->fields, FIELD_RANGE, STR_NONE, str_c(range));
    r->res.status = 200;
    r->res.length = (int64_t)size;
    r->res.accept_ranges = true;
    r->res.body = body;
    r->x.scope = sim_scope();
    CHECK(range_module.filters[0].head(&r->x, &r->res));
    r->x.scope = NULL;
    return r->res.status == 206;
}

static struct request *
begin(void)
{
    struct request *r;

    body_loop();
    sim_conf.max_ranges = UINT32_MAX;
    r = sim_request(NULL);
    r->x.responding = true; /* its sources may say WAIT */
    return r;
}

/* ---- what is asked for ---- */

static const struct {
    const char *range;
    int status;          /* 206, 200: the whole, 416 */
    const char *content; /* Content-Range */
    int64_t length;
} table[] = {
    { "bytes=0-9", 206, "bytes 0-9/1000", 10 },
    { "bytes=999-", 206, "bytes 999-999/1000", 1 },
    { "bytes=-1", 206, "bytes 999-999/1000", 1 },
    { "bytes=-1000", 206, "bytes 0-999/1000", 1000 },
    { "bytes=-1001", 206, "bytes 0-999/1000", 1000 },
    { "bytes=500-5000", 206, "bytes 500-999/1000", 500 },
    { "bytes=500-18446744073709551615", 416, "bytes */1000", -1 },
    { "bytes=500-18446744073709551614", 206, "bytes 500-999/1000", 500 },
    { "bytes=18446744073709551615-", 416, "bytes */1000", -1 },
    { "bytes=18446744073709551616-", 416, "bytes */1000", -1 },
    { "bytes=1000-", 416, "bytes */1000", -1 },
    { "bytes=-0", 416, "bytes */1000", -1 },
    { "bytes=9-0", 416, "bytes */1000", -1 },
    { "bytes=-", 416, "bytes */1000", -1 },
    { "bytes=0-9,x", 416, "bytes */1000", -1 },
    { "bytes=--1", 416, "bytes */1000", -1 },
    { "bytes=1000-,0-0", 206, "bytes 0-0/1000", 1 },
    { "bytes=0-999,0-0", 200, NULL, 1000 },
    { "bytes=", 200, NULL, 1000 },
    { "bytes", 200, NULL, 1000 },
    { "seconds=0-9", 200, NULL, 1000 },
};

TEST(asked_for)
{
    EACH (table, t) {
        struct request *r = begin();
        struct str content;

        ask(r, pieces_new(&r->x, 0, 1000, PULL_END), 1000, t->range);
        content = fields_value(&r->res.fields, FIELD_CONTENT_RANGE);
        CHECK_EQ(r->res.refused == 0 ? r->res.status : r->res.refused, t->status, "%s", t->range);
        if (t->content != NULL)
            CHECK_STR(content, t->content, "%s", t->range);
        else
            CHECK(content.ptr == NULL, "%s", t->range);
        if (t->status != 416)
            CHECK_EQ(r->res.length, t->length, "%s", t->range);
        sim_end(r);
    }
}

TEST(no_more_than_max_ranges)
{
    static const struct {
        uint32_t max;
        const char *range;
        int status;
    } limits[] = {
        { 0, "bytes=0-0", 200 },           { 1, "bytes=0-0", 206 },
        { 1, "bytes=0-0,2-2", 200 },       { 2, "bytes=0-0,2-2", 206 },
        { 2, "bytes=0-0,2000-,2-2", 206 }, /* what is not there does not count */
        { 2, "bytes=0-0,2-2,4-4", 200 },
    };

    EACH (limits, l) {
        struct request *r = begin();

        sim_conf.max_ranges = l->max;
        ask(r, pieces_new(&r->x, 0, 1000, PULL_END), 1000, l->range);
        CHECK_EQ(r->res.status, l->status, "%s of %u", l->range, l->max);
        sim_end(r);
    }
}

/* ---- what is given ---- */

struct part {
    uint64_t from, len;
};

/* Random parts: ascending, or anywhere if `any`. */
static unsigned
make_parts(struct part parts[PARTS_MAX], uint64_t size, bool any)
{
    unsigned n = 1 + (unsigned)choice(PARTS_MAX);
    uint64_t at = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t from = any ? choice(size) : at + choice((size - at) / (n - i) + 1);
        uint64_t max = (size - from) / (any ? n : n - i);

        if (from >= size || max == 0)
            return i;
        parts[i] = (struct part){ from, 1 + choice(max) };
        at = from + parts[i].len;
    }
    return n;
}

static void
range_line(struct text *t, const struct part *parts, unsigned n)
{
    TEXT_LIT(t, "bytes=");
    for (unsigned i = 0; i < n; i++)
        text_fmt(t, "%s%llu-%llu", i == 0 ? "" : ",", (unsigned long long)parts[i].from,
                 (unsigned long long)(parts[i].from + parts[i].len - 1));
    text_char(t, '\0');
}

/* The body that is wanted for these parts. */
static void
want_body(struct text *t, const struct request *r, const struct part *parts, unsigned n,
          uint64_t size)
{
    struct str type = r->res.content_type;
    struct str boundary =
        str_from(type, str_find(type, '=') < type.len ? str_find(type, '=') + 1 : type.len);

    for (unsigned i = 0; i < n; i++) {
        char *bytes = bytes_new(parts[i].from, parts[i].len);

        if (n > 1)
            text_fmt(
                t, "\r\n--%.*s\r\nContent-Type: a/b\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
                STR(boundary), (unsigned long long)parts[i].from,
                (unsigned long long)(parts[i].from + parts[i].len - 1), (unsigned long long)size);
        text_bytes(t, bytes, parts[i].len);
        free(bytes);
    }
    if (n > 1)
        text_fmt(t, "\r\n--%.*s--\r\n", STR(boundary));
}

static void
one_round(unsigned seed)
{
    struct request *r = begin();
    struct part parts[PARTS_MAX];
    uint64_t size;
    bool seeks;
    unsigned n;
    struct text line, want;
    struct taker t = { .kinds = PIECE_FILE };
    char *bytes = NULL;
    struct source *body;

    choices_begin(seed);
    size = 1 + choice(one_in(2) ? 100 : SIZE_MAX_USED);
    seeks = one_in(2);
    n = make_parts(parts, size, seeks);
    text_init(&line, NULL);
    text_init(&want, NULL);
    range_line(&line, parts, n);
    if (seeks) {
        bytes = bytes_new(0, size);
        body = body_mem(&r->x, str_n(bytes, size));
    } else {
        body = source_checked(pieces_new(&r->x, 0, size, PULL_END));
    }
    r->res.content_type = S("a/b");
    if (n > 0 && ask(r, body, size, line.ptr)) {
        want_body(&want, r, parts, n, size);
        CHECK_EQ(r->res.length, want.len, "seed %u: length", seed);
        t.s = r->res.body;
        r->res.body = NULL;
        t.text = want.ptr;
        t.text_len = want.len;
        CHECK(taker_take_all(&t));
        CHECK_EQ(t.last, PULL_END, "seed %u: %s", seed, line.ptr);
        CHECK(!t.wrong && t.at == want.len, "seed %u: %s", seed, line.ptr);
        taker_stop(&t, STOP_DONE);
    } else {
        CHECK(n == 0, "seed %u: %s gives parts", seed, line.ptr);
        source_stop(body, STOP_DONE);
        r->res.body = NULL;
    }
    sim_end(r);
    text_free(&line);
    text_free(&want);
    free(bytes);
}

TEST(right_bytes_of_any_body)
{
    body_loop();
    for (unsigned seed = 0; seed < 2000 && test_failures == 0; seed++)
        one_round(seed);
    CHECK_EQ(pieces_alive, 0, "each source was stopped");
}

TEST(a_body_that_ends_early)
{
    enum pull ends[] = { PULL_END, PULL_FAILED };

    EACH (ends, e) {
        struct request *r = begin();
        struct taker t = { 0 };

        choices_begin(3);
        CHECK(ask(r, pieces_new(&r->x, 0, 500, *e), 1000, "bytes=400-700"));
        t = (struct taker){ .s = r->res.body, .from = 400 };
        r->res.body = NULL;
        CHECK(taker_take_all(&t));
        CHECK_EQ(t.last, PULL_FAILED);
        CHECK(t.at == 100 && !t.wrong, "what was there was given");
        taker_stop(&t, STOP_FAILED);
        sim_end(r);
    }
}

TEST(left_in_the_middle)
{
    for (unsigned seed = 0; seed < 200; seed++) {
        struct request *r = begin();

        choices_begin(seed);
        CHECK(ask(r, pieces_new(&r->x, 0, 100000, PULL_END), 100000, "bytes=5-1000,2000-90000"));
        struct taker t = { .s = r->res.body };
        for (uint64_t pulls = choice(20); pulls > 0 && !taker_is_over(&t); pulls--) {
            t.b.n = 0; /* its bytes are not looked at here */
            free(t.room);
            t.room = NULL;
            batch_init(&t.b, 1000, PIECE_MEM);
            t.last = source_pull(t.s, &t.b);
        }
        sim_end(r);
    }
    CHECK_EQ(pieces_alive, 0, "each source was stopped");
}
