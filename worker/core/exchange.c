/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange.c - the life of an exchange: memory, ready list, holds, abort, and the one place that ends it.
 *
 * The end is decided in exchange_check_over alone, which is called from the ready list alone. So nobody's memory goes
 * while a function of it is on the stack.
 */
#include "worker/core/exchange.h"

#include <stdlib.h>

#include "common/log/log_conf.h"
#include "common/module.h"

enum {
    XMEM_FIRST =
        7552, /* bytes that a proxied request takes, and some; no power of two: blocks share cache sets else */
    XMEM_CHUNK = 4096,    /* of the arena behind that */
    XMEM_FREE_MAX = 4096, /* objects that a worker keeps: 32 MB */
    CACHE_LINE = 64,
};

/* One allocation, so that an ordinary request needs no other one. */
struct xmem_block {
    struct xmem mem;
    char first[XMEM_FIRST] __attribute__((aligned(16)));
};

static struct xmem *xmem_free_list;
static unsigned xmem_free_count;
static unsigned live_exchanges;
static uint32_t last_generation;

struct xmem *
xmem_get(void)
{
    struct xmem *m = xmem_free_list;
    struct xmem_block *b;

    if (m != NULL) {
        xmem_free_list = m->next_free;
        xmem_free_count--;
        __builtin_prefetch(m->next_free); /* for who asks next */
    } else {
        b = aligned_alloc(16, sizeof(*b));
        if (b == NULL)
            return NULL;
        m = &b->mem;
    }
    b = CONTAINER_OF(m, struct xmem_block, mem);
    *m = (struct xmem){ .refs = 1 };
    arena_init_in(&m->arena, XMEM_CHUNK, b->first, sizeof(b->first));
    return m;
}

struct xmem *
xmem_ref(struct xmem *m)
{
    m->refs++;
    return m;
}

void
xmem_put(struct xmem *m)
{
    if (m == NULL)
        return;
    ASSERT(m->refs > 0);
    if (--m->refs > 0)
        return;
    arena_free(&m->arena);
    buf_put_chain(m->head);
    if (xmem_free_count >= XMEM_FREE_MAX) {
        free(m);
        return;
    }
    m->next_free = xmem_free_list;
    xmem_free_list = m;
    xmem_free_count++;
}

static inline void
prefetch_lines(const void *p, unsigned lines)
{
    for (unsigned line = 0; line < lines; line++)
        __builtin_prefetch((const char *)p + (size_t)line * CACHE_LINE);
}

void
exchange_prefetch(const struct exchange *x)
{
    const struct xmem_block *b = CONTAINER_OF(x->mem, const struct xmem_block, mem);
    const char *end = x->mem->arena.at;

    if (end < b->first || end > b->first + sizeof(b->first)) /* it has gone on to another chunk */
        end = b->first + sizeof(b->first) / 2;
    for (const char *p = (const char *)b; p < end; p += (size_t)4 * CACHE_LINE)
        prefetch_lines(p, 4);
    if (x->root->conn != NULL)
        prefetch_lines(x->root->conn, 3);
    prefetch_lines(x->root->sink_data, 3);
}

static void exchange_run(struct task *t);

void
exchange_init(struct exchange *x, const struct exchange_kind *kind, struct exchange *parent,
              bool detached, struct xmem *mem, struct conn *c, const struct sink_ops *sink,
              void *sink_data)
{
    bool attached = parent != NULL && !detached;

    x->kind = kind;
    x->sink = sink;
    x->sink_data = sink_data;
    x->parent = parent;
    x->root = attached ? parent->root : x;
    x->detached = detached;
    list_init(&x->children);
    list_init(&x->sibling);
    list_init(&x->abort_hooks);
    list_init(&x->ready_hooks);
    x->conn = parent != NULL && detached ? NULL : c;
    x->client = NULL;
    x->mem = mem;
    x->task.run = exchange_run;
    x->log_ctx.describe = kind->describe;
    x->log_ctx.members = kind->members;
    x->phase = (struct phase_pos){ .phase = HTTP_POST_READ };
    x->generation = ++last_generation;
    if (parent != NULL) {
        x->mem = detached ? xmem_ref(parent->mem) : parent->mem;
        x->scope = parent->scope;
        x->log_ctx.id = parent->log_ctx.id;
        x->depth = (uint8_t)(parent->depth + 1);
    }
    if (attached)
        list_add_tail(&parent->children, &x->sibling);
    live_exchanges++;
}

unsigned
exchange_count(void)
{
    return live_exchanges;
}

void
exchange_ready(struct exchange *x)
{
    if (x->dead)
        return;
    task_ready(&x->task);
    if (!x->waited_for || x->parent == NULL || x->detached)
        return;
    /* The bytes leave through whoever pulls the outermost join that waits. */
    while (x->waited_for && x->parent != NULL && !x->detached)
        x = x->parent;
    task_ready(&x->task);
}

void
exchange_hold(struct exchange *x, const char *who)
{
    (void)who;
    ASSERT(!x->dead);
    x->pending++;
}

void
exchange_release(struct exchange *x, const char *who)
{
    (void)who;
    ASSERT(x->pending > 0);
    if (--x->pending == 0)
        exchange_ready(x);
}

static void
exchange_stop(struct exchange *x, enum stop why)
{
    if (x->stopped)
        return;
    x->stopped = true;
    if (x->kind->stop != NULL)
        x->kind->stop(x, why);
}

