/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - parses the command line: letters can be joined (-tq), a value may follow at once (-cFILE).
 */
#include "master/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "build/config.h"
#include "common/base/num.h"
#include "common/log/log.h"

enum option_kind { OPTION_FLAG, OPTION_VALUE };

struct option {
    char letter;
    enum option_kind kind;
    size_t offset;       /* in struct options: a bool or a const char * */
    const char *missing; /* what is said when the value is missing */
    const char *help;
};

#define FLAG(l, f, help)                                        \
    {                                                           \
        l, OPTION_FLAG, offsetof(struct options, f), NULL, help \
    }
#define VALUE(l, f, missing, help)                                  \
    {                                                               \
        l, OPTION_VALUE, offsetof(struct options, f), missing, help \
    }

static const struct option options[] = {
    FLAG('?', help, NULL),
    FLAG('h', help, "this help"),
    FLAG('v', version, "show version and exit"),
    FLAG('V', configure, "show version and configure options then exit"),
    FLAG('t', test, "test configuration and exit"),
    FLAG('T', dump, "test configuration, dump it and exit"),
    FLAG('q', quiet, "suppress non-error messages during configuration testing"),
    FLAG('W', strict, "let warnings fail the test too, exit code 1"),
    VALUE('s', signal, "parameter", "send signal to a master process: stop, quit, reopen, reload"),
    VALUE('p', prefix, "directory name", "set prefix path (default: " WEIR_PREFIX "/)"),
    VALUE('e', error_log, "file name", "set error log file (default: " WEIR_ERROR_LOG_PATH ")"),
    VALUE('c', conf, "file name", "set configuration file (default: " WEIR_CONF_PATH ")"),
    VALUE('g', globals, "parameter", "set global directives out of configuration file"),
};

static const struct option *
find(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

static bool
parse_fd(const char *value, int *fd)
{
    uint32_t n;

    if (!num_parse_u32(str_c(value), &n) || n < 3 || n > INT32_MAX)
        return false;
    *fd = (int)n;
    return true;
}

static bool
parse_long(const char *arg, struct options *o)
{
    if (strcmp(arg, "--directives") == 0)
        o->directives = true;
    else if (strcmp(arg, "--help") == 0)
        o->help = true;
    else if (strcmp(arg, "--version") == 0)
        o->version = true;
    else if (strcmp(arg, "--json") == 0)
        o->json = true;
    else if (strncmp(arg, "--handoff=", 10) == 0)
        return parse_fd(arg + 10, &o->handoff_fd);
    else if (strncmp(arg, "--preflight=", 12) == 0)
        return parse_fd(arg + 12, &o->preflight_fd);
    else
        return false;
    return true;
}

/* One argument of joined letters; *i moves on when the value is the next one. */
static bool
parse_letters(int argc, char **argv, int *i, struct options *o, struct error *err)
{
    for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
        const struct option *row = find(*p);

        if (row == NULL) {
            error_set(err, "invalid option: \"%c\"", *p);
            return false;
        }
        if (row->kind == OPTION_FLAG) {
            *(bool *)((char *)o + row->offset) = true;
            continue;
        }
        if (p[1] != '\0')
            p++;
        else if (*i + 1 < argc && argv[*i + 1][0] != '\0')
            p = argv[++*i];
        else {
            error_set(err, "option \"-%c\" requires %s", row->letter, row->missing);
            return false;
        }
        *(const char **)((char *)o + row->offset) = p;
        return true;
    }
    return true;
}

static bool
is_signal(const char *name)
{
    static const char *const names[] = { "stop", "quit", "reopen", "reload" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

bool
options_parse(int argc, char **argv, bool ctl, struct options *o, struct error *err)
{
    memset(o, 0, sizeof(*o));
    o->handoff_fd = o->preflight_fd = -1;
    o->ctl = ctl;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];

        if (arg[0] == '-' && arg[1] == '-') {
            if (!parse_long(arg, o)) {
                error_set(err, "invalid option: \"%s\"", arg);
                return false;
            }
        } else if (arg[0] == '-' && arg[1] != '\0') {
            if (!parse_letters(argc, argv, &i, o, err))
                return false;
        } else if (!o->ctl && strcmp(arg, "ctl") == 0) {
            o->ctl = true;
        } else if (o->ctl) {
            o->words = &argv[i];
            break;
        } else {
            error_set(err, "invalid option: \"%s\"", arg);
            return false;
        }
    }
    if (o->signal != NULL && !is_signal(o->signal)) {
        error_set(err, "invalid option: \"-s %s\"", o->signal);
        return false;
    }
    if (o->dump)
        o->test = true;
    o->lint = o->test;
    return true;
}

/* Absolute, with or without a '/' at the end. */
static struct str
absolute(struct arena *a, struct str base, struct str path, bool directory)
{
    bool slash = directory && !str_ends(path, S("/"));

    if (path.len > 0 && path.ptr[0] == '/')
        return arena_fmt(a, "%.*s%s", STR(path), slash ? "/" : "");
    return arena_fmt(a, "%.*s%.*s%s", STR(base), STR(path), slash ? "/" : "");
}

struct str
options_absolute(struct arena *a, struct str prefix, struct str path)
{
    return absolute(a, prefix, path, false);
}

struct str
options_built_in(struct arena *a, struct str prefix, const char *path)
{
    struct str built = str_c(path), root = S(WEIR_PREFIX "/");

    if (str_starts(built, root))
        built = str_from(built, root.len);
    return absolute(a, prefix, built, false);
}

bool
options_conf(const struct options *o, struct arena *a, struct conf_options *to)
{
    char cwd[4096];
    struct str here;

    memset(to, 0, sizeof(*to));
    here = getcwd(cwd, sizeof(cwd)) != NULL ? arena_fmt(a, "%s/", cwd) : S("/");
    to->prefix = absolute(a, here, str_c(o->prefix != NULL ? o->prefix : WEIR_PREFIX), true);
    to->conf_path = o->conf != NULL ? absolute(a, to->prefix, str_c(o->conf), false)
                                    : options_built_in(a, to->prefix, WEIR_CONF_PATH);
    to->globals = str_c(o->globals);
    to->error_log = str_c(o->error_log);
    to->lint = o->lint;
    return to->prefix.ptr != NULL && to->conf_path.ptr != NULL;
}

void
options_usage(void)
{
    fprintf(stderr,
            "Usage: %s [-?hvVtTqW] [-s signal] [-p prefix]\n"
            "             [-e filename] [-c filename] [-g directives]\n"
            "       %s ctl [-p prefix] [-c filename] [-g directives] command\n\n"
            "Options:\n",
            log_program, log_program);
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        static const char *const names[] = { "signal", "prefix", "filename", "filename",
                                             "directives" };
        const struct option *row = &options[i];
        char left[20];

        if (row->help == NULL)
            continue;
        if (row->letter == 'h')
            snprintf(left, sizeof(left), "-?,-h");
        else if (row->kind == OPTION_FLAG)
            snprintf(left, sizeof(left), "-%c", row->letter);
        else
            snprintf(left, sizeof(left), "-%c %s", row->letter,
                     names[i + ARRAY_LEN(names) - ARRAY_LEN(options)]);
        fprintf(stderr, "  %-13s : %s\n", left, row->help);
    }
    fprintf(stderr, "  %-13s : %s\n", "--json",
            "print what a test finds as JSON, on standard output");
    fprintf(stderr, "  %-13s : %s\n\n", "--directives", "list directives and variables and exit");
}
