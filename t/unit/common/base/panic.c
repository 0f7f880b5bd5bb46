/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic.c - tests of how a broken process ends.
 */
#include "common/base/panic.h"

#include <fcntl.h>
#include <signal.h>

#include "t/unit/test.h"

static int hook_pipe[2];

static void
hook(const char *line)
{
    (void)!write(hook_pipe[1], line, strlen(line));
}

/* A child that finds itself broken, quietly; its process id. */
static pid_t
broken_child(bool stops)
{
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDERR_FILENO);
        panic_hook = hook;
        panic_stops = stops;
        ASSERT(stops && !stops);
    }
    return pid;
}

TEST(a_panic_is_said_and_aborts)
{
    char line[200] = "";
    int status;
    pid_t pid;

    CHECK_EQ(pipe(hook_pipe), 0);
    pid = broken_child(false);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    CHECK(read(hook_pipe[0], line, sizeof(line) - 1) > 0);
    CHECK(strstr(line, "panic: t/unit/common/base/panic.c:") != NULL &&
              strstr(line, ": stops && !stops") != NULL,
          "%s", line);
    close(hook_pipe[0]);
    close(hook_pipe[1]);
}

TEST(a_panic_waits_for_a_debugger)
{
    int status;
    pid_t pid;

    CHECK_EQ(pipe(hook_pipe), 0);
    pid = broken_child(true);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    close(hook_pipe[0]);
    close(hook_pipe[1]);
}
