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
/* Whether there is a warning. */
bool report_warned(const struct report *r);
/* `weir: [emerg] line` and the details, of messages at `max` and more serious. */
void report_print(const struct report *r, enum log_level max);
void report_text(const struct report *r, enum log_level max, struct text *t);
/*
 * As JSON: {"file": CONFIGURATION, "ok": BOOL, "errors": N, "warnings": N, "messages": [ {"file", "line", "column",
 * "severity": "error" or "warning", "id", "message", "suggestion"} ... ]}. The place is null where there is none.
 */
void report_json(const struct report *r, struct str conf_path, bool ok, struct text *t);
/* Into the error log, a line each, without what the checks of a test found. */
void report_log(const struct report *r);

/*
 * The report as lines (`message LEVEL LINE DETAILS CHECK FILE LINE COLUMN`), and back: appends to *r what it can read. At most `max` bytes are put; a last message says how many there are no more.
 */
void report_put(const struct report *r, size_t max, struct text *t);
bool report_get(struct report *r, struct str *fields);

#endif
