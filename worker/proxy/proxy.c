/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.c - module `proxy`: HTTP/1.x origins. proxy_pass, its content handler, and the h1 client as an origin stream.
 */
#include "worker/proxy/proxy.h"

#include "worker/http/body.h"
#include "worker/http/request_body.h"

/* ---- proxy_pass ---- */

/* Where the authority of "http://AUTHORITY/uri" ends; for unix:/path:/uri behind its path. */
static size_t
authority_end(struct str rest)
{
    size_t slash, question;

    if (str_starts(rest, S("unix:")))
        return 5 + str_find(str_from(rest, 5), ':');
    slash = str_find(rest, '/');
    question = str_find(rest, '?');
    return question < slash ? question : slash;
}

bool
proxy_url_parse(struct str text, struct proxy_url *u)
{
    struct str rest;
    size_t end;
    bool unix_socket;

    *u = (struct proxy_url){ .tls = str_starts_nocase(text, S("https://")) };
    if (!u->tls && !str_starts_nocase(text, S("http://")))
        return false;
    u->port = u->tls ? 443 : 80;
    rest = str_from(text, u->tls ? 8 : 7);
    unix_socket = str_starts(rest, S("unix:"));
    end = authority_end(rest);
    u->host = str_upto(rest, end);
    u->uri = str_from(rest, unix_socket && end < rest.len ? end + 1 : end);
    u->host_header = unix_socket ? S("localhost") : u->host;
    return u->host.len > (unix_socket ? 5 : 0);
}

/* A URI begins with '/': "http://host?x" means "/?x". False: memory. */
static bool
complete_uri(struct proxy_url *u, struct arena *a)
{
    if (u->uri.len == 0 || u->uri.ptr[0] == '/')
        return true;
    u->uri = arena_fmt(a, "/%.*s", STR(u->uri));
    return u->uri.ptr != NULL;
}

static bool
set_pass_const(struct conf_load *l, struct conf_node *n, struct proxy_conf *c,
               const struct location *loc)
{
    if (!proxy_url_parse(n->args[1], &c->url))
        return conf_fail(l, n, 1, "invalid URL prefix");
    if (!complete_uri(&c->url, conf_arena(l)))
        return conf_fail(l, n, 0, "no memory");
    if (c->url.uri.len > 0 &&
        (loc == NULL || loc->kind == LOCATION_REGEX || loc->kind == LOCATION_NAMED ||
         conf_scope(l)->kind != SCOPE_LOCATION))
        return conf_fail(l, n, 1,
                         "\"proxy_pass\" cannot have URI part in location given by regular "
                         "expression, or inside named location, or inside \"if\" statement, or "
                         "inside \"limit_except\" block");
    return true;
}

/* What the origin's head says to us, and what belongs to its connection. */
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
    "Content-Length",
    "Upgrade",
    "TE",
    NULL,
};

/* Whether a URL may be one of https: a variable one may turn out so. */
static bool
may_need_tls(const struct proxy_conf *c)
{
    if (!c->pass.set)
        return false;
    return template_is_const(&c->pass) ? c->url.tls
                                       : !str_starts_nocase(c->pass.text, S("http://"));
}

static bool
proxy_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct proxy_conf *c = conf;

    if (!origin_conf_finish(l, s, &c->origin, "proxy", hidden_names))
        return false;
    if (!c->origin.pass_trailers && !name_set_add(c->origin.hidden, conf_arena(l), S("Trailer")))
        return conf_fail_at(l, s->pos, "no memory");
    if (c->pass.set && template_is_const(&c->pass) && c->group == NULL) {
        c->group = upstream_of_url(l, c->pass_node, 1, c->url.host, c->url.port);
        if (c->group == NULL)
            return false;
    }
    if (may_need_tls(c) && !upstream_tls_finish(l, s, &c->tls, "proxy"))
        return false;
    return proxy_request_finish(l, s, c) && proxy_redirect_finish(l, c);
}

