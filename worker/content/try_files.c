/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * try_files.c - serves the first of several files that exists, else redirects or answers a status.
 *
 * Directive: try_files.
 */
#include <errno.h>

#include "common/base/num.h"
#include "worker/core/explain.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"

struct candidate {
    struct template name; /* without the last '/' of a directory */
    bool is_dir;
};

struct try_files_conf {
    struct vec candidates; /* of struct candidate; empty: no try_files here */
    struct template last;  /* a URI or "@name" */
    struct str uri, args;  /* of a constant `last` */
    uint16_t status;       /* of "=code"; 0: `last` holds */
};

extern struct module try_files_module;

/* ---- configuration ---- */

static void
split_args(struct str text, struct str *uri, struct str *args)
{
    size_t mark = str_find(text, '?');

    *uri = str_upto(text, mark);
    *args = mark < text.len ? str_from(text, mark + 1) : S("");
}

static bool
set_last(struct conf_load *l, const struct conf_node *n, struct try_files_conf *c)
{
    int arg = (int)n->n - 1;
    struct str text = n->args[arg];
    uint32_t status;

    if (text.len > 0 && text.ptr[0] == '=') {
        if (!num_parse_u32(str_from(text, 1), &status) || status > 999)
            return conf_fail(l, n, arg, "invalid code \"%.*s\"", STR(text));
        c->status = (uint16_t)status;
        return true;
    }
    if (!template_compile(l, n, arg, text, &c->last))
        return false;
    if (template_is_const(&c->last))
        split_args(c->last.text, &c->uri, &c->args);
    return true;
}

static bool
try_files_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct try_files_conf *c = conf;

    (void)d;
    memset(c, 0, sizeof(*c));
    vec_init(&c->candidates, conf_arena(l), sizeof(struct candidate));
    for (uint32_t i = 1; i + 1 < n->n; i++) {
        struct candidate *candidate = VEC_PUSH(&c->candidates, struct candidate);
        struct str name = n->args[i];

        if (candidate == NULL)
            return conf_fail(l, n, (int)i, "out of memory");
        if (name.len > 0 && name.ptr[name.len - 1] == '/') {
            candidate->is_dir = true;
            name.len--;
        }
        if (!template_compile(l, n, (int)i, name, &candidate->name))
            return false;
    }
    return set_last(l, n, c);
}

/* ---- precontent ---- */

/* Whether there is a file, or a directory, of that name. */
static bool
exists(struct request *r, struct str path, bool as_dir)
{
    struct open_file *f = http_open_file(r, path, true);
    bool found;

    if (f == NULL)
        return false;
    if (f->error != 0 && f->error != ENOENT && f->error != ENOTDIR && f->error != ENAMETOOLONG)
        xlog(&r->x, LOG_LEVEL_ERROR, f->error, "stat() \"%.*s\" failed", STR(path));
    found = f->error == 0 && f->is_dir == as_dir;
    open_file_put(f);
    return found;
}

static enum phase_result
try_last(struct request *r, const struct try_files_conf *c)
{
    struct str text, uri = c->uri, args = c->args;
    enum phase_result result;

    if (c->status != 0)
        return phase_respond(&r->x, c->status);
    text = template_expand(&r->x, &c->last);
    if (text.ptr == NULL)
        return phase_respond(&r->x, 500);
    if (text.len > 0 && text.ptr[0] == '@')
        return redirect_named(&r->x, text);
    if (!template_is_const(&c->last))
        split_args(text, &uri, &args);
    result = redirect_internal(&r->x, uri, args);
    if (r->args.ptr == NULL)
        r->args = S(""); /* $args is found, and empty */
    return result;
}

/* The name becomes the URI. A directory lacks its last '/' unless the name has it, so that clients are redirected. */
static bool
take(struct request *r, struct str name)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct text uri;

    text_init(&uri, request_arena(r));
    if (c->alias && !c->alias_regex && !str_starts(name, c->alias_for))
        text_add(&uri, c->alias_for); /* it was found below the alias, so its URI lies there */
    text_add(&uri, name);
    if (uri.failed)
        return false;
    if (!str_eq(text_str(&uri), r->uri))
        r->uri = text_str(&uri);
    return true;
}

static enum phase_result
try_files(struct exchange *x)
{
    struct request *r = request_of(x);
    const struct try_files_conf *c = scope_conf(x->scope, &try_files_module);

    EXPLAIN("file", explain_place(x->scope, "try_files", S("")), "one after the other");
    VEC_FOREACH (candidate, struct candidate, &c->candidates) {
        struct str name = template_expand(x, &candidate->name);
        struct str path = STR_NONE;

        if (name.ptr != NULL) {
            EXPLAIN("file", EXPLAIN_NOWHERE, "is there %s \"%.*s\"?",
                    candidate->is_dir ? "a directory" : "a file", STR(name));
            path = http_file_path_of(r, name);
        }
        if (path.ptr == NULL || !exists(r, path, candidate->is_dir))
            continue;
        EXPLAIN("file", EXPLAIN_NOWHERE, "\"%.*s\" is taken", STR(name));
        return take(r, name) ? PHASE_NEXT : phase_respond(x, 500);
    }
    EXPLAIN("file", EXPLAIN_NOWHERE, "none is there: the last word holds");
    return try_last(r, c);
}

static bool
try_files_wanted(const struct scope *s)
{
    const struct try_files_conf *c = scope_conf(s, &try_files_module);

    return c->candidates.size != 0;
}

static const struct directive try_files_directives[] = {
    D_CALL("try_files", CTX_SRV | CTX_LOC, ARGS(2, ARGS_ANY), try_files_set, .offset = 0,
           .size = sizeof(struct try_files_conf), .inherit = I_BLOCK),
    D_END
};

static const struct phase_entry try_files_phases[] = { { .phase = HTTP_PRECONTENT,
                                                         .run = try_files,
                                                         .wanted = try_files_wanted,
                                                         .order = ORDER_TRY_FILES },
                                                       { 0 } };

struct module try_files_module = {
    .name = "try_files",
    .conf_size = sizeof(struct try_files_conf),
    .directives = try_files_directives,
    .phases = try_files_phases,
};
