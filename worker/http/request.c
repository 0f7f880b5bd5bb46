/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.c - a request from its parsed head to its log line: what all protocols check, the server that serves it, the
 * start of its phases, its end.
 */
#include "worker/http/request.h"

#include "common/base/json.h"
#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/core/explain.h"
#include "worker/core/template.h"
#include "worker/http/error_page.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"
#include "worker/http/server.h"
#include "worker/http/target.h"
#include "worker/tls/tls.h"

enum { REQUEST_FIELDS = 16 }; /* what a browser sends */

enum { MEMBER_MAX = 1024 }; /* bytes of a text in an error line in JSON */

uint16_t requests_total, requests_reading, requests_writing;
void (*request_describe_upstream)(const struct request *r, struct text *t);
bool (*request_outlives_client)(const struct request *r);

/* ---- the exchange's kind ---- */

static void
request_stop(struct exchange *x, enum stop why)
{
    struct request *r = request_of(x);

    source_stop(r->res.body, why);
    r->res.body = NULL;
    request_body_stop(r);
}

/* auth_delay: all refusals for want of a password take the same time. */
struct denial {
    struct timer timer;
    struct abort_hook on_abort;
    struct exchange *x;
};

static void
denial_on_time(struct timer *t)
{
    struct denial *d = CONTAINER_OF(t, struct denial, timer);

    exchange_off_abort(&d->on_abort);
    phase_resume(d->x);
    exchange_release(d->x, "auth_delay");
}

static void
denial_on_abort(struct abort_hook *h, struct exchange *x)
{
    timer_forget(&CONTAINER_OF(h, struct denial, on_abort)->timer);
    exchange_release(x, "auth_delay");
}

static bool
request_delay_denial(struct exchange *x)
{
    uint64_t ms = http_conf(x->scope)->auth_delay_ms;
    struct denial *d = ms > 0 ? ARENA_NEW(&x->mem->arena, struct denial) : NULL;

    if (d == NULL)
        return false;
    d->x = x;
    d->timer.on_time = denial_on_time;
    d->on_abort.run = denial_on_abort;
    exchange_hold(x, "auth_delay");
    exchange_on_abort(x, &d->on_abort);
    timer_set(&d->timer, ms);
    return true;
}

static void
request_log(struct exchange *x)
{
    struct request *r = request_of(x);

    if ((x->parent == NULL || HTTP_CONF(r)->log_subrequest) && LIKELY(!explain_on))
        phase_run_all(x, HTTP_LOG);
    request_body_end(r); /* the log may have shown it */
}

static void
describe_quoted(struct text *t, const char *what, struct str value)
{
    if (value.len == 0)
        return;
    text_add(t, str_c(what));
    text_add(t, value);
    text_char(t, '"');
}

static void
request_describe(const struct log_context *ctx, struct text *t)
{
    const struct exchange *x = CONTAINER_OF(ctx, struct exchange, log_ctx);
    const struct request *r = CONTAINER_OF(x, struct request, x);
    const struct request *root = CONTAINER_OF(x->root, struct request, x);
    const struct addr *client = conn_client(x);
    char addr[ADDR_TEXT_MAX];

    if (x->doing != NULL) {
        TEXT_LIT(t, " while ");
        text_add(t, str_c(x->doing));
    }
    if (client != NULL) {
        TEXT_LIT(t, ", client: ");
        text_bytes(t, addr, addr_format_ip(client, addr));
    }
    if (r->server != NULL) {
        TEXT_LIT(t, ", server: ");
        text_add(t, r->server->name);
    }
    describe_quoted(t, ", request: \"", root->line);
    if (x->parent != NULL)
        describe_quoted(t, ", subrequest: \"", r->uri);
    if (request_describe_upstream != NULL)
        request_describe_upstream(r, t);
    describe_quoted(t, ", host: \"", fields_value(&root->fields, FIELD_HOST));
    describe_quoted(t, ", referrer: \"", fields_value(&root->fields, FIELD_REFERER));
}

static void
member(struct json *j, const char *key, struct str value)
{
    if (value.len == 0)
        return;
    json_key(j, str_c(key));
    json_str(j, str_upto(value, num_min(value.len, MEMBER_MAX)));
}