/* ---- the stream: HTTP/1 over the connection ---- */

enum { HEAD_SIZE = 4 * 1024, HEAD_SIZE_MAX = 256 * 1024 };

static bool
is_head(const struct proxy_exchange *p)
{
    return str_eq(p->method, S("HEAD"));
}

static bool
proxy_open(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    h1_client_init(&p->h1, o->conn, p->conf->origin.buffer_size, is_head(p), o->body_length < 0);
    if (p->conf->origin.pass_trailers)
        p->h1.chunked.trailers = &o->res.trailers;
    o->stream = &p->h1;
    return true;
}

static void
on_body(void *data)
{
    origin_more_body(data);
}

static struct source *
proxy_body(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    struct source *body;

    if (p->conf->body.set)
        return body_mem(&o->r->x, p->set_body);
    if (!o->streaming)
        return request_body_open(o->r, &o->r->x);
    body = request_body_stream(o->r);
    request_body_on_more(o->r, on_body, o);
    return body;
}

/* False: o->fault. */
static bool
make_head(struct proxy_exchange *p)
{
    for (size_t size = HEAD_SIZE; size <= HEAD_SIZE_MAX; size *= 4) {
        struct buf *b = h1_client_out(&p->h1, size);
        struct text t;

        if (b == NULL)
            break;
        text_init_fixed(&t, b->mem, b->cap);
        if (proxy_write_head(p, &t)) {
            b->end = (uint32_t)t.len;
            return true;
        }
        if (!t.failed)
            return false; /* said */
    }
    xlog(&p->origin.r->x, LOG_LEVEL_ERROR, 0, "too large request to upstream, or no memory");
    return false;
}

/* The connection failed; TLS says more than an errno. */
static void
blame_conn(struct origin *o, const char *what)
{
    const char *problem = tls_problem(o->conn);

    (void)origin_blame(o, UPSTREAM_ERROR, problem == NULL ? o->conn->error : 0,
                       problem != NULL ? problem : what);
}

static enum sent
proxy_send(struct origin *o, struct source *body)
{
    switch (h1_client_send(&proxy_of_origin(o)->h1, body)) {
    case H1_SENT_ALL:
        return SENT_ALL;
    case H1_SENT_BLOCKED:
        return SENT_BLOCKED;
    case H1_SENT_WAITS:
        return SENT_WAITS;
    case H1_SENT_FAILED:
        blame_conn(o, "send() failed");
        return SENT_FAILED;
    case H1_SENT_BODY_FAILED:
        break;
    }
    return SENT_NO_BODY;
}

static enum sent
proxy_send_head(struct origin *o, struct source *body)
{
    struct proxy_exchange *p = proxy_of_origin(o);

    if (p->h1.out == NULL && !make_head(p))
        return SENT_NO_BODY;
    return proxy_send(o, body);
}

static bool
proxy_head_sent(const struct origin *o)
{
    return h1_client_head_sent(&proxy_of_origin(o)->h1);
}

/* What the head says in fields that have a place of their own in struct response. */
static void
fill_response(struct origin *o, const struct h1_response_head *head)
{
    struct response *res = &o->res;
    bool no_body =
        head->status == 204 || (proxy_of_origin(o)->h1.head_request && o->r->method != METHOD_HEAD);

    res->status = head->status;
    res->reason = head->reason;
    res->length = head->framing == H1_LENGTH ? (int64_t)head->length : -1;
    if (no_body)
        res->length = 0;
    res->content_type = fields_value(&res->fields, FIELD_CONTENT_TYPE);
    res->etag = fields_value(&res->fields, FIELD_ETAG);
}

/* The log line of a response head that is none. */
static const char *
bad_head(struct origin *o, const char *why)
{
    struct str text = arena_fmt(request_arena(o->r), "upstream sent %s", why);

    return text.ptr != NULL ? text.ptr : why;
}

