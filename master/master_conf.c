/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * master_conf.c - module `core`: user, worker_processes, pid, daemon, limits, affinity, environment.
 *
 * The settings are collected in the module's struct and copied to config->core, where the master reads them, when
 * the whole text is read.
 *
 * Directives: user, worker_processes, pid, lock_file, daemon, master_process, worker_rlimit_nofile,
 * worker_rlimit_core, worker_priority, worker_cpu_affinity, worker_shutdown_timeout, working_directory, env,
 * timer_resolution, debug_points, pcre_jit, load_module, thread_pool.
 */
#include "master/master_conf.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "build/config.h"
#include "common/base/num.h"
#include "common/base/panic.h"
#include "common/base/regex.h"
#include "common/event/offload.h"
#include "common/shm/counters.h"
#include "common/sys/proc.h"
#include "master/options.h"

enum {
    WORKERS_MAX = 400, /* two generations and a reserve have to fit the slot table */
    AFFINITY_CPUS_MAX = 1024,
    DEBUG_POINTS_NONE = 0,
    DEBUG_POINTS_ABORT,
    DEBUG_POINTS_STOP,
};

struct core_conf {
    struct core_settings s;
    uint32_t debug_points;
    bool pcre_jit;
    struct str lock_path;         /* only checked */
    uint64_t timer_resolution_ms; /* only checked */
    struct vec thread_pools;      /* names, of struct str */
    struct conf_pos affinity_pos;
};

static bool
set_user(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct core_conf *c = conf;
    struct passwd *pw;
    struct group *gr;

    c->s.user = n->args[1];
    c->s.group = n->n > 2 ? n->args[2] : n->args[1];
    if (geteuid() != 0) {
        conf_warn(l, n, 0,
                  "the \"user\" directive makes sense only if the master process runs with "
                  "super-user privileges, ignored");
        return true;
    }
    pw = getpwnam(arena_cstr(conf_arena(l), c->s.user));
    if (pw == NULL)
        return conf_fail(l, n, 1, "getpwnam(\"%.*s\") failed", STR(c->s.user));
    c->s.uid = pw->pw_uid;
    gr = getgrnam(arena_cstr(conf_arena(l), c->s.group));
    if (gr != NULL)
        c->s.gid = gr->gr_gid;
    else if (n->n > 2)
        return conf_fail(l, n, 2, "getgrnam(\"%.*s\") failed", STR(c->s.group));
    else
        c->s.gid = pw->pw_gid;
    return true;
}

static bool
set_worker_processes(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                     void *conf)
{
    struct core_conf *c = conf;

    if (str_eq(n->args[1], S("auto"))) {
        unsigned cpus = proc_cpus();

        c->s.worker_processes = cpus < WORKERS_MAX ? cpus : WORKERS_MAX;
        return true;
    }
    if (!num_parse_u32(n->args[1], &c->s.worker_processes))
        return conf_fail(l, n, 1, "\"worker_processes\" directive invalid value");
    if (c->s.worker_processes == 0 || c->s.worker_processes > WORKERS_MAX) {
        conf_fail(l, n, 1, "\"worker_processes\" directive invalid value");
        conf_hint(l, "from 1 to %d, or \"auto\"", WORKERS_MAX);
        return false;
    }
    return true;
}

static bool
set_priority(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct core_conf *c = conf;
    int64_t value;

    if (!num_parse_i64(n->args[1], &value) || value < -20 || value > 20) {
        conf_fail(l, n, 1, "\"worker_priority\" directive invalid number");
        conf_hint(l, "from -20 (first) to 20 (last)");
        return false;
    }
    c->s.worker_priority = (int)value;
    return true;
}

static bool
set_rlimit_nofile(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                  void *conf)
{
    struct core_conf *c = conf;

    if (!num_parse_u64(n->args[1], &c->s.rlimit_nofile) || c->s.rlimit_nofile == 0)
        return conf_fail(l, n, 1, "\"worker_rlimit_nofile\" directive invalid number");
    return true;
}

static bool
set_rlimit_core(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct core_conf *c = conf;

    if (!num_parse_size(n->args[1], &c->s.rlimit_core))
        return conf_fail(l, n, 1, "\"worker_rlimit_core\" directive invalid value");
    return true;
}

/* "0101": the digit on the right is CPU 0. */
static bool
parse_mask(struct conf_load *l, const struct conf_node *n, int arg, uint64_t bits[16])
{
    struct str text = n->args[arg];

    memset(bits, 0, 16 * sizeof(uint64_t));
    if (text.len > AFFINITY_CPUS_MAX)
        return conf_fail(l, n, arg, "\"worker_cpu_affinity\" supports up to %d CPUs only",
                         AFFINITY_CPUS_MAX);
    for (size_t i = 0; i < text.len; i++) {
        char digit = text.ptr[i];
        size_t cpu = text.len - 1 - i;

        if (digit != '0' && digit != '1')
            return conf_fail(l, n, arg, "invalid character \"%c\" in \"worker_cpu_affinity\"",
                             digit);
        if (digit == '1')
            bits[cpu / 64] |= 1ULL << (cpu % 64);
    }
    return true;
}

