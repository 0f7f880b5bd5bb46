/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.c - module `proxy`: HTTP/1.x origins. proxy_pass, what the request to the origin says, and its settings.
 *
 * The request head is made from a list merged at load: the fields of proxy_set_header in order, and a set of names that
 * are not taken over from the client's request (those set, and what belongs to one connection only).
 */
#include "worker/proxy/proxy.h"

#include "common/base/escape.h"
#include "common/base/hash.h"
#include "common/base/num.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"
#include "worker/proxy/upgrade.h"

/* ---- the URL of proxy_pass ---- */

/* "http://host:port/uri" into its parts; false: no http URL. */
bool
proxy_url_parse(struct str text, struct proxy_url *u)
{
    struct str rest;
    size_t slash;

    memset(u, 0, sizeof(*u));
    if (!str_starts_nocase(text, S("http://")))
        return false;
    u->scheme = S("http");
    u->port = 80;
    rest = str_from(text, 7);
    if (str_starts(rest, S("unix:"))) {
        /* unix:/path[:/uri] */
        size_t colon = 5 + str_find(str_from(rest, 5), ':');

        u->host = str_upto(rest, colon);
        u->uri = colon < rest.len ? str_from(rest, colon + 1) : STR_NONE;
    } else {
        slash = str_find(rest, '/');
        size_t question = str_find(rest, '?');

        if (question < slash)
            slash = question;
        u->host = str_upto(rest, slash);
        u->uri = slash < rest.len ? str_from(rest, slash) : STR_NONE;
    }
    u->has_uri = u->uri.len > 0;
    u->host_header = str_starts(u->host, S("unix:")) ? S("localhost") : u->host;
    return u->host.len > 0;
}

static bool
set_pass_const(struct conf_load *l, struct conf_node *n, struct proxy_conf *c)
{
    if (!proxy_url_parse(n->args[1], &c->url)) {
        if (str_starts_nocase(n->args[1], S("https://"))) {
            conf_fail(
                l, n, 1,
                "https protocol requires TLS towards origins, which this version does not support");
            return false;
        }
        return conf_fail(l, n, 1, "invalid URL prefix");
    }
    return true;
}

static bool
proxy_set_pass(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
               void *conf)
{
    struct proxy_conf *c = conf;
    struct location *loc = http_location_of(conf_scope(l));

    if (c->pass.set && c->pass_scope == conf_scope(l))
        return conf_fail(l, n, 0, "\"proxy_pass\" directive is duplicate");
    c->pass_node = n;
    c->pass_scope = conf_scope(l);
    if (!template_compile(l, n, 1, n->args[1], &c->pass))
        return false;
    if (template_is_const(&c->pass)) {
        if (!set_pass_const(l, n, c))
            return false;
        if (c->url.has_uri && loc != NULL &&
            (loc->kind == LOCATION_REGEX || loc->kind == LOCATION_NAMED))
            return conf_fail(
                l, n, 1,
                "\"proxy_pass\" cannot have URI part in location given by regular expression, or "
                "inside "
                "named location, or inside \"if\" statement, or inside \"limit_except\" block");
        if (c->url.has_uri && conf_scope(l)->kind != SCOPE_LOCATION)
            return conf_fail(
                l, n, 1,
                "\"proxy_pass\" cannot have URI part in location given by regular expression, or "
                "inside "
                "named location, or inside \"if\" statement, or inside \"limit_except\" block");
    }
    c->location_len = loc != NULL ? loc->name.len : 0;
    http_set_content(l, proxy_content);
    return true;
}

/* ---- proxy_set_header and what is not passed on ---- */

static bool
proxy_set_field(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct proxy_conf *c = conf;
    struct proxy_field *f;

    if (c->fields.size == 0)
        vec_init(&c->fields, conf_arena(l), sizeof(*f));
    if (!field_name_valid(n->args[1]))
        return conf_fail(l, n, 1, "invalid field name \"%.*s\"", STR(n->args[1]));
    f = VEC_PUSH(&c->fields, struct proxy_field);
    if (f == NULL)
        return conf_fail(l, n, 0, "no memory");
    f->name = n->args[1];
    return template_compile(l, n, 2, n->args[2], &f->value);
}

static bool
proxy_set_body(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    return conf_set_template(l, d, n, conf);
}

/* Fields of one connection (RFC 9110, 7.6.1), and those that are made anew for the origin. */
static const char *const never_passed[] = {
    "Connection", "Keep-Alive",     "Proxy-Connection", "Transfer-Encoding",
    "TE",         "Upgrade",        "Content-Length",   "Expect",
    "Host",       "HTTP2-Settings", "Trailer",          NULL,
};

