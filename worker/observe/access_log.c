/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * access_log.c - one line for each request, in formats of the configuration.
 *
 * A format is compiled at load. The lines of one turn of the loop are collected by file and leave in one write at its
 * end, so several workers never tear a line; with buffer= they wait until the buffer is full, or for flush=.
 *
 * Directives: access_log, log_format.
 */
#include <errno.h>
#include <unistd.h>

#include "build/config.h"
#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/event/loop.h"
#include "common/event/timer.h"
#include "common/sys/clock.h"
#include "worker/http/http_conf.h"
#include "worker/http/request_body.h"

enum {
    TURN_BYTES_MAX = 64 * 1024, /* lines of one turn beyond this do not wait for its end */
    COMPLAINT_MS = 60000,       /* a file that cannot be written is reported once in so long */
    BUFFER_DEFAULT = 64 * 1024, /* with flush= alone */
};

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

/* Lines on their way into a file; one for each file, shared by all lines that name it. */
struct log_lines {
    struct log_file *file;
    uint64_t size;     /* buffer=, bytes; 0: until the end of the turn */
    uint64_t flush_ms; /* 0: no limit */
    struct text text;  /* heap of the worker */
    struct timer timer;
    struct list dirty; /* has lines that leave at the end of the turn */
    uint64_t complained_ms;
};

/* One `access_log` line. */
struct log_target {
    struct log_lines *lines;
    const struct log_format *format;
    struct template condition; /* if=; set: only when neither empty nor "0" */
    struct str format_name;
    struct conf_pos pos; /* of the name */
};

/* Per configuration. */
struct log_shared {
    struct vec formats; /* of struct log_format * */
    struct vec lines;   /* of struct log_lines * */
};

struct access_log_conf {
    struct access_log_list {
        struct vec targets; /* of struct log_target */
        bool off;
    } list;
    struct log_shared *shared;
};

extern struct module access_log_module;

static struct log_shared *shared; /* of the worker's configuration */
static struct list dirty = LIST_INIT(dirty);

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
    const struct request *r = request_of(x->root);

    (void)op;
    text_unum(t, r->head_len + request_body_received(r));
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

static const struct log_format *
format_find(const struct log_shared *s, struct str name)
{
    VEC_FOREACH (f, struct log_format *, &s->formats) {
        if (str_eq((*f)->name, name))
            return *f;
    }
    return NULL;
}

static struct log_format *
format_new(struct conf_load *l, struct log_shared *s, struct str name)
{
    struct log_format *f = ARENA_NEW(conf_arena(l), struct log_format);
    struct log_format **slot = VEC_PUSH(&s->formats, struct log_format *);

    if (f == NULL || slot == NULL)
        return NULL;
    *slot = f;
    f->name = name;
    vec_init(&f->ops, conf_arena(l), sizeof(struct log_op));
    return f;
}

static bool
log_format_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_log_conf *c = conf;
    enum escape escape = ESCAPE_DEFAULT;
    uint32_t first = 2;
    struct str value;
    struct log_format *f;

    (void)d;
    if (format_find(c->shared, n->args[1]) != NULL)
        return conf_fail(l, n, 1, "duplicate \"log_format\" name \"%.*s\"", STR(n->args[1]));
    f = format_new(l, c->shared, n->args[1]);
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
    bool buffered;
};

static bool
log_option(struct conf_load *l, const struct conf_node *n, int arg, struct log_target *target,
           struct log_options *o)
{
    struct str text = n->args[arg], value;

    if (conf_param(text, "buffer", &value)) {
        o->buffered = true;
        return (num_parse_size(value, &o->size) && o->size > 0) ||
               conf_fail(l, n, arg, "invalid buffer size \"%.*s\"", STR(value));
    }
    if (conf_param(text, "flush", &value)) {
        o->buffered = true;
        return (num_parse_duration(value, &o->flush_ms) && o->flush_ms > 0) ||
               conf_fail(l, n, arg, "invalid flush time \"%.*s\"", STR(value));
    }
    if (conf_param(text, "if", &value))
        return template_compile(l, n, arg, value, &target->condition);
    if (str_eq(text, S("gzip")) || conf_param(text, "gzip", &value))
        return conf_fail(l, n, arg, "compressed access logs are not supported");
    return conf_fail(l, n, arg, "invalid parameter \"%.*s\"", STR(text));
}

/* All lines of one file share its buffer, so they have to agree about it. */
static bool
lines_agree(struct conf_load *l, const struct conf_node *n, struct log_lines *lines,
            const struct log_options *o)
{
    if (!o->buffered)
        return true;
    if (lines->size > 0 && (lines->size != o->size || lines->flush_ms != o->flush_ms))
        return conf_fail(l, n, 1, "access_log \"%.*s\" already defined with conflicting parameters",
                         STR(lines->file->path));
    lines->size = o->size;
    lines->flush_ms = o->flush_ms;
    return true;
}

static bool
path_is_supported(struct conf_load *l, const struct conf_node *n)
{
    if (str_starts(n->args[1], S("syslog:")))
        return conf_fail(l, n, 1, "access logs to syslog are not supported");
    if (str_find(n->args[1], '$') < n->args[1].len)
        return conf_fail(l, n, 1, "variables in the path of an access log are not supported");
    return true;
}

static bool
access_log_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct access_log_conf *c = conf;
    struct log_options options = { .size = BUFFER_DEFAULT };
    struct log_target *target;

    (void)d;
    if (str_eq(n->args[1], S("off"))) {
        c->list.off = true;
        return n->n == 2 || conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
    }
    if (!path_is_supported(l, n))
        return false;
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
    target->lines = lines_of(l, c->shared, n->args[1]);
    if (target->lines == NULL)
        return conf_fail(l, n, 1, "out of memory");
    return lines_agree(l, n, target->lines, &options);
}

