/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * privilege.c - limits and environment of a child, directories of its user.
 */
#include "master/privilege.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "common/sys/file.h"

extern char **environ;

void
privilege_lower_nofile(const struct kept *k)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || k->nofile >= limit.rlim_cur)
        return;
    limit.rlim_cur = k->nofile;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void
privilege_environment(const struct config *c, const struct kept *k)
{
    char **env = calloc(c->core.env.len + 2, sizeof(char *));
    const char *tz = kept_getenv(k, "TZ");
    size_t n = 0;

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
