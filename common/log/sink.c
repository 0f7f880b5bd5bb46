/* SPDX-License-Identifier: BSD-2-Clause */
/* sink.c - where lines of a log go: files, standard error, syslog. */
#include "common/log/sink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/error.h"
#include "common/base/vec.h"
#include "common/log/syslog.h"
#include "common/sys/fd.h"

void (*log_before_replace)(struct log_file *f);

struct log_sink log_sink_program = { .kind = SINK_PROGRAM, .level = LOG_LEVEL_NOTICE };

const char *const log_level_names[] = {
    [LOG_STDERR_LEVEL] = "",       [LOG_LEVEL_EMERG] = "emerg", [LOG_LEVEL_ALERT] = "alert",
    [LOG_LEVEL_CRIT] = "crit",     [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARN] = "warn",
    [LOG_LEVEL_NOTICE] = "notice", [LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

bool
log_level_parse(struct str name, enum log_level *level)
{
    for (unsigned i = LOG_LEVEL_EMERG; i < ARRAY_LEN(log_level_names); i++) {
        if (str_eq(name, str_c(log_level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static struct log_sink *
sink_new(struct arena *a, enum log_sink_kind kind, enum log_level level)
{
    struct log_sink *s = ARENA_NEW(a, struct log_sink);

    if (s != NULL) {
        s->kind = kind;
        s->level = level;
    }
    return s;
}

struct log_sink *
log_sink_file(struct arena *a, struct log_file *f, enum log_level level)
{
    struct log_sink *s = sink_new(a, SINK_FILE, level);

    if (s != NULL)
        s->file = f;
    return s;
}

struct log_sink *
log_sink_stderr(struct arena *a, enum log_level level)
{
    return sink_new(a, SINK_STDERR, level);
}

struct log_sink *
log_sink_syslog(struct arena *a, struct str args, enum log_level level, struct error *err)
{
    struct log_sink *s = sink_new(a, SINK_SYSLOG, level);

    if (s == NULL) {
        error_set(err, "no memory for syslog");
        return NULL;
    }
    s->syslog = syslog_open(a, args, err);
    return s->syslog != NULL ? s : NULL;
}

void
log_sink_in_json(struct log_sink *sink)
{
    sink->json = true;
}

int
log_fd(const struct log *log)
{
    for (const struct log_sink *s = log->sinks; s != NULL; s = s->next) {
        if (s->kind == SINK_FILE)
            return s->file->fd;
        if (s->kind != SINK_SYSLOG)
            return STDERR_FILENO;
    }
    return -1;
}

void
log_add_sink(struct log *log, struct log_sink *sink)
{
    struct log_sink **last = &log->sinks;

    while (*last != NULL)
        last = &(*last)->next;
    *last = sink;
    if (sink->level > log->level)
        log->level = sink->level;
}

/* In one write: the kernel then keeps lines of several processes apart. What a full disk refuses is lost. */
static void
write_line(int fd, struct str line)
{
    ssize_t n;

    do
        n = write(fd, line.ptr, line.len);
    while (n < 0 && errno == EINTR);
}

void
log_sink_write(struct log_sink *s, enum log_level level, struct str line, struct str message)
{
    switch (s->kind) {
    case SINK_PROGRAM: {
        char mem[4096 + 64];
        struct text t;

        text_init_fixed(&t, mem, sizeof(mem));
        text_fmt(&t, "%s: ", log_program);
        if (level != LOG_STDERR_LEVEL)
            text_fmt(&t, "[%s] ", log_level_names[level]);
        text_add(&t, message);
        write_line(STDERR_FILENO, text_str(&t));
        break;
    }
    case SINK_STDERR:
        write_line(STDERR_FILENO, line);
        break;
    case SINK_FILE: /* before it is opened: better on standard error than nowhere */
        write_line(s->file->fd != -1 ? s->file->fd : STDERR_FILENO, line);
        break;
    case SINK_SYSLOG:
        syslog_send(s->syslog, level > LOG_LEVEL_EMERG ? level - LOG_LEVEL_EMERG : 0,
                    str_upto(line, line.len - 1));
        break;
    }
}

/* A socket, as systemd gives for standard output, cannot be opened through /dev; a copy does as well. */
static int
open_standard(struct str path)
{
    int fd = -1;

    if (str_eq(path, S("/dev/stderr")))
        fd = STDERR_FILENO;
    else if (str_eq(path, S("/dev/stdout")))
        fd = STDOUT_FILENO;
    return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static struct vec private_paths; /* of struct str */

static bool
is_private(struct str path)
{
    VEC_FOREACH (known, struct str, &private_paths) {
        if (str_eq(*known, path))
            return true;
    }
    return false;
}

bool
log_file_keep_private(struct str path)
{
    char *copy = !is_private(path) ? malloc(path.len + 1) : NULL;
    struct str *place = copy != NULL ? VEC_PUSH(&private_paths, struct str) : NULL;

    if (place == NULL) {
        free(copy);
        return is_private(path);
    }
    memcpy(copy, path.ptr, path.len);
    *place = str_n(copy, path.len);
    return true;
}

bool
log_file_open(struct log_file *f)
{
    int fd = open(f->path.ptr, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
                  is_private(f->path) ? 0600 : 0644);

    if (fd < 0) {
        int saved = errno;

        fd = open_standard(f->path);
        errno = saved;
    }
    return fd >= 0 && log_file_replace(f, fd);
}

bool
log_file_replace(struct log_file *f, int fd)
{
    bool ok;

    if (f->fd == -1) {
        f->fd = fd;
        return true;
    }
    if (log_before_replace != NULL)
        log_before_replace(f);
    ok = dup3(fd, f->fd, O_CLOEXEC) >= 0;
    fd_close(&fd);
    return ok;
}