static bool
access_log_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct access_log_conf *c = conf;
    struct log_shared *all = ARENA_NEW(conf_arena(l), struct log_shared);
    struct log_format *combined;
    struct log_target *target;

    (void)s;
    if (all == NULL)
        return false;
    c->shared = all;
    vec_init(&all->formats, conf_arena(l), sizeof(struct log_format *));
    vec_init(&all->lines, conf_arena(l), sizeof(struct log_lines *));
    combined = format_new(l, all, S("combined"));
    if (combined == NULL ||
        !format_compile(l, NULL, 0,
                        S("$remote_addr - $remote_user [$time_local] \"$request\" $status "
                          "$body_bytes_sent \"$http_referer\" \"$http_user_agent\""),
                        ESCAPE_DEFAULT, combined))
        return false;
    vec_init(&c->list.targets, conf_arena(l), sizeof(struct log_target));
    target = VEC_PUSH(&c->list.targets, struct log_target);
    if (target == NULL)
        return false;
    target->format_name = combined->name;
    target->format = combined; /* its file: only when somebody logs there */
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
        target->format = format_find(c->shared, target->format_name);
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
            if (target->lines == NULL)
                target->lines = lines_of(l, c->shared, default_path());
            if (target->lines == NULL)
                return conf_fail_at(l, s->pos, "out of memory");
        }
    }
    return true;
}

/* ---- writing ---- */

static void
complain(struct log_lines *lines, int error, size_t lost)
{
    if (lines->complained_ms != 0 && clock_ms - lines->complained_ms < COMPLAINT_MS)
        return;
    lines->complained_ms = clock_ms;
    log_alert(error, "write() to \"%.*s\" failed, %zu bytes of log lines are lost",
              STR(lines->file->path), lost);
}

static void
lines_write(struct log_lines *lines)
{
    const char *at = lines->text.ptr;
    size_t left = lines->text.len;

    while (left > 0) {
        ssize_t n = write(lines->file->fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            complain(lines, n < 0 ? errno : EIO, left);
            break;
        }
        at += n;
        left -= (size_t)n;
    }
    lines->text.len = 0;
    list_del(&lines->dirty);
    timer_stop(&lines->timer);
}

static void
lines_on_time(struct timer *t)
{
    lines_write(CONTAINER_OF(t, struct log_lines, timer));
}

/* A line was appended: now, at the end of the turn, or later. */
static void
lines_added(struct log_lines *lines)
{
    if (lines->size > 0) {
        if (lines->text.len >= lines->size)
            lines_write(lines);
        else if (lines->flush_ms > 0 && lines->timer.deadline_ms == 0)
            timer_set(&lines->timer, lines->flush_ms);
    } else if (lines->text.len >= TURN_BYTES_MAX) {
        lines_write(lines);
    } else if (!list_linked(&lines->dirty)) {
        list_add_tail(&dirty, &lines->dirty);
    }
}

static void
write_turn(struct task *t)
{
    (void)t;
    LIST_FOREACH (it, &dirty)
        lines_write(LIST_ENTRY(it, struct log_lines, dirty));
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

static void
log_line(struct exchange *x, const struct log_target *target)
{
    struct log_lines *lines = target->lines;
    struct text *t = &lines->text;
    size_t before = t->len;

    VEC_FOREACH (op, struct log_op, &target->format->ops)
        op->add(x, op, t);
    text_char(t, '\n');
    if (t->failed) { /* memory: this line is lost, not those before */
        t->len = before;
        t->failed = false;
        complain(lines, ENOMEM, 1);
        return;
    }
    lines_added(lines);
}

static enum phase_result
access_log_write(struct exchange *x)
{
    const struct access_log_conf *c = scope_conf(x->scope, &access_log_module);

    var_new_round(x);
    VEC_FOREACH (target, struct log_target, &c->list.targets) {
        if (is_wanted(x, target))
            log_line(x, target);
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

static bool
access_log_worker_init(struct config *config)
{
    static struct task turn = { .run = write_turn };
    struct access_log_conf *c = scope_conf(config->root, &access_log_module);

    for (struct scope *s = config->root->children; s != NULL; s = s->next) {
        if (s->kind == SCOPE_HTTP)
            c = scope_conf(s, &access_log_module);
    }
    shared = c != NULL ? c->shared : NULL;
    if (shared == NULL)
        return true;
    VEC_FOREACH (it, struct log_lines *, &shared->lines) {
        text_init(&(*it)->text, NULL);
        (*it)->timer.on_time = lines_on_time;
    }
    loop_hook(&turn);
    return true;
}

static void
access_log_worker_exit(struct config *config)
{
    (void)config;
    if (shared == NULL)
        return;
    VEC_FOREACH (it, struct log_lines *, &shared->lines) {
        lines_write(*it);
        text_free(&(*it)->text);
    }
}

/* ---- tables ---- */

static const struct directive access_log_directives[] = {
    D_CALL("log_format", CTX_HTTP, ARGS(2, ARGS_ANY), log_format_set, .repeat = true),
    D_CALL("access_log", CTX_HTTP | CTX_SRV | CTX_LOC | CTX_LIF | CTX_LMT, ARGS(1, ARGS_ANY),
           access_log_set, FIELD(struct access_log_conf, list), .inherit = I_LIST),
    D_NO_OP("open_log_file_cache", CTX_HTTP | CTX_SRV | CTX_LOC, ARGS(1, 4), "log files stay open"),
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
