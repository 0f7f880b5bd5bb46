/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fixture.h - a small configuration for the rooms core and net: events, a stand-in for http with variables and phases,
 * and exchanges of a kind that only takes notes.
 */
#ifndef WEIR_TEST_WORKER_FIXTURE_H
#define WEIR_TEST_WORKER_FIXTURE_H

#include "common/event/loop.h"
#include "common/log/log_conf.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/core/exchange.h"
#include "worker/core/phase.h"
#include "worker/core/template.h"
#include "worker/core/var.h"

extern struct module events_module, resolver_module, variables_module;

/* ---- a module with scopes, templates and variables ---- */

struct fixture_conf {
    struct template text;
};

static bool
fixture_scope(struct conf_load *l, const struct directive *d, struct conf_node *n,
              void *conf UNUSED)
{
    struct str name = n->n > 1 ? n->args[1] : n->args[0];

    return conf_open_scope(l, n, (enum scope_kind)(uintptr_t)d->data, name, NULL) != NULL;
}

static unsigned fixture_calls; /* of the getters */

static UNUSED void
fixture_get_const(struct exchange *x UNUSED, struct var_value *v, const void *data)
{
    fixture_calls++;
    var_found(v, str_c(data));
}

/* A different number at each call. */
static UNUSED void
fixture_get_count(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    var_number(x, v, ++fixture_calls);
}

static UNUSED void
fixture_get_prefix(struct exchange *x UNUSED, struct var_value *v, const void *data)
{
    if (!str_eq(*(const struct str *)data, S("missing")))
        var_found(v, *(const struct str *)data);
}

static struct str fixture_stored;

static UNUSED void
fixture_get_stored(struct exchange *x UNUSED, struct var_value *v, const void *data UNUSED)
{
    var_found(v, fixture_stored);
}

static UNUSED void
fixture_set_stored(struct exchange *x UNUSED, struct str value, const void *data UNUSED)
{
    fixture_stored = value;
}

/* Two variables that ask for each other. */
static UNUSED void
fixture_get_cycle(struct exchange *x, struct var_value *v, const void *data)
{
    *v = var_get_named(x, str_c(data));
}

/* `set NAME;` as the rewrite module does it, `map NAME VALUE;` as a map does. */
static bool
fixture_define(struct conf_load *l, const struct directive *d, struct conf_node *n,
               void *conf UNUSED)
{
    struct str name = str_from(n->args[1], 1);
    uint32_t index;

    if (d->data == NULL)
        return var_define(l, n, 1, name, VAR_CACHED, NULL, NULL, NULL, &index);
    return var_define(l, n, 1, name, VAR_CACHED, fixture_get_const, NULL,
                      arena_cstr(conf_arena(l), n->args[2]), &index);
}

static const struct directive fixture_directives[] = {
    D_SCOPE("http", CTX_MAIN, ARGS(0, 0), fixture_scope, .data = (void *)SCOPE_HTTP),
    D_SCOPE("stream", CTX_MAIN, ARGS(0, 0), fixture_scope, .data = (void *)SCOPE_STREAM),
    D_SCOPE("server", CTX_HTTP, ARGS(0, 0), fixture_scope, .data = (void *)SCOPE_SERVER),
    D_SCOPE("location", CTX_SRV, ARGS(1, 1), fixture_scope, .data = (void *)SCOPE_LOCATION),
    D_CALL("set", CTX_HTTP | CTX_SRV, ARGS(1, 1), fixture_define, .repeat = true),
    D_CALL("map", CTX_HTTP, ARGS(2, 2), fixture_define, .repeat = true, .data = ""),
    D_TEMPLATE("text", CTX_HTTP | CTX_SRV | CTX_LOC | CTX_STREAM, struct fixture_conf, text),
    D_END
};

static const struct variable fixture_variables[] = {
    { "host", fixture_get_const, VAR_CACHED | VAR_STREAM, NULL, "example.org" },
    { "uri", fixture_get_const, VAR_CACHED, NULL, "/page" },
    { "once", fixture_get_count, VAR_CACHED, NULL, NULL },
    { "every", fixture_get_count, VAR_VOLATILE, NULL, NULL },
    { "args", fixture_get_stored, VAR_VOLATILE | VAR_SETTABLE | VAR_CHANGEABLE, fixture_set_stored,
      NULL },
    { "arg_", fixture_get_prefix, VAR_PREFIX, NULL, NULL },
    { "egg", fixture_get_cycle, VAR_CACHED, NULL, "hen" },
    { "hen", fixture_get_cycle, VAR_CACHED, NULL, "egg" },
    { "session_time", fixture_get_const, VAR_STREAM_ONLY, NULL, "0.1" },
    { 0 },
};

static struct module fixture_module = {
    .name = "fixture",
    .conf_size = sizeof(struct fixture_conf),
    .directives = fixture_directives,
    .variables = fixture_variables,
};

static struct module *const fixture_modules[] = { &log_module,       &events_module,
                                                  &fixture_module,   &resolver_module,
                                                  &variables_module, NULL };

/* ---- loads ---- */

struct fixture {
    struct arena arena;
    struct vec texts;    /* of struct conf_file */
    struct vec messages; /* of struct conf_message */
    struct config *config;
};

