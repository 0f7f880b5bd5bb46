/* SPDX-License-Identifier: BSD-2-Clause */
/* config.c - one load from start to end, and what setters may ask of it. */
#include "common/conf/config.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf/apply.h"
#include "common/conf/load.h"
#include "common/conf/source.h"
#include "common/conf/tree.h"

/* ---- paths ---- */

/* `dir` ends with '/'; an absolute path stays as it is. */
static struct str
join(struct arena *a, struct str dir, struct str path)
{
    if (path.len > 0 && path.ptr[0] == '/')
        return arena_str(a, path);
    return arena_fmt(a, "%.*s%.*s", STR(dir), STR(path));
}

/* Absolute, with '/' at its end. */
static struct str
make_prefix(struct arena *a, struct str prefix)
{
    const char *slash = prefix.len > 0 && prefix.ptr[prefix.len - 1] == '/' ? "" : "/";
    char *cwd;
    struct str absolute;

    if (prefix.len > 0 && prefix.ptr[0] == '/')
        return arena_fmt(a, "%.*s%s", STR(prefix), slash);
    cwd = getcwd(NULL, 0);
    if (cwd == NULL)
        return arena_str(a, S("/"));
    absolute = prefix.len == 0 ? arena_fmt(a, "%s/", cwd)
                               : arena_fmt(a, "%s/%.*s%s", cwd, STR(prefix), slash);
    free(cwd);
    return absolute;
}

struct str
conf_path(struct conf_load *l, struct str path, bool conf)
{
    struct config *c = l->config;
    struct str dir = conf ? str_upto(c->conf_path, str_rfind(c->conf_path, '/') + 1) : c->prefix;

    return join(&c->arena, dir, path);
}

bool
conf_param(struct str arg, const char *name, struct str *value)
{
    size_t n = strlen(name);

    if (!str_starts(arg, str_n(name, n)) || arg.len == n || arg.ptr[n] != '=')
        return false;
    *value = str_from(arg, n + 1);
    return true;
}

/* ---- what setters ask ---- */

struct arena *
conf_arena(struct conf_load *l)
{
    return &l->config->arena;
}

struct config *
conf_config(struct conf_load *l)
{
    return l->config;
}

struct scope *
conf_scope(struct conf_load *l)
{
    return l->scope;
}

struct conf_pos
conf_line_pos(const struct conf_load *l)
{
    return l->line;
}

struct str
config_pos_file(const struct config *c, struct conf_pos pos)
{
    return pos.file < c->files.len ? VEC_AT(&c->files, struct conf_file, pos.file)->path : S("");
}

struct log_file *
config_log_file(struct conf_load *l, struct str path)
{
    struct config *c = l->config;
    struct str absolute = conf_path(l, path, false);
    struct log_file *f = absolute.ptr != NULL ? hash_get(&l->logs, absolute) : NULL, **at;

    if (f != NULL)
        return f;
    f = absolute.ptr != NULL ? ARENA_NEW(&c->arena, struct log_file) : NULL;
    at = f != NULL ? vec_push(&c->logs) : NULL;
    if (at == NULL || !hash_set(&l->logs, absolute, f)) {
        message_no_memory(l);
        return NULL;
    }
    f->path = absolute;
    f->fd = -1;
    *at = f;
    return f;
}

struct watched_files *
config_watch(struct conf_load *l)
{
    struct watched_files *w = ARENA_NEW(&l->config->arena, struct watched_files);
    struct watched_files **at = w != NULL ? vec_push(&l->config->watched) : NULL;

    if (at == NULL)
        return NULL;
    *at = w;
    return w;
}

/* Another line that names the zone; NULL after saying what does not fit. */
static struct zone_spec *
same_zone(struct conf_load *l, const struct conf_node *n, struct zone_spec *z, uint64_t size,
          const struct zone_ops *ops)
{
    struct str place = message_place(l, z->pos);

    if (z->ops != ops) {
        conf_fail(l, n, 0,
                  "the shared memory zone \"%.*s\" is already declared for a different use",
                  STR(z->name));
        conf_hint(l, "it is declared in %.*s", STR(place));
        return NULL;
    }
    if (size != 0 && z->size != 0 && size != z->size) {
        conf_fail(l, n, 0,
                  "the size %llu of shared memory zone \"%.*s\" conflicts with already declared "
                  "size %llu",
                  (unsigned long long)size, STR(z->name), (unsigned long long)z->size);
        conf_hint(l, "it is declared in %.*s", STR(place));
        return NULL;
    }
    if (z->size == 0 && size != 0) {
        z->size = size;
        z->pos = n->pos;
    }
    return z;
}