/* What stands in quotes behind `, upstream: `; before it there may be `, timeout: ...`. */
static void
upstream_member(struct json *j, const struct request *r)
{
    static const struct str timeout = S_INIT(", timeout: ");
    struct text t;
    size_t quote;
    struct str all;

    if (request_describe_upstream == NULL)
        return;
    text_init(&t, NULL);
    request_describe_upstream(r, &t);
    all = str_n(t.ptr, t.len);
    quote = str_find(all, '"');
    if (!t.failed && str_starts(all, timeout)) {
        all = str_from(all, timeout.len);
        member(j, "timeout", str_upto(all, str_find(all, ',')));
    }
    if (!t.failed && quote + 1 < t.len)
        member(j, "upstream", str_n(t.ptr + quote + 1, t.len - quote - 2));
    text_free(&t);
}

static void
request_members(const struct log_context *ctx, struct json *j)
{
    const struct exchange *x = CONTAINER_OF(ctx, struct exchange, log_ctx);
    const struct request *r = CONTAINER_OF(x, struct request, x);
    const struct request *root = CONTAINER_OF(x->root, struct request, x);
    const struct addr *client = conn_client(x);
    char addr[ADDR_TEXT_MAX];

    member(j, "while", str_c(x->doing));
    if (client != NULL)
        member(j, "client", str_n(addr, addr_format_ip(client, addr)));
    if (r->server != NULL)
        member(j, "server", r->server->name);
    member(j, "request", root->line);
    if (x->parent != NULL)
        member(j, "subrequest", r->uri);
    upstream_member(j, r);
    member(j, "host", fields_value(&root->fields, FIELD_HOST));
    member(j, "referrer", fields_value(&root->fields, FIELD_REFERER));
}

const struct exchange_kind http_exchange_kind = {
    .respond = error_page_respond,
    .stop = request_stop,
    .delay_denial = request_delay_denial,
    .log = request_log,
    .describe = request_describe,
    .members = request_members,
};

/* ---- beginning ---- */

struct request *
request_new(struct conn *c, const struct codec *codec, void *sink_data)
{
    struct xmem *mem = xmem_get();
    struct request *r;

    if (mem == NULL)
        return NULL;
    r = ARENA_NEW_FRONT(&mem->arena, struct request, captures.at);
    if (r == NULL) {
        xmem_put(mem);
        return NULL;
    }
    exchange_init(&r->x, &http_exchange_kind, NULL, false, mem, c, &codec->sink, sink_data);
    r->x.log_ctx.id = c->id;
    r->codec = codec;
    r->scheme = conn_is_tls(c) ? S("https") : S("http");
    r->content_length = -1;
    r->uri_changes = REQUEST_URI_CHANGES;
    r->started_ms = clock_ms;
    r->started_wall_ms = clock_wall_ms;
    fields_init(&r->fields, &mem->arena);
    (void)fields_reserve(&r->fields, REQUEST_FIELDS); /* without memory the first field fails */
    response_init(&r->res, &mem->arena);
    r->server = http_default_server(c);
    r->x.scope = r->server->scope;
    return r;
}

enum method
method_find(struct str name)
{
    static const struct {
        struct str name;
        enum method method;
    } methods[] = {
        { S_INIT("GET"), METHOD_GET },           { S_INIT("HEAD"), METHOD_HEAD },
        { S_INIT("POST"), METHOD_POST },         { S_INIT("PUT"), METHOD_PUT },
        { S_INIT("DELETE"), METHOD_DELETE },     { S_INIT("OPTIONS"), METHOD_OPTIONS },
        { S_INIT("PATCH"), METHOD_PATCH },       { S_INIT("MKCOL"), METHOD_MKCOL },
        { S_INIT("COPY"), METHOD_COPY },         { S_INIT("MOVE"), METHOD_MOVE },
        { S_INIT("PROPFIND"), METHOD_PROPFIND }, { S_INIT("PROPPATCH"), METHOD_PROPPATCH },
        { S_INIT("LOCK"), METHOD_LOCK },         { S_INIT("UNLOCK"), METHOD_UNLOCK },
        { S_INIT("TRACE"), METHOD_TRACE },       { S_INIT("CONNECT"), METHOD_CONNECT },
    };

    for (unsigned i = 0; i < ARRAY_LEN(methods); i++) {
        if (str_eq(methods[i].name, name))
            return methods[i].method;
    }
    return METHOD_OTHER;
}

/* ---- what is wrong with a request ---- */

/* Why a request is refused; status 0: it is not. */
struct verdict {
    int status;
    const char *why;
};
static const struct verdict fine;

