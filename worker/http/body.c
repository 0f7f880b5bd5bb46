/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body.c - sources of memory and files.
 *
 * A file is given as a piece of itself where the consumer takes that, and read otherwise. With `aio threads` a read first
 * asks for what the page cache has (RWF_NOWAIT); what it has not is read by a thread, while the source says WAIT.
 */
#include "worker/http/body.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/event/offload.h"
#include "worker/http/http_conf.h"
#include "worker/http/open_file.h"

/* ---- memory ---- */

struct mem_source {
    struct source source;
    struct str all, left;
};

static enum pull
mem_pull(struct source *s, struct batch *b)
{
    struct mem_source *m = CONTAINER_OF(s, struct mem_source, source);

    if (m->left.len > 0)
        batch_mem(b, m->left.ptr, m->left.len);
    m->left.len = 0;
    return PULL_END;
}

static void
mem_stop(struct source *s UNUSED, enum stop why UNUSED)
{
}

static bool
mem_seek(struct source *s, uint64_t at, uint64_t len)
{
    struct mem_source *m = CONTAINER_OF(s, struct mem_source, source);

    ASSERT(at <= m->all.len && len <= m->all.len - at);
    m->left = str_n(m->all.ptr + at, len);
    return true;
}

static const struct source_ops mem_ops = { mem_pull, mem_stop };

struct source *
body_mem(struct exchange *x, struct str bytes)
{
    struct mem_source *m = ARENA_NEW(&x->mem->arena, struct mem_source);

    if (m == NULL)
        return NULL;
    m->source = (struct source){ .ops = &mem_ops, .x = x, .seek = mem_seek };
    m->all = m->left = bytes;
    return source_checked(&m->source);
}

/* ---- files ---- */

enum {
    READ_MAX = 64 * 1024, /* bytes read at once */
    ROOM_WORTH = 4096,    /* a consumer's room is used from this size on, or when all fits */
    WARM_MAX =
        512 * 1024, /* bytes of a piece that are brought into the page cache before it is given */
    ALIGN = 4096,   /* of offset, length and memory, for O_DIRECT */
};

enum job_state { JOB_NONE, JOB_RUNNING, JOB_DONE };

struct file_source {
    struct source source;
    struct open_file *file;
    uint64_t from;             /* offset of the body's first byte */
    uint64_t at, left;         /* offset of the next byte; how many */
    struct buf *buf;           /* the last piece lies in it when the consumer gave no room */
    struct offload_pool *pool; /* of threads for reads that would wait; NULL: none */
    /* A read by a thread, which touches what follows and no more until `done` is called. */
    enum job_state state;
    bool stopped; /* meanwhile: all that is left is to clean up */
    struct offload job;
    int fd;
    char *to; /* NULL: only into the page cache */
    uint64_t job_at;
    size_t job_len;
    ssize_t job_got;
    int job_error;
};

static enum pull
file_after(const struct file_source *f)
{
    return f->left == 0 ? PULL_END : PULL_MORE;
}

static ssize_t
read_at(int fd, char *to, size_t n, uint64_t at, int flags)
{
    struct iovec iov = { to, n };
    ssize_t got;

    do
        got = preadv2(fd, &iov, 1, (off_t)at, flags);
    while (got < 0 && errno == EINTR);
    return got;
}

static enum pull
file_read_failed(struct file_source *f, ssize_t n, int error)
{
    xlog(f->source.x, LOG_LEVEL_CRIT, n < 0 ? error : 0, "%s",
         n < 0 ? "pread() of a file failed" : "file was truncated while it was sent");
    return PULL_FAILED;
}

/* ---- by a thread ---- */

static void
job_work(struct offload *o)
{
    struct file_source *f = CONTAINER_OF(o, struct file_source, job);
    char nowhere[32 * 1024];
    uint64_t end = f->job_at + f->job_len;

    if (f->to != NULL) {
        f->job_got = read_at(f->fd, f->to, f->job_len, f->job_at, 0);
        f->job_error = errno;
        return;
    }
    for (uint64_t at = f->job_at; at < end;) {
        ssize_t n = read_at(f->fd, nowhere, (size_t)num_min(sizeof(nowhere), end - at), at, 0);

        if (n <= 0)
            return; /* who sends the piece will meet the error */
        at += (uint64_t)n;
    }
}

