/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - module `headers`: add_header, add_trailer and expires put fields into responses; add_header_inherit and
 * add_trailer_inherit say whether inner levels have them too.
 */
#include "common/base/num.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/core/explain.h"
#include "worker/http/body.h"
#include "worker/http/date.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"
#include "worker/http/lint_vars.h"

enum expires {
    EXPIRES_OFF,
    EXPIRES_EPOCH,
    EXPIRES_MAX,
    EXPIRES_ACCESS,
    EXPIRES_MODIFIED,
    EXPIRES_DAILY
};

enum { DAY = 86400, EXPIRES_SECONDS_MAX = INT32_MAX };

/* What `expires` says, in seconds: an age, or with DAILY the time of the day. */
struct expiry {
    enum expires kind;
    int64_t seconds;
};

struct added_field {
    struct str name;
    enum field_id id;
    struct template value;
    bool always; /* on every status */
    struct conf_pos pos;
};

/* add_header_inherit, add_trailer_inherit: whether a level has what the outer ones add. */
enum inherit { INHERIT_ON, INHERIT_OFF, INHERIT_MERGE };

/* The lines of one level, or of the level outside that has some. */
struct added_list {
    struct vec lines;         /* of struct added_field */
    const struct scope *home; /* where they stand */
};

struct headers_conf {
    struct added_list fields, trailers;
    uint32_t fields_inherit, trailers_inherit; /* enum inherit */
    struct expiry expires;
    struct template expires_text; /* with variables: parsed for each response */
    bool expires_modified;        /* `expires modified TEXT` */
};

extern struct module headers_module;

/* ---- directives ---- */

static bool
headers_set_field(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct added_list *list = (struct added_list *)((char *)conf + d->offset);
    struct added_field *f;

    if (list->lines.size == 0)
        vec_init(&list->lines, conf_arena(l), sizeof(*f));
    if (!field_name_valid(n->args[1]))
        return conf_fail(l, n, 1, "invalid field name \"%.*s\"", STR(n->args[1]));
    if (n->n > 3 && !str_eq(n->args[3], S("always")))
        return conf_fail(l, n, 3, "invalid parameter \"%.*s\"", STR(n->args[3]));
    list->home = conf_scope(l);
    if (field_is_framing(field_id(n->args[1]))) {
        conf_warn(l, n, 1, "\"%.*s\" is not added: it follows from the connection and the body",
                  STR(n->args[1]));
        return true;
    }
    f = VEC_PUSH(&list->lines, struct added_field);
    if (f == NULL)
        return conf_fail(l, n, 0, "out of memory");
    f->pos = n->pos;
    f->name = n->args[1];
    f->id = field_id(f->name);
    f->always = n->n > 3;
    return template_compile(l, n, 2, n->args[2], &f->value);
}

static bool
list_append(struct conf_load *l, struct vec *to, const struct vec *from)
{
    VEC_FOREACH (f, struct added_field, from) {
        struct added_field *copy = VEC_PUSH(to, struct added_field);

        if (copy == NULL)
            return conf_fail_at(l, conf_scope(l)->pos, "out of memory");
        *copy = *f;
    }
    return true;
}

/* What is added in a scope; with `off` only what stands in it. */
static const struct vec *
list_of(const struct added_list *list, uint32_t inherit, const struct scope *s)
{
    static const struct vec none;

    return inherit == INHERIT_OFF && list->home != s ? &none : &list->lines;
}

/* `merge`: the outer level's lines, then those of this one. */
static bool
list_merge(struct conf_load *l, struct added_list *list, const struct vec *outer)
{
    struct vec both;

    if (list->home != conf_scope(l))
        return true; /* they are the outer level's */
    vec_init(&both, conf_arena(l), sizeof(struct added_field));
    if (!list_append(l, &both, outer) || !list_append(l, &both, &list->lines))
        return false;
    list->lines = both;
    return true;
}

