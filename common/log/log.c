/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - makes the lines of the error log. */
#include "common/log/log.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/event/timer.h"
#include "common/log/sink.h"
#include "common/sys/clock.h"

enum {
    LOG_LINE_MAX = 4096, /* with '\n'; what a pipe takes in one piece */
    MESSAGE_MAX = 2048,  /* of this the message, so that errno and context have room */
    MEMBER_MAX = 1024,   /* of the texts in a line of JSON beside the message */
    REPEATS_PER_S = 100,
    REPEATS_TOLD_MS = 1000, /* after the first that was left out, at the latest */
};

static struct log log_program_only = { .sinks = &log_sink_program, .level = LOG_LEVEL_NOTICE };
struct log *log_main = &log_program_only;
const char *log_program = "weir";
bool log_echo;
void (*log_tap)(const char *level, struct str message);

/* The line written last, by its hash, and what became of its repetitions. None is lost: a line tells how many were left
 * out, of what, and when the first and the last of them came, as soon as there is another line and within a second. */
static struct {
    struct log *log;
    enum log_level level;
    uint64_t hash;
    uint64_t second;
    unsigned count;             /* in this second */
    unsigned skipped;           /* of these not written: */
    uint64_t first_ms, last_ms; /* wall time of the first and the last */
    size_t len;
    char message[LOG_LINE_MAX]; /* of them all */
    struct timer timer;
} repeat;

struct log_quoted
log_quote(struct str s)
{
    struct log_quoted q;
    struct text t;
    struct str out;

    if (s.len > sizeof(q.text)) /* it will be cut anyway */
        s.len = sizeof(q.text);
    text_init(&t, NULL);
    escape_log(&t, s);
    out = text_str(&t);
    if (!str_to_c(out, q.text, sizeof(q.text)))
        memcpy(q.text + sizeof(q.text) - 4, "...", 4);
    text_free(&t);
    return q;
}

/* As much of `s` as fits into `room`; a cut shows and leaves no part of a character. */
static void
add_cut(struct text *t, struct str s, size_t room)
{
    bool cut = s.len > room;

    if (cut) {
        size_t n = room > 3 ? room - 3 : 0;

        while (n > 0 && (s.ptr[n] & 0xc0) == 0x80)
            n--;
        s.len = n;
    }
    text_add(t, s);
    if (cut && room >= 3)
        TEXT_LIT(t, "...");
}

static void
add_escaped(struct text *line, const struct text *raw, size_t max)
{
    size_t room = line->cap - line->len;
    struct text t;

    text_init(&t, NULL);
    escape_line(&t, text_str(raw));
    add_cut(line, text_str(&t), room < max ? room : max);
    text_free(&t);
}

/* Time, level, process: returns where the message begins. */
static size_t
add_head(struct text *line, enum log_level level)
{
    text_add(line, clock_error_time());
    text_fmt(line, " [%s] %d#%d: ", log_level_names[level], (int)getpid(),
             (int)syscall(SYS_gettid));
    return line->len;
}

/* What a line in JSON is made of. */
struct log_parts {
    enum log_level level;
    int err;
    const struct log_context *ctx; /* NULL: none */
    struct str message;            /* as it came, escaped by JSON alone */
};

static void
json_context(struct json *j, const struct log_context *ctx)
{
    struct text t;

    if (ctx->members != NULL) {
        ctx->members(ctx, j);
    } else if (ctx->describe != NULL) {
        text_init(&t, NULL);
        ctx->describe(ctx, &t);
        json_key(j, S("context"));
        json_str(j, str_upto(str_n(t.ptr, t.len), t.len < MEMBER_MAX ? t.len : MEMBER_MAX));
        text_free(&t);
    }
}

static void
json_line(struct text *line, const struct log_parts *p)
{
    struct json j;
    size_t len = p->message.len < MESSAGE_MAX ? p->message.len : MESSAGE_MAX;

    json_begin(&j, line);
    json_object(&j);
    json_key(&j, S("time"));
    json_str(&j, clock_iso8601());
    json_key(&j, S("level"));
    json_str(&j, str_c(log_level_names[p->level]));
    json_key(&j, S("pid"));
    json_i64(&j, getpid());
    json_key(&j, S("tid"));
    json_i64(&j, syscall(SYS_gettid));
    if (p->ctx != NULL && p->ctx->id != 0) {
        json_key(&j, S("connection"));
        json_u64(&j, p->ctx->id);
    }
    json_key(&j, S("message"));
    json_str(&j, str_upto(p->message, len));
    if (p->err != 0) {
        json_key(&j, S("errno"));
        json_i64(&j, p->err);
        json_key(&j, S("error"));
        json_str(&j, str_c(strerror(p->err)));
    }
    if (p->ctx != NULL)
        json_context(&j, p->ctx);
    json_object_end(&j);
    text_char(line, '\n');
}

/* Without memory for it the line is left out: half an object would be worse. */
static void
write_json(struct log_sink *s, const struct log_parts *p)
{
    struct text line;

    text_init(&line, NULL);
    json_line(&line, p);
    if (!line.failed)
        log_sink_write(s, p->level, text_str(&line), str_upto(text_str(&line), line.len - 1));
    text_free(&line);
}

