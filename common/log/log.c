/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - makes the lines of the error log. */
#include "common/log/log.h"

#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/hash.h"
#include "common/log/sink.h"
#include "common/sys/clock.h"

enum {
    LOG_LINE_MAX = 4096, /* with '\n'; what a pipe takes in one piece */
    MESSAGE_MAX = 2048,  /* of this the message, so that errno and context have room */
    REPEATS_PER_S = 100,
};

static struct log log_program_only = { .sinks = &log_sink_program, .level = LOG_LEVEL_NOTICE };
struct log *log_main = &log_program_only;
const char *log_program = "weir";
bool log_echo;

/* The line written last, by its hash, and what became of its repetitions. */
static struct {
    struct log *log;
    enum log_level level;
    uint64_t hash;
    uint64_t second;
    unsigned count;   /* in this second */
    unsigned skipped; /* of these not written */
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

static void
write_out(struct log *log, enum log_level level, struct text *line, size_t message_at)
{
    struct str message;
    bool on_stderr = false;

    line->cap++; /* the place kept for it */
    text_char(line, '\n');
    message = str_from(text_str(line), message_at);
    for (struct log_sink *s = log->sinks; s != NULL; s = s->next) {
        if (level > s->level || level == LOG_STDERR_LEVEL)
            continue;
        log_sink_write(s, level, text_str(line), message);
        on_stderr |= s->kind == SINK_STDERR || s->kind == SINK_PROGRAM;
    }
    if (!on_stderr && (level == LOG_STDERR_LEVEL || (log_echo && level <= LOG_LEVEL_WARN)))
        log_sink_write(&log_sink_program, level, text_str(line), message);
}

void
log_flush(void)
{
    char mem[LOG_LINE_MAX];
    struct text line;
    size_t message_at;

    if (repeat.skipped == 0)
        return;
    text_init_fixed(&line, mem, sizeof(mem) - 1);
    message_at = add_head(&line, repeat.level);
    text_fmt(&line, "last message repeated %u times", repeat.skipped);
    repeat.skipped = 0;
    write_out(repeat.log, repeat.level, &line, message_at);
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
    repeat.skipped++;
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
    size_t message_at;
    va_list args;
    int saved = errno;

    if (!LOG_ON(log, level) && !(log_echo && level <= LOG_LEVEL_WARN))
        return;
    text_init_fixed(&line, mem, sizeof(mem) - 1);
    message_at = add_head(&line, level);
    if (ctx != NULL && ctx->id != 0)
        text_fmt(&line, "*%llu ", (unsigned long long)ctx->id);

    text_init(&message, NULL);
    va_start(args, fmt);
    text_vfmt(&message, fmt, args);
    va_end(args);
    add_escaped(&line, &message, MESSAGE_MAX);
    text_free(&message);
    if (err != 0)
        text_fmt(&line, " (%d: %s)", err, strerror(err));
    if (ctx != NULL && ctx->describe != NULL)
        add_context(&line, ctx);

    line.failed = false; /* it is full */
    if (!is_repetition(log, level, str_from(text_str(&line), message_at)))
        write_out(log, level, &line, message_at);
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
