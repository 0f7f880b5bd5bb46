/* SPDX-License-Identifier: BSD-2-Clause */
/* error.c - formats the explanation of a failure. */
#include "common/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* Bytes written to e->text, without NUL. */
static size_t
format(struct error *e, const char *fmt, va_list args)
{
    int n = vsnprintf(e->text, sizeof(e->text), fmt, args);

    if (n < 0) {
        e->text[0] = '\0';
        return 0;
    }
    return (size_t)n < sizeof(e->text) ? (size_t)n : sizeof(e->text) - 1;
}

void
error_set(struct error *e, const char *fmt, ...)
{
    va_list args;

    e->sys = 0;
    va_start(args, fmt);
    format(e, fmt, args);
    va_end(args);
}

void
error_sys(struct error *e, const char *fmt, ...)
{
    int sys = errno;
    va_list args;
    size_t n;

    e->sys = sys;
    va_start(args, fmt);
    n = format(e, fmt, args);
    va_end(args);
    snprintf(e->text + n, sizeof(e->text) - n, " (%d: %s)", sys, strerror(sys));
    errno = sys;
}
