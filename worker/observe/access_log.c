/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access_log.c - one line for each request, in formats of the configuration, to files and to syslog.
 *
 * log_format.c makes the lines, log_writer.c gets them into files.
 *
 * Directives: access_log, log_format, open_log_file_cache.
 */
#include <errno.h>

#include "build/config.h"
#include "common/base/num.h"
#include "common/event/loop.h"
#include "common/log/syslog.h"
#include "worker/core/cycle.h"
#include "worker/http/http_conf.h"
#include "worker/observe/log_format.h"
#include "worker/observe/log_writer.h"

enum {
    GZIP_LEVEL_DEFAULT = 1,
    GZIP_BUFFER_DEFAULT = 64 * 1024, /* with gzip alone */
};

/* One `access_log` line: one of lines, syslog and path. */
struct log_target {
    struct log_lines *lines;
    struct syslog_target *syslog;
    struct template path; /* with variables */
    const struct log_format *format;
    struct template condition; /* if=; set: only when neither empty nor "0" */
    struct str format_name;
    struct conf_pos pos; /* of the name */
};

/* Per configuration. */
struct log_shared {
    struct log_formats formats;
    struct vec lines;  /* of struct log_lines * */
    struct vec caches; /* of struct log_cache * */
};

struct access_log_conf {
    struct access_log_list {
        struct vec targets; /* of struct log_target */
        bool off;
    } list;
    struct log_cache *cache; /* NULL: off */
    struct log_shared *shared;
};

extern struct module access_log_module;

static struct log_shared *shared; /* of the worker's configuration */

/* ---- access_log ---- */

static struct log_lines *
lines_of(struct conf_load *l, struct log_shared *s, struct str path)
{
    struct log_file *file = config_log_file(l, path);
    struct log_lines *lines;
    struct log_lines **slot;

    if (file == NULL)
        return NULL;
    VEC_FOREACH (it, struct log_lines *, &s->lines) {
        if ((*it)->file == file)
            return *it;
    }
    lines = ARENA_NEW(conf_arena(l), struct log_lines);
    slot = VEC_PUSH(&s->lines, struct log_lines *);
    if (lines == NULL || slot == NULL)
        return NULL;
    lines->file = file;
    *slot = lines;
    return lines;
}

struct log_options {
    uint64_t size, flush_ms;
    uint32_t gzip;
};

static bool
option_gzip(struct conf_load *l, const struct conf_node *n, int arg, struct str level,
            struct log_options *o)
{
    o->gzip = GZIP_LEVEL_DEFAULT;
    if (level.ptr != NULL && (!num_parse_u32(level, &o->gzip) || o->gzip < 1 || o->gzip > 9))
        return conf_fail(l, n, arg, "invalid compression level \"%.*s\"", STR(level));
    if (o->size == 0)
        o->size = GZIP_BUFFER_DEFAULT;
    return true;
}

static bool
log_option(struct conf_load *l, const struct conf_node *n, int arg, struct log_target *target,
           struct log_options *o)
{
    struct str text = n->args[arg], value = STR_NONE;

    if (conf_param(text, "buffer", &value))
        return (num_parse_size(value, &o->size) && o->size > 0) ||
               conf_fail(l, n, arg, "invalid buffer size \"%.*s\"", STR(value));
    if (conf_param(text, "flush", &value))
        return (num_parse_duration(value, &o->flush_ms) && o->flush_ms > 0) ||
               conf_fail(l, n, arg, "invalid flush time \"%.*s\"", STR(value));
    if (conf_param(text, "if", &value))
        return template_compile(l, n, arg, value, &target->condition);
    if (str_eq(text, S("gzip")) || conf_param(text, "gzip", &value))
        return option_gzip(l, n, arg, value, o);
    return conf_fail(l, n, arg, "invalid parameter \"%.*s\"", STR(text));
}

/* All lines of one file share its buffer, so they have to agree about it. */
static bool
lines_agree(struct conf_load *l, const struct conf_node *n, struct log_lines *lines,
            const struct log_options *o)
{
    if (o->size == 0)
        return true;
    if (lines->size > 0 &&
        (lines->size != o->size || lines->flush_ms != o->flush_ms || lines->gzip != (int)o->gzip))
        return conf_fail(l, n, 1, "access_log \"%.*s\" already defined with conflicting parameters",
                         STR(lines->file->path));
    lines->size = o->size;
    lines->flush_ms = o->flush_ms;
    lines->gzip = (int)o->gzip;
    return true;
}

