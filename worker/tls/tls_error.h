/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_error.h - what the library says went wrong, as text. */
#ifndef WEIR_TLS_TLS_ERROR_H
#define WEIR_TLS_TLS_ERROR_H

#include <openssl/err.h>

#include "common/base/panic.h"
#include "common/base/text.h"

/* Before a call whose failure is told by the queue: it has to be empty, as it nearly always is. */
static inline void
tls_clear_errors(void)
{
    if (UNLIKELY(ERR_peek_error() != 0))
        ERR_clear_error();
}
/* Appends " (SSL: error:...:reason error:...)" with all errors of this thread's queue, which is empty then. Nothing when
 * it was empty. */
void tls_error_add(struct text *t);
/* The same in a buffer that the next call overwrites. Ends with NUL. */
const char *tls_error_text(void);

#endif
