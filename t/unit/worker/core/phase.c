/* SPDX-License-Identifier: BSD-2-Clause */
/* phase.c - lists of scopes and the engine: order, waiting, jumps, satisfy, the end without an answer. */
#include "worker/core/phase.h"

#include "test.h"

#include "t/unit/worker/fixture.h"

static enum phase_result result_a, result_b;
static int deny_a, deny_b;

static enum phase_result
run_early(struct exchange *x UNUSED)
{
    note("early ");
    return PHASE_NEXT;
}

static enum phase_result
run_a(struct exchange *x)
{
    note("a ");
    return deny_a != 0 ? phase_deny(x, deny_a) : result_a;
}

static enum phase_result
run_b(struct exchange *x)
{
    note("b ");
    return deny_b != 0 ? phase_deny(x, deny_b) : result_b;
}

static enum phase_result
run_content(struct exchange *x)
{
    note("content ");
    return phase_respond(x, 200);
}

static enum phase_result
run_special(struct exchange *x)
{
    note("special ");
    return phase_respond(x, 200);
}

static enum phase_result
run_log(struct exchange *x UNUSED)
{
    note("log ");
    return PHASE_NEXT;
}

static bool
in_location(const struct scope *s)
{
    return s->kind == SCOPE_LOCATION;
}

/* Out of order on purpose. */
static const struct phase_entry entries[] = {
    { HTTP_LOG, run_log, NULL, 0 },
    { HTTP_CONTENT, run_content, in_location, ORDER_STATIC },
    { HTTP_ACCESS, run_b, NULL, ORDER_AUTH_BASIC },
    { HTTP_ACCESS, run_a, NULL, ORDER_ALLOW_DENY },
    { HTTP_POST_READ, run_early, NULL, 0 },
    { 0 },
};

static struct phase_settings settings[2]; /* of http and of server, location */

static bool
prepare(struct conf_load *l)
{
    struct config *c = conf_config(l);

    for (uint32_t i = 0; i < c->scopes.len; i++) {
        struct scope *s = *VEC_AT(&c->scopes, struct scope *, i);

        if (s->kind == SCOPE_MAIN || s->kind == SCOPE_EVENTS)
            continue;
        if (!phase_set(l, s, &settings[s->kind != SCOPE_HTTP]) || !phase_prepare(l, s))
            return false;
    }
    return true;
}

static struct fixture fixture;
static struct scope *server, *location;

/* A fresh configuration: `all` of it with these settings. */
static void
load(struct phase_settings set)
{
    struct config *c;

    fixture_loop();
    fixture_module.phases = entries;
    fixture_module.loaded = prepare;
    settings[0] = settings[1] = set;
    result_a = result_b = PHASE_NEXT;
    deny_a = deny_b = 0;
    c = fixture_load(&fixture, "events {} http { server { location / { } } }");
    ASSERT(c != NULL);
    server = fixture_find(c, SCOPE_SERVER);
    location = fixture_find(c, SCOPE_LOCATION);
}

/* Runs an exchange in a scope; what happened, up to its answer. */
static void
runs(struct scope *s, const char *want)
{
    struct exchange *x = fixture_exchange(s);

    fixture_notes[0] = '\0';
    phase_run(x);
    CHECK_STR(str_c(fixture_notes), want);
    exchange_abort(x, STOP_DONE);
    fixture_settle();
}

TEST(order)
{
    load((struct phase_settings){ 0 });
    runs(location, "early a b content respond-200 ");
    runs(server, "early a b respond-404 "); /* nothing there has content */
    fixture_end(&fixture);
}

TEST(lists_are_shared_when_equal)
{
    load((struct phase_settings){ 0 });
    CHECK(server->phases == server->parent->phases);
    CHECK(location->phases != server->phases); /* it has content */
    fixture_end(&fixture);
}

TEST(content_handler_replaces_the_list)
{
    load((struct phase_settings){ .content = run_special });
    runs(location, "early a b special respond-200 ");
    fixture_end(&fixture);
}

TEST(skip_and_done)
{
    load((struct phase_settings){ 0 });
    result_a = PHASE_SKIP;
    runs(location, "early a content respond-200 ");
    result_a = PHASE_DONE;
    runs(location, "early a ");
    fixture_end(&fixture);
}

