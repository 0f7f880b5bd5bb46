/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sub.c - replaces strings in a response's body.
 *
 * Nothing is collected: what passes is searched where it lies. Only the start of a string at the end of a part is kept, so
 * memory is bounded by the longest string.
 *
 * Directives: sub_filter, sub_filter_once, sub_filter_types, sub_filter_last_modified.
 */
#include "common/module.h"
#include "worker/core/template.h"
#include "worker/filter/sub_match.h"
#include "worker/http/body.h"
#include "worker/http/filter.h"
#include "worker/http/request.h"
#include "worker/http/type_set.h"

/* One sub_filter line. */
struct sub_pair {
    struct template from, to;
};

struct sub_conf {
    struct vec pairs; /* of struct sub_pair, in text order */
    bool once, last_modified;
    struct type_set types;
    struct sub_strings *strings; /* when all strings are constant */
};

extern struct module sub_module;

enum { OUT_MAX = 3 }; /* slices that one match brings: two in front of it, the replacement */

struct sub_source {
    struct source source;
    const struct sub_conf *conf;
    struct sub_walk walk;
    struct str *texts; /* by pair: the replacement; ptr NULL: not made yet */
    uint32_t left;     /* pairs that are still looked for */
    uint64_t given;    /* offset of the first byte that is not given yet */
    char *
        held; /* bytes in front of the piece at hand that are not given yet; the longest string fits */
    size_t held_len;
    struct batch in;         /* what below returned */
    uint8_t in_at;           /* the piece at hand */
    uint64_t piece_at;       /* offset of its first byte */
    enum pull after;         /* what below said last */
    bool over;               /* the last byte has been searched */
    struct str out[OUT_MAX]; /* on its way into the batch, from out_at on */
    uint8_t out_n, out_at;
};

/* ---- bytes by their offset ---- */

static uint64_t
piece_len(const struct sub_source *s)
{
    return s->in_at < s->in.n ? s->in.piece[s->in_at].len : 0;
}

static uint64_t
bytes_end(const struct sub_source *s)
{
    return s->piece_at + piece_len(s);
}

/* The bytes [at, to), as far as they lie together. */
static struct str
bytes_at(const struct sub_source *s, uint64_t at, uint64_t to)
{
    uint64_t held_at = s->piece_at - s->held_len;

    if (at < s->piece_at)
        return str_n(s->held + (at - held_at), (to < s->piece_at ? to : s->piece_at) - at);
    return str_n(s->in.piece[s->in_at].mem + (at - s->piece_at), to - at);
}

/* Bytes up to `to` are given as they are. */
static void
give_until(struct sub_source *s, uint64_t to)
{
    while (s->given < to) {
        struct str bytes = bytes_at(s, s->given, to);

        s->out[s->out_n++] = bytes;
        s->given += bytes.len;
    }
}

/* The piece at hand is done: what is not given of it is kept. Nothing that was given lies in `held` any more. */
static void
keep_rest(struct sub_source *s)
{
    uint64_t end = bytes_end(s);
    size_t len = 0;

    while (s->given + len < end) {
        struct str bytes = bytes_at(s, s->given + len, end);

        memmove(s->held + len, bytes.ptr, bytes.len);
        len += bytes.len;
    }
    s->held_len = len;
    s->piece_at = end;
    s->in_at++;
}

/* ---- matches ---- */

static bool
replace(struct sub_source *s, const struct sub_match *m)
{
    struct str *text = &s->texts[m->which];

    if (text->ptr == NULL)
        *text =
            template_expand(s->source.x, &VEC_AT(&s->conf->pairs, struct sub_pair, m->which)->to);
    if (text->ptr == NULL)
        return false;
    give_until(s, m->start);
    if (text->len > 0)
        s->out[s->out_n++] = *text;
    s->given = m->end;
    if (s->conf->once) {
        sub_walk_leave_out(&s->walk, m);
        s->left--;
    }
    return true;
}

/* No bytes follow those at hand. */
static bool
is_last(const struct sub_source *s)
{
    return s->after == PULL_END && s->in_at + 1 >= s->in.n;
}

/* The next match; false: none in the bytes at hand. */
static bool
search(struct sub_source *s, struct sub_match *m)
{
    uint64_t end = bytes_end(s);

    while (s->left > 0 && s->walk.at < end)
        if (sub_walk_read(&s->walk, bytes_at(s, s->walk.at, end), m))
            return true;
    return s->left > 0 && is_last(s) && sub_walk_end(&s->walk, m);
}

/* Reads on until there is something to give, or nothing more at hand. False: failed. */
static bool
search_on(struct sub_source *s)
{
    struct sub_match m;

    while (search(s, &m)) {
        if (!replace(s, &m))
            return false;
        if (s->out_n > 0)
            return true;
    }
    give_until(s, s->left == 0 || is_last(s) ? bytes_end(s) : sub_walk_settled(&s->walk));
    return true;
}

/* ---- the body ---- */

/* False: the batch is full. */
static bool
pass_out(struct sub_source *s, struct batch *b)
{
    while (s->out_at < s->out_n) {
        if (b->n == BATCH_PIECES)
            return false;
        batch_mem(b, s->out[s->out_at].ptr, s->out[s->out_at].len);
        s->out_at++;
    }
    s->out_n = s->out_at = 0;
    return true;
}

