/* SPDX-License-Identifier: BSD-2-Clause */
/* sub_match.c - finds the same matches as the plain way of looking at each byte, however the text comes in parts. */
#include "test.h"

#include "common/base/rand.h"
#include "common/base/text.h"
#include "worker/filter/sub_match.h"

enum { STRINGS_MAX = 6, TEXT_MAX = 64, ROUNDS = 20000 };

/* What stands between matches as it is, matches as "[number]". */
static void
plain_way(struct text *out, const struct str *strings, uint32_t n, struct str text, bool once)
{
    bool left_out[STRINGS_MAX] = { false };

    for (size_t i = 0; i < text.len;) {
        uint32_t which = 0;

        while (which < n && (left_out[which] || strings[which].len == 0 ||
                             !str_starts_nocase(str_from(text, i), strings[which])))
            which++;
        if (which == n) {
            text_char(out, text.ptr[i++]);
            continue;
        }
        text_fmt(out, "[%u]", which);
        i += strings[which].len;
        left_out[which] = once;
    }
}

struct replaced {
    struct text *out;
    struct str text;
    uint64_t given;
    struct sub_walk walk;
    bool once;
};

static void
give_match(struct replaced *r, const struct sub_match *m)
{
    CHECK(m->start >= r->given);
    CHECK(m->end > m->start);
    text_add(r->out, str_n(r->text.ptr + r->given, m->start - r->given));
    text_fmt(r->out, "[%u]", m->which);
    r->given = m->end;
    if (r->once)
        sub_walk_leave_out(&r->walk, m);
}

/* Parts of up to `step` bytes. Bytes said to be settled are given at once, so that a late match would show. */
static void
our_way(struct replaced *r, size_t step)
{
    struct sub_match m;
    size_t end = 0;

    do {
        size_t more = 1 + rand_below((uint32_t)step);

        end = end + more < r->text.len ? end + more : r->text.len;
        while (r->walk.at < end) {
            struct str part = str_n(r->text.ptr + r->walk.at, end - r->walk.at);

            if (sub_walk_read(&r->walk, part, &m)) {
                give_match(r, &m);
                continue;
            }
            CHECK(r->walk.at - sub_walk_settled(&r->walk) <= sub_strings_longest(r->walk.strings));
            if (sub_walk_settled(&r->walk) > r->given) {
                uint64_t to = sub_walk_settled(&r->walk);

                text_add(r->out, str_n(r->text.ptr + r->given, to - r->given));
                r->given = to;
            }
        }
        if (end == r->text.len)
            while (sub_walk_end(&r->walk, &m))
                give_match(r, &m);
    } while (r->walk.at < r->text.len || end < r->text.len);
    text_add(r->out, str_from(r->text, r->given));
}

static struct str
random_text(struct arena *a, uint32_t max, const char *letters)
{
    uint32_t len = rand_below(max + 1);
    char *to = arena_alloc(a, len + 1);

    for (uint32_t i = 0; i < len; i++)
        to[i] = letters[rand_below((uint32_t)strlen(letters))];
    return str_n(to, len);
}

static void
one_round(void)
{
    static const char *const alphabets[] = { "ab", "abAB", "abc" };
    const char *letters = alphabets[rand_below(3)];
    struct str strings[STRINGS_MAX];
    uint32_t n = 1 + rand_below(STRINGS_MAX);
    struct sub_strings *s;
    struct replaced r = { .once = rand_below(2) == 0 };
    struct text ours, plain;
    struct arena a;

    arena_init(&a, 4096);
    text_init(&ours, &a);
    text_init(&plain, &a);
    for (uint32_t i = 0; i < n; i++)
        strings[i] = random_text(&a, 1 + rand_below(9), letters);
    r.text = random_text(&a, TEXT_MAX, letters);
    r.out = &ours;
    s = sub_strings_new(&a, strings, n);
    REQUIRE(s != NULL && sub_walk_init(&r.walk, s, &a));
    our_way(&r, 1 + rand_below(20));
    plain_way(&plain, strings, n, r.text, r.once);
    if (!str_eq(text_str(&ours), text_str(&plain))) {
        CHECK(false, "text \"%.*s\"%s", STR(r.text), r.once ? " once" : "");
        for (uint32_t i = 0; i < n; i++)
            printf("# string %u \"%.*s\"\n", i, STR(strings[i]));
        printf("# ours  %.*s\n# plain %.*s\n", STR(text_str(&ours)), STR(text_str(&plain)));
    }
    arena_free(&a);
}

TEST(same_as_the_plain_way)
{
    for (int i = 0; i < ROUNDS && test_failures == 0; i++)
        one_round();
}

/* A text of n times "a" and strings that nearly match everywhere: each byte is looked at a few times only. */
TEST(long_strings_that_nearly_match)
{
    enum { LONG = 20000, WHOLE = 2000000 };
    struct arena a;
    struct sub_walk w;
    struct sub_match m;
    struct str strings[2];
    char *as, *text;
    unsigned found = 0;

    arena_init(&a, 4096);
    as = arena_alloc(&a, LONG);
    text = arena_alloc(&a, WHOLE);
    memset(as, 'a', LONG);
    as[LONG - 1] = 'b';
    memset(text, 'a', WHOLE);
    strings[0] = str_n(as, LONG);
    strings[1] = S("aa");
    REQUIRE(sub_walk_init(&w, sub_strings_new(&a, strings, 2), &a));
    while (w.at < WHOLE)
        found += sub_walk_read(&w, str_n(text + w.at, WHOLE - w.at), &m);
    while (sub_walk_end(&w, &m))
        found++;
    CHECK_EQ(found, WHOLE / 2);
    arena_free(&a);
}

TEST(empty_strings_match_nowhere)
{
    struct str strings[] = { S(""), S("") };
    struct arena a;
    struct sub_walk w;
    struct sub_match m;

    arena_init(&a, 4096);
    REQUIRE(sub_walk_init(&w, sub_strings_new(&a, strings, 2), &a));
    CHECK_EQ(sub_strings_count(w.strings), 0);
    CHECK(!sub_walk_read(&w, S("abc"), &m));
    CHECK_EQ(sub_walk_settled(&w), 3);
    CHECK(!sub_walk_end(&w, &m));
    arena_free(&a);
}
