/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open_file.c - open files and small bodies, cached in the worker (open_file_cache).
 *
 * An open_file is what one look at the file system brought: it never changes, and lives as long as somebody refers
 * to it. A cache entry refers to the newest one of its path; when `valid` has passed, the path is looked at again
 * and a changed file gets a new open_file, so a response under way keeps the old content.
 */
#include "worker/http/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/base/num.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"

/* Bytes of the largest content kept in memory: what one send takes together with its head. */
enum { BODY_MAX = 15 * 1024 };

struct open_file_cache {
    struct hash hash; /* path -> struct entry */
    struct list lru;  /* entries, most recently used first */
    uint32_t n, max;
    uint64_t inactive_ms;
    bool ready; /* hash and lru are set up: in the worker, at first use */
};

struct entry {
    struct list node; /* in lru */
    struct open_file *file;
    uint64_t used_ms;
    uint32_t uses;   /* since it was made or last idle for inactive_ms */
    struct str path; /* behind the struct */
};

struct open_file_cache *
open_file_cache_new(struct arena *a, uint32_t max, uint64_t inactive_ms)
{
    struct open_file_cache *c = ARENA_NEW(a, struct open_file_cache);

    if (c != NULL) {
        c->max = max;
        c->inactive_ms = inactive_ms;
    }
    return c;
}

/* ---- one look at the file system ---- */

static void
file_free(struct open_file *f)
{
    fd_close(&f->fd);
    free(f->own_body);
    free(f);
}

struct open_file *
open_file_ref(struct open_file *f)
{
    f->refs++;
    return f;
}

void
open_file_put(struct open_file *f)
{
    if (f != NULL && --f->refs == 0)
        file_free(f);
}

static void
file_fill(struct open_file *f, const struct stat *st)
{
    f->is_dir = S_ISDIR(st->st_mode);
    f->is_file = S_ISREG(st->st_mode);
    f->is_exec = (st->st_mode & S_IXUSR) != 0;
    f->size = (uint64_t)st->st_size;
    f->mtime = st->st_mtim.tv_sec;
    f->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
    f->inode = st->st_ino;
    f->dev = st->st_dev;
}

/* A link is refused always, or when its owner is not the owner of what it points to. */
static bool
link_allowed(int dir, const char *name, const struct stat *link, bool owner_may)
{
    struct stat target;

    if (owner_may && fstatat(dir, name, &target, 0) == 0 && target.st_uid == link->st_uid)
        return true;
    errno = ELOOP;
    return false;
}

/*
 * disable_symlinks: walks the path below `symlinks_from` and checks each component. Returns the directory of the last one
 * (to be closed) and the last name, so that what is opened is what was checked; -1 with errno.
 */
static int
walk_checked(struct str path, const struct open_file_options *o, const char **last)
{
    size_t from = 0;
    int dir;
    char name[256];

    if (o->symlinks_from.len > 0 && str_starts(path, o->symlinks_from))
        from = o->symlinks_from.len;
    while (from > 0 && path.ptr[from - 1] != '/')
        from--;
    if (from > 1) {
        char *head = strndup(path.ptr, from);

        dir = head != NULL ? open(head, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        free(head);
    } else {
        dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    }

    struct str rest = str_from(path, from), piece;

    while (dir >= 0 && str_split(&rest, '/', &piece)) {
        struct stat st;
        bool is_last = rest.ptr == NULL || rest.len == 0;

        if (piece.len == 0)
            continue;
        if (!str_to_c(piece, name, sizeof(name))) {
            errno = ENAMETOOLONG;
            break;
        }
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            break;
        if (S_ISLNK(st.st_mode) && !link_allowed(dir, name, &st, o->symlinks == 2))
            break;
        if (is_last) {
            *last = piece.ptr;
            return dir;
        }
        int next = openat(dir, name, O_PATH | O_CLOEXEC | (o->symlinks == 1 ? O_NOFOLLOW : 0));

        close(dir);
        dir = next;
    }
    if (dir >= 0) {
        int saved = errno;

        close(dir);
        errno = saved;
    }
    return -1;
}

static int
open_path(struct str path, const struct open_file_options *o, int flags)
{
    const char *name = path.ptr;
    int dir = AT_FDCWD, fd;

    if (o->symlinks != 0) {
        dir = walk_checked(path, o, &name);
        if (dir < 0)
            return -1;
        if (o->symlinks == 1)
            flags |= O_NOFOLLOW;
    }
    fd = openat(dir, name, flags | O_CLOEXEC);
    if (dir != AT_FDCWD) {
        int saved = errno;

        close(dir);
        errno = saved;
    }
    return fd;
}

/* O_NONBLOCK: to open a named pipe must not hang the worker. */
static void
file_look(struct open_file *f, struct str path, const struct open_file_options *o, bool stat_only)
{
    struct stat st;

    if (stat_only && o->symlinks == 0) {
        if (stat(path.ptr, &st) != 0)
            f->error = errno;
        else
            file_fill(f, &st);
        return;
    }
    f->fd = open_path(path, o, (stat_only ? O_PATH : O_RDONLY | O_NONBLOCK) | O_CLOEXEC);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        f->error = errno;
        fd_close(&f->fd);
        return;
    }
    file_fill(f, &st);
    if (!f->is_file || stat_only)
        fd_close(&f->fd);
    else if (f->size >= o->directio)
        (void)fcntl(f->fd, F_SETFL, O_DIRECT);
}

