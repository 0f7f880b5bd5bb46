/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic.c - the last line and the backtrace of a process that found itself broken.
 *
 * Uses neither malloc nor stdio: the heap may be what is broken.
 */
#include "common/base/panic.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define HAVE_BACKTRACE 1
#endif

enum { PANIC_FRAMES = 64 };

void (*panic_hook)(const char *line);
bool panic_stops;

static void
write_stderr(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, bytes, n);

        if (done <= 0)
            return;
        bytes += done;
        n -= (size_t)done;
    }
}

static void
write_backtrace(void)
{
#ifdef HAVE_BACKTRACE
    void *frames[PANIC_FRAMES];
    int n = backtrace(frames, PANIC_FRAMES);

    backtrace_symbols_fd(frames, n, STDERR_FILENO);
#endif
}

_Noreturn void
panic(const char *file, int line, const char *what)
{
    static volatile int panicking;
    char text[512];
    void (*hook)(const char *) = panic_hook;

    if (panicking) /* the hook or the backtrace failed as well */
        abort();
    panicking = 1;
    snprintf(text, sizeof(text), "panic: %s:%d: %s\n", file, line, what);
    write_stderr(text, strlen(text));
    write_backtrace();
    text[strlen(text) - 1] = '\0';
    if (hook != NULL)
        hook(text);
    if (panic_stops)
        raise(SIGSTOP);
    abort();
}