static bool
set_affinity(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct core_conf *c = conf;

    c->affinity_pos = n->pos;
    if (str_eq(n->args[1], S("auto"))) {
        c->s.affinity_auto = true;
        if (n->n > 3)
            return conf_fail(l, n, 3, "invalid number of arguments in \"%.*s\" directive",
                             STR(n->args[0]));
        memset(c->s.affinity_auto_mask, 0xff, sizeof(c->s.affinity_auto_mask));
        return n->n < 3 || parse_mask(l, n, 2, c->s.affinity_auto_mask);
    }
    vec_init(&c->s.affinity, conf_arena(l), sizeof(struct cpu_mask));
    for (uint32_t i = 1; i < n->n; i++) {
        struct cpu_mask *mask = VEC_PUSH(&c->s.affinity, struct cpu_mask);

        if (mask == NULL)
            return conf_fail(l, n, (int)i, "out of memory");
        if (!parse_mask(l, n, (int)i, mask->bits))
            return false;
    }
    return true;
}

static bool
set_env(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    struct core_conf *c = conf;
    struct str *var;

    if (c->s.env.arena == NULL)
        vec_init(&c->s.env, conf_arena(l), sizeof(struct str));
    var = VEC_PUSH(&c->s.env, struct str);
    if (var == NULL || (var->ptr = arena_cstr(conf_arena(l), n->args[1])) == NULL)
        return conf_fail(l, n, 1, "out of memory");
    var->len = n->args[1].len;
    return true;
}

static bool
pool_number(struct conf_load *l, struct conf_node *n, int arg, struct str value, uint32_t *to)
{
    if (num_parse_u32(value, to) && *to > 0)
        return true;
    return conf_fail(l, n, arg, "invalid value \"%.*s\"", STR(n->args[arg]));
}

