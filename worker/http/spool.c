/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.c - one writer, many cursors; memory, then a file, both bounded.
 *
 * The stream's bytes [0, size) lie, from old to new: consumed and gone | in the file [file_from, file_to) | in memory
 * (a lent piece, then chunks) up to size. When memory is full, what no cursor has taken yet moves to the file as one run.
 * A chunk that a cursor has handed out is pinned until that cursor pulls again, even when it has left the spool.
 *
 * A consumer that is merely next on the ready list is not slow: a CONSUME spool that fills up first lets the ready list
 * run once, and uses its file only if its cursor has not pulled then.
 */
#include "worker/http/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/sys/fd.h"
#include "common/sys/file.h"

enum {
    CHUNK_MIN = 4 * 1024, /* bytes of the smallest and the largest buffer taken at once */
    CHUNK_MAX = 64 * 1024,
    FLUSH_IOV = 64,
};

/* Lies at the front of its own buffer. */
struct chunk {
    struct list node; /* in spool.chunks, or unlinked and only pinned */
    struct buf *buf;
    uint64_t from; /* stream offset of its first byte */
    uint32_t pins; /* cursors that have handed it out */
    bool linked;
};

struct spool {
    struct xmem *mem;
    enum spool_mode mode;
    enum spool_end end;
    uint64_t mem_max, file_max;
    const struct temp_path *dir;
    struct str lent;    /* stream bytes [0, lent.len) */
    struct list chunks; /* oldest first */
    uint64_t mem_used;  /* bytes of linked chunks */
    uint64_t size;      /* bytes written so far */
    uint64_t mem_from;  /* stream offset from which memory holds all */
    int fd;
    uint64_t file_from, file_to; /* what the file holds; its own offset 0 is file_from */
    struct list cursors;
    struct task task; /* on_space */
    void (*on_space)(void *data);
    void *on_space_data;
    struct str path; /* of a kept file */
    bool file_only, keep_file;
    bool refused;   /* the writer waits for room */
    bool file_now;  /* the cursor had its chance: use the file */
    bool disk_lost; /* a write failed: memory alone from here on */
    bool writer_gone;
};

struct cursor {
    struct source source;
    struct list node; /* in spool.cursors */
    struct spool *spool;
    uint64_t at;
    struct chunk *pinned[BATCH_PIECES];
    uint8_t n_pinned;
    struct buf *buf; /* file bytes for a consumer that takes memory only */
};

static uint64_t
chunk_end(const struct chunk *k)
{
    return k->from + (k->buf->end - k->buf->start);
}

static void
chunk_unpin(struct chunk *k)
{
    if (--k->pins == 0 && !k->linked)
        buf_put(k->buf);
}

static void
chunk_unlink(struct spool *s, struct chunk *k)
{
    list_del(&k->node);
    k->linked = false;
    s->mem_used -= k->buf->cap;
    if (k->pins == 0)
        buf_put(k->buf);
}

static struct chunk *
chunk_last(struct spool *s)
{
    return list_empty(&s->chunks) ? NULL : LIST_ENTRY(s->chunks.prev, struct chunk, node);
}

static struct chunk *
chunk_add(struct spool *s, size_t hint)
{
    size_t bytes = num_min(num_max(hint + sizeof(struct chunk), CHUNK_MIN), CHUNK_MAX);
    struct buf *b = buf_get(bytes);
    struct chunk *k;

    if (b == NULL)
        return NULL;
    k = (struct chunk *)b->mem;
    memset(k, 0, sizeof(*k));
    b->start = b->end = sizeof(struct chunk);
    k->buf = b;
    k->from = s->size;
    k->linked = true;
    list_add_tail(&s->chunks, &k->node);
    s->mem_used += b->cap;
    return k;
}

/* ---- the file ---- */