static bool
headers_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct headers_conf *c = conf;
    const struct headers_conf *outer =
        s->parent != NULL ? scope_conf(s->parent, &headers_module) : NULL;

    if (outer == NULL || outer == c)
        return true;
    if (c->fields_inherit == INHERIT_MERGE &&
        !list_merge(l, &c->fields, list_of(&outer->fields, outer->fields_inherit, s->parent)))
        return false;
    return c->trailers_inherit != INHERIT_MERGE ||
           list_merge(l, &c->trailers,
                      list_of(&outer->trailers, outer->trailers_inherit, s->parent));
}

/* "off", "epoch", "max", "30d", "+24h", "-1", "@15h30m"; false: none of these. */
static bool
expiry_parse(struct str text, bool modified, struct expiry *e)
{
    bool minus = str_starts(text, S("-")), daily = str_starts(text, S("@"));
    bool prefix = minus || daily || str_starts(text, S("+"));
    uint64_t ms;

    *e = (struct expiry){ .kind = EXPIRES_OFF };
    if (!modified) {
        if (str_eq(text, S("off")))
            return true;
        if (str_eq(text, S("epoch")))
            return e->kind = EXPIRES_EPOCH, true;
        if (str_eq(text, S("max")))
            return e->kind = EXPIRES_MAX, true;
    }
    if (prefix && text.len < 2)
        return false;
    if (!num_parse_duration(prefix ? str_from(text, 1) : text, &ms) ||
        ms / 1000 > EXPIRES_SECONDS_MAX)
        return false;
    e->kind = daily ? EXPIRES_DAILY : modified ? EXPIRES_MODIFIED : EXPIRES_ACCESS;
    e->seconds = (int64_t)(ms / 1000) * (minus ? -1 : 1);
    return !daily || (!modified && e->seconds <= DAY);
}

static bool
headers_set_expires(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                    void *conf)
{
    struct headers_conf *c = conf;
    int arg = n->n > 2 ? 2 : 1;

    c->expires_modified = n->n > 2;
    c->expires = (struct expiry){ .kind = EXPIRES_OFF };
    if (n->n > 2 && !str_eq(n->args[1], S("modified")))
        return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    if (!template_compile(l, n, arg, n->args[arg], &c->expires_text))
        return false;
    if (!template_is_const(&c->expires_text))
        return true;
    return expiry_parse(n->args[arg], c->expires_modified, &c->expires) ||
           conf_fail(l, n, arg, "invalid value \"%.*s\"", STR(n->args[arg]));
}

/* ---- the filter ---- */

/* nginx's list of statuses on which a field without `always` is added. */
static bool
status_gets_fields(uint16_t status)
{
    switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 301:
    case 302:
    case 303:
    case 304:
    case 307:
    case 308:
        return true;
    default:
        return false;
    }
}

static bool
set_expires(struct request *r, struct response *res, int64_t at, struct str control)
{
    char *date = arena_alloc(request_arena(r), DATE_LEN);
    struct str value;

    if (date == NULL || control.ptr == NULL)
        return false;
    date_format(at > 0 ? at : 0, date);
    value = str_n(date, DATE_LEN);
    EXPLAIN("header", explain_place(r->x.scope, "expires", S("")),
            "sets \"Expires: %.*s\" and \"Cache-Control: %.*s\"", STR(value), STR(control));
    return fields_set(&res->fields, FIELD_EXPIRES, STR_NONE, value) != NULL &&
           fields_set(&res->fields, FIELD_CACHE_CONTROL, STR_NONE, control) != NULL;
}

/* The next time of day `seconds`, by the local clock as nginx takes it. */
static int64_t
next_daily(int64_t now, int64_t seconds)
{
    struct tm tm;
    time_t t = (time_t)now;
    int64_t at;

    localtime_r(&t, &tm);
    tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
    tm.tm_isdst = -1;
    at = (int64_t)mktime(&tm) + seconds;
    if (at > now)
        return at;
    tm.tm_mday++;
    tm.tm_isdst = -1;
    return (int64_t)mktime(&tm) + seconds;
}

