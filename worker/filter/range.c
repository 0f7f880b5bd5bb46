/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * range.c - parts of a representation: 206 and 416 (RFC 9110, 14). Runs last: only what nobody changed has ranges.
 *
 * A body in memory or in a file is made to give each part in turn, in any order. Any other comes once and forward: the
 * wrapper drops or cuts what its source returns, and ranges that are out of order or overlap get the whole.
 */
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/module.h"
#include "worker/http/body.h"
#include "worker/http/date.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"

/* Bytes [start, end). */
struct range {
    uint64_t start, end;
    struct str head; /* of its part, in multipart/byteranges */
};

struct ranges {
    struct range *at;
    uint32_t n, cap;
};

/* ---- the Range field (RFC 9110, 14.1.2) ---- */

enum range_parse { RANGES_GOOD, RANGES_IGNORE, RANGES_UNSATISFIABLE };

static bool
parse_one(struct str spec, uint64_t size, struct range *out, bool *satisfiable)
{
    size_t dash = str_find(spec, '-');
    struct str first = str_trim(str_upto(spec, dash)), last;
    uint64_t a, b;

    if (dash == spec.len)
        return false;
    last = str_trim(str_from(spec, dash + 1));
    if (first.len == 0) {
        if (!num_parse_u64(last, &b))
            return false;
        *satisfiable = b > 0;
        *out = (struct range){ .start = size - num_min(b, size), .end = size };
        return true;
    }
    if (!num_parse_u64(first, &a))
        return false;
    b = UINT64_MAX - 1;
    if (last.len > 0 && (!num_parse_u64(last, &b) || b < a || b == UINT64_MAX))
        return false;
    *satisfiable = a < size;
    *out = (struct range){ .start = a, .end = num_min(b + 1, size) };
    return true;
}

static bool
ranges_add(struct ranges *to, const struct range *r, struct arena *a)
{
    if (to->n == to->cap) {
        uint32_t cap = to->cap == 0 ? 4 : 2 * to->cap;
        struct range *more = arena_array(a, cap, sizeof(*r));

        if (more == NULL)
            return false;
        if (to->n > 0)
            memcpy(more, to->at, to->n * sizeof(*r));
        to->at = more;
        to->cap = cap;
    }
    to->at[to->n++] = *r;
    return true;
}

/* More bytes than the whole has, or more ranges than allowed: the client gets the whole (RFC 9110, 14.2). */
static enum range_parse
parse_ranges(struct str value, uint64_t size, uint32_t max, struct arena *a, struct ranges *out)
{
    uint64_t sum = 0;
    struct str spec, rest;

    if (!str_starts_nocase(value, S("bytes=")) || value.len == 6 || max == 0 || size == 0)
        return RANGES_IGNORE;
    rest = str_from(value, 6);
    while (str_split(&rest, ',', &spec)) {
        struct range r;
        bool satisfiable;

        spec = str_trim(spec);
        if (spec.len == 0)
            continue; /* RFC 9110, 5.6.1.2 (nginx differs: 416) */
        if (!parse_one(spec, size, &r, &satisfiable))
            return RANGES_UNSATISFIABLE; /* as nginx; RFC 9110, 14.2 leaves it open */
        if (!satisfiable)
            continue;
        if (out->n >= max || !ranges_add(out, &r, a) || !num_add(sum, r.end - r.start, &sum))
            return RANGES_IGNORE;
    }
    if (out->n == 0)
        return RANGES_UNSATISFIABLE;
    return sum > size ? RANGES_IGNORE : RANGES_GOOD;
}

static bool
ranges_ascend(const struct ranges *ranges)
{
    for (uint32_t i = 1; i < ranges->n; i++)
        if (ranges->at[i].start < ranges->at[i - 1].end)
            return false;
    return true;
}

/* RFC 9110, 13.1.5: the ranges hold only if the client's copy is still the right one. */
static bool
if_range_holds(const struct request *r, const struct response *res)
{
    struct str value = fields_value(&r->fields, FIELD_IF_RANGE);
    int64_t time, modified;

    if (value.ptr == NULL)
        return true;
    if (value.len >= 2 && value.ptr[value.len - 1] == '"')
        return res->etag.len > 0 && !str_starts(res->etag, S("W/")) && str_eq(value, res->etag);
    modified = response_last_modified(res);
    return modified >= 0 && date_parse(value, &time) && time == modified;
}

/* ---- the body ---- */

