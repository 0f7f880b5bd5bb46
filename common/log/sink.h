/* SPDX-License-Identifier: BSD-2-Clause */
/* sink.h - what log.c and sink.c share: one destination of lines. */
#ifndef WEIR_LOG_SINK_H
#define WEIR_LOG_SINK_H

#include "common/log/log.h"

struct syslog_target;
enum log_sink_kind {
    SINK_PROGRAM, /* standard error, as "weir: [emerg] message": before a configuration is there */
    SINK_STDERR,
    SINK_FILE,
    SINK_SYSLOG,
};

struct log_sink {
    struct log_sink *next; /* in struct log */
    enum log_sink_kind kind;
    enum log_level level; /* the most talkative that it takes */
    bool json;
    struct log_file *file;
    struct syslog_target *syslog;
};

extern struct log_sink log_sink_program;
/* `line` ends with '\n'; `message` is its part without time and process. */
void log_sink_write(struct log_sink *s, enum log_level level, struct str line, struct str message);
/* Of a level; "" for LOG_STDERR_LEVEL. */
extern const char *const log_level_names[];

#endif
