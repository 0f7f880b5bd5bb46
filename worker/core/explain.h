/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.h - the story of one request, told by the code that decides: `weirctl explain`. ARCHITECTURE.md 10.
 *
 * A process that explains runs one exchange through the real phases, and each decision is told here. In all others
 * explain_on is false, and that test is all that a decision costs them. Whoever has an effect outside the process asks
 * explain_on too, and tells what would be done instead of doing it.
 */
#ifndef WEIR_CORE_EXPLAIN_H
#define WEIR_CORE_EXPLAIN_H

#include "common/base/vec.h"
#include "common/conf/config.h"

extern bool explain_on;
/* For functions that only tell: they stay out of the way of those that decide. */
#define TELLER static __attribute__((cold, noinline))
/* What: "server", "location", "rewrite" ...; a place without a line: none is shown. */
#define EXPLAIN(what, pos, ...)                     \
    do {                                            \
        if (UNLIKELY(explain_on))                   \
            explain_step(what, (pos), __VA_ARGS__); \
    } while (0)
#define EXPLAIN_NOWHERE ((struct conf_pos){ 0, 0, 0 })

/* Whoever calls the rest has asked explain_on. Bytes of clients may stand in a text: they are escaped when it is shown. */
void explain_step(const char *what, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* In place of an effect: the story ends here, and so does the process. The handler returns PHASE_WAIT. */
void explain_stop(const char *what, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* A result under a name ("location", "origin_request"); the last value holds. */
void explain_fact(const char *name, struct str value);
/*
 * Where the line of this directive stands that holds in scope s: that of the innermost level that has one, with `first`
 * as its first argument when that is not empty. Without a line: nowhere, a default holds.
 */
struct conf_pos explain_place(const struct scope *s, const char *name, struct str first);

/* ---- for the process that explains ---- */

struct explain_entry {
    const char *what; /* of a fact its name */
    struct conf_pos pos;
    struct str text;
};
/* From here on explain_on is true. Everything lies in `a`; `tree` is the configuration's text. */
void explain_begin(struct arena *a, const struct conf_node *tree);
const struct vec *explain_steps(void); /* of struct explain_entry, in the order of events */
const struct vec *explain_facts(void); /* the same, in the order of their names' first mention */
/* The words of the directive one of which is at `pos`, as they were meant; ptr NULL: there is none. */
struct str explain_line(struct conf_pos pos);

#endif
