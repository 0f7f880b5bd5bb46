/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl.c - finds the master of a configuration, asks it, and shows the answer.
 *
 * The configuration is needed for its pid path only, beside which the control socket lies: its text is read and no file
 * that it names, and it may be broken.
 */
#include "master/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "build/config.h"
#include "common/ipc/adopt.h"
#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/certs_command.h"
#include "master/control.h"
#include "master/diff_command.h"
#include "master/explain.h"
#include "master/handoff.h"
#include "master/pidfile.h"
#include "master/preflight.h"
#include "master/report.h"
#include "master/signals.h"

enum {
    ORPHANS_WAIT_MS = 10000,
    BUSY_WAIT_MS = 5000, /* for a reload to end */
};

struct ctl {
    struct arena arena;
    struct report report; /* of reading the text */
    struct str pid_path, ctl_path;
    int status; /* to exit with, when one of several questions has no answer */
};

/* The path of the line `pid` among those of the main context; ptr NULL: none, or memory. */
static struct str
named_pid_path(const struct config *c, struct arena *a)
{
    for (const struct conf_node *n = c->tree; n != NULL; n = n->next) {
        if (!n->block && n->n == 2 && str_eq(n->args[0], S("pid")))
            return options_absolute(a, c->prefix, n->args[1]);
    }
    return STR_NONE;
}

static bool
find_paths(const struct options *o, struct ctl *t)
{
    struct conf_options co;
    struct arena nodes;
    struct config *c;

    arena_init(&t->arena, 16384);
    report_init(&t->report, &t->arena);
    if (!options_conf(o, &t->arena, &co))
        return false;
    c = config_read(&co, &t->arena, &t->report.messages, &nodes);
    if (c == NULL)
        return false;
    t->pid_path = named_pid_path(c, &t->arena);
    if (t->pid_path.ptr == NULL)
        t->pid_path = options_built_in(&t->arena, co.prefix, WEIR_PID_PATH);
    t->ctl_path = pidfile_sibling(&t->arena, t->pid_path, ".ctl");
    arena_free(&nodes);
    config_free(c);
    return t->pid_path.ptr != NULL && t->ctl_path.ptr != NULL;
}

/* The same for a command of weirctl; false: said. */
static bool
find_master(const struct options *o, struct ctl *t)
{
    if (find_paths(o, t))
        return true;
    fprintf(stderr, "weirctl: out of memory\n");
    return false;
}

/* One question, one answer in `answer` (of CTL_ANSWER_MAX + 100), and perhaps a descriptor (-1: none). -1: nobody there;
 * 0: no answer; 1: answered. */
static int
ask_for_fd(struct str path, struct str command, char *answer, struct str *got, int *answer_fd)
{
    struct text request;
    int fd = ctl_connect(path);
    size_t n_fds = 1;
    ssize_t len = -1;

    *answer_fd = -1;
    if (fd < 0)
        return -1;
    text_init(&request, NULL);
    TEXT_LIT(&request, CTL_VERSION " ");
    text_add(&request, command);
    if (!request.failed && request.len <= CTL_REQUEST_MAX &&
        send(fd, request.ptr, request.len, MSG_NOSIGNAL) >= 0) {
        do {
            len = fd_recv(fd, answer, CTL_ANSWER_MAX + 100, answer_fd, &n_fds, 0);
        } while (len < 0 && errno == EINTR);
    }
    text_free(&request);
    fd_close(&fd);
    *got = str_n(answer, len > 0 ? (size_t)len : 0);
    return len > 0 ? 1 : 0;
}

static int
ask(struct str path, const char *command, char *answer, struct str *got)
{
    int fd, answered = ask_for_fd(path, str_c(command), answer, got, &fd);

    fd_close(&fd);
    return answered;
}

/* On a terminal what is wrong is red. */
static void
print_lines(struct str text)
{
    struct str line;

    while (text.len > 0 && str_split(&text, '\n', &line)) {
        bool red = str_starts(line, S("isolated: "));

        printf("%s%.*s%s\n", red ? "\033[31m" : "", STR(line), red ? "\033[0m" : "");
    }
}

static void
print_line(FILE *to, struct str text)
{
    if (to == stdout && isatty(STDOUT_FILENO)) {
        print_lines(text);
        return;
    }
    fwrite(text.ptr, 1, text.len, to);
    if (text.len > 0 && text.ptr[text.len - 1] != '\n')
        fputc('\n', to);
}

/* Shows the answer on the right channel; returns the exit status. */
static int
show(struct str answer, bool quiet)
{
    struct str word, rest = answer;

    if (str_starts(rest, S("ok"))) {
        rest = str_from(rest, rest.len > 2 ? 3 : 2);
        if (!quiet)
            print_line(stdout, rest);
        return 0;
    }
    str_split(&rest, ' ', &word);
    str_split(&rest, ' ', &word);
    if (rest.len == 0)
        rest = word;
    /* A report has its own `weir: [emerg]` on each line. */
    if (!str_starts(rest, S("weir: ")) && !str_starts(rest, S("nginx: ")))
        fprintf(stderr, "weirctl: ");
    print_line(stderr, rest);
    return EXIT_ERROR;
}