struct range_source {
    struct source source;
    struct ranges ranges;
    struct str tail;  /* behind the last part of several */
    uint32_t current; /* range that is being sent */
    bool head_out;    /* the current part's head was given */
    bool seeks;       /* below has been set to the current range */
    /* Only when below cannot be set: */
    uint64_t at;     /* offset in the whole of in.piece[in_at] */
    struct batch in; /* what below returned; from in_at on not passed on yet */
    uint8_t in_at;
    enum pull after; /* what below said last */
};

/* Behind the last range. */
static enum pull
range_end(const struct range_source *s, struct batch *b)
{
    if (s->tail.len == 0)
        return PULL_END;
    if (b->n == BATCH_PIECES)
        return PULL_MORE;
    batch_mem(b, s->tail.ptr, s->tail.len);
    return PULL_END;
}

/* The current range has been given: below is set to the next. */
static void
next_range(struct range_source *s)
{
    const struct range *r = &s->ranges.at[++s->current];

    s->head_out = false;
    if (s->current < s->ranges.n)
        body_seek(s->source.below, r->start, r->end - r->start);
}

/* Below gives the current range and then END, which here is the end of a part. */
static enum pull
range_pull_parts(struct source *src, struct batch *b)
{
    struct range_source *s = CONTAINER_OF(src, struct range_source, source);
    const struct range *r = &s->ranges.at[s->current];
    enum pull after;

    if (s->current == s->ranges.n)
        return range_end(s, b);
    if (!s->head_out && r->head.len > 0) {
        s->head_out = true;
        batch_mem(b, r->head.ptr, r->head.len);
        if (b->n == BATCH_PIECES)
            return PULL_MORE;
    }
    after = source_pull(src->below, b);
    if (after != PULL_END)
        return after;
    next_range(s);
    return s->current == s->ranges.n ? range_end(s, b) : PULL_MORE;
}

/* Cuts [skip, skip + len) out of a piece. */
static struct piece
piece_cut(const struct piece *p, uint64_t skip, uint64_t len)
{
    struct piece c = *p;

    if (c.kind == PIECE_MEM)
        c.mem += skip;
    else
        c.at += skip;
    c.len = len;
    return c;
}

/* Passes on what of the piece at hand lies in the current range, or drops it. False: the batch is full. */
static bool
pass_piece(struct range_source *s, struct batch *b)
{
    struct piece *p = &s->in.piece[s->in_at];
    struct range *r = &s->ranges.at[s->current];
    uint64_t end = s->at + p->len, from = num_max(r->start, s->at), to = num_min(r->end, end);

    if (from < to) {
        if (b->n + 2 > BATCH_PIECES)
            return false;
        if (!s->head_out && r->head.len > 0)
            batch_mem(b, r->head.ptr, r->head.len);
        s->head_out = true;
        b->piece[b->n++] = piece_cut(p, from - s->at, to - from);
    }
    if (r->end <= end) { /* the rest of the piece may hold the next range */
        s->current++;
        s->head_out = false;
        if (r->end < end) {
            *p = piece_cut(p, r->end - s->at, end - r->end);
            s->at = r->end;
            return true;
        }
    }
    s->at = end;
    s->in_at++;
    return true;
}

/* Returns what it has before it pulls below again. */
static enum pull
range_pull_forward(struct source *src, struct batch *b)
{
    struct range_source *s = CONTAINER_OF(src, struct range_source, source);
    uint8_t before = b->n;

    for (;;) {
        while (s->in_at < s->in.n && s->current < s->ranges.n)
            if (!pass_piece(s, b))
                return PULL_MORE;
        if (s->current == s->ranges.n)
            return range_end(s, b);
        if (s->after == PULL_FAILED)
            return PULL_FAILED;
        if (b->n > before)
            return PULL_MORE; /* no WAIT of an earlier pull: the call that follows it may have come */
        if (s->after == PULL_END)
            return PULL_FAILED; /* shorter than it was said to be */
        batch_init(&s->in, b->want, b->kinds & (PIECE_MEM | PIECE_FILE));
        s->in_at = 0;
        s->after = source_pull(src->below, &s->in);
        b->flush |= s->in.flush;
        if (s->in.n == 0 && s->after == PULL_WAIT)
            return PULL_WAIT;
    }
}

static void
range_stop(struct source *src, enum stop why)
{
    source_stop(src->below, why);
}

static const struct source_ops range_parts_ops = { range_pull_parts, range_stop };
static const struct source_ops range_forward_ops = { range_pull_forward, range_stop };

/* ---- the head ---- */

