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
 *
 * When neither memory nor file can take more, a CONSUME spool makes its writer wait for the cursor. A KEEP spool with
 * cursors keeps no more and goes on as a CONSUME one, so that a response is given though it cannot be stored. A KEEP
 * spool without any can only fail; what its writer still brings is dropped.
 */
#include "worker/http/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/sys/fd.h"
#include "common/sys/file.h"
#include "worker/net/conn.h"

enum {
    CHUNK_MIN =
        4 * 1024, /* bytes of the smallest, the first and the largest buffer taken at once */
    CHUNK_FIRST = 16 * 1024,
    CHUNK_MAX = 64 * 1024,
    CHUNK_REST = 1024, /* with less room than this left a buffer counts as full: not worth a read */
    FLUSH_IOV = 64,
    ROOM_WORTH =
        4096, /* a consumer's room takes bytes of the file when it has this size, or all fits */
    NAME_TRIES = 20,
    NAME_DIGITS = 10,
    COPY_STEP = 1 << 20, /* bytes copied between file systems at once */
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
    size_t next_chunk;  /* bytes of the next one, when nothing better is known */
    uint64_t size;      /* bytes written so far */
    uint64_t gone;      /* stream offset before which nothing is held any more */
    int fd;
    uint64_t file_from, file_to; /* what the file holds; its own offset 0 is file_from */
    struct list cursors;
    struct task task; /* on_space */
    void (*on_space)(void *data);
    void *on_space_data;
    struct str path;   /* of a file with a name */
    struct str joined; /* spool_in_memory's, once it was asked */
    bool file_only, keep_file;
    bool refused;     /* the writer waits for room */
    bool pulled;      /* a cursor has pulled since */
    bool file_now;    /* the cursor had its chance: use the file */
    bool disk_lost;   /* a write failed: memory alone from here on */
    bool reader_gone; /* CONSUME: the cursor has closed, nobody wants what comes */
    bool writer_gone;
};

struct cursor {
    struct source source;
    struct list node; /* in spool.cursors */
    struct spool *spool;
    uint64_t at;
    struct chunk *pinned[BATCH_PIECES];
    uint8_t n_pinned;
    bool holds_file; /* a piece of the file was handed out, and is in use until the next pull */
    struct buf *buf; /* file bytes for a consumer that takes memory only */
};

/* ---- memory ---- */

static uint64_t
chunk_end(const struct chunk *k)
{
    return k->from + (k->buf->end - k->buf->start);
}

