/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite.h - the instruction list of a scope (rewrite, set, if, break, return), run in text order in the two rewrite
 * phases. The room rewrite/ holds the instructions.
 */
#ifndef WEIR_HTTP_REWRITE_H
#define WEIR_HTTP_REWRITE_H

#include "common/conf/directive.h"
#include "worker/http/request.h"

enum rewrite_step {
    REWRITE_NEXT,  /* the next instruction */
    REWRITE_BREAK, /* the rest of the list is not run (`break`) */
    REWRITE_STOP,  /* the phase's result is in *result (a response, a jump) */
};
typedef enum rewrite_step (*rewrite_op)(struct request *r, const void *data,
                                        enum phase_result *result);
/* Appends to the program of the scope being loaded. False: memory. */
bool rewrite_append(struct conf_load *l, rewrite_op op, const void *data);
/*
 * For `if`: makes `block` the exchange's scope and runs its program. What it returns is the instruction's own result.
 */
enum rewrite_step rewrite_enter(struct request *r, struct scope *block, enum phase_result *result);
/*
 * For instructions that change the URI: find_location is run again at the end of the program. A path that does not begin
 * with '/' gets one, "." and ".." are resolved; args are cleaned as by rewrite_clean_args. False: it leads above the
 * root, or memory is out (said).
 */
bool rewrite_set_uri(struct request *r, struct str uri, struct str args);
/* `break`: the changed URI is served where it is, in the location that was found for the former one. */
void rewrite_stay(struct request *r);
/* Arguments put together from variables: with blanks and control bytes in percent encoding, so that they stay within a
 * request line. ptr NULL: memory. */
struct str rewrite_clean_args(struct request *r, struct str args);

#endif
