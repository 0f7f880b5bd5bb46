/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index.c - "/dir/" is answered by the first of its index files that exists, through an internal redirect.
 *
 * Directive: index.
 */
#include <errno.h>

#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"

struct index_conf {
    struct vec files; /* of struct template */
};

extern struct module index_module;

/* ---- configuration ---- */

static bool
index_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct index_conf *c = conf;

    (void)d;
    if (c->files.size == 0)
        vec_init(&c->files, conf_arena(l), sizeof(struct template));
    for (uint32_t i = 1; i < n->n; i++) {
        struct template *t;

        if (n->args[i].len == 0)
            return conf_fail(l, n, (int)i, "index \"\" in \"index\" directive is invalid");
        if (n->args[i].ptr[0] == '/' && i + 1 < n->n)
            conf_warn(l, n, (int)i,
                      "only the last index in \"index\" directive should be absolute");
        t = VEC_PUSH(&c->files, struct template);
        if (t == NULL)
            return conf_fail(l, n, (int)i, "out of memory");
        if (!template_compile(l, n, (int)i, n->args[i], t))
            return false;
    }
    return true;
}

/* ---- content ---- */

static enum phase_result
index_error(struct request *r, struct str path, int error)
{
    if (error == EACCES || error == ELOOP || error == EMLINK) {
        xlog(&r->x, LOG_LEVEL_ERROR, error, "\"%.*s\" is forbidden", STR(path));
        return phase_respond(&r->x, 403);
    }
    if (error != ENOENT && error != ENOTDIR && error != ENAMETOOLONG) {
        xlog(&r->x, LOG_LEVEL_CRIT, error, "open() \"%.*s\" failed", STR(path));
        return phase_respond(&r->x, 500);
    }
    if (HTTP_CONF(r)->log_not_found)
        xlog(&r->x, LOG_LEVEL_ERROR, error, "\"%.*s\" is not found", STR(path));
    return phase_respond(&r->x, 404);
}

/* errno of the look at a path; 0: it is there. */
static int
index_look(struct request *r, struct str path)
{
    struct open_file *f = http_open_file(r, path, true);
    int error = f != NULL ? f->error : ENOMEM;

    open_file_put(f);
    return error;
}

/* Whether the next name may be tried after this one was not found: the directory itself has to exist. */
static bool
index_dir_exists(struct request *r, struct str dir, int *error)
{
    *error = index_look(r, dir.len > 1 ? str_upto(dir, dir.len - 1) : dir);
    return *error == 0;
}

static enum phase_result
index_redirect(struct request *r, struct str name)
{
    struct text uri;

    text_init(&uri, request_arena(r));
    text_add(&uri, r->uri);
    text_add(&uri, name);
    if (uri.failed)
        return phase_respond(&r->x, 500);
    return redirect_internal(&r->x, text_str(&uri), r->args.ptr != NULL ? r->args : S(""));
}

static struct str
index_path(struct request *r, struct str dir, struct str name)
{
    struct text t;

    text_init(&t, request_arena(r));
    text_add(&t, dir);
    text_add(&t, name);
    text_char(&t, '\0');
    return t.failed ? STR_NONE : str_n(t.ptr, t.len - 1);
}

static enum phase_result
index_content(struct exchange *x)
{
    struct request *r = request_of(x);
    const struct index_conf *c = scope_conf(x->scope, &index_module);
    struct str dir = STR_NONE;
    bool dir_known = false;

    if (r->uri.len == 0 || r->uri.ptr[r->uri.len - 1] != '/' ||
        (r->method & (METHOD_GET | METHOD_HEAD | METHOD_POST)) == 0)
        return PHASE_NEXT;
    VEC_FOREACH (t, struct template, &c->files) {
        struct str name = template_expand(x, t), path;
        int error;

        if (name.len == 0)
            continue;
        if (name.ptr[0] == '/')
            return redirect_internal(x, name, r->args.ptr != NULL ? r->args : S(""));
        if (dir.ptr == NULL && (dir = http_file_path(r)).ptr == NULL)
            return phase_respond(x, (int)dir.len);
        path = index_path(r, dir, name);
        if (path.ptr == NULL)
            return phase_respond(x, 500);
        error = index_look(r, path);
        if (error == 0)
            return index_redirect(r, name);
        if (error != ENOENT)
            return index_error(r, path, error);
        if (!dir_known && !index_dir_exists(r, dir, &error))
            return index_error(r, path, error);
        dir_known = true;
    }
    return PHASE_NEXT;
}

static const struct directive index_directives[] = {
    D_CALL("index", CTX_HTTP | CTX_SRV | CTX_LOC, ARGS(1, ARGS_ANY), index_set,
           FIELD(struct index_conf, files), .inherit = I_LIST, DEFAULT(index.html)),
    D_END
};

static const struct phase_entry index_phases[] = {
    { .phase = HTTP_CONTENT, .run = index_content, .order = ORDER_INDEX }, { 0 }
};

struct module index_module = {
    .name = "index",
    .conf_size = sizeof(struct index_conf),
    .directives = index_directives,
    .phases = index_phases,
};