static bool
chunk_is_full(const struct chunk *k)
{
    return buf_space(k->buf) < CHUNK_REST;
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
chunk_first(struct spool *s)
{
    return list_empty(&s->chunks) ? NULL : LIST_ENTRY(s->chunks.next, struct chunk, node);
}

static struct chunk *
chunk_last(struct spool *s)
{
    return list_empty(&s->chunks) ? NULL : LIST_ENTRY(s->chunks.prev, struct chunk, node);
}

/* A power of two that holds `hint` bytes and its head (0: grows with what came so far), as far as memory may be used. */
static size_t
chunk_size(const struct spool *s, size_t hint)
{
    uint64_t left = s->mem_max > s->mem_used ? s->mem_max - s->mem_used : 0;
    size_t want = hint != 0 ? num_min(hint, CHUNK_MAX) + sizeof(struct chunk) : s->next_chunk;
    size_t bytes = CHUNK_MIN;

    while (bytes < want && bytes < CHUNK_MAX && 2 * bytes <= left)
        bytes *= 2;
    return bytes;
}

static struct chunk *
chunk_add(struct spool *s, size_t hint)
{
    struct buf *b = buf_get(chunk_size(s, hint));
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

/* ---- what is still needed ---- */

/* From where on bytes are still needed by somebody. */
static uint64_t
needed_from(const struct spool *s)
{
    uint64_t at = s->size;

    if (s->mode == SPOOL_KEEP)
        return 0;
    if (s->cursors.next == &s->cursors)
        return s->reader_gone ? s->size : 0;
    LIST_FOREACH (it, &s->cursors) {
        const struct cursor *c = LIST_ENTRY(it, struct cursor, node);

        at = num_min(at, c->at);
    }
    return at;
}

/* When all of the file has been sent, not merely handed out, the next run starts at its offset 0. */
static void
file_reclaim(struct spool *s, uint64_t needed)
{
    if (s->file_to == s->file_from || needed < s->file_to)
        return;
    LIST_FOREACH (it, &s->cursors) {
        if (LIST_ENTRY(it, struct cursor, node)->holds_file)
            return;
    }
    s->file_from = s->file_to;
}

/* What all cursors have passed is not needed any more. */
static void
drop_consumed(struct spool *s)
{
    uint64_t needed = needed_from(s);
    struct chunk *k;

    while ((k = chunk_first(s)) != NULL && chunk_end(k) <= needed)
        chunk_unlink(s, k);
    file_reclaim(s, needed);
    s->gone = num_max(s->gone, needed);
}

static void
wake_cursors(struct spool *s)
{
    LIST_FOREACH (it, &s->cursors)
        exchange_ready(LIST_ENTRY(it, struct cursor, node)->source.x);
}

/* ---- the file ---- */

/* The directories of a name, after their digits at its end, as nginx lays them out; then the file's path. */
static bool
name_path(const struct spool *s, const char name[], struct text *t)
{
    size_t end = NAME_DIGITS;

    text_init(t, &s->mem->arena);
    text_add(t, s->dir->path);
    for (unsigned i = 0; i < ARRAY_LEN(s->dir->levels) && s->dir->levels[i] != 0; i++) {
        struct error err;

        end -= s->dir->levels[i];
        text_fmt(t, "/%.*s", (int)s->dir->levels[i], name + end);
        text_char(t, '\0');
        if (t->failed)
            return false;
        t->len--;
        if (!file_make_dir(t->ptr, 0700, (uid_t)-1, (gid_t)-1, &err)) {
            errno = err.sys;
            return false;
        }
    }
    text_fmt(t, "/%s", name);
    text_char(t, '\0');
    return !t->failed;
}

/* A file with a name of its own. */
static int
file_create_named(struct spool *s)
{
    for (int tries = 0; tries < NAME_TRIES; tries++) {
        char name[NAME_DIGITS + 1];
        struct text t;
        int fd;

        errno = ENOMEM;
        snprintf(name, sizeof(name), "%0*u", NAME_DIGITS, rand_below(UINT32_MAX));
        if (!name_path(s, name, &t))
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

static void
file_create(struct spool *s)
{
    s->fd = s->file_only ? file_create_named(s) : file_temp(s->dir->path.ptr);
}

/* There is a file, and it is empty if nothing in it is needed. It is truncated, not written over: pages that the kernel
 * has yet to send (sendfile) keep their bytes then. */
static bool
file_prepare(struct spool *s, uint64_t from)
{
    if (s->fd < 0) {
        file_create(s);
        if (s->fd < 0 && conn_free_descriptor())
            file_create(s);
    } else if (s->file_from == s->file_to && ftruncate(s->fd, 0) != 0) {
        return false;
    }
    if (s->fd < 0)
        return false;
    ASSERT(s->file_from == s->file_to || s->file_to == from); /* without a gap */
    if (s->file_from == s->file_to)
        s->file_from = s->file_to = from;
    return true;
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

/* Lists what lies in memory behind file_to, at most FLUSH_IOV pieces. */
static int
memory_behind_file(struct spool *s, struct iovec iov[FLUSH_IOV])
{
    int n = 0;

    if (s->file_to < s->lent.len)
        iov[n++] = (struct iovec){ (void *)(uintptr_t)(s->lent.ptr + s->file_to),
                                   s->lent.len - s->file_to };
    LIST_FOREACH (it, &s->chunks) {
        struct chunk *k = LIST_ENTRY(it, struct chunk, node);
        uint64_t skip = s->file_to > k->from ? s->file_to - k->from : 0;

        if (chunk_end(k) <= k->from + skip)
            continue;
        if (n == FLUSH_IOV)
            break;
        iov[n++] =
            (struct iovec){ k->buf->mem + k->buf->start + skip, chunk_end(k) - k->from - skip };
    }
    return n;
}

static bool
write_memory(struct spool *s)
{
    struct iovec iov[FLUSH_IOV];
    struct chunk *k;
    bool good = true;
    int n;

    while (good && (n = memory_behind_file(s, iov)) > 0)
        good = file_append(s, iov, n);
    while ((k = chunk_first(s)) != NULL && chunk_end(k) <= s->file_to)
        chunk_unlink(s, k);
    return good;
}

/* Moves all of memory that is still needed to the file. False: there is none, it is full, or the disk failed. */
static bool
flush_to_file(struct spool *s)
{
    uint64_t from = num_max(needed_from(s), s->file_to);

    if (s->disk_lost || s->file_max == 0 ||
        s->size - from > s->file_max - (s->file_to - s->file_from))
        return false;
    if (file_prepare(s, from) && write_memory(s))
        return true;
    s->disk_lost = true;
    log_crit(errno, "%s a temporary file in \"%.*s\" failed, the body stays in memory",
             s->fd < 0 ? "creating" : "writing", STR(s->dir->path));
    return false;
}

/* ---- the writer ---- */

static void
spool_task(struct task *t)
{
    struct spool *s = CONTAINER_OF(t, struct spool, task);

    if (!s->refused || s->writer_gone)
        return;
    s->refused = false;
    s->file_now = !s->pulled;
    if (s->on_space != NULL)
        s->on_space(s->on_space_data);
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
    s->next_chunk = CHUNK_FIRST;
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

static void
spool_end_as(struct spool *s, enum spool_end how)
{
    s->end = how;
    s->refused = false;
    wake_cursors(s);
}

/* The writer waits for room. `soon`: not for a cursor, only for the others on the ready list. */
static bool
refuse(struct spool *s, bool soon)
{
    s->refused = true;
    s->pulled = false;
    if (soon)
        task_ready(&s->task);
    return false;
}

/* Memory is full. False: the writer waits, or the spool has failed. */
static bool
make_room(struct spool *s)
{
    if (s->mode == SPOOL_CONSUME && !s->file_now)
        return refuse(s, true);
    s->file_now = false; /* the cursor gets its chance before each further run */
    if (flush_to_file(s))
        return true;
    if (s->mode == SPOOL_KEEP) {
        if (list_empty(&s->cursors)) {
            spool_end_as(s, SPOOL_FAILED);
            return false;
        }
        s->mode = SPOOL_CONSUME;
        drop_consumed(s);
        if (s->mem_used < s->mem_max)
            return true;
    }
    return refuse(s, false);
}

/* Where the bytes of a failed spool go; nobody reads them. */
static int
room_for_nothing(struct iovec iov[])
{
    static char nothing[CHUNK_FIRST];

    iov[0] = (struct iovec){ nothing, sizeof(nothing) };
    return 1;
}

int
spool_room(struct spool *s, struct iovec iov[], int n, size_t hint)
{
    struct chunk *k = chunk_last(s);

    if (n < 1)
        return 0;
    if (s->end == SPOOL_OPEN && (k == NULL || chunk_is_full(k))) {
        if (s->mem_used >= s->mem_max && !make_room(s) && s->end == SPOOL_OPEN)
            return 0;
        if (s->end == SPOOL_OPEN) {
            k = chunk_add(s, hint);
            if (k == NULL)
                spool_end_as(s, SPOOL_FAILED);
        }
    }
    if (s->end != SPOOL_OPEN)
        return room_for_nothing(iov);
    iov[0] = (struct iovec){ k->buf->mem + k->buf->end, buf_space(k->buf) };
    return 1;
}

/* `n` bytes have been put behind what the last chunk holds. */
static void
chunk_grew(struct spool *s, struct chunk *k, size_t n)
{
    k->buf->end += (uint32_t)n;
    s->size += n;
    if (chunk_is_full(k))
        s->next_chunk = num_min(2 * (size_t)k->buf->cap, CHUNK_MAX);
}

/* The cursors hear of what was written; without any to come it is dropped. */
static void
written(struct spool *s)
{
    if (s->reader_gone)
        drop_consumed(s);
    wake_cursors(s);
}

void
spool_commit(struct spool *s, size_t bytes)
{
    struct chunk *k = chunk_last(s);

    if (s->end != SPOOL_OPEN)
        return;
    ASSERT(bytes == 0 || (k != NULL && bytes <= buf_space(k->buf)));
    if (bytes == 0) {
        if (k != NULL && buf_len(k->buf) == 0)
            chunk_unlink(s, k);
        return;
    }
    chunk_grew(s, k, bytes);
    written(s);
}

bool
spool_append(struct spool *s, struct str bytes)
{
    while (bytes.len > 0 && s->end == SPOOL_OPEN) {
        struct chunk *k = chunk_last(s);
        size_t part;

        if (k == NULL || buf_space(k->buf) == 0) {
            if (s->mem_used >= s->mem_max && s->mode == SPOOL_KEEP && !make_room(s) &&
                s->end != SPOOL_OPEN)
                return false;
            s->refused = false; /* nobody waits: the bytes go beyond the limit */
            k = chunk_add(s, bytes.len);
            if (k == NULL) {
                spool_end_as(s, SPOOL_FAILED);
                return false;
            }
        }
        part = num_min(buf_space(k->buf), bytes.len);
        memcpy(k->buf->mem + k->buf->end, bytes.ptr, part);
        chunk_grew(s, k, part);
        bytes = str_from(bytes, part);
    }
    written(s);
    return s->end != SPOOL_FAILED;
}

void
spool_lend(struct spool *s, struct str bytes)
{
    ASSERT(s->size == 0 && list_empty(&s->chunks));
    if (bytes.len == 0 || s->end != SPOOL_OPEN)
        return;
    s->lent = bytes;
    s->size = bytes.len;
    written(s);
}

void
spool_seal(struct spool *s, enum spool_end how)
{
    if (s->end != SPOOL_OPEN)
        return;
    if (how == SPOOL_COMPLETE && s->file_only && !flush_to_file(s))
        how = SPOOL_FAILED;
    spool_end_as(s, how);
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
    return needed_from(s) == s->size;
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

/* Where bytes of the file are read to: the consumer's room, or a buffer of our own. */
static char *
file_bytes_to(struct cursor *c, const struct batch *b, uint64_t left, size_t *max)
{
    uint64_t want = num_min(left, num_min(b->want, CHUNK_MAX));

    if (b->room != NULL && (b->room_len >= want || b->room_len >= ROOM_WORTH)) {
        *max = (size_t)num_min(left, b->room_len);
        return b->room;
    }
    c->buf = buf_get((size_t)want);
    if (c->buf == NULL)
        return NULL;
    *max = (size_t)num_min(left, c->buf->cap);
    return c->buf->mem;
}

static bool
pull_from_file(struct cursor *c, struct batch *b)
{
    struct spool *s = c->spool;
    uint64_t left = s->file_to - c->at, at = c->at - s->file_from;
    size_t max;
    char *to;
    ssize_t n;

    if (b->kinds & PIECE_FILE) {
        batch_file(b, s->fd, at, left);
        c->at += left;
        c->holds_file = true;
        return true;
    }
    to = file_bytes_to(c, b, left, &max);
    if (to == NULL)
        return false;
    do
        n = pread(s->fd, to, max, (off_t)at);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        xlog(c->source.x, LOG_LEVEL_CRIT, n < 0 ? errno : 0, "pread() of a temporary file failed");
        return false;
    }
    batch_mem(b, to, (uint64_t)n);
    if (to == b->room) {
        b->room += n;
        b->room_len -= (uint32_t)n;
    }
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

/* What follows the bytes of a batch that goes up to c->at. */
static enum pull
cursor_after(const struct cursor *c)
{
    if (c->at < c->spool->size)
        return PULL_MORE;
    switch (c->spool->end) {
    case SPOOL_OPEN:
        return PULL_WAIT;
    case SPOOL_COMPLETE:
        return PULL_END;
    case SPOOL_FAILED:
        return PULL_FAILED;
    }
    return PULL_FAILED;
}

static enum pull
cursor_pull(struct source *src, struct batch *b)
{
    struct cursor *c = CONTAINER_OF(src, struct cursor, source);
    struct spool *s = c->spool;

    cursor_unpin(c);
    c->holds_file = false;
    if (c->at >= s->file_from && c->at < s->file_to) {
        if (!pull_from_file(c, b))
            return PULL_FAILED;
    } else if (c->at < s->size) {
        pull_from_memory(c, b);
    }
    drop_consumed(s);
    s->pulled = true;
    s->file_now = false;
    if (s->refused)
        task_ready(&s->task);
    return cursor_after(c);
}

/* The last reference to the memory that the spool itself lies in may go here. */
static void
spool_release(struct spool *s)
{
    while (!list_empty(&s->chunks))
        chunk_unlink(s, chunk_first(s));
    fd_close(&s->fd);
    if (s->path.len > 0 && !s->keep_file)
        unlink(s->path.ptr);
    task_cancel(&s->task);
    xmem_put(s->mem);
}

static void
cursor_stop(struct source *src, enum stop why UNUSED)
{
    struct cursor *c = CONTAINER_OF(src, struct cursor, source);
    struct spool *s = c->spool;

    cursor_unpin(c);
    list_del(&c->node);
    if (s->mode == SPOOL_CONSUME) {
        s->reader_gone = list_empty(&s->cursors);
        drop_consumed(s);
        if (s->refused)
            task_ready(&s->task);
    }
    if (s->writer_gone && list_empty(&s->cursors))
        spool_release(s);
}

static const struct source_ops cursor_ops = { cursor_pull, cursor_stop };

struct source *
spool_open(struct spool *s, struct exchange *x, uint64_t from)
{
    struct cursor *c;

    if (from < s->gone || from > s->size || s->writer_gone)
        return NULL;
    c = ARENA_NEW(&x->mem->arena, struct cursor);
    if (c == NULL)
        return NULL;
    c->source = (struct source){ .ops = &cursor_ops, .x = x };
    c->spool = s;
    c->at = from;
    list_add_tail(&s->cursors, &c->node);
    return &c->source; /* bare: a checker would hold bytes that spool_is_empty says are gone */
}

/* ---- the whole ---- */

static bool
copy_attributes(int from, int to)
{
    struct stat st;
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };

    if (fstat(from, &st) != 0)
        return false;
    times[1] = st.st_mtim;
    return fchmod(to, st.st_mode & 07777) == 0 && futimens(to, times) == 0;
}

/* The file's content under another name. False: errno, and nothing is there. */
static bool
copy_file(int from, const char *to)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    off_t at = 0;
    ssize_t n = 1;
    int saved;

    if (fd < 0)
        return false;
    while (n > 0)
        n = sendfile(fd, from, &at, COPY_STEP);
    if (n == 0 && copy_attributes(from, fd)) {
        fd_close(&fd);
        return true;
    }
    saved = errno;
    fd_close(&fd);
    unlink(to);
    errno = saved;
    return false;
}

/* Gives a file without a name the name `path`, in place of what had it. */
static bool
link_over(int fd, struct str path)
{
    char from[32], temp[PATH_MAX];
    int len = snprintf(temp, sizeof(temp), "%.*s.%08x", STR(path), rand_below(UINT32_MAX));

    if (len < 0 || (size_t)len >= sizeof(temp)) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, temp, AT_SYMLINK_FOLLOW) != 0) {
        /* another file system, or one that cannot give a name to what had lost it */
        if ((errno != EXDEV && errno != ENOENT) || !copy_file(fd, temp))
            return false;
    }
    if (rename(temp, path.ptr) != 0) {
        int saved = errno;

        unlink(temp);
        errno = saved;
        return false;
    }
    return true;
}

bool
spool_keep_file(struct spool *s, struct str path, mode_t mode, int64_t mtime)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)mtime } };

    errno = EIO; /* bytes are gone, or the disk has failed before */
    if (s->mode != SPOOL_KEEP || !flush_to_file(s))
        return false;
    if (fchmod(s->fd, mode) != 0 || (mtime >= 0 && futimens(s->fd, times) != 0))
        return false;
    if (s->path.len == 0)
        return link_over(s->fd, path);
    if (rename(s->path.ptr, path.ptr) != 0)
        return false;
    s->path = path;
    s->keep_file = true;
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

    if (s->mode != SPOOL_KEEP || s->end != SPOOL_COMPLETE || s->file_to > s->file_from)
        return STR_NONE;
    if (s->size == 0)
        return S("");
    if (s->size == s->lent.len)
        return s->lent;
    if (s->lent.len == 0 && chunk_first(s) == chunk_last(s))
        return buf_str(chunk_first(s)->buf);
    if (s->joined.ptr != NULL)
        return s->joined;
    text_init(&t, &s->mem->arena);
    text_add(&t, s->lent);
    LIST_FOREACH (it, &s->chunks)
        text_add(&t, buf_str(LIST_ENTRY(it, struct chunk, node)->buf));
    s->joined = text_str(&t);
    return s->joined;
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
