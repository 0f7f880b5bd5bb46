/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.c - collects messages and shows them.
 */
#include "master/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/json.h"
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
    *m = (struct conf_message){ .level = level, .pos = pos };
    m->what = arena_str(r->arena, str_c(line));
    if (c != NULL && pos.line != 0) {
        m->file = config_pos_file(c, pos);
        m->line =
            arena_fmt(r->arena, "%s in %.*s:%u", line, STR(config_pos_file(c, pos)), pos.line);
        config_show_source(c, pos, &details);
    } else {
        m->line = m->what;
    }
    s = text_str(&details);
    m->details = s.ptr != NULL ? s : S("");
    return false;
}

/* Messages that are errors, or those that are warnings. */
static unsigned
count(const struct report *r, bool errors)
{
    unsigned n = 0;

    VEC_FOREACH (m, struct conf_message, &r->messages)
        n += errors ? m->level <= LOG_LEVEL_ERROR : m->level == LOG_LEVEL_WARN;
    return n;
}

bool
report_failed(const struct report *r)
{
    return count(r, true) > 0;
}

bool
report_warned(const struct report *r)
{
    return count(r, false) > 0;
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
        if (m->check.len == 0)
            log_write(log_main, m->level, 0, NULL, "%.*s", STR(m->line));
}

static void
json_text(struct json *j, const char *key, struct str value)
{
    json_key(j, str_c(key));
    if (value.len > 0)
        json_str(j, value);
    else
        json_null(j);
}

static void
json_place(struct json *j, const char *key, uint32_t number)
{
    json_key(j, str_c(key));
    if (number > 0)
        json_u64(j, number);
    else
        json_null(j);
}

static void
json_message(struct json *j, const struct conf_message *m)
{
    bool is_error = m->level <= LOG_LEVEL_ERROR;
    struct str level = is_error ? S("error") : S("warning");

    json_object(j);
    json_text(j, "file", m->file);
    json_place(j, "line", m->pos.line);
    json_place(j, "column", m->pos.column);
    json_text(j, "severity", level);
    json_text(j, "id", m->check.len > 0 ? m->check : level);
    json_text(j, "message", m->what);
    json_text(j, "suggestion", m->hint);
    json_object_end(j);
}

void
report_json(const struct report *r, struct str conf_path, bool ok, struct text *t)
{
    struct json j;

    json_begin(&j, t);
    json_object(&j);
    json_text(&j, "file", conf_path);
    json_key(&j, S("ok"));
    json_bool(&j, ok);
    json_key(&j, S("errors"));
    json_u64(&j, count(r, true));
    json_key(&j, S("warnings"));
    json_u64(&j, count(r, false));
    json_key(&j, S("messages"));
    json_array(&j);
    VEC_FOREACH (m, struct conf_message, &r->messages) {
        if (m->level <= LOG_LEVEL_WARN)
            json_message(&j, m);
    }
    json_array_end(&j);
    json_object_end(&j);
    text_char(t, '\n');
}

static void
put_message(const struct conf_message *m, struct text *t)
{
    TEXT_LIT(t, "message");
    lines_put_num(t, m->level);
    lines_put_str(t, m->line);
    lines_put_str(t, m->details);
    lines_put_str(t, m->check);
    lines_put_str(t, m->file);
    lines_put_num(t, m->pos.line);
    lines_put_num(t, m->pos.column);
    text_char(t, '\n');
}

void
report_put(const struct report *r, size_t max, struct text *t)
{
    enum { LAST_WORD = 200 };
    size_t limit = max > LAST_WORD ? max - LAST_WORD : 0;
    struct conf_message rest = { .level = LOG_LEVEL_WARN };
    size_t start = t->len;
    unsigned put = 0;
    char text[60];

    VEC_FOREACH (m, struct conf_message, &r->messages) {
        size_t before = t->len;

        put_message(m, t);
        if (t->len - start > limit) {
            t->len = before;
            break;
        }
        put++;
    }
    if (put == r->messages.len)
        return;
    snprintf(text, sizeof(text), "%u more messages", r->messages.len - put);
    rest.line = rest.what = str_c(text);
    put_message(&rest, t);
}

/* What the line says without the check in front and the place behind. */
static struct str
bare_line(const struct conf_message *m, struct arena *a)
{
    struct str what = m->line, place;

    place = m->pos.line > 0 ? arena_fmt(a, " in %.*s:%u", STR(m->file), m->pos.line)
                            : arena_fmt(a, " in %.*s", STR(m->file));
    if (m->check.len > 0 && str_starts(what, m->check) && what.len > m->check.len + 2)
        what = str_from(what, m->check.len + 2);
    if (place.len > 0 && str_ends(what, place))
        what.len -= place.len;
    return what;
}

/* The hints among the details: lines without a source line's margin. */
static struct str
hints_of(struct str details, struct arena *a)
{
    struct str line, margin = S("         ");
    struct text t;

    text_init(&t, a);
    while (str_split(&details, '\n', &line)) {
        if (!str_starts(line, margin))
            continue;
        text_add(&t, t.len > 0 ? S("; ") : S(""));
        text_add(&t, str_from(line, margin.len));
    }
    return t.len > 0 ? text_str(&t) : S("");
}

/* Older versions do not send the check and the place. */
static void
get_parts(struct conf_message *m, struct arena *a, struct str *fields)
{
    uint64_t line, column;

    if (lines_get_str(fields, a, &m->check) && lines_get_str(fields, a, &m->file) &&
        lines_get_num(fields, &line) && lines_get_num(fields, &column) && line <= UINT32_MAX &&
        column <= UINT32_MAX)
        m->pos = (struct conf_pos){ 0, (uint32_t)line, (uint32_t)column };
    m->what = bare_line(m, a);
    m->hint = hints_of(m->details, a);
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
    *m = (struct conf_message){ (enum log_level)level, .line = line, .details = details };
    get_parts(m, r->arena, fields);
    return true;
}
