/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * phase.c - handler lists of scopes, and the engine that walks them. ARCHITECTURE.md 10.
 *
 * The lists hold bare functions: what `wanted` says is asked at load. A list that equals the parent's is the parent's.
 */
#include "worker/core/phase.h"

#include <string.h>

#include "common/module.h"
#include "worker/core/exchange.h"
#include "worker/core/explain.h"

/* The engine exists twice, with what explain tells and without, so that the latter costs nothing. */
#define ALWAYS_INLINE __attribute__((always_inline))

enum { PHASE_ROWS_MAX = 256, PHASE_HANDLERS_MAX = 64 };

struct phase_lists {
    struct phase_settings settings;
    const phase_fn *run[PHASES]; /* NULL when n is 0 */
    uint8_t n[PHASES];
    uint32_t filled; /* a bit for each phase that has handlers */
};

/* ---- at load ---- */

/* The rows of all modules in the order in which they run. */
static const struct phase_entry *sorted_rows[PHASE_ROWS_MAX];
static unsigned sorted_count;

static bool
phase_before(const struct phase_entry *a, const struct phase_entry *b)
{
    return a->phase != b->phase ? a->phase < b->phase : a->order < b->order;
}

/* Insertion keeps equal rows in the order of the modules; the number of rows is small and this runs once. */
static void
phase_sort_rows(void)
{
    for (struct module *const *m = modules; *m != NULL; m++) {
        for (const struct phase_entry *e = (*m)->phases; e != NULL && e->run != NULL; e++) {
            unsigned at = sorted_count;

            ASSERT(sorted_count < PHASE_ROWS_MAX && e->phase < PHASES);
            for (; at > 0 && phase_before(e, sorted_rows[at - 1]); at--)
                sorted_rows[at] = sorted_rows[at - 1];
            sorted_rows[at] = e;
            sorted_count++;
        }
    }
}

bool
phase_set(struct conf_load *l, struct scope *s, const struct phase_settings *settings)
{
    struct phase_lists *lists = ARENA_NEW(conf_arena(l), struct phase_lists);

    if (lists == NULL)
        return conf_fail_at(l, s->pos, "out of memory");
    lists->settings = *settings;
    s->phases = lists;
    return true;
}

/* The handlers that the scope wants in a phase; how many. */
static unsigned
phase_collect(const struct scope *s, const struct phase_settings *settings, enum phase phase,
              phase_fn out[PHASE_HANDLERS_MAX])
{
    unsigned n = 0;

    if (phase == HTTP_CONTENT && settings->content != NULL) {
        out[0] = settings->content;
        return 1;
    }
    for (unsigned i = 0; i < sorted_count; i++) {
        const struct phase_entry *e = sorted_rows[i];

        if (e->phase != phase || (e->wanted != NULL && !e->wanted(s)))
            continue;
        ASSERT(n < PHASE_HANDLERS_MAX);
        out[n++] = e->run;
    }
    return n;
}

/* Puts the collected handlers into `lists`: the parent's array when it is equal. */
static bool
phase_place(struct conf_load *l, struct phase_lists *lists, const struct phase_lists *parent,
            enum phase phase, const phase_fn *found, unsigned n)
{
    phase_fn *own;

    lists->n[phase] = (uint8_t)n;
    if (n == 0)
        return true;
    lists->filled |= UINT32_C(1) << phase;
    if (parent != NULL && parent->n[phase] == n &&
        memcmp(parent->run[phase], found, n * sizeof(*found)) == 0) {
        lists->run[phase] = parent->run[phase];
        return true;
    }
    own = arena_array(conf_arena(l), n, sizeof(*own));
    if (own == NULL)
        return false;
    memcpy(own, found, n * sizeof(*own));
    lists->run[phase] = own;
    return true;
}

static bool
phase_lists_equal(const struct phase_lists *a, const struct phase_lists *b)
{
    return a->settings.content == b->settings.content &&
           memcmp(&a->settings.content_line, &b->settings.content_line,
                  sizeof(a->settings.content_line)) == 0 &&
           a->settings.satisfy_any == b->settings.satisfy_any &&
           memcmp(a->n, b->n, sizeof(a->n)) == 0 && memcmp(a->run, b->run, sizeof(a->run)) == 0;
}

bool
phase_prepare(struct conf_load *l, struct scope *s)
{
    const struct phase_lists *parent = s->parent != NULL ? s->parent->phases : NULL;
    struct phase_lists lists = { .settings = { .content = NULL } };
    phase_fn found[PHASE_HANDLERS_MAX];

    if (sorted_count == 0)
        phase_sort_rows();
    if (s->phases != NULL && s->phases != parent)
        lists.settings = s->phases->settings;
    else if (parent != NULL)
        lists.settings = parent->settings;

    for (enum phase p = 0; p < PHASES; p++) {
        unsigned n = phase_collect(s, &lists.settings, p, found);

        if (!phase_place(l, &lists, parent, p, found, n))
            return conf_fail_at(l, s->pos, "out of memory");
    }
    if (parent != NULL && phase_lists_equal(&lists, parent)) {
        s->phases = s->parent->phases;
        return true;
    }
    if ((s->phases == NULL || s->phases == parent) && !phase_set(l, s, &lists.settings))
        return false;
    *s->phases = lists;
    return true;
}