static bool
add_expires(struct request *r, struct response *res, const struct headers_conf *c)
{
    struct expiry e = c->expires;
    int64_t now = (int64_t)(clock_wall_ms / 1000), at = now, modified;

    if (c->expires_text.set && !template_is_const(&c->expires_text) &&
        !expiry_parse(template_expand(&r->x, &c->expires_text), c->expires_modified, &e))
        return true;
    switch (e.kind) {
    case EXPIRES_OFF:
        return true;
    case EXPIRES_EPOCH:
        return set_expires(r, res, 1, S("no-cache"));
    case EXPIRES_MAX:
        return set_expires(r, res, 2145916555, S("max-age=315360000"));
    case EXPIRES_ACCESS:
        at = now + e.seconds;
        break;
    case EXPIRES_MODIFIED: /* an age of 0 means now, whenever the file was changed */
        modified = response_last_modified(res);
        at = (modified >= 0 && e.seconds != 0 ? modified : now) + e.seconds;
        break;
    case EXPIRES_DAILY:
        at = next_daily(now, e.seconds);
        break;
    }
    if (at < now || e.seconds < 0)
        return set_expires(r, res, at, S("no-cache"));
    return set_expires(r, res, at,
                       arena_fmt(request_arena(r), "max-age=%lld", (long long)(at - now)));
}

/* Last-Modified and ETag take the place of the response's own; an empty value takes it away. */
static bool
replace_validator(struct response *res, const struct added_field *f, struct str value)
{
    if (f->id == FIELD_ETAG) {
        res->etag = value;
        fields_remove(&res->fields, FIELD_ETAG);
        return true;
    }
    response_drop_last_modified(res);
    if (value.len == 0 || date_parse(value, &res->last_modified))
        return true;
    res->last_modified = -1;
    return fields_add(&res->fields, f->id, f->name, value) != NULL;
}

/* The type of the whole response: one of two would be taken by chance. */
static bool
replace_type(struct response *res, struct str value)
{
    if (value.len > 0) {
        res->content_type = value;
        res->charset = STR_NONE;
    }
    return true;
}

static bool
add_one(struct request *r, struct response *res, const struct added_field *f, struct str value)
{
    if (!field_value_valid(value)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid value of field \"%.*s\" was not added",
             STR(f->name));
        return true;
    }
    if (f->id == FIELD_LAST_MODIFIED || f->id == FIELD_ETAG)
        return replace_validator(res, f, value);
    if (f->id == FIELD_CONTENT_TYPE)
        return replace_type(res, value);
    return value.len == 0 || fields_add(&res->fields, f->id, f->name, value) != NULL;
}

static bool
headers_head(struct exchange *x, struct response *res)
{
    struct request *r = request_of(x);
    const struct headers_conf *c = scope_conf(x->scope, &headers_module);
    bool usual = status_gets_fields(res->status);

    if (usual && !add_expires(r, res, c))
        return false;
    VEC_FOREACH (f, struct added_field, list_of(&c->fields, c->fields_inherit, x->scope)) {
        struct str value;

        if (!usual && !f->always) {
            EXPLAIN("header", f->pos, "adds nothing to a %u without \"always\"", res->status);
            continue;
        }
        value = template_expand(x, &f->value);
        EXPLAIN("header", f->pos, "adds \"%.*s: %.*s\"", STR(f->name), STR(value));
        if (value.ptr == NULL || !add_one(r, res, f, value))
            return false;
    }
    return true;
}

static bool
headers_wanted(const struct scope *s)
{
    const struct headers_conf *c = scope_conf(s, &headers_module);

    return list_of(&c->fields, c->fields_inherit, s)->len > 0 || c->expires.kind != EXPIRES_OFF ||
           !template_is_const(&c->expires_text);
}

/* ---- trailers ---- */

static bool
trailer_applies(const struct added_field *f, uint16_t status)
{
    return f->always || (status_gets_fields(status) && status != 204 && status != 304);
}

/* HTTP/1.1 sends trailers behind chunks alone, so the length goes. Runs when nobody changes the body any more. */
static bool
trailers_head(struct exchange *x, struct response *res)
{
    const struct headers_conf *c = scope_conf(x->scope, &headers_module);

    if (res->head_only || request_of(x)->version != HTTP_11 ||
        !HTTP_CONF(request_of(x))->chunked_transfer_encoding)
        return true;
    VEC_FOREACH (f, struct added_field, list_of(&c->trailers, c->trailers_inherit, x->scope)) {
        if (!trailer_applies(f, res->status))
            continue;
        res->length = -1;
        if (res->body == NULL) /* nothing, but in chunks */
            res->body = body_mem(x, S(""));
        return res->body != NULL;
    }
    return true;
}

