/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fake.h - a small table of modules with the shapes of the real ones, and loads from texts in memory.
 */
#ifndef WEIR_TEST_CONF_FAKE_H
#define WEIR_TEST_CONF_FAKE_H

#include "common/conf/config.h"
#include "common/module.h"

#define CTX_ALL (CTX_HTTP | CTX_SRV | CTX_LOC)

/* ---- core, events ---- */

struct fake_core {
    struct str user;
    uint32_t workers;
    bool daemon;
    struct str pid;
    struct vec env;
    uint64_t timeout_ms;
};

static const struct directive fake_core_directives[] = {
    D_CALL("user", CTX_MAIN, ARGS(1, 2), conf_set_str, FIELD(struct fake_core, user)),
    D_NUM("worker_processes", CTX_MAIN, struct fake_core, workers, DEFAULT(1), RANGE(1, 512)),
    D_FLAG("daemon", CTX_MAIN, struct fake_core, daemon, DEFAULT(on)),
    D_PATH("pid", CTX_MAIN, struct fake_core, pid, DEFAULT("logs/weir.pid")),
    D_CALL("env", CTX_MAIN, ARGS(1, 1), conf_set_list, FIELD(struct fake_core, env),
           .inherit = I_LIST),
    D_MSEC("worker_shutdown_timeout", CTX_MAIN, struct fake_core, timeout_ms),
    D_END,
};

struct fake_events {
    uint32_t connections;
};

static bool
fake_open(struct conf_load *l, struct conf_node *n, enum scope_kind kind)
{
    struct str name = n->n > 1 ? n->args[1] : n->args[0];

    return conf_open_scope(l, n, kind, name, NULL) != NULL;
}

static bool
fake_set_events(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf UNUSED)
{
    return fake_open(l, n, SCOPE_EVENTS);
}

static const struct directive fake_events_directives[] = {
    { .name = "events",
      .contexts = CTX_MAIN,
      ARGS(0, 0),
      .set = fake_set_events,
      .block = BLOCK_SCOPE },
    D_NUM("worker_connections", CTX_EVENTS, struct fake_events, connections, DEFAULT(512)),
    D_END,
};

/* ---- http ---- */

struct fake_http {
    struct vec headers; /* of struct str */
    struct str root;
    bool sendfile;
    uint64_t send_timeout_ms;
    uint64_t body_size;
    uint32_t keepalive_requests;
    uint32_t satisfy;
    uint32_t methods;
    struct conf_bufs buffers;
    struct str default_type;
    struct vec rules; /* allow, deny: of struct str */
    unsigned finished;
    uint32_t types;
};

static unsigned fake_finish_calls;
static unsigned fake_init_calls;

static bool
fake_set_scope(struct conf_load *l, const struct directive *d, struct conf_node *n,
               void *conf UNUSED)
{
    static const enum scope_kind kinds[] = { SCOPE_HTTP, SCOPE_SERVER, SCOPE_LOCATION,
                                             SCOPE_LIMIT_EXCEPT, SCOPE_UPSTREAM };
    static const char *const names[] = { "http", "server", "location", "limit_except", "upstream" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], d->name) == 0)
            return fake_open(l, n, kinds[i]);
    return fake_open(l, n, conf_scope(l)->kind == SCOPE_SERVER ? SCOPE_IF_SERVER : SCOPE_IF);
}

/* The words of one line as one string, appended to a vec. */
static bool
fake_set_words(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *list = (struct vec *)(void *)((char *)conf + d->offset);
    struct str *s;
    struct text t;

    if (list->size == 0)
        vec_init(list, conf_arena(l), sizeof(struct str));
    text_init(&t, conf_arena(l));
    for (uint32_t i = d->data != NULL ? 0 : 1; i < n->n; i++) {
        if (t.len > 0)
            text_char(&t, ' ');
        text_add(&t, n->args[i]);
    }
    s = vec_push(list);
    if (s == NULL || t.failed)
        return false;
    *s = text_str(&t);
    return true;
}

static bool
fake_set_types(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
               void *conf)
{
    struct fake_http *h = conf;

    for (struct conf_node *line = n->children; line != NULL; line = line->next) {
        if (line->n < 2)
            return conf_fail(l, line, 0, "invalid number of types");
        h->types += line->n - 1;
    }
    return true;
}

