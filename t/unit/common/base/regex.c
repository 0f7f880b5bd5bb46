/* SPDX-License-Identifier: BSD-2-Clause */
/* regex.c - compiling and matching patterns. */
#include "common/base/regex.h"

#include "t/unit/test.h"

static struct arena arena;
static struct text err;

static struct regex *
compile(const char *pattern, bool nocase)
{
    arena_free(&arena);
    arena_init(&arena, 4096);
    text_init(&err, &arena);
    return regex_compile(&arena, str_c(pattern), nocase, &err);
}

static struct str
group(const struct regex_match *m, const char *subject, unsigned i)
{
    if (i >= m->n || m->at[i * 2] == SIZE_MAX)
        return STR_NONE;
    return str_n(subject + m->at[i * 2], m->at[i * 2 + 1] - m->at[i * 2]);
}

TEST(groups_are_offsets)
{
    struct regex *re = compile("^/(?<user>[a-z]+)/(x)?(\\d+)?(y)?", false);
    struct regex_match m;
    const char *subject = "/bob/42";

    REQUIRE(re != NULL, "%.*s", STR(text_str(&err)));
    CHECK(regex_match(re, str_c(subject), &m, NULL));
    CHECK_EQ(m.n, 5);
    CHECK_STR(group(&m, subject, 0), "/bob/42");
    CHECK_STR(group(&m, subject, 1), "bob");
    CHECK(group(&m, subject, 2).ptr == NULL, "took no part, in the middle");
    CHECK_STR(group(&m, subject, 3), "42");
    CHECK(group(&m, subject, 4).ptr == NULL, "took no part, at the end");
    CHECK_EQ(regex_groups(re), 4);
    CHECK_STR(regex_pattern(re), "^/(?<user>[a-z]+)/(x)?(\\d+)?(y)?");

    CHECK(!regex_match(re, S("/BOB/42"), &m, NULL));
    CHECK_EQ(m.n, 0);
    CHECK(!regex_match(re, STR_NONE, &m, NULL));
}

TEST(names)
{
    struct regex *re = compile("(?<b>x)(y)(?<a>z)", false);
    struct str name;
    uint32_t number;

    REQUIRE(re != NULL);
    CHECK(regex_named(re, 0, &name, &number));
    CHECK_STR(name, "a");
    CHECK_EQ(number, 3);
    CHECK(regex_named(re, 1, &name, &number));
    CHECK_STR(name, "b");
    CHECK_EQ(number, 1);
    CHECK(!regex_named(re, 2, &name, &number));
}

TEST(case_and_utf8)
{
    struct regex_match m;

    CHECK(regex_match(compile("\\.PHP$", true), S("/a.php"), &m, NULL));
    CHECK(regex_match(compile("(*UTF8)^.$", false), S("\xc3\xa9"), &m, NULL), "one character");
    CHECK(!regex_match(compile("^.$", false), S("\xc3\xa9"), &m, NULL), "two bytes");
}

static const struct {
    const char *pattern, *message;
} wrong[] = {
    { "a(b", "pcre2_compile() failed: missing closing parenthesis in \"a(b\"" },
    { "a)b(c", "pcre2_compile() failed: unmatched closing parenthesis in \"a)b(c\" at \")b(c\"" },
    { "()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()",
      "more than 31 groups in "
      "\"()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()\"" },
};

TEST(bad_patterns_are_explained)
{
    EACH (wrong, w) {
        CHECK(compile(w->pattern, false) == NULL);
        CHECK_STR(text_str(&err), w->message);
    }
}

/* Exponential without limits: has to come back soon, and say why. */
TEST(an_exploding_pattern_is_stopped)
{
    struct regex *re = compile("^(a+)+$", false);
    struct regex_match m;
    bool failed = false;
    char subject[5000];

    memset(subject, 'a', sizeof(subject));
    subject[sizeof(subject) - 1] = '!';
    REQUIRE(re != NULL);
    CHECK(!regex_match(re, str_n(subject, sizeof(subject)), &m, &failed));
    CHECK(failed);
    CHECK(regex_match(re, S("aaa"), &m, &failed));
    CHECK(!failed);
    arena_free(&arena);
}

TEST(without_machine_code)
{
    struct regex *re = compile("^a(b+)", false);
    struct regex_match m;

    REQUIRE(re != NULL);
    regex_use_jit(false);
    CHECK(regex_match(re, S("abbc"), &m, NULL) && m.n == 2, "compiled before");
    CHECK_STR(group(&m, "abbc", 1), "bb");
    re = compile("^a(b+)", false);
    CHECK(re != NULL && regex_match(re, S("abbc"), &m, NULL) && m.n == 2, "never compiled");
    regex_use_jit(true);
    CHECK(re != NULL && regex_match(re, S("abbc"), &m, NULL) && m.n == 2);
}