static bool
content_range(struct request *r, struct response *res, struct str range)
{
    struct str text =
        arena_fmt(request_arena(r), "bytes %.*s/%lld", STR(range), (long long)res->length);

    return text.ptr != NULL &&
           fields_set(&res->fields, FIELD_CONTENT_RANGE, STR_NONE, text) != NULL;
}

static struct str
range_text(struct request *r, const struct range *one)
{
    return arena_fmt(request_arena(r), "%llu-%llu", (unsigned long long)one->start,
                     (unsigned long long)one->end - 1);
}

static struct str
part_head(struct request *r, const struct response *res, const struct range *part,
          const char *boundary)
{
    struct text t;

    text_init(&t, request_arena(r));
    text_fmt(&t, "\r\n--%s\r\n", boundary);
    if (res->content_type.len > 0) {
        text_fmt(&t, "Content-Type: %.*s", STR(res->content_type));
        if (res->charset.len > 0)
            text_fmt(&t, "; charset=%.*s", STR(res->charset));
        TEXT_LIT(&t, "\r\n");
    }
    text_fmt(&t, "Content-Range: bytes %.*s/%lld\r\n\r\n", STR(range_text(r, part)),
             (long long)res->length);
    return text_str(&t);
}

/* multipart/byteranges (RFC 9110, 14.6): heads of parts and the closing delimiter. */
static bool
make_parts(struct request *r, struct response *res, struct range_source *s)
{
    char boundary[21];
    uint64_t length = 0;

    for (int i = 0; i < 20; i++)
        boundary[i] = (char)('0' + rand_below(10));
    boundary[20] = '\0';
    for (uint32_t i = 0; i < s->ranges.n; i++) {
        struct range *p = &s->ranges.at[i];

        p->head = part_head(r, res, p, boundary);
        if (p->head.ptr == NULL)
            return false;
        length += p->head.len + (p->end - p->start);
    }
    s->tail = arena_fmt(request_arena(r), "\r\n--%s--\r\n", boundary);
    res->content_type = arena_fmt(request_arena(r), "multipart/byteranges; boundary=%s", boundary);
    res->charset = STR_NONE;
    res->length = (int64_t)(length + s->tail.len);
    return s->tail.ptr != NULL && res->content_type.ptr != NULL;
}

static bool
send_ranges(struct request *r, struct response *res, struct range_source *s)
{
    if (s->ranges.n == 1) {
        if (!content_range(r, res, range_text(r, &s->ranges.at[0])))
            return false;
        res->length = (int64_t)(s->ranges.at[0].end - s->ranges.at[0].start);
    } else if (!make_parts(r, res, s)) {
        return false;
    }
    res->status = 206;
    res->reason = STR_NONE;
    if (res->body == NULL || (s->seeks && s->ranges.n == 1))
        return true;
    s->source =
        (struct source){ .ops = s->seeks ? &range_parts_ops : &range_forward_ops, .x = &r->x };
    s->after = PULL_MORE;
    response_wrap(res, &s->source);
    return true;
}

static bool
range_head(struct exchange *x, struct response *res)
{
    struct request *r = request_of(x);
    struct str value = fields_value(&r->fields, FIELD_RANGE);
    uint32_t max = HTTP_CONF(r)->max_ranges;
    struct range_source *s;

    if (res->status != 200 || !res->accept_ranges || res->length < 0 || max == 0)
        return true;
    if (value.ptr != NULL && if_range_holds(r, res)) {
        s = ARENA_NEW(request_arena(r), struct range_source);
        if (s == NULL)
            return false;
        switch (parse_ranges(value, (uint64_t)res->length, max, request_arena(r), &s->ranges)) {
        case RANGES_GOOD:
            if (res->single_range && s->ranges.n > 1)
                break;
            s->seeks = res->body != NULL && body_seek(res->body, s->ranges.at[0].start,
                                                      s->ranges.at[0].end - s->ranges.at[0].start);
            if (s->seeks || ranges_ascend(&s->ranges))
                return send_ranges(r, res, s);
            break;
        case RANGES_UNSATISFIABLE:
            res->refused = 416;
            return content_range(r, res, S("*"));
        case RANGES_IGNORE:
            break;
        }
    }
    return fields_set(&res->fields, FIELD_ACCEPT_RANGES, STR_NONE, S("bytes")) != NULL;
}

static const struct filter range_filters[] = {
    { .stage = FILTER_RANGE, .root_only = true, .head = range_head },
    { 0 },
};

struct module range_module = {
    .name = "range",
    .filters = range_filters,
};
