/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ssi.c - server side includes: a page's text and the answers of its includes, in the order of the page.
 *
 * The page is read as its bytes are wanted. Includes start as they are met and run side by side; while the first of them is
 * waited for, the page is read on up to a limit, and the text behind it is copied. Otherwise text is given where it lies.
 *
 * Directives: ssi, ssi_types, ssi_silent_errors, ssi_last_modified, ssi_value_length, ssi_min_file_chunk,
 * ssi_ignore_recycled_buffers.
 * Variables: $date_local, $date_gmt.
 */
#include "worker/filter/ssi.h"

#include <time.h>

#include "common/base/num.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/core/var.h"
#include "worker/http/body.h"
#include "worker/http/filter.h"

enum {
    AHEAD_MAX = 64 * 1024, /* bytes that are read while an include is waited for */
    INCLUDES_MAX = 64,     /* of one page that run side by side */
    MADE_SIZE = 4096,      /* of a buffer for bytes that are made or copied */
};

/* ---- states ---- */

struct ssi_state *
ssi_state_of(struct exchange *x)
{
    return exchange_state(x, &ssi_module, sizeof(struct ssi_state));
}

static void
subject_free(void *data)
{
    text_free(data);
}

struct ssi_shared *
ssi_shared_of(struct exchange *x)
{
    struct ssi_state *root = ssi_state_of(x->root);
    struct arena *a = &x->mem->arena;
    struct ssi_shared *shared;

    if (root == NULL || root->shared != NULL)
        return root != NULL ? root->shared : NULL;
    shared = ARENA_NEW(a, struct ssi_shared);
    if (shared == NULL)
        return NULL;
    hash_init(&shared->vars, a);
    hash_init(&shared->blocks, a);
    text_init(&shared->subject, NULL);
    if (!arena_on_free(a, subject_free, &shared->subject))
        return NULL;
    exchange_keep_state(x->root, &ssi_module);
    root->shared = shared;
    return shared;
}

/* ---- output ---- */

/* The end of the chain of buffers has room for some bytes; NULL: memory. */
static struct buf *
made_room(struct ssi_page *p)
{
    struct buf *b = p->made_last;

    if (b != NULL && buf_space(b) > 0)
        return b;
    b = buf_get(MADE_SIZE);
    if (b == NULL)
        return NULL;
    b->next = NULL;
    b->start = b->end = 0;
    if (p->made_last != NULL)
        p->made_last->next = b;
    else
        p->made = b;
    p->made_last = b;
    return b;
}

void
ssi_put(struct ssi_page *p, struct str bytes)
{
    p->made_len += bytes.len;
    while (bytes.len > 0 && !p->failed) {
        struct buf *b = made_room(p);
        size_t n;

        if (b == NULL) {
            p->failed = true;
            return;
        }
        n = num_min(bytes.len, buf_space(b));
        memcpy(b->mem + b->end, bytes.ptr, n);
        join_text(p->join, str_n(b->mem + b->end, n));
        b->end += (uint32_t)n;
        bytes = str_from(bytes, n);
    }
}

void
ssi_put_error(struct ssi_page *p)
{
    if (!p->conf->silent_errors)
        ssi_put(p, p->error_text);
}

/* Text of the page. It may be given where it lies if nothing in front of it is waited for. */
static void
put_text(struct ssi_page *p, struct str text, bool lies_below)
{
    if (p->block != NULL)
        ssi_record(p, text);
    else if (p->silent)
        return;
    else if (lies_below && p->includes == 0)
        join_text(p->join, text);
    else
        ssi_put(p, text);
}

/* The join is empty: what was made for it is not in use any more. */
static void
drop_made(struct ssi_page *p)
{
    buf_put_chain(p->made);
    p->made = p->made_last = NULL;
    p->made_len = 0;
    p->includes = 0;
    if (p->wait == SSI_WAIT_TURN)
        p->wait = SSI_NO_WAIT;
}

/* ---- includes ---- */