struct zone_spec *
config_zone(struct conf_load *l, const struct conf_node *n, struct str name, uint64_t size,
            const struct zone_ops *ops)
{
    struct config *c = l->config;
    struct zone_spec *z = hash_get(&l->zones, name), **at;

    if (z != NULL)
        return same_zone(l, n, z, size, ops);
    z = ARENA_NEW(&c->arena, struct zone_spec);
    at = z != NULL ? vec_push(&c->zones) : NULL;
    if (at == NULL) {
        message_no_memory(l);
        return NULL;
    }
    *z = (struct zone_spec){ .name = arena_str(&c->arena, name), .size = size, .ops = ops };
    z->pos = n->pos;
    *at = z;
    if (z->name.ptr == NULL || !hash_set(&l->zones, z->name, z)) {
        message_no_memory(l);
        return NULL;
    }
    return z;
}

/* ---- loading ---- */

static struct config *
config_new(const struct conf_options *o)
{
    struct config *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    arena_init(&c->arena, 65536);
    vec_init(&c->files, &c->arena, sizeof(struct conf_file));
    vec_init(&c->scopes, &c->arena, sizeof(struct scope *));
    vec_init(&c->listeners, &c->arena, sizeof(struct listen_spec *));
    vec_init(&c->zones, &c->arena, sizeof(struct zone_spec *));
    vec_init(&c->logs, &c->arena, sizeof(struct log_file *));
    vec_init(&c->watched, &c->arena, sizeof(struct watched_files *));
    vec_init(&c->temp_dirs, &c->arena, sizeof(struct conf_temp_dir));
    c->prefix = make_prefix(&c->arena, o->prefix);
    c->conf_path = join(&c->arena, c->prefix, o->conf_path);
    c->error_log = arena_str(&c->arena, o->error_log);
    if (c->prefix.ptr == NULL || c->conf_path.ptr == NULL || c->error_log.ptr == NULL) {
        config_free(c);
        return NULL;
    }
    return c;
}

void
config_free(struct config *c)
{
    if (c == NULL)
        return;
    arena_free(&c->arena);
    free(c);
}

static void
check_zones(struct conf_load *l)
{
    for (uint32_t i = 0; i < l->config->zones.len; i++) {
        const struct zone_spec *z = *VEC_AT(&l->config->zones, struct zone_spec *, i);

        if (z->size == 0)
            conf_fail_at(l, z->pos, "zero size shared memory zone \"%.*s\"", STR(z->name));
    }
}

static void
load(struct conf_load *l, bool text_only)
{
    if (!source_start(l) || !apply_start(l))
        return;
    l->incomplete = !tree_read(l) || l->errors > 0;
    if (text_only)
        return;
    if (l->no_memory || l->config->files.len == 0)
        return;
    apply_tree(l);
    if (l->incomplete)
        return;
    apply_finish(l);
    if (l->errors == 0)
        check_zones(l);
    if (l->errors == 0 && l->options->lint)
        lint_run(l);
}

/*
 * The tree of a large configuration lies between what stays, and the C library would keep its pages for later; processes
 * that are forked from this one have no use for them.
 */
static void
give_back(size_t freed)
{
    enum { WORTH_IT = 1024 * 1024 };

#ifdef __GLIBC__
    if (freed >= WORTH_IT)
        malloc_trim(0);
#else
    (void)freed;
#endif
}

/* `nodes`: what the tree is made of; NULL: it ends with the load. */
static struct config *
load_from(const struct conf_options *o, struct arena *a, struct vec *messages, struct arena *nodes,
          bool *whole)
{
    struct conf_load l = { .options = o, .message_arena = a, .messages = messages };
    struct config *c = config_new(o);
    size_t freed = 0;

    l.config = c;
    if (c == NULL) {
        message_no_memory(&l);
        *whole = false;
        return NULL;
    }
    arena_init(&l.scratch, 16384);
    arena_init(&l.nodes, 256 * 1024);
    hash_init(&l.logs, &l.scratch);
    hash_init(&l.zones, &l.scratch);
    load(&l, nodes != NULL);
    message_sort(&l);
    if (nodes != NULL) {
        *nodes = l.nodes;
    } else {
        c->tree = NULL;
        freed = l.nodes.used;
        arena_free(&l.nodes);
    }
    arena_free(&l.scratch);
    give_back(freed);
    *whole = l.errors == 0;
    return c;
}

struct config *
config_load(const struct conf_options *o, struct arena *a, struct vec *messages)
{
    bool whole;
    struct config *c = load_from(o, a, messages, NULL, &whole);

    if (whole)
        return c;
    config_free(c);
    return NULL;
}

struct config *
config_read(const struct conf_options *o, struct arena *a, struct vec *messages,
            struct arena *nodes)
{
    bool whole;

    return load_from(o, a, messages, nodes, &whole);
}
