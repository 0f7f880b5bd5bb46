/* SPDX-License-Identifier: BSD-2-Clause */
/* error.c - explanations of failures, and the last one. */
#include "common/base/error.h"

#include <errno.h>

#include "t/unit/test.h"

TEST(texts)
{
    struct error e;

    error_set(&e, "zone \"%s\"", "x");
    CHECK_STR(str_c(e.text), "zone \"x\"");
    CHECK_EQ(e.sys, 0);
    errno = ENOENT;
    error_sys(&e, "open() \"%s\" failed", "/x");
    CHECK_STR(str_c(e.text), "open() \"/x\" failed (2: No such file or directory)");
    CHECK_EQ(e.sys, ENOENT);
    CHECK_EQ(errno, ENOENT);
    error_sys(&e, "%5000d", 1);
    CHECK_EQ(strlen(e.text), sizeof(e.text) - 1);
}

static void
hook(const char *line)
{
    _exit(strstr(line, "error.c:") != NULL && strstr(line, ": 1 + 1 == 3") != NULL ? 42 : 43);
}

TEST(a_failed_assertion_calls_the_hook_with_its_line)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(1);
        panic_hook = hook;
        ASSERT(1 + 1 == 3);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42, "%x", (unsigned)status);
    CHECK_DIES(ASSERT(!"possible"));
}
