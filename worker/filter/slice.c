/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slice.c - puts a large response together from ranges of an origin, each of them the answer of a request of its own.
 *
 * The origin is asked for a slice by $slice_range. Its 206 to the first request tells the whole length; what the client gets
 * is a 200, or its own range of it. Further slices are asked for when their turn comes. Each has to be the range that was
 * asked for, of the same length and with the same entity tag; else the response is cut off.
 *
 * Directive: slice.   Variable: $slice_range.
 */
#include "common/base/num.h"
#include "common/module.h"
#include "worker/core/var.h"
#include "worker/http/filter.h"
#include "worker/http/subrequest.h"

struct slice_conf {
    uint64_t size; /* bytes; 0: off */
};

struct slice_source;

/* Of an exchange that asks for a slice: a root whose $slice_range was used, or one of its subrequests. */
struct slice_state {
    uint64_t start;                   /* offset of the slice */
    const struct slice_source *whole; /* of a subrequest: what it is a part of */
};

struct slice_source {
    struct source source;
    struct join *join;          /* the part that is a subrequest */
    uint64_t size, complete;    /* bytes of a slice, of all */
    struct str etag;            /* of the first answer; empty: none */
    uint64_t at, end;           /* what is wanted: next byte, and behind the last one */
    bool live;                  /* a part is under way, */
    bool own;                   /* the answer to the root's own request, that is below */
    uint64_t part_at, part_end; /* offset behind the last byte that came of it; its end */
    struct batch in;            /* what came last */
    uint8_t in_at;              /* the piece of it at hand */
    uint64_t in_pos;            /* offset of that piece */
};

extern struct module slice_module;

#define slice_log(x, ...) xlog((x), LOG_LEVEL_ERROR, 0, __VA_ARGS__)

/* ---- $slice_range ---- */

/* The slice that the client's range begins in; 0 when that cannot be known yet. */
static uint64_t
first_start(const struct request *r, uint64_t size)
{
    struct str range = fields_value(&r->fields, FIELD_RANGE), first;
    uint64_t start;

    if (fields_get(&r->fields, FIELD_IF_RANGE) != NULL || !str_starts_nocase(range, S("bytes=")))
        return 0;
    first = str_from(range, 6);
    if (str_find(first, ',') < first.len)
        return 0;
    first = str_trim(str_upto(first, str_find(first, '-')));
    return num_parse_u64(first, &start) ? start - start % size : 0;
}

static void
slice_range(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct slice_conf *c = scope_conf(x->scope, &slice_module);
    struct slice_state *state = exchange_state(x, &slice_module, 0);
    uint64_t last;
    struct str text;

    if (c->size == 0)
        return;
    if (state == NULL) {
        if (x->root != x || x->responding)
            return;
        state = exchange_state(x, &slice_module, sizeof(*state));
        if (state == NULL)
            return;
        state->start = first_start(request_of(x), c->size);
    }
    if (!num_add(state->start, c->size - 1, &last))
        last = UINT64_MAX;
    text = arena_fmt(&x->mem->arena, "bytes=%llu-%llu", (unsigned long long)state->start,
                     (unsigned long long)last);
    if (text.ptr != NULL)
        var_found(v, text);
}

/* ---- answers ---- */

struct content_range {
    uint64_t start, end, complete; /* bytes [start, end) */
};

/* RFC 9110, 14.4. False: it is none with a length, logged. */
static bool
parse_content_range(struct exchange *x, const struct response *res, struct content_range *r)
{
    struct str value = fields_value(&res->fields, FIELD_CONTENT_RANGE), range, complete;
    size_t slash = str_find(value, '/'), dash;

    if (slash == value.len || !str_starts_nocase(value, S("bytes "))) {
        slice_log(x, "invalid range in slice response");
        return false;
    }
    range = str_trim(str_from(str_upto(value, slash), 6));
    complete = str_trim(str_from(value, slash + 1));
    dash = str_find(range, '-');
    if (str_eq(complete, S("*"))) {
        slice_log(x, "no complete length in slice response");
        return false;
    }
    if (dash == range.len || !num_parse_u64(str_upto(range, dash), &r->start) ||
        !num_parse_u64(str_from(range, dash + 1), &r->end) || r->end == UINT64_MAX ||
        !num_parse_u64(complete, &r->complete) || r->complete > INT64_MAX) {
        slice_log(x, "invalid range in slice response");
        return false;
    }
    r->end++;
    return true;
}

