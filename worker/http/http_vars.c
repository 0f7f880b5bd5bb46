/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_vars.c - the variables of module http_core.
 *
 * A getter says "found" only when the request has the thing: what is not found is '-' in a log and nothing in a
 * template. Volatile are those that may change while the request is under way.
 */
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "build/config.h"
#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/sys/clock.h"
#include "worker/http/date.h"
#include "worker/http/http_core.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"
#include "worker/net/proxy_protocol.h"
#include "worker/http/rewrite.h"

enum { ISO8601_SECONDS = 19 }; /* bytes up to the seconds */

/* ---- helpers ---- */

static void
found_copy(struct exchange *x, struct var_value *v, struct str text)
{
    struct str copy = arena_str(&x->mem->arena, text);

    if (copy.ptr != NULL)
        var_found(v, copy);
}

static void
found_if(struct var_value *v, struct str text)
{
    if (text.ptr != NULL)
        var_found(v, text);
}

/* Seconds with milliseconds behind the point. */
static void
found_seconds(struct exchange *x, struct var_value *v, uint64_t ms)
{
    found_if(v, arena_fmt(&x->mem->arena, "%llu.%03u", (unsigned long long)(ms / 1000),
                          (unsigned)(ms % 1000)));
}

/* The client's connection; NULL when it has left. */
static struct conn *
client_of(struct exchange *x)
{
    return x->root->conn;
}

static const struct request *
root_of(struct exchange *x)
{
    return request_of(x->root);
}

/* ---- fields ---- */

/* Whether the field's name is the variable's: lower case, '-' as '_'. */
static bool
name_fits(struct str field, struct str variable)
{
    if (field.len != variable.len)
        return false;
    for (size_t i = 0; i < field.len; i++) {
        char c = char_lower(field.ptr[i]);

        if ((c == '-' ? '_' : c) != variable.ptr[i])
            return false;
    }
    return true;
}

/* All values of a field, joined. */
static void
get_joined(struct exchange *x, struct var_value *v, const struct fields *f, struct str name)
{
    const char *separator = str_eq(name, S("cookie")) ? "; " : ", ";
    struct field *field, *first = NULL;
    struct text t;
    bool several = false;

    for (uint32_t i = 0; (field = fields_each(f, &i)) != NULL;) {
        if (!name_fits(field->name, name))
            continue;
        if (first == NULL) {
            first = field;
            continue;
        }
        if (!several) {
            text_init(&t, &x->mem->arena);
            text_add(&t, first->value);
            several = true;
        }
        text_add(&t, str_c(separator));
        text_add(&t, field->value);
    }
    if (first == NULL)
        return;
    if (!several)
        var_found(v, first->value);
    else if (!t.failed)
        var_found(v, text_str(&t));
}

static void
get_http(struct exchange *x, struct var_value *v, const void *data)
{
    get_joined(x, v, &request_of(x)->fields, *(const struct str *)data);
}

static void
get_sent_trailer(struct exchange *x, struct var_value *v, const void *data)
{
    const struct response *res = &request_of(x)->res;

    if (res->trailers.n > 0)
        get_joined(x, v, &res->trailers, *(const struct str *)data);
}

static void
get_arg(struct exchange *x, struct var_value *v, const void *data)
{
    const struct str *name = data;

    if (name->len > 0) /* as nginx: "=1" is no argument */
        found_if(v, request_arg(request_of(x), *name));
}

static void
get_cookie(struct exchange *x, struct var_value *v, const void *data)
{
    found_if(v, request_cookie(request_of(x), *(const struct str *)data));
}

/* Fields that the response has by another way than its section. */

static void
sent_content_type(struct exchange *x, struct var_value *v, const struct response *res)
{
    if (res->content_type.len == 0)
        return;
    if (res->charset.len == 0)
        var_found(v, res->content_type);
    else
        found_if(v, arena_fmt(&x->mem->arena, "%.*s; charset=%.*s", STR(res->content_type),
                              STR(res->charset)));
}

static void
sent_content_length(struct exchange *x, struct var_value *v, const struct response *res)
{
    if (res->length >= 0 && res->status >= 200 && res->status != 204) /* RFC 9110, 8.6 */
        var_number(x, v, (uint64_t)res->length);
}