static void
pause_ms(long ms)
{
    struct timespec t = { .tv_nsec = ms * 1000000 };

    nanosleep(&t, NULL);
}

/* Of a master that died without removing it. */
static void
remove_stale_pid_file(const struct ctl *t)
{
    struct error err;
    pid_t pid = pidfile_read(t->pid_path.ptr, &err);

    if (pid != 0 && kill(pid, 0) != 0 && errno == ESRCH)
        unlink(t->pid_path.ptr);
}

static int
usage(FILE *to)
{
    const char *name, *help;

    fprintf(to, "Usage: weirctl [-p prefix] [-c filename] [-g directives] command\n"
                "       weirctl [-p prefix] [-c filename] [-g directives] test [-qW] [--json]\n\n"
                "Commands:\n");
    for (unsigned i = 0; control_command(i, &name, &help); i++)
        fprintf(to, "  %-8s : %s\n", name, help);
    fprintf(to, "  %-8s : %s\n", "diff", "show what a reload would change in the text");
    return to == stdout ? 0 : EXIT_USAGE;
}

/* Nobody answered; `nobody`: there is not even a listener. */
static int
say_no_answer(const struct ctl *t, bool nobody)
{
    if (!nobody) {
        fprintf(stderr, "weirctl: the master left without an answer, its error log may say why\n");
        return EXIT_NO_ANSWER;
    }
    fprintf(stderr, "weirctl: no master answers on %.*s: %s\n", STR(t->ctl_path), strerror(errno));
    report_print(&t->report, LOG_LEVEL_ERROR);
    return EXIT_NO_ANSWER;
}

/*
 * After a crash of the master its workers serve on, and are left alone; when the service has been stopped they have
 * to end.
 */
static int
run_orphans(const struct options *o, char **words)
{
    static char answer[CTL_ANSWER_MAX + 100];
    const char *result = getenv("SERVICE_RESULT");
    struct ctl t = { 0 };
    struct str got;
    int left = ORPHANS_WAIT_MS / 20;

    if (words[0] != NULL)
        return usage(stderr);
    if (!find_master(o, &t))
        return EXIT_NO_ANSWER;
    if (result != NULL && strcmp(result, "success") != 0 && strcmp(result, "timeout") != 0) {
        printf("workers are left serving: the service ended with \"%s\"\n", result);
        return 0;
    }
    for (; left > 0; left--, pause_ms(20)) {
        int n = ask(t.ctl_path, "orphans", answer, &got);

        if (n < 0)
            break;
        if (n == 0)
            continue;
        if (!str_starts(got, S("error nomaster")))
            return show(got, false);
        ask(t.ctl_path, "stop", answer, &got);
    }
    if (left == 0) {
        fprintf(stderr, "weirctl: workers without a master have not ended\n");
        return EXIT_ERROR;
    }
    unlink(t.ctl_path.ptr);
    remove_stale_pid_file(&t);
    printf("no orphans are left\n");
    return 0;
}

/* `test`: what the master answers is its report, as lines. */
static int
show_test(const struct options *o, struct ctl *t, struct str answer)
{
    bool ok = str_starts(answer, S("ok"));
    struct report report;
    struct str word, rest = answer, key, fields;
    struct conf_options co;

    str_split(&rest, ' ', &word);
    if (!ok)
        str_split(&rest, ' ', &word);
    if (!ok && !str_starts(rest, S("message ")))
        return show(answer, o->quiet);
    report_init(&report, &t->arena);
    while (lines_next(&rest, &key, &fields)) {
        if (str_eq(key, S("message")))
            report_get(&report, &fields);
    }
    if (!options_conf(o, &t->arena, &co))
        return EXIT_ERROR;
    ok = preflight_show(o, &report, co.conf_path) && ok;
    if (ok && !o->quiet && !o->json)
        printf("the configuration is good\n");
    return ok ? 0 : EXIT_ERROR;
}

/* Options may stand behind the command too. False: not understood. */
static bool
test_options(struct options *o, char **words)
{
    for (char **word = words; *word != NULL; word++) {
        if (strcmp(*word, "--json") == 0)
            o->json = true;
        else if (strcmp(*word, "-W") == 0)
            o->strict = true;
        else if (strcmp(*word, "-q") == 0)
            o->quiet = true;
        else
            return false;
    }
    return true;
}

/* Without a master it is checked here. */
static int
run_test(const struct options *given, char **words)
{
    static char answer[CTL_ANSWER_MAX + 100];
    struct options o = *given;
    struct ctl t = { 0 };
    struct str got;
    int n;

    if (!test_options(&o, words))
        return usage(stderr);
    if (!find_master(given, &t))
        return EXIT_NO_ANSWER;
    n = ask(t.ctl_path, "check", answer, &got);
    if (n == 1 && str_starts(got, S("error unknown"))) /* an older master */
        n = ask(t.ctl_path, "test", answer, &got);
    if (n == 1)
        return show_test(&o, &t, got);
    if (n == 0)
        return say_no_answer(&t, false);
    o.lint = true;
    return preflight_test(&o);
}

