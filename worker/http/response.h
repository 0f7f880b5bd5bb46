/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * response.h - status, fields, body source; response_start runs the scope's head filters.
 */
#ifndef WEIR_HTTP_RESPONSE_H
#define WEIR_HTTP_RESPONSE_H

#include "worker/core/exchange.h"
#include "worker/http/fields.h"

struct request;

struct response {
    uint16_t status;
    /* What an error shows to the client in place of its page's own status (error_page.c): response_start makes it
     * `status` and forgets `reason`. 0: the handler's status holds. */
    uint16_t error_status;
    uint16_t refused;  /* set by a head filter: this status is answered in its place (412, 416) */
    struct str reason; /* of an origin's status line; else empty: the standard phrase */
    struct fields
        fields; /* without those below, Date, Server, Connection and framing: the codec writes these */
    struct source *body;     /* NULL: none */
    int64_t length;          /* of the body; -1: unknown */
    struct str content_type; /* without charset parameter of ours; empty: none */
    struct str charset;      /* appended as "; charset=" when not empty */
    struct str
        charset_asked;      /* what an origin wants to be said (X-Accel-Charset); empty: nothing */
    struct str etag;        /* quoted, W/ included; empty: none */
    int64_t last_modified;  /* seconds since 1970; -1: none of ours, but an origin's field may be in
                              * `fields`: response_last_modified */
    bool accept_ranges;     /* the body may be asked for in parts: the range filter tells so */
    bool single_range;      /* but not several at once: that would cost more than the whole */
    bool head_only;         /* HEAD, 204, 304: no body goes out */
    bool keep_length;       /* HEAD of an origin: length is told though no body comes */
    bool from_origin;       /* Server and Date are the origin's where they are passed */
    bool without_server;    /* no Server but that of an origin */
    bool started;           /* head filters have run */
    bool no_keepalive;      /* the connection closes after it (request body unread, errors) */
    bool failing;           /* it answers a failure of the response before: a second one ends it */
    bool tunnel;            /* 101 or CONNECT: both bodies are raw from here on */
    struct fields trailers; /* sent at END where the protocol can; from origin or add_trailer */
};

void response_init(struct response *res, struct arena *a);
/*
 * Content handlers end with `return response_start(r)`: runs the head filters of the scope, decides about the body
 * (HEAD, 204, 304: stopped), tells the sink. Once per response. PHASE_DONE; after a failing filter the 500 takes its
 * place.
 */
enum phase_result response_start(struct request *r);
/* A whole body from memory that lives as long as the request, with its type; then response_start. */
enum phase_result response_send(struct request *r, uint16_t status, struct str content_type,
                                struct str body);
/* Forgets fields and body of a response that has not started (redirects keep fields: they do not call this). */
void response_reset(struct request *r, enum stop why);
/* At END: add_trailer values and those of the origin. The codec asks for it once. */
const struct fields *response_trailers(struct request *r);

/* Set by the module that has add_trailer: puts its values into r->res.trailers at END. NULL: none. */
extern void (*response_add_trailers)(struct request *r);

/* What the client is told, in seconds since 1970: ours, or an origin's Last-Modified when it is a date; -1: none. */
int64_t response_last_modified(const struct response *res);
/* None from here on. */
void response_drop_last_modified(struct response *res);

/* For head filters. body_changes: drops Content-Length and Accept-Ranges, weakens ETag; the caller decides on
 * Last-Modified. */
void response_wrap(struct response *res, struct source *s);
void response_body_changes(struct response *res);
/* "Not Found"; empty for an unknown status. */
struct str status_reason(uint16_t status);
/* "404 Not Found", as the built-in pages show it. */
struct str status_line(uint16_t status);

#endif