/* Whether an answer is the slice that was asked for. */
static bool
is_slice(struct exchange *x, const struct response *res, uint64_t start, uint64_t size,
         struct content_range *r)
{
    if (!parse_content_range(x, res, r))
        return false;
    if (r->start == start && start < r->complete &&
        r->end == start + num_min(size, r->complete - start))
        return true;
    slice_log(x, "unexpected range in slice response: %llu-%llu", (unsigned long long)r->start,
              (unsigned long long)r->end - 1);
    return false;
}

/* ---- the body ---- */

/* Asks for the slice in which the next byte lies. */
static bool
open_part(struct slice_source *s)
{
    struct exchange *x = s->source.x;
    struct request *child;
    struct slice_state *state;

    source_stop(s->source.below, STOP_DONE);
    s->source.below = NULL;
    join_stop(s->join, STOP_DONE);
    child = subrequest_new(request_of(x), &(struct subrequest_options){ .uri = request_of(x)->uri,
                                                                        .clone = true,
                                                                        .keep_method = true });
    state = child != NULL ? exchange_state(&child->x, &slice_module, sizeof(*state)) : NULL;
    if (child == NULL)
        return false;
    join_child(s->join, &child->x, STR_NONE);
    if (state == NULL)
        return false;
    state->start = s->at - s->at % s->size;
    state->whole = s;
    exchange_keep_state(&child->x, &slice_module);
    s->part_at = state->start;
    s->part_end = state->start + num_min(s->size, s->complete - state->start);
    s->own = false;
    s->live = true;
    return true;
}

/* Gives what is wanted of the piece at hand. */
static void
pass_piece(struct slice_source *s, struct batch *b)
{
    struct piece p = s->in.piece[s->in_at];
    uint64_t end = s->in_pos + p.len, skip = num_min(num_max(s->at, s->in_pos), end) - s->in_pos;
    uint64_t to = num_min(end, s->end);

    if (s->in_pos + skip < to) {
        if (p.kind == PIECE_MEM)
            p.mem += skip;
        else
            p.at += skip;
        p.len = to - (s->in_pos + skip);
        b->piece[b->n++] = p;
        s->at = to;
    }
    s->in_pos = end;
    s->in_at++;
}

/* The next bytes of the part under way. */
static enum pull
pull_part(struct slice_source *s, struct batch *b)
{
    enum pull after;

    batch_init(&s->in, b->want, b->kinds & (PIECE_MEM | PIECE_FILE));
    s->in_at = 0;
    s->in_pos = s->part_at;
    after = s->own ? source_pull(s->source.below, &s->in) : join_pull(s->join, &s->in);
    for (uint8_t i = 0; i < s->in.n; i++)
        s->part_at += s->in.piece[i].len;
    b->flush |= s->in.flush;
    if (after == PULL_END || after == PULL_FAILED)
        s->live = false;
    if (s->part_at > s->part_end || (!s->live && s->part_at < s->part_end)) {
        slice_log(s->source.x, "slice response is not as long as its range");
        return PULL_FAILED;
    }
    return after;
}

static enum pull
slice_pull(struct source *source, struct batch *b)
{
    struct slice_source *s = CONTAINER_OF(source, struct slice_source, source);
    uint8_t before = b->n;
    enum pull after;

    for (;;) {
        while (s->in_at < s->in.n && s->at < s->end) {
            if (b->n == BATCH_PIECES)
                return PULL_MORE;
            pass_piece(s, b);
        }
        if (s->at == s->end)
            return PULL_END;
        if (b->n > before)
            return PULL_MORE;
        if ((!s->live || s->at < s->part_at) && !open_part(s))
            return PULL_FAILED;
        after = pull_part(s, b);
        if (after == PULL_FAILED || (s->in.n == 0 && after != PULL_END))
            return after;
    }
}

