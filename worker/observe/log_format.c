/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_format.c - formats of the access log: text with variables, each escaped as the format says; and the built-in JSON.
 */
#include "worker/observe/log_format.h"

#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"

enum escape { ESCAPE_DEFAULT, ESCAPE_JSON, ESCAPE_NONE };

struct log_op;
typedef void (*log_op_fn)(struct exchange *x, const struct log_op *op, struct text *t);

/* A piece of a format. */
struct log_op {
    log_op_fn add;
    struct str literal;
    uint32_t variable;
    enum escape escape;
};

struct log_format {
    struct str name;
    struct vec ops; /* of struct log_op */
};

/* ---- pieces of a line ---- */

static void
add_literal(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)x;
    text_add(t, op->literal);
}

static void
add_escaped(const struct log_op *op, struct str value, struct text *t)
{
    switch (op->escape) {
    case ESCAPE_DEFAULT:
        escape_log(t, value);
        break;
    case ESCAPE_JSON:
        escape_json(t, value);
        break;
    case ESCAPE_NONE:
        text_add(t, value);
        break;
    }
}

static void
add_variable(struct exchange *x, const struct log_op *op, struct text *t)
{
    struct var_value v = var_get(x, op->variable);

    if (v.found)
        add_escaped(op, v.text, t);
    else if (op->escape == ESCAPE_DEFAULT)
        text_char(t, '-');
}

/* The commonest numbers and times, without a detour through the variable cache. */

static void
add_status(struct exchange *x, const struct log_op *op, struct text *t)
{
    const struct request *r = request_of(x);
    unsigned status = r->res.error_status != 0 ? r->res.error_status : r->res.status;

    (void)op;
    text_pad(t, r->version == HTTP_09 ? 9 : status, 3);
}

static void
add_body_bytes_sent(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)op;
    text_unum(t, request_of(x->root)->body_sent);
}

static void
add_bytes_sent(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)op;
    text_unum(t, request_of(x->root)->bytes_sent);
}

static void
add_time_local(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)x, (void)op;
    text_add(t, clock_log_time());
}

static void
add_time_iso8601(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)x, (void)op;
    text_add(t, clock_iso8601());
}

static void
add_seconds(struct text *t, uint64_t ms)
{
    text_unum(t, ms / 1000);
    text_char(t, '.');
    text_pad(t, ms % 1000, 3);
}

static void
add_msec(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)x, (void)op;
    add_seconds(t, clock_wall_ms);
}

static void
add_request_time(struct exchange *x, const struct log_op *op, struct text *t)
{
    uint64_t started = request_of(x->root)->started_ms;

    (void)op;
    add_seconds(t, clock_ms > started ? clock_ms - started : 0);
}

static void
add_request_length(struct exchange *x, const struct log_op *op, struct text *t)
{
    (void)op;
    text_unum(t, request_of(x->root)->length);
}

static const struct {
    struct str name;
    log_op_fn add;
} direct[] = {
    { S_INIT("status"), add_status },
    { S_INIT("body_bytes_sent"), add_body_bytes_sent },
    { S_INIT("bytes_sent"), add_bytes_sent },
    { S_INIT("time_local"), add_time_local },
    { S_INIT("time_iso8601"), add_time_iso8601 },
    { S_INIT("msec"), add_msec },
    { S_INIT("request_time"), add_request_time },
    { S_INIT("request_length"), add_request_length },
};

/* ---- the built-in JSON ---- */

/* RFC 8259, 6, as far as our variables go: digits, and more behind a point. */
static bool
is_number(struct str s)
{
    size_t point = str_find(s, '.'), i;

    if (s.len == 0 || point == 0 || point + 1 == s.len ||
        (s.ptr[0] == '0' && s.len > 1 && point != 1))
        return false;
    for (i = 0; i < s.len; i++) {
        if (i != point && (s.ptr[i] < '0' || s.ptr[i] > '9'))
            return false;
    }
    return true;
}

static void
json_text(struct text *t, struct str value)
{
    text_char(t, '"');
    escape_json(t, value);
    text_char(t, '"');
}

static void
add_json_text(struct exchange *x, const struct log_op *op, struct text *t)
{
    struct var_value v = var_get(x, op->variable);

    if (v.found)
        json_text(t, v.text);
    else
        TEXT_LIT(t, "null");
}

static void
add_json_number(struct exchange *x, const struct log_op *op, struct text *t)
{
    struct var_value v = var_get(x, op->variable);

    if (is_number(v.text))
        text_add(t, v.text);
    else
        TEXT_LIT(t, "null");
}