static void
sent_last_modified(struct exchange *x, struct var_value *v, const struct response *res)
{
    struct str sent = fields_value(&res->fields, FIELD_LAST_MODIFIED);

    if (res->last_modified >= 0) {
        found_copy(x, v, date_text(res->last_modified));
    } else if (sent.ptr != NULL) {
        var_found(v, sent);
    }
}

static void
sent_etag(struct exchange *x, struct var_value *v, const struct response *res)
{
    (void)x;
    if (res->etag.len > 0)
        var_found(v, res->etag);
}

static bool
stays_open(struct exchange *x)
{
    return root_of(x)->keepalive && !root_of(x)->res.no_keepalive;
}

static void
sent_connection(struct exchange *x, struct var_value *v, const struct response *res)
{
    if (res->status == 101)
        var_found(v, S("upgrade"));
    else
        var_found(v, stays_open(x) ? S("keep-alive") : S("close"));
}

static void
sent_keep_alive(struct exchange *x, struct var_value *v, const struct response *res)
{
    uint64_t seconds = http_conf(x->scope)->keepalive_header_s;

    (void)res;
    if (stays_open(x) && seconds > 0)
        found_if(v, arena_fmt(&x->mem->arena, "timeout=%llu", (unsigned long long)seconds));
}

static void
sent_transfer_encoding(struct exchange *x, struct var_value *v, const struct response *res)
{
    if (res->started && res->length < 0 && !res->head_only && !res->tunnel &&
        root_of(x)->version == HTTP_11 && http_conf(x->scope)->chunked_transfer_encoding)
        var_found(v, S("chunked"));
}

static void
get_sent_http(struct exchange *x, struct var_value *v, const void *data)
{
    static const struct {
        struct str name;
        void (*get)(struct exchange *x, struct var_value *v, const struct response *res);
    } special[] = {
        { S_INIT("content_type"), sent_content_type },
        { S_INIT("content_length"), sent_content_length },
        { S_INIT("last_modified"), sent_last_modified },
        { S_INIT("etag"), sent_etag },
        { S_INIT("connection"), sent_connection },
        { S_INIT("keep_alive"), sent_keep_alive },
        { S_INIT("transfer_encoding"), sent_transfer_encoding },
    };
    struct str name = *(const struct str *)data;
    const struct response *res = &request_of(x)->res;

    get_joined(x, v, &res->fields, name);
    for (size_t i = 0; !v->found && i < ARRAY_LEN(special); i++) {
        if (str_eq(special[i].name, name))
            special[i].get(x, v, res);
    }
}

/* ---- the request ---- */

/* A struct str of the client's request; `data` points to its offset. */
static const size_t at_line = offsetof(struct request, line);
static const size_t at_target = offsetof(struct request, target);
static const size_t at_scheme = offsetof(struct request, scheme);

static void
get_str(struct exchange *x, struct var_value *v, const void *data)
{
    found_if(v, *(const struct str *)((const char *)root_of(x) + *(const size_t *)data));
}

static void
get_uri(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, request_of(x)->uri); /* none when the target was refused */
}

static void
get_args(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, request_of(x)->args);
}

static void
set_args(struct exchange *x, struct str value, const void *data)
{
    struct request *r = request_of(x);

    (void)data;
    r->args = rewrite_clean_args(r, value);
    r->uri_as_sent = false;
}

static void
get_is_args(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, request_of(x)->args.len > 0 ? S("?") : S(""));
}

static void
get_method(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, root_of(x)->method_name);
}

static void
get_host(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, request_host(request_of(x)));
}

/* The port in Host or in the request line; empty when there is none. */
static struct str
request_port(const struct request *r)
{
    size_t colon = str_rfind(r->authority, ':');
    struct str port;

    if (colon == r->authority.len)
        return S("");
    port = str_from(r->authority, colon + 1);
    return str_find(port, ']') < port.len ? S("") : port; /* "[::1]" */
}

static void
get_request_port(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, request_port(root_of(x)));
}

static void
get_is_request_port(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, request_port(root_of(x)).len > 0 ? S(":") : S(""));
}

static void
get_https(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, str_eq(root_of(x)->scheme, S("https")) ? S("on") : S(""));
}

