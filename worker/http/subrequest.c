/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subrequest.c - child exchanges and their sinks: join, capture, drain.
 */
#include "worker/http/subrequest.h"

#include "worker/core/explain.h"
#include "worker/core/var.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"
#include "worker/http/target.h"

enum {
    DEPTH_MAX = 50, /* as in nginx: 51 levels below the root */
    CHILDREN_MAX =
        64535, /* of a root, of all depths, as in nginx: what includes itself twice would never end */
    DRAIN_WANT = 64 * 1024,
};

/* ---- making a child ---- */

/* A detached child may outlive the connection that its client's address hangs on. */
static void
keep_client(struct exchange *x, struct exchange *parent)
{
    const struct addr *client = conn_client(parent);
    struct addr *copy = client != NULL ? ARENA_NEW(&x->mem->arena, struct addr) : NULL;

    if (copy == NULL)
        return;
    *copy = *client;
    x->client = copy;
}

static bool
set_target(struct request *c, const struct subrequest_options *o)
{
    /* nginx differs: there the directives that name a subrequest take "?" as part of the path */
    size_t question = o->args.ptr == NULL ? str_find(o->uri, '?') : o->uri.len;
    struct str path = str_upto(o->uri, question);
    struct text t;
    bool plain;

    text_init(&t, request_arena(c));
    if (!target_normalise(path, true, &t, &plain) || t.failed)
        return false;
    c->uri = text_str(&t);
    c->args = question < o->uri.len ? str_from(o->uri, question + 1) : o->args;
    return true;
}

/* The request's fields are the parent's; what is the child's own starts over. */
static void
copy_request(struct request *c, const struct request *parent, const struct subrequest_options *o)
{
    struct exchange x = c->x;

    *c = *parent;
    c->x = x;
    response_init(&c->res, request_arena(c));
    c->body = NULL;
    if (o->detached)
        c->codec = NULL; /* it has no client */
    c->internal = true;
    c->uri_changed = c->error_page_used = false;
    c->uri_as_sent = o->clone && parent->uri_as_sent;
    c->clone = o->clone;
    c->uri_changes = REQUEST_URI_CHANGES;
    c->bytes_sent = c->body_sent = 0;
    c->limit_rate_set = false;
    c->expect_continue = false;
    if (!o->keep_method && c->method != METHOD_HEAD) {
        c->method = METHOD_GET;
        c->method_name = S("GET");
    }
    if (!o->keep_body) {
        c->content_length = -1;
        c->body_chunked = false;
        c->without_body = !o->detached;
    }
    if (!o->clone) {
        c->captures.n = 0;
        c->location = NULL;
    }
}

static const struct sink_ops drain_sink;

static void
on_child_done(struct exchange *x, void *data)
{
    const struct subrequest_options *o = data;

    if (o->done != NULL)
        o->done(x, o->done_data);
}

struct request *
subrequest_new(struct request *parent, const struct subrequest_options *o)
{
    struct exchange *px = &parent->x;
    struct request *root = request_of(px->root), *c;
    struct subrequest_options *kept;

    if (UNLIKELY(explain_on)) {
        explain_step("subrequest", EXPLAIN_NOWHERE, "\"%.*s\" would be asked", STR(o->uri));
        return NULL;
    }
    if (px->depth > DEPTH_MAX) {
        xlog(px, LOG_LEVEL_ERROR, 0, "subrequests cycle while processing \"%.*s\"",
             LOG_STR(o->uri));
        return NULL;
    }
    if (root->children_made >= CHILDREN_MAX) {
        xlog(px, LOG_LEVEL_ERROR, 0, "too many subrequests while processing \"%.*s\"",
             LOG_STR(o->uri));
        return NULL;
    }
    root->children_made++;
    c = ARENA_NEW_FRONT(&px->mem->arena, struct request, captures.at);
    kept = ARENA_NEW(&px->mem->arena, struct subrequest_options);
    if (c == NULL || kept == NULL)
        return NULL;
    *kept = *o;
    c->x.mem = px->mem;
    copy_request(c, parent, o);
    if (o->clone) {
        c->uri = parent->uri;
        c->args = parent->args;
    } else if (!set_target(c, o)) {
        xlog(px, LOG_LEVEL_ERROR, 0, "unsafe URI \"%.*s\" of a subrequest", LOG_STR(o->uri));
        return NULL;
    }
    if (o->detached)
        var_keep_of_conn(&parent->x);
    exchange_init(&c->x, &http_exchange_kind, px, o->detached, NULL, px->conn, &drain_sink, NULL);
    c->x.done = on_child_done;
    c->x.done_data = kept;
    if (o->detached)
        keep_client(&c->x, px);
    if (o->detached && o->keep_body)
        request_body_share(c, parent);
    if (o->clone) {
        phase_goto(&c->x, HTTP_PREACCESS);
    } else {
        c->x.scope = parent->server->scope;
        phase_goto(&c->x, HTTP_SERVER_REWRITE);
    }
    phase_resume(&c->x);
    return c;
}