static bool
fake_set_listen(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf UNUSED)
{
    for (uint32_t i = 2; i < n->n; i++)
        if (!str_eq(n->args[i], S("default_server")))
            return conf_fail(l, n, (int)i, "invalid parameter \"%.*s\"", STR(n->args[i]));
    return true;
}

static bool
fake_http_init(struct conf_load *l UNUSED, struct scope *s UNUSED, void *conf)
{
    struct fake_http *h = conf;

    fake_init_calls++;
    h->body_size = 1024 * 1024;
    return true;
}

static bool
fake_http_finish(struct conf_load *l UNUSED, struct scope *s, void *conf)
{
    struct fake_http *h = conf;

    fake_finish_calls++;
    h->finished++;
    for (struct scope *up = s->parent; up != NULL && up->kind != SCOPE_MAIN; up = up->parent)
        if (((struct fake_http *)up->conf[2])->finished != 1)
            return false;
    return h->finished == 1;
}

static const struct conf_name fake_satisfy[] = { { "all", 0 }, { "any", 1 }, { NULL, 0 } };
static const struct conf_name fake_methods[] = {
    { "off", 0 }, { "error", 1 }, { "timeout", 2 }, { "http_502", 4 }, { NULL, 0 }
};

static const struct directive fake_http_directives[] = {
    { .name = "http",
      .contexts = CTX_MAIN,
      ARGS(0, 0),
      .set = fake_set_scope,
      .block = BLOCK_SCOPE },
    D_SCOPE("server", CTX_HTTP, ARGS(0, 0), fake_set_scope),
    D_SCOPE("location", CTX_SRV | CTX_LOC, ARGS(1, 2), fake_set_scope),
    D_SCOPE("if", CTX_SRV | CTX_LOC, ARGS(1, ARGS_ANY), fake_set_scope),
    D_SCOPE("limit_except", CTX_LOC, ARGS(1, ARGS_ANY), fake_set_scope),
    D_SCOPE("upstream", CTX_HTTP, ARGS(1, 1), fake_set_scope),
    D_CALL("listen", CTX_SRV, ARGS(1, ARGS_ANY), fake_set_listen, .repeat = true),
    D_CALL("server_name", CTX_SRV, ARGS(1, ARGS_ANY), conf_set_nothing, .repeat = true),
    D_CALL("return", CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF, ARGS(1, 2), conf_set_nothing,
           .repeat = true),
    D_END,
};

static const struct directive fake_files_directives[] = {
    D_CALL("add_header", CTX_ALL | CTX_LIF, ARGS(2, 3), fake_set_words,
           FIELD(struct fake_http, headers), .inherit = I_LIST),
    D_PATH("root", CTX_ALL | CTX_LIF, struct fake_http, root, DEFAULT("html")),
    D_FLAG("sendfile", CTX_ALL | CTX_LIF, struct fake_http, sendfile, DEFAULT(off)),
    D_MSEC("send_timeout", CTX_ALL, struct fake_http, send_timeout_ms, DEFAULT(60s)),
    D_SIZE("client_max_body_size", CTX_ALL, struct fake_http, body_size),
    D_NUM("keepalive_requests", CTX_ALL, struct fake_http, keepalive_requests, DEFAULT(1000)),
    D_ENUM("satisfy", CTX_ALL, struct fake_http, satisfy, fake_satisfy, DEFAULT(all)),
    D_BITS("proxy_next_upstream", CTX_ALL, struct fake_http, methods, fake_methods,
           DEFAULT(error timeout), .inherit = I_LIST),
    D_BUFS("output_buffers", CTX_ALL, struct fake_http, buffers, DEFAULT(2 32k)),
    D_STR("default_type", CTX_ALL, struct fake_http, default_type, DEFAULT("text/plain")),
    D_CALL("allow", CTX_ALL | CTX_LMT, ARGS(1, 1), fake_set_words, FIELD(struct fake_http, rules),
           .inherit = I_LIST, .data = ""),
    D_CALL("deny", CTX_ALL | CTX_LMT, ARGS(1, 1), fake_set_words, FIELD(struct fake_http, rules),
           .inherit = I_LIST, .data = ""),
    D_TABLE("types", CTX_ALL, ARGS(0, 0), fake_set_types),
    D_TABLE("map", CTX_HTTP, ARGS(2, 2), conf_set_nothing, .repeat = true),
    D_NO_OP("types_hash_max_size", CTX_ALL, ARGS(1, 1), "tables grow by themselves"),
    D_END,
};

