/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dav.c - files are written, removed, copied and moved by requests: PUT, DELETE, MKCOL, COPY, MOVE (RFC 4918).
 *
 * A body is written beside its destination as it comes and takes the name when it is whole: nobody ever sees a part of
 * it, and what was there stays until then. Copies are made beside their destination, too. Trees are the business of
 * threads (dav_tree.c), so that they do not hold up other clients.
 *
 * Directives: dav_methods, dav_access, create_full_put_path, min_delete_depth.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/escape.h"
#include "common/base/rand.h"
#include "common/event/offload.h"
#include "common/sys/fd.h"
#include "common/sys/file.h"
#include "worker/core/explain.h"
#include "worker/content/dav_tree.h"
#include "worker/http/date.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"
#include "worker/http/target.h"

enum {
    PULL_BYTES = 64 * 1024, /* of a body at a time */
    TURN_BYTES = 1 << 20,   /* written before others have their turn */
    ASIDE_MAX = 32,         /* bytes of a name that nobody else has */
    DEPTH_ABSENT = -1,
    DEPTH_BAD = -2,
    DEPTH_INFINITY = INT_MAX,
};

struct dav_conf {
    uint32_t methods; /* bits of enum method */
    uint32_t access;  /* of new files; directories may be searched where they may be read */
    bool full_path;
    uint32_t min_delete_depth;
};

/* ---- work for a thread ---- */

enum dav_work { WORK_DELETE, WORK_COPY, WORK_MOVE };

struct dav_job {
    struct offload offload;
    struct exchange *x;
    enum dav_work work;
    const char *from, *to;    /* without a '/' at their ends */
    const char *temp, *aside; /* beside `to` */
    bool members;
    bool done;
    int error; /* errno */
};

/* A body on its way into a file. */
struct dav_put {
    struct abort_hook on_abort;
    struct source *body; /* NULL: it is empty, or has been read */
    int fd;
    const char *path, *temp;
    bool make_parents, replaces;
};

struct dav_state {
    struct dav_job *job;
    struct dav_put *put;
};

extern struct module dav_module;

/* ---- answers ---- */

static enum phase_result
dav_failed(struct request *r, const char *what, const char *path, int error)
{
    enum log_level level = LOG_LEVEL_ERROR;
    int status;

    switch (error) {
    case ENOENT:
    case ENAMETOOLONG:
        status = 404;
        break;
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case ELOOP:
        status = 409;
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        status = 403;
        break;
    case ENOSPC:
    case EDQUOT:
        status = 507; /* RFC 4918, 11.5 */
        break;
    default:
        status = 500;
        level = LOG_LEVEL_CRIT;
    }
    xlog(&r->x, level, error, "%s \"%s\" failed", what, path);
    return phase_respond(&r->x, status);
}

static enum phase_result
dav_refused(struct request *r, int status, const char *why)
{
    xlog(&r->x, LOG_LEVEL_ERROR, 0, "%s", why);
    return phase_respond(&r->x, status);
}

static enum phase_result
dav_done(struct request *r, uint16_t status)
{
    request_body_discard(r);
    return response_send(r, status, STR_NONE, S(""));
}

/* 201, and where the new thing is. */
static enum phase_result
dav_created(struct request *r)
{
    struct str location;
    struct text t;

    text_init(&t, request_arena(r));
    escape_uri(&t, r->uri, ESCAPE_URI_PATH);
    location = text_str(&t);
    if (location.ptr != NULL && HTTP_CONF(r)->absolute_redirect)
        location = redirect_absolute(r, location);
    if (location.ptr == NULL ||
        fields_set(&r->res.fields, FIELD_LOCATION, STR_NONE, location) == NULL)
        return phase_respond(&r->x, 500);
    return dav_done(r, 201);
}

/* ---- what requests say ---- */

static bool
is_collection(struct str uri)
{
    return uri.len > 0 && uri.ptr[uri.len - 1] == '/';
}

static bool
has_body(struct request *r)
{
    return r->content_length > 0 || r->body_chunked;
}