static void
write_out(struct log *log, const struct log_parts *parts, struct text *line, size_t message_at)
{
    enum log_level level = parts->level;
    struct str message;
    bool on_stderr = false;

    line->cap++; /* the place kept for it */
    text_char(line, '\n');
    message = str_from(text_str(line), message_at);
    for (struct log_sink *s = log->sinks; s != NULL; s = s->next) {
        if (level > s->level || level == LOG_STDERR_LEVEL)
            continue;
        if (s->json)
            write_json(s, parts);
        else
            log_sink_write(s, level, text_str(line), message);
        on_stderr |= s->kind == SINK_STDERR || s->kind == SINK_PROGRAM;
    }
    if (!on_stderr && (level == LOG_STDERR_LEVEL || (log_echo && level <= LOG_LEVEL_WARN)))
        log_sink_write(&log_sink_program, level, text_str(line), message);
}

/* "12:00:00.123" */
static void
add_time(struct text *t, uint64_t wall_ms)
{
    time_t second = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (localtime_r(&second, &tm) == NULL)
        memset(&tm, 0, sizeof(tm));
    text_fmt(t, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
             (unsigned)(wall_ms % 1000));
}

void
log_flush(void)
{
    char mem[LOG_LINE_MAX];
    struct log_parts parts;
    struct text line;
    size_t message_at;

    timer_forget(&repeat.timer);
    if (repeat.skipped == 0)
        return;
    text_init_fixed(&line, mem, sizeof(mem) - 1);
    message_at = add_head(&line, repeat.level);
    text_fmt(&line, "message repeated %u times, first at ", repeat.skipped);
    add_time(&line, repeat.first_ms);
    TEXT_LIT(&line, ", last at ");
    add_time(&line, repeat.last_ms);
    TEXT_LIT(&line, ": ");
    add_cut(&line, str_n(repeat.message, repeat.len), line.cap - line.len);
    repeat.skipped = 0;
    parts = (struct log_parts){ .level = repeat.level,
                                .message = str_from(text_str(&line), message_at) };
    write_out(repeat.log, &parts, &line, message_at);
}

static void
repeat_on_time(struct timer *t)
{
    (void)t;
    log_flush();
}

static void
skip_repetition(struct str message)
{
    repeat.last_ms = clock_wall_ms;
    if (repeat.skipped++ > 0)
        return;
    repeat.first_ms = clock_wall_ms;
    repeat.len = message.len < sizeof(repeat.message) ? message.len : sizeof(repeat.message);
    memcpy(repeat.message, message.ptr, repeat.len);
    repeat.timer.on_time = repeat_on_time;
    timer_set(&repeat.timer, REPEATS_TOLD_MS);
}

/* Whether the message is one too many of its kind in this second. */
static bool
is_repetition(struct log *log, enum log_level level, struct str message)
{
    uint64_t hash = hash_bytes(message), second = clock_wall_ms / 1000;

    if (hash != repeat.hash || second != repeat.second || log != repeat.log ||
        level != repeat.level) {
        log_flush();
        repeat.log = log;
        repeat.level = level;
        repeat.hash = hash;
        repeat.second = second;
        repeat.count = 0;
    }
    if (++repeat.count <= REPEATS_PER_S || level == LOG_LEVEL_DEBUG)
        return false;
    skip_repetition(message);
    return true;
}

static void
add_context(struct text *line, const struct log_context *ctx)
{
    struct text t;

    text_init(&t, NULL);
    ctx->describe(ctx, &t);
    t.failed = false; /* what there was memory for is better than nothing */
    add_escaped(line, &t, LOG_LINE_MAX);
    text_free(&t);
}

void
log_write(struct log *log, enum log_level level, int err, const struct log_context *ctx,
          const char *fmt, ...)
{
    char mem[LOG_LINE_MAX];
    struct text line, message;
    size_t message_at, words_at;
    va_list args;
    int saved = errno;

    if (!LOG_ON(log, level) && !(log_echo && level <= LOG_LEVEL_WARN))
        return;
    text_init_fixed(&line, mem, sizeof(mem) - 1);
    message_at = add_head(&line, level);
    if (ctx != NULL && ctx->id != 0)
        text_fmt(&line, "*%llu ", (unsigned long long)ctx->id);

    words_at = line.len;
    text_init(&message, NULL);
    va_start(args, fmt);
    text_vfmt(&message, fmt, args);
    va_end(args);
    add_escaped(&line, &message, MESSAGE_MAX);
    if (err != 0)
        text_fmt(&line, " (%d: %s)", err, strerror(err));
    if (UNLIKELY(log_tap != NULL)) {
        log_tap(log_level_names[level], str_from(text_str(&line), words_at));
        text_free(&message);
        errno = saved;
        return;
    }
    if (ctx != NULL && ctx->describe != NULL)
        add_context(&line, ctx);

    line.failed = false; /* it is full */
    if (!is_repetition(log, level, str_from(text_str(&line), message_at))) {
        struct log_parts parts = { level, err, ctx, str_n(message.ptr, message.len) };

        write_out(log, &parts, &line, message_at);
    }
    text_free(&message);
    errno = saved;
}

static void
on_panic(const char *line)
{
    if (log_main != &log_program_only) /* panic() has written to standard error itself */
        log_alert(0, "%s", line);
}

static __attribute__((constructor)) void
log_init(void)
{
    panic_hook = on_panic;
}
