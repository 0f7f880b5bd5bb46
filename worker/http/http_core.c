/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_core.c - the directive tables of modules http (blocks, addresses, names) and http_core (what holds in a
 * scope), and the end of loading: names, trees, handler and filter lists.
 *
 * The blocks are a module without settings, so that a server or location that changes nothing of http_core shares its
 * parent's.
 */
#include "worker/http/http_core.h"

#include "build/config.h"
#include "common/base/num.h"
#include "common/event/offload.h"
#include "worker/http/filter.h"
#include "worker/http/location_lint.h"
#include "worker/http/request_body.h"
#include "worker/http/server.h"

/* ---- names of values ---- */

static const struct conf_name satisfy_names[] = { { "all", SATISFY_ALL },
                                                  { "any", SATISFY_ANY },
                                                  { NULL, 0 } };
static const struct conf_name ims_names[] = {
    { "off", IMS_OFF }, { "exact", IMS_EXACT }, { "before", IMS_BEFORE }, { NULL, 0 }
};
static const struct conf_name body_file_names[] = {
    { "off", 0 }, { "on", 1 }, { "clean", 2 }, { NULL, 0 }
};
static const struct conf_name lingering_names[] = {
    { "off", 0 }, { "on", 1 }, { "always", 2 }, { NULL, 0 }
};
static const struct conf_name keepalive_disable_names[] = {
    { "none", 1 }, { "msie6", 2 }, { "safari", 4 }, { NULL, 0 }
};

/* ---- setters ---- */

static bool
keepalive_timeout_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf)
{
    struct http_conf *c = conf;
    uint64_t ms = 0;

    (void)d;
    if (!num_parse_duration(n->args[1], &c->keepalive_timeout_ms))
        return conf_fail(l, n, 1, "\"%s\" directive invalid value", d->name);
    c->keepalive_header_s = 0;
    if (n->n < 3)
        return true;
    if (!num_parse_duration(n->args[2], &ms))
        return conf_fail(l, n, 2, "\"%s\" directive invalid value", d->name);
    c->keepalive_header_s = ms / 1000;
    return true;
}

static bool
server_tokens_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    struct str value = n->args[1];

    (void)d;
    if (str_eq(value, S("off")))
        c->server_tokens = TOKENS_OFF;
    else if (str_eq(value, S("on")))
        c->server_tokens = TOKENS_ON;
    else if (str_eq(value, S("build")))
        c->server_tokens = TOKENS_BUILD;
    else
        c->server_tokens = TOKENS_TEXT;
    if (c->server_tokens != TOKENS_TEXT)
        return true;
    memset(&c->server_tokens_text, 0, sizeof(c->server_tokens_text));
    return template_compile(l, n, 1, value, &c->server_tokens_text);
}

/* A size that may have variables: a constant one is checked now. */
static bool
size_template_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct template *t = (struct template *)((char *)conf + d->offset);
    uint64_t bytes;

    memset(t, 0, sizeof(*t));
    if (!template_compile(l, n, 1, n->args[1], t))
        return false;
    if (template_is_const(t) && !num_parse_size(t->text, &bytes))
        return conf_fail(l, n, 1, "\"%s\" directive invalid value", d->name);
    return true;
}

static bool
aio_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    struct str value = n->args[1], pool = S("default");

    if (str_eq(value, S("off")))
        c->aio = AIO_OFF;
    else if (str_eq(value, S("on")))
        c->aio = AIO_ON;
    else if (str_eq(value, S("threads")) || conf_param(value, "threads", &pool))
        c->aio = AIO_THREADS;
    else
        return conf_fail(l, n, 1, "\"%s\" directive invalid value", d->name);
    c->aio_pool = NULL;
    if (!template_compile(l, n, 1, pool, &c->aio_pool_name))
        return false;
    if (!template_is_const(&c->aio_pool_name))
        return true;
    c->aio_pool = offload_pool_find(pool);
    return c->aio_pool != NULL || conf_fail(l, n, 1, "unknown thread pool \"%.*s\"", STR(pool));
}