static bool
is_set(const struct proxy_conf *c, struct str name)
{
    VEC_FOREACH (f, struct proxy_field, &c->fields)
        if (str_eq_nocase(f->name, name))
            return true;
    return false;
}

static bool
drop_name(struct conf_load *l, struct proxy_conf *c, struct str name)
{
    struct text t;

    text_init(&t, conf_arena(l));
    text_lower(&t, name);
    return !t.failed && hash_set(c->dropped, text_str(&t), c);
}

static bool
make_request_list(struct conf_load *l, struct proxy_conf *c)
{
    c->dropped = ARENA_NEW(conf_arena(l), struct hash);
    if (c->dropped == NULL)
        return false;
    hash_init(c->dropped, conf_arena(l));
    for (const char *const *n = never_passed; *n != NULL; n++)
        if (!drop_name(l, c, str_c(*n)))
            return false;
    VEC_FOREACH (f, struct proxy_field, &c->fields) {
        if (!drop_name(l, c, f->name))
            return false;
        c->sets_length |= str_eq_nocase(f->name, S("Content-Length"));
    }
    c->default_host = !is_set(c, S("Host"));
    c->default_connection = !is_set(c, S("Connection"));
    return true;
}

static const char *const hidden_names[] = {
    "Date",
    "Server",
    "X-Pad",
    "X-Accel-Expires",
    "X-Accel-Redirect",
    "X-Accel-Limit-Rate",
    "X-Accel-Buffering",
    "X-Accel-Charset",
    "Connection",
    "Keep-Alive",
    "Proxy-Connection",
    "Transfer-Encoding",
    "Upgrade",
    "Trailer",
    "TE",
    NULL,
};

static bool
proxy_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct proxy_conf *c = conf;

    if (!origin_conf_finish(l, s, &c->origin, "proxy", hidden_names))
        return false;
    if (!make_request_list(l, c))
        return conf_fail_at(l, s->pos, "no memory");
    if (c->pass.set && template_is_const(&c->pass) && c->group == NULL) {
        c->group = upstream_of_url(l, c->pass_node, 1, c->url.host, c->url.port);
        if (c->group == NULL)
            return false;
    }
    return proxy_redirect_finish(l, c);
}

/* ---- the request to the origin ---- */

static const struct proxy_conf *
proxy_conf_of(const struct request *r)
{
    return scope_conf(r->x.scope, &proxy_module);
}

struct proxy_exchange *
proxy_of(struct exchange *x)
{
    return exchange_state(x, &proxy_module, sizeof(struct proxy_exchange));
}

/* The target: as sent, or the location's part replaced by the URI of proxy_pass. */
static void
add_target(struct text *t, const struct proxy_exchange *p)
{
    const struct request *r = p->origin.r;
    const struct proxy_conf *c = p->conf;
    bool replaces = p->url.has_uri && !r->uri_replaced;

    if (!template_is_const(&c->pass) && p->url.has_uri) {
        if (p->url.uri.ptr[0] == '?')
            text_char(t, '/');
        text_add(t, p->url.uri);
        return;
    }
    if (!replaces && r->uri_as_sent) {
        text_add(t, r->target);
        return;
    }
    if (replaces) {
        text_add(t, p->url.uri);
        if (c->location_len <= r->uri.len)
            escape_uri(t, str_from(r->uri, c->location_len), ESCAPE_URI_PATH);
    } else {
        escape_uri(t, r->uri, ESCAPE_URI_PATH);
    }
    if (r->args.len > 0) {
        text_char(t, '?');
        text_add(t, r->args);
    }
}

static void
add_line(struct text *t, struct str name, struct str value)
{
    text_add(t, name);
    TEXT_LIT(t, ": ");
    text_add(t, value);
    TEXT_LIT(t, "\r\n");
}

/* An empty value: the field is not sent. False: the value would break the head apart. */
static bool
add_set_field(struct proxy_exchange *p, struct text *t, const struct proxy_field *f)
{
    struct str value = template_expand(&p->origin.r->x, &f->value);

    if (value.ptr == NULL)
        return false;
    if (value.len == 0)
        return true;
    if (!field_value_valid(value)) {
        xlog(&p->origin.r->x, LOG_LEVEL_ERROR, 0, "invalid value of field \"%.*s\" for upstream",
             STR(f->name));
        return false;
    }
    p->sent_upgrade |= str_eq_nocase(f->name, S("Upgrade"));
    add_line(t, f->name, value);
    return true;
}

