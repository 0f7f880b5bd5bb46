/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what loading, binding and taking over had to say, in order: for standard error, the error log and the
 * control client alike.
 */
#ifndef WEIR_MASTER_REPORT_H
#define WEIR_MASTER_REPORT_H

#include "common/base/text.h"
#include "common/conf/config.h"

struct report {
    struct arena *arena;
    struct vec messages; /* of struct conf_message */
};

void report_init(struct report *r, struct arena *a);
/*
 * Adds a message; with a configuration and a place, ` in FILE:LINE`, the source line and a caret follow.
 * Always false, so that a step can fail with it.
 */
bool report_add(struct report *r, const struct config *c, struct conf_pos pos, enum log_level level,
                const char *fmt, ...) PRINTF(5, 6);
/* The same without a place. */
#define report_say(r, level, ...) \
    report_add((r), NULL, (struct conf_pos){ 0, 0, 0 }, (level), __VA_ARGS__)
/* Whether there is an error (or worse) among the messages. */
bool report_failed(const struct report *r);
/* `weir: [emerg] line` and the details, of messages at `max` and more serious. */
void report_print(const struct report *r, enum log_level max);
void report_text(const struct report *r, enum log_level max, struct text *t);
/* Into the error log, a line each. */
void report_log(const struct report *r);

/* The report as lines (`message LEVEL LINE DETAILS`), and back: appends to *r what it can read. */
void report_put(const struct report *r, struct text *t);
bool report_get(struct report *r, struct str *fields);

#endif