static int
depth_of(const struct request *r)
{
    const struct field *f = fields_get(&r->fields, FIELD_DEPTH);

    if (f == NULL)
        return DEPTH_ABSENT;
    if (str_eq(f->value, S("0")))
        return 0;
    if (str_eq(f->value, S("1")))
        return 1;
    return str_eq_nocase(f->value, S("infinity")) ? DEPTH_INFINITY : DEPTH_BAD;
}

/* A path as C string without the '/' of a collection. NULL: *status says why. */
static char *
path_of(struct request *r, struct str uri, int *status)
{
    struct str path = http_file_path_of(r, uri);
    char *copy;

    if (path.ptr == NULL) {
        *status = (int)path.len;
        return NULL;
    }
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    copy = arena_cstr(request_arena(r), path);
    *status = 500;
    return copy;
}

/* A name beside a path that nobody else has. NULL: memory. */
static char *
beside(struct request *r, const char *path)
{
    size_t dir = str_rfind(str_c(path), '/');
    char name[ASIDE_MAX];

    snprintf(name, sizeof(name), "/.dav-%016llx", (unsigned long long)rand_u64());
    return (char *)arena_fmt(request_arena(r), "%.*s%s", (int)dir, path, name).ptr;
}

/* ---- PUT ---- */

static void
put_close(struct dav_put *p, enum stop why)
{
    exchange_off_abort(&p->on_abort);
    source_stop(p->body, why);
    p->body = NULL;
    fd_close(&p->fd);
    if (p->temp != NULL)
        (void)unlink(p->temp);
    p->temp = NULL;
}

static void
put_on_abort(struct abort_hook *h, struct exchange *x)
{
    (void)x;
    put_close(CONTAINER_OF(h, struct dav_put, on_abort), STOP_CLIENT_GONE);
}

static enum phase_result
put_failed(struct request *r, struct dav_put *p, const char *what, int error)
{
    const char *path = p->path;

    put_close(p, STOP_FAILED);
    return dav_failed(r, what, path, error);
}

/* RFC 9110, 6.6.1: when the client says it was written. */
static void
put_set_time(const struct request *r, int fd)
{
    struct str date = fields_value(&r->fields, FIELD_DATE);
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    int64_t seconds;

    if (date.len == 0 || !date_parse(date, &seconds))
        return;
    times[1].tv_sec = (time_t)seconds;
    (void)futimens(fd, times);
}

/* The whole body is in the file: it gets its name. */
static enum phase_result
put_finish(struct request *r, struct dav_put *p)
{
    const struct dav_conf *c = scope_conf(r->x.scope, &dav_module);
    bool replaces = p->replaces;
    int error = 0;

    put_set_time(r, p->fd);
    if (fchmod(p->fd, c->access) != 0 || close(p->fd) != 0)
        error = errno;
    p->fd = -1;
    if (error == 0 && p->make_parents)
        error = file_make_parents(p->path, file_dir_mode(c->access));
    if (error == 0 && rename(p->temp, p->path) != 0)
        error = errno == ENOENT ? ENOTDIR : errno; /* a directory above it has gone */
    if (error != 0)
        return put_failed(r, p, "rename() to", error);
    p->temp = NULL;
    put_close(p, STOP_DONE);
    return replaces ? dav_done(r, 204) : dav_created(r);
}

static enum phase_result
put_body_failed(struct request *r, struct dav_put *p)
{
    int status = request_body_status(r);

    put_close(p, STOP_FAILED);
    return phase_respond(&r->x, status != 0 ? status : 400);
}

/* Writes what has come. WAIT: more will come, or others have their turn first. */
static enum phase_result
put_write(struct request *r, struct dav_put *p)
{
    size_t written = 0;

    while (p->body != NULL) {
        char room[PULL_BYTES];
        struct batch b;
        enum pull after;

        batch_init(&b, sizeof(room), PIECE_MEM);
        b.room = room;
        b.room_len = sizeof(room);
        after = source_pull(p->body, &b);
        for (uint8_t i = 0; i < b.n; i++) {
            if (!fd_write_all(p->fd, b.piece[i].mem, b.piece[i].len))
                return put_failed(r, p, "write() of", errno);
            written += b.piece[i].len;
        }
        if (after == PULL_WAIT)
            return PHASE_WAIT;
        if (after == PULL_FAILED)
            return put_body_failed(r, p);
        if (after == PULL_END) {
            source_stop(p->body, STOP_DONE);
            p->body = NULL;
        } else if (written >= TURN_BYTES) {
            phase_resume(&r->x);
            return PHASE_WAIT;
        }
    }
    return put_finish(r, p);
}