static bool
directio_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;

    (void)d;
    if (str_eq(n->args[1], S("off")))
        c->open_files.directio = UINT64_MAX;
    else if (!num_parse_size(n->args[1], &c->open_files.directio))
        return conf_fail(l, n, 1, "\"%s\" directive invalid value", d->name);
    return true;
}

static bool
disable_symlinks_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf)
{
    struct http_conf *c = conf;
    struct str from;

    (void)d;
    c->open_files.symlinks_from = STR_NONE;
    memset(&c->symlinks_from, 0, sizeof(c->symlinks_from));
    if (str_eq(n->args[1], S("off")))
        c->open_files.symlinks = 0;
    else if (str_eq(n->args[1], S("on")))
        c->open_files.symlinks = 1;
    else if (str_eq(n->args[1], S("if_not_owner")))
        c->open_files.symlinks = 2;
    else
        return conf_fail(l, n, 1, "invalid parameter \"%.*s\"", STR(n->args[1]));
    if (n->n < 3)
        return true;
    if (c->open_files.symlinks == 0)
        return conf_fail(l, n, 2, "no parameter may follow \"off\"");
    if (!conf_param(n->args[2], "from", &from) || from.len == 0)
        return conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
    if (!template_compile(l, n, 2, from, &c->symlinks_from))
        return false;
    if (template_is_const(&c->symlinks_from))
        c->open_files.symlinks_from = c->symlinks_from.text;
    return true;
}

static bool
open_file_cache_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    uint32_t max = 0;
    uint64_t inactive_ms = 60000;

    (void)d;
    c->open_files.cache = NULL;
    c->open_files.want_body = false;
    if (n->n == 2 && str_eq(n->args[1], S("off")))
        return true;
    for (uint32_t i = 1; i < n->n; i++) {
        struct str value;
        bool good = false;

        if (conf_param(n->args[i], "max", &value))
            good = num_parse_u32(value, &max) && max > 0;
        else if (conf_param(n->args[i], "inactive", &value))
            good = num_parse_duration(value, &inactive_ms);
        if (!good)
            return conf_fail(l, n, (int)i, "invalid \"open_file_cache\" parameter \"%.*s\"",
                             STR(n->args[i]));
    }
    if (max == 0)
        return conf_fail(l, n, 0, "\"open_file_cache\" must have the \"max\" parameter");
    c->open_files.cache = open_file_cache_new(conf_arena(l), max, inactive_ms);
    c->open_files.want_body = true;
    return c->open_files.cache != NULL || conf_fail(l, n, 0, "out of memory");
}

static bool
temp_dir_add(struct conf_load *l, struct str path)
{
    struct config *c = conf_config(l);
    struct conf_temp_dir *dir;

    if (c->temp_dirs.size == 0)
        vec_init(&c->temp_dirs, &c->arena, sizeof(struct conf_temp_dir));
    VEC_FOREACH (other, struct conf_temp_dir, &c->temp_dirs) {
        if (str_eq(other->path, path))
            return true;
    }
    dir = VEC_PUSH(&c->temp_dirs, struct conf_temp_dir);
    if (dir == NULL)
        return false;
    dir->path = path;
    return true;
}

static bool
temp_path_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct temp_path *t = (struct temp_path *)((char *)conf + d->offset);

    memset(t, 0, sizeof(*t));
    t->path = conf_path(l, n->args[1], false);
    if (t->path.ptr == NULL)
        return conf_fail(l, n, 1, "out of memory");
    for (uint32_t i = 2; i < n->n; i++) {
        if (!num_parse_u32(n->args[i], &t->levels[i - 2]) || t->levels[i - 2] < 1 ||
            t->levels[i - 2] > 3)
            return conf_fail(l, n, (int)i, "\"%s\" directive invalid value", d->name);
    }
    return temp_dir_add(l, t->path) || conf_fail(l, n, 1, "out of memory");
}

static bool
internal_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;

    (void)l, (void)d, (void)n;
    c->internal = true;
    return true;
}

/* ---- the content handler of a scope ---- */

bool
http_set_content(struct conf_load *l, phase_fn content)
{
    struct http_conf *c = conf_own(l, conf_scope(l), &http_core_module);

    if (c == NULL)
        return false;
    c->content = content;
    c->content_of = conf_scope(l);
    c->content_line = conf_line_pos(l);
    return true;
}