/* ---- drain: pulls and forgets ---- */

static void
sink_no_inform(struct exchange *x UNUSED, const struct response *info UNUSED)
{
}

static void
sink_head(struct exchange *x)
{
    exchange_ready(x);
}

static void
drain_ready(struct exchange *x)
{
    struct response *res = &request_of(x)->res;
    struct batch b;

    if (res->body == NULL) {
        exchange_finish(x);
        return;
    }
    batch_init(&b, DRAIN_WANT, PIECE_MEM | PIECE_FILE);
    switch (source_pull(res->body, &b)) {
    case PULL_MORE:
        exchange_ready(x); /* not in a loop: others have their turn */
        return;
    case PULL_WAIT:
        return;
    case PULL_END:
        exchange_finish(x);
        return;
    case PULL_FAILED:
        break;
    }
    exchange_abort(x, STOP_FAILED);
}

static const struct sink_ops drain_sink = {
    .inform = sink_no_inform,
    .head = sink_head,
    .ready = drain_ready,
};

void
subrequest_drain(struct request *child)
{
    exchange_set_sink(&child->x, &drain_sink, NULL);
}

/* ---- capture: into memory, up to a limit ---- */

struct capture {
    struct text text;
    uint64_t limit; /* bytes; 0: what subrequest_output_buffer_size is where it is answered */
    bool failed;
};

static void
capture_ready(struct exchange *x)
{
    struct response *res = &request_of(x)->res;
    struct capture *c = x->sink_data;
    uint64_t limit = c->limit > 0 ? c->limit : http_conf(x->scope)->subrequest_output_buffer_size;
    struct batch b;
    enum pull after = PULL_END;

    if (res->body != NULL) {
        batch_init(&b, DRAIN_WANT, PIECE_MEM);
        after = source_pull(res->body, &b);
        for (uint8_t i = 0; i < b.n; i++) {
            if (c->text.len + b.piece[i].len > limit) {
                xlog(x, LOG_LEVEL_ERROR, 0, "too big subrequest response");
                c->failed = true;
                exchange_abort(x, STOP_FAILED);
                return;
            }
            text_bytes(&c->text, b.piece[i].mem, b.piece[i].len);
        }
    }
    c->failed |= c->text.failed || after == PULL_FAILED;
    if (c->failed)
        exchange_abort(x, STOP_FAILED);
    else if (after == PULL_END)
        exchange_finish(x);
    else if (after == PULL_MORE)
        exchange_ready(x);
}

static const struct sink_ops capture_sink = {
    .inform = sink_no_inform,
    .head = sink_head,
    .ready = capture_ready,
};

void
subrequest_capture(struct request *child, uint64_t limit)
{
    struct capture *c = ARENA_NEW(request_arena(child), struct capture);

    if (c == NULL) {
        exchange_abort(&child->x, STOP_FAILED);
        return;
    }
    text_init(&c->text, request_arena(child));
    c->limit = limit;
    exchange_set_sink(&child->x, &capture_sink, c);
}

struct str
subrequest_captured(struct request *child)
{
    const struct capture *c = child->x.sink_data;

    return c == NULL || c->failed ? STR_NONE : text_str(&c->text);
}

/* ---- join: text and children in the order of appending ---- */

struct join_part {
    struct list node;
    struct str text;        /* of a text part, or the stub of a child */
    struct exchange *child; /* NULL: text, or it has ended */
    bool over;              /* the child has ended, or said END: finished at the next pull */
    bool brought;           /* bytes came of it: no stub */
    struct join *join;
};