static void
put_on_more(void *data)
{
    phase_resume(data);
}

/* Where the body is written until it is whole: beside the destination, or where its directories will be made. */
static int
put_open(struct request *r, struct dav_put *p, bool full_path)
{
    char *dir = (char *)arena_cstr(request_arena(r), str_c(p->path));

    if (dir == NULL)
        return ENOMEM;
    for (;;) {
        char *slash = strrchr(dir, '/');
        int error;

        if (slash == NULL)
            return ENOTDIR;
        p->temp = beside(r, dir);
        if (p->temp == NULL)
            return ENOMEM;
        p->fd = open(p->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (p->fd != -1)
            return 0;
        error = errno;
        p->temp = NULL;
        if (error != ENOENT)
            return error;
        if (!full_path)
            return ENOTDIR; /* RFC 4918, 9.7.1: 409 without its collection */
        p->make_parents = true;
        *slash = '\0';
    }
}

/* The body from its first byte: as it comes, or as an earlier phase has collected it. False: memory, or it is lost. */
static bool
put_take_body(struct request *r, struct dav_put *p)
{
    switch (request_body_state(r)) {
    case BODY_NONE:
        return true;
    case BODY_AWAITED:
        p->body = request_body_stream(r);
        if (p->body != NULL)
            request_body_on_more(r, put_on_more, &r->x);
        return p->body != NULL;
    case BODY_COMPLETE:
        p->body = request_body_open(r, &r->x);
        return p->body != NULL || request_body_received(r) == 0;
    case BODY_COLLECTING:
    case BODY_STREAMING:
    case BODY_DISCARDING:
    case BODY_FAILED:
        break;
    }
    return false;
}

static enum phase_result
put_start(struct request *r, struct dav_state *state)
{
    const struct dav_conf *c = scope_conf(r->x.scope, &dav_module);
    struct dav_put *p;
    struct stat st;
    int status, error;

    if (is_collection(r->uri))
        return dav_refused(r, 409, "cannot PUT to a collection");
    if (fields_get(&r->fields, FIELD_CONTENT_RANGE) != NULL)
        return dav_refused(r, 501, "PUT with range is unsupported");
    p = ARENA_NEW(request_arena(r), struct dav_put);
    if (p == NULL)
        return phase_respond(&r->x, 500);
    p->fd = -1;
    p->path = path_of(r, r->uri, &status);
    if (p->path == NULL)
        return phase_respond(&r->x, status);
    p->replaces = stat(p->path, &st) == 0;
    if (p->replaces && !S_ISREG(st.st_mode))
        return dav_failed(r, "PUT to", p->path, EISDIR);
    error = put_open(r, p, c->full_path);
    if (error != 0)
        return dav_failed(r, "PUT to", p->path, error);
    p->on_abort.run = put_on_abort;
    exchange_on_abort(&r->x, &p->on_abort);
    if (!put_take_body(r, p)) {
        put_close(p, STOP_FAILED);
        return phase_respond(&r->x, 500);
    }
    state->put = p;
    return put_write(r, p);
}

/* ---- jobs ---- */

static int
do_copy(const struct dav_job *j)
{
    int error = dav_copy(j->from, j->temp, j->members);

    if (error != 0)
        return error;
    error = dav_replace(j->temp, j->to, j->aside);
    if (error != 0)
        (void)dav_remove(j->temp);
    return error;
}

static int
do_move(struct dav_job *j)
{
    int error = dav_replace(j->from, j->to, j->aside);

    if (error != EXDEV)
        return error;
    error = do_copy(j);
    return error == 0 ? dav_remove(j->from) : error;
}

static void
job_work(struct offload *o)
{
    struct dav_job *j = CONTAINER_OF(o, struct dav_job, offload);

    switch (j->work) {
    case WORK_DELETE:
        j->error = dav_remove(j->from);
        break;
    case WORK_COPY:
        j->error = do_copy(j);
        break;
    case WORK_MOVE:
        j->error = do_move(j);
        break;
    }
}

static void
job_done(struct offload *o)
{
    struct dav_job *j = CONTAINER_OF(o, struct dav_job, offload);

    j->done = true;
    if (!j->x->given)
        phase_resume(j->x);
    exchange_release(j->x, "dav");
}

static enum phase_result
job_answer(struct request *r, const struct dav_job *j)
{
    static const char *const names[] = { "DELETE of", "COPY to", "MOVE to" };

    if (j->error != 0) {
        /* the destination's collection is missing; the source was there */
        int error = j->error == ENOENT && j->work != WORK_DELETE ? ENOTDIR : j->error;

        return dav_failed(r, names[j->work], j->work == WORK_DELETE ? j->from : j->to, error);
    }
    return dav_done(r, j->work != WORK_DELETE && is_collection(r->uri) ? 201 : 204);
}

static enum phase_result
job_start(struct request *r, struct dav_state *state, const struct dav_job *model)
{
    struct dav_job *j = ARENA_NEW(request_arena(r), struct dav_job);
    struct offload_pool *pool = offload_default();

    if (j == NULL)
        return phase_respond(&r->x, 500);
    *j = *model;
    j->x = &r->x;
    j->offload = (struct offload){ .work = job_work, .done = job_done };
    state->job = j;
    if (pool != NULL && offload_start(pool, &j->offload)) {
        exchange_hold(&r->x, "dav");
        return PHASE_WAIT;
    }
    job_work(&j->offload);
    return job_answer(r, j);
}

/* ---- DELETE ---- */

static uint32_t
count_elements(struct str uri)
{
    uint32_t n = 0;

    for (size_t i = 0; i + 1 < uri.len; i++)
        n += uri.ptr[i] == '/' && uri.ptr[i + 1] != '/';
    return n;
}

static enum phase_result
delete_start(struct request *r, struct dav_state *state)
{
    const struct dav_conf *c = scope_conf(r->x.scope, &dav_module);
    struct dav_job j = { .work = WORK_DELETE };
    int status, depth = depth_of(r);
    struct stat st;

    if (has_body(r))
        return dav_refused(r, 415, "DELETE with body is unsupported");
    if (count_elements(r->uri) < c->min_delete_depth)
        return dav_refused(r, 409, "insufficient URI depth to DELETE");
    j.from = path_of(r, r->uri, &status);
    if (j.from == NULL)
        return phase_respond(&r->x, status);
    if (lstat(j.from, &st) != 0)
        return dav_failed(r, "DELETE of", j.from, errno);
    if (S_ISDIR(st.st_mode) != is_collection(r->uri))
        return dav_failed(r, "DELETE of", j.from, S_ISDIR(st.st_mode) ? EISDIR : ENOTDIR);
    if (depth != DEPTH_ABSENT && depth != DEPTH_INFINITY && (depth != 0 || S_ISDIR(st.st_mode)))
        return dav_refused(r, 400, "client sent invalid \"Depth\" header");
    return job_start(r, state, &j);
}

/* ---- MKCOL ---- */

static enum phase_result
mkcol(struct request *r)
{
    const struct dav_conf *c = scope_conf(r->x.scope, &dav_module);
    mode_t mode = file_dir_mode(c->access);
    const char *path;
    int status;

    if (has_body(r))
        return dav_refused(r, 415, "MKCOL with body is unsupported");
    if (!is_collection(r->uri))
        return dav_refused(r, 409, "MKCOL can create a collection only");
    path = path_of(r, r->uri, &status);
    if (path == NULL)
        return phase_respond(&r->x, status);
    if (mkdir(path, mode) != 0) {
        if (errno == EEXIST)
            return dav_refused(r, 405, "MKCOL of what exists"); /* RFC 4918, 9.3.1 */
        return dav_failed(r, "mkdir()", path, errno == ENOENT ? ENOTDIR : errno);
    }
    if (chmod(path, mode) != 0)
        return dav_failed(r, "chmod()", path, errno);
    return dav_created(r);
}

/* ---- COPY, MOVE ---- */

/* The path of Destination: of this host, below the same root. ptr NULL: it is not. */
static struct str
destination_uri(struct request *r)
{
    struct str text = fields_value(&r->fields, FIELD_DESTINATION), host;
    const struct http_conf *c = HTTP_CONF(r);
    struct target t = target_parse(text);
    struct text uri;
    bool plain;
    int port;

    if (t.form == TARGET_ABSOLUTE) {
        if (!str_eq_nocase(t.scheme, S("http")) && !str_eq_nocase(t.scheme, S("https")))
            return STR_NONE;
        if (!authority_parse(t.authority, request_arena(r), &host, &port) || !str_eq(host, r->host))
            return STR_NONE;
    } else if (t.form != TARGET_ORIGIN) {
        return STR_NONE;
    }
    text_init(&uri, request_arena(r));
    if (!target_normalise(t.path, c->merge_slashes, &uri, &plain) || uri.failed || uri.len == 0)
        return STR_NONE;
    if (c->alias && (c->alias_regex || !str_starts(text_str(&uri), c->alias_for)))
        return STR_NONE; /* it would be somewhere else in the file system */
    return text_str(&uri);
}

/* True: T, or not told; RFC 4918, 10.6. */
static bool
overwrite_of(const struct request *r, bool *overwrite)
{
    const struct field *f = fields_get(&r->fields, FIELD_OVERWRITE);

    *overwrite = f == NULL || str_eq_nocase(f->value, S("T"));
    return *overwrite || str_eq_nocase(f->value, S("F"));
}

/* Whether a path is another one, which is there, or lies below it, over whatever links. */
static bool
is_within(struct request *r, const char *path, const char *other)
{
    char *part = arena_cstr(request_arena(r), str_c(path)), *slash;
    struct stat a, b;

    if (part == NULL || stat(other, &b) != 0)
        return part == NULL;
    for (;;) {
        if (stat(part, &a) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
            return true;
        slash = strrchr(part, '/');
        if (slash == NULL || slash == part)
            return false;
        *slash = '\0';
    }
}

/* What Depth and Overwrite ask for. False: they cannot. */
static bool
copy_options(struct request *r, struct dav_job *j, bool *overwrite)
{
    int depth = depth_of(r);

    j->members = depth != 0;
    if (depth == DEPTH_BAD || depth == 1 || (depth == 0 && j->work == WORK_MOVE)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "client sent invalid \"Depth\" header");
        return false;
    }
    if (!overwrite_of(r, overwrite)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "client sent invalid \"Overwrite\" header");
        return false;
    }
    return true;
}

