/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * internal_redirect.c - sends a request on to another location when the checks of this one are through.
 *
 * A line holds once for a request: it may stand in server {} and so in the location that it leads to.
 *
 * Directive: internal_redirect.
 */
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"

struct internal_redirect_conf {
    struct template uri;
};

/* What has been followed; kept across redirects. */
struct internal_redirect {
    const struct internal_redirect_conf *followed;
};

extern struct module internal_redirect_module;

static enum phase_result
internal_redirect(struct exchange *x)
{
    const struct internal_redirect_conf *c = scope_conf(x->scope, &internal_redirect_module);
    struct internal_redirect *state =
        exchange_state(x, &internal_redirect_module, sizeof(struct internal_redirect));
    struct str uri;

    if (state == NULL)
        return phase_respond(x, 500);
    if (state->followed == c)
        return PHASE_NEXT;
    uri = template_expand(x, &c->uri);
    if (uri.ptr == NULL)
        return phase_respond(x, 500);
    if (uri.len == 0)
        return PHASE_NEXT;
    state->followed = c;
    exchange_keep_state(x, &internal_redirect_module);
    return uri.ptr[0] == '@' ? redirect_named(x, uri) : redirect_internal(x, uri, STR_NONE);
}

static bool
internal_redirect_wanted(const struct scope *s)
{
    return ((const struct internal_redirect_conf *)scope_conf(s, &internal_redirect_module))
        ->uri.set;
}

static const struct directive internal_redirect_directives[] = {
    D_TEMPLATE("internal_redirect", CTX_SRV | CTX_LOC, struct internal_redirect_conf, uri),
    D_END,
};

static const struct phase_entry internal_redirect_phases[] = {
    { .phase = HTTP_PRECONTENT, .run = internal_redirect, .wanted = internal_redirect_wanted },
    { 0 },
};

struct module internal_redirect_module = {
    .name = "internal_redirect",
    .conf_size = sizeof(struct internal_redirect_conf),
    .directives = internal_redirect_directives,
    .phases = internal_redirect_phases,
};
