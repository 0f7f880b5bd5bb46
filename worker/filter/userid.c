/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * userid.c - gives clients a cookie by which they can be told apart in logs.
 *
 * An identifier has 16 bytes: the service, the time, a number of the worker, and a counter whose last byte is the
 * version. Version 2 has its numbers in network order, version 1 with the lowest byte first. In logs each four bytes are
 * shown as one hexadecimal number with the lowest byte first. A mark takes the place of the first '=' of its base64.
 *
 * Directives: userid, userid_name, userid_domain, userid_path, userid_expires, userid_p3p, userid_mark, userid_service,
 * userid_flags.   Variables: $uid_got, $uid_set, $uid_reset.
 */
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/module.h"
#include "common/sys/clock.h"
#include "worker/core/var.h"
#include "worker/http/date.h"
#include "worker/http/filter.h"
#include "worker/http/http_conf.h"
#include "worker/net/conn.h"

enum { UID_SIZE = 16, UID_TEXT = 22 /* characters of base64 before its padding */ };
enum userid { USERID_OFF, USERID_LOG, USERID_V1, USERID_ON };
enum { EXPIRES_OFF = 0 };
#define EXPIRES_MAX UINT64_MAX
enum samesite { SAMESITE_UNSET, SAMESITE_STRICT, SAMESITE_LAX, SAMESITE_NONE };

struct userid_flags {
    bool secure, httponly;
    enum samesite samesite;
};

struct userid_conf {
    uint32_t enable;                    /* enum userid */
    struct str name, domain, path, p3p; /* domain, p3p empty: not sent */
    uint64_t expires_s;                 /* or EXPIRES_OFF, EXPIRES_MAX */
    char mark;                          /* '\0': none */
    bool has_service;
    uint32_t service;
    struct userid_flags flags;
    uint32_t reset; /* variable $uid_reset, when identifiers are given */
};

/* Of a request. */
struct userid_state {
    bool looked, has_got, chosen, has_set;
    char got_mark; /* what stands in the mark's place in the cookie; '\0': no mark can be there */
    uint8_t got[UID_SIZE], set[UID_SIZE];
};

extern struct module userid_module;

/* ---- identifiers ---- */

static const struct userid_conf *
conf_of(const struct exchange *x)
{
    return scope_conf(x->scope, &userid_module);
}

/* An internal redirect does not give the client another identifier. */
static struct userid_state *
state_of(struct exchange *x)
{
    exchange_keep_state(x, &userid_module);
    return exchange_state(x, &userid_module, sizeof(struct userid_state));
}

static void
put(uint8_t *to, uint32_t number, bool low_first)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(number >> (8 * (low_first ? i : 3 - i)));
}

/* "name=0100007F..." */
static struct str
shown(struct exchange *x, const struct userid_conf *c, const uint8_t *uid)
{
    struct text t;

    text_init(&t, &x->mem->arena);
    text_add(&t, c->name);
    text_char(&t, '=');
    for (unsigned i = 0; i < UID_SIZE; i += 4)
        text_fmt(&t, "%02X%02X%02X%02X", uid[i + 3], uid[i + 2], uid[i + 1], uid[i]);
    return text_str(&t);
}

static void
look_at_cookie(struct exchange *x, const struct userid_conf *c, struct userid_state *s)
{
    struct str cookie = request_cookie(request_of(x), c->name);
    char mem[UID_SIZE + 2];
    struct text t;

    if (s->looked || c->enable == USERID_OFF)
        return;
    s->looked = true;
    if (cookie.ptr == NULL)
        return;
    if (cookie.len < UID_TEXT) {
        xlog(x, LOG_LEVEL_ERROR, 0, "client sent too short userid cookie \"%.*s=%.*s\"",
             STR(c->name), STR(cookie));
        return;
    }
    text_init_fixed(&t, mem, sizeof(mem));
    if (!unescape_base64(&t, str_upto(cookie, UID_TEXT)) || t.len != UID_SIZE) {
        xlog(x, LOG_LEVEL_ERROR, 0, "client sent invalid userid cookie \"%.*s=%.*s\"", STR(c->name),
             STR(cookie));
        return;
    }
    s->has_got = true;
    memcpy(s->got, mem, UID_SIZE);
    if (cookie.len > UID_TEXT + 1 && cookie.ptr[UID_TEXT + 1] == '=')
        s->got_mark = cookie.ptr[UID_TEXT];
}