/* RFC 9112, 3.2: one valid Host, always in 1.1; the authority of an absolute target takes its place. */
static struct verdict
check_host(struct request *r, const struct target *t)
{
    const struct field *host = fields_get(&r->fields, FIELD_HOST);
    struct arena *a = request_arena(r);
    int port;

    if (host == NULL && r->version == HTTP_11)
        return (struct verdict){ 400, "client sent HTTP/1.1 request without \"Host\" header" };
    if (host != NULL) {
        if (fields_more(&r->fields, host) != NULL)
            return (struct verdict){ 400, "client sent duplicate \"Host\" header" };
        if (!authority_parse(host->value, a, &r->host, &port))
            return (struct verdict){ 400, "client sent invalid host header" };
        r->authority = host->value;
    }
    if (t->form == TARGET_ABSOLUTE || t->form == TARGET_AUTHORITY) {
        if (!authority_parse(t->authority, a, &r->host, &port))
            return (struct verdict){ 400, "client sent invalid host in request line" };
        r->authority = t->authority;
    }
    return fine;
}

/* Fields of one value: which of two would hold is a matter of opinion, and what origins hold to may be another. */
static struct verdict
check_fields(const struct request *r)
{
    static const enum field_id single[] = { FIELD_AUTHORIZATION,     FIELD_IF_MATCH,
                                            FIELD_IF_MODIFIED_SINCE, FIELD_IF_NONE_MATCH,
                                            FIELD_IF_RANGE,          FIELD_IF_UNMODIFIED_SINCE };

    for (unsigned i = 0; i < ARRAY_LEN(single); i++) {
        const struct field *f = fields_get(&r->fields, single[i]);

        if (f != NULL && fields_more(&r->fields, f) != NULL)
            return (struct verdict){ 400, "client sent duplicate header line" };
    }
    return fine;
}

/* RFC 9110, 9.3.6: a host and a port, and no content. What follows is the tunnel's, or of unknown meaning. */
static struct verdict
check_connect(struct request *r, const struct target *t)
{
    size_t colon = str_rfind(t->authority, ':');
    uint32_t port;

    r->keepalive = false;
    if (!r->server->takes_connect || r->version == HTTP_10)
        return (struct verdict){ 405, "client sent CONNECT method" };
    if (t->form != TARGET_AUTHORITY || !num_parse_u32(str_from(t->authority, colon + 1), &port) ||
        port == 0 || port > UINT16_MAX)
        return (struct verdict){ 400, "client sent CONNECT without host and port" };
    if (r->content_length >= 0 || r->body_chunked)
        return (struct verdict){ 400, "client sent CONNECT with a body" };
    r->uri = S("/");
    return fine;
}

static struct verdict
check_method(struct request *r, const struct target *t)
{
    if (r->method == METHOD_CONNECT)
        return check_connect(r, t);
    if (t->form != TARGET_ORIGIN && t->form != TARGET_ABSOLUTE)
        return (struct verdict){ 400, "client sent invalid request" };
    return fine;
}

/* $request_uri of an absolute target is its path and query, "/" where the path is empty. */
static bool
cut_absolute_target(struct request *r, const struct target *t)
{
    size_t skip = (size_t)(t->authority.ptr + t->authority.len - r->target.ptr);
    struct str rest = str_from(r->target, skip);

    if (rest.len == 0) {
        r->target = S("/");
    } else if (rest.ptr[0] != '/') {
        r->target = arena_fmt(request_arena(r), "/%.*s", STR(rest));
    } else {
        r->target = rest;
    }
    return r->target.ptr != NULL;
}

static struct verdict
check_path(struct request *r, const struct target *t)
{
    bool merge = HTTP_CONF(r)->merge_slashes, plain;
    struct text path;

    if (t->form == TARGET_ABSOLUTE && !cut_absolute_target(r, t))
        return (struct verdict){ 500, "no memory for a request" };
    r->args = t->query.len > 0 ? t->query : STR_NONE;
    r->uri_as_sent = true;
    if (target_is_plain(t->path, merge)) {
        r->uri = t->path;
        return fine;
    }
    text_init(&path, request_arena(r));
    r->uri = S(""); /* for the log */
    if (!target_normalise(t->path, merge, &path, &plain))
        return (struct verdict){ 400, "client sent invalid request" };
    r->uri = text_str(&path);
    return fine;
}