static void
add_json_status(struct exchange *x, const struct log_op *op, struct text *t)
{
    const struct response *res = &request_of(x)->res;

    (void)op;
    text_unum(t, res->error_status != 0 ? res->error_status : res->status);
}

/* One value for each attempt at an origin, over retries (", ") and redirects (" : "); null where there is none. */
static void
json_list(struct text *t, struct str rest, bool numbers)
{
    bool more = rest.len > 0;

    text_char(t, '[');
    while (more) {
        size_t comma = str_search(rest, S(", ")), colon = str_search(rest, S(" : "));
        size_t end = num_min(comma, colon);
        struct str value = str_upto(rest, end);

        if (str_eq(value, S("-")) || (numbers && !is_number(value)))
            TEXT_LIT(t, "null");
        else if (numbers)
            text_add(t, value);
        else
            json_text(t, value);
        more = end < rest.len;
        if (more) {
            text_char(t, ',');
            rest = str_from(rest, end + (end == colon ? 3 : 2));
        }
    }
    text_char(t, ']');
}

static void
add_json_texts(struct exchange *x, const struct log_op *op, struct text *t)
{
    json_list(t, var_get(x, op->variable).text, false);
}

static void
add_json_numbers(struct exchange *x, const struct log_op *op, struct text *t)
{
    json_list(t, var_get(x, op->variable).text, true);
}

static const struct {
    struct str key;       /* with what stands around it */
    const char *variable; /* NULL: `add` needs none */
    log_op_fn add;
} json_members[] = {
    { S_INIT("{\"time\":"), "time_iso8601", add_json_text },
    { S_INIT(",\"remote_addr\":"), "remote_addr", add_json_text },
    { S_INIT(",\"remote_user\":"), "remote_user", add_json_text },
    { S_INIT(",\"connection\":"), "connection", add_json_number },
    { S_INIT(",\"request_id\":"), "request_id", add_json_text },
    { S_INIT(",\"method\":"), "request_method", add_json_text },
    { S_INIT(",\"scheme\":"), "scheme", add_json_text },
    { S_INIT(",\"host\":"), "host", add_json_text },
    { S_INIT(",\"uri\":"), "request_uri", add_json_text },
    { S_INIT(",\"protocol\":"), "server_protocol", add_json_text },
    { S_INIT(",\"server_name\":"), "server_name", add_json_text },
    { S_INIT(",\"status\":"), NULL, add_json_status },
    { S_INIT(",\"bytes_sent\":"), NULL, add_bytes_sent },
    { S_INIT(",\"body_bytes_sent\":"), NULL, add_body_bytes_sent },
    { S_INIT(",\"request_length\":"), NULL, add_request_length },
    { S_INIT(",\"request_time\":"), NULL, add_request_time },
    { S_INIT(",\"referer\":"), "http_referer", add_json_text },
    { S_INIT(",\"user_agent\":"), "http_user_agent", add_json_text },
    { S_INIT(",\"upstream_addr\":"), "upstream_addr", add_json_texts },
    { S_INIT(",\"upstream_status\":"), "upstream_status", add_json_numbers },
    { S_INIT(",\"upstream_response_time\":"), "upstream_response_time", add_json_numbers },
};

/* ---- formats ---- */

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Takes "$name" or "${name}" off the front. False: that is no variable. */
static bool
take_variable(struct str *rest, struct str *name)
{
    struct str s = str_from(*rest, 1);
    bool braces = s.len > 0 && s.ptr[0] == '{';
    size_t n = 0;

    if (braces)
        s = str_from(s, 1);
    while (n < s.len && is_name_char(s.ptr[n]))
        n++;
    if (n == 0 || (braces && (n == s.len || s.ptr[n] != '}')))
        return false;
    *name = str_upto(s, n);
    *rest = str_from(s, n + (braces ? 1 : 0));
    return true;
}

static void
op_for_variable(struct conf_load *l, struct log_op *op, struct str name, struct conf_pos pos)
{
    for (size_t i = 0; i < ARRAY_LEN(direct); i++) {
        if (str_eq(direct[i].name, name)) {
            op->add = direct[i].add;
            return;
        }
    }
    op->add = add_variable;
    op->variable = var_index(l, name, pos);
}

