/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream_vars.c - $upstream_addr, $upstream_status, times and sizes: one value per attempt, joined by ", ", and by " : "
 * across internal redirects.
 */
#include "worker/core/var.h"
#include "worker/upstream/upstream.h"

struct upstream_history *
upstream_history(struct exchange *x)
{
    struct upstream_history *h = exchange_state(x, &upstream_module, sizeof(*h));

    if (h != NULL && h->attempts.size == 0) {
        vec_init(&h->attempts, &x->mem->arena, sizeof(struct upstream_attempt));
        exchange_keep_state(x, &upstream_module);
    }
    return h;
}

struct upstream_history *
upstream_history_of(struct exchange *x)
{
    return exchange_state(x, &upstream_module, 0);
}

enum attempt_field {
    FIELD_ADDR,
    FIELD_STATUS,
    TIME_CONNECT,
    TIME_HEADER,
    TIME_RESPONSE,
    LENGTH,
    RECEIVED,
    SENT
};

static void
add_time(struct text *t, int64_t ms)
{
    if (ms < 0) {
        text_char(t, '-');
        return;
    }
    text_unum(t, (uint64_t)ms / 1000);
    text_char(t, '.');
    text_pad(t, (uint64_t)ms % 1000, 3);
}

static void
add_field(struct text *t, const struct upstream_attempt *a, enum attempt_field field)
{
    switch (field) {
    case FIELD_ADDR:
        text_add(t, a->addr);
        break;
    case FIELD_STATUS:
        if (a->status == 0)
            text_char(t, '-');
        else
            text_unum(t, a->status);
        break;
    case TIME_CONNECT:
        add_time(t, a->connect_ms);
        break;
    case TIME_HEADER:
        add_time(t, a->header_ms);
        break;
    case TIME_RESPONSE:
        add_time(t, a->response_ms);
        break;
    case LENGTH:
        text_unum(t, a->response_length);
        break;
    case RECEIVED:
        text_unum(t, a->bytes_received);
        break;
    case SENT:
        text_unum(t, a->bytes_sent);
        break;
    }
}

static void
get_attempts(struct exchange *x, struct var_value *v, const void *data)
{
    struct upstream_history *h = upstream_history_of(x);
    struct text t;

    if (h == NULL || h->attempts.len == 0)
        return;
    text_init(&t, &x->mem->arena);
    for (uint32_t i = 0; i < h->attempts.len; i++) {
        const struct upstream_attempt *a = VEC_AT(&h->attempts, struct upstream_attempt, i);

        if (i > 0)
            text_add(&t, a->new_jump ? S(" : ") : S(", "));
        add_field(&t, a, *(const enum attempt_field *)data);
    }
    if (!t.failed)
        var_found(v, text_str(&t));
}

static const struct upstream_attempt *
last_attempt(struct exchange *x)
{
    struct upstream_history *h = upstream_history_of(x);

    if (h == NULL || h->attempts.len == 0)
        return NULL;
    return VEC_AT(&h->attempts, struct upstream_attempt, h->attempts.len - 1);
}

static void
get_last_addr(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct upstream_attempt *a = last_attempt(x);

    if (a != NULL)
        var_found(v, a->addr);
}

/* For SNI: without the port. */
static void
get_last_server_name(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    const struct upstream_attempt *a = last_attempt(x);
    size_t colon;

    if (a == NULL || a->server.ptr == NULL)
        return;
    colon = str_rfind(a->server, ':');
    if (str_starts(a->server, S("unix:")) ||
        str_search(str_from(a->server, colon), S("]")) < a->server.len - colon)
        colon = a->server.len; /* "[::1]" */
    var_found(v, str_upto(a->server, colon));
}

#define ATTEMPTS(name, field)                                                            \
    {                                                                                    \
        name, get_attempts, VAR_VOLATILE | VAR_STREAM, NULL, &(const enum attempt_field) \
        {                                                                                \
            field                                                                        \
        }                                                                                \
    }
extern const struct variable upstream_variables[];
const struct variable upstream_variables[] = {
    ATTEMPTS("upstream_addr", FIELD_ADDR),
    ATTEMPTS("upstream_status", FIELD_STATUS),
    ATTEMPTS("upstream_connect_time", TIME_CONNECT),
    ATTEMPTS("upstream_header_time", TIME_HEADER),
    ATTEMPTS("upstream_response_time", TIME_RESPONSE),
    ATTEMPTS("upstream_response_length", LENGTH),
    ATTEMPTS("upstream_bytes_received", RECEIVED),
    ATTEMPTS("upstream_bytes_sent", SENT),
    { "upstream_last_addr", get_last_addr, VAR_VOLATILE | VAR_STREAM, NULL, NULL },
    { "upstream_last_server_name", get_last_server_name, VAR_VOLATILE | VAR_STREAM, NULL, NULL },
    { 0 },
};
