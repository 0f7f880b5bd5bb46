/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regex.h - the thin face of PCRE2. Compiled once at load, to machine code unless `pcre_jit off` forbids it, matched
 * without allocation.
 */
#ifndef WEIR_BASE_REGEX_H
#define WEIR_BASE_REGEX_H

#include "common/base/text.h"

struct regex;
enum { REGEX_CAPTURES_MAX = 32 }; /* $0 and up to 31 groups; more is a configuration error */

/* Offsets into the subject; pairs of start and end, SIZE_MAX for a group that took no part. */
struct regex_match {
    uint32_t n; /* groups filled, the whole match included; 0: no match */
    size_t at[REGEX_CAPTURES_MAX * 2];
};

/* Whether patterns are compiled to machine code, and those that have been are matched by it; true at first. */
void regex_use_jit(bool on);
/*
 * NULL on a bad pattern: `err` then holds nginx's whole message: `pcre2_compile() failed: ... in
 * "pattern" at "rest"` or what else is wrong, with the pattern. Lives as
 * long as the arena.
 */
struct regex *regex_compile(struct arena *a, struct str pattern, bool nocase, struct text *err);
/* False: no match, or a limit of the engine was reached (counted as no match; *failed says so when not NULL). */
bool regex_match(const struct regex *re, struct str subject, struct regex_match *m, bool *failed);
/* Groups in the pattern, without $0. */
uint32_t regex_groups(const struct regex *re);
/* The i-th named group: its name and number; false when there is no i-th. */
bool regex_named(const struct regex *re, uint32_t i, struct str *name, uint32_t *group);
struct str regex_pattern(const struct regex *re);

#endif