/* The last four bytes of the address that the client came to. */
static uint32_t
service_of_address(const struct exchange *x)
{
    uint32_t service = 0;
    struct str bytes;

    if (x->root->conn == NULL)
        return 0;
    bytes = addr_bytes(conn_local(x->root->conn));
    for (size_t i = bytes.len > 4 ? bytes.len - 4 : 0; i < bytes.len; i++)
        service = service << 8 | (uint8_t)bytes.ptr[i];
    return service;
}

static void
make_uid(const struct exchange *x, const struct userid_conf *c, uint8_t uid[UID_SIZE])
{
    static uint32_t worker, count1 = 1, count2 = 0x03030302;
    bool v1 = c->enable == USERID_V1;
    uint32_t service = c->service;

    if (worker == 0)
        worker = (uint32_t)rand_u64() << 16 | ((uint32_t)getpid() & 0xffff);
    if (!c->has_service && !v1)
        service = service_of_address(x);
    put(uid, service, v1);
    put(uid + 4, (uint32_t)(clock_wall_ms / 1000), v1);
    put(uid + 8, worker, v1);
    put(uid + 12, v1 ? count1 : count2, v1);
    if (v1)
        count1 += 0x100;
    else
        count2 += 0x100;
}

/* $uid_reset: neither empty nor 0. */
static bool
is_reset(struct exchange *x, const struct userid_conf *c, const struct userid_state *s)
{
    struct str reset = var_get(x, c->reset).text;

    if (reset.len == 0 || str_eq(reset, S("0")))
        return false;
    if (str_eq(reset, S("log")))
        xlog(x, LOG_LEVEL_NOTICE, 0, "userid cookie \"%.*s\" was reset", STR(shown(x, c, s->got)));
    return true;
}

/* Decides what the client is to get: nothing, its own identifier with the mark, or a new one. */
static void
choose_uid(struct exchange *x, const struct userid_conf *c, struct userid_state *s)
{
    if (s->chosen || c->enable < USERID_V1)
        return;
    s->chosen = true;
    look_at_cookie(x, c, s);
    if (s->has_got && !is_reset(x, c, s)) {
        if (c->mark == '\0' || s->got_mark == c->mark)
            return;
        memcpy(s->set, s->got, UID_SIZE);
    } else {
        make_uid(x, c, s->set);
    }
    s->has_set = true;
}

static void
get_got(struct exchange *x, struct var_value *v, const void *data)
{
    const struct userid_conf *c = conf_of(x);
    struct userid_state *s = state_of(x);
    struct str text;

    (void)data;
    if (s == NULL)
        return;
    look_at_cookie(x, c, s);
    text = s->has_got && c->enable != USERID_OFF ? shown(x, c, s->got) : STR_NONE;
    if (text.ptr != NULL)
        var_found(v, text);
}

static void
get_set(struct exchange *x, struct var_value *v, const void *data)
{
    const struct userid_conf *c = conf_of(x);
    struct userid_state *s = state_of(x);
    struct str text;

    (void)data;
    if (s == NULL)
        return;
    choose_uid(x, c, s);
    text = s->has_set ? shown(x, c, s->set) : STR_NONE;
    if (text.ptr != NULL)
        var_found(v, text);
}

static void
get_reset(struct exchange *x, struct var_value *v, const void *data)
{
    (void)x, (void)data;
    var_found(v, S(""));
}

/* ---- the cookie ---- */

