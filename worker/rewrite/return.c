/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * return.c - ends the rewrite phase with a text, a redirect or a status.
 *
 * Directive: return.
 */
#include "common/base/num.h"
#include "worker/core/explain.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"
#include "worker/http/rewrite.h"
#include "worker/rewrite/return_lint.h"

struct return_rule {
    uint16_t status;
    bool has_text;
    struct conf_pos pos;
    struct template text; /* of a redirect: the target */
};

static bool
status_is_redirect(unsigned status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static enum phase_result
return_answer(struct request *r, const struct return_rule *rule)
{
    struct str text, type = STR_NONE;

    /* Without a text an error has its error_page, or the built-in one. */
    if (rule->status >= 400 && !rule->has_text)
        return phase_respond(&r->x, rule->status);
    r->res.status = rule->status; /* for $status in the text */
    text = rule->has_text ? template_expand(&r->x, &rule->text) : S("");
    if (text.ptr == NULL)
        return phase_respond(&r->x, 500);
    if (status_is_redirect(rule->status))
        return redirect_external(r, rule->status, text);
    request_body_discard(r);
    if (rule->status != 204)
        type = http_type_of(HTTP_CONF(r), r->uri);
    return response_send(r, rule->status, type, text);
}

static enum rewrite_step
return_run(struct request *r, const void *data, enum phase_result *result)
{
    EXPLAIN("rewrite", ((const struct return_rule *)data)->pos, "answers");
    *result = return_answer(r, data);
    return REWRITE_STOP;
}

/* `return URL`: without a code it has to be told from one. */
static bool
is_url(struct str s)
{
    return str_starts(s, S("http://")) || str_starts(s, S("https://")) ||
           str_starts(s, S("$scheme"));
}

static bool
return_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct return_rule *rule = ARENA_NEW(conf_arena(l), struct return_rule);
    int text_arg = n->n == 3 ? 2 : 0;
    uint32_t status = 302;

    (void)d, (void)conf;
    if (rule == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (n->n == 2 && is_url(n->args[1]))
        text_arg = 1;
    else if (!num_parse_u32(n->args[1], &status) || status > 999)
        return conf_fail(l, n, 1, "invalid return code \"%.*s\"", STR(n->args[1]));
    rule->status = (uint16_t)status;
    rule->pos = n->pos;
    if (text_arg > 0) {
        rule->has_text = true;
        if (!template_compile(l, n, text_arg, n->args[text_arg], &rule->text))
            return false;
    }
    return rewrite_append(l, return_run, rule) || conf_fail(l, n, 0, "out of memory");
}

static const struct directive return_directives[] = {
    D_CALL("return", CTX_SRV | CTX_LOC | CTX_SIF | CTX_LIF, ARGS(1, 2), return_set, .repeat = true),
    D_END
};

struct module return_module = {
    .name = "return",
    .directives = return_directives,
    .lint = return_checks,
};