/* As the request line says it: HTTP/1.2 too. None where the line is no good. */
static struct str
sent_protocol(const struct request *r)
{
    size_t at = r->line.len;

    while (at > 0 && r->line.ptr[at - 1] != 'H')
        at--;
    if (at == 0 || !str_starts(str_from(r->line, at - 1), S("HTTP/")))
        return STR_NONE;
    return str_from(r->line, at - 1);
}

static void
get_protocol(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    switch (root_of(x)->version) {
    case HTTP_09:
        var_found(v, S("HTTP/0.9"));
        break;
    case HTTP_10:
    case HTTP_11:
        found_if(v, sent_protocol(root_of(x)));
        break;
    case HTTP_2:
        var_found(v, S("HTTP/2.0"));
        break;
    case HTTP_3:
        var_found(v, S("HTTP/3.0"));
        break;
    }
}

/* Of a chunked body: as much as was read of it. */
static void
get_content_length(struct exchange *x, struct var_value *v, const void *data)
{
    struct request *r = request_of(x);

    (void)data;
    found_if(v, fields_value(&r->fields, FIELD_CONTENT_LENGTH));
    if (!v->found && root_of(x)->body_chunked && !r->without_body)
        var_number(x, v, request_body_received(r));
}

static void
get_content_type(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    get_joined(x, v, &request_of(x)->fields, S("content_type"));
}

/* Of `Authorization: Basic ...`: what stands before the colon. */
static void
get_remote_user(struct exchange *x, struct var_value *v, const void *data)
{
    struct str value = fields_value(&request_of(x)->fields, FIELD_AUTHORIZATION);
    struct text t;
    struct str user;

    (void)data;
    if (!str_starts_nocase(value, S("Basic ")))
        return;
    value = str_trim(str_from(value, strlen("Basic ")));
    text_init(&t, &x->mem->arena);
    if (value.len == 0 || !unescape_base64(&t, value) || t.failed)
        return;
    user = text_str(&t);
    if (str_find(user, ':') < user.len && user.ptr[0] != ':')
        var_found(v, str_upto(user, str_find(user, ':')));
}

static void
get_request_length(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, root_of(x)->length);
}

static void
get_request_body(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, request_body_text(request_of(x->root)));
}

static void
get_request_body_file(struct exchange *x, struct var_value *v, const void *data)
{
    struct str path = request_body_file(request_of(x->root));

    (void)data;
    if (path.len > 0)
        var_found(v, path);
}

static void
get_request_id(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, arena_fmt(&x->mem->arena, "%016llx%016llx", (unsigned long long)rand_u64(),
                          (unsigned long long)rand_u64()));
}

static void
get_request_completion(struct exchange *x, struct var_value *v, const void *data)
{
    const struct request *r = root_of(x);
    bool complete =
        r->x.given && r->res.started &&
        (r->res.head_only || r->res.length < 0 || r->body_sent >= (uint64_t)r->res.length);

    (void)data;
    var_found(v, complete ? S("OK") : S(""));
}

static void
get_pipe(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, root_of(x)->pipelined ? S("p") : S("."));
}

static void
get_request_time(struct exchange *x, struct var_value *v, const void *data)
{
    uint64_t started = root_of(x)->started_ms;

    (void)data;
    found_seconds(x, v, clock_ms > started ? clock_ms - started : 0);
}

/* ---- the response ---- */

static void
get_status(struct exchange *x, struct var_value *v, const void *data)
{
    const struct request *r = request_of(x);
    unsigned status = r->res.error_status != 0 ? r->res.error_status : r->res.status;

    (void)data;
    if (r->version == HTTP_09)
        status = 9;
    found_if(v, arena_fmt(&x->mem->arena, "%03u", status));
}

static void
get_bytes_sent(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, root_of(x)->bytes_sent);
}

static void
get_body_bytes_sent(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, root_of(x)->body_sent);
}

static void
get_limit_rate(struct exchange *x, struct var_value *v, const void *data)
{
    const struct request *r = root_of(x);
    uint64_t rate = r->limit_rate;

    (void)data;
    if (!r->limit_rate_set)
        num_parse_size(template_expand(x, &http_conf(x->scope)->limit_rate), &rate);
    var_number(x, v, rate);
}