/* An error in an include with a stub: the stub is its answer (nginx asks no error_page then either). */
static enum phase_result
stub_respond(struct exchange *x, int status)
{
    struct request *r = request_of(x);
    struct ssi_state *state = ssi_state_of(x);

    if (r->res.started || state == NULL || state->stub_given)
        return http_exchange_kind.respond(x, status);
    response_reset(r, STOP_REPLACED);
    state->stub_given = true;
    return response_send(r, 200, S("text/html"), text_str(state->stub));
}

/* An exchange kind like that of any request but for its errors. */
static const struct exchange_kind *
stub_kind(void)
{
    static struct exchange_kind kind;

    kind = http_exchange_kind;
    kind.respond = stub_respond;
    return &kind;
}

bool
ssi_include(struct ssi_page *p, struct str uri, const struct text *stub)
{
    struct request *child =
        subrequest_new(request_of(p->source.x), &(struct subrequest_options){ .uri = uri });

    if (child == NULL)
        return false;
    if (stub != NULL) {
        struct ssi_state *state = ssi_state_of(&child->x);

        if (state != NULL) {
            state->stub = stub;
            exchange_keep_state(&child->x, &ssi_module);
            child->x.kind = stub_kind();
        }
    }
    join_child(p->join, &child->x, STR_NONE);
    p->includes++;
    return true;
}

static void
on_captured(struct exchange *child, void *data)
{
    struct ssi_page *p = data;
    struct str text;

    if (p->stopped || p->wait != SSI_WAIT_CAPTURE)
        return;
    p->wait = SSI_NO_WAIT;
    text = child->responding && request_of(child)->res.status / 100 == 2
               ? subrequest_captured(request_of(child))
               : S("");
    if (!ssi_set(p->source.x, p->shared, p->capture_into, text.ptr != NULL ? text : S("")))
        p->failed = true;
    exchange_ready(p->source.x);
}

bool
ssi_include_into(struct ssi_page *p, struct str uri, struct str name)
{
    struct request *child;

    p->capture_into = arena_str(&p->source.x->mem->arena, name);
    if (p->capture_into.ptr == NULL)
        return false;
    child = subrequest_new(
        request_of(p->source.x),
        &(struct subrequest_options){ .uri = uri, .done = on_captured, .done_data = p });
    if (child == NULL)
        return false;
    p->wait = SSI_WAIT_CAPTURE;
    subrequest_capture(child, 0);
    return true;
}

/* ---- reading ---- */

static bool
may_read(const struct ssi_page *p)
{
    return p->wait == SSI_NO_WAIT && p->made_len < AHEAD_MAX && p->includes < INCLUDES_MAX;
}

/* Parses bytes until they are used up or something has to be waited for; the rest is `in`. */
static void
parse_bytes(struct ssi_page *p, struct str *in)
{
    struct ssi_command command;
    struct str text, before;

    while (in->len > 0 && may_read(p) && !p->failed) {
        before = *in;
        switch (ssi_parse(&p->parser, in, &text, &command)) {
        case SSI_TEXT:
            put_text(p, text, text.ptr >= before.ptr && text.ptr < before.ptr + before.len);
            break;
        case SSI_COMMAND:
            ssi_command_run(p, &command);
            break;
        case SSI_FAILED:
            p->failed = true;
            break;
        case SSI_MORE:
            break;
        }
    }
}

static void
read_piece(struct ssi_page *p)
{
    struct piece *piece = &p->in.piece[p->in_at];
    struct str in = str_n(piece->mem, piece->len);

    if (p->raw) {
        put_text(p, in, true);
        in.len = 0;
    } else {
        parse_bytes(p, &in);
    }
    piece->mem = in.ptr;
    piece->len = in.len;
    if (in.len == 0)
        p->in_at++;
}