/* Appends the pieces of `text` to the format. */
static bool
format_compile(struct conf_load *l, const struct conf_node *n, int arg, struct str text,
               enum escape escape, struct log_format *f)
{
    while (text.len > 0) {
        struct log_op *op = VEC_PUSH(&f->ops, struct log_op);
        size_t dollar = str_find(text, '$');
        struct str name;

        if (op == NULL)
            return conf_fail(l, n, arg, "out of memory");
        op->escape = escape;
        if (dollar > 0) {
            op->add = add_literal;
            op->literal = str_upto(text, dollar);
            text = str_from(text, dollar);
            continue;
        }
        if (!take_variable(&text, &name))
            return conf_fail(l, n, arg, "invalid parameter \"%.*s\"", STR(text));
        op_for_variable(l, op, name, n != NULL ? n->arg_pos[arg] : (struct conf_pos){ 0, 0, 0 });
    }
    return true;
}

static struct log_format *
format_of_name(const struct log_formats *f, struct str name)
{
    VEC_FOREACH (it, struct log_format *, &f->all) {
        if (str_eq((*it)->name, name))
            return *it;
    }
    return NULL;
}

static struct log_format *
format_new(struct conf_load *l, struct log_formats *all, struct str name)
{
    struct log_format *f = ARENA_NEW(conf_arena(l), struct log_format);
    struct log_format **slot = VEC_PUSH(&all->all, struct log_format *);

    if (f == NULL || slot == NULL)
        return NULL;
    *slot = f;
    f->name = name;
    vec_init(&f->ops, conf_arena(l), sizeof(struct log_op));
    return f;
}

static bool
json_op(struct log_format *f, struct log_op op)
{
    struct log_op *to = VEC_PUSH(&f->ops, struct log_op);

    if (to != NULL)
        *to = op;
    return to != NULL;
}

static const struct log_format *
json_new(struct conf_load *l, struct log_formats *all)
{
    struct log_format *f = format_new(l, all, S("json"));

    for (size_t i = 0; f != NULL && i < ARRAY_LEN(json_members); i++) {
        struct log_op value = { .add = json_members[i].add };

        if (json_members[i].variable != NULL)
            value.variable =
                var_index(l, str_c(json_members[i].variable), (struct conf_pos){ 0, 0, 0 });
        if (!json_op(f, (struct log_op){ .add = add_literal, .literal = json_members[i].key }) ||
            !json_op(f, value))
            return NULL;
    }
    return f != NULL && json_op(f, (struct log_op){ .add = add_literal, .literal = S("}") }) ? f
                                                                                             : NULL;
}

const struct log_format *
log_format_find(struct conf_load *l, struct log_formats *f, struct str name)
{
    const struct log_format *found = format_of_name(f, name);

    return found != NULL || !str_eq(name, S("json")) ? found : json_new(l, f);
}

bool
log_format_define(struct conf_load *l, struct log_formats *all, const struct conf_node *n)
{
    enum escape escape = ESCAPE_DEFAULT;
    uint32_t first = 2;
    struct str value;
    struct log_format *f;

    if (format_of_name(all, n->args[1]) != NULL)
        return conf_fail(l, n, 1, "duplicate \"log_format\" name \"%.*s\"", STR(n->args[1]));
    f = format_new(l, all, n->args[1]);
    if (f == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (conf_param(n->args[2], "escape", &value)) {
        first = 3;
        if (str_eq(value, S("json")))
            escape = ESCAPE_JSON;
        else if (str_eq(value, S("none")))
            escape = ESCAPE_NONE;
        else if (!str_eq(value, S("default")))
            return conf_fail(l, n, 2, "unknown log format escaping \"%.*s\"", STR(value));
    }
    for (uint32_t i = first; i < n->n; i++) {
        if (!format_compile(l, n, (int)i, n->args[i], escape, f))
            return false;
    }
    return true;
}

bool
log_formats_init(struct conf_load *l, struct log_formats *f)
{
    struct log_format *combined;

    vec_init(&f->all, conf_arena(l), sizeof(struct log_format *));
    combined = format_new(l, f, S("combined"));
    return combined != NULL &&
           format_compile(l, NULL, 0,
                          S("$remote_addr - $remote_user [$time_local] \"$request\" $status "
                            "$body_bytes_sent \"$http_referer\" \"$http_user_agent\""),
                          ESCAPE_DEFAULT, combined);
}

void
log_format_line(struct exchange *x, const struct log_format *f, struct text *t)
{
    VEC_FOREACH (op, struct log_op, &f->ops)
        op->add(x, op, t);
}