struct join {
    struct exchange *parent;
    struct list parts;
    struct list spare; /* parts to be used again: a long page has many */
    bool failed;       /* an append found no memory */
};

static void
join_ended(struct exchange *x)
{
    struct join_part *p = x->sink_data;

    p->child = NULL;
    p->over = true;
    if (!list_linked(&p->node))
        list_add_tail(&p->join->spare, &p->node);
}

/* The head of a child is its parent's business no more than its readiness: the parent pulls when it is woken. */
static const struct sink_ops join_sink = {
    .inform = sink_no_inform,
    .head = sink_head,
    .ended = join_ended,
};

struct join *
join_new(struct exchange *parent)
{
    struct join *j = ARENA_NEW(&parent->mem->arena, struct join);

    if (j != NULL) {
        j->parent = parent;
        list_init(&j->parts);
        list_init(&j->spare);
    }
    return j;
}

static struct join_part *
part_add(struct join *j, struct str text, struct exchange *child)
{
    struct list *node = list_first(&j->spare);
    struct join_part *p;

    if (node != NULL) {
        list_del(node);
        p = LIST_ENTRY(node, struct join_part, node);
    } else {
        p = ARENA_NEW(&j->parent->mem->arena, struct join_part);
    }
    if (p == NULL) {
        j->failed = true;
        return NULL;
    }
    *p = (struct join_part){ .text = text, .child = child, .join = j };
    list_add_tail(&j->parts, &p->node);
    return p;
}

void
join_text(struct join *j, struct str text)
{
    if (text.len > 0)
        (void)part_add(j, text, NULL);
}

void
join_child(struct join *j, struct exchange *child, struct str stub)
{
    struct join_part *p = part_add(j, stub, child);

    if (p == NULL)
        exchange_abort(child, STOP_FAILED);
    else
        exchange_set_sink(child, &join_sink, p);
}

bool
join_empty(const struct join *j)
{
    return j->parts.next == &j->parts;
}

/* Its child ends now; what its sources gave is not in use any more. */
static void
part_drop(struct join_part *p, bool aborted, enum stop why)
{
    struct exchange *child = p->child;

    list_del(&p->node);
    if (child == NULL) {
        list_add_tail(&p->join->spare, &p->node);
        return;
    }
    child->waited_for = false;
    if (aborted)
        exchange_abort(child, why);
    else
        exchange_finish(child);
}

/* One pull of a child's body. Its end, good or bad, is the end of this part and not of the whole. */
static enum pull
part_pull(struct join_part *p, struct batch *b)
{
    struct exchange *x = p->child;
    struct response *res = &request_of(x)->res;
    uint8_t before = b->n;
    enum pull after = PULL_END;

    x->waited_for = true;
    if (!x->responding)
        return PULL_WAIT;
    if (res->body != NULL && !x->given)
        after = source_pull(res->body, b);
    p->brought |= b->n > before;
    p->over = after == PULL_END || after == PULL_FAILED;
    return p->over ? PULL_MORE : after;
}

enum pull
join_pull(struct join *j, struct batch *b)
{
    uint8_t before = b->n;

    if (j->failed)
        return PULL_FAILED;
    for (;;) {
        struct list *node = list_first(&j->parts);
        struct join_part *p;
        enum pull after;

        if (node == NULL)
            return PULL_END;
        p = LIST_ENTRY(node, struct join_part, node);
        if (p->child == NULL || p->over) {
            struct str text = p->brought ? STR_NONE : p->text;

            if (text.len > 0 && b->n == BATCH_PIECES)
                return PULL_MORE;
            part_drop(p, false, STOP_DONE);
            if (text.len > 0)
                batch_mem(b, text.ptr, text.len);
            continue;
        }
        if (b->n > before)
            return PULL_MORE; /* what we have goes first: the bytes of one child are gone when it ends */
        after = part_pull(p, b);
        if (after == PULL_WAIT || b->n > before || b->flush)
            return after;
    }
}

void
join_stop(struct join *j, enum stop why)
{
    struct list *node;

    while ((node = list_first(&j->parts)) != NULL)
        part_drop(LIST_ENTRY(node, struct join_part, node), true, why);
}
