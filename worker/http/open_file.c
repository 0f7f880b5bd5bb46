/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open_file.c - open files, small bodies and hot ones, cached in the worker (open_file_cache).
 *
 * An open_file is what one look at the file system brought: it never changes, and lives as long as somebody refers
 * to it. A cache entry refers to the newest one of its path; when `valid` has passed, the path is looked at again
 * and a changed file gets a new open_file, so a response under way keeps the old content.
 */
#include "worker/http/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/base/num.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "worker/net/conn.h"

enum {
    BODY_MAX = 15 * 1024, /* bytes of a content kept in memory: one send takes it with its head */
    BODIES_MAX = 64 * 1024 * 1024, /* of all of them in this worker */
    HOT_MAX = 1024 * 1024, /* bytes of a content that is kept because it is read again and again */
    HOTS_MAX = 16 * 1024 * 1024, /* of all of them in this worker */
    BODY_SETTLED_MS =
        2000, /* a file changed later than this may change again without a trace in its times */
    NAME_MAX_SIZE = 256,
};

enum symlinks { SYMLINKS_ALLOWED, SYMLINKS_NEVER, SYMLINKS_IF_OWNER };

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
    uint32_t uses;
    /* With which checks it was opened; another location's may be stricter. */
    uint8_t symlinks;
    uint32_t symlinks_from;
    struct str path; /* behind the struct */
};

static uint64_t body_bytes, hot_bytes; /* of all own_body, small and hot */

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

/* ---- references ---- */

struct open_file *
open_file_ref(struct open_file *f)
{
    f->refs++;
    return f;
}

void
open_file_put(struct open_file *f)
{
    if (f == NULL || --f->refs > 0)
        return;
    fd_close(&f->fd);
    if (f->own_body != NULL)
        *(f->is_hot ? &hot_bytes : &body_bytes) -= f->size;
    free(f->own_body);
    free(f);
}

/* ---- disable_symlinks ---- */

/* How much of the path is not checked: `from`, if the path begins with these components. */
static size_t
unchecked_part(struct str path, struct str from)
{
    while (from.len > 0 && from.ptr[from.len - 1] == '/')
        from.len--;
    if (from.len == 0 || !str_starts(path, from))
        return 0;
    return from.len == path.len || path.ptr[from.len] == '/' ? from.len : 0;
}

/* Closes `fd` and says why it may not be used. */
static int
refuse_fd(int fd, int error)
{
    fd_close(&fd);
    errno = error;
    return -1;
}

/*
 * Opens one component of a path without being led away by a link: what was no link when it was looked at is not followed
 * when it has become one meanwhile, and the owner that counts is that of what was opened.
 */
static int
open_component(int dir, const char *name, int flags, enum symlinks mode)
{
    struct stat link, target;
    int fd;

    if (fstatat(dir, name, &link, AT_SYMLINK_NOFOLLOW) != 0)
        return -1;
    if (!S_ISLNK(link.st_mode)) {
        fd = openat(dir, name, flags | O_NOFOLLOW);
        if (fd >= 0 && (flags & O_PATH) && (fstat(fd, &target) != 0 || S_ISLNK(target.st_mode)))
            return refuse_fd(fd, ELOOP);
        return fd;
    }
    if (mode ==
        SYMLINKS_NEVER) { /* a link in place of a directory is none, as in nginx: 404, not 403 */
        errno = flags & O_DIRECTORY ? ENOTDIR : ELOOP;
        return -1;
    }
    fd = openat(dir, name, flags);
    if (fd >= 0 && (fstat(fd, &target) != 0 || target.st_uid != link.st_uid))
        return refuse_fd(fd, ELOOP);
    return fd;
}

/* Opens what the first `len` bytes of a path name, without checks. */
static int
open_unchecked(struct str path, size_t len, int flags)
{
    char *head = strndup(len == 0 ? "/" : path.ptr, len == 0 ? 1 : len);
    int fd = head != NULL ? open(head, flags | O_CLOEXEC) : -1;

    free(head);
    return fd;
}

