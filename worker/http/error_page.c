/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error_page.c - what answers a status: a page that `error_page` names, or a built-in one.
 *
 * The status that the client sees: that of the error; with "=code" that code; with "=" alone what the page's own
 * handler answers. It is kept in res.error_status across the redirect.
 */
#include "worker/http/error_page.h"

#include "common/base/num.h"
#include "worker/core/explain.h"
#include "worker/http/http_core.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"

enum {
    STATUS_KEEP = -1,   /* the error's own */
    STATUS_HANDLER = 0, /* `=`: what the page's handler says */
};

struct error_page_rule {
    uint16_t status;
    int16_t answer; /* STATUS_KEEP, STATUS_HANDLER, or the code after '=' */
    struct template target;
    struct str uri, args; /* of a constant target that is a path */
    struct conf_pos pos;
};

/* ---- the directive ---- */

static bool
rule_status(struct conf_load *l, const struct conf_node *n, int arg, uint16_t *status)
{
    uint32_t number;

    if (!num_parse_u32(n->args[arg], &number) || number == 499)
        return conf_fail(l, n, arg, "invalid value \"%.*s\"", STR(n->args[arg]));
    if (number < 300 || number > 599)
        return conf_fail(l, n, arg, "value \"%.*s\" must be between 300 and 599",
                         STR(n->args[arg]));
    *status = (uint16_t)number;
    return true;
}

/* 494 to 497 are ours: clients see 400. */
static bool
status_is_internal(int status)
{
    return status >= 494 && status <= 497;
}

static bool
rule_answer(struct conf_load *l, const struct conf_node *n, int arg, int16_t *answer)
{
    struct str code = str_from(n->args[arg], 1);
    uint32_t number;

    *answer = STATUS_HANDLER;
    if (code.len == 0)
        return true;
    if (!num_parse_u32(code, &number) || number > 999)
        return conf_fail(l, n, arg, "invalid value \"%.*s\"", STR(n->args[arg]));
    *answer = (int16_t)number;
    return true;
}

/* "uri?args"; *args is never without a pointer. */
static void
split_args(struct str text, struct str *uri, struct str *args)
{
    size_t mark = str_find(text, '?');

    *uri = str_upto(text, mark);
    *args = mark < text.len ? str_from(text, mark + 1) : S("");
}

bool
error_page_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    struct error_page_rule model = { .answer = STATUS_KEEP };
    uint32_t codes_end = n->n - 1;

    (void)d;
    if (n->args[n->n - 2].len > 0 && n->args[n->n - 2].ptr[0] == '=') {
        codes_end--;
        if (codes_end < 2)
            return conf_fail(l, n, (int)codes_end, "invalid value \"%.*s\"",
                             STR(n->args[codes_end]));
        if (!rule_answer(l, n, (int)n->n - 2, &model.answer))
            return false;
    }
    if (!template_compile(l, n, (int)n->n - 1, n->args[n->n - 1], &model.target))
        return false;
    if (template_is_const(&model.target))
        split_args(model.target.text, &model.uri, &model.args);
    if (c->error_pages.size == 0)
        vec_init(&c->error_pages, conf_arena(l), sizeof(struct error_page_rule));
    for (uint32_t i = 1; i < codes_end; i++) {
        struct error_page_rule *rule;

        if (!rule_status(l, n, (int)i, &model.status))
            return false;
        rule = VEC_PUSH(&c->error_pages, struct error_page_rule);
        if (rule == NULL)
            return conf_fail(l, n, 0, "out of memory");
        *rule = model;
        rule->pos = n->pos;
        if (rule->answer == STATUS_KEEP && status_is_internal(rule->status))
            rule->answer = 400;
    }
    return true;
}

/* ---- built-in pages ---- */

#define PAGE(title)                                                                          \
    S_INIT("<html>\r\n<head><title>" title "</title></head>\r\n<body>\r\n<center><h1>" title \
           "</h1></center>\r\n")
#define PAGE_400(title)                                                                 \
    S_INIT("<html>\r\n<head><title>400 " title                                          \
           "</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n" \
           "<center>" title "</center>\r\n")

static const struct page {
    uint16_t status;
    struct str top; /* all but the footer */
} pages[] = {
    { 301, PAGE("301 Moved Permanently") },
    { 302, PAGE("302 Found") },
    { 303, PAGE("303 See Other") },
    { 307, PAGE("307 Temporary Redirect") },
    { 308, PAGE("308 Permanent Redirect") },
    { 400, PAGE("400 Bad Request") },
    { 401, PAGE("401 Authorization Required") },
    { 402, PAGE("402 Payment Required") },
    { 403, PAGE("403 Forbidden") },
    { 404, PAGE("404 Not Found") },
    { 405, PAGE("405 Not Allowed") },
    { 406, PAGE("406 Not Acceptable") },
    { 408, PAGE("408 Request Time-out") },
    { 409, PAGE("409 Conflict") },
    { 410, PAGE("410 Gone") },
    { 411, PAGE("411 Length Required") },
    { 412, PAGE("412 Precondition Failed") },
    { 413, PAGE("413 Request Entity Too Large") },
    { 414, PAGE("414 Request-URI Too Large") },
    { 415, PAGE("415 Unsupported Media Type") },
    { 416, PAGE("416 Requested Range Not Satisfiable") },
    { 417, PAGE("417 Expectation Failed") },
    { 421, PAGE("421 Misdirected Request") },
    { 429, PAGE("429 Too Many Requests") },
    { 494, PAGE_400("Request Header Or Cookie Too Large") },
    { 495, PAGE_400("The SSL certificate error") },
    { 496, PAGE_400("No required SSL certificate was sent") },
    { 497, PAGE_400("The plain HTTP request was sent to HTTPS port") },
    { 500, PAGE("500 Internal Server Error") },
    { 501, PAGE("501 Not Implemented") },
    { 502, PAGE("502 Bad Gateway") },
    { 503, PAGE("503 Service Temporarily Unavailable") },
    { 504, PAGE("504 Gateway Time-out") },
    { 505, PAGE("505 HTTP Version Not Supported") },
    { 507, PAGE("507 Insufficient Storage") },
    { 508, PAGE("508 Loop Detected") },
};

