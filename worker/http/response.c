/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * response.c - a response from its handler to its sink: head filters, what HEAD, 204 and 304 leave out, failures.
 */
#include "worker/http/response.h"

#include "worker/core/explain.h"
#include "worker/http/body.h"
#include "worker/http/date.h"
#include "worker/http/filter.h"
#include "worker/http/request.h"

void
response_init(struct response *res, struct arena *a)
{
    *res = (struct response){
        .fields.arena = a, .trailers.arena = a, .length = -1, .last_modified = -1
    };
}

/* RFC 9110, 6.4.1. */
static bool
has_no_content(const struct request *r, const struct response *res)
{
    return r->method == METHOD_HEAD || res->status == 204 || res->status == 304;
}

/* A failed response to the failure itself leaves nothing to say. */
static enum phase_result
response_failed(struct request *r)
{
    bool again = r->res.failing;

    response_reset(r, STOP_FAILED);
    r->res.failing = true;
    if (!again)
        return phase_respond(&r->x, 500);
    r->res.status = 500;
    r->res.started = true;
    if (r->x.root == &r->x && r->codec != NULL)
        r->codec->abort(&r->x, ABORT_CLOSE);
    else
        exchange_abort(&r->x, STOP_FAILED);
    return PHASE_DONE;
}

/* A head filter wants another status: its page takes the place of the body. What else the head said is void. */
static enum phase_result
response_refused(struct request *r)
{
    uint16_t status = r->res.refused;
    struct str range = fields_value(&r->res.fields, FIELD_CONTENT_RANGE);

    response_reset(r, STOP_REPLACED);
    if (status == 416 && range.len > 0)
        fields_add(&r->res.fields, FIELD_CONTENT_RANGE, STR_NONE, range);
    return phase_respond(&r->x, status);
}

enum phase_result
response_start(struct request *r)
{
    struct response *res = &r->res;

    ASSERT(!r->x.responding);
    if (res->error_status != 0) { /* a page of an error shows the error's status */
        res->status = res->error_status;
        res->reason = STR_NONE;
        if (res->status != 200 && res->status != 206 && res->status != 304)
            response_drop_last_modified(res); /* that of a page of an error says nothing */
    }
    res->head_only = !res->tunnel && has_no_content(r, res);
    if (!filters_run(&r->x, res) || res->fields.failed)
        return response_failed(r);

    if (res->refused != 0)
        return response_refused(r);

    /* a filter may have made it a 304 */
    res->head_only = (!res->tunnel && has_no_content(r, res)) || UNLIKELY(explain_on);
    if (res->head_only && res->body != NULL) {
        source_stop(res->body, STOP_DONE);
        res->body = NULL;
    }
    res->started = true;
    r->x.responding = true;
    r->x.doing = NULL;
    r->x.sink->head(&r->x);
    return PHASE_DONE;
}

enum phase_result
response_send(struct request *r, uint16_t status, struct str content_type, struct str body)
{
    struct response *res = &r->res;

    res->status = status;
    res->content_type = content_type;
    res->length = (int64_t)body.len;
    if (body.len > 0) {
        res->body = body_mem(&r->x, body);
        if (res->body == NULL)
            return response_failed(r);
    }
    return response_start(r);
}

void
response_reset(struct request *r, enum stop why)
{
    bool failing = r->res.failing;

    source_stop(r->res.body, why);
    response_init(&r->res, request_arena(r));
    r->res.failing = failing;
}

int64_t
response_last_modified(const struct response *res)
{
    int64_t seconds;

    if (res->last_modified >= 0)
        return res->last_modified;
    return date_parse(fields_value(&res->fields, FIELD_LAST_MODIFIED), &seconds) ? seconds : -1;
}

void
response_drop_last_modified(struct response *res)
{
    res->last_modified = -1;
    fields_remove(&res->fields, FIELD_LAST_MODIFIED);
}

void (*response_add_trailers)(struct request *r);

const struct fields *
response_trailers(struct request *r)
{
    if (response_add_trailers != NULL)
        response_add_trailers(r);
    return r->res.trailers.n > 0 ? &r->res.trailers : NULL;
}

void
response_wrap(struct response *res, struct source *s)
{
    s->below = res->body;
    res->body = source_checked(s);
}

/* An entity tag of a changed body is a weak one at most (RFC 9110, 8.8.1). */
static void
weaken_etag(struct response *res)
{
    struct text t;

    if (res->etag.len == 0 || str_starts(res->etag, S("W/")))
        return;
    text_init(&t, res->fields.arena);
    TEXT_LIT(&t, "W/");
    text_add(&t, res->etag);
    res->etag = text_str(&t); /* without memory there is none */
}

void
response_body_changes(struct response *res)
{
    res->length = -1;
    res->keep_length = false;
    res->accept_ranges = false;
    fields_remove(&res->fields, FIELD_CONTENT_LENGTH);
    fields_remove(&res->fields, FIELD_ACCEPT_RANGES);
    weaken_etag(res);
}
