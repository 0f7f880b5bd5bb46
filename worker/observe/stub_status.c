/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stub_status.c - the counters of connections and requests, in the form that nginx gave them.
 *
 * Directive: stub_status.   Variables: $connections_active, $connections_reading, $connections_writing,
 * $connections_waiting.
 */
#include "common/shm/counters.h"
#include "worker/core/var.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"
#include "worker/net/events_conf.h"

static uint64_t
waiting(void)
{
    uint64_t active = counters_sum(events_active);
    uint64_t busy = counters_sum(requests_reading) + counters_sum(requests_writing);

    return active > busy ? active - busy : 0;
}

static enum phase_result
stub_status_content(struct exchange *x)
{
    struct request *r = request_of(x);
    struct str text;

    if ((r->method & (METHOD_GET | METHOD_HEAD)) == 0)
        return phase_respond(x, 405);
    request_body_discard(r);
    text = arena_fmt(request_arena(r),
                     "Active connections: %llu \n"
                     "server accepts handled requests\n %llu %llu %llu \n"
                     "Reading: %llu Writing: %llu Waiting: %llu \n",
                     (unsigned long long)counters_sum(events_active),
                     (unsigned long long)counters_sum(events_accepted),
                     (unsigned long long)counters_sum(events_handled),
                     (unsigned long long)counters_sum(requests_total),
                     (unsigned long long)counters_sum(requests_reading),
                     (unsigned long long)counters_sum(requests_writing),
                     (unsigned long long)waiting());
    return text.ptr != NULL ? response_send(r, 200, S("text/plain"), text) : phase_respond(x, 500);
}

static bool
stub_status_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)d, (void)n, (void)conf;
    return http_set_content(l, stub_status_content);
}

/* `data` points to the counter's id. */
static void
get_counter(struct exchange *x, struct var_value *v, const void *data)
{
    var_number(x, v, counters_sum(*(const uint16_t *)data));
}

static void
get_waiting(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, waiting());
}

static const struct directive stub_status_directives[] = {
    D_CALL("stub_status", CTX_SRV | CTX_LOC, ARGS(0, 1), stub_status_set), D_END
};

static const struct variable stub_status_variables[] = {
    { "connections_active", get_counter, VAR_VOLATILE, NULL, &events_active },
    { "connections_reading", get_counter, VAR_VOLATILE, NULL, &requests_reading },
    { "connections_writing", get_counter, VAR_VOLATILE, NULL, &requests_writing },
    { "connections_waiting", get_waiting, VAR_VOLATILE, NULL, NULL },
    { 0 }
};

struct module stub_status_module = {
    .name = "stub_status",
    .configure_token = "--with-http_stub_status_module",
    .directives = stub_status_directives,
    .variables = stub_status_variables,
};
