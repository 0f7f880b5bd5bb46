/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * random_index.c - "/dir/" is answered with one of the directory's files, another one each time.
 *
 * Directive: random_index.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "common/base/rand.h"
#include "worker/http/http_conf.h"
#include "worker/http/redirect.h"

struct random_index_conf {
    bool on;
};

extern struct module random_index_module;

static enum phase_result
dir_failed(struct request *r, struct str path, int error)
{
    bool missing = error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG;

    if (!missing || HTTP_CONF(r)->log_not_found)
        xlog(&r->x, missing || error == EACCES ? LOG_LEVEL_ERROR : LOG_LEVEL_CRIT, error,
             "opendir() \"%.*s\" failed", STR(path));
    return phase_respond(&r->x, missing ? 404 : error == EACCES ? 403 : 500);
}

static bool
is_file(DIR *dir, const struct dirent *d)
{
    struct stat st;

    if (d->d_name[0] == '.')
        return false;
    if (d->d_type == DT_REG || d->d_type == DT_DIR)
        return d->d_type == DT_REG;
    return fstatat(dirfd(dir), d->d_name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

/*
 * Puts the path and the name of a file that is as likely as any other behind it: the n-th one takes the place of the one
 * before with a chance of 1 in n. The text is empty when there is none.
 */
static void
choose_file(const struct request *r, DIR *dir, struct text *uri)
{
    const struct dirent *d;
    uint32_t n = 0;

    while ((d = readdir(dir)) != NULL) {
        if (!is_file(dir, d) || rand_below(++n) != 0)
            continue;
        uri->len = 0;
        text_add(uri, r->uri);
        text_add(uri, str_c(d->d_name));
    }
}

static enum phase_result
random_index_content(struct exchange *x)
{
    struct request *r = request_of(x);
    struct str path;
    struct text uri;
    DIR *dir;

    if (r->uri.len == 0 || r->uri.ptr[r->uri.len - 1] != '/' ||
        (r->method & (METHOD_GET | METHOD_HEAD | METHOD_POST)) == 0)
        return PHASE_NEXT;
    path = http_file_path(r);
    if (path.ptr == NULL)
        return phase_respond(x, (int)path.len);
    dir = opendir(path.ptr);
    if (dir == NULL)
        return dir_failed(r, path, errno);
    text_init(&uri, request_arena(r));
    choose_file(r, dir, &uri);
    closedir(dir);
    if (uri.failed)
        return phase_respond(x, 500);
    if (uri.len == 0)
        return PHASE_NEXT;
    return redirect_internal(x, text_str(&uri), r->args.ptr != NULL ? r->args : S(""));
}

static bool
random_index_wanted(const struct scope *s)
{
    return ((const struct random_index_conf *)scope_conf(s, &random_index_module))->on;
}

static const struct directive random_index_directives[] = {
    D_FLAG("random_index", CTX_LOC, struct random_index_conf, on, DEFAULT(off)), D_END
};

static const struct phase_entry random_index_phases[] = { { .phase = HTTP_CONTENT,
                                                            .run = random_index_content,
                                                            .wanted = random_index_wanted,
                                                            .order = ORDER_RANDOM_INDEX },
                                                          { 0 } };

struct module random_index_module = {
    .name = "random_index",
    .configure_token = "--with-http_random_index_module",
    .conf_size = sizeof(struct random_index_conf),
    .directives = random_index_directives,
    .phases = random_index_phases,
};
