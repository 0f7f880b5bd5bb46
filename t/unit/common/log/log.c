/* SPDX-License-Identifier: BSD-2-Clause */
/* log.c - lines of the error log: form, escaping, cuts, repetitions, files. */
#include "common/log/log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/escape.h"
#include "common/event/timer.h"
#include "common/sys/clock.h"
#include "t/unit/test.h"

static struct arena arena;
static char dir[] = "/tmp/weir-unit-XXXXXX";
static char path[64];
static char content[1 << 20];

/* A log of its own with one file; what was in the file is gone. */
static struct log *
begin(struct log_file *f, enum log_level level)
{
    static struct log log;

    if (path[0] == '\0') {
        if (mkdtemp(dir) == NULL)
            exit(1);
        arena_init(&arena, 4096);
        snprintf(path, sizeof(path), "%s/log", dir);
    }
    log_flush();
    unlink(path);
    setenv("TZ", "UTC0", 1);
    tzset();
    clock_wall_ms += 86400000;
    *f = (struct log_file){ .path = str_c(path), .fd = -1 };
    CHECK(log_file_open(f));
    log = (struct log){ .sinks = NULL };
    log_add_sink(&log, log_sink_file(&arena, f, level));
    return &log;
}

static struct str
written(void)
{
    FILE *f = fopen(path, "r");
    size_t n = f != NULL ? fread(content, 1, sizeof(content), f) : 0;

    if (f != NULL)
        fclose(f);
    return str_n(content, n);
}

/* The only line, behind time and process. */
static struct str
message(void)
{
    char process[64];
    struct str s = written();
    size_t at;

    snprintf(process, sizeof(process), "%d#%d: ", (int)getpid(), (int)getpid());
    at = str_search(s, str_c(process));
    CHECK(at < s.len && s.ptr[s.len - 1] == '\n', "%.*s", STR(s));
    if (at == s.len)
        return s;
    s = str_from(s, at + strlen(process));
    return str_upto(s, s.len - 1);
}

static void
describe(const struct log_context *ctx, struct text *t)
{
    (void)ctx;
    TEXT_LIT(t, ", client: 127.0.0.1, request: \"");
    escape_log(t, S("GET /\"\n HTTP/1.1"));
    TEXT_LIT(t, "\"");
}

TEST(the_form_of_a_line)
{
    struct log_context ctx = { .id = 17, .describe = describe };
    char want[256];
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_WARN);

    clock_wall_ms = UINT64_C(784111777000);
    log_write(log, LOG_LEVEL_NOTICE, 0, NULL, "too talkative");
    log_write(log, LOG_LEVEL_ERROR, ENOENT, &ctx, "open() \"%s\" failed", "/x");
    snprintf(want, sizeof(want),
             "1994/11/06 08:49:37 [error] %d#%d: *17 open() \"/x\" failed (2: No such file or "
             "directory), client: 127.0.0.1, request: \"GET /\\x22\\x0A HTTP/1.1\"\n",
             (int)getpid(), (int)getpid());
    CHECK_STR(written(), want);
    close(f.fd);
}

TEST(nothing_from_outside_breaks_a_line)
{
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_DEBUG);

    log_write(log, LOG_LEVEL_DEBUG, 0, NULL, "a\nb\x1b[1m\x7f\xff caf\xc3\xa9 \"%.*s\"",
              LOG_STR(S("x\"\n\\\xc3")));
    CHECK_STR(message(), "a\\x0Ab\\x1B[1m\\x7F\\xFF caf\xc3\xa9 \"x\\x22\\x0A\\x5C\\xC3\"");
    close(f.fd);
}