static void
file_close(struct file_source *f)
{
    buf_put(f->buf);
    f->buf = NULL;
    open_file_put(f->file);
    f->file = NULL;
}

static void
job_done(struct offload *o)
{
    struct file_source *f = CONTAINER_OF(o, struct file_source, job);
    struct exchange *x = f->source.x;

    f->state = JOB_DONE;
    if (f->stopped)
        file_close(f);
    else
        exchange_ready(x);
    exchange_release(x, "file read");
}

/* False when no thread is to be had; then the caller's thread does it. */
static bool
job_start(struct file_source *f, char *to, uint64_t at, size_t len)
{
    f->to = to;
    f->fd = f->file->fd;
    f->job_at = at;
    f->job_len = len;
    f->job = (struct offload){ .work = job_work, .done = job_done };
    f->state = JOB_RUNNING;
    exchange_hold(f->source.x, "file read");
    if (offload_start(f->pool, &f->job))
        return true;
    exchange_release(f->source.x, "file read");
    f->state = JOB_NONE;
    return false;
}

/* ---- reading ---- */

/* O_DIRECT wants all multiples of a block; the bytes asked for lie within. */
static uint64_t
block_start(const struct file_source *f)
{
    return f->file->direct ? f->at & ~(uint64_t)(ALIGN - 1) : f->at;
}

static char *
block_mem(const struct file_source *f)
{
    uintptr_t mem = (uintptr_t)f->buf->mem;

    return f->file->direct ? f->buf->mem + (-mem & (ALIGN - 1)) : f->buf->mem;
}

/* Bytes were read from block_start(f) on into `mem`: those that were asked for are given. */
static enum pull
give_read(struct file_source *f, struct batch *b, char *mem, ssize_t n, int error)
{
    uint64_t skip = f->at - block_start(f), len;

    if (n < 0 || (uint64_t)n <= skip)
        return file_read_failed(f, n < 0 ? n : 0, error);
    len = num_min((uint64_t)n - skip, f->left);
    batch_mem(b, mem + skip, len);
    f->at += len;
    f->left -= len;
    return file_after(f);
}