/* Plain text where TLS is spoken; clients whose certificate the server does not take. */
static struct verdict
check_tls(struct request *r)
{
    const char *why = "";

    if (!conn_is_tls(r->x.conn)) {
        if (listen_address(r->x.conn)->ssl)
            return (struct verdict){ 497, "client sent plain HTTP request to HTTPS port" };
        return fine;
    }
    switch (tls_check(r->x.conn, r->server->scope, request_arena(r), &why)) {
    case TLS_FINE:
        break;
    case TLS_MISDIRECTED: /* the answer comes from the server of the handshake */
        r->server = http_default_server(r->x.conn);
        r->x.scope = r->server->scope;
        return (struct verdict){ 421, why };
    case TLS_CERT_BAD:
        return (struct verdict){ 495, why };
    case TLS_CERT_MISSING:
        return (struct verdict){ 496, why };
    }
    return fine;
}

static struct verdict
request_check(struct request *r)
{
    struct target t = target_parse(r->target);
    struct verdict v;

    r->method = method_find(r->method_name);
    v = check_host(r, &t);
    if (v.status != 0)
        return v;
    http_choose_server(r);
    v = check_fields(r);
    if (v.status == 0)
        v = check_method(r, &t);
    if (v.status == 0 && r->method != METHOD_CONNECT)
        v = check_path(r, &t);
    if (v.status == 0 && r->method == METHOD_TRACE)
        v = (struct verdict){ 405, "client sent TRACE method" };
    if (v.status == 0)
        v = check_tls(r);
    return v;
}

void
request_start(struct request *r)
{
    struct verdict v = request_check(r);

    if (v.status != 0) {
        request_bad(r, v.status, v.why);
        return;
    }
    r->expect_continue =
        r->version == HTTP_11 && fields_has_token(&r->fields, FIELD_EXPECT, S("100-continue"));
    r->x.doing = NULL;
    phase_run(&r->x);
}

/* ---- refused, or left alone ---- */

void
request_bad(struct request *r, int status, const char *why)
{
    r->keepalive = false;
    EXPLAIN("request", EXPLAIN_NOWHERE, "is refused with %d: %s", status, why);
    xlog(&r->x, LOG_LEVEL_INFO, 0, "%s", why);
    r->x.doing = NULL;
    if (r->method == METHOD_OTHER)
        r->method = method_find(r->method_name);
    if (phase_respond(&r->x, status) == PHASE_JUMP)
        phase_run(&r->x);
}

void
request_client_gone(struct request *r)
{
    if (!r->x.responding)
        r->res.status = 499;
    exchange_abort(&r->x, STOP_CLIENT_GONE);
}

/* ---- questions ---- */

struct str
request_arg(const struct request *r, struct str name)
{
    struct str rest = r->args, piece;

    while (rest.ptr != NULL && str_split(&rest, '&', &piece)) {
        if (piece.len > name.len && piece.ptr[name.len] == '=' &&
            str_eq_nocase(str_upto(piece, name.len), name))
            return str_from(piece, name.len + 1);
    }
    return STR_NONE;
}

struct str
request_cookie(const struct request *r, struct str name)
{
    const struct field *f = fields_get(&r->fields, FIELD_COOKIE);

    for (; f != NULL; f = fields_more(&r->fields, f)) {
        struct str rest = f->value, piece;

        while (rest.ptr != NULL && str_split(&rest, ';', &piece)) {
            size_t eq = str_find(piece, '=');

            if (eq < piece.len && str_eq_nocase(str_trim(str_upto(piece, eq)), name))
                return str_trim(str_from(piece, eq + 1));
        }
    }
    return STR_NONE;
}

struct str
request_host(const struct request *r)
{
    if (r->host.len > 0 || r->server == NULL)
        return r->host;
    return r->server->name;
}

void
request_captures(struct request *r, struct str subject, const struct regex_match *m)
{
    r->captures = *m;
    r->capture_subject = subject;
}

static struct str
request_capture(struct exchange *x, unsigned group)
{
    const struct request *r = request_of(x);
    size_t from, to;

    if (group >= r->captures.n)
        return STR_NONE;
    from = r->captures.at[2 * (size_t)group];
    to = r->captures.at[2 * (size_t)group + 1];
    if (from == SIZE_MAX || to < from || to > r->capture_subject.len)
        return STR_NONE;
    return str_n(r->capture_subject.ptr + from, to - from);
}

__attribute__((constructor)) static void
request_set_up(void)
{
    template_capture = request_capture;
}
