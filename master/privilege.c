/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.c - sets limits, priority, affinity and environment of a child before it changes its user.
 */
#include "master/privilege.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log/log.h"
#include "common/sys/file.h"
#include "common/sys/proc.h"
#include "master/report.h"

extern char **environ;

/* The n-th CPU that the mask and the system allow. */
static bool
auto_mask(const struct config *c, uint32_t index, uint64_t mask[16])
{
    uint64_t allowed[16] = { 0 };
    unsigned cpus = 0, at;
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return false;
    for (unsigned i = 0; i < CPU_SETSIZE && i < 1024; i++) {
        if (CPU_ISSET(i, &set) && (c->core.affinity_auto_mask[i / 64] >> (i % 64) & 1) != 0) {
            allowed[i / 64] |= 1ULL << (i % 64);
            cpus++;
        }
    }
    if (cpus == 0)
        return false;
    at = index % cpus;
    for (unsigned i = 0; i < 1024; i++) {
        if ((allowed[i / 64] >> (i % 64) & 1) != 0 && at-- == 0) {
            memset(mask, 0, 16 * sizeof(*mask));
            mask[i / 64] = 1ULL << (i % 64);
            return true;
        }
    }
    return false;
}

static void
set_affinity(const struct config *c, uint32_t index)
{
    uint64_t mask[16];

    if (c->core.affinity_auto) {
        if (!auto_mask(c, index, mask))
            return;
    } else if (c->core.affinity.len > 0) {
        uint32_t i = index < c->core.affinity.len ? index : c->core.affinity.len - 1;

        memcpy(mask, VEC_AT(&c->core.affinity, struct cpu_mask, i)->bits, sizeof(mask));
    } else {
        return;
    }
    if (!proc_set_affinity(mask, ARRAY_LEN(mask)))
        log_alert(errno, "sched_setaffinity() failed");
}

bool
privilege_limits(const struct config *c, const struct kept *k, uint32_t index, bool worker)
{
    const struct core_settings *core = &c->core;
    struct error err = { 0 };
    struct rlimit limit;

    /* The master's own limit was raised; a child gets what was there at the start, or what it is given. */
    if (core->rlimit_nofile != UINT64_MAX) {
        if (!proc_set_nofile(core->rlimit_nofile, &err))
            log_alert(0, "%s", err.text);
    } else if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && k->nofile < limit.rlim_cur) {
        limit.rlim_cur = k->nofile;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (core->rlimit_core != UINT64_MAX && !proc_set_core(core->rlimit_core, &err))
        log_alert(0, "%s", err.text);
    if (worker && core->worker_priority != 0 &&
        setpriority(PRIO_PROCESS, 0, core->worker_priority) != 0)
        log_alert(errno, "setpriority(%d) failed", core->worker_priority);
    if (worker)
        set_affinity(c, index);
    if (core->working_directory.len > 0) {
        char path[4096];

        if (!str_to_c(core->working_directory, path, sizeof(path)) || chdir(path) != 0) {
            log_alert(errno, "chdir(\"%.*s\") failed", STR(core->working_directory));
            return false;
        }
    }
    return true;
}

void
privilege_environment(const struct config *c, const struct kept *k)
{
    static char **env; /* for life */
    const char *tz = kept_getenv(k, "TZ");
    size_t n = 0;

    env = calloc(c->core.env.len + 2, sizeof(char *));
    if (env == NULL)
        return;
    VEC_FOREACH (var, struct str, &c->core.env) {
        const char *value;

        if (str_eq(*var, S("TZ")) || str_starts(*var, S("TZ=")))
            tz = NULL;
        if (memchr(var->ptr, '=', var->len) != NULL) {
            env[n++] = strdup(var->ptr);
        } else if ((value = kept_getenv(k, var->ptr)) != NULL) {
            env[n] = malloc(var->len + strlen(value) + 2);
            if (env[n] != NULL) {
                memcpy(env[n], var->ptr, var->len);
                env[n][var->len] = '=';
                strcpy(env[n] + var->len + 1, value);
                n++;
            }
        }
        if (n > 0 && env[n - 1] == NULL)
            n--;
    }
    if (tz != NULL)
        env[n] = (char *)(uintptr_t)tz - 3; /* "TZ=..." as it was kept */
    environ = env;
}

bool
privilege_temp_dirs(const struct config *c, struct report *r)
{
    bool ok = true;

    VEC_FOREACH (dir, struct conf_temp_dir, &c->temp_dirs) {
        struct error err = { 0 };

        if (!file_make_dir(dir->path.ptr, 0700, c->core.uid, c->core.gid, &err))
            ok = report_say(r, LOG_LEVEL_EMERG, "%s", err.text);
    }
    return ok;
}