/* The two paths and what is there: NEXT, or an answer. */
static enum phase_result
copy_paths(struct request *r, struct dav_job *j, struct str destination, bool overwrite)
{
    bool collection = is_collection(r->uri), there;
    struct stat from, to;
    int status;

    j->from = path_of(r, r->uri, &status);
    j->to = j->from != NULL ? path_of(r, destination, &status) : NULL;
    if (j->to == NULL)
        return phase_respond(&r->x, status);
    if (stat(j->from, &from) != 0)
        return dav_failed(r, "COPY or MOVE of", j->from, errno);
    if (collection && !S_ISDIR(from.st_mode))
        return dav_failed(r, "COPY or MOVE of", j->from, ENOENT);
    if (is_within(r, j->to, j->from) || is_within(r, j->from, j->to))
        return dav_refused(r, 403, "source and destination are the same, or within one another");
    there = lstat(j->to, &to) == 0;
    if (there && !overwrite)
        return dav_refused(r, 412, "destination exists");
    if (there && S_ISDIR(to.st_mode) != collection)
        return dav_failed(r, "COPY or MOVE to", j->to, S_ISDIR(to.st_mode) ? EISDIR : ENOTDIR);
    if (!collection && S_ISDIR(from.st_mode))
        return dav_refused(r, 400, "the name of a collection ends with \"/\"");
    return PHASE_NEXT;
}