/* Where the lines go, now that the options are known. */
static bool
set_destination(struct conf_load *l, const struct conf_node *n, struct access_log_conf *c,
                struct log_target *target, const struct log_options *o)
{
    struct str path = n->args[1];
    struct error err;

    if (o->flush_ms > 0 && o->size == 0)
        return conf_fail(l, n, 1, "no buffer is defined for access_log \"%.*s\"", STR(path));
    if (str_starts(path, S("syslog:"))) {
        if (o->size > 0)
            return conf_fail(l, n, 1, "logs to syslog cannot be buffered");
        target->syslog = syslog_open(conf_arena(l), str_from(path, strlen("syslog:")), &err);
        return target->syslog != NULL || conf_fail(l, n, 1, "%s", err.text);
    }
    if (str_find(path, '$') < path.len) {
        if (o->size > 0)
            return conf_fail(l, n, 1, "buffered logs cannot have variables in name");
        return template_compile(l, n, 1, path, &target->path);
    }
    target->lines = lines_of(l, c->shared, path);
    if (target->lines == NULL)
        return conf_fail(l, n, 1, "out of memory");
    return lines_agree(l, n, target->lines, o);
}

static bool
access_log_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_log_conf *c = conf;
    struct log_options options = { .size = 0 };
    struct log_target *target;

    (void)d;
    if (str_eq(n->args[1], S("off"))) {
        c->list.off = true;
        return n->n == 2 || conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
    }
    if (c->list.targets.size == 0)
        vec_init(&c->list.targets, conf_arena(l), sizeof(struct log_target));
    target = VEC_PUSH(&c->list.targets, struct log_target);
    if (target == NULL)
        return conf_fail(l, n, 0, "out of memory");
    target->format_name = n->n > 2 ? n->args[2] : S("combined");
    target->pos = n->arg_pos[n->n > 2 ? 2 : 1];
    for (uint32_t i = 3; i < n->n; i++) {
        if (!log_option(l, n, (int)i, target, &options))
            return false;
    }
    return set_destination(l, n, c, target, &options);
}

static bool
log_format_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_log_conf *c = conf;

    (void)d;
    return log_format_define(l, &c->shared->formats, n);
}

/* ---- open_log_file_cache ---- */

static bool
cache_option(struct conf_load *l, const struct conf_node *n, int arg, struct log_cache *cache)
{
    struct str text = n->args[arg], value;
    bool good = false;

    if (conf_param(text, "max", &value))
        good = num_parse_u32(value, &cache->max);
    else if (conf_param(text, "inactive", &value))
        good = num_parse_duration(value, &cache->inactive_ms);
    else if (conf_param(text, "min_uses", &value))
        good = num_parse_u32(value, &cache->min_uses) && cache->min_uses > 0;
    else if (conf_param(text, "valid", &value))
        good = num_parse_duration(value, &cache->valid_ms);
    return good ||
           conf_fail(l, n, arg, "invalid \"open_log_file_cache\" parameter \"%.*s\"", STR(text));
}

static bool
cache_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_log_conf *c = conf;
    struct log_cache **slot, *cache = ARENA_NEW(conf_arena(l), struct log_cache);
    bool off = false;

    (void)d;
    if (cache == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *cache = (struct log_cache){ .min_uses = 1, .inactive_ms = 10000, .valid_ms = 60000 };
    for (uint32_t i = 1; i < n->n; i++) {
        if (str_eq(n->args[i], S("off")))
            off = true;
        else if (!cache_option(l, n, (int)i, cache))
            return false;
    }
    c->cache = NULL;
    if (off)
        return true;
    if (cache->max == 0)
        return conf_fail(l, n, 0, "\"open_log_file_cache\" must have \"max\" parameter");
    slot = VEC_PUSH(&c->shared->caches, struct log_cache *);
    if (slot == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *slot = c->cache = cache;
    return true;
}

/* ---- loading ---- */

static bool
access_log_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct access_log_conf *c = conf;
    struct log_shared *all = ARENA_NEW(conf_arena(l), struct log_shared);
    struct log_target *target;

    (void)s;
    if (all == NULL || !log_formats_init(l, &all->formats))
        return false;
    c->shared = all;
    vec_init(&all->lines, conf_arena(l), sizeof(struct log_lines *));
    vec_init(&all->caches, conf_arena(l), sizeof(struct log_cache *));
    vec_init(&c->list.targets, conf_arena(l), sizeof(struct log_target));
    target = VEC_PUSH(&c->list.targets, struct log_target);
    if (target == NULL)
        return false;
    target->format_name = S("combined"); /* its file: only when somebody logs there */
    return true;
}

