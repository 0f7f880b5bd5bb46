/* SPDX-License-Identifier: BSD-2-Clause */
/* http_fixture.h - a loaded http {} and requests without a connection's bytes, for tests of routing. */
#ifndef WEIR_TEST_HTTP_FIXTURE_H
#define WEIR_TEST_HTTP_FIXTURE_H

#include "common/log/log_conf.h"
#include "common/module.h"
#include "worker/core/cycle.h"
#include "worker/http/http_core.h"
#include "worker/http/server.h"

extern struct module events_module, http_module, http_rewrite_module, return_module,
    variables_module;

static struct module *const web_modules[] = { &log_module,          &events_module,
                                              &http_module,         &http_core_module,
                                              &http_rewrite_module, &return_module,
                                              &variables_module,    NULL };

struct web {
    struct arena arena;
    struct vec texts, messages;
    struct config *config;
    struct http_main *main;
};

/* NULL when the text has an error. */
static UNUSED struct config *
web_load(struct web *w, const char *http)
{
    struct conf_options o = { .prefix = S_INIT("/w"), .conf_path = S_INIT("/w/w.conf") };
    struct conf_file *file;

    modules_number(web_modules);
    arena_init(&w->arena, 65536);
    vec_init(&w->texts, &w->arena, sizeof(struct conf_file));
    vec_init(&w->messages, &w->arena, sizeof(struct conf_message));
    file = vec_push(&w->texts);
    *file =
        (struct conf_file){ S("/w/w.conf"), arena_fmt(&w->arena, "events {} http { %s }", http) };
    o.texts = &w->texts;
    w->config = config_load(&o, &w->arena, &w->messages);
    worker_config = w->config;
    w->main = w->config != NULL ? http_main_of(w->config) : NULL;
    return w->config;
}

/* The i-th message of loading. */
static UNUSED struct str
web_message(const struct web *w, uint32_t i)
{
    return i < w->messages.len ? VEC_AT(&w->messages, struct conf_message, i)->line : S("");
}

static UNUSED void
web_end(struct web *w)
{
    config_free(w->config);
    arena_free(&w->arena);
    worker_config = NULL;
}

static UNUSED struct server *
web_server(const struct web *w, uint32_t i)
{
    return *VEC_AT(&w->main->servers, struct server *, i);
}

/* ---- requests ---- */

static int web_status; /* of the last answer; 0: none */

static UNUSED enum phase_result
web_respond(struct exchange *x, int status)
{
    (void)x;
    web_status = status;
    return PHASE_DONE;
}

static const struct exchange_kind web_kind = { .respond = web_respond };
static const struct sink_ops web_sink;

/* A request that came to `local` (a listen_spec's index and the address behind it). */
static UNUSED struct request *
web_request(const struct web *w, struct conn *c, uint32_t spec, const char *local, const char *host,
            const char *uri)
{
    struct xmem *m = xmem_get();
    struct request *r = ARENA_NEW(&m->arena, struct request);

    memset(c, 0, sizeof(*c));
    c->spec = *VEC_AT(&w->config->listeners, struct listen_spec *, spec);
    c->local = c->spec->addr;
    if (local != NULL)
        addr_parse(str_c(local), 80, &c->local);
    exchange_init(&r->x, &web_kind, NULL, false, m, c, &web_sink, NULL);
    fields_init(&r->fields, &m->arena);
    response_init(&r->res, &m->arena);
    r->scheme = S("http");
    r->method = METHOD_GET;
    r->content_length = -1;
    r->host = str_c(host);
    r->uri = str_c(uri);
    http_choose_server(r);
    web_status = 0;
    return r;
}

static UNUSED void
web_request_end(struct request *r)
{
    xmem_put(r->x.mem);
}

#endif
