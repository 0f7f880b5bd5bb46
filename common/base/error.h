/* SPDX-License-Identifier: BSD-2-Clause */
/* error.h - one explanation on its way to the place that logs it. */
#ifndef WEIR_BASE_ERROR_H
#define WEIR_BASE_ERROR_H

#include "common/base/panic.h"
#include "common/base/str.h"

struct error {
    int sys;         /* errno, or 0 */
    char text[1000]; /* ends with NUL; cut when too long */
};

void error_set(struct error *e, const char *fmt, ...) PRINTF(2, 3);
/* Keeps errno and appends " (N: message)" to the text, as nginx writes it. */
void error_sys(struct error *e, const char *fmt, ...) PRINTF(2, 3);

#endif