static bool
set_thread_pool(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct core_conf *c = conf;
    struct str name = n->args[1], *slot;
    uint32_t threads = str_eq(name, S("default")) ? 32 : 0, max_queue = 65536;

    if (c->thread_pools.arena == NULL)
        vec_init(&c->thread_pools, conf_arena(l), sizeof(struct str));
    VEC_FOREACH (other, struct str, &c->thread_pools) {
        if (str_eq(*other, name))
            return conf_fail(l, n, 1, "duplicate thread pool \"%.*s\"", STR(name));
    }
    for (uint32_t i = 2; i < n->n; i++) {
        struct str value;

        if (conf_param(n->args[i], "threads", &value)) {
            if (!pool_number(l, n, (int)i, value, &threads))
                return false;
        } else if (conf_param(n->args[i], "max_queue", &value)) {
            if (!pool_number(l, n, (int)i, value, &max_queue))
                return false;
        } else {
            return conf_fail(l, n, (int)i, "invalid parameter \"%.*s\"", STR(n->args[i]));
        }
    }
    if (threads == 0)
        return conf_fail(l, n, -1, "thread pool \"%.*s\" has no \"threads\"", STR(name));
    slot = VEC_PUSH(&c->thread_pools, struct str);
    if (slot == NULL || offload_pool_new(name, threads, max_queue) == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *slot = name;
    return true;
}

/* "modules/ngx_http_geoip_module.so" is about http_geoip. */
static struct str
module_of_file(struct str path)
{
    size_t slash = str_rfind(path, '/');
    struct str name = slash < path.len ? str_from(path, slash + 1) : path;

    if (str_ends(name, S(".so")))
        name.len -= 3;
    if (str_starts(name, S("ngx_")))
        name = str_from(name, 4);
    if (str_ends(name, S("_module")))
        name.len -= 7;
    return name;
}

static bool
is_built_in(struct str name)
{
    struct str plain = str_starts(name, S("http_")) ? str_from(name, 5) : name;
    char token[200];

    if (name.len > 100)
        return false;
    snprintf(token, sizeof(token), "--with-%.*s_module", STR(name));
    for (unsigned i = 0; i < module_count; i++) {
        const struct module *m = modules[i];

        if (str_eq(str_c(m->name), name) || str_eq(str_c(m->name), plain) ||
            (m->configure_token != NULL && strcmp(m->configure_token, token) == 0))
            return true;
    }
    return false;
}

static bool
set_load_module(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf UNUSED)
{
    struct str name = module_of_file(n->args[1]);

    if (is_built_in(name))
        return true;
    conf_fail(l, n, 1, "module \"%.*s\" is not part of %s", STR(name), "weir");
    conf_hint(l, "weir loads no foreign modules; take the line out, and those that need it");
    return false;
}

static bool
set_pcre_jit(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    const struct core_conf *c = conf;

    if (!conf_set_flag(l, d, n, conf))
        return false;
    regex_use_jit(c->pcre_jit);
    return true;
}

static bool
core_init(struct conf_load *l, struct scope *s UNUSED, void *conf)
{
    struct core_conf *c = conf;
    struct config *config = conf_config(l);

    regex_use_jit(true);
    c->s.uid = (uid_t)-1;
    c->s.gid = (gid_t)-1;
    c->s.rlimit_nofile = c->s.rlimit_core = UINT64_MAX;
    c->s.pid_path = options_built_in(&config->arena, config->prefix, WEIR_PID_PATH);
    return c->s.pid_path.ptr != NULL;
}

/* As root, workers always change to somebody: to the user that configure was told. */
static bool
default_user(struct conf_load *l, struct core_conf *c)
{
    struct passwd *pw;
    struct group *gr;

    if (c->s.user.len > 0 || geteuid() != 0)
        return true;
    pw = getpwnam(WEIR_USER);
    gr = getgrnam(WEIR_GROUP);
    if (pw == NULL)
        return conf_fail_at(l, (struct conf_pos){ 0, 0, 0 }, "getpwnam(\"" WEIR_USER "\") failed");
    c->s.user = S(WEIR_USER);
    c->s.group = S(WEIR_GROUP);
    c->s.uid = pw->pw_uid;
    c->s.gid = gr != NULL ? gr->gr_gid : pw->pw_gid;
    return true;
}

static bool
core_finish(struct conf_load *l, struct scope *s UNUSED, void *conf)
{
    struct core_conf *c = conf;

    if (!default_user(l, c))
        return false;
    if (c->s.affinity.len > 0 && c->s.affinity.len != 1 &&
        c->s.affinity.len != c->s.worker_processes)
        conf_warn_at(l, c->affinity_pos,
                     "the number of \"worker_processes\" is not equal to the number of "
                     "\"worker_cpu_affinity\" masks, using last mask for remaining worker "
                     "processes");
    return true;
}

/* The counters of all modules live in a zone that no line of the text names. */
static bool
core_loaded(struct conf_load *l)
{
    struct config *config = conf_config(l);
    const struct core_conf *c = scope_conf(config->root, &core_module);
    static const struct conf_node nowhere;
    uint32_t connections = config->core.worker_connections; /* module `events` fills it */

    if (config_zone(l, &nowhere, S("weir:counters"), counters_number(), &counters_zone_ops) == NULL)
        return false;
    panic_stops = c->debug_points == DEBUG_POINTS_STOP;
    config->core = c->s;
    config->core.worker_connections = connections;
    return true;
}

static const struct conf_name debug_points[] = {
    { "abort", DEBUG_POINTS_ABORT },
    { "stop", DEBUG_POINTS_STOP },
    { NULL, 0 },
};

static const struct directive core_directives[] = {
    D_CALL("user", CTX_MAIN, ARGS(1, 2), set_user),
    D_CALL("worker_processes", CTX_MAIN, ARGS(1, 1), set_worker_processes, DEFAULT(1)),
    D_PATH("pid", CTX_MAIN, struct core_conf, s.pid_path),
    D_PATH("lock_file", CTX_MAIN, struct core_conf, lock_path,
           .help = "without effect: no lock of weir's is a file"),
    D_FLAG("daemon", CTX_MAIN, struct core_conf, s.daemon, DEFAULT(on)),
    D_FLAG("master_process", CTX_MAIN, struct core_conf, s.master_process, DEFAULT(on)),
    D_CALL("worker_rlimit_nofile", CTX_MAIN, ARGS(1, 1), set_rlimit_nofile),
    D_CALL("worker_rlimit_core", CTX_MAIN, ARGS(1, 1), set_rlimit_core),
    D_CALL("worker_priority", CTX_MAIN, ARGS(1, 1), set_priority, DEFAULT(0)),
    D_CALL("worker_cpu_affinity", CTX_MAIN, ARGS(1, ARGS_ANY), set_affinity),
    D_MSEC("worker_shutdown_timeout", CTX_MAIN, struct core_conf, s.shutdown_timeout_ms),
    D_STR("working_directory", CTX_MAIN, struct core_conf, s.working_directory),
    D_CALL("env", CTX_MAIN, ARGS(1, 1), set_env, .repeat = true),
    D_MSEC("timer_resolution", CTX_MAIN, struct core_conf, timer_resolution_ms,
           .help = "without effect: the time is read once in each turn of the event loop"),
    D_ENUM("debug_points", CTX_MAIN, struct core_conf, debug_points, debug_points),
    D_CALL("pcre_jit", CTX_MAIN, ARGS(1, 1), set_pcre_jit, FIELD(struct core_conf, pcre_jit),
           DEFAULT(on)),
    D_CALL("load_module", CTX_MAIN, ARGS(1, 1), set_load_module, .repeat = true,
           .help = "accepted for modules that are built in"),
    D_CALL("thread_pool", CTX_MAIN, ARGS(2, 3), set_thread_pool, .repeat = true),
    D_END,
};

struct module core_module = {
    .name = "core",
    .conf_size = sizeof(struct core_conf),
    .directives = core_directives,
    .conf_init = core_init,
    .finish = core_finish,
    .loaded = core_loaded,
};