/* For ranges: what is given next. */
static bool
slice_seek(struct source *source, uint64_t at, uint64_t len)
{
    struct slice_source *s = CONTAINER_OF(source, struct slice_source, source);

    s->at = at;
    s->end = at + len;
    s->in.n = s->in_at = 0;
    s->live = s->live && at >= s->part_at && at < s->part_end;
    return true;
}

static void
slice_stop(struct source *source, enum stop why)
{
    struct slice_source *s = CONTAINER_OF(source, struct slice_source, source);

    join_stop(s->join, why);
    source_stop(source->below, why);
}

static const struct source_ops slice_ops = { slice_pull, slice_stop };

/* ---- heads ---- */

static bool
wrap_body(struct exchange *x, struct response *res, const struct content_range *r, uint64_t size)
{
    struct slice_source *s = ARENA_NEW(&x->mem->arena, struct slice_source);

    if (s == NULL)
        return false;
    s->source = (struct source){ .ops = &slice_ops, .x = x, .seek = slice_seek };
    s->join = join_new(x);
    s->size = size;
    s->complete = s->end = r->complete;
    s->etag = res->etag;
    s->live = s->own = true;
    s->part_at = r->start;
    s->part_end = r->end;
    if (s->join == NULL)
        return false;
    response_wrap(res, &s->source);
    return true;
}

/* An origin that knows no ranges answers as it likes. */
static bool
root_head(struct exchange *x, struct response *res, const struct slice_state *state)
{
    const struct slice_conf *c = scope_conf(x->scope, &slice_module);
    struct content_range r;

    if (res->status != 206 || c->size == 0)
        return true;
    if (!is_slice(x, res, state->start, c->size, &r)) {
        res->refused = 502; /* nginx differs: it closes the connection */
        return true;
    }
    res->status = 200;
    res->reason = STR_NONE;
    res->length = (int64_t)r.complete;
    res->accept_ranges = res->single_range = true;
    fields_remove(&res->fields, FIELD_CONTENT_RANGE);
    return res->head_only || res->body == NULL || wrap_body(x, res, &r, c->size);
}

static bool
is_part(struct exchange *x, const struct response *res, const struct slice_state *state)
{
    const struct slice_source *whole = state->whole;
    struct content_range r;

    if (res->status != 206) {
        slice_log(x, "unexpected status code %u in slice response", res->status);
        return false;
    }
    if (whole->etag.len > 0 && !str_eq(res->etag, whole->etag)) {
        slice_log(x, "etag mismatch in slice response");
        return false;
    }
    if (!is_slice(x, res, state->start, whole->size, &r))
        return false;
    if (r.complete == whole->complete)
        return true;
    slice_log(x, "unexpected length in slice response: %llu", (unsigned long long)r.complete);
    return false;
}

/* What is no part of the whole brings no bytes, by which its root sees that it failed. */
static bool
slice_head(struct exchange *x, struct response *res)
{
    const struct slice_state *state = exchange_state(x, &slice_module, 0);

    if (state == NULL)
        return true;
    if (state->whole == NULL)
        return root_head(x, res, state);
    if (is_part(x, res, state))
        return true;
    source_stop(res->body, STOP_FAILED);
    res->body = NULL;
    res->length = 0;
    return true;
}

static bool
slice_wanted(const struct scope *s)
{
    return ((const struct slice_conf *)scope_conf(s, &slice_module))->size > 0;
}

static const struct directive slice_directives[] = {
    D_SIZE("slice", CTX_HTTP | CTX_SRV | CTX_LOC, struct slice_conf, size, DEFAULT(0)),
    D_END,
};

static const struct variable slice_variables[] = {
    { .name = "slice_range", .get = slice_range, .flags = VAR_VOLATILE },
    { 0 },
};

static const struct filter slice_filters[] = {
    { .stage = FILTER_SLICE, .wanted = slice_wanted, .head = slice_head },
    { 0 },
};

struct module slice_module = {
    .name = "slice",
    .configure_token = "--with-http_slice_module",
    .conf_size = sizeof(struct slice_conf),
    .directives = slice_directives,
    .variables = slice_variables,
    .filters = slice_filters,
};
