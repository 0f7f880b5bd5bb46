/* SPDX-License-Identifier: BSD-2-Clause */
/* grams.c - texts that patterns need: what cannot match is told, and what matches is never kept off. */
#include "worker/http/grams.h"

#include "common/base/regex.h"

#include "test.h"

static bool
may_match(const char *pattern, const char *subject)
{
    struct grams absent;
    struct vec needed;
    bool may;

    vec_init(&needed, NULL, sizeof(struct grams));
    may = !grams_of_pattern(str_c(pattern), &needed);
    CHECK_EQ(may, needed.len == 0, "%s", pattern);
    grams_of_subject(str_c(subject), &absent);
    VEC_FOREACH (g, const struct grams, &needed)
        may = may || grams_may_have(&absent, g);
    vec_free(&needed);
    return may;
}

static const struct {
    const char *pattern;
    bool may; /* match the subject below, as far as can be told */
} rows[] = {
    { "\\.php$", false },
    { "\\.(jpg|png|gif)$", false },
    { "\\.(?:jpg|html)$", true },
    { "^/user/", false },
    { "^/user(/\\d+)?$", false },
    { "^/(user|admin|login)/", false },
    { "^/(user|static)/", true },
    { "/(?<name>old|former)/x", false },
    { "/STATIC/", true },
    { "static|media", true },
    { "medium|media", false },
    { "stati?c", true },
    { "stati*media", false },
    { "(static)?/x", true }, /* nothing long enough is left */
    { "(media)+", false },
    { "(?:media){0,3}", true },
    { "me+dia", false },
    { "[a-z]+media", false },
    { "[]m]edia", false },
    { "\\bmedia\\b", false },
    { "(a|bb|)", true },
    { "", true },
    { "ab", true },
    { ".*", true },
    /* Not understood: anything may match. */
    { "(?i)media", true },
    { "(?x)me dia", true },
    { "(?!media)", true },
    { "(?<!media)", true },
    { "\\Qmedia\\E", true },
    { "\\x6dedia", true },
    { "(*COMMIT)media", true },
    { "media[[:alpha:]]", true },
    { "media(", true },
    { "media{", true },
};

TEST(needed_texts)
{
    EACH (rows, row)
        CHECK_EQ(may_match(row->pattern, "/static/pages/index.html"), row->may, "%s", row->pattern);
}

TEST(long_subjects_have_all)
{
    char subject[GRAMS_SUBJECT_MAX + 2];

    memset(subject, 'x', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = '\0';
    CHECK(may_match("\\.php$", subject));
    subject[GRAMS_SUBJECT_MAX] = '\0';
    CHECK(!may_match("\\.php$", subject));
}

/* ---- against the engine ---- */

static uint32_t state = 20261121;

static uint32_t
draw(uint32_t below)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
}

static void
random_text(char *to, size_t room, const char *const *parts, uint32_t n, uint32_t pieces)
{
    size_t len = 0;

    for (uint32_t i = 0; i < pieces; i++) {
        const char *part = parts[draw(n)];
        size_t more = strlen(part);

        if (len + more < room) {
            memcpy(to + len, part, more);
            len += more;
        }
    }
    to[len] = '\0';
}

TEST(what_matches_is_not_kept_off)
{
    static const char *const parts[] = { "abc", "Abd",  "b",    "c",      "/",   "(",   "(?:",
                                         ")",   "|",    "?",    "*",      "+",   "{2}", ".",
                                         "\\.", "[ab]", "[^a]", "\\w",    "^",   "$",   "(?<n>",
                                         "\\d", "??",   "+?",   "a{0,1}", "\\b", "bca" };
    static const char *const texts[] = { "abc", "abd", "ABD", "b", "c", "/", "a", ".", "bca", "1" };
    unsigned matched = 0;

    for (int i = 0; i < 60000; i++) {
        struct regex_match m;
        struct regex *re;
        struct arena a;
        struct text err;
        char pattern[80], subject[60];

        arena_init(&a, 1024);
        text_init(&err, &a);
        random_text(pattern, sizeof(pattern), parts, ARRAY_LEN(parts), 1 + draw(9));
        random_text(subject, sizeof(subject), texts, ARRAY_LEN(texts), 1 + draw(9));
        re = regex_compile(&a, str_c(pattern), draw(2) == 0, &err);
        if (re != NULL && regex_match(re, str_c(subject), &m, NULL)) {
            matched++;
            CHECK(may_match(pattern, subject), "%s on %s", pattern, subject);
        }
        arena_free(&a);
    }
    CHECK(matched > 1000, "%u", matched);
}