static struct open_file *
file_new(struct str path, const struct open_file_options *o, bool stat_only)
{
    struct open_file *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return NULL;
    f->refs = 1;
    f->fd = -1;
    f->checked_ms = clock_ms;
    file_look(f, path, o, stat_only);
    return f;
}

/* Keeps a small content in memory. A file that changes its length meanwhile simply stays on disk. */
static void
file_keep_body(struct open_file *f)
{
    char *bytes;

    if (f->fd < 0 || f->body != NULL || f->size == 0 || f->size > BODY_MAX)
        return;
    bytes = malloc(f->size + 1);
    if (bytes == NULL)
        return;
    if (pread(f->fd, bytes, f->size + 1, 0) != (ssize_t)f->size) {
        free(bytes);
        return;
    }
    f->own_body = bytes;
    f->body = bytes;
}

/* ---- the cache ---- */

static void
entry_drop(struct open_file_cache *c, struct entry *e)
{
    hash_del(&c->hash, e->path);
    list_del(&e->node);
    open_file_put(e->file);
    free(e);
    c->n--;
}

static struct entry *
entry_add(struct open_file_cache *c, struct str path, struct open_file *f)
{
    struct entry *e;

    if (c->n >= c->max && !list_empty(&c->lru))
        entry_drop(c, LIST_ENTRY(c->lru.prev, struct entry, node));
    e = calloc(1, sizeof(*e) + path.len + 1);
    if (e == NULL)
        return NULL;
    memcpy(e + 1, path.ptr, path.len);
    e->path = str_n((const char *)(e + 1), path.len);
    if (!hash_set(&c->hash, e->path, e)) {
        free(e);
        return NULL;
    }
    e->file = open_file_ref(f);
    list_add_head(&c->lru, &e->node);
    c->n++;
    return e;
}

/* A few entries at the end of the list that nobody asked for in time. */
static void
cache_expire(struct open_file_cache *c)
{
    for (int i = 0; i < 2 && !list_empty(&c->lru); i++) {
        struct entry *e = LIST_ENTRY(c->lru.prev, struct entry, node);

        if (clock_ms - e->used_ms < c->inactive_ms)
            return;
        entry_drop(c, e);
    }
}

static bool
same_file(const struct open_file *a, const struct open_file *b)
{
    return a->error == b->error && a->inode == b->inode && a->dev == b->dev && a->size == b->size &&
           a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec && a->is_dir == b->is_dir;
}

/* The entry is too old: one stat says whether what we have still holds. */
static bool
entry_still_holds(struct entry *e, const struct open_file_options *o)
{
    struct open_file now = { .fd = -1 };

    if (e->file->error != 0)
        return false;
    file_look(&now, e->path, o, true);
    if (!same_file(&now, e->file))
        return false;
    e->file->checked_ms = clock_ms;
    return true;
}

static struct open_file *
entry_use(struct open_file_cache *c, struct entry *e, const struct open_file_options *o)
{
    e->used_ms = clock_ms;
    e->uses++;
    if (c->lru.next != &e->node) {
        list_del(&e->node);
        list_add_head(&c->lru, &e->node);
    }
    if (o->want_body && e->uses >= o->min_uses)
        file_keep_body(e->file);
    return open_file_ref(e->file);
}

/* Whether an entry answers this call: looked at lately, and opened if a descriptor is needed. */
static bool
entry_answers(struct entry *e, const struct open_file_options *o, bool stat_only)
{
    if (!stat_only && e->file->fd < 0 && e->file->error == 0 && e->file->is_file)
        return false;
    return clock_ms - e->file->checked_ms < o->valid_ms || entry_still_holds(e, o);
}

struct open_file *
open_file_get(struct str path, const struct open_file_options *o, bool stat_only)
{
    struct open_file_cache *c = o->cache;
    struct open_file *f;
    struct entry *e;

    if (c == NULL)
        return file_new(path, o, stat_only);
    if (!c->ready) {
        hash_init(&c->hash, NULL);
        list_init(&c->lru);
        c->ready = true;
    }

    e = hash_get(&c->hash, path);
    if (e != NULL && entry_answers(e, o, stat_only))
        return entry_use(c, e, o);

    cache_expire(c);
    f = file_new(path, o, stat_only);
    if (f == NULL)
        return NULL;
    e = hash_get(&c->hash, path); /* cache_expire may have dropped it */
    if (f->error != 0 && !o->errors) {
        if (e != NULL)
            entry_drop(c, e);
        return f;
    }
    if (e == NULL) {
        e = entry_add(c, path, f);
    } else {
        open_file_put(e->file);
        e->file = open_file_ref(f);
    }
    if (e == NULL)
        return f;
    open_file_put(f);
    return entry_use(c, e, o);
}