/* ---- the engine ---- */

/* The cursor stands here when the response was started: nothing runs until somebody jumps. */
enum { PHASE_OVER = PHASES };

/* ---- what explain tells ---- */

static const char *const phase_names[PHASES] = {
    [HTTP_POST_READ] = "post-read",
    [HTTP_SERVER_REWRITE] = "server rewrite",
    [HTTP_FIND_LOCATION] = "find location",
    [HTTP_REWRITE] = "rewrite",
    [HTTP_POST_REWRITE] = "post-rewrite",
    [HTTP_PREACCESS] = "preaccess",
    [HTTP_ACCESS] = "access",
    [HTTP_POST_ACCESS] = "post-access",
    [HTTP_PRECONTENT] = "precontent",
    [HTTP_CONTENT] = "content",
    [HTTP_LOG] = "log",
};

/* The module that a handler belongs to. */
static const char *
handler_name(phase_fn run)
{
    for (unsigned i = 0; i < sorted_count; i++) {
        if (sorted_rows[i]->run != run)
            continue;
        for (struct module *const *m = modules; *m != NULL; m++) {
            for (const struct phase_entry *e = (*m)->phases; e != NULL && e->run != NULL; e++) {
                if (e == sorted_rows[i])
                    return (*m)->name;
            }
        }
    }
    return "";
}

static void
explain_result(enum phase phase, struct str name, struct conf_pos line, enum phase_result r,
               bool resumed)
{
    static const char *const words[] = {
        [PHASE_NEXT] = "has no objection", [PHASE_ALLOW] = "allows",
        [PHASE_SKIP] = "ends the phase",   [PHASE_WAIT] = "waits",
        [PHASE_JUMP] = "goes elsewhere",   [PHASE_DONE] = "answers",
    };

    if (r == PHASE_DONE && phase == HTTP_CONTENT)
        explain_fact("handler", name);
    if (r == PHASE_NEXT && phase != HTTP_PREACCESS && phase != HTTP_ACCESS)
        return;
    if (r == PHASE_WAIT && resumed)
        return;
    explain_step("phase", line, "%s: %.*s %s", phase_names[phase], STR(name), words[r]);
}

static inline bool phase_is_skipped(const struct exchange *x);
static inline enum phase_result phase_step(struct exchange *x);

/* The step, and what came of it; rewrite and location tell more themselves. */
TELLER enum phase_result
phase_step_told(struct exchange *x)
{
    const struct phase_lists *lists = x->scope->phases;
    enum phase phase = x->phase.phase;
    struct conf_pos line = EXPLAIN_NOWHERE;
    struct str name = S("");
    phase_fn run = NULL;
    enum phase_result r;

    if (lists != NULL && x->phase.index < lists->n[phase] && !phase_is_skipped(x))
        run = lists->run[phase][x->phase.index];
    if (run != NULL && phase == HTTP_CONTENT && run == lists->settings.content) {
        line = lists->settings.content_line;
        name = explain_line(line);
        name = str_upto(name, str_find(name, ' '));
    } else if (run != NULL) {
        name = str_c(handler_name(run));
    }
    r = phase_step(x);
    if (run != NULL && phase >= HTTP_PREACCESS)
        explain_result(phase, name, line, r == PHASE_JUMP && x->phase.denied != 0 ? PHASE_DONE : r,
                       x->resume);
    return r;
}

/* A refusal that is told at once, or later: the cursor then waits at HTTP_POST_ACCESS, where phase_step goes on. */
static enum phase_result
phase_denied(struct exchange *x, int status)
{
    x->phase.denied = 0;
    if (status != 401 || x->kind->delay_denial == NULL || !x->kind->delay_denial(x))
        return phase_respond(x, status);
    x->phase = (struct phase_pos){ .phase = HTTP_POST_ACCESS, .denied = (uint16_t)status };
    return PHASE_WAIT;
}

/* The phases at which the engine itself has something to do. */
#define ENGINE_PHASES (UINT32_C(1) << HTTP_POST_ACCESS | UINT32_C(1) << HTTP_LOG)
_Static_assert(PHASES <= 32 && HTTP_LOG == PHASES - 1,
               "a bit for each phase, the log's is the last");

