/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * core_dump.c - hides memory from core files at the moment of a crash, when all of it is known.
 *
 * Keys are in more places than those they were read into: the library makes copies of its own. So everything is hidden
 * that is not a stack, a program or a library. The handler of the fatal signal does it, and uses only what a handler may.
 */
#include "common/sys/core_dump.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/sanitize.h"

enum { STACK_BYTES = 64 * 1024, READ_BYTES = 4096, LINE_BYTES = 512, NO_CORE_FILE = 1 /* byte */ };

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGXCPU };
static struct rlimit wanted;
static bool hidden; /* the handlers are there */

/* ---- in the handler ---- */

/* A hexadecimal number; *at moves behind it. */
static uintptr_t
hex(const char **at)
{
    uintptr_t n = 0;

    for (;; (*at)++) {
        char c = **at;

        if (c >= '0' && c <= '9')
            n = n << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return n;
    }
}

/* "start-end perms offset device inode path": whether it is memory without a file, or a file without a name, and no
 * stack. */
static bool
is_private_memory(const char *rest)
{
    const char *path = strchr(rest, '/');

    if (strstr(rest, "[stack") != NULL || strstr(rest, "[v") != NULL)
        return false;
    return path == NULL || strncmp(path, "/memfd:", 7) == 0 || strncmp(path, "/dev/zero", 9) == 0;
}

/* `here` is on the stack of this thread, which may have no name. False: the memory stays in sight. */
static bool
hide_line(const char *line, uintptr_t here)
{
    const char *at = line;
    uintptr_t start = hex(&at), end;

    if (*at++ != '-')
        return false;
    end = hex(&at);
    if (!is_private_memory(at) || (here >= start && here < end))
        return true;
    return madvise((void *)start, end - start, MADV_DONTDUMP) == 0;
}

/* False: something could not be hidden. */
static bool
hide_all(void)
{
    char bytes[READ_BYTES], line[LINE_BYTES];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;
    bool good = fd >= 0;

    while (good && (n = read(fd, bytes, sizeof(bytes))) != 0) {
        good = n > 0;
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] != '\n') {
                if (len < sizeof(line) - 1)
                    line[len++] = bytes[i];
                continue;
            }
            line[len] = '\0';
            len = 0;
            good = hide_line(line, (uintptr_t)line) && good;
        }
    }
    if (fd >= 0)
        close(fd);
    return good;
}

/* The signal comes again when this returns, and ends the process where it came from. */
static void
on_fatal(int sig)
{
    if (hide_all())
        (void)setrlimit(RLIMIT_CORE, &wanted);
    (void)raise(sig);
}

/* ---- before ---- */

static void
install(void)
{
    static char stack[STACK_BYTES];
    const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction action = { .sa_handler = on_fatal,
                                .sa_flags = SA_ONSTACK | (int)SA_RESETHAND };

    (void)sigaltstack(&alternate, NULL);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        (void)sigaction(fatal[i], &action, NULL);
}

void
core_dump_hide_memory(void)
{
    struct rlimit now;

#ifdef WEIR_ASAN
    return; /* its own handlers tell more */
#endif
    if (!hidden) {
        install();
        hidden = true;
    }
    if (getrlimit(RLIMIT_CORE, &now) != 0 || (now.rlim_cur == NO_CORE_FILE && wanted.rlim_max != 0))
        return;
    wanted = now;
    now.rlim_cur = now.rlim_max < NO_CORE_FILE ? now.rlim_max : NO_CORE_FILE;
    (void)setrlimit(RLIMIT_CORE, &now);
}

void
core_dump_restore_limit(void)
{
    if (hidden)
        (void)setrlimit(RLIMIT_CORE, &wanted);
}
