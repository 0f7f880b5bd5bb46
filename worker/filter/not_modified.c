/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * not_modified.c - conditional requests: 304 and 412 (RFC 9110, 13).
 *
 * Directive if_modified_since and etag belong to http_core.
 */
#include "common/module.h"
#include "worker/http/date.h"
#include "worker/http/etag.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"

/* RFC 9110, 13.1.1 and 13.1.4: If-Unmodified-Since counts only where there is no If-Match. (nginx differs: both count,
 * here and in not_modified.) */
static bool
precondition_failed(const struct request *r, const struct response *res)
{
    struct str match = fields_value(&r->fields, FIELD_IF_MATCH);
    struct str since = fields_value(&r->fields, FIELD_IF_UNMODIFIED_SINCE);
    int64_t time;

    if (match.ptr != NULL)
        return !etag_in_list(match, res->etag, false);
    if (since.ptr == NULL || !date_parse(since, &time))
        return false;
    return res->last_modified < 0 || res->last_modified > time;
}

static bool
unmodified_since(const struct request *r, const struct response *res, struct str since)
{
    int64_t time;

    if (res->last_modified < 0 || !date_parse(since, &time))
        return false;
    switch ((enum if_modified_since)HTTP_CONF(r)->if_modified_since) {
    case IMS_OFF:
        return false;
    case IMS_EXACT:
        return time == res->last_modified;
    case IMS_BEFORE:
        break;
    }
    return time >= res->last_modified;
}

/* RFC 9110, 13.2.2: If-Modified-Since counts only where there is no If-None-Match. */
static bool
not_modified(const struct request *r, const struct response *res)
{
    struct str none = fields_value(&r->fields, FIELD_IF_NONE_MATCH);
    struct str since = fields_value(&r->fields, FIELD_IF_MODIFIED_SINCE);

    if (none.ptr != NULL)
        return etag_in_list(none, res->etag, true);
    return since.ptr != NULL && unmodified_since(r, res, since);
}

static bool
not_modified_head(struct exchange *x, struct response *res)
{
    struct request *r = request_of(x);

    /* an origin has answered the client's conditions itself */
    if (res->status != 200 || res->error_status != 0 || res->from_origin)
        return true;
    if (precondition_failed(r, res)) {
        res->refused = 412;
        return true;
    }
    if (!(r->method & (METHOD_GET | METHOD_HEAD)) || !not_modified(r, res))
        return true;
    source_stop(res->body, STOP_REPLACED);
    res->body = NULL;
    res->status = 304;
    res->reason = STR_NONE;
    res->content_type = STR_NONE;
    res->charset = STR_NONE;
    res->length = -1;
    res->accept_ranges = false;
    fields_remove(&res->fields, FIELD_CONTENT_ENCODING);
    return true;
}

static const struct filter not_modified_filters[] = {
    { .stage = FILTER_VALIDATE, .root_only = true, .head = not_modified_head },
    { 0 },
};

struct module not_modified_module = {
    .name = "not_modified",
    .filters = not_modified_filters,
};