void
http_set_auto_redirect(struct conf_load *l)
{
    struct scope *s = conf_scope(l);

    if (s->kind == SCOPE_LOCATION)
        ((struct location *)s->owner)->auto_redirect = true;
}

phase_fn
http_content(struct scope *s)
{
    const struct http_conf *c = http_conf(s);

    if (c->content == NULL)
        return NULL;
    /* Blocks within a location have its handler, nested locations do not. */
    return scope_up((struct scope *)c->content_of, SCOPE_LOCATION) == scope_up(s, SCOPE_LOCATION)
               ? c->content
               : NULL;
}

/* ---- loading ---- */

struct str
http_product(bool version)
{
    bool nginx = str_eq(str_c(log_program), S("nginx"));

    if (version)
        return nginx ? S("nginx/" WEIR_NGINX_VERSION) : S("weir/" WEIR_VERSION);
    return nginx ? S("nginx") : S("weir");
}

/* A path of configure: relative to the prefix in use when it lies below the built-in one. */
static struct str
built_in_path(struct str path)
{
    struct str prefix = S(WEIR_PREFIX);

    if (path.len > prefix.len + 1 && str_starts(path, prefix) && path.ptr[prefix.len] == '/')
        return str_from(path, prefix.len + 1);
    return path;
}

static bool
http_core_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct http_conf *c = conf;

    (void)s;
    c->allow_absolute_form = true;
    c->open_files.directio = UINT64_MAX;
    c->client_body_temp_path.path =
        conf_path(l, built_in_path(S(WEIR_CLIENT_BODY_TEMP_PATH)), false);
    return c->client_body_temp_path.path.ptr != NULL && root_init(l, c) && types_init(l, c);
}

static bool
http_core_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct http_conf *c = conf;
    struct str product = http_product(c->server_tokens != TOKENS_OFF);

    if (c->server_tokens == TOKENS_TEXT) {
        if (!template_is_const(&c->server_tokens_text)) {
            c->server_line = STR_NONE;
            return true;
        }
        product = c->server_tokens_text.text;
    }
    if (s->parent != NULL) {
        const struct http_conf *parent = http_conf(s->parent);

        if (parent->server_tokens == c->server_tokens && c->server_tokens != TOKENS_TEXT &&
            parent->server_line.ptr != NULL) {
            c->server_line = parent->server_line;
            return true;
        }
    }
    c->server_line =
        product.len > 0 ? arena_fmt(conf_arena(l), "Server: %.*s\r\n", STR(product)) : S("");
    return c->server_line.ptr != NULL;
}

static bool
is_http(enum scope_kind kind)
{
    switch (kind) {
    case SCOPE_HTTP:
    case SCOPE_SERVER:
    case SCOPE_LOCATION:
    case SCOPE_IF_SERVER:
    case SCOPE_IF:
    case SCOPE_LIMIT_EXCEPT:
        return true;
    case SCOPE_MAIN:
    case SCOPE_EVENTS:
    case SCOPE_UPSTREAM:
    case SCOPE_STREAM:
    case SCOPE_STREAM_SERVER:
    case SCOPE_STREAM_UPSTREAM:
    case SCOPE_KINDS:
        return false;
    }
    return false;
}

static struct phase_settings
settings_of(struct scope *s)
{
    struct phase_settings own = {
        .content = http_content(s),
        .satisfy_any = http_conf(s)->satisfy == SATISFY_ANY,
    };

    if (own.content != NULL)
        own.content_line = http_conf(s)->content_line;
    return own;
}

/* A scope without settings of its own has its parent's. */
static bool
set_phases(struct conf_load *l, struct scope *s)
{
    struct phase_settings own = settings_of(s), outer = { 0 };

    if (s->kind != SCOPE_HTTP)
        outer = settings_of(s->parent);
    if (own.content == outer.content && own.satisfy_any == outer.satisfy_any &&
        own.content_line.line == outer.content_line.line &&
        own.content_line.file == outer.content_line.file)
        return true;
    return phase_set(l, s, &own);
}