/* Part of an answer for `certs`; the status of the tool when there is none. */
static struct str
ask_part(void *data, const char *command)
{
    static char answer[CTL_ANSWER_MAX + 100];
    struct ctl *t = data;
    struct str got;
    int n = ask(t->ctl_path, command, answer, &got);

    if (n == 1 && str_starts(got, S("ok")))
        return str_from(got, got.len > 2 ? 3 : 2);
    if (n == 1)
        t->status = show(got, false);
    else
        t->status = say_no_answer(t, n < 0);
    return STR_NONE;
}

static int
run_certs(const struct options *o, char **words)
{
    bool json = words[0] != NULL && strcmp(words[0], "--json") == 0;
    struct ctl t = { 0 };

    if (words[0] != NULL && (!json || words[1] != NULL))
        return usage(stderr);
    if (!find_master(o, &t))
        return EXIT_NO_ANSWER;
    if (certs_show(ask_part, &t, json))
        return 0;
    return t.status != 0 ? t.status : EXIT_NO_ANSWER;
}

int
ctl_fetch(const struct options *o, struct str request, struct arena *a, struct str *text)
{
    static char answer[CTL_ANSWER_MAX + 100];
    struct error err = { 0 };
    struct ctl t = { 0 };
    struct str got;
    int fd, answered;

    if (!find_master(o, &t))
        return EXIT_NO_ANSWER;
    for (int left = BUSY_WAIT_MS / 50;; left--) {
        answered = ask_for_fd(t.ctl_path, request, answer, &got, &fd);
        if (answered != 1 || left == 0 || !str_starts(got, S("error busy")))
            break;
        pause_ms(50);
    }
    if (answered != 1)
        return say_no_answer(&t, answered < 0);
    if (fd < 0 || !str_starts(got, S("ok"))) {
        fd_close(&fd);
        return show(got, false) == 0 ? EXIT_NO_ANSWER : EXIT_ERROR;
    }
    *text = handoff_slurp(fd, a, &err);
    fd_close(&fd);
    if (text->ptr != NULL)
        return 0;
    fprintf(stderr, "weirctl: %s\n", err.text);
    return EXIT_ERROR;
}

/* Commands with words of their own, and work to do in the tool. */
static const struct {
    const char *name;
    int (*run)(const struct options *o, char **words);
} tool_commands[] = {
    { "explain", explain_command }, { "diff", diff_command },   { "certs", run_certs },
    { "test", run_test },           { "orphans", run_orphans },
};

int
ctl_run(const struct options *o)
{
    static char answer[CTL_ANSWER_MAX + 100];
    const char *command = o->words != NULL ? o->words[0] : NULL;
    struct ctl t = { 0 };
    struct str got;
    int answered;

    if (o->help || (command != NULL && strcmp(command, "help") == 0))
        return usage(stdout);
    for (size_t i = 0; command != NULL && i < ARRAY_LEN(tool_commands); i++) {
        if (strcmp(command, tool_commands[i].name) == 0)
            return tool_commands[i].run(o, o->words + 1);
    }
    if (command == NULL || o->words[1] != NULL)
        return usage(stderr);
    if (!find_master(o, &t))
        return EXIT_NO_ANSWER;
    answered = ask(t.ctl_path, command, answer, &got);
    return answered == 1 ? show(got, false) : say_no_answer(&t, answered < 0);
}

/* As nginx does it. */
static int
signal_by_pid_file(const struct ctl *t, const char *name)
{
    struct error err = { 0 };
    int sig = signals_by_name(name);
    pid_t pid = pidfile_read(t->pid_path.ptr, &err);

    if (pid == 0) {
        fprintf(stderr, "%s: [error] %s\n", log_program, err.text);
        return EXIT_ERROR;
    }
    if (kill(pid, sig) == 0)
        return 0;
    fprintf(stderr, "%s: [alert] kill(%d, %d) failed (%d: %s)\n", log_program, (int)pid, sig, errno,
            strerror(errno));
    return EXIT_ERROR;
}

int
ctl_signal(const struct options *o)
{
    static char answer[CTL_ANSWER_MAX + 100];
    struct ctl t = { 0 };
    struct str got;
    int status;

    if (!find_paths(o, &t))
        return EXIT_ERROR;
    if (strcmp(o->signal, "reload") == 0) {
        switch (ask(t.ctl_path, "reload", answer, &got)) {
        case 1:
            return show(got, true);
        case 0:
            fprintf(stderr, "%s: [error] the master left without an answer\n", log_program);
            return EXIT_ERROR;
        default:
            break;
        }
    }
    if (report_failed(&t.report)) {
        report_print(&t.report, LOG_LEVEL_ERROR);
        return EXIT_ERROR;
    }
    status = signal_by_pid_file(&t, o->signal);
    if (status == 0 && strcmp(o->signal, "reload") == 0)
        fprintf(stderr,
                "%s: [notice] there is no control socket: the verdict will be in the error log\n",
                log_program);
    return status;
}
