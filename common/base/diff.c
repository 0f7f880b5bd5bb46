/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diff.c - E. Myers' algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986) over lines, between the equal
 * beginnings and ends of two texts, up to a bound on the number of differences.
 */
#include "common/base/diff.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/base/vec.h"

enum {
    CONTEXT = 3,
    EDITS_MAX = 2000, /* deleted and added lines; the trace takes 4 bytes times its square */
};

struct line {
    struct str text; /* without its '\n' */
    uint64_t hash;
    bool ends; /* with '\n' */
};

/* Both texts, and for each of their lines whether it is in the other one too, at its place in the order. */
struct diff {
    struct vec a, b; /* of struct line */
    bool *deleted, *added;
};

static bool
split(struct vec *lines, struct str text)
{
    vec_init(lines, NULL, sizeof(struct line));
    while (text.len > 0) {
        struct line *l = VEC_PUSH(lines, struct line);
        size_t end = str_find(text, '\n');

        if (l == NULL)
            return false;
        *l = (struct line){ str_upto(text, end), 0, end < text.len };
        l->hash = hash_bytes(l->text);
        text = str_from(text, num_min(end + 1, text.len));
    }
    return true;
}

static const struct line *
line_at(const struct vec *lines, uint32_t i)
{
    return VEC_AT(lines, struct line, i);
}

static bool
same(const struct diff *d, uint32_t i, uint32_t j)
{
    const struct line *a = line_at(&d->a, i), *b = line_at(&d->b, j);

    return a->hash == b->hash && a->ends == b->ends && str_eq(a->text, b->text);
}

/* ---- the shortest way ---- */

/* The part of both texts between equal beginnings and ends. */
struct range {
    uint32_t a, b, n, m;
};

/* How far down diagonal k one comes with d edits, from what was reached with d - 1: `v` holds -d..d at v[d + k]. */
static int
step_from(const int *before, int k, int d)
{
    if (d == 0)
        return 0;
    if (k == -d || (k != d && before[d - 1 + k - 1] < before[d - 1 + k + 1]))
        return before[d - 1 + k + 1]; /* a line of b is added */
    return before[d - 1 + k - 1] + 1; /* a line of a is deleted */
}

/* Goes back along the rows of the trace. */
static void
mark(struct diff *df, const struct range *r, int *const *trace, int d, int k)
{
    for (; d > 0; d--) {
        const int *before = trace[d - 1];
        bool add = k == -d || (k != d && before[d - 1 + k - 1] < before[d - 1 + k + 1]);
        int x;

        k = add ? k + 1 : k - 1;
        x = before[d - 1 + k];
        if (add)
            df->added[r->b + (uint32_t)(x - k)] = true;
        else
            df->deleted[r->a + (uint32_t)x] = true;
    }
}

/* One more edit; true: the end is reached, on diagonal *k. */
static bool
extend(const struct diff *df, const struct range *r, const int *before, int *row, int d, int *k)
{
    for (int at = -d; at <= d; at += 2) {
        int x = step_from(before, at, d), y = x - at;

        while (x < (int)r->n && y >= 0 && y < (int)r->m &&
               same(df, r->a + (uint32_t)x, r->b + (uint32_t)y))
            x++, y++;
        row[d + at] = x;
        if (x >= (int)r->n && y >= (int)r->m && x - y == (int)r->n - (int)r->m) {
            *k = at;
            return true;
        }
    }
    return false;
}

static void
replace_all(struct diff *df, const struct range *r)
{
    memset(df->deleted + r->a, true, r->n);
    memset(df->added + r->b, true, r->m);
}

static void
search(struct diff *df, const struct range *r)
{
    int **trace = calloc(EDITS_MAX + 1, sizeof(*trace)), k = 0;
    bool found = false;

    for (int d = 0; trace != NULL && d <= EDITS_MAX && !found; d++) {
        trace[d] = calloc((size_t)(2 * d + 1), sizeof(int));
        if (trace[d] == NULL)
            break;
        found = extend(df, r, d > 0 ? trace[d - 1] : NULL, trace[d], d, &k);
        if (found)
            mark(df, r, trace, d, k);
    }
    if (!found)
        replace_all(df, r);
    for (int d = 0; trace != NULL && d <= EDITS_MAX; d++)
        free(trace[d]);
    free(trace);
}

