/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_error.h - what the library says went wrong, as text. */
#ifndef WEIR_TLS_TLS_ERROR_H
#define WEIR_TLS_TLS_ERROR_H

#include "common/base/text.h"

/* Appends " (SSL: error:...:reason error:...)" with all errors of this thread's queue, which is empty then. Nothing when
 * it was empty. */
void tls_error_add(struct text *t);
/* The same in a buffer that the next call overwrites. Ends with NUL. */
const char *tls_error_text(void);

#endif