/* Formats are found when all are known; the struct may share its list with the parent's. */
static bool
access_log_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct access_log_conf *c = conf;

    (void)s;
    if (c->list.off)
        c->list.targets.len = 0;
    VEC_FOREACH (target, struct log_target, &c->list.targets) {
        if (target->format != NULL)
            continue;
        target->format = log_format_find(l, &c->shared->formats, target->format_name);
        if (target->format == NULL)
            return conf_fail_at(l, target->pos, "unknown log format \"%.*s\"",
                                STR(target->format_name));
    }
    return true;
}

/* A path of configure: relative to the prefix in use when it lies below the built-in one. */
static struct str
default_path(void)
{
    struct str path = S(WEIR_HTTP_LOG_PATH), prefix = S(WEIR_PREFIX);

    if (path.len > prefix.len + 1 && str_starts(path, prefix) && path.ptr[prefix.len] == '/')
        return str_from(path, prefix.len + 1);
    return path;
}

static bool
is_served(enum scope_kind kind)
{
    return kind == SCOPE_SERVER || kind == SCOPE_LOCATION || kind == SCOPE_IF ||
           kind == SCOPE_LIMIT_EXCEPT;
}

/* The default log gets its file when there is a server or location without an access_log of its own. */
static bool
access_log_loaded(struct conf_load *l)
{
    const struct vec *scopes = &conf_config(l)->scopes;

    for (uint32_t i = 0; i < scopes->len; i++) {
        struct scope *s = *VEC_AT(scopes, struct scope *, i);
        struct access_log_conf *c;

        if (!is_served(s->kind))
            continue;
        c = scope_conf(s, &access_log_module);
        VEC_FOREACH (target, struct log_target, &c->list.targets) {
            if (target->lines != NULL || target->syslog != NULL || target->path.set)
                continue;
            target->lines = lines_of(l, c->shared, default_path());
            if (target->lines == NULL)
                return conf_fail_at(l, s->pos, "out of memory");
        }
    }
    return true;
}

/* ---- the log phase ---- */

static bool
is_wanted(struct exchange *x, const struct log_target *target)
{
    struct str value;

    if (!target->condition.set)
        return true;
    value = template_expand(x, &target->condition);
    return value.len > 0 && !str_eq(value, S("0"));
}

/* Whether a name that a client had a hand in leads where the configuration says. */
static bool
path_is_safe(struct str path)
{
    struct str rest = path, name;

    while (rest.ptr != NULL && str_split(&rest, '/', &name)) {
        if (str_eq(name, S("..")))
            return false;
    }
    return str_find(path, '\0') == path.len && path.len > 0 && path.ptr[path.len - 1] != '/';
}

/* Names of hosts that nobody has set up make no files: their root is missing. */
static bool
root_exists(struct request *r)
{
    struct str root = http_document_root(r);
    struct open_file *f = root.ptr != NULL ? http_open_file(r, root, true) : NULL;
    int error = f != NULL ? f->error : ENOMEM;
    bool is_dir = f != NULL && error == 0 && f->is_dir;

    open_file_put(f);
    if (error != 0)
        xlog(&r->x, LOG_LEVEL_ERROR, error, "testing \"%.*s\" existence failed", STR(root));
    else if (!is_dir)
        xlog(&r->x, LOG_LEVEL_ERROR, ENOTDIR, "testing \"%.*s\" existence failed", STR(root));
    return is_dir;
}

static void
log_by_path(struct exchange *x, const struct access_log_conf *c, const struct log_target *target)
{
    struct str path = template_expand(x, &target->path);
    struct text line;

    if (path.len > 0 && path.ptr[0] != '/')
        path = arena_fmt(&x->mem->arena, "%.*s%.*s", STR(worker_config->prefix), STR(path));
    if (path.ptr == NULL)
        return;
    if (!path_is_safe(path)) {
        xlog(x, LOG_LEVEL_ERROR, 0, "unsafe name of an access log: \"%.*s\"", STR(path));
        return;
    }
    if (!root_exists(request_of(x)))
        return;
    text_init(&line, NULL);
    log_format_line(x, target->format, &line);
    text_char(&line, '\n');
    if (!line.failed)
        log_path_write(c->cache, path, text_str(&line));
    text_free(&line);
}

