/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * grams.c - texts that a pattern needs, and sets of runs of three bytes.
 *
 * A pattern is read as far as its usual parts go: literals, classes, groups, alternatives, quantifiers. Anything else
 * (options, look-behind, references, verbs) ends the reading without a result, as a wrong one would lose matches.
 */
#include "worker/http/grams.h"

#include "common/base/text.h"

enum {
    GRAM = 3,       /* bytes of a run */
    TEXTS_MAX = 24, /* of which a subject needs one */
    TEXT_MAX = 32,  /* bytes of one that are looked at */
    DEPTH_MAX = 20, /* of groups */
};

/* ---- sets ---- */

static void
add_gram(struct grams *g, uint32_t gram)
{
    uint32_t h = (gram * 0x9e3779b1u) >> 24;

    g->bits[h >> 6] |= UINT64_C(1) << (h & 63);
}

/* All bytes get the bit that makes letters small; that it makes others equal too does no harm. */
static void
add_runs(struct grams *g, const char *p, size_t n)
{
    uint32_t gram = 0;

    for (size_t i = 0; i < n; i++) {
        gram = (gram << 8 | (uint8_t)p[i] | 0x20) & 0xffffff;
        if (i + 1 >= GRAM)
            add_gram(g, gram);
    }
}

void
grams_of_subject(struct str subject, struct grams *absent)
{
    memset(absent, 0, sizeof(*absent));
    if (subject.len > GRAMS_SUBJECT_MAX)
        return;
    add_runs(absent, subject.ptr, subject.len);
    for (int i = 0; i < GRAMS_WORDS; i++)
        absent->bits[i] = ~absent->bits[i];
}

/* ---- patterns ---- */

/* The texts of which one is needed. */
struct texts {
    char text[TEXTS_MAX][TEXT_MAX];
    uint8_t len[TEXTS_MAX];
    unsigned n; /* 0: none is known */
};

struct reader {
    struct str p;
    size_t at;
    unsigned depth;
    bool failed; /* something is not understood */
};

static size_t
shortest(const struct texts *t)
{
    size_t min = t->n > 0 ? SIZE_MAX : 0;

    for (unsigned i = 0; i < t->n; i++)
        min = t->len[i] < min ? t->len[i] : min;
    return min;
}

/* The better of two conditions that both hold: the one whose shortest text is longer. */
static void
keep_better(struct texts *best, const struct texts *other)
{
    if (shortest(other) >= GRAM && shortest(other) > shortest(best))
        *best = *other;
}

static void
texts_clear(struct texts *t)
{
    t->n = 1;
    t->len[0] = 0;
}

static void
texts_add_char(struct texts *t, char c)
{
    for (unsigned i = 0; i < t->n; i++)
        if (t->len[i] < TEXT_MAX)
            t->text[i][t->len[i]++] = c;
}

static bool
reader_has(const struct reader *r, const char *what)
{
    return r->at < r->p.len && str_starts(str_from(r->p, r->at), str_c(what));
}

/* Behind a class; False: it has no end. */
static bool
skip_class(struct reader *r)
{
    r->at += reader_has(r, "[^") ? 2 : 1;
    if (reader_has(r, "]"))
        r->at++;
    while (r->at < r->p.len && r->p.ptr[r->at] != ']') {
        if (reader_has(r, "[:") || reader_has(r, "\\Q"))
            return false;
        r->at += r->p.ptr[r->at] == '\\' ? 2 : 1;
    }
    r->at++;
    return r->at <= r->p.len;
}

enum quantifier { ONCE, OPTIONAL, REPEATED };

/* A quantifier at r->at, moved behind it. */
static enum quantifier
read_quantifier(struct reader *r)
{
    enum quantifier q = ONCE;
    char c = r->at < r->p.len ? r->p.ptr[r->at] : '\0';

    if (c == '*' || c == '?' || c == '{')
        q = OPTIONAL;
    else if (c == '+')
        q = REPEATED;
    else
        return ONCE;
    r->at += c == '{' ? str_find(str_from(r->p, r->at), '}') + 1 : 1;
    r->failed = r->failed || r->at > r->p.len;
    if (reader_has(r, "?") || reader_has(r, "+"))
        r->at++;
    return q;
}

/* The literal character at r->at, moved behind it. False: it is something else. */
static bool
read_literal(struct reader *r, char *c)
{
    *c = r->p.ptr[r->at];
    if (*c == '\\') {
        if (r->at + 1 >= r->p.len || char_is_word(r->p.ptr[r->at + 1]))
            return false;
        *c = r->p.ptr[r->at + 1];
        r->at++;
    } else if (strchr(".[()|^$*+?{", *c) != NULL) {
        return false;
    }
    r->at++;
    return true;
}

static void read_alternatives(struct reader *r, struct texts *best, struct texts *whole);