/* The body has ended: with a stub if nothing came of it, else with what was held back. */
static void
read_end(struct ssi_page *p)
{
    struct ssi_state *state = p->state;
    struct str text;

    if (!p->brought && state->stub != NULL && !state->stub_given) {
        state->stub_given = true;
        text = text_str(state->stub);
        p->raw = !p->conf->on;
        p->in.n = 0;
        p->in_at = 0;
        if (text.len > 0)
            batch_mem(&p->in, text.ptr, text.len);
        return;
    }
    if (ssi_parse_end(&p->parser, &text) == SSI_TEXT)
        put_text(p, text, false);
    p->over = true;
}

enum reading { READ_ON, READ_WAIT, READ_FLUSH };

static enum reading
read_on(struct ssi_page *p, struct batch *b)
{
    if (p->over || !may_read(p))
        return READ_WAIT;
    if (p->in_at < p->in.n) {
        read_piece(p);
        return READ_ON;
    }
    if (p->after == PULL_END || p->after == PULL_FAILED) {
        read_end(p);
        return READ_ON;
    }
    p->in.n = 0;
    p->in.flush = false;
    p->after = p->source.below != NULL ? body_pull_mem(p->source.below, &p->in) : PULL_END;
    p->in_at = 0;
    p->brought |= p->in.n > 0;
    b->flush |= p->in.flush;
    if (p->in.n > 0 || p->after == PULL_END || p->after == PULL_FAILED)
        return READ_ON;
    return p->after == PULL_WAIT ? READ_WAIT : READ_FLUSH;
}

/* All has been read and given. */
static enum pull
page_end(const struct ssi_page *p)
{
    bool stub = p->state->stub_given && !p->brought;

    return p->after == PULL_FAILED && !stub ? PULL_FAILED : PULL_END;
}

static enum pull
ssi_pull(struct source *source, struct batch *b)
{
    struct ssi_page *p = CONTAINER_OF(source, struct ssi_page, source);
    uint8_t before = b->n;

    for (;;) {
        enum pull after = p->failed ? PULL_FAILED : join_pull(p->join, b);

        if (after == PULL_END && b->n == before) {
            drop_made(p);
            if (p->over)
                return page_end(p);
        } else if (after != PULL_WAIT || b->n > before) {
            return after == PULL_END ? PULL_MORE : after;
        }
        switch (read_on(p, b)) {
        case READ_ON:
            break;
        case READ_WAIT:
            return PULL_WAIT;
        case READ_FLUSH:
            return PULL_MORE;
        }
    }
}

static void
ssi_stop(struct source *source, enum stop why)
{
    struct ssi_page *p = CONTAINER_OF(source, struct ssi_page, source);

    p->stopped = true;
    join_stop(p->join, why);
    source_stop(source->below, why);
    drop_made(p);
    ssi_parser_free(&p->parser);
    text_free(&p->scratch[0]);
    text_free(&p->scratch[1]);
}

static const struct source_ops ssi_ops = { ssi_pull, ssi_stop };

/* ---- the head ---- */

static bool
page_make(struct exchange *x, struct response *res, struct ssi_state *state, bool parse)
{
    struct ssi_page *p = ARENA_NEW(&x->mem->arena, struct ssi_page);

    if (p == NULL)
        return false;
    p->source = (struct source){ .ops = &ssi_ops, .x = x };
    p->conf = scope_conf(x->scope, &ssi_module);
    p->state = state;
    p->shared = ssi_shared_of(x);
    p->join = join_new(x);
    p->raw = !parse;
    p->after = PULL_MORE;
    p->error_text = S("[an error occurred while processing the directive]");
    if (p->shared == NULL || p->join == NULL)
        return false;
    ssi_parser_init(&p->parser, p->conf->value_length);
    text_init(&p->scratch[0], NULL);
    text_init(&p->scratch[1], NULL);
    response_wrap(res, &p->source);
    return true;
}

