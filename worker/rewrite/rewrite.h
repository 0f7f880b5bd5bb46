/* SPDX-License-Identifier: BSD-2-Clause */
/* rewrite.h - what the instructions of this room share: matching with rewrite_log, and module rewrite's settings. */
#ifndef WEIR_REWRITE_REWRITE_H
#define WEIR_REWRITE_REWRITE_H

#include "worker/http/named_regex.h"

/* As named_regex_match; without a match nothing is captured any more. The outcome is logged if rewrite_log says so. */
bool rewrite_match(struct request *r, const struct named_regex *re, struct str subject);
/* uninitialized_variable_warn in the exchange's scope. */
bool rewrite_warns(const struct exchange *x);

#endif