static void
set_limit_rate(struct exchange *x, struct str value, const void *data)
{
    struct request *r = request_of(x->root);
    uint64_t rate;

    (void)data;
    if (!num_parse_size(value, &rate)) {
        xlog(x, LOG_LEVEL_ERROR, 0, "invalid $limit_rate \"%.*s\"", STR(value));
        return;
    }
    r->limit_rate = rate;
    r->limit_rate_set = true;
}

/* ---- connection ---- */

/* An address as its owner has it; NULL: there is none. */
static void
found_addr(struct exchange *x, struct var_value *v, const struct addr *a)
{
    char text[ADDR_TEXT_MAX];

    if (a != NULL && a->len > 0)
        found_copy(x, v, str_n(text, addr_format_ip(a, text)));
}

static void
found_port(struct exchange *x, struct var_value *v, const struct addr *a)
{
    if (a == NULL || a->len == 0)
        return;
    if (addr_port(a) != 0)
        var_number(x, v, addr_port(a));
    else
        var_found(v, S(""));
}

static void
get_remote_addr(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_addr(x, v, conn_client(x));
}

static void
get_binary_remote_addr(struct exchange *x, struct var_value *v, const void *data)
{
    const struct addr *a = conn_client(x);

    (void)data;
    if (a != NULL)
        found_copy(x, v, addr_bytes(a));
}

static void
get_remote_port(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_port(x, v, conn_client(x));
}

static void
get_server_addr(struct exchange *x, struct var_value *v, const void *data)
{
    struct conn *c = client_of(x);
    char text[ADDR_TEXT_MAX];
    const struct addr *local;

    (void)data;
    if (c == NULL)
        return;
    local = conn_local(c);
    if (local->sa.sa_family == AF_UNIX) /* the kernel may know the path of its birth only */
        found_copy(x, v, str_n(text, addr_format(&c->spec->addr, false, text)));
    else
        found_copy(x, v, str_n(text, addr_format_ip(local, text)));
}

static void
get_server_port(struct exchange *x, struct var_value *v, const void *data)
{
    struct conn *c = client_of(x);

    (void)data;
    if (c == NULL)
        return;
    if (addr_port(conn_local(c)) != 0)
        var_number(x, v, addr_port(conn_local(c)));
    else
        var_found(v, S(""));
}

static void
get_connection(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, x->log_ctx.id);
}

static void
get_connection_requests(struct exchange *x, struct var_value *v, const void *data)
{
    struct conn *c = client_of(x);

    (void)data;
    if (c != NULL)
        var_number(x, v, c->requests);
}

static void
get_connection_time(struct exchange *x, struct var_value *v, const void *data)
{
    struct conn *c = client_of(x);

    (void)data;
    if (c != NULL)
        found_seconds(x, v, clock_ms > c->opened_ms ? clock_ms - c->opened_ms : 0);
}

/* What the header of the PROXY protocol said; NULL: there was none. */
static const struct proxy_protocol *
proxy_of(struct exchange *x)
{
    return client_of(x) != NULL ? client_of(x)->proxy : NULL;
}

/* An address in it; `data` points to its offset. */
static const size_t at_client = offsetof(struct proxy_protocol, client);
static const size_t at_server = offsetof(struct proxy_protocol, server);

static const struct addr *
proxy_addr(struct exchange *x, const void *at)
{
    const struct proxy_protocol *p = proxy_of(x);

    return p != NULL ? (const struct addr *)((const char *)p + *(const size_t *)at) : NULL;
}

static void
get_proxy_addr(struct exchange *x, struct var_value *v, const void *data)
{
    found_addr(x, v, proxy_addr(x, data));
}

static void
get_proxy_port(struct exchange *x, struct var_value *v, const void *data)
{
    const struct addr *a = proxy_addr(x, data);

    if (a != NULL && a->len > 0)
        var_number(x, v, addr_port(a));
}

static void
get_proxy_tlv(struct exchange *x, struct var_value *v, const void *data)
{
    const struct proxy_protocol *p = proxy_of(x);
    struct str name = *(const struct str *)data;
    uint32_t result;

    if (p == NULL)
        return;
    if (!str_eq(name, S("ssl_verify")))
        found_if(v, proxy_protocol_tlv_named(p->tlvs, name));
    else if (proxy_protocol_ssl_verify(p->tlvs, &result))
        var_number(x, v, result);
}

