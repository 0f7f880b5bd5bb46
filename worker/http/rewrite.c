/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite.c - runs the instructions of a scope in the two rewrite phases.
 *
 * The room rewrite/ has the instructions. In server {} they run once per request (again after an internal redirect),
 * in a location each time that it is entered; if they changed the URI, the location is looked for again.
 */
#include "worker/http/rewrite.h"

#include "worker/core/explain.h"
#include "worker/http/http_core.h"
#include "worker/http/redirect.h"

struct instruction {
    rewrite_op run;
    const void *data;
    struct conf_pos pos;
};

/* A program belongs to one block: `of` tells it from one that was merely inherited. */
struct rewrite_conf {
    const struct scope *of;
    struct vec instructions; /* of struct instruction */
};

extern struct module http_rewrite_module;

static const struct vec *
program_of(const struct scope *s)
{
    const struct rewrite_conf *c = scope_conf(s, &http_rewrite_module);

    return c->of == s ? &c->instructions : NULL;
}

bool
rewrite_append(struct conf_load *l, rewrite_op op, const void *data)
{
    struct scope *s = conf_scope(l);
    struct rewrite_conf *c = conf_own(l, s, &http_rewrite_module);
    struct instruction *i;

    if (c == NULL)
        return false;
    if (c->of != s) {
        c->of = s;
        vec_init_one(&c->instructions, conf_arena(l), sizeof(struct instruction));
    }
    i = VEC_PUSH(&c->instructions, struct instruction);
    if (i == NULL)
        return false;
    *i = (struct instruction){ op, data, conf_line_pos(l) };
    return true;
}

/* The instruction, and what it did to the URI and to the rest of the list. */
TELLER enum rewrite_step
run_told(struct request *r, const struct instruction *i, enum phase_result *result)
{
    struct str uri = r->uri, args = r->args;
    const struct scope *scope = r->x.scope;
    uint32_t told = explain_steps()->len;
    enum rewrite_step step;

    step = i->run(r, i->data, result);
    if (told != explain_steps()->len) /* it has said it, or what it contains has */
        return step;
    if (!str_eq(uri, r->uri) || !str_eq(args, r->args))
        explain_step("rewrite", i->pos, "the URI is now \"%.*s%s%.*s\"%s", STR(r->uri),
                     r->args.len > 0 ? "?" : "", STR(r->args),
                     step != REWRITE_BREAK ? ""
                     : r->uri_changed      ? ", the rest is not run"
                                           : ", which stays in this location");
    else if (step == REWRITE_STOP)
        explain_step("rewrite", i->pos, "ends the phase");
    else if (step == REWRITE_BREAK)
        explain_step("rewrite", i->pos, "the rest is not run");
    else if (scope == r->x.scope)
        explain_step("rewrite", i->pos, "changes nothing");
    return step;
}

static enum rewrite_step
program_run(struct request *r, const struct scope *s, enum phase_result *result)
{
    const struct vec *program = program_of(s);

    if (program == NULL)
        return REWRITE_NEXT;
    VEC_FOREACH (i, struct instruction, program) {
        enum rewrite_step step =
            UNLIKELY(explain_on) ? run_told(r, i, result) : i->run(r, i->data, result);

        if (step != REWRITE_NEXT)
            return step;
    }
    return REWRITE_NEXT;
}

enum rewrite_step
rewrite_enter(struct request *r, struct scope *block, enum phase_result *result)
{
    r->x.scope = block;
    return program_run(r, block, result);
}

/* nginx differs: it passes such bytes on as they are. */
struct str
rewrite_clean_args(struct request *r, struct str args)
{
    size_t bad = 0;
    struct text t;

    while (bad < args.len && (uint8_t)args.ptr[bad] > ' ' && args.ptr[bad] != 0x7f)
        bad++;
    if (bad == args.len)
        return args;
    text_init(&t, request_arena(r));
    for (size_t i = 0; i < args.len; i++) {
        uint8_t c = (uint8_t)args.ptr[i];

        if (c <= ' ' || c == 0x7f)
            text_fmt(&t, "%%%02X", c);
        else
            text_char(&t, (char)c);
    }
    return text_str(&t);
}

bool
rewrite_set_uri(struct request *r, struct str uri, struct str args)
{
    if (uri.len > 0 && uri.ptr[0] != '/') {
        uri = arena_fmt(request_arena(r), "/%.*s", STR(uri));
        if (uri.ptr == NULL)
            return false;
    }
    if (args.len > 0) {
        args = rewrite_clean_args(r, args);
        if (args.ptr == NULL)
            return false;
    }
    if (!redirect_normalise(r, &uri)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "unsafe rewritten URI \"%.*s\"", STR(uri));
        return false;
    }
    r->uri = uri;
    if (r->args.ptr != NULL ||
        args.len > 0) /* what was none is none, what was there may be empty */
        r->args = args.len > 0 ? args : S("");
    r->uri_as_sent = false;
    r->uri_changed = true;
    r->internal = true;
    return true;
}

void
rewrite_stay(struct request *r)
{
    r->uri_replaced |= r->uri_changed;
    r->uri_changed = false;
}

static enum phase_result
rewrite_server(struct exchange *x)
{
    struct request *r = request_of(x);
    enum phase_result result = PHASE_NEXT;

    if (program_run(r, r->server->scope, &result) == REWRITE_STOP)
        return result;
    r->uri_changed = false; /* the location is looked for next in any case */
    return PHASE_NEXT;
}

static enum phase_result
rewrite_location(struct exchange *x)
{
    struct request *r = request_of(x);
    enum phase_result result = PHASE_NEXT;

    if (x->scope == r->server->scope) /* no location: the server's program has been run */
        return PHASE_NEXT;
    if (program_run(r, x->scope, &result) == REWRITE_STOP)
        return result;
    if (!r->uri_changed)
        return PHASE_NEXT;
    if (x->jumps >= HTTP_JUMPS_MAX) {
        x->jumps = HTTP_JUMPS_MAX + 1;
        xlog(x, LOG_LEVEL_ERROR, 0,
             "rewrite or internal redirection cycle while processing \"%.*s\"", STR(r->uri));
        return phase_respond(x, 500);
    }
    x->jumps++;
    EXPLAIN("rewrite", EXPLAIN_NOWHERE, "the URI was changed: its location is looked for");
    phase_goto(x, HTTP_FIND_LOCATION);
    return PHASE_JUMP;
}

static bool
has_program(const struct scope *s)
{
    return program_of(s) != NULL;
}

static const struct phase_entry rewrite_phases[] = {
    { .phase = HTTP_SERVER_REWRITE, .run = rewrite_server, .wanted = has_program },
    { .phase = HTTP_REWRITE, .run = rewrite_location, .wanted = has_program },
    { 0 }
};

struct module http_rewrite_module = {
    .name = "http_rewrite",
    .conf_size = sizeof(struct rewrite_conf),
    .phases = rewrite_phases,
};