static enum phase_result
copy_start(struct request *r, struct dav_state *state)
{
    struct dav_job j = { .work = r->method == METHOD_COPY ? WORK_COPY : WORK_MOVE };
    struct str destination;
    enum phase_result result;
    bool overwrite;

    if (has_body(r))
        return dav_refused(r, 415, "COPY and MOVE with body are unsupported");
    destination = destination_uri(r);
    if (destination.ptr == NULL)
        return dav_refused(r, 400, "client sent no or invalid \"Destination\" header");
    if (is_collection(r->uri) != is_collection(destination))
        return dav_refused(r, 409,
                           "both source and destination should be collections, or both should not");
    if (!copy_options(r, &j, &overwrite))
        return phase_respond(&r->x, 400);
    result = copy_paths(r, &j, destination, overwrite);
    if (result != PHASE_NEXT)
        return result;
    j.temp = beside(r, j.to);
    j.aside = beside(r, j.to);
    if (j.temp == NULL || j.aside == NULL)
        return phase_respond(&r->x, 500);
    return job_start(r, state, &j);
}

/* ---- content ---- */

static enum phase_result
dav_content(struct exchange *x)
{
    const struct dav_conf *c = scope_conf(x->scope, &dav_module);
    struct request *r = request_of(x);
    struct dav_state *state;

    if ((r->method & c->methods) == 0 || x->parent != NULL)
        return PHASE_NEXT;
    if (UNLIKELY(explain_on)) {
        explain_stop("phase", explain_place(x->scope, "dav_methods", S("")),
                     "content: dav would do the %.*s", STR(r->method_name));
        return PHASE_WAIT;
    }
    state = exchange_state(x, &dav_module, sizeof(*state));
    if (state == NULL)
        return phase_respond(x, 500);
    if (state->put != NULL)
        return put_write(r, state->put);
    if (state->job != NULL)
        return state->job->done ? job_answer(r, state->job) : PHASE_WAIT;
    switch (r->method) {
    case METHOD_PUT:
        return put_start(r, state);
    case METHOD_DELETE:
        return delete_start(r, state);
    case METHOD_MKCOL:
        return mkcol(r);
    case METHOD_COPY:
    case METHOD_MOVE:
        return copy_start(r, state);
    default:
        return PHASE_NEXT;
    }
}