TEST(satisfy_all)
{
    load((struct phase_settings){ 0 });
    result_a = PHASE_ALLOW;
    runs(location, "early a b content respond-200 ");
    deny_b = 403;
    runs(location, "early a b respond-403 ");
    fixture_end(&fixture);
}

TEST(satisfy_any)
{
    static const struct {
        enum phase_result a, b;
        int deny_a, deny_b;
        const char *want;
    } rows[] = {
        { PHASE_ALLOW, PHASE_NEXT, 0, 403, "early a content respond-200 " },
        { PHASE_NEXT, PHASE_ALLOW, 403, 0, "early a b content respond-200 " },
        { PHASE_NEXT, PHASE_NEXT, 403, 401, "early a b respond-401 " },
        { PHASE_NEXT, PHASE_NEXT, 401, 403, "early a b respond-401 " },
        { PHASE_NEXT, PHASE_NEXT, 403, 0, "early a b respond-403 " },
        { PHASE_NEXT, PHASE_NEXT, 0, 0, "early a b content respond-200 " },
    };

    load((struct phase_settings){ .satisfy_any = true });
    EACH (rows, r) {
        result_a = r->a;
        result_b = r->b;
        deny_a = r->deny_a;
        deny_b = r->deny_b;
        runs(location, r->want);
    }
    fixture_end(&fixture);
}

TEST(waiting_calls_the_same_handler_again)
{
    struct exchange *x;

    load((struct phase_settings){ 0 });
    x = fixture_exchange(location);
    result_b = PHASE_WAIT;
    phase_run(x);
    CHECK_STR(str_c(fixture_notes), "early a b ");
    exchange_ready(x); /* readiness alone is no reason */
    fixture_settle();
    CHECK_STR(str_c(fixture_notes), "early a b ");
    result_b = PHASE_NEXT;
    phase_resume(x);
    phase_resume(x);
    fixture_settle();
    CHECK_STR(str_c(fixture_notes), "early a b b content respond-200 ready ");
    phase_resume(x); /* nothing runs a second time */
    exchange_finish(x);
    fixture_settle();
    CHECK_STR(str_c(fixture_notes), "early a b b content respond-200 ready stop-0 log ended ");
    fixture_end(&fixture);
}

TEST(jumps)
{
    struct exchange *x;

    load((struct phase_settings){ 0 });
    x = fixture_exchange(location);
    phase_goto(x, HTTP_PRECONTENT); /* as a clone starts */
    phase_run(x);
    CHECK_STR(str_c(fixture_notes), "content respond-200 ");
    phase_goto(x,
               HTTP_SERVER_REWRITE); /* an internal redirect after the answer was found wanting */
    phase_resume(x);
    fixture_settle();
    CHECK_STR(str_c(fixture_notes), "content respond-200 a b content respond-200 ready ");
    exchange_abort(x, STOP_DONE);
    fixture_settle();
    fixture_end(&fixture);
}

TEST(children_are_not_asked_for_access)
{
    struct exchange *x, *child;

    load((struct phase_settings){ 0 });
    deny_a = 403;
    x = fixture_exchange(location);
    child = fixture_child(x, false);
    phase_run(child);
    CHECK_STR(str_c(fixture_notes), "early content respond-200 ");
    exchange_abort(x, STOP_DONE);
    fixture_settle();
    fixture_end(&fixture);
}

TEST(an_aborted_exchange_runs_nothing)
{
    struct exchange *x;

    load((struct phase_settings){ 0 });
    result_a = PHASE_WAIT;
    x = fixture_exchange(location);
    phase_run(x);
    exchange_abort(x, STOP_CLIENT_GONE);
    phase_resume(x);
    fixture_settle();
    CHECK_STR(str_c(fixture_notes), "early a stop-1 log ended ");
    fixture_end(&fixture);
}

TEST(all_handlers_of_the_log_phase)
{
    struct exchange *x;

    load((struct phase_settings){ 0 });
    x = fixture_exchange(location);
    phase_run_all(x, HTTP_LOG);
    CHECK_STR(str_c(fixture_notes), "log ");
    exchange_abort(x, STOP_DONE);
    fixture_settle();
    fixture_end(&fixture);
}