/* The handler and filter lists of every scope, parents first. */
static bool
prepare_scopes(struct conf_load *l)
{
    const struct vec *scopes = &conf_config(l)->scopes;

    for (uint32_t i = 0; i < scopes->len; i++) {
        struct scope *s = *VEC_AT(scopes, struct scope *, i);

        if (!is_http(s->kind))
            continue;
        if (!set_phases(l, s) || !phase_prepare(l, s) || !filters_prepare(l, s))
            return false;
    }
    return true;
}

/* After errors, what else is wrong with addresses and locations. */
static bool
find_conflicts(struct conf_load *l, struct http_main *m)
{
    bool addresses_known = true;

    VEC_FOREACH (s, struct server *, &m->servers) {
        location_prepare(l, *s);
        addresses_known = addresses_known && !conf_is_damaged(l, (*s)->scope, &http_module);
    }
    if (addresses_known)
        listen_prepare(l, m);
    return false;
}

static bool
http_core_loaded(struct conf_load *l)
{
    struct http_main *m = http_main_of(conf_config(l));
    bool good = true;

    if (m == NULL)
        return true;
    if (conf_has_errors(l))
        return find_conflicts(l, m);
    if (http_conf(m->scope)->client_body_temp_path.path.ptr != NULL)
        good = temp_dir_add(l, http_conf(m->scope)->client_body_temp_path.path);
    good = good && listen_prepare(l, m);
    VEC_FOREACH (s, struct server *, &m->servers)
        good = location_prepare(l, *s) && good;
    return good && prepare_scopes(l);
}

/* ---- tables ---- */

enum {
    HTTP = CTX_HTTP,
    HS = CTX_HTTP | CTX_SRV,
    HSL = CTX_HTTP | CTX_SRV | CTX_LOC,
    HSLI = CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF,
};

#define NO_HASH "hash tables find their size themselves"

static const struct directive http_directives[] = {
    D_SCOPE("http", CTX_MAIN, ARGS(0, 0), http_block_set),
    D_SCOPE("server", CTX_HTTP, ARGS(0, 0), server_block_set),
    D_SCOPE("location", CTX_SRV | CTX_LOC, ARGS(1, 2), location_set),
    D_SCOPE("limit_except", CTX_LOC, ARGS(1, ARGS_ANY), limit_except_set),
    D_CALL("listen", CTX_SRV, ARGS(1, ARGS_ANY), listen_set, .repeat = true),
    D_CALL("server_name", CTX_SRV, ARGS(1, ARGS_ANY), server_name_set, .repeat = true),

    /* Accepted without effect. */
    D_NO_OP("server_names_hash_max_size", HTTP, ARGS(1, 1), NO_HASH),
    D_NO_OP("server_names_hash_bucket_size", HTTP, ARGS(1, 1), NO_HASH),
    D_NO_OP("types_hash_max_size", HSL, ARGS(1, 1), NO_HASH),
    D_NO_OP("types_hash_bucket_size", HSL, ARGS(1, 1), NO_HASH),
    D_NO_OP("variables_hash_max_size", HTTP, ARGS(1, 1), NO_HASH),
    D_NO_OP("variables_hash_bucket_size", HTTP, ARGS(1, 1), NO_HASH),
    D_NO_OP("msie_padding", HSL, ARGS(1, 1), "no browser in use needs padded error pages"),
    D_NO_OP("msie_refresh", HSL, ARGS(1, 1), "no browser in use needs it"),
    D_NO_OP("open_file_cache_events", HSL, ARGS(1, 1), "files are looked at as valid= says"),
    D_NO_OP("directio_alignment", HSL, ARGS(1, 1), "the file system is asked"),
    D_NO_OP("aio_write", HSL, ARGS(1, 1), "temporary files are written where it costs least"),
    D_NO_OP("connection_pool_size", HS, ARGS(1, 1), "memory comes from pools of the worker"),
    D_NO_OP("request_pool_size", HS, ARGS(1, 1), "memory comes from pools of the worker"), D_END
};

#define T struct http_conf

