/* SPDX-License-Identifier: BSD-2-Clause */
/* diff.h - what differs between two texts, line by line, in the unified form of diff -u. */
#ifndef WEIR_BASE_DIFF_H
#define WEIR_BASE_DIFF_H

#include "common/base/text.h"

/*
 * Appends hunks with three lines of context; nothing when the texts are equal. What differs in very many lines is shown as
 * wholly replaced. False: memory.
 */
bool diff_unified(struct text *to, struct str old, struct str new);

#endif
