/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body.c - sources of memory and files: the two producers that every content handler needs.
 */
#include "worker/http/body.h"

#include <errno.h>
#include <unistd.h>

#include "common/base/num.h"
#include "worker/http/open_file.h"

/* ---- memory ---- */

struct mem_source {
    struct source source;
    struct str left;
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

static const struct source_ops mem_ops = { mem_pull, mem_stop };

struct source *
body_mem(struct exchange *x, struct str bytes)
{
    struct mem_source *m = ARENA_NEW(&x->mem->arena, struct mem_source);

    if (m == NULL)
        return NULL;
    m->source = (struct source){ .ops = &mem_ops, .x = x };
    m->left = bytes;
    return source_checked(&m->source);
}

/* ---- files ---- */

enum {
    FILE_READ_MAX = 64 * 1024
}; /* bytes read at once where the file cannot be sent as a piece */

struct file_source {
    struct source source;
    struct open_file *file;
    uint64_t at, left;
    struct buf *buf; /* the last piece lies in it when the consumer gave no room */
};

/* Reads what fits into `to`; false when the file ends early or fails: it was cut while we sent it. */
static bool
file_read_into(struct file_source *f, char *to, size_t max, size_t *got)
{
    size_t want = (size_t)num_min(f->left, max);
    ssize_t n;

    do
        n = pread(f->file->fd, to, want, (off_t)f->at);
    while (n < 0 && errno == EINTR);

    if (n <= 0) {
        xlog(f->source.x, LOG_LEVEL_CRIT, n < 0 ? errno : 0, "%s",
             n < 0 ? "pread() of a file failed" : "file was truncated while it was sent");
        return false;
    }
    *got = (size_t)n;
    f->at += *got;
    f->left -= *got;
    return true;
}

static enum pull
file_after(const struct file_source *f)
{
    return f->left == 0 ? PULL_END : PULL_MORE;
}

/* A small rest is cheaper read than handed to sendfile: head and body then leave in one send. */
static enum pull
file_pull(struct source *s, struct batch *b)
{
    struct file_source *f = CONTAINER_OF(s, struct file_source, source);
    size_t got;

    buf_put(f->buf);
    f->buf = NULL;
    if (f->left == 0)
        return PULL_END;

    if (f->file->body != NULL) {
        batch_mem(b, f->file->body + f->at, f->left);
        f->at += f->left;
        f->left = 0;
        return PULL_END;
    }
    if (b->room != NULL && f->left <= b->room_len) {
        if (!file_read_into(f, b->room, b->room_len, &got))
            return PULL_FAILED;
        batch_mem(b, b->room, got);
        b->room += got;
        b->room_len -= (uint32_t)got;
        return file_after(f);
    }
    if (b->kinds & PIECE_FILE) {
        batch_file(b, f->file->fd, f->at, f->left);
        f->at += f->left;
        f->left = 0;
        return PULL_END;
    }

    f->buf = buf_get(num_min(f->left, FILE_READ_MAX));
    if (f->buf == NULL || !file_read_into(f, f->buf->mem, f->buf->cap, &got))
        return PULL_FAILED;
    batch_mem(b, f->buf->mem, got);
    return file_after(f);
}

static void
file_stop(struct source *s, enum stop why UNUSED)
{
    struct file_source *f = CONTAINER_OF(s, struct file_source, source);

    buf_put(f->buf);
    f->buf = NULL;
    open_file_put(f->file);
    f->file = NULL;
}

static const struct source_ops file_ops = { file_pull, file_stop };

struct source *
body_file(struct exchange *x, struct open_file *file, uint64_t at, uint64_t len)
{
    struct file_source *f = ARENA_NEW(&x->mem->arena, struct file_source);

    if (f == NULL)
        return NULL;
    f->source = (struct source){ .ops = &file_ops, .x = x };
    f->file = open_file_ref(file);
    f->at = at;
    f->left = len;
    return source_checked(&f->source);
}

/* ---- for filters ---- */

enum pull
body_pull_mem(struct source *below, struct batch *in)
{
    batch_init(in, FILE_READ_MAX, PIECE_MEM);
    return source_pull(below, in);
}