/* A connection that ended or failed. */
static enum recv
closed(struct origin *o)
{
    const char *what = "upstream prematurely closed connection";

    if (o->conn->error != 0)
        what = "recv() failed";
    else if (tls_was_cut(o->conn))
        what = "upstream prematurely closed connection, without close_notify,";
    blame_conn(o, what);
    return GOT_FAILED;
}

static enum recv
no_memory(struct origin *o)
{
    (void)origin_blame(o, UPSTREAM_ERROR, ENOMEM, "no memory for a response of upstream");
    return GOT_FAILED;
}

static enum recv
proxy_recv_head(struct origin *o, struct response *res)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    struct h1_response_head head;
    const char *why;
    enum h1_recv got = h1_client_recv_head(&p->h1, request_arena(o->r), &head, &res->fields, &why);

    o->got_any |= h1_client_buffered(&p->h1) > 0 || got == H1_RECV_HEAD;
    if (got == H1_RECV_CLOSED || got == H1_RECV_BAD)
        o->attempt->bytes_received += h1_client_buffered(&p->h1);
    switch (got) {
    case H1_RECV_HEAD:
        break;
    case H1_RECV_NOTHING:
    case H1_RECV_BYTES:
    case H1_RECV_END:
        return GOT_NOTHING;
    case H1_RECV_CLOSED:
        return closed(o);
    case H1_RECV_BAD:
        (void)origin_blame(o, UPSTREAM_INVALID_HEADER, 0, bad_head(o, why));
        return GOT_FAILED;
    case H1_RECV_NO_MEMORY:
        return no_memory(o);
    }
    o->attempt->bytes_received += p->h1.head_len;
    /* who is asked in HTTP/1.0 closes, even if it answers in 1.1, unless it says otherwise */
    if (p->conf->http_version == HTTP_10 &&
        !fields_has_token(&res->fields, FIELD_CONNECTION, S("keep-alive")))
        p->h1.keepalive = false;
    fill_response(o, &head);
    return head.status < 200 && head.status != 101 ? GOT_INFORM : GOT_HEAD;
}

static enum recv
to_recv(struct origin *o, enum h1_recv r, size_t got)
{
    struct h1_client *h1 = &proxy_of_origin(o)->h1;

    o->attempt->bytes_received += got + h1->coding;
    h1->coding = 0;
    switch (r) {
    case H1_RECV_BYTES:
        return GOT_BYTES;
    case H1_RECV_END:
        return GOT_END;
    case H1_RECV_NOTHING:
    case H1_RECV_HEAD:
        return GOT_NOTHING;
    case H1_RECV_CLOSED:
        return closed(o);
    case H1_RECV_BAD:
        (void)origin_blame(o, UPSTREAM_ERROR, 0, "upstream sent invalid chunked response");
        return GOT_FAILED;
    case H1_RECV_NO_MEMORY:
        break;
    }
    return no_memory(o);
}