/* Moves to the next phase in which there is anything to do, and does what is the engine's. */
static inline ALWAYS_INLINE enum phase_result
phase_advance(struct exchange *x, const struct phase_lists *lists)
{
    uint32_t stops = ENGINE_PHASES | (lists != NULL ? lists->filled : 0);

    x->phase.phase = (uint8_t)__builtin_ctz(stops & (~UINT32_C(1) << x->phase.phase));
    x->phase.index = 0;
    if (x->phase.phase == HTTP_POST_ACCESS && x->phase.denied != 0) {
        EXPLAIN("phase", explain_place(x->scope, "satisfy", S("")),
                "access: nobody allowed it, so the refusal holds");
        return phase_denied(x, x->phase.denied);
    }
    if (x->phase.phase == HTTP_LOG)
        return phase_respond(x, 404); /* nobody had anything for this target */
    return PHASE_NEXT;
}

/* Denials hold for the client's request; nginx likewise does not ask again for a child. */
static inline bool
phase_is_skipped(const struct exchange *x)
{
    return x->phase.phase == HTTP_ACCESS && x->parent != NULL;
}

/* Runs the handler at the cursor, or moves on when there is none. */
static inline ALWAYS_INLINE enum phase_result
phase_step(struct exchange *x)
{
    const struct phase_lists *lists = x->scope->phases;
    unsigned phase = x->phase.phase;

    if (phase == HTTP_POST_ACCESS && x->phase.denied != 0) {
        int status = x->phase.denied;

        x->phase.denied = 0;
        return phase_respond(x, status);
    }
    if (lists == NULL || x->phase.index >= lists->n[phase] || phase_is_skipped(x))
        return phase_advance(x, lists);
    return lists->run[phase][x->phase.index](x);
}

static inline ALWAYS_INLINE void
phase_granted(struct exchange *x)
{
    const struct phase_lists *lists = x->scope->phases;

    if (x->phase.phase == HTTP_ACCESS && lists != NULL && lists->settings.satisfy_any) {
        x->phase.denied = 0;
        x->phase.index = UINT8_MAX;
        EXPLAIN("phase", explain_place(x->scope, "satisfy", S("")),
                "access: allowed by one, which is enough");
    } else {
        x->phase.index++;
    }
}

static inline ALWAYS_INLINE void
run(struct exchange *x, const bool telling)
{
    ASSERT(!x->in_engine);
    x->in_engine = true;
    x->resume = false;
    while (!x->given && x->phase.phase < HTTP_LOG) {
        struct phase_pos before = x->phase;
        enum phase_result r = telling ? phase_step_told(x) : phase_step(x);
        bool moved = x->phase.phase != before.phase; /* by phase_advance */

        if (r == PHASE_WAIT)
            break;
        switch (r) {
        case PHASE_NEXT:
            if (!moved)
                x->phase.index++;
            break;
        case PHASE_ALLOW:
            phase_granted(x);
            break;
        case PHASE_SKIP:
            x->phase.index = UINT8_MAX;
            break;
        case PHASE_JUMP:
            break;
        case PHASE_DONE:
            x->phase.phase = PHASE_OVER;
            break;
        case PHASE_WAIT:
            break;
        }
    }
    x->in_engine = false;
    if (x->given)
        exchange_ready(x); /* ended within the engine: the over-check had to wait */
}

TELLER void
run_told(struct exchange *x)
{
    run(x, true);
}

void
phase_run(struct exchange *x)
{
    if (UNLIKELY(explain_on))
        run_told(x);
    else
        run(x, false);
}

void
phase_resume(struct exchange *x)
{
    x->resume = true;
    exchange_ready(x);
}

void
phase_goto(struct exchange *x, enum phase phase)
{
    ASSERT(phase < HTTP_LOG);
    x->phase = (struct phase_pos){ .phase = (uint8_t)phase };
}

enum phase_result
phase_deny(struct exchange *x, int status)
{
    const struct phase_lists *lists = x->scope->phases;

    if (x->phase.phase != HTTP_ACCESS)
        return phase_respond(x, status);
    if (lists == NULL || !lists->settings.satisfy_any)
        return phase_denied(x, status);
    EXPLAIN("phase", explain_place(x->scope, "satisfy", S("")),
            "access: refused with %d, unless another check allows it", status);
    /* A challenge tells the client how to get in, so it wins over a plain refusal. */
    if (x->phase.denied != 401)
        x->phase.denied = (uint16_t)status;
    return PHASE_NEXT;
}

enum phase_result
phase_respond(struct exchange *x, int status)
{
    EXPLAIN("status", EXPLAIN_NOWHERE, "%d is to be answered", status);
    return x->kind->respond(x, status);
}

void
phase_run_all(struct exchange *x, enum phase phase)
{
    const struct phase_lists *lists = x->scope != NULL ? x->scope->phases : NULL;

    for (unsigned i = 0; lists != NULL && i < lists->n[phase]; i++)
        lists->run[phase][i](x);
}
