/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * root.c - root and alias: from a URI to a path of the file system, and the opening of it.
 *
 * URIs are normalised before they come here. What `alias` with captures or variables puts together is not: a path
 * with a ".." segment that the configuration did not write itself is refused.
 */
#include "worker/core/explain.h"
#include "worker/http/http_core.h"

/* ---- directives ---- */

/* One of root and alias at a level, once. */
static bool
path_is_first(struct conf_load *l, const struct conf_node *n, const char *name)
{
    struct scope *s = conf_scope(l);
    struct location *loc = s->kind == SCOPE_LOCATION ? s->owner : NULL;

    if (loc == NULL)
        return true;
    if (loc->path_by != NULL)
        return conf_fail(l, n, 0,
                         "\"%s\" directive is duplicate, \"%s\" directive was specified "
                         "earlier",
                         name, loc->path_by);
    loc->path_by = name;
    return true;
}

static bool
path_compile(struct conf_load *l, const struct conf_node *n, struct str path, struct template *t)
{
    static const char *const refused[] = { "document_root", "realpath_root" };

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct str name = str_c(refused[i]);
        size_t at = str_search(path, name);

        if (at < path.len && at > 0 &&
            (path.ptr[at - 1] == '$' || (at > 1 && path.ptr[at - 2] == '$')))
            return conf_fail(l, n, 1, "the $%s variable cannot be used in the \"%.*s\" directive",
                             refused[i], STR(n->args[0]));
    }
    memset(t, 0, sizeof(*t));
    if (path.len == 0 || path.ptr[0] != '$')
        path = conf_path(l, path, false);
    if (path.ptr == NULL)
        return conf_fail(l, n, 1, "out of memory");
    return template_compile(l, n, 1, path, t);
}

bool
root_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    struct str path = n->args[1];

    (void)d;
    if (!path_is_first(l, n, "root"))
        return false;
    if (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    c->alias = false;
    c->alias_regex = false;
    c->alias_for = STR_NONE;
    if (path.len == 0 && n->args[1].len == 1) { /* root /; */
        memset(&c->root, 0, sizeof(c->root));
        c->root.text = S("");
        c->root.set = true;
        return true;
    }
    return path_compile(l, n, path, &c->root);
}

bool
alias_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;
    const struct location *loc = conf_scope(l)->owner;

    (void)d;
    if (!path_is_first(l, n, "alias"))
        return false;
    if (loc->kind == LOCATION_NAMED)
        return conf_fail(l, n, 0,
                         "the \"alias\" directive cannot be used inside the named location");
    c->alias = true;
    c->alias_regex = loc->kind == LOCATION_REGEX;
    c->alias_for = loc->name;
    return path_compile(l, n, n->args[1], &c->root);
}

bool
root_init(struct conf_load *l, struct http_conf *c)
{
    struct str path = conf_path(l, S("html"), false);

    if (path.ptr == NULL)
        return false;
    c->root.text = path;
    c->root.set = true;
    return true;
}

/* ---- a request's path ---- */

/* Segments that are "..". */
static unsigned
count_parents(struct str path)
{
    unsigned n = 0;
    const char *at = path.ptr, *end = path.ptr + path.len;

    while (at < end && (at = memchr(at, '.', (size_t)(end - at))) != NULL) {
        bool starts = at == path.ptr || at[-1] == '/';

        if (starts && end - at >= 2 && at[1] == '.' && (end - at == 2 || at[2] == '/'))
            n++;
        at++;
    }
    return n;
}

static struct str
refused(int status)
{
    return str_n(NULL, (size_t)status);
}

static bool
path_is_safe(const struct http_conf *c, struct str path)
{
    unsigned parents = count_parents(path);

    if (memchr(path.ptr, '\0', path.len) != NULL)
        return false;
    return parents == 0 || parents <= count_parents(c->root.text);
}

/* What of the URI goes behind root's path. */
static bool
path_rest(struct request *r, const struct http_conf *c, struct str uri, struct str *rest)
{
    *rest = uri;
    if (!c->alias)
        return true;
    if (c->alias_regex) {
        if (uri.ptr == r->uri.ptr) /* the path is all that alias says */
            *rest = STR_NONE;
        return true;
    }
    if (!str_starts(uri, c->alias_for)) {
        if (uri.ptr != r->uri.ptr) /* a name of try_files lies below the alias */
            return true;
        xlog(&r->x, LOG_LEVEL_ERROR, 0,
             "\"alias\" cannot be used in location \"%.*s\" where URI was rewritten",
             STR(c->alias_for));
        return false;
    }
    *rest = str_from(uri, c->alias_for.len);
    return true;
}

struct str
http_file_path_of(struct request *r, struct str uri)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct text t;
    struct str rest;

    if (!path_rest(r, c, uri, &rest))
        return refused(500);
    text_init(&t, request_arena(r));
    if (template_is_const(&c->root)) {
        text_room(&t, c->root.text.len + rest.len + 1);
        text_add(&t, c->root.text);
    } else {
        template_append(&r->x, &c->root, &t);
    }
    text_add(&t, rest);
    text_char(&t, '\0');
    if (t.failed)
        return refused(500);
    t.len--;
    if (t.len == 0 || !path_is_safe(c, text_str(&t))) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "unsafe path \"%.*s\" was refused", (int)t.len, t.ptr);
        return refused(404);
    }
    EXPLAIN("file", explain_place(r->x.scope, c->alias ? "alias" : "root", S("")),
            "\"%.*s\" is \"%.*s\"", STR(uri), STR(text_str(&t)));
    return text_str(&t);
}

struct str
http_file_path(struct request *r)
{
    return http_file_path_of(r, r->uri);
}

struct str
http_document_root(struct request *r)
{
    const struct http_conf *c = HTTP_CONF(r);

    return template_expand(&r->x, &c->root);
}

TELLER void
explain_file(struct str path, const struct open_file *f)
{
    if (f == NULL)
        return;
    if (f->error != 0)
        explain_step("file", EXPLAIN_NOWHERE, "\"%.*s\": %s", STR(path), strerror(f->error));
    else if (f->is_file)
        explain_step("file", EXPLAIN_NOWHERE, "\"%.*s\" is a file of %llu bytes", STR(path),
                     (unsigned long long)f->size);
    else
        explain_step("file", EXPLAIN_NOWHERE, "\"%.*s\" is %s", STR(path),
                     f->is_dir ? "a directory" : "no regular file");
    explain_fact("file", path);
    explain_fact("file_exists", f->error == 0 ? S("true") : S("false"));
}

struct open_file *
http_open_file(struct request *r, struct str path, bool stat_only)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct open_file_options o;
    struct open_file *f;

    if (template_is_const(&c->symlinks_from)) {
        f = open_file_get(path, &c->open_files, stat_only);
    } else {
        o = c->open_files;
        o.symlinks_from = template_expand(&r->x, &c->symlinks_from);
        f = open_file_get(path, &o, stat_only);
    }
    if (UNLIKELY(explain_on))
        explain_file(path, f);
    return f;
}
