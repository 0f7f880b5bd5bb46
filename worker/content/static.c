/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * static.c - files below root and alias: what answers where nothing else does.
 */
#include <errno.h>

#include "common/base/escape.h"
#include "worker/http/body.h"
#include "worker/http/etag.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"

/* Which status a failed open means, and whether anybody wants to read of it. */
static enum phase_result
static_failed(struct request *r, struct str path, int error)
{
    enum log_level level = LOG_LEVEL_ERROR;
    int status = 404;

    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
        break;
    case EACCES:
    case ELOOP: /* disable_symlinks */
    case EMLINK:
        status = 403;
        break;
    case EMFILE:
    case ENFILE: /* for the time being */
        level = LOG_LEVEL_CRIT;
        status = 503;
        break;
    default:
        level = LOG_LEVEL_CRIT;
        status = 500;
    }
    if (status != 404 || HTTP_CONF(r)->log_not_found)
        xlog(&r->x, level, error, "open() \"%.*s\" failed", STR(path));
    return phase_respond(&r->x, status);
}

/* "/dir" -> "/dir/" */
static enum phase_result
static_redirect_dir(struct request *r)
{
    struct text t;

    text_init(&t, request_arena(r));
    escape_uri(&t, r->uri, ESCAPE_URI_PATH);
    text_char(&t, '/');
    if (r->args.len > 0) {
        text_char(&t, '?');
        text_add(&t, r->args);
    }
    if (t.failed)
        return phase_respond(&r->x, 500);
    return redirect_external(r, 301, text_str(&t));
}

static enum phase_result
static_send(struct request *r, struct str path, struct open_file *f)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct response *res = &r->res;

    if (f->size > 0) {
        res->body = body_file(&r->x, f, 0, f->size);
        if (res->body == NULL)
            return phase_respond(&r->x, 500);
    }
    request_body_discard(r);
    res->status = 200;
    res->length = (int64_t)f->size;
    if (res->content_type.len == 0) /* an origin's X-Accel-Redirect may have brought one */
        res->content_type = http_type_of(c, r->uri.len > 0 ? r->uri : path);
    res->last_modified = f->mtime;
    res->accept_ranges = true;
    if (c->etag)
        res->etag = etag_make(request_arena(r), f->mtime, f->size);
    r->x.doing = "sending response to client";
    return response_start(r);
}

static enum phase_result
static_answer(struct request *r, struct str path, struct open_file *f)
{
    if (f->error != 0)
        return static_failed(r, path, f->error);
    if (f->is_dir)
        return static_redirect_dir(r);
    if (!f->is_file) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "\"%.*s\" is not a regular file", STR(path));
        return phase_respond(&r->x, 404);
    }
    if (r->method == METHOD_POST)
        return phase_respond(&r->x, 405);
    return static_send(r, path, f);
}

/* A directory that no index file and no listing answered for. */
static enum phase_result
static_forbid_dir(struct request *r, struct str path)
{
    xlog(&r->x, LOG_LEVEL_ERROR, 0, "directory index of \"%.*s\" is forbidden", STR(path));
    return phase_respond(&r->x, 403);
}

static enum phase_result
static_content(struct exchange *x)
{
    struct request *r = request_of(x);
    struct str path;
    struct open_file *f;
    enum phase_result result;

    if ((r->method & (METHOD_GET | METHOD_HEAD | METHOD_POST)) == 0)
        return phase_respond(x, 405);
    path = http_file_path(r);
    if (path.ptr == NULL)
        return phase_respond(x, (int)path.len);
    if (r->uri.len > 0 && r->uri.ptr[r->uri.len - 1] == '/')
        return static_forbid_dir(r, path);
    f = http_open_file(r, path, false);
    if (f == NULL)
        return phase_respond(x, 500);
    result = static_answer(r, path, f);
    open_file_put(f);
    return result;
}

static const struct phase_entry static_phases[] = {
    { .phase = HTTP_CONTENT, .run = static_content, .order = ORDER_STATIC }, { 0 }
};

struct module static_module = {
    .name = "static",
    .phases = static_phases,
};