/* "Fri, 20-Nov-26 12:00:00 GMT": old browsers want two digits, as long as these are enough. */
static void
add_cookie_date(struct text *t, int64_t seconds)
{
    char date[DATE_LEN];
    struct str year;

    date_format(seconds, date);
    year = str_n(date + 12, 4);
    text_bytes(t, date, 7);
    text_char(t, '-');
    text_bytes(t, date + 8, 3);
    text_char(t, '-');
    text_add(t, str_cmp(year, S("2037")) > 0 ? year : str_from(year, 2));
    text_bytes(t, date + 16, DATE_LEN - 16);
}

static void
add_attributes(struct text *t, const struct userid_conf *c)
{
    static const char *const samesite[] = { "", "strict", "lax", "none" };

    if (c->expires_s == EXPIRES_MAX) {
        TEXT_LIT(t, "; expires=Thu, 31-Dec-37 23:55:55 GMT");
    } else if (c->expires_s != EXPIRES_OFF) {
        TEXT_LIT(t, "; expires=");
        add_cookie_date(t, (int64_t)(clock_wall_ms / 1000 + c->expires_s));
    }
    if (c->domain.len > 0) {
        TEXT_LIT(t, "; domain=");
        text_add(t, c->domain);
    }
    TEXT_LIT(t, "; path=");
    text_add(t, c->path);
    if (c->flags.secure)
        TEXT_LIT(t, "; secure");
    if (c->flags.httponly)
        TEXT_LIT(t, "; httponly");
    if (c->flags.samesite != SAMESITE_UNSET)
        text_fmt(t, "; samesite=%s", samesite[c->flags.samesite]);
}

static bool
userid_head(struct exchange *x, struct response *res)
{
    const struct userid_conf *c = conf_of(x);
    struct userid_state *s = state_of(x);
    struct text t;
    size_t mark_at;

    if (s == NULL)
        return false;
    choose_uid(x, c, s);
    if (!s->has_set)
        return true;
    text_init(&t, &x->mem->arena);
    text_add(&t, c->name);
    text_char(&t, '=');
    mark_at = t.len + UID_TEXT;
    escape_base64(&t, str_n((const char *)s->set, UID_SIZE));
    if (c->mark != '\0' && !t.failed)
        t.ptr[mark_at] = c->mark;
    add_attributes(&t, c);
    if (t.failed || fields_add(&res->fields, FIELD_SET_COOKIE, STR_NONE, text_str(&t)) == NULL)
        return false;
    return c->p3p.len == 0 || fields_add(&res->fields, FIELD_OTHER, S("P3P"), c->p3p) != NULL;
}

static bool
userid_wanted(const struct scope *s)
{
    return ((const struct userid_conf *)scope_conf(s, &userid_module))->enable >= USERID_V1;
}

/* ---- loading ---- */

/* A text that goes into a field; "none", where `data` says so, means that there is none. */
static bool
text_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct str text = n->args[1];

    if (!field_value_valid(text))
        return conf_fail(l, n, 1, "invalid value \"%.*s\"", STR(text));
    if (d->data != NULL && str_eq(text, S("none")))
        text = S("");
    *(struct str *)((char *)conf + d->offset) = text;
    return true;
}

static bool
expires_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct userid_conf *c = conf;
    uint64_t ms;

    (void)d;
    if (str_eq(n->args[1], S("max"))) {
        c->expires_s = EXPIRES_MAX;
        return true;
    }
    c->expires_s = EXPIRES_OFF;
    if (str_eq(n->args[1], S("off")))
        return true;
    if (!num_parse_duration(n->args[1], &ms) || ms / 1000 > INT32_MAX)
        return conf_fail(l, n, 1, "\"userid_expires\" directive invalid value");
    c->expires_s = ms / 1000;
    return true;
}