static bool
trailers_wanted(const struct scope *s)
{
    const struct headers_conf *c = scope_conf(s, &headers_module);

    return list_of(&c->trailers, c->trailers_inherit, s)->len > 0;
}

/* Called by response_trailers at the body's end: values are those of that moment. */
static void
headers_add_trailers(struct request *r)
{
    const struct headers_conf *c = scope_conf(r->x.scope, &headers_module);

    VEC_FOREACH (f, struct added_field, list_of(&c->trailers, c->trailers_inherit, r->x.scope)) {
        struct str value;

        if (!trailer_applies(f, r->res.status))
            continue;
        value = template_expand(&r->x, &f->value);
        if (!field_value_valid(value))
            xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid value of field \"%.*s\" was not added",
                 STR(f->name));
        else if (value.len > 0)
            fields_add(&r->res.trailers, f->id, f->name, value);
    }
}

/* ---- checks ---- */

/* What is lost without `add_header_inherit merge`. */
static void
check_lost(struct conf_load *l, const struct lint_line *at)
{
    const struct headers_conf *c = scope_conf(at->scope, &headers_module);
    bool fields = str_eq(at->node->args[0], S("add_header"));

    if ((fields ? c->fields_inherit : c->trailers_inherit) != INHERIT_ON || !lint_lost_lines(l, at))
        return;
    conf_hint(l, "repeat them here, or write \"%s_inherit merge\"",
              fields ? "add_header" : "add_trailer");
}

static void
check_value(struct conf_load *l, const struct lint_line *at)
{
    lint_say_decoded(l, at, 2, "a response's fields",
                     "write $request_uri, which is as the client sent it");
}

static const struct lint_check headers_checks[] = {
    { "lines-lost", "add_header", check_lost },
    { "lines-lost", "add_trailer", check_lost },
    { "decoded-path", "add_header", check_value },
    { "decoded-path", "add_trailer", check_value },
    { 0 },
};

/* ---- tables ---- */

#define HEADERS_CTX (CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF)

static const struct conf_name inherit_names[] = {
    { "on", INHERIT_ON },
    { "off", INHERIT_OFF },
    { "merge", INHERIT_MERGE },
    { 0 },
};

static const struct directive headers_directives[] = {
    D_CALL("add_header", HEADERS_CTX, ARGS(2, 3), headers_set_field,
           FIELD(struct headers_conf, fields), .inherit = I_LIST),
    D_CALL("add_trailer", HEADERS_CTX, ARGS(2, 3), headers_set_field,
           FIELD(struct headers_conf, trailers), .inherit = I_LIST),
    D_ENUM("add_header_inherit", HEADERS_CTX, struct headers_conf, fields_inherit, inherit_names,
           DEFAULT(on)),
    D_ENUM("add_trailer_inherit", HEADERS_CTX, struct headers_conf, trailers_inherit, inherit_names,
           DEFAULT(on)),
    D_CALL("expires", HEADERS_CTX, ARGS(1, 2), headers_set_expires,
           FIELD(struct headers_conf, expires)),
    D_END,
};

static const struct filter headers_filters[] = {
    { .stage = FILTER_FIELDS, .root_only = true, .wanted = headers_wanted, .head = headers_head },
    { .stage = FILTER_TRAILERS,
      .root_only = true,
      .wanted = trailers_wanted,
      .head = trailers_head },
    { 0 },
};

static bool
headers_worker_init(struct config *c UNUSED)
{
    response_add_trailers = headers_add_trailers;
    return true;
}

struct module headers_module = {
    .name = "headers",
    .conf_size = sizeof(struct headers_conf),
    .directives = headers_directives,
    .lint = headers_checks,
    .finish = headers_finish,
    .filters = headers_filters,
    .worker_init = headers_worker_init,
};
