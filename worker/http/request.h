/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.h - struct request embeds an exchange: method, target, fields, response.
 */
#ifndef WEIR_HTTP_REQUEST_H
#define WEIR_HTTP_REQUEST_H

#include "common/base/regex.h"
#include "worker/core/exchange.h"
#include "worker/http/codec.h"
#include "worker/http/fields.h"
#include "worker/http/response.h"

enum method {
    METHOD_OTHER = 0,
    METHOD_GET = 1 << 0,
    METHOD_HEAD = 1 << 1,
    METHOD_POST = 1 << 2,
    METHOD_PUT = 1 << 3,
    METHOD_DELETE = 1 << 4,
    METHOD_MKCOL = 1 << 5,
    METHOD_COPY = 1 << 6,
    METHOD_MOVE = 1 << 7,
    METHOD_OPTIONS = 1 << 8,
    METHOD_PROPFIND = 1 << 9,
    METHOD_PROPPATCH = 1 << 10,
    METHOD_LOCK = 1 << 11,
    METHOD_UNLOCK = 1 << 12,
    METHOD_PATCH = 1 << 13,
    METHOD_TRACE = 1 << 14,
    METHOD_CONNECT = 1 << 15,
};
enum http_version { HTTP_09 = 9, HTTP_10 = 10, HTTP_11 = 11, HTTP_2 = 20, HTTP_3 = 30 };

struct server; /* worker/http/http_conf.h */
struct location;
struct request_body_data; /* request_body.c */

struct request {
    struct exchange x;         /* CONTAINER_OF: request_of(x) */
    const struct codec *codec; /* of the root */

    /* As received. Slices of the head buffer. */
    enum method method;
    struct str method_name;
    enum http_version version;
    struct str line; /* the request line, without its end: $request */
    struct str
        target; /* request-target as sent: $request_uri (of absolute-form: its path and query) */
    struct str authority; /* Host or :authority or of the absolute form, as sent; may be empty */
    struct str host;      /* lower case, without port and trailing dot: $host's first source */
    struct str scheme;    /* "http", "https" */
    struct fields fields;
    int64_t content_length; /* -1: not told */
    bool body_chunked;      /* or otherwise of unknown length */
    bool without_body;      /* a child that does not see the body of its root */
    bool clone;             /* a child that does once more what its parent does */
    uint64_t head_len;      /* bytes of the head */
    uint64_t length;        /* bytes of head and body that were read: $request_length */

    /* As it is now; rewriting changes it. */
    struct str uri;   /* normalised and decoded path: $uri */
    struct str args;  /* without '?' */
    bool uri_changed; /* by a rewrite: find_location is run again */
    bool
        uri_replaced; /* by a rewrite that stays: it need not begin with its location's name any more */
    bool
        uri_as_sent; /* no rewrite, no redirect: proxy_pass without URI forwards the target's bytes */
    bool internal;   /* by redirect, error_page or as a child: `internal` locations accept it */
    bool keepalive; /* what client and protocol allow; the codec decides finally */
    bool expect_continue;
    bool pipelined;         /* its head came together with the request before: $pipe */
    bool error_page_used;   /* an error_page redirect has been followed (recursive_error_pages) */
    uint8_t uri_changes;    /* left of 10 */
    uint32_t children_made; /* of a root: subrequests so far, of all depths */

    const struct server *server;
    const struct location *location;
    const char *
        located; /* uri.ptr when its location was found: another one was rewritten there; NULL: not looked for */
    struct response res;
    struct request_body_data *body; /* of the root */

    uint64_t started_ms; /* clock_ms at the first byte of the head */
    uint64_t started_wall_ms;
    uint64_t bytes_sent; /* to the client, head included */
    uint64_t body_sent;  /* $body_bytes_sent */
    uint64_t limit_rate; /* bytes per second; 0: unlimited; `set $limit_rate` */
    uint64_t limit_rate_after;
    bool limit_rate_set;

    struct str capture_subject;
    struct regex_match
        captures; /* of the last successful match of it; last, so that `at` need not be zeroed */
};

static inline struct request *
request_of(struct exchange *x)
{
    return CONTAINER_OF(x, struct request, x);
}
static inline struct arena *
request_arena(struct request *r)
{
    return &r->x.mem->arena;
}

/* A root for a codec: zeroed, with memory, sink and the listener's default server; fields_init done. NULL: memory. */
struct request *request_new(struct conn *c, const struct codec *codec, void *sink_data);
/*
 * The head is parsed: method_name, target, version, fields, content_length, body_chunked are set. Checks what all
 * protocols check (Host, target form, lengths), normalises the target, chooses the server, starts the phases. Bad
 * input is answered here (400, 405, 414, 505 ...).
 */
void request_start(struct request *r);
/* The codec found the head itself bad: answers `status` (400, 408, 414, 431/494, 505), then closes. `why` is logged. */
void request_bad(struct request *r, int status, const char *why);
/* The client is gone (EOF, reset, RST_STREAM): 499 unless the scope ignores it. */
void request_client_gone(struct request *r);

enum method method_find(struct str name);
/* The value of a query parameter (case-insensitive name, first one); ptr NULL: none. */
struct str request_arg(const struct request *r, struct str name);
/* The value of a cookie; ptr NULL: none. */
struct str request_cookie(const struct request *r, struct str name);
/* Remembers a match of `subject` (which lives as long as the request). */
void request_captures(struct request *r, struct str subject, const struct regex_match *m);
/* $host: from the request line, else Host, else the server's first name. */
struct str request_host(const struct request *r);

extern const struct exchange_kind http_exchange_kind;

enum { REQUEST_URI_CHANGES = 10 };

/* Set by the rooms above: `, upstream: "..."` of error log lines; whether the exchange goes on without its client
 * (proxy_ignore_client_abort, a cache fill). NULL: nothing, no. */
extern void (*request_describe_upstream)(const struct request *r, struct text *t);
extern bool (*request_outlives_client)(const struct request *r);

/* Counter ids, shared by the codecs: requests so far; now reading a head; now answering. */
extern uint16_t requests_total, requests_reading, requests_writing;

#endif
