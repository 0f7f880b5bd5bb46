/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * break.c - ends the instructions of the block; a path that they changed stays in its location.
 *
 * Directive: break.
 */
#include "worker/http/rewrite.h"

#include "common/module.h"

static enum rewrite_step
break_run(struct request *r, const void *data, enum phase_result *result)
{
    (void)data, (void)result;
    rewrite_stay(r);
    return REWRITE_BREAK;
}

static bool
break_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)d, (void)conf;
    return rewrite_append(l, break_run, NULL) || conf_fail(l, n, 0, "out of memory");
}

static const struct directive break_directives[] = {
    D_CALL("break", CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF, ARGS(0, 0), break_set, .repeat = true),
    D_END
};

struct module break_module = {
    .name = "break",
    .directives = break_directives,
};