/* Which of the kernel's figures; `data` points to one of these. */
enum tcp_figure { TCP_RTT, TCP_RTTVAR, TCP_CWND, TCP_RCV_SPACE };
static const enum tcp_figure tcp_rtt = TCP_RTT, tcp_rttvar = TCP_RTTVAR, tcp_cwnd = TCP_CWND,
                             tcp_rcv_space = TCP_RCV_SPACE;

static void
get_tcpinfo(struct exchange *x, struct var_value *v, const void *data)
{
    struct conn *c = client_of(x);
    struct tcp_info info;
    socklen_t len = sizeof(info);
    uint32_t value = 0;

    if (c == NULL || getsockopt(c->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return;
    switch (*(const enum tcp_figure *)data) {
    case TCP_RTT:
        value = info.tcpi_rtt;
        break;
    case TCP_RTTVAR:
        value = info.tcpi_rttvar;
        break;
    case TCP_CWND:
        value = info.tcpi_snd_cwnd;
        break;
    case TCP_RCV_SPACE:
        value = info.tcpi_rcv_space;
        break;
    }
    var_number(x, v, value);
}

/* ---- server, files, process, time ---- */

static void
get_server_name(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_found(v, request_of(x)->server->name);
}

static void
get_document_root(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, http_document_root(request_of(x)));
}

static void
get_realpath_root(struct exchange *x, struct var_value *v, const void *data)
{
    char *root = arena_cstr(&x->mem->arena, http_document_root(request_of(x)));
    char resolved[PATH_MAX];

    (void)data;
    if (root == NULL)
        return;
    if (realpath(root, resolved) == NULL) {
        xlog(x, LOG_LEVEL_ERROR, errno, "realpath() \"%s\" failed", root);
        return;
    }
    found_copy(x, v, str_c(resolved));
}

static void
get_request_filename(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_if(v, http_file_path(request_of(x)));
}

static void
get_hostname(struct exchange *x, struct var_value *v, const void *data)
{
    static char name[HOST_NAME_MAX + 1];

    (void)x, (void)data;
    if (name[0] == '\0' && gethostname(name, sizeof(name) - 1) != 0)
        return;
    var_found(v, str_c(name));
}

static void
get_pid(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    var_number(x, v, (uint64_t)getpid());
}

static void
get_version(struct exchange *x, struct var_value *v, const void *data)
{
    (void)x, (void)data;
    var_found(v, S(WEIR_NGINX_VERSION));
}

static void
get_msec(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_seconds(x, v, clock_wall_ms);
}

static void
get_time_iso8601(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_copy(x, v, clock_iso8601());
}

/* Milliseconds behind the seconds: "2026-11-20T12:00:00.123+00:00". */
static void
get_time_iso8601_ms(struct exchange *x, struct var_value *v, const void *data UNUSED)
{
    struct str text = clock_iso8601();

    found_if(v, arena_fmt(&x->mem->arena, "%.*s.%03u%.*s", STR(str_upto(text, ISO8601_SECONDS)),
                          (unsigned)(clock_wall_ms % 1000), STR(str_from(text, ISO8601_SECONDS))));
}

static void
get_time_local(struct exchange *x, struct var_value *v, const void *data)
{
    (void)data;
    found_copy(x, v, clock_log_time());
}

/* ---- the table ---- */

enum { VOLATILE = VAR_VOLATILE, PREFIX = VAR_PREFIX, SET = VAR_SETTABLE, OF_CONN = VAR_OF_CONN };

const struct variable http_core_variables[] = {
    /* fields, arguments, cookies */
    { "http_", get_http, PREFIX, NULL, NULL },
    { "sent_http_", get_sent_http, PREFIX | VOLATILE, NULL, NULL },
    { "sent_trailer_", get_sent_trailer, PREFIX | VOLATILE, NULL, NULL },
    { "arg_", get_arg, PREFIX | VOLATILE, NULL, NULL },
    { "cookie_", get_cookie, PREFIX, NULL, NULL },

    /* the request */
    { "request", get_str, 0, NULL, &at_line },
    { "request_method", get_method, VOLATILE, NULL, NULL },
    { "request_uri", get_str, 0, NULL, &at_target },
    { "scheme", get_str, OF_CONN, NULL, &at_scheme },
    { "server_protocol", get_protocol, 0, NULL, NULL },
    { "https", get_https, OF_CONN, NULL, NULL },
    { "host", get_host, 0, NULL, NULL },
    { "request_port", get_request_port, 0, NULL, NULL },
    { "is_request_port", get_is_request_port, 0, NULL, NULL },
    { "uri", get_uri, VOLATILE, NULL, NULL },
    { "document_uri", get_uri, VOLATILE, NULL, NULL },
    { "args", get_args, VOLATILE | SET | VAR_CHANGEABLE, set_args, NULL },
    { "query_string", get_args, VOLATILE, NULL, NULL },
    { "is_args", get_is_args, VOLATILE, NULL, NULL },
    { "content_length", get_content_length, VOLATILE, NULL, NULL },
    { "content_type", get_content_type, 0, NULL, NULL },
    { "remote_user", get_remote_user, 0, NULL, NULL },
    { "request_length", get_request_length, VOLATILE, NULL, NULL },
    { "request_body", get_request_body, VOLATILE, NULL, NULL },
    { "request_body_file", get_request_body_file, VOLATILE, NULL, NULL },
    { "request_id", get_request_id, 0, NULL, NULL },
    { "request_completion", get_request_completion, VOLATILE, NULL, NULL },
    { "request_time", get_request_time, VOLATILE, NULL, NULL },
    { "pipe", get_pipe, 0, NULL, NULL },

    /* the response */
    { "status", get_status, VOLATILE, NULL, NULL },
    { "bytes_sent", get_bytes_sent, VOLATILE, NULL, NULL },
    { "body_bytes_sent", get_body_bytes_sent, VOLATILE, NULL, NULL },
    { "limit_rate", get_limit_rate, VOLATILE | SET | VAR_CHANGEABLE, set_limit_rate, NULL },

    /* the connection */
    { "remote_addr", get_remote_addr, OF_CONN, NULL, NULL },
    { "binary_remote_addr", get_binary_remote_addr, OF_CONN, NULL, NULL },
    { "remote_port", get_remote_port, OF_CONN, NULL, NULL },
    { "server_addr", get_server_addr, OF_CONN, NULL, NULL },
    { "server_port", get_server_port, OF_CONN, NULL, NULL },
    { "connection", get_connection, OF_CONN, NULL, NULL },
    { "connection_requests", get_connection_requests, OF_CONN, NULL, NULL },
    { "connection_time", get_connection_time, VOLATILE, NULL, NULL },
    { "proxy_protocol_addr", get_proxy_addr, OF_CONN, NULL, &at_client },
    { "proxy_protocol_port", get_proxy_port, OF_CONN, NULL, &at_client },
    { "proxy_protocol_server_addr", get_proxy_addr, OF_CONN, NULL, &at_server },
    { "proxy_protocol_server_port", get_proxy_port, OF_CONN, NULL, &at_server },
    { "proxy_protocol_tlv_", get_proxy_tlv, PREFIX | OF_CONN, NULL, NULL },
    { "tcpinfo_rtt", get_tcpinfo, VOLATILE, NULL, &tcp_rtt },
    { "tcpinfo_rttvar", get_tcpinfo, VOLATILE, NULL, &tcp_rttvar },
    { "tcpinfo_snd_cwnd", get_tcpinfo, VOLATILE, NULL, &tcp_cwnd },
    { "tcpinfo_rcv_space", get_tcpinfo, VOLATILE, NULL, &tcp_rcv_space },

    /* server, files, process, time */
    { "server_name", get_server_name, 0, NULL, NULL },
    { "document_root", get_document_root, VOLATILE, NULL, NULL },
    { "realpath_root", get_realpath_root, VOLATILE, NULL, NULL },
    { "request_filename", get_request_filename, VOLATILE, NULL, NULL },
    { "hostname", get_hostname, 0, NULL, NULL },
    { "pid", get_pid, 0, NULL, NULL },
    { "nginx_version", get_version, 0, NULL, NULL },
    { "msec", get_msec, VOLATILE, NULL, NULL },
    { "time_iso8601", get_time_iso8601, VOLATILE, NULL, NULL },
    { "time_iso8601_ms", get_time_iso8601_ms, VOLATILE, NULL, NULL },
    { "time_local", get_time_local, VOLATILE, NULL, NULL },
    { 0 }
};