TEST(a_long_message_leaves_room_for_its_context)
{
    struct log_context ctx = { .id = 0, .describe = describe };
    static char many[9000];
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_INFO);
    struct str line;

    memset(many, 'x', sizeof(many) - 1);
    log_write(log, LOG_LEVEL_INFO, EPERM, &ctx, "%s", many);
    line = message();
    CHECK(str_search(line, S("xxx... (1: Operation not permitted), client: ")) < line.len, "%.*s",
          STR(line));
    CHECK(str_ends(line, S("HTTP/1.1\"")));
    close(f.fd);

    log = begin(&f, LOG_LEVEL_INFO);
    memset(many, 1, sizeof(many) - 1);
    log_write(log, LOG_LEVEL_INFO, 0, &ctx, "%s", many);
    CHECK(written().len <= 4096, "%zu", written().len);
    close(f.fd);

    log = begin(&f, LOG_LEVEL_INFO);
    log_write(log, LOG_LEVEL_INFO, 0, NULL, "\"%.*s\"", LOG_STR(str_n(many, sizeof(many) - 1)));
    CHECK(str_ends(message(), S("...\"")));
    close(f.fd);
}

static void
describe_much(const struct log_context *ctx, struct text *t)
{
    (void)ctx;
    for (unsigned i = 0; i < 2000; i++)
        TEXT_LIT(t, "\xe2\x82\xac");
}

TEST(no_line_is_longer_than_a_pipe_takes_at_once)
{
    struct log_context ctx = { .id = UINT64_MAX, .describe = describe_much };
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_INFO);
    struct str line;

    log_write(log, LOG_LEVEL_INFO, 0, &ctx, "%3000d", 1);
    line = written();
    CHECK(line.len <= 4096 && line.len > 4090, "%zu", line.len);
    CHECK(str_ends(line, S("\xe2\x82\xac...\n")), "cut between characters");
    close(f.fd);
}

static unsigned
lines(struct str s)
{
    unsigned n = 0;

    for (size_t i = 0; i < s.len; i++)
        n += s.ptr[i] == '\n';
    return n;
}

TEST(a_flood_of_one_line_is_counted)
{
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_INFO);

    for (unsigned i = 0; i < 5000; i++)
        log_write(log, LOG_LEVEL_ALERT, EMFILE, NULL, "accept4() failed");
    CHECK_EQ(lines(written()), 100);
    log_write(log, LOG_LEVEL_ALERT, 0, NULL, "something else");
    CHECK_EQ(lines(written()), 102);
    CHECK(str_search(written(), S(": message repeated 4900 times, first at ")) < written().len);
    CHECK(str_search(written(), S(": accept4() failed (24: Too many open files)\n")) <
          written().len);
    close(f.fd);

    /* nothing else comes: it is told all the same */
    log = begin(&f, LOG_LEVEL_INFO);
    clock_wall_ms -= clock_wall_ms % 1000;
    for (unsigned i = 0; i < 150; i++, clock_wall_ms += i < 101 ? 0 : 2)
        log_write(log, LOG_LEVEL_ALERT, 0, NULL, "no room");
    CHECK_EQ(lines(written()), 100);
    clock_ms += 999;
    timer_run();
    CHECK_EQ(lines(written()), 100, "yet");
    clock_ms += 2;
    timer_run();
    CHECK_EQ(lines(written()), 101);
    CHECK(str_search(written(), S("message repeated 50 times, first at ")) < written().len);
    CHECK(str_search(written(), S(".000, last at ")) < written().len);
    CHECK(str_search(written(), S(".098: no room\n")) < written().len);
    clock_ms += 2000;
    timer_run();
    CHECK_EQ(lines(written()), 101, "once");
    close(f.fd);

    log = begin(&f, LOG_LEVEL_INFO);
    for (unsigned i = 0; i < 5000; i++)
        log_write(log, LOG_LEVEL_ALERT, 0, NULL, "line %u", i);
    CHECK_EQ(lines(written()), 5000, "different lines are all there");
    close(f.fd);

    log = begin(&f, LOG_LEVEL_INFO);
    for (unsigned i = 0; i < 300; i++) {
        clock_wall_ms += 10;
        log_write(log, LOG_LEVEL_ALERT, 0, NULL, "now and then");
    }
    CHECK_EQ(lines(written()), 300);
    close(f.fd);
}