/* ---- proxy: fields that inner levels lose ---- */

struct fake_proxy {
    struct str pass;
    struct str try_files;
    uint64_t limit_s;
};

static const struct directive fake_proxy_directives[] = {
    D_CALL("proxy_pass", CTX_LOC | CTX_LIF | CTX_LMT, ARGS(1, 1), conf_set_str,
           FIELD(struct fake_proxy, pass), .inherit = I_INNER),
    D_CALL("try_files", CTX_SRV | CTX_LOC, ARGS(2, ARGS_ANY), conf_set_str,
           FIELD(struct fake_proxy, try_files), .inherit = I_BLOCK),
    D_SEC("expires", CTX_ALL | CTX_LIF, struct fake_proxy, limit_s, DEFAULT(1h)),
    D_END,
};

struct fake_upstream {
    struct vec servers; /* of struct str */
    uint32_t keepalive;
};

static const struct directive fake_upstream_directives[] = {
    D_CALL("server", CTX_UPS | CTX_SUPS, ARGS(1, ARGS_ANY), fake_set_words,
           FIELD(struct fake_upstream, servers), .inherit = I_LIST),
    D_NUM("keepalive", CTX_UPS, struct fake_upstream, keepalive, DEFAULT(32)),
    D_END,
};

static struct module fake_core_module = { .name = "core",
                                          .conf_size = sizeof(struct fake_core),
                                          .directives = fake_core_directives };
static struct module fake_events_module = { .name = "events",
                                            .conf_size = sizeof(struct fake_events),
                                            .directives = fake_events_directives };
static struct module fake_files_module = { .name = "files",
                                           .conf_size = sizeof(struct fake_http),
                                           .directives = fake_files_directives,
                                           .conf_init = fake_http_init,
                                           .finish = fake_http_finish };
static struct module fake_http_module = { .name = "http", .directives = fake_http_directives };
static struct module fake_proxy_module = { .name = "proxy",
                                           .conf_size = sizeof(struct fake_proxy),
                                           .directives = fake_proxy_directives };
static struct module fake_upstream_module = { .name = "upstream",
                                              .conf_size = sizeof(struct fake_upstream),
                                              .directives = fake_upstream_directives };

static struct module *const fake_modules[] = { &fake_core_module,
                                               &fake_events_module,
                                               &fake_files_module,
                                               &fake_http_module,
                                               &fake_proxy_module,
                                               &fake_upstream_module,
                                               NULL };

/* ---- loads ---- */

struct fake_load {
    struct arena arena;
    struct vec texts;    /* of struct conf_file */
    struct vec messages; /* of struct conf_message */
    struct conf_options options;
    struct config *config;
};

static void
fake_start(struct fake_load *f)
{
    *f = (struct fake_load){ .options = { .prefix = S_INIT("/w"), .conf_path = S_INIT("w.conf") } };
    modules_number(fake_modules);
    arena_init(&f->arena, 4096);
    vec_init(&f->texts, &f->arena, sizeof(struct conf_file));
    vec_init(&f->messages, &f->arena, sizeof(struct conf_message));
    f->options.texts = &f->texts;
    fake_finish_calls = fake_init_calls = 0;
}

static UNUSED void
fake_text(struct fake_load *f, const char *path, struct str text)
{
    struct conf_file *file = vec_push(&f->texts);

    *file = (struct conf_file){ str_c(path), text };
}

static struct config *
fake_run(struct fake_load *f)
{
    f->config = config_load(&f->options, &f->arena, &f->messages);
    return f->config;
}

static void
fake_end(struct fake_load *f)
{
    config_free(f->config);
    arena_free(&f->arena);
}

/* All messages as one text, in the arena of the load. */
static UNUSED struct str
fake_messages(struct fake_load *f)
{
    struct text t;

    text_init(&t, &f->arena);
    VEC_FOREACH (m, struct conf_message, &f->messages) {
        text_fmt(&t, "[%s] ", m->level == LOG_LEVEL_WARN ? "warn" : "emerg");
        text_add(&t, m->line);
        text_char(&t, '\n');
        text_add(&t, m->details);
    }
    return text_str(&t);
}

#endif