static const struct page *
page_find(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (pages[i].status == status)
            return &pages[i];
    }
    return NULL;
}

static struct str
page_body(struct request *r, const struct page *p)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct text t;

    text_init(&t, request_arena(r));
    text_room(&t, p->top.len + 100);
    text_add(&t, p->top);
    TEXT_LIT(&t, "<hr><center>");
    if (c->server_tokens == TOKENS_TEXT)
        text_add(&t, template_expand(&r->x, &c->server_tokens_text));
    else
        text_add(&t, http_product(c->server_tokens != TOKENS_OFF));
    TEXT_LIT(&t, "</center>\r\n</body>\r\n</html>\r\n");
    return text_str(&t);
}

/* Without a page of ours (418, 599 ...) the body is empty. */
static enum phase_result
send_built_in(struct request *r, int status)
{
    const struct page *p = page_find(status);
    struct str body = p != NULL ? page_body(r, p) : S("");

    request_body_discard(r);
    if (body.ptr == NULL) /* memory is out: the status alone */
        body = S("");
    r->res.error_status = (uint16_t)(status_is_internal(status) ? 400 : status);
    return response_send(r, r->res.error_status, p != NULL ? S("text/html") : STR_NONE, body);
}

/* ---- the answer ---- */

/* After these the connection is not used again: what follows in it cannot be trusted, or is not wanted. */
static bool
status_ends_connection(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 414:
    case 494:
    case 495:
    case 496:
    case 497:
    case 500:
    case 501:
        return true;
    default:
        return false;
    }
}

/* What an unfinished answer leaves: its body goes, its fields stay (Location, WWW-Authenticate). */
static void
drop_body(struct response *res)
{
    source_stop(res->body, STOP_REPLACED);
    res->body = NULL;
    res->length = -1;
    res->content_type = STR_NONE;
    res->charset = STR_NONE;
    res->etag = STR_NONE;
    response_drop_last_modified(res);
    res->accept_ranges = false;
    res->reason = STR_NONE;
    res->from_origin = false;
    res->keep_length = false;
}

/* The scope's rule for a status; none once a request has followed one (recursive_error_pages off). */
static const struct error_page_rule *
rule_find(const struct request *r, int status)
{
    if (r->error_page_used)
        return NULL;
    VEC_FOREACH (rule, struct error_page_rule, &HTTP_CONF(r)->error_pages) {
        if (rule->status == status)
            return rule;
    }
    return NULL;
}

static bool
status_is_redirect(int status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static enum phase_result
follow_rule(struct request *r, const struct error_page_rule *rule, int status)
{
    struct str target = template_expand(&r->x, &rule->target);
    struct str uri = rule->uri, args = rule->args;

    if (target.ptr == NULL)
        return send_built_in(r, 500);
    EXPLAIN("status", rule->pos, "the page of %d is \"%.*s\"", status, STR(target));
    r->error_page_used = !HTTP_CONF(r)->recursive_error_pages;
    r->res.error_status = (uint16_t)(rule->answer == STATUS_KEEP ? status : rule->answer);
    if (target.len > 0 && target.ptr[0] == '@')
        return redirect_named(&r->x, target);
    if (target.len > 0 && target.ptr[0] == '/') {
        if (r->method != METHOD_HEAD) {
            r->method = METHOD_GET;
            r->method_name = S("GET");
        }
        if (!template_is_const(&rule->target))
            split_args(target, &uri, &args);
        return redirect_internal(&r->x, uri, args);
    }
    if (!status_is_redirect(r->res.error_status))
        r->res.error_status = 302;
    if (!redirect_set_location(r, target))
        return send_built_in(r, 500);
    return send_built_in(r, r->res.error_status);
}

/* 444, and what nobody waits for: the connection ends without an answer. */
static enum phase_result
close_silently(struct request *r, int status)
{
    r->res.status = (uint16_t)status;
    r->keepalive = false;
    if (r->x.parent != NULL) /* a part of a page: empty */
        return response_start(r);
    r->codec->abort(&r->x, ABORT_CLOSE);
    return PHASE_DONE;
}

bool
error_page_matches(struct request *r, int status)
{
    return rule_find(r, status) != NULL;
}

enum phase_result
error_page_respond(struct exchange *x, int status)
{
    struct request *r = request_of(x);
    const struct error_page_rule *rule;

    if (r->res.started) { /* too late for another answer */
        if (x->root->conn != NULL)
            r->codec->abort(x->root, ABORT_TRUNCATED);
        return PHASE_DONE;
    }
    drop_body(&r->res);
    r->res.error_status = (uint16_t)status;
    if (status == 444 || status == 499 || status == 408)
        return close_silently(r, status);
    if (status_ends_connection(status)) {
        r->keepalive = false;
        r->res.no_keepalive = true;
    }
    rule = x->jumps <= HTTP_JUMPS_MAX ? rule_find(r, status) : NULL;
    return rule != NULL ? follow_rule(r, rule, status) : send_built_in(r, status);
}
