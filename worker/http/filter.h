/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter.h - head filters: the stages are the order. A filter looks at the head once and, if it wants the body, wraps
 * res->body in a source of its own (response_wrap).
 */
#ifndef WEIR_HTTP_FILTER_H
#define WEIR_HTTP_FILTER_H

#include <stdbool.h>

struct exchange;
struct response;
struct scope;
struct conf_load;

enum filter_stage {
    FILTER_SLICE,    /* puts sub-ranges together */
    FILTER_VALIDATE, /* 304, 412 */
    FILTER_FIELDS,   /* expires, add_header, add_trailer, userid */
    FILTER_DECODE,   /* gunzip */
    FILTER_SUBSTITUTE,
    FILTER_CHARSET,
    FILTER_INCLUDE,  /* ssi */
    FILTER_ADDITION, /* behind what changes bytes: the texts have passed their own filters */
    FILTER_JOIN, /* no filter: below this line only the root exchange; a child's wrapped body enters its parent here */
    FILTER_ENCODE,   /* brotli, gzip */
    FILTER_RANGE,    /* only what nobody changed has ranges */
    FILTER_TRAILERS, /* framing alone: a response with trailers has no length in HTTP/1.1 */
};

/* A row of a module's filter table; ends with a row whose head is NULL. */
struct filter {
    enum filter_stage stage;
    bool root_only; /* VALIDATE, FIELDS, ADDITION: not in subrequests */
    bool (*wanted)(
        const struct scope *s); /* asked at load: does this scope need it? NULL: always */
    bool (*head)(struct exchange *x, struct response *res); /* false: failed, 500 */
};

/* Makes the list of a scope at load (after finish); shared with the parent when equal. */
bool filters_prepare(struct conf_load *l, struct scope *s);
/* Runs the list of x's scope. */
bool filters_run(struct exchange *x, struct response *res);

#endif