static void
compare(struct diff *d)
{
    struct range r = { .n = d->a.len, .m = d->b.len };

    while (r.n > 0 && r.m > 0 && same(d, r.a, r.b))
        r.a++, r.b++, r.n--, r.m--;
    while (r.n > 0 && r.m > 0 && same(d, r.a + r.n - 1, r.b + r.m - 1))
        r.n--, r.m--;
    if (r.n > 0 && r.m > 0)
        search(d, &r);
    else
        replace_all(d, &r);
}

/* ---- hunks ---- */

/* Lines of both texts that are shown, as half-open ranges. */
struct hunk {
    uint32_t a, a_end, b, b_end;
};

static bool
is_change(const struct diff *d, uint32_t i, uint32_t j)
{
    return (i < d->a.len && d->deleted[i]) || (j < d->b.len && d->added[j]);
}

/* The changes from (i, j) on, up to where more than twice the context is equal. */
static struct hunk
hunk_at(const struct diff *d, uint32_t i, uint32_t j)
{
    uint32_t before = (uint32_t)num_min(CONTEXT, num_min(i, j)), equal = 0;
    struct hunk h = { .a = i - before, .b = j - before };

    h.a_end = i;
    h.b_end = j;
    while (equal <= 2 * CONTEXT && (i < d->a.len || j < d->b.len)) {
        if (!is_change(d, i, j)) {
            i++, j++, equal++;
            continue;
        }
        equal = 0;
        i += i < d->a.len && d->deleted[i];
        while (j < d->b.len && d->added[j] && !(i < d->a.len && d->deleted[i]))
            j++;
        h.a_end = i;
        h.b_end = j;
    }
    h.a_end = (uint32_t)num_min(h.a_end + CONTEXT, d->a.len);
    h.b_end = (uint32_t)num_min(h.b_end + CONTEXT, d->b.len);
    return h;
}

static void
put_line(struct text *to, char mark, const struct line *l)
{
    text_char(to, mark);
    text_add(to, l->text);
    text_char(to, '\n');
    if (!l->ends)
        TEXT_LIT(to, "\\ No newline at end of file\n");
}

/* "12,3", "12" for one line; of none the line before. */
static void
put_range(struct text *to, char sign, uint32_t from, uint32_t end)
{
    uint32_t n = end - from;

    text_fmt(to, "%c%u", sign, n == 0 ? from : from + 1);
    if (n != 1)
        text_fmt(to, ",%u", n);
}

static void
put_hunk(struct text *to, const struct diff *d, const struct hunk *h)
{
    uint32_t i = h->a, j = h->b;

    TEXT_LIT(to, "@@ ");
    put_range(to, '-', h->a, h->a_end);
    text_char(to, ' ');
    put_range(to, '+', h->b, h->b_end);
    TEXT_LIT(to, " @@\n");
    while (i < h->a_end || j < h->b_end) {
        if (i < h->a_end && d->deleted[i]) {
            put_line(to, '-', line_at(&d->a, i++));
        } else if (j < h->b_end && d->added[j]) {
            put_line(to, '+', line_at(&d->b, j++));
        } else {
            put_line(to, ' ', line_at(&d->a, i++));
            j++;
        }
    }
}

static void
put_hunks(struct text *to, const struct diff *d)
{
    uint32_t i = 0, j = 0;

    while (i < d->a.len || j < d->b.len) {
        struct hunk h;

        if (!is_change(d, i, j)) {
            i++, j++;
            continue;
        }
        h = hunk_at(d, i, j);
        put_hunk(to, d, &h);
        i = h.a_end;
        j = h.b_end;
    }
}

bool
diff_unified(struct text *to, struct str old, struct str new)
{
    struct diff d = { .deleted = NULL };
    bool ok = split(&d.a, old);

    ok = split(&d.b, new) && ok;
    d.deleted = calloc((size_t)d.a.len + 1, sizeof(bool));
    d.added = calloc((size_t)d.b.len + 1, sizeof(bool));
    ok = ok && d.deleted != NULL && d.added != NULL;
    if (ok) {
        compare(&d);
        put_hunks(to, &d);
    }
    free(d.deleted);
    free(d.added);
    vec_free(&d.a);
    vec_free(&d.b);
    return ok && !to->failed;
}
