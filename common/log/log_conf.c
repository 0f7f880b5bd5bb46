/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_conf.c - where errors are logged: module `log`.
 *
 * The lines of a level together make its log and take the place of those of the levels around it. Without any, errors
 * go to the file of -e or to the built-in one. Files are opened by the master after the load.
 *
 * Directive: error_log.
 */
#include "common/log/log_conf.h"

#include "build/config.h"
#include "common/conf/config.h"

#ifndef WEIR_ERROR_LOG_PATH
#define WEIR_ERROR_LOG_PATH "logs/error.log"
#endif
#ifndef WEIR_PREFIX
#define WEIR_PREFIX ""
#endif

/* The module's settings of one scope. */
struct log_conf {
    struct log *log;
};

struct log *
log_of_scope(const struct scope *s)
{
    const struct log_conf *c = scope_conf(s, &log_module);

    return c->log;
}

/* "stderr" or a file; NULL when memory is out. */
static struct log_sink *
sink_of_path(struct conf_load *l, struct str path, enum log_level level)
{
    struct log_file *f;

    if (str_eq(path, S("stderr")))
        return log_sink_stderr(conf_arena(l), level);
    f = config_log_file(l, path);
    return f != NULL ? log_sink_file(conf_arena(l), f, level) : NULL;
}

static bool
is_json(struct str word)
{
    return str_eq(word, S("json")) || str_eq(word, S("format=json"));
}

static bool
log_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct log_conf *c = conf;
    enum log_level level = LOG_LEVEL_ERROR;
    struct str path = n->args[1];
    struct log_sink *sink;
    struct error err;
    bool json;

    (void)d;
    json = n->n > 2 && is_json(n->args[n->n - 1]);
    if (n->n - json > 3)
        return conf_fail(l, n, 3, "invalid parameter \"%.*s\"", STR(n->args[3]));
    if (n->n - json == 3 && !log_level_parse(n->args[2], &level)) {
        conf_fail(l, n, 2, "invalid log level \"%.*s\"", STR(n->args[2]));
        conf_hint(l, "levels are debug, info, notice, warn, error, crit, alert, emerg");
        return false;
    }
    if (str_starts(path, S("memory:"))) {
        conf_fail(l, n, 1, "%s was built without logs in memory", log_program);
        conf_hint(l, "log to a file or to stderr");
        return false;
    }
    if (str_starts(path, S("syslog:"))) {
        sink = log_sink_syslog(conf_arena(l), str_from(path, 7), level, &err);
        if (sink == NULL)
            return conf_fail(l, n, 1, "%s", err.text);
    } else {
        sink = sink_of_path(l, path, level);
    }
    if (str_eq(path, S("off"))) {
        conf_warn(l, n, 1, "\"error_log off\" logs to a file named \"off\"");
        conf_hint(l, "the least is: error_log /dev/null emerg;");
    }
    if (c->log == NULL)
        c->log = ARENA_NEW(conf_arena(l), struct log);
    if (c->log == NULL || sink == NULL)
        return false;
    if (json)
        log_sink_in_json(sink);
    log_add_sink(c->log, sink);
    return true;
}

/* A built-in path below the built-in prefix moves with -p. */
static struct str
built_in_path(void)
{
    struct str path = S(WEIR_ERROR_LOG_PATH), prefix = S(WEIR_PREFIX);

    if (prefix.len > 0 && str_starts(path, prefix) && path.ptr[prefix.len] == '/')
        return str_from(path, prefix.len + 1);
    return path;
}

/* The outermost scope comes first: what it has is what holds without further lines. */
static bool
log_finish(struct conf_load *l, struct scope *s, void *conf)
{
    struct config *config = conf_config(l);
    struct log_conf *c = conf;
    struct str path = config->error_log.len > 0 ? config->error_log : built_in_path();
    struct log_sink *sink;

    if (s->kind != SCOPE_MAIN)
        return true;
    if (c->log == NULL) {
        sink = sink_of_path(l, path, LOG_LEVEL_ERROR);
        c->log = sink != NULL ? ARENA_NEW(conf_arena(l), struct log) : NULL;
        if (c->log == NULL)
            return false;
        log_add_sink(c->log, sink);
    }
    config->log = *c->log;
    return true;
}

static const struct directive log_directives[] = {
    D_CALL("error_log", CTX_MAIN | CTX_HTTP | CTX_SRV | CTX_LOC | CTX_STREAM | CTX_SSRV, ARGS(1, 3),
           log_set, .inherit = I_LIST, FIELD(struct log_conf, log),
           .help =
               "file | stderr | syslog:server=address[,parameter=value], the least level, json"),
    D_END
};

struct module log_module = {
    .name = "log",
    .conf_size = sizeof(struct log_conf),
    .directives = log_directives,
    .finish = log_finish,
};