static enum pull
read_to_buffer(struct file_source *f, struct batch *b)
{
    uint64_t at = block_start(f);
    size_t len = (size_t)num_min(f->at - at + f->left, READ_MAX), room = len;
    ssize_t n = -1;

    if (f->file->direct) {
        len = (len + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        room = len + ALIGN;
    }
    f->buf = buf_get(room);
    if (f->buf == NULL)
        return PULL_FAILED;
    if (f->pool != NULL) {
        n = read_at(f->file->fd, block_mem(f), len, at, RWF_NOWAIT);
        if (n < 0 && job_start(f, block_mem(f), at, len))
            return PULL_WAIT;
    }
    if (n < 0)
        n = read_at(f->file->fd, block_mem(f), len, at, 0);
    return give_read(f, b, block_mem(f), n, errno);
}

/* Into the consumer's room, which is ours during this call only. False: not without waiting. */
static bool
read_to_room(struct file_source *f, struct batch *b, enum pull *result)
{
    char *to = b->room;
    ssize_t n = read_at(f->file->fd, to, (size_t)num_min(f->left, b->room_len), f->at,
                        f->pool != NULL ? RWF_NOWAIT : 0);

    if (n < 0 && f->pool != NULL)
        return false;
    if (n > 0) {
        b->room += n;
        b->room_len -= (uint32_t)n;
    }
    *result = give_read(f, b, to, n, errno);
    return true;
}

/* ---- as a piece of itself ---- */

static enum pull
give_piece(struct file_source *f, struct batch *b, uint64_t len)
{
    batch_file(b, f->file->fd, f->at, len);
    f->at += len;
    f->left -= len;
    return file_after(f);
}

/* Whoever sends it would wait for the disk. A part whose last byte is in the page cache counts as there. */
static enum pull
pull_piece(struct file_source *f, struct batch *b)
{
    uint64_t len = f->left;
    char last;

    if (f->pool != NULL) {
        len = num_min(len, WARM_MAX);
        if (read_at(f->file->fd, &last, 1, f->at + len - 1, RWF_NOWAIT) < 0 &&
            job_start(f, NULL, f->at, (size_t)len))
            return PULL_WAIT;
    }
    return give_piece(f, b, len);
}

static enum pull
pull_from_disk(struct file_source *f, struct batch *b)
{
    bool all_fits = b->room != NULL && f->left <= b->room_len;
    bool use_room = b->room != NULL && b->room_len >= ROOM_WORTH && !(b->kinds & PIECE_FILE);
    enum pull result;

    if (f->file->direct)
        return read_to_buffer(f, b);
    /* A small rest is cheaper read than sent as a piece: head and body then leave in one send. */
    if ((all_fits || use_room) && read_to_room(f, b, &result))
        return result;
    if (b->kinds & PIECE_FILE)
        return pull_piece(f, b);
    return read_to_buffer(f, b);
}

/* Whether the content is given out of memory. A consumer of files and pipes hands them to the kernel as they are. */
static bool
body_is_best(struct file_source *f, const struct batch *b)
{
    bool unread = (b->kinds & PIECE_FILE) && (b->kinds & PIECE_PIPE);

    if (f->file->body == NULL && !unread && f->left == f->file->size)
        open_file_copied(f->file);
    return f->file->body != NULL && !(f->file->is_hot && unread);
}

static enum pull
file_pull(struct source *s, struct batch *b)
{
    struct file_source *f = CONTAINER_OF(s, struct file_source, source);

    if (f->state == JOB_RUNNING)
        return PULL_WAIT;
    if (f->state == JOB_DONE) {
        f->state = JOB_NONE;
        if (f->to != NULL)
            return give_read(f, b, f->to, f->job_got, f->job_error);
        if (b->kinds & PIECE_FILE)
            return give_piece(f, b, num_min(f->left, f->job_len));
    }
    buf_put(f->buf);
    f->buf = NULL;
    if (f->left == 0)
        return PULL_END;
    if (!body_is_best(f, b))
        return pull_from_disk(f, b);
    batch_mem(b, f->file->body + f->at, f->left);
    f->at += f->left;
    f->left = 0;
    return PULL_END;
}

static void
file_stop(struct source *s, enum stop why UNUSED)
{
    struct file_source *f = CONTAINER_OF(s, struct file_source, source);

    if (f->state == JOB_RUNNING)
        f->stopped = true;
    else
        file_close(f);
}

static bool
file_seek(struct source *s, uint64_t at, uint64_t len)
{
    struct file_source *f = CONTAINER_OF(s, struct file_source, source);

    ASSERT(f->state == JOB_NONE);
    f->at = f->from + at;
    f->left = len;
    return true;
}

static const struct source_ops file_ops = { file_pull, file_stop };

/* What `aio` says of this file. False: there is no such pool, said. */
static bool
file_pool(struct exchange *x, const struct open_file *file, struct offload_pool **pool)
{
    const struct http_conf *c = HTTP_CONF(request_of(x));
    struct str name;

    *pool = NULL;
    if (c->aio == AIO_OFF || (c->aio == AIO_ON && !file->direct))
        return true;
    *pool = c->aio_pool_name.set ? c->aio_pool : offload_default();
    if (*pool != NULL || !c->aio_pool_name.set)
        return true;
    name = template_expand(x, &c->aio_pool_name);
    *pool = offload_pool_find(name);
    if (*pool == NULL)
        xlog(x, LOG_LEVEL_ERROR, 0, "thread pool \"%.*s\" not found", LOG_STR(name));
    return *pool != NULL;
}

struct source *
body_file(struct exchange *x, struct open_file *file, uint64_t at, uint64_t len)
{
    struct file_source *f = ARENA_NEW(&x->mem->arena, struct file_source);

    if (f == NULL || !file_pool(x, file, &f->pool))
        return NULL;
    f->source = (struct source){ .ops = &file_ops, .x = x, .seek = file_seek };
    f->file = open_file_ref(file);
    f->from = f->at = at;
    f->left = len;
    return source_checked(&f->source);
}

/* ---- for filters ---- */

bool
body_seek(struct source *s, uint64_t at, uint64_t len)
{
    struct source *bare = source_unchecked(s);

    return bare->seek != NULL && bare->seek(bare, at, len);
}

enum pull
body_pull_mem(struct source *below, struct batch *in)
{
    batch_init(in, READ_MAX, PIECE_MEM);
    return source_pull(below, in);
}