/* A name of its own, below the levels of the path (their digits from its end, as nginx lays them out). */
static int
file_create_named(struct spool *s)
{
    for (int tries = 0; tries < 20; tries++) {
        char name[16];
        struct text t;
        size_t used = 10;
        int fd;

        snprintf(name, sizeof(name), "%010u", rand_below(UINT32_MAX));
        text_init(&t, &s->mem->arena);
        text_add(&t, s->dir->path);
        for (int i = 0; i < 3 && s->dir->levels[i] != 0; i++) {
            struct error err;

            used -= s->dir->levels[i];
            text_char(&t, '/');
            text_bytes(&t, name + used, s->dir->levels[i]);
            text_char(&t, '\0');
            if (t.failed)
                return -1;
            t.len--;
            if (!file_make_dir(t.ptr, 0700, (uid_t)-1, (gid_t)-1, &err)) {
                errno = err.sys;
                return -1;
            }
        }
        text_char(&t, '/');
        text_bytes(&t, name, 10);
        text_char(&t, '\0');
        if (t.failed)
            return -1;
        fd = open(t.ptr, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0) {
            s->path = str_n(t.ptr, t.len - 1);
            return fd;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static bool
file_ensure(struct spool *s)
{
    if (s->fd >= 0)
        return true;
    s->fd = s->keep_file ? file_create_named(s) : file_temp(s->dir->path.ptr);
    return s->fd >= 0;
}

/* Writes the run of iovecs at the file's end. */
static bool
file_append(struct spool *s, struct iovec *iov, int n)
{
    while (n > 0) {
        ssize_t w = pwritev(s->fd, iov, n, (off_t)(s->file_to - s->file_from));

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        s->file_to += (uint64_t)w;
        while (n > 0 && (size_t)w >= iov->iov_len) {
            w -= (ssize_t)iov->iov_len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->iov_base = (char *)iov->iov_base + w;
            iov->iov_len -= (size_t)w;
        }
    }
    return true;
}

/* From where on bytes are still needed by somebody. */
static uint64_t
needed_from(struct spool *s)
{
    uint64_t at = s->size;

    if (s->mode == SPOOL_KEEP || list_empty(&s->cursors))
        return s->mode == SPOOL_KEEP ? 0 : s->file_to;
    LIST_FOREACH (it, &s->cursors) {
        struct cursor *c = LIST_ENTRY(it, struct cursor, node);

        at = num_min(at, c->at);
    }
    return at;
}

/* All of the file has been sent, not merely handed out: it starts over at its offset 0. */
static void
file_reclaim(struct spool *s)
{
    if (s->mode == SPOOL_CONSUME && s->file_to > s->file_from && needed_from(s) >= s->file_to)
        s->file_from = s->file_to;
}

static void
disk_failed(struct spool *s, const char *what)
{
    s->disk_lost = true;
    log_crit(errno, "%s \"%.*s\" failed, the body stays in memory", what,
             s->dir != NULL ? (int)s->dir->path.len : 0, s->dir != NULL ? s->dir->path.ptr : "");
}

/* Moves all of memory that is still needed to the file. */
static bool
flush_to_file(struct spool *s)
{
    uint64_t from = num_max(needed_from(s), s->file_to);

    if (s->disk_lost || s->dir == NULL || s->file_max == 0)
        return false;
    if (s->size - from > s->file_max - (s->file_to - s->file_from))
        return false;
    if (!file_ensure(s)) {
        disk_failed(s, "temporary file in");
        return false;
    }
    if (s->file_from == s->file_to)
        s->file_from = s->file_to = from;

    if (s->file_to < s->lent.len) {
        struct iovec lent = { (void *)(uintptr_t)(s->lent.ptr + s->file_to),
                              s->lent.len - s->file_to };

        if (!file_append(s, &lent, 1))
            goto failed;
    }
    while (!list_empty(&s->chunks)) {
        struct iovec iov[FLUSH_IOV];
        int n = 0;

        LIST_FOREACH (it, &s->chunks) {
            struct chunk *k = LIST_ENTRY(it, struct chunk, node);
            uint64_t skip = s->file_to > k->from && n == 0 ? s->file_to - k->from : 0;

            if (chunk_end(k) <= s->file_to && n == 0)
                continue;
            iov[n++] =
                (struct iovec){ k->buf->mem + k->buf->start + skip, chunk_end(k) - k->from - skip };
            if (n == FLUSH_IOV)
                break;
        }
        if (n > 0 && !file_append(s, iov, n))
            goto failed;
        while (!list_empty(&s->chunks)) {
            struct chunk *k = LIST_ENTRY(s->chunks.next, struct chunk, node);

            if (chunk_end(k) > s->file_to)
                break;
            chunk_unlink(s, k);
        }
    }
    s->mem_from = s->file_to;
    return true;

failed:
    disk_failed(s, "writing to a temporary file in");
    return false;
}

/* ---- the writer ---- */

static void
spool_task(struct task *t)
{
    struct spool *s = CONTAINER_OF(t, struct spool, task);

    s->file_now = true; /* a cursor that pulled in between has set refused or file_now back */
    if (s->refused && s->on_space != NULL && !s->writer_gone) {
        s->refused = false;
        s->on_space(s->on_space_data);
    }
}

struct spool *
spool_new(struct xmem *mem, enum spool_mode mode, uint64_t mem_max, uint64_t file_max,
          const struct temp_path *dir)
{
    struct spool *s = ARENA_NEW(&mem->arena, struct spool);

    if (s == NULL)
        return NULL;
    s->mem = xmem_ref(mem);
    s->mode = mode;
    s->mem_max = num_max(mem_max, 1);
    s->file_max = dir != NULL ? file_max : 0;
    s->dir = dir;
    s->fd = -1;
    s->task.run = spool_task;
    list_init(&s->chunks);
    list_init(&s->cursors);
    return s;
}

void
spool_on_space(struct spool *s, void (*on_space)(void *data), void *data)
{
    s->on_space = on_space;
    s->on_space_data = data;
}

void
spool_in_file_only(struct spool *s, bool keep)
{
    s->file_only = true;
    s->keep_file = keep;
}

int
spool_room(struct spool *s, struct iovec iov[], int n, size_t hint)
{
    struct chunk *k = chunk_last(s);

    if (n < 1)
        return 0;
    if (s->mem_used >= s->mem_max && (k == NULL || buf_space(k->buf) == 0)) {
        bool wait = s->mode == SPOOL_CONSUME && !s->file_now;

        if (wait || !flush_to_file(s)) {
            s->refused = true;
            if (wait)
                task_ready(&s->task);
            return 0;
        }
        s->file_now = false; /* the cursor gets its chance before each further run */
        k = NULL;
    }
    if (k == NULL || buf_space(k->buf) == 0) {
        k = chunk_add(s, hint != 0 ? hint : CHUNK_MAX / 4);
        if (k == NULL)
            return 0;
    }
    iov[0] = (struct iovec){ k->buf->mem + k->buf->end, buf_space(k->buf) };
    return 1;
}

static void
wake_cursors(struct spool *s)
{
    LIST_FOREACH (it, &s->cursors)
        exchange_ready(LIST_ENTRY(it, struct cursor, node)->source.x);
}

void
spool_commit(struct spool *s, size_t bytes)
{
    struct chunk *k = chunk_last(s);

    ASSERT(bytes == 0 || (k != NULL && bytes <= buf_space(k->buf)));
    if (k != NULL && bytes == 0 && k->buf->end == k->buf->start) {
        chunk_unlink(s, k);
        return;
    }
    if (bytes == 0)
        return;
    k->buf->end += (uint32_t)bytes;
    s->size += bytes;
    wake_cursors(s);
}

bool
spool_append(struct spool *s, struct str bytes)
{
    while (bytes.len > 0) {
        struct chunk *k = chunk_last(s);
        size_t part;

        if (k == NULL || buf_space(k->buf) == 0) {
            if (s->mem_used >= s->mem_max && s->mode == SPOOL_KEEP)
                (void)flush_to_file(s);
            k = chunk_add(s, bytes.len);
            if (k == NULL)
                return false;
        }
        part = num_min(buf_space(k->buf), bytes.len);
        memcpy(k->buf->mem + k->buf->end, bytes.ptr, part);
        k->buf->end += (uint32_t)part;
        s->size += part;
        bytes = str_from(bytes, part);
    }
    wake_cursors(s);
    return true;
}

void
spool_lend(struct spool *s, struct str bytes)
{
    ASSERT(s->size == 0);
    if (bytes.len == 0)
        return;
    s->lent = bytes;
    s->size = bytes.len;
    wake_cursors(s);
}

void
spool_seal(struct spool *s, enum spool_end how)
{
    if (s->end != SPOOL_OPEN)
        return;
    if (how == SPOOL_COMPLETE && s->file_only && !flush_to_file(s))
        how = SPOOL_FAILED;
    s->end = how;
    s->refused = false;
    wake_cursors(s);
}

enum spool_end
spool_ended(const struct spool *s)
{
    return s->end;
}

uint64_t
spool_size(const struct spool *s)
{
    return s->size;
}

bool
spool_is_empty(const struct spool *s)
{
    struct spool *look = (struct spool *)(uintptr_t)s;

    return list_empty(&s->cursors) ? s->size == 0 : needed_from(look) == s->size;
}

/* ---- cursors ---- */

static void
cursor_unpin(struct cursor *c)
{
    for (int i = 0; i < c->n_pinned; i++)
        chunk_unpin(c->pinned[i]);
    c->n_pinned = 0;
    buf_put(c->buf);
    c->buf = NULL;
}

/* What all cursors have passed is not needed any more. */
static void
drop_consumed(struct spool *s)
{
    uint64_t needed;

    if (s->mode == SPOOL_KEEP)
        return;
    needed = needed_from(s);
    while (!list_empty(&s->chunks)) {
        struct chunk *k = LIST_ENTRY(s->chunks.next, struct chunk, node);

        if (chunk_end(k) > needed)
            break;
        chunk_unlink(s, k);
    }
    s->file_now = false;
    if (s->refused)
        task_ready(&s->task);
}

static bool
pull_from_file(struct cursor *c, struct batch *b)
{
    struct spool *s = c->spool;
    uint64_t left = s->file_to - c->at, at = c->at - s->file_from;
    char *to;
    ssize_t n;

    if (b->kinds & PIECE_FILE) {
        batch_file(b, s->fd, at, left);
        c->at += left;
        return true;
    }
    c->buf = buf_get(num_min(num_min(left, b->want), CHUNK_MAX));
    if (c->buf == NULL)
        return false;
    to = c->buf->mem;
    do
        n = pread(s->fd, to, num_min(left, c->buf->cap), (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        xlog(c->source.x, LOG_LEVEL_CRIT, n < 0 ? errno : 0, "pread() of a temporary file failed");
        return false;
    }
    batch_mem(b, to, (uint64_t)n);
    c->at += (uint64_t)n;
    return true;
}

static void
pull_from_memory(struct cursor *c, struct batch *b)
{
    struct spool *s = c->spool;
    uint64_t given = 0;

    if (c->at < s->lent.len) {
        batch_mem(b, s->lent.ptr + c->at, s->lent.len - c->at);
        given = s->lent.len - c->at;
        c->at = s->lent.len;
    }
    LIST_FOREACH (it, &s->chunks) {
        struct chunk *k = LIST_ENTRY(it, struct chunk, node);
        uint64_t len;

        if (chunk_end(k) <= c->at)
            continue;
        if (given >= b->want || b->n == BATCH_PIECES)
            break;
        len = chunk_end(k) - c->at;
        batch_mem(b, k->buf->mem + k->buf->start + (c->at - k->from), len);
        k->pins++;
        c->pinned[c->n_pinned++] = k;
        c->at += len;
        given += len;
    }
}

static enum pull
cursor_pull(struct source *src, struct batch *b)
{
    struct cursor *c = CONTAINER_OF(src, struct cursor, source);
    struct spool *s = c->spool;

    cursor_unpin(c);
    file_reclaim(s);
    if (s->file_to > s->file_from && c->at >= s->file_from && c->at < s->file_to) {
        if (!pull_from_file(c, b))
            return PULL_FAILED;
    } else if (c->at < s->size) {
        pull_from_memory(c, b);
    }
    drop_consumed(s);
    if (c->at < s->size)
        return PULL_MORE;
    switch (s->end) {
    case SPOOL_COMPLETE:
        return PULL_END;
    case SPOOL_FAILED:
        return PULL_FAILED;
    case SPOOL_OPEN:
        break;
    }
    return PULL_WAIT;
}

static void
spool_release(struct spool *s)
{
    while (!list_empty(&s->chunks))
        chunk_unlink(s, LIST_ENTRY(s->chunks.next, struct chunk, node));
    fd_close(&s->fd);
    task_cancel(&s->task);
    xmem_put(s->mem);
}

static void
cursor_stop(struct source *src, enum stop why UNUSED)
{
    struct cursor *c = CONTAINER_OF(src, struct cursor, source);

    cursor_unpin(c);
    list_del(&c->node);
    if (c->spool->writer_gone && list_empty(&c->spool->cursors))
        spool_release(c->spool);
}

static const struct source_ops cursor_ops = { cursor_pull, cursor_stop };

struct source *
spool_open(struct spool *s, struct exchange *x, uint64_t from)
{
    struct cursor *c = ARENA_NEW(&x->mem->arena, struct cursor);

    if (c == NULL)
        return NULL;
    c->source = (struct source){ .ops = &cursor_ops, .x = x };
    c->spool = s;
    c->at = from;
    list_add_tail(&s->cursors, &c->node);
    return source_checked(&c->source);
}

/* ---- the whole ---- */

bool
spool_keep_file(struct spool *s, struct str path)
{
    char from[32], temp[4096];

    if (s->fd < 0 && (!file_ensure(s) || !flush_to_file(s)))
        return false;
    if (s->mem_used > 0 && !flush_to_file(s))
        return false;
    if (s->path.len > 0)
        return rename(s->path.ptr, path.ptr) == 0;
    if ((size_t)snprintf(temp, sizeof(temp), "%.*s.%08x", STR(path), rand_below(UINT32_MAX)) >=
        sizeof(temp)) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(from, sizeof(from), "/proc/self/fd/%d", s->fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, temp, AT_SYMLINK_FOLLOW) != 0)
        return false;
    if (rename(temp, path.ptr) != 0) {
        int saved = errno;

        unlink(temp);
        errno = saved;
        return false;
    }
    return true;
}

struct str
spool_file_path(const struct spool *s)
{
    return s->path;
}

int
spool_fd(const struct spool *s)
{
    return s->fd;
}

struct str
spool_in_memory(struct spool *s)
{
    struct text t;

    if (s->file_to > s->file_from)
        return STR_NONE;
    if (s->size == 0)
        return S("");
    if (s->size == s->lent.len)
        return s->lent;
    if (s->lent.len == 0 && s->chunks.next == s->chunks.prev)
        return buf_str(chunk_last(s)->buf);
    text_init(&t, &s->mem->arena);
    text_add(&t, s->lent);
    LIST_FOREACH (it, &s->chunks)
        text_add(&t, buf_str(LIST_ENTRY(it, struct chunk, node)->buf));
    return text_str(&t);
}

void
spool_free(struct spool *s)
{
    if (s == NULL || s->writer_gone)
        return;
    spool_seal(s, SPOOL_FAILED);
    s->writer_gone = true;
    if (list_empty(&s->cursors))
        spool_release(s);
}