static enum recv
proxy_take(struct origin *o, struct str *bytes)
{
    enum h1_recv r = h1_client_take(&proxy_of_origin(o)->h1, bytes);

    return to_recv(o, r, bytes->len);
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
proxy_finish_stream(struct origin *o)
{
    struct proxy_exchange *p = proxy_of_origin(o);
    bool reusable = h1_client_end(&p->h1);

    if (p->h1.extra)
        xlog(&o->r->x, LOG_LEVEL_WARN, 0, "upstream sent more data than its response has");
    return reusable;
}

static const struct origin_stream_ops proxy_stream_ops = {
    .send_head = proxy_send_head,
    .send_body = proxy_send,
    .head_sent = proxy_head_sent,
    .recv_head = proxy_recv_head,
    .take = proxy_take,
    .recv_body = proxy_recv_body,
    .splice_body = proxy_splice_body,
    .finish = proxy_finish_stream,
};

static void
proxy_describe(const struct origin *o, struct text *t)
{
    struct str addr = o->attempt != NULL ? o->attempt->addr : STR_NONE;

    text_add(t, str_c(proxy_scheme(&proxy_of_origin(o)->url)));
    TEXT_LIT(t, "://");
    text_add(t, addr);
    if (str_starts(addr, S("unix:")))
        text_char(t, ':');
    proxy_add_target(t, proxy_of_origin(o));
}

static bool
proxy_head(struct origin *o, struct text *t)
{
    return proxy_write_head(proxy_of_origin(o), t);
}

static const struct origin_driver proxy_driver = {
    .prefix = "proxy",
    .ops = &proxy_stream_ops,
    .open = proxy_open,
    .body = proxy_body,
    .upgrade = upgrade_check,
    .release = upgrade_release,
    .rewrite = proxy_redirect_apply,
    .describe = proxy_describe,
    .head = proxy_head,
};

/* ---- the content handler ---- */

struct proxy_exchange *
proxy_of(struct exchange *x)
{
    return exchange_state_front(x, &proxy_module, sizeof(struct proxy_exchange),
                                offsetof(struct proxy_exchange, h1));
}

static enum phase_result
resolve(struct proxy_exchange *p)
{
    enum phase_result result = origin_resolve(&p->place);

    p->url.port = p->place.port;
    p->group = p->place.group;
    return result;
}

/* proxy_pass with variables: the URL of this request. */
static enum phase_result
make_url(struct proxy_exchange *p, struct request *r)
{
    struct str text;

    if (p->url.host.len > 0)
        return resolve(p);
    text = template_expand(&r->x, &p->conf->pass);
    if (!proxy_url_parse(text, &p->url) || !complete_uri(&p->url, request_arena(r)) ||
        !field_value_valid(p->url.host)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid URL prefix in \"%.*s\"", LOG_STR(text));
        return phase_respond(&r->x, 500);
    }
    p->place = (struct origin_place){
        .r = r, .host = p->url.host, .port = p->url.port, .tls = p->url.tls
    };
    return resolve(p);
}

static enum phase_result
find_group(struct proxy_exchange *p, struct request *r)
{
    if (p->group != NULL)
        return PHASE_NEXT;
    if (p->conf->group == NULL)
        return make_url(p, r);
    p->group = p->conf->group;
    p->url = p->conf->url;
    return PHASE_NEXT;
}

/* What is sent besides the fields. False: the method is none, said. */
static bool
make_method(struct proxy_exchange *p, struct request *r)
{
    enum method method = r->method;

    p->method = r->method_name;
    if (p->conf->method.set) {
        p->method = template_expand(&r->x, &p->conf->method);
        method = method_find(p->method);
    }
    p->origin.idempotent = !(method & (METHOD_POST | METHOD_LOCK | METHOD_PATCH)) &&
                           method != METHOD_OTHER; /* RFC 9110, 9.2.2 */
    if (field_name_valid(p->method))
        return true;
    xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid method \"%.*s\" for upstream", LOG_STR(p->method));
    return false;
}

/* HTTP/1.0 has no chunks: a body of unknown length is collected for it. So is one that is refused for its length. */
static bool
may_stream(const struct proxy_conf *c, const struct request *r)
{
    enum body_state state = request_body_state(r);
    int64_t length = request_body_length(r);
    uint64_t max = HTTP_CONF(r)->client_max_body_size;

    if (c->origin.request_buffering || (state != BODY_NONE && state != BODY_AWAITED))
        return false;
    return length < 0 ? c->http_version != HTTP_10 : max == 0 || (uint64_t)length <= max;
}

