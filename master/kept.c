/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kept.c - remembers what the process was started with.
 */
#include "master/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/sys/file.h"
#include "common/sys/proc.h"

enum { SD_FDS_MAX = 4096 };

static char *
join_path(const char *dir, size_t dir_len, const char *name)
{
    char *path = NULL;

    if (dir_len == 0) {
        dir = ".";
        dir_len = 1;
    }
    return asprintf(&path, "%.*s/%s", (int)dir_len, dir, name) < 0 ? NULL : path;
}

static char *
make_absolute(char *path)
{
    char cwd[4096], *full;

    if (path == NULL || path[0] == '/' || getcwd(cwd, sizeof(cwd)) == NULL)
        return path;
    full = join_path(cwd, strlen(cwd), path[0] == '.' && path[1] == '/' ? path + 2 : path);
    free(path);
    return full;
}

/* What the shell found for argv[0]; links stay, so that a new target is taken at the next reload. */
static char *
find_binary(const char *name)
{
    const char *path = getenv("PATH");
    char *self;
    ssize_t n;

    if (strchr(name, '/') != NULL)
        return make_absolute(strdup(name));
    while (path != NULL && *path != '\0') {
        size_t len = strcspn(path, ":");
        char *candidate = join_path(path, len, name);

        if (candidate != NULL && access(candidate, X_OK) == 0)
            return make_absolute(candidate);
        free(candidate);
        path += len + (path[len] == ':');
    }
    self = malloc(4096);
    n = self != NULL ? readlink("/proc/self/exe", self, 4095) : -1;
    if (n < 0) {
        free(self);
        return NULL;
    }
    self[n] = '\0';
    return self;
}

/* "--handoff=7" and "--preflight=3" belong to one image only. */
static bool
is_image_option(const char *arg)
{
    return strncmp(arg, "--handoff=", 10) == 0 || strncmp(arg, "--preflight=", 12) == 0;
}

static bool
copy_argv(struct kept *k, int argc, char **argv)
{
    k->argv = calloc((size_t)argc + 1, sizeof(char *));
    if (k->argv == NULL)
        return false;
    for (int i = 0; i < argc; i++) {
        if (i == 1 && is_image_option(argv[i]))
            continue;
        k->argv[k->argc] = strdup(argv[i]);
        if (k->argv[k->argc++] == NULL)
            return false;
    }
    return true;
}

static bool
is_consumed(const char *var)
{
    return strncmp(var, "LISTEN_PID=", 11) == 0 || strncmp(var, "LISTEN_FDS=", 11) == 0 ||
           strncmp(var, "LISTEN_FDNAMES=", 15) == 0 || strncmp(var, "LISTEN_PIDFDID=", 15) == 0 ||
           strncmp(var, "NGINX=", 6) == 0;
}

static bool
copy_env(struct kept *k)
{
    size_t n = 0, to = 0;

    while (environ[n] != NULL)
        n++;
    k->env = calloc(n + 1, sizeof(char *));
    if (k->env == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (is_consumed(environ[i]))
            continue;
        k->env[to] = strdup(environ[i]);
        if (k->env[to++] == NULL)
            return false;
    }
    return true;
}

/* Sockets passed by systemd are ours only if LISTEN_PID names us; after exec it would name us again. */
static void
take_inherited(struct kept *k)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *nginx = getenv("NGINX");
    uint64_t n;

    if (pid != NULL && fds != NULL && num_parse_u64(str_c(pid), &n) && n == (uint64_t)getpid() &&
        num_parse_u64(str_c(fds), &n) && n <= SD_FDS_MAX)
        k->sd_count = (unsigned)n;
    if (nginx != NULL)
        k->nginx_fds = strdup(nginx);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("LISTEN_PIDFDID");
    unsetenv("NGINX");
}

bool
kept_init(struct kept *k, int argc, char **argv, struct error *err)
{
    memset(k, 0, sizeof(*k));
    k->umask = umask(022);
    umask(k->umask);
    k->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    k->nofile = proc_get_nofile();
    take_inherited(k);
    k->binary = find_binary(argc > 0 ? argv[0] : "");
    if (k->binary == NULL || argc < 1 || !copy_argv(k, argc, argv) || !copy_env(k)) {
        error_set(err, "cannot keep arguments and environment");
        return false;
    }
    return true;
}

void
kept_raise_nofile(struct kept *k)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    k->nofile = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

char **
kept_argv_with(const struct kept *k, char *option)
{
    char **argv = calloc((size_t)k->argc + 2, sizeof(char *));

    if (argv == NULL)
        return NULL;
    argv[0] = k->argv[0];
    argv[1] = option;
    for (int i = 1; i < k->argc; i++)
        argv[i + 1] = k->argv[i];
    return argv;
}

const char *
kept_getenv(const struct kept *k, const char *name)
{
    size_t n = strlen(name);

    for (char **e = k->env; *e != NULL; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            return *e + n + 1;
    }
    return NULL;
}