static enum pull
sub_pull(struct source *source, struct batch *b)
{
    struct sub_source *s = CONTAINER_OF(source, struct sub_source, source);
    uint8_t before = b->n;

    for (;;) {
        if (!pass_out(s, b))
            return PULL_MORE;
        if (s->in_at < s->in.n || (s->after == PULL_END && !s->over)) {
            if (!search_on(s))
                return PULL_FAILED;
            if (s->out_n > 0)
                continue;
            if (s->given < bytes_end(s) && b->n > before)
                return PULL_MORE; /* what was given lies where the rest is to be kept */
            s->over = is_last(s);
            keep_rest(s);
            continue;
        }
        if (s->after == PULL_END || s->after == PULL_FAILED)
            return s->after;
        if (b->n > before)
            return PULL_MORE;
        if (s->left == 0)
            return source_pull(source->below, b);
        s->after = body_pull_mem(source->below, &s->in);
        s->in_at = 0;
        b->flush |= s->in.flush;
        if (s->in.n == 0 && (s->after == PULL_WAIT || s->after == PULL_MORE))
            return s->after;
    }
}

static void
sub_stop(struct source *source, enum stop why)
{
    source_stop(source->below, why);
}

static const struct source_ops sub_ops = { sub_pull, sub_stop };

/* ---- the head ---- */

/* The strings of this request, when some have variables. */
static struct sub_strings *
strings_make(struct exchange *x, const struct sub_conf *c)
{
    struct str *strings = arena_array(&x->mem->arena, c->pairs.len, sizeof(*strings));

    for (uint32_t i = 0; strings != NULL && i < c->pairs.len; i++) {
        strings[i] = template_expand(x, &VEC_AT(&c->pairs, struct sub_pair, i)->from);
        if (strings[i].ptr == NULL)
            return NULL;
    }
    return strings != NULL ? sub_strings_new(&x->mem->arena, strings, c->pairs.len) : NULL;
}

static bool
sub_source_make(struct exchange *x, struct response *res, const struct sub_conf *c,
                const struct sub_strings *strings)
{
    struct arena *a = &x->mem->arena;
    struct sub_source *s = ARENA_NEW(a, struct sub_source);

    if (s == NULL || !sub_walk_init(&s->walk, strings, a))
        return false;
    s->source = (struct source){ .ops = &sub_ops, .x = x };
    s->conf = c;
    s->after = PULL_MORE;
    s->left = sub_strings_count(strings);
    s->texts = arena_zalloc(a, c->pairs.len * sizeof(*s->texts));
    s->held = arena_alloc(a, sub_strings_longest(strings) + (size_t)1);
    if (s->texts == NULL || s->held == NULL)
        return false;
    response_wrap(res, &s->source);
    return true;
}

static bool
sub_head(struct exchange *x, struct response *res)
{
    const struct sub_conf *c = scope_conf(x->scope, &sub_module);
    const struct sub_strings *strings = c->strings;

    if (res->tunnel || res->length == 0 || !type_set_has(&c->types, res->content_type))
        return true;
    if (strings == NULL)
        strings = strings_make(x, c);
    if (strings == NULL)
        return false;
    if (sub_strings_count(strings) == 0)
        return true;
    response_body_changes(res);
    if (!c->last_modified) {
        response_drop_last_modified(res);
        res->etag = STR_NONE;
    }
    if (res->head_only || res->body == NULL)
        return true;
    return sub_source_make(x, res, c, strings);
}

static bool
sub_wanted(const struct scope *s)
{
    return ((const struct sub_conf *)scope_conf(s, &sub_module))->pairs.len > 0;
}

/* ---- configuration ---- */

static bool
sub_set_pair(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct sub_conf *c = conf;
    struct sub_pair *p = VEC_PUSH(&c->pairs, struct sub_pair);

    if (p == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (n->args[1].len == 0)
        return conf_fail(l, n, 1, "empty search pattern");
    return template_compile(l, n, 1, n->args[1], &p->from) &&
           template_compile(l, n, 2, n->args[2], &p->to);
}

static bool
sub_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct sub_conf *c = conf;
    struct str *strings;

    c->strings = NULL;
    VEC_FOREACH (p, struct sub_pair, &c->pairs)
        if (!template_is_const(&p->from))
            return true;
    if (c->pairs.len == 0)
        return true;
    strings = arena_array(conf_arena(l), c->pairs.len, sizeof(*strings));
    for (uint32_t i = 0; strings != NULL && i < c->pairs.len; i++)
        strings[i] = VEC_AT(&c->pairs, struct sub_pair, i)->from.text;
    if (strings != NULL)
        c->strings = sub_strings_new(conf_arena(l), strings, c->pairs.len);
    return c->strings != NULL || conf_fail_at(l, s->pos, "out of memory");
}

#define SUB_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive sub_directives[] = {
    D_CALL("sub_filter", SUB_CTX, ARGS(2, 2), sub_set_pair, FIELD(struct sub_conf, pairs),
           .inherit = I_LIST),
    D_CALL("sub_filter_types", SUB_CTX, ARGS(1, ARGS_ANY), conf_set_types,
           FIELD(struct sub_conf, types), .inherit = I_LIST),
    D_FLAG("sub_filter_once", SUB_CTX, struct sub_conf, once, DEFAULT(on)),
    D_FLAG("sub_filter_last_modified", SUB_CTX, struct sub_conf, last_modified, DEFAULT(off)),
    D_END,
};

static const struct filter sub_filters[] = {
    { .stage = FILTER_SUBSTITUTE, .wanted = sub_wanted, .head = sub_head },
    { 0 },
};

struct module sub_module = {
    .name = "sub",
    .configure_token = "--with-http_sub_module",
    .conf_size = sizeof(struct sub_conf),
    .directives = sub_directives,
    .finish = sub_finish,
    .filters = sub_filters,
};
