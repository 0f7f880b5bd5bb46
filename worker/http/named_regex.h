/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * named_regex.h - a regular expression of the configuration whose named groups become variables (server_name,
 * location, rewrite, if, map).
 */
#ifndef WEIR_HTTP_NAMED_REGEX_H
#define WEIR_HTTP_NAMED_REGEX_H

#include "worker/core/var.h"
#include "worker/http/request.h"

struct named_group {
    uint32_t group;    /* number in the pattern */
    uint32_t variable; /* index of the variable of its name */
};

struct named_regex {
    struct regex *regex;
    bool nocase;
    /* The pattern is ^LITERAL and REST: subjects without this prefix (in any case, if nocase) cannot match. */
    struct str literal;
    struct str rest; /* as written; the whole pattern when there is no such literal */
    uint32_t n_named;
    struct named_group *named;
};

/* Compiles the pattern (argument `arg` of the node, for the caret) and defines its variables. NULL after conf_fail. */
struct named_regex *named_regex_compile(struct conf_load *l, const struct conf_node *n, int arg,
                                        struct str pattern, bool nocase);
/* On a match of a request $0..$9 and the named variables are set from `subject`, which lives as long as the request. r
 * may be NULL: then nothing is set. */
bool named_regex_match(struct request *r, const struct named_regex *re, struct str subject);

#endif