static bool
ssi_head(struct exchange *x, struct response *res)
{
    const struct ssi_conf *c = scope_conf(x->scope, &ssi_module);
    struct ssi_state *state = exchange_state(x, &ssi_module, 0);
    bool has_stub = state != NULL && state->stub != NULL && !res->tunnel;
    bool parse =
        c->on && !res->tunnel && res->length != 0 && type_set_has(&c->types, res->content_type);

    if (!parse && !has_stub)
        return true;
    if (has_stub && res->head_only) { /* of a 204 or 304 */
        res->status = 200;
        res->head_only = false;
    }
    response_body_changes(res);
    if (!c->last_modified) {
        response_drop_last_modified(res);
        res->etag = STR_NONE;
    }
    if (res->head_only || (res->body == NULL && !has_stub))
        return true;
    state = ssi_state_of(x);
    return state != NULL && page_make(x, res, state, parse);
}

/* Without `ssi` a response is touched only as an include with a stub, and such a request has pages. */
static bool
ssi_wanted(const struct scope *s)
{
    const struct ssi_conf *c = scope_conf(s, &ssi_module);

    return c->on || (c->anywhere != NULL && *c->anywhere);
}

/* ---- variables ---- */

/* The time in the page's format; empty or too long: there is none. */
static void
ssi_date(struct exchange *x, struct var_value *v, const void *data)
{
    const struct ssi_state *state = exchange_state(x, &ssi_module, 0);
    bool gmt = data != NULL;
    time_t now = (time_t)(clock_wall_ms / 1000);
    struct str format = S("%A, %d-%b-%Y %H:%M:%S %Z");
    struct tm tm;
    char text[256];
    size_t n;

    if (state != NULL && state->time_format.ptr != NULL)
        format = state->time_format;
    if (str_eq(format, S("%s"))) { /* strftime takes the fields for local time */
        var_number(x, v, (uint64_t)now);
        return;
    }
    if (gmt)
        gmtime_r(&now, &tm);
    else
        localtime_r(&now, &tm);
    n = strftime(text, sizeof(text), format.ptr, &tm);
    if (n > 0)
        var_found(v, arena_str(&x->mem->arena, str_n(text, n)));
}

static const struct variable ssi_variables[] = {
    { .name = "date_local", .get = ssi_date, .flags = VAR_VOLATILE },
    { .name = "date_gmt", .get = ssi_date, .flags = VAR_VOLATILE, .data = "gmt" },
    { 0 },
};

/* ---- configuration ---- */

static bool
ssi_set_on(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct ssi_conf *c = conf;

    if (!conf_set_flag(l, d, n, conf))
        return false;
    if (c->on)
        *c->anywhere = true;
    return true;
}

static bool
ssi_conf_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct ssi_conf *c = conf;

    c->anywhere = ARENA_NEW(conf_arena(l), bool);
    return c->anywhere != NULL || conf_fail_at(l, s->pos, "out of memory");
}

#define SSI_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive ssi_directives[] = {
    D_CALL("ssi", SSI_CTX | CTX_LIF, ARGS(1, 1), ssi_set_on, FIELD(struct ssi_conf, on)),
    D_CALL("ssi_types", SSI_CTX, ARGS(1, ARGS_ANY), conf_set_types, FIELD(struct ssi_conf, types),
           .inherit = I_LIST),
    D_FLAG("ssi_silent_errors", SSI_CTX, struct ssi_conf, silent_errors, DEFAULT(off)),
    D_FLAG("ssi_last_modified", SSI_CTX, struct ssi_conf, last_modified, DEFAULT(off)),
    D_SIZE("ssi_value_length", SSI_CTX, struct ssi_conf, value_length, DEFAULT(256)),
    D_NO_OP("ssi_min_file_chunk", SSI_CTX, ARGS(1, 1), "parts of a page are sent from memory"),
    D_NO_OP("ssi_ignore_recycled_buffers", SSI_CTX, ARGS(1, 1),
            "no buffer is used again before it is sent"),
    D_END,
};

static const struct filter ssi_filters[] = {
    { .stage = FILTER_INCLUDE, .wanted = ssi_wanted, .head = ssi_head },
    { 0 },
};

struct module ssi_module = {
    .name = "ssi",
    .conf_size = sizeof(struct ssi_conf),
    .directives = ssi_directives,
    .conf_init = ssi_conf_init,
    .variables = ssi_variables,
    .filters = ssi_filters,
};