static bool
is_dropped(const struct proxy_exchange *p, const struct field *f)
{
    char lower[64];
    size_t n = f->name.len;

    if (f->id == FIELD_OTHER && p->conf->fields.len == 0)
        return false;
    if (n > sizeof(lower))
        return false;
    for (size_t i = 0; i < n; i++)
        lower[i] = char_lower(f->name.ptr[i]);
    return hash_get(p->conf->dropped, str_n(lower, n)) != NULL;
}

static void
add_client_fields(struct proxy_exchange *p, struct text *t)
{
    struct request *r = p->origin.r;
    bool nominated = fields_get(&r->fields, FIELD_CONNECTION) != NULL;
    struct field *f;

    for (uint32_t i = 0; (f = fields_each(&r->fields, &i)) != NULL;) {
        if (is_dropped(p, f))
            continue;
        /* RFC 9110, 7.6.1: what Connection names belongs to the client's connection */
        if (nominated && fields_has_token(&r->fields, FIELD_CONNECTION, f->name))
            continue;
        add_line(t, f->name, f->value);
    }
}

static void
add_length(struct proxy_exchange *p, struct text *t)
{
    struct origin *o = &p->origin;

    if (p->conf->sets_length)
        return;
    if (o->body == NULL && o->body_length <= 0) {
        if (o->r->content_length == 0 && o->body_length == 0 &&
            (o->r->method & (METHOD_POST | METHOD_PUT)))
            TEXT_LIT(t, "Content-Length: 0\r\n");
        return;
    }
    if (o->body_length >= 0) {
        TEXT_LIT(t, "Content-Length: ");
        text_unum(t, (uint64_t)o->body_length);
        TEXT_LIT(t, "\r\n");
    } else {
        TEXT_LIT(t, "Transfer-Encoding: chunked\r\n");
    }
}

static struct str
request_method(const struct proxy_exchange *p)
{
    struct request *r = p->origin.r;

    return p->conf->method.set ? template_expand(&r->x, &p->conf->method) : r->method_name;
}

/* False: memory, or a value that cannot stand in a head (500). */
static bool
write_head(struct proxy_exchange *p, struct text *t)
{
    const struct proxy_conf *c = p->conf;

    text_add(t, request_method(p));
    text_char(t, ' ');
    add_target(t, p);
    if (c->http_version == HTTP_10)
        TEXT_LIT(t, " HTTP/1.0\r\n");
    else
        TEXT_LIT(t, " HTTP/1.1\r\n");
    if (c->default_host)
        add_line(t, S("Host"), p->url.host_header);
    if (c->default_connection && c->http_version == HTTP_10)
        TEXT_LIT(t, "Connection: close\r\n");
    VEC_FOREACH (f, struct proxy_field, &c->fields)
        if (!add_set_field(p, t, f))
            return false;
    add_length(p, t);
    if (c->origin.pass_request_headers)
        add_client_fields(p, t);
    TEXT_LIT(t, "\r\n");
    return !t->failed;
}

/* ---- the stream: HTTP/1 over the connection ---- */

enum { HEAD_SIZE = 4 * 1024, HEAD_SIZE_MAX = 256 * 1024 };

static struct proxy_exchange *
proxy_of_origin(struct origin *o)
{
    return CONTAINER_OF(o, struct proxy_exchange, origin);
}

static bool
proxy_open(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    bool chunked = o->body != NULL && o->body_length < 0 && !p->conf->sets_length;

    h1_client_init(&p->h1, o->conn, p->conf->origin.buffer_size, o->r->method == METHOD_HEAD,
                   chunked);
    o->stream = &p->h1;
    return true;
}

static bool
make_head(struct proxy_exchange *p)
{
    for (size_t size = HEAD_SIZE; size <= HEAD_SIZE_MAX; size *= 4) {
        struct buf *b = h1_client_out(&p->h1, size);
        struct text t;

        if (b == NULL)
            return false;
        text_init_fixed(&t, b->mem, b->cap);
        p->sent_upgrade = false;
        if (write_head(p, &t)) {
            b->start = 0;
            b->end = (uint32_t)t.len;
            return true;
        }
        buf_put(b);
        p->h1.out = NULL;
        if (!t.failed)
            return false;
    }
    return false;
}

static bool
proxy_send(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    switch (h1_client_send(&p->h1, o->body)) {
    case H1_SENT_ALL:
        o->send = SEND_SHUT;
        return true;
    case H1_SENT_PART:
        if (h1_client_head_sent(&p->h1))
            o->send = SEND_BODY;
        return true;
    case H1_SENT_FAILED:
        break;
    }
    return false;
}

