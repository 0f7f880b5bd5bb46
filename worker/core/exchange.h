/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exchange.h - what an HTTP request and an L4 session have in common: memory, client connection, configuration,
 * variable cache, phase cursor, log context. ARCHITECTURE.md 10.
 *
 * Nobody calls upwards: exchange_ready() only puts the exchange on the loop's ready list.
 */
#ifndef WEIR_CORE_EXCHANGE_H
#define WEIR_CORE_EXCHANGE_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/event/loop.h"
#include "common/log/log.h"
#include "worker/core/phase.h"
#include "worker/core/source.h"

struct addr;
struct conn;
struct response;
struct var_cache;
struct module;
struct exchange;

struct sink_ops {
    /* 1xx: 103 early hints, 100, 102; dropped by all sinks but the client's. */
    void (*inform)(struct exchange *x, const struct response *info);
    void (*head)(struct exchange
                     *x); /* the head is final: the body may be pulled. Once, by response_start */
    void (*ready)(struct exchange *x); /* from the ready list: pull if you can */
    /* After the log phase; the last use of x by its sink: its memory goes when this returns. `ready`, `inform` and
     * `ended` may be NULL. */
    void (*ended)(struct exchange *x);
};

/* Who waits for something on behalf of an exchange (a timer, a query, a connection) and has to stop when it is aborted.
 * Embedded in the waiter; zeroed before first use. */
struct abort_hook {
    struct list node;
    void (*run)(struct abort_hook *h, struct exchange *x);
};

/* Who else than the sink pulls a source of an exchange (a reader of the request body), and so has to hear when it is ready.
 * Embedded in the reader; zeroed before first use. */
struct ready_hook {
    struct list node;
    void (*run)(struct ready_hook *h, struct exchange *x);
};

/* What differs between an HTTP request and an L4 session, so that core/ needs neither. */
struct exchange_kind {
    /* Behind phase_respond: error_page and the built-in pages; l4: end. */
    enum phase_result (*respond)(struct exchange *x, int status);
    /* Stops the response's source, or the relay. Called once: at exchange_finish (STOP_DONE) or exchange_abort. */
    void (*stop)(struct exchange *x, enum stop why);
    /* A denial with 401 is to be told later: phase_resume comes. False: at once. NULL: always at once. */
    bool (*delay_denial)(struct exchange *x);
    void (*log)(struct exchange *x); /* the log phase, once, when the exchange is over */
    void (*describe)(const struct log_context *ctx,
                     struct text *t); /* CONTAINER_OF(ctx, struct exchange, log_ctx) */
    void (*members)(const struct log_context *ctx, struct json *j); /* the same in JSON */
};

/* Memory of an exchange and its attached children: arena, head buffer, variable cache. Counted. */
struct xmem {
    struct arena arena;
    uint32_t refs;          /* root, detached children, pending offloaded work */
    struct buf *head;       /* the request head's bytes: fields are slices of it */
    struct var_cache *vars; /* var.c; shared by the tree */
    struct xmem *next_free;
};
/* From the worker's free list, refs 1, with its first arena chunk (7 kB, not zeroed). NULL: memory. */
struct xmem *xmem_get(void);
struct xmem *xmem_ref(struct xmem *m);
/* The last one runs the arena's cleanups and gives it back. */
void xmem_put(struct xmem *m);

/* For who hears of an exchange that has waited, before its next system call: with many of them its memory has left the
 * cache, and comes back while the kernel works. */
void exchange_prefetch(const struct exchange *x);

