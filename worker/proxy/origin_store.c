/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_store.c - proxy_store: a response becomes a file below our own root while it goes to the client.
 *
 * Its spool keeps all of it; when it is complete its file gets the name, in place of what had it, so nobody ever finds a
 * part of it. A response that cannot be stored is given all the same. It is read to its end though its client has left.
 */
#include <errno.h>

#include "common/sys/file.h"
#include "worker/proxy/origin_conf.h"

/* ---- at load ---- */

bool
origin_set_store(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                 void *conf)
{
    struct origin_conf *c = conf;
    struct str path = n->args[1];

    c->store = (struct template){ .n = 0 };
    c->store_at_root = str_eq(path, S("on"));
    if (c->store_at_root || str_eq(path, S("off")))
        return true;
    if (!str_starts(path, S("$")))
        path = conf_path(l, path, false);
    if (path.ptr == NULL)
        return conf_fail(l, n, 0, "no memory");
    return template_compile(l, n, 1, path, &c->store);
}

/* ---- the path ---- */

/* ".." out of a variable would lead away from where files are to be. */
static bool
is_safe(struct str path)
{
    struct str rest = path, part;

    if (path.len == 0 || path.ptr[path.len - 1] == '/' || memchr(path.ptr, '\0', path.len) != NULL)
        return false;
    while (rest.ptr != NULL && str_split(&rest, '/', &part))
        if (str_eq(part, S("..")))
            return false;
    return path.ptr[0] == '/';
}

void
origin_store_begin(struct origin *o)
{
    const struct origin_conf *c = o->conf;
    struct request *r = o->r;
    struct str path;

    if ((!c->store_at_root && !c->store.set) || o->res.status != 200 || r->method != METHOD_GET)
        return;
    path = c->store.set ? template_expand(&r->x, &c->store) : http_file_path(r);
    if (path.ptr == NULL || !is_safe(path)) {
        xlog(&r->x, LOG_LEVEL_ERROR, 0, "\"%.*s\" is no path to store a response at",
             LOG_STR(path));
        return;
    }
    o->store = path;
    o->unbuffered = false; /* what is kept is read at the origin's pace */
}

/* ---- the file ---- */

void
origin_store_save(struct origin *o)
{
    const struct origin_conf *c = o->conf;
    int64_t modified = response_last_modified(&o->res);
    int error = file_make_parents(o->store.ptr, file_dir_mode(c->store_access));

    if (error == 0 && !spool_keep_file(o->spool, o->store, c->store_access, modified))
        error = errno;
    if (error != 0)
        xlog(&o->r->x, LOG_LEVEL_CRIT, error, "storing a response as \"%.*s\" failed",
             STR(o->store));
    o->store = STR_NONE;
}

void
origin_store_bytes(struct origin *o, struct str body)
{
    const struct origin_conf *c = o->conf;

    o->spool = spool_new(o->r->x.mem, SPOOL_KEEP, (uint64_t)c->buffers.number * c->buffers.size,
                         UINT64_MAX, &c->temp_path);
    if (o->spool == NULL)
        return;
    spool_lend(o->spool, body);
    spool_seal(o->spool, SPOOL_COMPLETE);
    origin_store_save(o);
}