/* Sets origin.body_length and origin.streaming. NEXT, or WAIT for the body, or an error's result. */
static enum phase_result
take_body(struct proxy_exchange *p, struct request *r)
{
    struct origin *o = &p->origin;
    enum phase_result result;

    if (p->conf->body.set) {
        result = request_body_collect(r); /* $request_body may stand in the text */
        if (result == PHASE_NEXT) {
            p->set_body = template_expand(&r->x, &p->conf->body);
            o->body_length = (int64_t)p->set_body.len;
        }
        return result;
    }
    if (!p->conf->origin.pass_request_body) {
        o->body_length = 0;
        request_body_discard(r);
        return PHASE_NEXT;
    }
    if (may_stream(p->conf, r)) {
        o->body_length = request_body_length(r);
        o->streaming = o->body_length != 0;
        return PHASE_NEXT;
    }
    result = request_body_collect(r);
    if (result == PHASE_NEXT && request_body_state(r) == BODY_COMPLETE) {
        o->body = request_body_open(r, &r->x); /* NULL: it went to another origin as it came */
        o->body_length = o->body != NULL ? (int64_t)request_body_received(r) : 0;
    }
    return result;
}

static enum phase_result
prepare_tls(struct proxy_exchange *p, struct exchange *x)
{
    enum phase_result result = upstream_tls_prepare(&p->tls, x, &p->conf->tls, p->url.host_header);

    if (result == PHASE_NEXT)
        p->origin.tls = &p->tls->client;
    return result;
}

static enum phase_result
proxy_content(struct exchange *x)
{
    struct request *r = request_of(x);
    struct proxy_exchange *p = proxy_of(x);
    enum phase_result result;

    if (p == NULL)
        return phase_respond(x, 500);
    if (p->origin.begun)
        return origin_answer(&p->origin);

    p->conf = scope_conf(x->scope, &proxy_module);
    p->origin.r = r;
    if (!p->body_ready) {
        result = take_body(p, r);
        if (result != PHASE_NEXT)
            return result;
        p->body_ready = true;
    }
    result = find_group(p, r);
    if (result == PHASE_NEXT && p->url.tls)
        result = prepare_tls(p, x);
    if (result != PHASE_NEXT)
        return result;
    if (!make_method(p, r))
        return phase_respond(x, 500);
    origin_begin(&p->origin, r, p->group, &p->conf->origin, &proxy_driver);
    return origin_answer(&p->origin);
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
    c->group = NULL;
    c->location = loc != NULL ? loc->name : STR_NONE;
    if (!template_compile(l, n, 1, n->args[1], &c->pass))
        return false;
    if (template_is_const(&c->pass) && !set_pass_const(l, n, c, loc))
        return false;
    http_set_auto_redirect(l);
    return http_set_content(l, proxy_content) || conf_fail(l, n, 0, "no memory");
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
    D_TEMPLATE("proxy_set_body", ORIGIN_CTX, struct proxy_conf, body),
    D_TEMPLATE("proxy_method", ORIGIN_CTX, struct proxy_conf, method),
    D_ENUM("proxy_http_version", ORIGIN_CTX, struct proxy_conf, http_version, http_versions,
           DEFAULT(1.1)),
    D_CALL("proxy_redirect", ORIGIN_CTX, ARGS(1, 2), proxy_redirect_set,
           FIELD(struct proxy_conf, redirects), .inherit = I_LIST),
    D_CALL("proxy_cookie_domain", ORIGIN_CTX, ARGS(1, 2), proxy_cookie_set,
           FIELD(struct proxy_conf, cookie_domains), .inherit = I_LIST),
    D_CALL("proxy_cookie_path", ORIGIN_CTX, ARGS(1, 2), proxy_cookie_set,
           FIELD(struct proxy_conf, cookie_paths), .inherit = I_LIST),
    D_CALL("proxy_cookie_flags", ORIGIN_CTX, ARGS(1, 4), proxy_cookie_flags_set,
           FIELD(struct proxy_conf, cookie_flags), .inherit = I_LIST),
    ORIGIN_DIRECTIVES("proxy", struct proxy_conf, "proxy_temp"),
    UPSTREAM_TLS_DIRECTIVES("proxy", ORIGIN_CTX, struct proxy_conf),
    D_END,
};

struct module proxy_module = {
    .name = "proxy",
    .conf_size = sizeof(struct proxy_conf),
    .directives = proxy_directives,
    .variables = proxy_variables,
    .finish = proxy_finish,
    .lint = proxy_checks,
};
