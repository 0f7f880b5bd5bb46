/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - module `headers`: add_header, add_trailer and expires put fields into responses.
 */
#include "common/base/num.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/http/date.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"

enum expires {
    EXPIRES_OFF,
    EXPIRES_EPOCH,
    EXPIRES_MAX,
    EXPIRES_ACCESS,
    EXPIRES_MODIFIED,
    EXPIRES_DAILY
};

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
};

struct headers_conf {
    struct vec fields, trailers; /* of struct added_field */
    struct expiry expires;
    struct template expires_text; /* with variables: parsed for each response */
    bool expires_modified;        /* `expires modified TEXT` */
};

extern struct module headers_module;

/* ---- directives ---- */

static bool
headers_set_field(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *v = (struct vec *)((char *)conf + d->offset);
    struct added_field *f;

    if (v->size == 0)
        vec_init(v, conf_arena(l), sizeof(*f));
    if (!field_name_valid(n->args[1]))
        return conf_fail(l, n, 1, "invalid field name \"%.*s\"", STR(n->args[1]));
    if (n->n > 3 && !str_eq(n->args[3], S("always")))
        return conf_fail(l, n, 3, "invalid parameter \"%.*s\"", STR(n->args[3]));
    f = VEC_PUSH(v, struct added_field);
    if (f == NULL)
        return conf_fail(l, n, 0, "no memory");
    f->name = n->args[1];
    f->id = field_id(f->name);
    f->always = n->n > 3;
    return template_compile(l, n, 2, n->args[2], &f->value);
}

/* "off", "epoch", "max", "30d", "-1", "@15h30m"; false: none of these. */
static bool
expiry_parse(struct str text, bool modified, struct expiry *e)
{
    bool minus = str_starts(text, S("-")), daily = str_starts(text, S("@"));
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
    if ((minus || daily) && text.len < 2)
        return false;
    if (!num_parse_duration(minus || daily ? str_from(text, 1) : text, &ms) || ms > INT64_MAX / 2)
        return false;
    e->kind = daily ? EXPIRES_DAILY : modified ? EXPIRES_MODIFIED : EXPIRES_ACCESS;
    e->seconds = (int64_t)(ms / 1000) * (minus ? -1 : 1);
    return !daily || (!modified && e->seconds < 86400);
}

static bool
headers_set_expires(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                    void *conf)
{
    struct headers_conf *c = conf;
    int arg = n->n > 2 ? 2 : 1;

    c->expires_modified = n->n > 2;
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
    date_format(at, date);
    value = str_n(date, DATE_LEN);
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
    return at > now ? at : at + 86400;
}

static bool
add_expires(struct request *r, struct response *res, const struct headers_conf *c)
{
    struct expiry e = c->expires;
    int64_t now = (int64_t)(clock_wall_ms / 1000), at = now, age;

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
    case EXPIRES_MODIFIED:
        at = (res->last_modified >= 0 ? res->last_modified : now) + e.seconds;
        break;
    case EXPIRES_DAILY:
        at = next_daily(now, e.seconds);
        break;
    }
    age = at - now;
    if (age < 0 || (e.kind != EXPIRES_DAILY && e.seconds < 0))
        return set_expires(r, res, at, S("no-cache"));
    return set_expires(r, res, at, arena_fmt(request_arena(r), "max-age=%lld", (long long)age));
}

/* Last-Modified and Cache-Control have a place of their own. */
static bool
add_one(struct request *r, struct response *res, const struct added_field *f, struct str value)
{
    if (f->id == FIELD_LAST_MODIFIED) {
        res->last_modified = -1;
        fields_remove(&res->fields, FIELD_LAST_MODIFIED);
        if (value.len > 0 && !date_parse(value, &res->last_modified))
            return fields_add(&res->fields, f->id, f->name, value) != NULL;
        return true;
    }
    if (value.len == 0)
        return true;
    if (!field_value_valid(value)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "invalid value of field \"%.*s\" was not added",
             STR(f->name));
        return true;
    }
    if (f->id == FIELD_ETAG) {
        res->etag = value;
        return true;
    }
    return fields_add(&res->fields, f->id, f->name, value) != NULL;
}

static bool
headers_head(struct exchange *x, struct response *res)
{
    struct request *r = request_of(x);
    const struct headers_conf *c = scope_conf(x->scope, &headers_module);
    bool usual = status_gets_fields(res->status);

    if (usual && !add_expires(r, res, c))
        return false;
    VEC_FOREACH (f, struct added_field, &c->fields) {
        struct str value;

        if (!usual && !f->always)
            continue;
        value = template_expand(x, &f->value);
        if (value.ptr == NULL || !add_one(r, res, f, value))
            return false;
    }
    return true;
}

static bool
headers_wanted(const struct scope *s)
{
    const struct headers_conf *c = scope_conf(s, &headers_module);

    return c->fields.len > 0 || c->expires.kind != EXPIRES_OFF || c->expires_text.n > 0;
}

/* Called by response_trailers at the body's end: values are those of that moment. */
static void
headers_add_trailers(struct request *r)
{
    const struct headers_conf *c = scope_conf(r->x.scope, &headers_module);

    VEC_FOREACH (f, struct added_field, &c->trailers) {
        struct str value;

        if (!status_gets_fields(r->res.status) && !f->always)
            continue;
        value = template_expand(&r->x, &f->value);
        if (value.len > 0 && field_value_valid(value))
            fields_add(&r->res.trailers, f->id, f->name, value);
    }
}

/* ---- tables ---- */

#define HEADERS_CTX (CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF)

static const struct directive headers_directives[] = {
    D_CALL("add_header", HEADERS_CTX, ARGS(2, 3), headers_set_field,
           FIELD(struct headers_conf, fields), .inherit = I_LIST),
    D_CALL("add_trailer", HEADERS_CTX, ARGS(2, 3), headers_set_field,
           FIELD(struct headers_conf, trailers), .inherit = I_LIST),
    D_CALL("expires", HEADERS_CTX, ARGS(1, 2), headers_set_expires,
           FIELD(struct headers_conf, expires)),
    D_END,
};

static const struct filter headers_filters[] = {
    { .stage = FILTER_FIELDS, .root_only = true, .wanted = headers_wanted, .head = headers_head },
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
    .filters = headers_filters,
    .worker_init = headers_worker_init,
};