TEST(reopening_keeps_the_number)
{
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_INFO);
    char old[80];
    int fd = f.fd;
    struct stat st;

    log_write(log, LOG_LEVEL_INFO, 0, NULL, "before");
    snprintf(old, sizeof(old), "%s.1", path);
    rename(path, old);
    CHECK(log_file_open(&f));
    CHECK_EQ(f.fd, fd);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    log_write(log, LOG_LEVEL_INFO, 0, NULL, "after");
    CHECK_STR(message(), "after");
    CHECK(stat(old, &st) == 0 && st.st_size > 0);
    unlink(old);

    f.path = S("/nonexistent/log");
    CHECK(!log_file_open(&f));
    CHECK_EQ(errno, ENOENT);
    log_write(log, LOG_LEVEL_INFO, 0, NULL, "still");
    CHECK_EQ(lines(written()), 2);
    close(f.fd);
}

TEST(sinks_have_their_own_levels)
{
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_ERROR);

    CHECK(LOG_ON(log, LOG_LEVEL_ERROR) && !LOG_ON(log, LOG_LEVEL_WARN));
    log_add_sink(log, log_sink_file(&arena, &f, LOG_LEVEL_INFO));
    CHECK(LOG_ON(log, LOG_LEVEL_INFO) && !LOG_ON(log, LOG_LEVEL_DEBUG));
    log_write(log, LOG_LEVEL_INFO, 0, NULL, "once");
    CHECK_EQ(lines(written()), 1);
    log_write(log, LOG_LEVEL_ERROR, 0, NULL, "twice");
    CHECK_EQ(lines(written()), 3);
    close(f.fd);
}

/* Standard error while `log` says something. */
static struct str
on_stderr(struct log *log, enum log_level level, const char *text)
{
    static char mem[1000];
    int fds[2], saved = dup(2);
    ssize_t n;

    if (pipe(fds) < 0)
        exit(1);
    dup2(fds[1], 2);
    log_write(log, level, 0, NULL, "%s", text);
    dup2(saved, 2);
    close(saved);
    close(fds[1]);
    n = read(fds[0], mem, sizeof(mem));
    close(fds[0]);
    return str_n(mem, n > 0 ? (size_t)n : 0);
}

TEST(standard_error_before_and_during_the_start)
{
    struct log_file f;
    struct log *log = begin(&f, LOG_LEVEL_ERROR);

    CHECK_STR(on_stderr(log_main, LOG_LEVEL_EMERG, "x"), "weir: [emerg] x\n");
    CHECK_STR(on_stderr(log_main, LOG_STDERR_LEVEL, "x"), "weir: x\n");
    CHECK_STR(on_stderr(log_main, LOG_LEVEL_INFO, "x"), "");
    CHECK_STR(on_stderr(log, LOG_LEVEL_ERROR, "x"), "");
    log_echo = true;
    CHECK_STR(on_stderr(log, LOG_LEVEL_ERROR, "y"), "weir: [error] y\n");
    CHECK_STR(on_stderr(log, LOG_LEVEL_WARN, "y"), "weir: [warn] y\n");
    CHECK_STR(on_stderr(log, LOG_LEVEL_NOTICE, "y"), "");
    CHECK_EQ(lines(written()), 2);
    log_add_sink(log, log_sink_stderr(&arena, LOG_LEVEL_ERROR));
    CHECK_EQ(lines(on_stderr(log, LOG_LEVEL_ERROR, "z")), 1, "not twice");
    log_echo = false;
    close(f.fd);
}

TEST(levels)
{
    enum log_level level = LOG_LEVEL_INFO;

    CHECK(log_level_parse(S("emerg"), &level) && level == LOG_LEVEL_EMERG);
    CHECK(log_level_parse(S("debug"), &level) && level == LOG_LEVEL_DEBUG);
    CHECK(!log_level_parse(S("stderr"), &level) && !log_level_parse(S(""), &level) &&
          !log_level_parse(S("ERROR"), &level));
}

TEST(the_end)
{
    unlink(path);
    rmdir(dir);
    arena_free(&arena);
}