void
exchange_finish(struct exchange *x)
{
    if (x->given)
        return;
    x->given = true;
    exchange_stop(x, STOP_DONE);
    exchange_ready(x);
}

void
exchange_on_abort(struct exchange *x, struct abort_hook *h)
{
    ASSERT(h->run != NULL);
    if (!list_linked(&h->node))
        list_add_tail(&x->abort_hooks, &h->node);
}

void
exchange_on_ready(struct exchange *x, struct ready_hook *h)
{
    ASSERT(h->run != NULL);
    if (!list_linked(&h->node))
        list_add_tail(&x->ready_hooks, &h->node);
}

void
exchange_abort(struct exchange *x, enum stop why)
{
    struct list *node;

    if (x->dead)
        return;
    x->given = true; /* from here on no handler and no pull runs */
    LIST_FOREACH (it, &x->children)
        exchange_abort(LIST_ENTRY(it, struct exchange, sibling), why);
    while ((node = list_first(&x->abort_hooks)) != NULL) {
        struct abort_hook *h = LIST_ENTRY(node, struct abort_hook, node);

        list_del(node);
        h->run(h, x);
    }
    exchange_stop(x, why);
    exchange_ready(x);
}

void
exchange_set_sink(struct exchange *x, const struct sink_ops *sink, void *data)
{
    x->sink = sink;
    x->sink_data = data;
    if (x->responding && !x->given)
        exchange_ready(x);
}

/* Logs, tells maker and sink, gives the memory back. Children have gone before. */
static void
exchange_end(struct exchange *x)
{
    struct exchange *parent = x->parent != NULL && !x->detached ? x->parent : NULL;
    struct xmem *own = parent == NULL ? x->mem : NULL;

    exchange_stop(x, STOP_DONE);
    if (x->kind->log != NULL)
        x->kind->log(x);
    x->dead = true;
    list_del(&x->sibling);
    LIST_FOREACH (it, &x->abort_hooks)
        list_del(it);
    LIST_FOREACH (it, &x->ready_hooks)
        list_del(it);
    task_cancel(&x->task);
    live_exchanges--;
    if (x->done != NULL)
        x->done(x, x->done_data);
    if (x->sink->ended != NULL)
        x->sink->ended(x);
    if (parent != NULL)
        exchange_ready(parent);
    xmem_put(own);
}

static void
exchange_check_over(struct exchange *x)
{
    if (x->dead || !x->given || x->pending > 0 || x->in_engine)
        return;
    if (list_empty(&x->children))
        exchange_end(x);
}

static void
exchange_run(struct task *t)
{
    struct exchange *x = CONTAINER_OF(t, struct exchange, task);

    LIST_FOREACH (it, &x->ready_hooks) {
        struct ready_hook *h = LIST_ENTRY(it, struct ready_hook, node);

        if (!x->given)
            h->run(h, x);
    }
    if (x->resume && !x->given) {
        phase_run(x);
        if (!x->resume)
            task_cancel(t); /* what the phases made ready is looked at here and now */
    }
    if (x->responding && !x->given && x->sink->ready != NULL)
        x->sink->ready(x);
    exchange_check_over(x);
}

/* ---- state of modules ---- */

/* What a module keeps for an exchange; few have anything, so they are a list. */
struct exchange_state {
    struct exchange_state *next;
    const struct module *module;
    void *data; /* NULL: none */
    bool keep;  /* over an internal redirect */
};

static struct exchange_state *
state_of(const struct exchange *x, const struct module *m)
{
    struct exchange_state *s = x->states;

    while (s != NULL && s->module != m)
        s = s->next;
    return s;
}

/* An entry with `bytes` behind it; NULL: memory. */
static struct exchange_state *
state_add(struct exchange *x, const struct module *m, size_t bytes)
{
    struct exchange_state *s = arena_alloc(&x->mem->arena, sizeof(*s) + bytes);

    if (s == NULL)
        return NULL;
    *s = (struct exchange_state){ .next = x->states, .module = m };
    x->states = s;
    return s;
}

void *
exchange_state(struct exchange *x, const struct module *m, size_t size)
{
    return exchange_state_front(x, m, size, size);
}

void *
exchange_state_front(struct exchange *x, const struct module *m, size_t size, size_t front)
{
    struct exchange_state *s = state_of(x, m);

    if (s != NULL && (s->data != NULL || size == 0))
        return s->data;
    if (size == 0)
        return NULL;
    if (s != NULL) {
        s->data = arena_zalloc_front(&x->mem->arena, size, front);
        return s->data;
    }
    s = state_add(x, m, size);
    if (s == NULL)
        return NULL;
    s->data = s + 1;
    memset(s->data, 0, front);
    return s->data;
}

void
exchange_keep_state(struct exchange *x, const struct module *m)
{
    struct exchange_state *s = state_of(x, m);

    if (s == NULL)
        s = state_add(x, m, 0);
    if (s != NULL)
        s->keep = true;
}

void
exchange_clear_states(struct exchange *x)
{
    for (struct exchange_state *s = x->states; s != NULL; s = s->next) {
        if (!s->keep)
            s->data = NULL;
    }
}

struct log *
exchange_log(const struct exchange *x)
{
    return x->scope != NULL ? log_of_scope(x->scope) : log_main;
}