/* NULL when the text has an error; the messages tell it. */
static UNUSED struct config *
fixture_load(struct fixture *f, const char *text)
{
    struct conf_options o = { .prefix = S_INIT("/w"), .conf_path = S_INIT("/w/w.conf") };
    struct conf_file *file;

    modules_number(fixture_modules);
    arena_init(&f->arena, 4096);
    vec_init(&f->texts, &f->arena, sizeof(struct conf_file));
    vec_init(&f->messages, &f->arena, sizeof(struct conf_message));
    file = vec_push(&f->texts);
    *file = (struct conf_file){ S("/w/w.conf"), str_c(text) };
    o.texts = &f->texts;
    fixture_calls = 0;
    fixture_stored = S("");
    f->config = config_load(&o, &f->arena, &f->messages);
    worker_config = f->config;
    return f->config;
}

/* The first line of the first message. */
static UNUSED struct str
fixture_message(const struct fixture *f)
{
    return f->messages.len > 0 ? VEC_AT(&f->messages, struct conf_message, 0)->line : STR_NONE;
}

static UNUSED struct str
fixture_details(const struct fixture *f)
{
    return f->messages.len > 0 ? VEC_AT(&f->messages, struct conf_message, 0)->details : STR_NONE;
}

static UNUSED void
fixture_end(struct fixture *f)
{
    config_free(f->config);
    arena_free(&f->arena);
    worker_config = NULL;
}

/* The first scope of a kind. */
static UNUSED struct scope *
fixture_find(const struct config *c, enum scope_kind kind)
{
    for (uint32_t i = 0; i < c->scopes.len; i++) {
        struct scope *s = *VEC_AT(&c->scopes, struct scope *, i);

        if (s->kind == kind)
            return s;
    }
    return NULL;
}

static UNUSED const struct template *
fixture_text(struct scope *s)
{
    return &((struct fixture_conf *)scope_conf(s, &fixture_module))->text;
}

/* ---- exchanges ---- */

static char fixture_notes[512];

/* Appends a word to the notes. */
static UNUSED void
note(const char *fmt, ...)
{
    size_t at = strlen(fixture_notes);
    va_list args;

    va_start(args, fmt);
    vsnprintf(fixture_notes + at, sizeof(fixture_notes) - at, fmt, args);
    va_end(args);
}

static UNUSED enum phase_result
fixture_respond(struct exchange *x, int status)
{
    note("respond-%d ", status);
    x->responding = true;
    exchange_ready(x);
    return PHASE_DONE;
}

static UNUSED void
fixture_stop(struct exchange *x, enum stop why)
{
    note("stop%s-%d ", x->parent != NULL ? "-child" : "", (int)why);
}

static UNUSED void
fixture_log(struct exchange *x)
{
    note("log%s ", x->parent != NULL ? "-child" : "");
}

static const struct exchange_kind fixture_kind = {
    .respond = fixture_respond,
    .stop = fixture_stop,
    .log = fixture_log,
};

static UNUSED void
fixture_sink_ready(struct exchange *x)
{
    note("ready%s ", x->parent != NULL ? "-child" : "");
}

static UNUSED void
fixture_sink_ended(struct exchange *x)
{
    note("ended%s ", x->parent != NULL ? "-child" : "");
}

static UNUSED const struct sink_ops fixture_sink = {
    .ready = fixture_sink_ready,
    .ended = fixture_sink_ended,
};

/* In memory of its own, as a request is. */
static UNUSED struct exchange *
fixture_exchange(struct scope *s)
{
    struct xmem *m = xmem_get();
    struct exchange *x = ARENA_NEW(&m->arena, struct exchange);

    exchange_init(x, &fixture_kind, NULL, false, m, NULL, &fixture_sink, NULL);
    x->scope = s;
    return x;
}

static UNUSED struct exchange *
fixture_child(struct exchange *parent, bool detached)
{
    struct exchange *x = ARENA_NEW(&parent->mem->arena, struct exchange);

    exchange_init(x, &fixture_kind, parent, detached, NULL, NULL, &fixture_sink, NULL);
    return x;
}

/* Turns of the loop until nothing is ready any more. */
static UNUSED void
fixture_settle(void)
{
    for (int i = 0; i < 4; i++)
        loop_turn(0);
}

static UNUSED void
fixture_loop(void)
{
    static bool made;
    struct error err;

    if (!made && !loop_init(&err))
        exit(1);
    made = true;
    fixture_notes[0] = '\0';
}

/* A test in a process of its own, for what a process can be only once. Failures inside count. */
#define TEST_ALONE(nm)             \
    static void alone_##nm(void);  \
    TEST(nm)                       \
    {                              \
        fixture_alone(alone_##nm); \
    }                              \
    static void alone_##nm(void)

static UNUSED void
fixture_alone(void (*run)(void))
{
    int status = -1;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        alarm(60);
        run();
        fflush(stdout);
        _exit(test_failures != 0);
    }
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0, "status of the process");
}

/* Turns of the loop until `done`, about ten seconds at most. */
#define UNTIL(done)                                       \
    for (int turn_ = 0; turn_ < 1000 && !(done); turn_++) \
    loop_turn(10)

#endif
