/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - collects messages and shows them.
 */
#include "master/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/sys/fd.h"

static const char *const level_names[] = { "stderr", "emerg",  "alert", "crit", "error",
                                           "warn",   "notice", "info",  "debug" };

void
report_init(struct report *r, struct arena *a)
{
    r->arena = a;
    vec_init(&r->messages, a, sizeof(struct conf_message));
}

bool
report_add(struct report *r, const struct config *c, struct conf_pos pos, enum log_level level,
           const char *fmt, ...)
{
    struct conf_message *m;
    char line[1200];
    struct text details;
    struct str s;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    text_init(&details, r->arena);
    m = VEC_PUSH(&r->messages, struct conf_message);
    if (m == NULL)
        return false;
    m->level = level;
    m->pos = pos;
    if (c != NULL && pos.line != 0) {
        m->line =
            arena_fmt(r->arena, "%s in %.*s:%u", line, STR(config_pos_file(c, pos)), pos.line);
        config_show_source(c, pos, &details);
    } else {
        m->line = arena_str(r->arena, str_c(line));
    }
    s = text_str(&details);
    m->details = s.ptr != NULL ? s : S("");
    return false;
}

bool
report_failed(const struct report *r)
{
    VEC_FOREACH (m, struct conf_message, &r->messages) {
        if (m->level <= LOG_LEVEL_ERROR)
            return true;
    }
    return false;
}

void
report_text(const struct report *r, enum log_level max, struct text *t)
{
    VEC_FOREACH (m, struct conf_message, &r->messages) {
        if (m->level <= max)
            text_fmt(t, "%s: [%s] %.*s\n%.*s", log_program, level_names[m->level], STR(m->line),
                     STR(m->details));
    }
}

void
report_print(const struct report *r, enum log_level max)
{
    struct text t;

    text_init(&t, NULL);
    report_text(r, max, &t);
    fd_write_all(STDERR_FILENO, t.ptr, t.len);
    text_free(&t);
}

void
report_log(const struct report *r)
{
    VEC_FOREACH (m, struct conf_message, &r->messages)
        log_write(log_main, m->level, 0, NULL, "%.*s", STR(m->line));
}

void
report_put(const struct report *r, struct text *t)
{
    VEC_FOREACH (m, struct conf_message, &r->messages) {
        TEXT_LIT(t, "message");
        lines_put_num(t, m->level);
        lines_put_str(t, m->line);
        lines_put_str(t, m->details);
        text_char(t, '\n');
    }
}

bool
report_get(struct report *r, struct str *fields)
{
    struct conf_message *m;
    struct str line, details;
    uint64_t level;

    if (!lines_get_num(fields, &level) || level > LOG_LEVEL_DEBUG ||
        !lines_get_str(fields, r->arena, &line) || !lines_get_str(fields, r->arena, &details))
        return false;
    m = VEC_PUSH(&r->messages, struct conf_message);
    if (m == NULL)
        return false;
    m->level = (enum log_level)level;
    m->line = line;
    m->details = details;
    return true;
}