static const struct directive http_core_directives[] = {
    /* the request's head: of the address's default server */
    D_MSEC("client_header_timeout", HS, T, client_header_timeout_ms, DEFAULT(60s)),
    D_SIZE("client_header_buffer_size", HS, T, client_header_buffer_size, DEFAULT(1k)),
    D_BUFS("large_client_header_buffers", HS, T, large_client_header_buffers, DEFAULT(4 8k)),
    D_NUM("max_headers", HS, T, max_headers, DEFAULT(1000)),
    D_FLAG("ignore_invalid_headers", HS, T, ignore_invalid_headers, DEFAULT(on)),
    D_FLAG("underscores_in_headers", HS, T, underscores_in_headers, DEFAULT(off)),
    D_FLAG("merge_slashes", HS, T, merge_slashes, DEFAULT(on)),

    /* files */
    D_CALL("root", HSLI, ARGS(1, 1), root_set, FIELD(T, root)),
    D_CALL("alias", CTX_LOC, ARGS(1, 1), alias_set, FIELD(T, root)),
    D_CALL("internal", CTX_LOC, ARGS(0, 0), internal_set, FIELD(T, internal)),
    D_TABLE("types", HSL, ARGS(0, 0), types_set, FIELD(T, types), .repeat = true),
    D_STR("default_type", HSL, T, default_type, .initial = "text/plain"),
    D_CALL("open_file_cache", HSL, ARGS(1, 2), open_file_cache_set, FIELD(T, open_files.cache)),
    D_MSEC("open_file_cache_valid", HSL, T, open_files.valid_ms, DEFAULT(60s)),
    D_NUM("open_file_cache_min_uses", HSL, T, open_files.min_uses, DEFAULT(1)),
    D_FLAG("open_file_cache_errors", HSL, T, open_files.errors, DEFAULT(off)),
    D_CALL("disable_symlinks", HSL, ARGS(1, 2), disable_symlinks_set,
           FIELD(T, open_files.symlinks)),
    D_FLAG("sendfile", HSLI, T, sendfile, DEFAULT(off)),
    D_SIZE("sendfile_max_chunk", HSL, T, sendfile_max_chunk, DEFAULT(2m)),
    D_CALL("aio", HSL, ARGS(1, 1), aio_set, FIELD(T, aio)),
    D_CALL("directio", HSL, ARGS(1, 1), directio_set, FIELD(T, open_files.directio)),
    D_SIZE("read_ahead", HSL, T, read_ahead, DEFAULT(0)),
    D_BUFS("output_buffers", HSL, T, output_buffers, DEFAULT(2 32k)),
    D_FLAG("etag", HSL, T, etag, DEFAULT(on)),
    D_ENUM("if_modified_since", HSL, T, if_modified_since, ims_names, DEFAULT(exact)),
    D_NUM("max_ranges", HSL, T, max_ranges, DEFAULT(4294967295)),
    D_FLAG("log_not_found", HSL, T, log_not_found, DEFAULT(on)),

    /* access */
    D_ENUM("satisfy", HSL, T, satisfy, satisfy_names, DEFAULT(all)),

    D_MSEC("auth_delay", HSL, T, auth_delay_ms, DEFAULT(0)),

    /* the request's body */
    D_SIZE("client_max_body_size", HSL, T, client_max_body_size, DEFAULT(1m)),
    D_SIZE("client_body_buffer_size", HSL, T, client_body_buffer_size, DEFAULT(8k)),
    D_MSEC("client_body_timeout", HSL, T, client_body_timeout_ms, DEFAULT(60s)),
    D_CALL("client_body_early_read", HS, ARGS(1, ARGS_ANY), conf_set_conditions,
           FIELD(T, client_body_early_read)),
    D_ENUM("client_body_in_file_only", HSL, T, client_body_in_file_only, body_file_names,
           DEFAULT(off)),
    D_FLAG("client_body_in_single_buffer", HSL, T, client_body_in_single_buffer, DEFAULT(off)),
    D_CALL("client_body_temp_path", HSL, ARGS(1, 4), temp_path_set,
           FIELD(T, client_body_temp_path)),

    /* sending */
    D_FLAG("tcp_nopush", HSL, T, tcp_nopush, DEFAULT(off)),
    D_FLAG("tcp_nodelay", HSL, T, tcp_nodelay, DEFAULT(on)),
    D_SIZE("postpone_output", HSL, T, postpone_output, DEFAULT(1460)),
    D_CALL("limit_rate", HSLI, ARGS(1, 1), size_template_set, FIELD(T, limit_rate)),
    D_CALL("limit_rate_after", HSLI, ARGS(1, 1), size_template_set, FIELD(T, limit_rate_after)),
    D_MSEC("send_timeout", HSL, T, send_timeout_ms, DEFAULT(60s)),
    D_SIZE("send_lowat", HSL, T, send_lowat, DEFAULT(0)),
    D_FLAG("chunked_transfer_encoding", HSL, T, chunked_transfer_encoding, DEFAULT(on)),
    D_CALL("early_hints", HSL, ARGS(1, ARGS_ANY), conf_set_conditions, FIELD(T, early_hints)),
    D_FLAG("reset_timedout_connection", HSL, T, reset_timedout_connection, DEFAULT(off)),
    D_SIZE("subrequest_output_buffer_size", HSL, T, subrequest_output_buffer_size, DEFAULT(4k)),

    /* keep-alive and the end of connections */
    D_CALL("keepalive_timeout", HSL, ARGS(1, 2), keepalive_timeout_set,
           FIELD(T, keepalive_timeout_ms), DEFAULT(75s)),
    D_MSEC("keepalive_min_timeout", HSL, T, keepalive_min_timeout_ms, DEFAULT(0)),
    D_MSEC("keepalive_time", HSL, T, keepalive_time_ms, DEFAULT(1h)),
    D_NUM("keepalive_requests", HSL, T, keepalive_requests, DEFAULT(1000)),
    D_BITS("keepalive_disable", HSL, T, keepalive_disable, keepalive_disable_names, DEFAULT(msie6)),
    D_ENUM("lingering_close", HSL, T, lingering_close, lingering_names, DEFAULT(on)),
    D_MSEC("lingering_time", HSL, T, lingering_time_ms, DEFAULT(30s)),
    D_MSEC("lingering_timeout", HSL, T, lingering_timeout_ms, DEFAULT(5s)),

    /* redirects, error pages */
    D_FLAG("absolute_redirect", HSL, T, absolute_redirect, DEFAULT(on)),
    D_FLAG("server_name_in_redirect", HSL, T, server_name_in_redirect, DEFAULT(off)),
    D_FLAG("port_in_redirect", HSL, T, port_in_redirect, DEFAULT(on)),
    D_CALL("error_page", HSLI, ARGS(2, ARGS_ANY), error_page_set, FIELD(T, error_pages),
           .inherit = I_LIST),
    D_FLAG("recursive_error_pages", HSL, T, recursive_error_pages, DEFAULT(off)),
    D_CALL("server_tokens", HSL, ARGS(1, 1), server_tokens_set, FIELD(T, server_tokens),
           DEFAULT(on)),
    D_FLAG("log_subrequest", HSL, T, log_subrequest, DEFAULT(off)), D_END
};