/* Group heads that are understood; r->at is behind the head then. */
static bool
open_group(struct reader *r)
{
    if (!reader_has(r, "(?"))
        return !reader_has(r, "(*") && r->at++ < r->p.len;
    if (reader_has(r, "(?:")) {
        r->at += 3;
        return true;
    }
    if ((reader_has(r, "(?<") && !reader_has(r, "(?<=") && !reader_has(r, "(?<!")) ||
        reader_has(r, "(?P<")) {
        r->at += str_find(str_from(r->p, r->at), '>') + 1;
        return r->at <= r->p.len;
    }
    return false;
}

/* Puts each text of `more` behind each of *t. False: those would be too many, or `more` is not all of a part. */
static bool
append_texts(struct texts *t, const struct texts *more)
{
    struct texts sum = { .n = 0 };

    if (more->n == 0 || t->n * more->n > TEXTS_MAX)
        return false;
    for (unsigned i = 0; i < t->n; i++) {
        for (unsigned k = 0; k < more->n; k++) {
            size_t len = t->len[i], room = TEXT_MAX - len;
            size_t n = more->len[k] < room ? more->len[k] : room;

            memcpy(sum.text[sum.n], t->text[i], len);
            memcpy(sum.text[sum.n] + len, more->text[k], n);
            sum.len[sum.n++] = (uint8_t)(len + n);
        }
    }
    *t = sum;
    return true;
}

/*
 * At '(': what the group needs goes into *best. True: it is nothing but texts, once, and they have been put behind *run;
 * else the run is over.
 */
static bool
read_group(struct reader *r, struct texts *best, struct texts *run)
{
    struct texts inner, whole;
    enum quantifier q;

    r->failed = !open_group(r) || ++r->depth > DEPTH_MAX;
    if (r->failed)
        return false;
    read_alternatives(r, &inner, &whole);
    r->depth--;
    r->failed = r->failed || !reader_has(r, ")");
    if (r->failed)
        return false;
    r->at++;
    q = read_quantifier(r);
    if (q == ONCE && append_texts(run, &whole))
        return true;
    keep_better(best, run);
    texts_clear(run);
    if (q != OPTIONAL)
        keep_better(best, &inner);
    return false;
}

/* At what is no literal: a class, an escape, '.', '^' ...; moves behind it and its quantifier. */
static void
skip_other(struct reader *r)
{
    static const char known[] = "dDwWsSbBhHvVAzZ";

    if (reader_has(r, "[")) {
        r->failed = !skip_class(r);
    } else if (reader_has(r, "\\")) {
        r->failed = r->at + 1 >= r->p.len || strchr(known, r->p.ptr[r->at + 1]) == NULL;
        r->at += 2;
    } else {
        r->at++;
    }
    (void)read_quantifier(r);
}

/* What a part between two '|' needs. *whole: all texts that it can be, n 0 when it is more than literals. */
static void
read_branch(struct reader *r, struct texts *best, struct texts *whole)
{
    struct texts run;
    bool only_text = true;

    best->n = whole->n = 0;
    texts_clear(&run);
    while (r->at < r->p.len && !r->failed && !reader_has(r, "|") && !reader_has(r, ")")) {
        struct texts before = run;
        enum quantifier q;
        char c;

        if (reader_has(r, "(")) {
            only_text = read_group(r, best, &run) && only_text;
            continue;
        }
        if (read_literal(r, &c)) {
            texts_add_char(&run, c);
            q = read_quantifier(r);
            if (q == ONCE)
                continue;
            keep_better(best, q == OPTIONAL ? &before : &run);
        } else {
            keep_better(best, &run);
            skip_other(r);
        }
        only_text = false;
        texts_clear(&run);
    }
    keep_better(best, &run);
    if (only_text)
        *whole = run;
}

/* Adds the other texts. False: too many. */
static bool
unite(struct texts *t, const struct texts *other)
{
    if (t->n + other->n > TEXTS_MAX)
        return false;
    for (unsigned i = 0; i < other->n; i++) {
        memcpy(t->text[t->n], other->text[i], other->len[i]);
        t->len[t->n++] = other->len[i];
    }
    return true;
}

static void
read_alternatives(struct reader *r, struct texts *best, struct texts *whole)
{
    bool best_known = true, whole_known = true;

    best->n = whole->n = 0;
    for (;;) {
        struct texts one_best, one_whole;

        read_branch(r, &one_best, &one_whole);
        best_known = best_known && one_best.n > 0 && unite(best, &one_best);
        whole_known = whole_known && one_whole.n > 0 && unite(whole, &one_whole);
        if (r->failed || !reader_has(r, "|"))
            break;
        r->at++;
    }
    if (!best_known)
        best->n = 0;
    if (!whole_known)
        whole->n = 0;
}

bool
grams_of_pattern(struct str pattern, struct vec *needed)
{
    struct reader r = { .p = pattern };
    struct texts best, whole;
    uint32_t before = needed->len;

    read_alternatives(&r, &best, &whole);
    if (r.failed || r.at < pattern.len || best.n == 0)
        return false;
    for (unsigned i = 0; i < best.n; i++) {
        struct grams *g = vec_push(needed);

        if (g == NULL) {
            needed->len = before;
            return false;
        }
        add_runs(g, best.text[i], best.len[i]);
    }
    return true;
}
