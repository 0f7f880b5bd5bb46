/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ctl.c - finds the master of a configuration, asks it, and shows the answer.
 *
 * The configuration is needed for its pid path only, beside which the control socket lies: it may be broken.
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
#include "common/log/log.h"
#include "common/sys/fd.h"
#include "master/certs_command.h"
#include "master/control.h"
#include "master/master_conf.h"
#include "master/pidfile.h"
#include "master/report.h"
#include "master/signals.h"

enum { EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_NO_ANSWER = 3, ORPHANS_WAIT_MS = 10000 };

struct ctl {
    struct arena arena;
    struct report report; /* of the load */
    bool loaded;
    struct str pid_path, ctl_path;
    int status; /* to exit with, when one of several questions has no answer */
};

static bool
find_paths(const struct options *o, struct ctl *t)
{
    struct conf_options co;
    struct config *c;

    arena_init(&t->arena, 16384);
    report_init(&t->report, &t->arena);
    if (!options_conf(o, &t->arena, &co))
        return false;
    c = config_load(&co, &t->arena, &t->report.messages);
    t->loaded = c != NULL;
    if (c != NULL)
        t->pid_path = c->core.pid_path;
    else if (core_seen_pid_path().ptr != NULL)
        t->pid_path = core_seen_pid_path();
    else
        t->pid_path = options_built_in(&t->arena, co.prefix, WEIR_PID_PATH);
    t->ctl_path = pidfile_sibling(&t->arena, t->pid_path, ".ctl");
    return t->pid_path.ptr != NULL && t->ctl_path.ptr != NULL;
}

/* One question, one answer in `answer` (of CTL_ANSWER_MAX + 100). -1: nobody there; 0: no answer; 1: answered. */
static int
ask(struct str path, const char *command, char *answer, struct str *got)
{
    char request[CTL_REQUEST_MAX];
    int fd = ctl_connect(path), n;
    ssize_t len;

    if (fd < 0)
        return -1;
    n = snprintf(request, sizeof(request), CTL_VERSION " %s", command);
    if (n < 0 || (size_t)n >= sizeof(request) || send(fd, request, (size_t)n, MSG_NOSIGNAL) < 0) {
        fd_close(&fd);
        return 0;
    }
    do {
        len = recv(fd, answer, CTL_ANSWER_MAX + 100, 0);
    } while (len < 0 && errno == EINTR);
    fd_close(&fd);
    *got = str_n(answer, len > 0 ? (size_t)len : 0);
    return len > 0 ? 1 : 0;
}

static void
print_line(FILE *to, struct str text)
{
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

/*
 * After a crash of the master its workers serve on, and are left alone; when the service has been stopped they have
 * to end.
 */
static int
run_orphans(const struct ctl *t, char *answer)
{
    const char *result = getenv("SERVICE_RESULT");
    struct str got;
    int left = ORPHANS_WAIT_MS / 20;

    if (result != NULL && strcmp(result, "success") != 0 && strcmp(result, "timeout") != 0) {
        printf("workers are left serving: the service ended with \"%s\"\n", result);
        return 0;
    }
    for (; left > 0; left--, pause_ms(20)) {
        int n = ask(t->ctl_path, "orphans", answer, &got);

        if (n < 0)
            break;
        if (n == 0)
            continue;
        if (!str_starts(got, S("error nomaster")))
            return show(got, false);
        ask(t->ctl_path, "stop", answer, &got);
    }
    if (left == 0) {
        fprintf(stderr, "weirctl: workers without a master have not ended\n");
        return EXIT_ERROR;
    }
    unlink(t->ctl_path.ptr);
    remove_stale_pid_file(t);
    printf("no orphans are left\n");
    return 0;
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
    if (!t->loaded)
        report_print(&t->report, LOG_LEVEL_ERROR);
    return EXIT_NO_ANSWER;
}

static int
usage(FILE *to)
{
    const char *name, *help;

    fprintf(to, "Usage: weirctl [-p prefix] [-c filename] [-g directives] command\n\nCommands:\n");
    for (unsigned i = 0; control_command(i, &name, &help); i++)
        fprintf(to, "  %-8s : %s\n", name, help);
    return to == stdout ? 0 : EXIT_USAGE;
}

/* What the master says to one of several questions, behind "ok "; ptr NULL after saying why there is nothing. */
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
run_certs(struct ctl *t, char **words)
{
    bool json = words[0] != NULL && strcmp(words[0], "--json") == 0;

    if (words[0] != NULL && (!json || words[1] != NULL))
        return usage(stderr);
    if (certs_show(ask_part, t, json))
        return 0;
    return t->status != 0 ? t->status : EXIT_NO_ANSWER;
}

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
    if (command == NULL || (o->words[1] != NULL && strcmp(command, "certs") != 0))
        return usage(stderr);
    if (!find_paths(o, &t)) {
        fprintf(stderr, "weirctl: out of memory\n");
        return EXIT_NO_ANSWER;
    }
    if (strcmp(command, "orphans") == 0)
        return run_orphans(&t, answer);
    if (strcmp(command, "certs") == 0)
        return run_certs(&t, o->words + 1);
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
    if (!t.loaded) {
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
