/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * phase.h - the phases of a request and of an L4 session, and the engine that runs them. ARCHITECTURE.md 10.
 *
 * The engine is a loop; no phase function calls the engine.
 */
#ifndef WEIR_CORE_PHASE_H
#define WEIR_CORE_PHASE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf/scope.h"

struct exchange;
struct scope;
struct conf_load;

enum phase {
    HTTP_POST_READ,
    HTTP_SERVER_REWRITE,
    HTTP_FIND_LOCATION,
    HTTP_REWRITE,
    HTTP_POST_REWRITE, /* the engine's own: URI changed -> find location again */
    HTTP_PREACCESS,
    HTTP_ACCESS,
    HTTP_POST_ACCESS, /* the engine's own: a remembered denial */
    HTTP_PRECONTENT,
    HTTP_CONTENT,
    HTTP_LOG, /* run by the exchange's end, not by the cursor */
    PHASES
};

/* Order of handlers within a phase, where it matters: lower first, equal ones in the order of the module list. */
enum phase_order {
    ORDER_DEFAULT = 0,
    /* preaccess */
    ORDER_LIMIT_CONN = 1,
    ORDER_LIMIT_REQ,
    /* access */
    ORDER_ALLOW_DENY = 1,
    ORDER_AUTH_BASIC,
    ORDER_AUTH_REQUEST,
    /* precontent */
    ORDER_MIRROR = 1,
    ORDER_TRY_FILES,
    /* content, without a content handler of the scope */
    ORDER_RANDOM_INDEX = 1,
    ORDER_INDEX,
    ORDER_AUTOINDEX,
    ORDER_DAV,
    ORDER_PRECOMPRESSED,
    ORDER_STATIC,
};

enum phase_result {
    PHASE_NEXT,  /* no opinion: the next handler of this phase */
    PHASE_ALLOW, /* access: granted. satisfy all: next handler; any: rest of the phase is skipped and an earlier denial
                  * forgotten */
    PHASE_SKIP,  /* rest of this phase */
    PHASE_WAIT,  /* an event calls phase_resume(x): the same handler is called again */
    PHASE_JUMP, /* the cursor was set: internal redirect -> server_rewrite, named location -> rewrite, `last` ->
                  * find_location */
    PHASE_DONE, /* the response has been started or the exchange has ended */
};

typedef enum phase_result (*phase_fn)(struct exchange *x);

/* A row of a module's phase table; ends with a zeroed row. */
struct phase_entry {
    enum phase phase;
    phase_fn run;
    bool (*wanted)(
        const struct scope *s); /* asked at load: does this scope need it? NULL: always */
    uint8_t order;              /* enum phase_order */
};

struct phase_pos {
    uint8_t phase;   /* enum phase */
    uint8_t index;   /* in the scope's list of that phase */
    uint16_t denied; /* access, satisfy any: the status remembered; 0: none */
};

/* Makes the handler lists of a scope (after finish of all scopes, parents first); shared with the parent when equal. */
bool phase_prepare(struct conf_load *l, struct scope *s);
/* The content handler of a scope (proxy_pass ...) replaces the list of content handlers; `satisfy any` per scope. Set
 * by http_core's loaded function from its own settings, before phase_prepare. False: memory. */
struct phase_settings {
    phase_fn content;             /* NULL: the list */
    struct conf_pos content_line; /* where it was given; for explain */
    bool satisfy_any;
};
bool phase_set(struct conf_load *l, struct scope *s, const struct phase_settings *settings);

/* Runs from the cursor until WAIT or DONE. Called from the ready list (exchange_ready) and by request_start. */
void phase_run(struct exchange *x);
/* Continues a WAITing exchange from the ready list. Once too often is harmless. */
void phase_resume(struct exchange *x);
/* Puts the cursor to the start of a phase; the handler then returns PHASE_JUMP. */
void phase_goto(struct exchange *x, enum phase phase);
/* 401/403/...: final under satisfy all, remembered under any (401 wins over 403). Handlers return its result. */
enum phase_result phase_deny(struct exchange *x, int status);
/* Calls x->kind->respond: HTTP looks up error_page; may be JUMP. Handlers return it as it is. */
enum phase_result phase_respond(struct exchange *x, int status);
/* For one run of all handlers of a phase without a cursor: the log phase. */
void phase_run_all(struct exchange *x, enum phase phase);

#endif