static int
open_checked(struct str path, const struct open_file_options *o, int flags)
{
    size_t from = unchecked_part(path, o->symlinks_from);
    struct str rest = str_from(path, from), name;
    char text[NAME_MAX_SIZE];
    int dir;

    while (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    if (rest.len == 0)
        return open_unchecked(path, from, flags);
    dir = open_unchecked(path, from, O_PATH | O_DIRECTORY);

    while (dir >= 0 && str_split(&rest, '/', &name)) {
        bool last = rest.ptr == NULL;
        int next;

        if (name.len == 0)
            continue;
        if (!str_to_c(name, text, sizeof(text)))
            return refuse_fd(dir, ENAMETOOLONG);
        next = open_component(dir, text, (last ? flags : O_PATH | O_DIRECTORY) | O_CLOEXEC,
                              (enum symlinks)o->symlinks);
        refuse_fd(dir, errno);
        dir = next;
    }
    return dir;
}

/* ---- one look at the file system ---- */

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

static int
file_open(struct str path, const struct open_file_options *o, int flags)
{
    return o->symlinks == SYMLINKS_ALLOWED ? open(path.ptr, flags | O_CLOEXEC)
                                           : open_checked(path, o, flags);
}

/* O_NONBLOCK: to open a named pipe must not hang the worker. */
static void
file_look(struct open_file *f, struct str path, const struct open_file_options *o, bool stat_only)
{
    int flags = stat_only ? O_PATH : O_RDONLY | O_NONBLOCK | O_NOCTTY;
    struct stat st;

    if (stat_only && o->symlinks == SYMLINKS_ALLOWED) {
        if (stat(path.ptr, &st) != 0)
            f->error = errno;
        else
            file_fill(f, &st);
        return;
    }
    f->fd = file_open(path, o, flags);
    if (f->fd < 0 && conn_free_descriptor())
        f->fd = file_open(path, o, flags);
    if (f->fd < 0 || fstat(f->fd, &st) != 0) {
        f->error = errno;
        fd_close(&f->fd);
        return;
    }
    file_fill(f, &st);
    if (!f->is_file || stat_only)
        fd_close(&f->fd);
    else if (f->size >= o->directio)
        f->direct = fcntl(f->fd, F_SETFL, O_DIRECT) == 0;
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

/* The same facts without the descriptor. */
static struct open_file *
file_facts(const struct open_file *f)
{
    struct open_file *facts = malloc(sizeof(*facts));

    if (facts == NULL)
        return NULL;
    *facts = *f;
    facts->refs = 1;
    facts->fd = -1;
    facts->direct = false;
    facts->body = facts->own_body = NULL;
    facts->is_hot = false;
    return facts;
}

/* Whether the content may be kept: one that changed just now may change again. */
static bool
file_has_settled(const struct open_file *f)
{
    uint64_t changed_ms = (uint64_t)f->mtime * 1000 + f->mtime_nsec / 1000000;

    return f->fd >= 0 && !f->direct && f->body == NULL && f->size > 0 && f->mtime >= 0 &&
           changed_ms + BODY_SETTLED_MS <= clock_wall_ms;
}

/* Whether the file behind the descriptor is still the one that was looked at: that may have been `valid` ago. */
static bool
file_is_unchanged(const struct open_file *f)
{
    struct stat st;

    return fstat(f->fd, &st) == 0 && (uint64_t)st.st_size == f->size &&
           st.st_mtim.tv_sec == f->mtime && (uint64_t)st.st_mtim.tv_nsec == f->mtime_nsec;
}

/* Keeps the content in memory. A file that changes meanwhile simply stays on disk: what is kept might be half of one
 * version and half of the other, for as long as the cache does not look again. */
static void
file_keep_body(struct open_file *f, int flags)
{
    char *bytes = malloc(f->size + 1);
    struct iovec iov = { bytes, f->size + 1 };

    if (bytes == NULL)
        return;
    if (preadv2(f->fd, &iov, 1, 0, flags) != (ssize_t)f->size || !file_is_unchanged(f)) {
        free(bytes);
        return;
    }
    f->body = f->own_body = bytes;
}

static void
file_keep_small(struct open_file *f)
{
    if (f->size > BODY_MAX || f->size > BODIES_MAX - body_bytes || !file_has_settled(f))
        return;
    file_keep_body(f, 0);
    if (f->body != NULL)
        body_bytes += f->size;
}

void
open_file_copied(struct open_file *f)
{
    if (f->copied++ == 0 || f->refs < 2 || f->size > HOT_MAX || f->size > HOTS_MAX - hot_bytes ||
        !file_has_settled(f))
        return;
    file_keep_body(f, RWF_NOWAIT);
    if (f->body != NULL) {
        f->is_hot = true;
        hot_bytes += f->size;
    }
}

/* ---- entries ---- */

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
entry_add(struct open_file_cache *c, struct str path)
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
    list_add_head(&c->lru, &e->node);
    c->n++;
    return e;
}

static void
entry_touch(struct open_file_cache *c, struct entry *e)
{
    e->used_ms = clock_ms;
    e->uses++;
    if (c->lru.next != &e->node) {
        list_del(&e->node);
        list_add_head(&c->lru, &e->node);
    }
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
           a->mtime == b->mtime && a->mtime_nsec == b->mtime_nsec && a->is_dir == b->is_dir &&
           a->is_file == b->is_file;
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

static bool
same_checks(const struct entry *e, const struct open_file_options *o)
{
    return e->symlinks == o->symlinks &&
           (o->symlinks == SYMLINKS_ALLOWED ||
            e->symlinks_from == unchecked_part(e->path, o->symlinks_from));
}

/* Whether an entry answers this call: looked at lately, the same way, and opened if a descriptor is needed. */
static bool
entry_answers(struct entry *e, const struct open_file_options *o, bool stat_only)
{
    if (!same_checks(e, o))
        return false;
    if (!stat_only && e->file->fd < 0 && e->file->error == 0 && e->file->is_file)
        return false;
    return clock_ms - e->file->checked_ms < o->valid_ms || entry_still_holds(e, o);
}

/* Failures that say something about the path, and not about this process just now. */
static bool
is_lasting(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EACCES:
    case ELOOP:
        return true;
    default:
        return false;
    }
}

/* Takes a reference of `f`, without its descriptor if the path is not asked for often enough. */
static bool
entry_refer(struct entry *e, struct open_file *f, const struct open_file_options *o)
{
    struct open_file *kept;

    kept = f->fd >= 0 && e->uses < o->min_uses ? file_facts(f) : open_file_ref(f);
    if (kept == NULL)
        return false;
    open_file_put(e->file);
    e->file = kept;
    e->symlinks = o->symlinks;
    e->symlinks_from = (uint32_t)unchecked_part(e->path, o->symlinks_from);
    return true;
}

/* The path was looked at because the cache had no answer: it has one from now on, if this one is to be remembered. */
static void
cache_learn(struct open_file_cache *c, struct str path, struct open_file *f,
            const struct open_file_options *o)
{
    struct entry *e = hash_get(&c->hash, path);

    if (f->error != 0 && (!o->errors || !is_lasting(f->error))) {
        if (e != NULL)
            entry_drop(c, e);
        return;
    }
    if (e == NULL)
        e = entry_add(c, path);
    if (e == NULL)
        return;
    entry_touch(c, e);
    if (!entry_refer(e, f, o))
        entry_drop(c, e);
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
    if (e != NULL && entry_answers(e, o, stat_only)) {
        entry_touch(c, e);
        f = open_file_ref(e->file);
    } else {
        f = file_new(path, o, stat_only);
        if (f == NULL)
            return NULL;
        cache_learn(c, path, f, o);
        e = hash_get(&c->hash, path);
    }
    if (o->want_body && e != NULL && e->file == f && f->error == 0)
        file_keep_small(f);
    cache_expire(c);
    return f;
}

void
open_file_cache_clear(struct open_file_cache *c)
{
    if (!c->ready)
        return;
    while (!list_empty(&c->lru))
        entry_drop(c, LIST_ENTRY(c->lru.next, struct entry, node));
    hash_free(&c->hash);
    c->ready = false;
}