struct exchange {
    const struct exchange_kind *kind;
    const struct sink_ops *sink;
    void *sink_data; /* the codec's state of it, join, capture */
    struct exchange *root, *parent;
    struct list children, sibling; /* head; node in the parent's children */
    struct conn *conn;             /* the client's; NULL when detached */
    const struct addr
        *client; /* of a root: who it is really from, behind the peer (realip); NULL: the peer */
    struct scope *scope; /* changes: server chosen, location found, `if`, limit_except, redirect */
    struct phase_pos phase;
    struct xmem *mem;              /* shared by the tree when attached */
    struct exchange_state *states; /* of modules; made on first use */
    struct log_context log_ctx;
    struct task task; /* on the ready list */
    uint32_t pending; /* callbacks that still will come */
    uint32_t
        generation; /* differs between exchanges: tells a reused piece of memory from its former use */
    const char *doing; /* for the error log: "reading response header from upstream"; or NULL */
    uint8_t jumps, depth;
    bool detached, responding /* head was called */, given /* response is over */, dead;
    bool waited_for; /* its parent's join waits for its bytes now */
    bool in_engine;  /* phase_run is on the stack */
    bool resume;     /* phase_resume was called */
    bool stopped;    /* kind->stop was called */
    struct list abort_hooks, ready_hooks;
    void (*done)(struct exchange *x,
                 void *data); /* of a child: its maker's callback, from the ready list */
    void *done_data;
};

/*
 * Sets the common part up (the rest of *x is zeroed by the caller). A child shares its parent's mem unless `detached`,
 * then it holds a reference. mem is taken over from the caller for a root.
 */
void exchange_init(struct exchange *x, const struct exchange_kind *kind, struct exchange *parent,
                   bool detached, struct xmem *mem, struct conn *c, const struct sink_ops *sink,
                   void *sink_data);
/* From the ready list: runs phases that were resumed, then sink->ready once the head is out; then the over-check. */
void exchange_ready(struct exchange *x);
/* A callback will come: keeps the exchange's memory; `who` names the owner in debug builds. */
void exchange_hold(struct exchange *x, const char *who);
void exchange_release(struct exchange *x, const char *who);
/* The response has been given completely (END and sent), or drained. The end follows from the ready list. */
void exchange_finish(struct exchange *x);
/* Ends it and its attached children without more output: leaves first, each source stopped once. */
void exchange_abort(struct exchange *x, enum stop why);
/* `h->run` is called once when x is aborted, before its source is stopped: cancel what is under way, release the hold.
 * Ends with exchange_off_abort, or with x. */
void exchange_on_abort(struct exchange *x, struct abort_hook *h);
static inline void
exchange_off_abort(struct abort_hook *h)
{
    list_del(&h->node);
}
/* `h->run` is called from the ready list when x was made ready, before phases and sink, until exchange_off_ready. It only
 * makes a task ready or takes its own hook off. */
void exchange_on_ready(struct exchange *x, struct ready_hook *h);
static inline void
exchange_off_ready(struct ready_hook *h)
{
    list_del(&h->node);
}
/* Lets another sink have the rest (drain: a client that left a cache fill). */
void exchange_set_sink(struct exchange *x, const struct sink_ops *sink, void *data);
/* The module's state of this exchange: zeroed `size` bytes, made at the first call; NULL: memory (or size 0: none). */
void *exchange_state(struct exchange *x, const struct module *m, size_t size);
/* The same, zeroed in its first `front` bytes only. */
void *exchange_state_front(struct exchange *x, const struct module *m, size_t size, size_t front);
/* An internal redirect clears the states of all modules but those that asked to keep it. */
void exchange_clear_states(struct exchange *x);
void exchange_keep_state(struct exchange *x, const struct module *m);
/* The error log of the exchange's scope, with its context. */
#define xlog(x, level, err, ...)                                         \
    do {                                                                 \
        struct log *xlog_log = exchange_log(x);                          \
        if (LOG_ON(xlog_log, level))                                     \
            log_write(xlog_log, level, err, &(x)->log_ctx, __VA_ARGS__); \
    } while (0)
struct log *exchange_log(const struct exchange *x);
/* Exchanges that have not ended: a draining worker waits for them. */
unsigned exchange_count(void);

#endif
