/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * panic.h - the end of a process that can no longer trust itself.
 */
#ifndef WEIR_BASE_PANIC_H
#define WEIR_BASE_PANIC_H

#include <stdbool.h>

/*
 * Checks an invariant, in release builds too. What the outside can cause is never an ASSERT.
 * A failure writes one line and a backtrace to standard error and to the hook, then aborts.
 */
#define ASSERT(cond)                          \
    do {                                      \
        if (__builtin_expect(!(cond), 0))     \
            panic(__FILE__, __LINE__, #cond); \
    } while (0)

_Noreturn void panic(const char *file, int line, const char *what);

/* Called once by panic() before the abort with the finished line; the error log sets it. */
extern void (*panic_hook)(const char *line);
/* Whether a broken process stops (SIGSTOP) before it aborts, so that a debugger can look at it: `debug_points stop`. */
extern bool panic_stops;

#define ARRAY_LEN(a)             (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(p, type, m) ((type *)((char *)(p)-offsetof(type, m)))
#define LIKELY(c)                __builtin_expect(!!(c), 1)
#define UNLIKELY(c)              __builtin_expect(!!(c), 0)
#define PRINTF(fmt, first)       __attribute__((format(printf, fmt, first)))
#define UNUSED                   __attribute__((unused))

#endif
