/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.c - the command line, and the pid file's siblings.
 */
#include "test.h"

#include <sys/stat.h>

#include "build/config.h"
#include "master/options.h"
#include "master/pidfile.h"

enum { WORDS_MAX = 10 };

/* Splits a line at blanks. */
static int
split(char *line, char **argv)
{
    int n = 0;

    for (char *word = strtok(line, " "); word != NULL && n < WORDS_MAX; word = strtok(NULL, " "))
        argv[n++] = word;
    argv[n] = NULL;
    return n;
}

static const struct {
    const char *line, *error; /* NULL: none */
} lines[] = {
    { "weir", NULL },
    { "weir -t -q -c x", NULL },
    { "weir -tqc x", NULL },
    { "weir -cx -px -gx -ex", NULL },
    { "weir -s stop", NULL },
    { "weir -sreload", NULL },
    { "weir --directives", NULL },
    { "weir --handoff=7", NULL },
    { "weir ctl reload", NULL },
    { "weir -c x ctl -p y reload", NULL },
    { "weir -s foo", "invalid option: \"-s foo\"" },
    { "weir -z", "invalid option: \"z\"" },
    { "weir foo", "invalid option: \"foo\"" },
    { "weir -", "invalid option: \"-\"" },
    { "weir --", "invalid option: \"--\"" },
    { "weir --handoff=1", "invalid option: \"--handoff=1\"" },
    { "weir --handoff=x", "invalid option: \"--handoff=x\"" },
    { "weir -c", "option \"-c\" requires file name" },
    { "weir -p", "option \"-p\" requires directory name" },
    { "weir -tg", "option \"-g\" requires parameter" },
};

TEST(command_lines)
{
    EACH (lines, l) {
        char line[100], *argv[WORDS_MAX + 1];
        struct options o;
        struct error err = { 0 };
        bool ok;

        snprintf(line, sizeof(line), "%s", l->line);
        ok = options_parse(split(line, argv), argv, false, &o, &err);
        CHECK_EQ(ok, l->error == NULL, "%s: %s", l->line, err.text);
        if (!ok && l->error != NULL)
            CHECK_STR(str_c(err.text), l->error, "%s", l->line);
    }
}

TEST(values)
{
    char line[] = "weir -Tq -cfile -p dir ctl status", *argv[WORDS_MAX + 1];
    struct options o;
    struct error err;

    CHECK(options_parse(split(line, argv), argv, false, &o, &err));
    CHECK(o.test && o.dump && o.quiet && o.ctl && !o.version);
    CHECK_STR(str_c(o.conf), "file");
    CHECK_STR(str_c(o.prefix), "dir");
    REQUIRE(o.words != NULL);
    CHECK_STR(str_c(o.words[0]), "status");
    CHECK(o.words[1] == NULL);
}

TEST(paths_are_absolute)
{
    struct options o = { .prefix = "/srv/w", .conf = "a/b.conf" };
    struct conf_options to;
    struct arena a;

    arena_init(&a, 1024);
    CHECK(options_conf(&o, &a, &to));
    CHECK_STR(to.prefix, "/srv/w/");
    CHECK_STR(to.conf_path, "/srv/w/a/b.conf");
    o.conf = "/etc/x";
    CHECK(options_conf(&o, &a, &to));
    CHECK_STR(to.conf_path, "/etc/x");
    CHECK_STR(options_built_in(&a, S("/srv/w/"), WEIR_PREFIX "/logs/a"), "/srv/w/logs/a");
    CHECK_STR(options_built_in(&a, S("/srv/w/"), "/run/a"), "/run/a");
    arena_free(&a);
}

TEST(beside_the_pid_file)
{
    struct arena a;

    arena_init(&a, 1024);
    CHECK_STR(pidfile_sibling(&a, S("/run/weir.pid"), ".ctl"), "/run/weir.ctl");
    CHECK_STR(pidfile_sibling(&a, S("/run/weir"), ".lock"), "/run/weir.lock");
    arena_free(&a);
}

TEST(pid_files)
{
    char dir[] = "/tmp/weir-unit-XXXXXX", path[64];
    struct error err = { 0 };
    FILE *f;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/x.pid", dir);
    CHECK_EQ(pidfile_read(path, &err), 0);
    CHECK(strstr(err.text, "failed (2: No such file or directory)") != NULL, "%s", err.text);
    CHECK(pidfile_check(path, &err));
    CHECK(access(path, F_OK) != 0, "a check makes nothing");
    CHECK(pidfile_write(path, &err), "%s", err.text);
    CHECK_EQ(pidfile_read(path, &err), getpid());

    f = fopen(path, "w");
    fprintf(f, "1\n");
    fclose(f);
    pidfile_remove(path);
    CHECK(access(path, F_OK) == 0, "another process's pid file stays");
    f = fopen(path, "w");
    fclose(f);
    CHECK_EQ(pidfile_read(path, &err), 0);
    CHECK(strncmp(err.text, "invalid PID number \"\" in \"", 26) == 0, "%s", err.text);
    CHECK(pidfile_write(path, &err));
    pidfile_remove(path);
    CHECK(access(path, F_OK) != 0);
    CHECK(!pidfile_check("/nonexistent/x.pid", &err));
    rmdir(dir);
}