static bool
proxy_send_head(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    if (p->h1.out == NULL && !make_head(p))
        return false;
    return proxy_send(o);
}

static bool
proxy_send_body(struct origin *o, struct source *body UNUSED)
{
    return proxy_send(o);
}

/* What the head says in fields that have a place of their own in struct response. */
static void
fill_response(struct origin *o, const struct h1_response_head *head)
{
    struct response *res = &o->res;

    res->status = head->status;
    res->reason = head->reason;
    res->length = head->framing == H1_LENGTH ? (int64_t)head->length : -1;
    if (head->status == 204 || (head->framing == H1_NO_BODY && head->status >= 200))
        res->length = 0;
    res->content_type = fields_value(&res->fields, FIELD_CONTENT_TYPE);
    res->etag = fields_value(&res->fields, FIELD_ETAG);
    res->last_modified = -1;
    (void)date_parse(fields_value(&res->fields, FIELD_LAST_MODIFIED), &res->last_modified);
}

static enum recv
proxy_recv_head(struct origin *o, struct response *res)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    struct h1_response_head head;
    const char *why;

    switch (h1_client_recv_head(&p->h1, request_arena(o->r), &head, &res->fields, &why)) {
    case H1_RECV_HEAD:
        break;
    case H1_RECV_NOTHING:
    case H1_RECV_BYTES:
    case H1_RECV_END:
        return GOT_NOTHING;
    case H1_RECV_CLOSED:
        o->got_any = h1_client_buffered(&p->h1) > 0;
        origin_failed(o, UPSTREAM_ERROR, o->conn->error, "upstream prematurely closed connection");
        return GOT_FAILED;
    case H1_RECV_BAD:
        o->got_any = true;
        origin_failed(o, UPSTREAM_INVALID_HEADER, 0, why);
        return GOT_FAILED;
    }
    o->got_any = true;
    o->attempt->bytes_received += p->h1.head_len;
    fill_response(o, &head);
    return head.status < 200 && head.status != 101 ? GOT_INFORM : GOT_HEAD;
}

static enum recv
to_recv(struct origin *o, enum h1_recv r, size_t got)
{
    o->attempt->bytes_received += got;
    switch (r) {
    case H1_RECV_BYTES:
        return GOT_BYTES;
    case H1_RECV_END:
        return GOT_END;
    case H1_RECV_NOTHING:
    case H1_RECV_HEAD:
        return GOT_NOTHING;
    case H1_RECV_CLOSED:
    case H1_RECV_BAD:
        break;
    }
    return GOT_FAILED;
}

static enum recv
proxy_recv_body(struct origin *o, struct iovec *room, int n, size_t *got)
{
    enum h1_recv r = h1_client_recv_body(&proxy_of_origin(o)->h1, room, n, got);

    return to_recv(o, r, *got);
}

static enum recv
proxy_splice_body(struct origin *o, int pipe_fd, size_t max, size_t *got)
{
    enum h1_recv r = h1_client_splice(&proxy_of_origin(o)->h1, pipe_fd, max, got);

    return to_recv(o, r, *got);
}

static bool
proxy_buffered(const struct origin *o)
{
    return h1_client_buffered(&CONTAINER_OF(o, struct proxy_exchange, origin)->h1) > 0;
}

static bool
proxy_finish_stream(struct origin *o, bool reusable)
{
    return h1_client_end(&proxy_of_origin(o)->h1) && reusable;
}

static const struct origin_stream_ops proxy_stream_ops = {
    .send_head = proxy_send_head,
    .send_body = proxy_send_body,
    .recv_head = proxy_recv_head,
    .recv_body = proxy_recv_body,
    .splice_body = proxy_splice_body,
    .buffered = proxy_buffered,
    .finish = proxy_finish_stream,
};

static bool
proxy_head(struct origin *o, struct response *res)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    if (res->status == 101)
        return upgrade_begin(p);
    proxy_redirect_apply(p, res);
    return true;
}

static const struct origin_driver proxy_driver = {
    .ops = &proxy_stream_ops,
    .open = proxy_open,
    .head = proxy_head,
};

/* ---- the content handler ---- */

/* proxy_pass with variables: the URL of this request; a group of that name, a literal address, or a name to resolve. */
static enum phase_result
resolve_url(struct proxy_exchange *p, struct request *r)
{
    struct str text = template_expand(&r->x, &p->conf->pass);

    if (text.ptr == NULL || !proxy_url_parse(text, &p->url)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid URL prefix in \"%.*s\"", STR(text));
        return phase_respond(&r->x, 500);
    }
    return proxy_resolve(p, r);
}