static bool
dav_wanted(const struct scope *s)
{
    return ((const struct dav_conf *)scope_conf(s, &dav_module))->methods != 0;
}

/* ---- configuration ---- */

#define DAV_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct conf_name method_names[] = {
    { "off", 0 },
    { "PUT", METHOD_PUT },
    { "DELETE", METHOD_DELETE },
    { "MKCOL", METHOD_MKCOL },
    { "COPY", METHOD_COPY },
    { "MOVE", METHOD_MOVE },
    { NULL, 0 },
};

static const struct directive dav_directives[] = {
    D_BITS("dav_methods", DAV_CTX, struct dav_conf, methods, method_names),
    D_CALL("dav_access", DAV_CTX, ARGS(1, 3), conf_set_access, FIELD(struct dav_conf, access),
           .initial = "user:rw"),
    D_FLAG("create_full_put_path", DAV_CTX, struct dav_conf, full_path, DEFAULT(off)),
    D_NUM("min_delete_depth", DAV_CTX, struct dav_conf, min_delete_depth, DEFAULT(0)),
    D_END,
};

static const struct phase_entry dav_phases[] = {
    { .phase = HTTP_CONTENT, .run = dav_content, .wanted = dav_wanted, .order = ORDER_DAV },
    { 0 },
};

struct module dav_module = {
    .name = "dav",
    .configure_token = "--with-http_dav_module",
    .conf_size = sizeof(struct dav_conf),
    .directives = dav_directives,
    .phases = dav_phases,
};
