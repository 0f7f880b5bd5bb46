/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pidfile.c - writes the pid file when a start is complete, and removes it at the end.
 */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/sys/fd.h"
#include "common/sys/file.h"

struct str
pidfile_sibling(struct arena *a, struct str pid_path, const char *suffix)
{
    if (str_ends(pid_path, S(".pid")))
        pid_path.len -= 4;
    return arena_fmt(a, "%.*s%s", STR(pid_path), suffix);
}

static bool
dir_writable(const char *path)
{
    char dir[4096];
    size_t slash = str_rfind(str_c(path), '/');

    return str_to_c(slash == 0 ? S("/") : str_n(path, slash), dir, sizeof(dir)) &&
           access(dir, W_OK) == 0;
}

bool
pidfile_check(const char *path, struct error *err)
{
    if (access(path, F_OK) == 0 ? access(path, W_OK) == 0 : dir_writable(path))
        return true;
    error_sys(err, "open() \"%s\" failed", path);
    return false;
}

bool
pidfile_write(const char *path, struct error *err)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid()), fd;

    if (dir_writable(path))
        return file_write_atomic(path, str_n(text, (size_t)n), 0644, err);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || !fd_write_all(fd, text, (size_t)n)) {
        error_sys(err, "open() \"%s\" failed", path);
        fd_close(&fd);
        return false;
    }
    fd_close(&fd);
    return true;
}

pid_t
pidfile_read(const char *path, struct error *err)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    struct str s;
    uint64_t pid;

    if (fd < 0) {
        error_sys(err, "open() \"%s\" failed", path);
        return 0;
    }
    n = read(fd, text, sizeof(text));
    fd_close(&fd);
    s = str_n(text, n > 0 ? (size_t)n : 0);
    while (s.len > 0 && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
        s.len--;
    if (!num_parse_u64(s, &pid) || pid == 0 || pid > INT32_MAX) {
        error_set(err, "invalid PID number \"%.*s\" in \"%s\"", STR(s), path);
        return 0;
    }
    return (pid_t)pid;
}

void
pidfile_remove(const char *path)
{
    struct error err;

    if (pidfile_read(path, &err) == getpid())
        unlink(path);
}