static enum phase_result
take_body(struct proxy_exchange *p, struct request *r, struct source **body, int64_t *length)
{
    enum phase_result result;

    *body = NULL;
    *length = 0;
    if (p->conf->body.set) {
        struct str text = template_expand(&r->x, &p->conf->body);

        *length = (int64_t)text.len;
        *body = text.len > 0 ? body_mem(&r->x, text) : NULL;
        request_body_discard(r);
        return PHASE_NEXT;
    }
    if (!p->conf->origin.pass_request_body) {
        request_body_discard(r);
        return PHASE_NEXT;
    }
    if (p->conf->origin.request_buffering || request_body_state(r) == BODY_COMPLETE) {
        result = request_body_collect(r);
        if (result != PHASE_NEXT)
            return result;
        *length = (int64_t)request_body_received(r);
        if (*length > 0 && (*body = request_body_open(r, &r->x)) == NULL)
            return phase_respond(&r->x, 500);
        return PHASE_NEXT;
    }
    if (request_body_state(r) == BODY_NONE)
        return PHASE_NEXT;
    *length = request_body_length(r);
    *body = request_body_stream(r);
    return *body != NULL ? PHASE_NEXT : phase_respond(&r->x, 500);
}

static void
on_body(void *data)
{
    origin_run(data);
}

enum phase_result
proxy_content(struct exchange *x)
{
    struct request *r = request_of(x);
    struct proxy_exchange *p = proxy_of(x);
    enum phase_result result;
    struct source *body;
    int64_t length;

    if (p == NULL)
        return phase_respond(x, 500);
    if (p->origin.begun)
        return origin_answer(&p->origin);

    p->conf = proxy_conf_of(r);
    if (p->group == NULL) {
        if (p->conf->group != NULL) {
            p->group = p->conf->group;
            p->url = p->conf->url;
        } else {
            result = resolve_url(p, r);
            if (result != PHASE_NEXT)
                return result;
        }
    }
    result = take_body(p, r, &body, &length);
    if (result != PHASE_NEXT)
        return result;
    p->origin.streaming = body != NULL && request_body_state(r) == BODY_STREAMING;
    if (p->origin.streaming)
        request_body_on_more(r, on_body, &p->origin);
    origin_begin(&p->origin, r, p->group, &p->conf->origin, &proxy_driver, body, length);
    return origin_answer(&p->origin);
}

/* ---- tables ---- */

static const struct conf_name http_versions[] = {
    { "1.0", HTTP_10 },
    { "1.1", HTTP_11 },
    { NULL, 0 },
};

static const struct directive proxy_directives[] = {
    D_CALL("proxy_pass", CTX_LOC | CTX_LIF | CTX_LMT, ARGS(1, 1), proxy_set_pass,
           FIELD(struct proxy_conf, pass), .inherit = I_INNER),
    D_CALL("proxy_set_header", ORIGIN_CTX, ARGS(2, 2), proxy_set_field,
           FIELD(struct proxy_conf, fields), .inherit = I_LIST),
    D_CALL("proxy_set_body", ORIGIN_CTX, ARGS(1, 1), proxy_set_body,
           FIELD(struct proxy_conf, body)),
    D_TEMPLATE("proxy_method", ORIGIN_CTX, struct proxy_conf, method),
    D_ENUM("proxy_http_version", ORIGIN_CTX, struct proxy_conf, http_version, http_versions,
           DEFAULT(1.1)),
    D_CALL("proxy_redirect", ORIGIN_CTX, ARGS(1, 2), proxy_redirect_set,
           FIELD(struct proxy_conf, redirects), .inherit = I_LIST),
    D_CALL("proxy_cookie_domain", ORIGIN_CTX, ARGS(1, 2), proxy_cookie_set,
           FIELD(struct proxy_conf, cookie_domains), .inherit = I_LIST),
    D_CALL("proxy_cookie_path", ORIGIN_CTX, ARGS(1, 2), proxy_cookie_set,
           FIELD(struct proxy_conf, cookie_paths), .inherit = I_LIST),
    ORIGIN_DIRECTIVES("proxy", struct proxy_conf, "proxy_temp"),
    D_END,
};

struct module proxy_module = {
    .name = "proxy",
    .conf_size = sizeof(struct proxy_conf),
    .directives = proxy_directives,
    .variables = proxy_variables,
    .finish = proxy_finish,
};
