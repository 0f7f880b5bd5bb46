/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * addition.c - text before and after a response's body: add_before_body, add_after_body, addition_types.
 *
 * The texts are the answers of subrequests, joined with the body in its order. The first one starts with the first pull,
 * the last one when the body has ended: before that nobody would take its bytes.
 */
#include "common/module.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"
#include "worker/http/subrequest.h"
#include "worker/http/type_set.h"

struct addition_conf {
    struct str before, after; /* URIs; empty: nothing is added */
    struct type_set types;
};

extern struct module addition_module;

enum addition_state {
    ADDITION_START,  /* nothing has been given */
    ADDITION_BEFORE, /* the first text is being given; the join holds it, or nothing */
    ADDITION_BODY,
    ADDITION_OVER,  /* the body has ended, the second text is not asked for yet */
    ADDITION_AFTER, /* the join holds the second text, or nothing */
};

struct addition {
    struct source source;
    const struct addition_conf *conf;
    struct join *join;
    enum addition_state state;
};

/* Starts a subrequest whose body enters the join. An empty URI adds nothing. */
static bool
addition_ask(struct addition *a, struct str uri)
{
    struct request *child;

    if (uri.len == 0)
        return true;
    child = subrequest_new(request_of(a->source.x), &(struct subrequest_options){ .uri = uri });
    if (child == NULL)
        return false;
    join_child(a->join, &child->x, STR_NONE);
    return true;
}

static enum pull
addition_body(struct addition *a, struct batch *b)
{
    return a->source.below != NULL ? source_pull(a->source.below, b) : PULL_END;
}

/* Each part but the last one passes its end on as MORE, with its bytes, or without any goes over to the next. */
static enum pull
addition_pull(struct source *s, struct batch *b)
{
    struct addition *a = CONTAINER_OF(s, struct addition, source);
    uint8_t before = b->n;
    enum pull after;

    for (;;) {
        switch (a->state) {
        case ADDITION_START:
            if (!addition_ask(a, a->conf->before))
                return PULL_FAILED;
            a->state = ADDITION_BEFORE;
            continue;
        case ADDITION_BEFORE:
            after = join_pull(a->join, b);
            if (after != PULL_END)
                return after;
            a->state = ADDITION_BODY;
            break;
        case ADDITION_BODY:
            after = addition_body(a, b);
            if (after != PULL_END || a->conf->after.len == 0)
                return after;
            a->state = ADDITION_OVER;
            break;
        case ADDITION_OVER:
            if (!addition_ask(a, a->conf->after))
                return PULL_FAILED;
            a->state = ADDITION_AFTER;
            continue;
        case ADDITION_AFTER:
            return join_pull(a->join, b);
        }
        if (b->n > before)
            return PULL_MORE;
    }
}

static void
addition_stop(struct source *s, enum stop why)
{
    struct addition *a = CONTAINER_OF(s, struct addition, source);

    join_stop(a->join, why);
    source_stop(s->below, why);
}

static const struct source_ops addition_ops = { addition_pull, addition_stop };

/* Last-Modified stays, as nginx has it. */
static bool
addition_head(struct exchange *x, struct response *res)
{
    const struct addition_conf *c = scope_conf(x->scope, &addition_module);
    struct addition *a;

    if (res->status != 200 || !type_set_has(&c->types, res->content_type))
        return true;
    response_body_changes(res);
    if (res->head_only)
        return true;
    a = ARENA_NEW(&x->mem->arena, struct addition);
    if (a == NULL)
        return false;
    a->source = (struct source){ .ops = &addition_ops, .x = x };
    a->conf = c;
    a->join = join_new(x);
    if (a->join == NULL)
        return false;
    response_wrap(res, &a->source);
    return true;
}

static bool
addition_wanted(const struct scope *s)
{
    const struct addition_conf *c = scope_conf(s, &addition_module);

    return c->before.len > 0 || c->after.len > 0;
}

#define ADDITION_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive addition_directives[] = {
    D_STR("add_before_body", ADDITION_CTX, struct addition_conf, before),
    D_STR("add_after_body", ADDITION_CTX, struct addition_conf, after),
    D_CALL("addition_types", ADDITION_CTX, ARGS(1, ARGS_ANY), conf_set_types,
           FIELD(struct addition_conf, types), .inherit = I_LIST),
    D_END,
};

static const struct filter addition_filters[] = {
    { .stage = FILTER_ADDITION,
      .root_only = true,
      .wanted = addition_wanted,
      .head = addition_head },
    { 0 },
};

struct module addition_module = {
    .name = "addition",
    .configure_token = "--with-http_addition_module",
    .conf_size = sizeof(struct addition_conf),
    .directives = addition_directives,
    .filters = addition_filters,
};