static bool
mark_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct userid_conf *c = conf;
    struct str text = n->args[1];
    char low;

    (void)d;
    c->mark = '\0';
    if (str_eq(text, S("off")))
        return true;
    low = text.len == 1 ? char_lower(text.ptr[0]) : '\0';
    if (low != '=' && !(low >= '0' && low <= '9') && !(low >= 'a' && low <= 'z'))
        return conf_fail(l, n, 1,
                         "\"userid_mark\" directive value must be \"off\" or a single letter, "
                         "digit or \"=\"");
    c->mark = text.ptr[0];
    return true;
}

static bool
service_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct userid_conf *c = conf;

    (void)d;
    c->has_service = num_parse_u32(n->args[1], &c->service);
    return c->has_service || conf_fail(l, n, 1, "\"userid_service\" directive invalid number");
}

static bool
flags_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct userid_flags *flags = &((struct userid_conf *)conf)->flags;

    (void)d;
    *flags = (struct userid_flags){ .secure = false };
    for (int i = 1; i < (int)n->n; i++) {
        struct str word = n->args[i];

        if (str_eq(word, S("off")) && n->n == 2)
            return true;
        if (str_eq(word, S("secure")))
            flags->secure = true;
        else if (str_eq(word, S("httponly")))
            flags->httponly = true;
        else if (str_eq(word, S("samesite=strict")))
            flags->samesite = SAMESITE_STRICT;
        else if (str_eq(word, S("samesite=lax")))
            flags->samesite = SAMESITE_LAX;
        else if (str_eq(word, S("samesite=none")))
            flags->samesite = SAMESITE_NONE;
        else
            return conf_fail(l, n, i, "invalid value \"%.*s\"", STR(word));
    }
    return true;
}

static bool
userid_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct userid_conf *c = conf;

    if (c->enable >= USERID_V1)
        c->reset = var_index(l, S("uid_reset"), s->pos);
    return true;
}

static const struct conf_name userid_names[] = {
    { "off", USERID_OFF }, { "log", USERID_LOG }, { "v1", USERID_V1 }, { "on", USERID_ON }, { 0 }
};

enum { ANYWHERE = CTX_HTTP | CTX_SRV | CTX_LOC };

#define USERID_TEXT(nm, field, ...) \
    D_CALL(nm, ANYWHERE, ARGS(1, 1), text_set, FIELD(struct userid_conf, field), __VA_ARGS__)

static const struct directive userid_directives[] = {
    D_ENUM("userid", ANYWHERE, struct userid_conf, enable, userid_names, DEFAULT(off)),
    USERID_TEXT("userid_name", name, DEFAULT(uid)),
    USERID_TEXT("userid_domain", domain, .data = "none", DEFAULT(none)),
    USERID_TEXT("userid_path", path, DEFAULT(/)),
    USERID_TEXT("userid_p3p", p3p, .data = "none", DEFAULT(none)),
    D_CALL("userid_expires", ANYWHERE, ARGS(1, 1), expires_set, DEFAULT(off)),
    D_CALL("userid_mark", ANYWHERE, ARGS(1, 1), mark_set, DEFAULT(off)),
    D_CALL("userid_service", ANYWHERE, ARGS(1, 1), service_set),
    D_CALL("userid_flags", ANYWHERE, ARGS(1, 3), flags_set, DEFAULT(off)),
    D_END
};

static const struct variable userid_variables[] = {
    { .name = "uid_got", .get = get_got },
    { .name = "uid_set", .get = get_set },
    { .name = "uid_reset", .get = get_reset, .flags = VAR_CHANGEABLE },
    { 0 },
};

static const struct filter userid_filters[] = {
    { .stage = FILTER_FIELDS, .root_only = true, .wanted = userid_wanted, .head = userid_head },
    { 0 },
};

struct module userid_module = {
    .name = "userid",
    .conf_size = sizeof(struct userid_conf),
    .directives = userid_directives,
    .finish = userid_finish,
    .variables = userid_variables,
    .filters = userid_filters,
};