static void
log_to_syslog(struct exchange *x, const struct log_target *target)
{
    struct text line;

    text_init(&line, NULL);
    log_format_line(x, target->format, &line);
    if (!line.failed)
        syslog_send(target->syslog, syslog_severity(target->syslog), text_str(&line));
    text_free(&line);
}

static void
log_to_file(struct exchange *x, const struct log_target *target)
{
    struct text *t = &target->lines->text;
    size_t before = t->len;

    log_format_line(x, target->format, t);
    text_char(t, '\n');
    log_lines_added(target->lines, before);
}

static enum phase_result
access_log_write(struct exchange *x)
{
    const struct access_log_conf *c = scope_conf(x->scope, &access_log_module);

    var_new_round(x);
    VEC_FOREACH (target, struct log_target, &c->list.targets) {
        if (!is_wanted(x, target))
            continue;
        if (target->lines != NULL)
            log_to_file(x, target);
        else if (target->syslog != NULL)
            log_to_syslog(x, target);
        else
            log_by_path(x, c, target);
    }
    return PHASE_NEXT;
}

static bool
access_log_wanted(const struct scope *s)
{
    const struct access_log_conf *c = scope_conf(s, &access_log_module);

    return c->list.targets.len > 0;
}

/* ---- the worker's life ---- */

static void
end_turn(struct task *t)
{
    (void)t;
    log_lines_end_turn();
}

/* A new file takes the place of the old one: what waits belongs to the old one. */
static void
before_replace(struct log_file *f)
{
    VEC_FOREACH (it, struct log_lines *, &shared->lines) {
        if ((*it)->file == f)
            log_lines_write(*it);
    }
    VEC_FOREACH (it, struct log_cache *, &shared->caches)
        log_cache_clear(*it);
}

static bool
access_log_worker_init(struct config *config)
{
    static struct task turn = { .run = end_turn };
    struct access_log_conf *c = scope_conf(config->root, &access_log_module);

    for (struct scope *s = config->root->children; s != NULL; s = s->next) {
        if (s->kind == SCOPE_HTTP)
            c = scope_conf(s, &access_log_module);
    }
    shared = c != NULL ? c->shared : NULL;
    if (shared == NULL)
        return true;
    VEC_FOREACH (it, struct log_lines *, &shared->lines)
        log_lines_open(*it);
    VEC_FOREACH (it, struct log_cache *, &shared->caches)
        log_cache_open(*it);
    log_before_replace = before_replace;
    loop_hook(&turn);
    return true;
}

static void
access_log_worker_exit(struct config *config)
{
    (void)config;
    if (shared == NULL)
        return;
    log_before_replace = NULL;
    VEC_FOREACH (it, struct log_lines *, &shared->lines)
        log_lines_close(*it);
    VEC_FOREACH (it, struct log_cache *, &shared->caches)
        log_cache_close(*it);
}

/* ---- tables ---- */

static const struct directive access_log_directives[] = {
    D_CALL("log_format", CTX_HTTP, ARGS(2, ARGS_ANY), log_format_set, .repeat = true),
    D_CALL("access_log", CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF | CTX_LMT, ARGS(1, ARGS_ANY),
           access_log_set, FIELD(struct access_log_conf, list), .inherit = I_LIST),
    D_CALL("open_log_file_cache", CTX_HTTP | CTX_SRV | CTX_LOC, ARGS(1, 4), cache_set,
           FIELD(struct access_log_conf, cache)),
    D_END
};

static const struct phase_entry access_log_phases[] = {
    { .phase = HTTP_LOG, .run = access_log_write, .wanted = access_log_wanted }, { 0 }
};

struct module access_log_module = {
    .name = "access_log",
    .conf_size = sizeof(struct access_log_conf),
    .directives = access_log_directives,
    .conf_init = access_log_init,
    .finish = access_log_finish,
    .loaded = access_log_loaded,
    .phases = access_log_phases,
    .worker_init = access_log_worker_init,
    .worker_exit = access_log_worker_exit,
};
