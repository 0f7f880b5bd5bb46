/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the error log: levels, context, sinks.
 *
 * Lines are `2026/11/20 12:00:00 [error] PID#TID: *CONN message, context`, each written with one write(). Controls
 * and what is no UTF-8 are escaped here; bytes from outside that stand in quotes go through LOG_STR (in a message) or
 * escape_log (in a context), so that they cannot close them. For the loop's thread only.
 *
 * A line that comes again unchanged more than a hundred times within a second is counted instead of written.
 */
#ifndef WEIR_LOG_LOG_H
#define WEIR_LOG_LOG_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/panic.h"
#include "common/base/text.h"

enum log_level {
    LOG_STDERR_LEVEL = 0,
    LOG_LEVEL_EMERG,
    LOG_LEVEL_ALERT,
    LOG_LEVEL_CRIT,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

struct json;     /* common/base/json.h */
struct log_sink; /* a file, stderr, syslog, with its level: sink.c */

/* A list of sinks: what `error_log` lines of one scope say. The process has a main one. */
struct log {
    struct log_sink *sinks;
    enum log_level level; /* the most talkative of its sinks: a cheap first test */
};
extern struct log *log_main; /* never NULL: standard error at first */

/* Whom a line is about. Appends `, client: A, server: S, request: "R", ...` to the message; `id` gives *CONN. */
struct log_context {
    uint64_t id; /* connection number; 0: none */
    void (*describe)(const struct log_context *ctx, struct text *t);
    /* The same for logs in JSON, as members of the line's object; NULL: what describe says is one text. */
    void (*members)(const struct log_context *ctx, struct json *j);
};

#define LOG_ON(log, lvl) ((lvl) <= (log)->level)
/* The line is finished, written and forgotten; `err` is an errno to append as " (N: text)", or 0. */
void log_write(struct log *log, enum log_level level, int err, const struct log_context *ctx,
               const char *fmt, ...) PRINTF(5, 6);

#define log_emerg(err, ...)  log_write(log_main, LOG_LEVEL_EMERG, (err), NULL, __VA_ARGS__)
#define log_alert(err, ...)  log_write(log_main, LOG_LEVEL_ALERT, (err), NULL, __VA_ARGS__)
#define log_crit(err, ...)   log_write(log_main, LOG_LEVEL_CRIT, (err), NULL, __VA_ARGS__)
#define log_error(err, ...)  log_write(log_main, LOG_LEVEL_ERROR, (err), NULL, __VA_ARGS__)
#define log_warn(err, ...)   log_write(log_main, LOG_LEVEL_WARN, (err), NULL, __VA_ARGS__)
#define log_notice(err, ...) log_write(log_main, LOG_LEVEL_NOTICE, (err), NULL, __VA_ARGS__)
#define log_info(err, ...)   log_write(log_main, LOG_LEVEL_INFO, (err), NULL, __VA_ARGS__)
#define log_debug(...)                                                  \
    do {                                                                \
        if (UNLIKELY(LOG_ON(log_main, LOG_LEVEL_DEBUG)))                \
            log_write(log_main, LOG_LEVEL_DEBUG, 0, NULL, __VA_ARGS__); \
    } while (0)

/* For "%.*s": a client's bytes with quotes, backslashes and controls escaped, cut when they are very many. */
#define LOG_STR(s) LOG_QUOTED_MAX, log_quote(s).text
enum { LOG_QUOTED_MAX = 1024 };
struct log_quoted {
    char text[LOG_QUOTED_MAX]; /* ends with NUL */
};
struct log_quoted log_quote(struct str s);

/* Set: takes each line in place of the log's files, without time and context, its bytes escaped. NULL: nobody does. */
extern void (*log_tap)(const char *level, struct str message);
/* While true, lines of level warn and above go to standard error too, as "weir: [emerg] ...": until a start is over. */
extern bool log_echo;
/* Name of the program in messages: "weir" or "nginx" (ARCHITECTURE.md 8: two names, one program). */
extern const char *log_program;
/* A file that processes write lines to: error and access logs. The master opens it; a worker inherits it. */
struct log_file {
    struct str path; /* absolute, ends with NUL */
    int fd;          /* the same number for ever: reopening is dup2 onto it */
};
/* Opens (O_APPEND, CLOEXEC, created 0644). False with errno. */
bool log_file_open(struct log_file *f);
/* A file of this path that is created gets mode 0600. False: memory. */
bool log_file_keep_private(struct str path);
/* Called before a new descriptor takes the place of an open one; NULL: nobody has lines for the old one. */
extern void (*log_before_replace)(struct log_file *f);
/* Puts a new descriptor in place of the old one (and takes it); also by workers on REOPEN. */
bool log_file_replace(struct log_file *f, int fd);

/* Sinks are made by the error_log directive and by -e; memory from the arena. */
struct arena;
struct log_sink *log_sink_file(struct arena *a, struct log_file *f, enum log_level level);
struct log_sink *log_sink_stderr(struct arena *a, enum log_level level);
/* "server=addr[,facility=..][,tag=..][,severity=..][,nohostname]" after "syslog:"; NULL with the reason in err. */
struct error;
struct log_sink *log_sink_syslog(struct arena *a, struct str args, enum log_level level,
                                 struct error *err);
/* Its lines are objects in JSON (RFC 8259): time, level, pid, tid, connection, message, errno, error, and whom they are
 * about. */
void log_sink_in_json(struct log_sink *sink);
void log_add_sink(struct log *log, struct log_sink *sink);
bool log_level_parse(struct str name, enum log_level *level);
/* Where the log goes first: its first file's descriptor, STDERR_FILENO for standard error; -1: elsewhere. */
int log_fd(const struct log *log);
/* Writes how often the last line was repeated, when repetitions were left out; before fork, exec, exit. */
void log_flush(void);

#endif