#undef T

/* The body before anything else, so that all can ask for it. */
static enum phase_result
read_body_early(struct exchange *x)
{
    struct request *r = request_of(x);
    enum body_state state = request_body_state(r);

    if (state == BODY_AWAITED && !conditions_any(x, &HTTP_CONF(r)->client_body_early_read))
        return PHASE_NEXT;
    return state == BODY_NONE ? PHASE_NEXT : request_body_collect(r);
}

static bool
read_body_early_wanted(const struct scope *s)
{
    return http_conf(s)->client_body_early_read.len > 0;
}

static const struct phase_entry http_core_phases[] = {
    { .phase = HTTP_POST_READ, .run = read_body_early, .wanted = read_body_early_wanted },
    { .phase = HTTP_FIND_LOCATION, .run = location_find },
    { 0 }
};

static const struct lint_check http_checks[] = {
    { "certificate-name", "server_name", http_lint_certificate },
    { 0 },
};

struct module http_module = {
    .name = "http",
    .directives = http_directives,
    .lint = http_checks,
};

struct module http_core_module = {
    .name = "http_core",
    .conf_size = sizeof(struct http_conf),
    .directives = http_core_directives,
    .conf_init = http_core_init,
    .finish = http_core_finish,
    .loaded = http_core_loaded,
    .lint = location_checks,
    .loaded_anyway = true,
    .variables = http_core_variables,
    .phases = http_core_phases,
};
