/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log_writer.c - gets lines of the access log into files.
 *
 * The lines of one turn of the loop are collected by file and leave in one write at its end, so several workers never
 * tear a line; with buffer= they wait until the next one does not fit, or for flush=. With gzip each write is a member of
 * its own (RFC 1952, 2.2), so what has been written can always be read.
 */
#include "worker/observe/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/sys/clock.h"
#include "common/sys/fd.h"

enum {
    TURN_BYTES_MAX = 64 * 1024, /* lines of one turn beyond this do not wait for its end */
    COMPLAINT_MS = 60000,       /* a file that cannot be written is reported once in so long */
    GZIP_WINDOW = 15 + 16,      /* the largest, with gzip's head and end */
};

static struct list dirty = LIST_INIT(dirty);

/* ---- writing ---- */

static void
complain(struct log_lines *lines, int error, size_t lost)
{
    if (lines->complained_ms != 0 && clock_ms - lines->complained_ms < COMPLAINT_MS)
        return;
    lines->complained_ms = clock_ms;
    log_alert(error, "write() to \"%.*s\" failed, %zu bytes of log lines are lost",
              STR(lines->file->path), lost);
}

/* errno of what could not be written; *left: how much. */
static int
write_all(int fd, const char *at, size_t *left)
{
    while (*left > 0) {
        ssize_t n = write(fd, at, *left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        at += n;
        *left -= (size_t)n;
    }
    return 0;
}

/* One gzip member of the bytes. NULL: memory. The caller frees it. */
static char *
compress_all(int level, const char *bytes, size_t len, size_t *out_len)
{
    z_stream z = { .next_in = (Bytef *)bytes, .avail_in = (uInt)len };
    char *out = NULL;
    uLong bound;

    if (len > UINT32_MAX / 2 ||
        deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    bound = deflateBound(&z, (uLong)len);
    out = malloc(bound);
    if (out != NULL) {
        z.next_out = (Bytef *)out;
        z.avail_out = (uInt)bound;
        if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
            free(out);
            out = NULL;
        }
        *out_len = z.total_out;
    }
    (void)deflateEnd(&z);
    return out;
}

/* The first `len` bytes of the lines leave; the rest moves to the front. */
static void
write_front(struct log_lines *lines, size_t len)
{
    size_t left = len;
    char *packed = NULL;
    int error;

    if (lines->gzip > 0 && len > 0) {
        packed = compress_all(lines->gzip, lines->text.ptr, len, &left);
        error = packed != NULL ? write_all(lines->file->fd, packed, &left) : ENOMEM;
    } else {
        error = write_all(lines->file->fd, lines->text.ptr, &left);
    }
    free(packed);
    if (error != 0)
        complain(lines, error, packed != NULL ? len : left);
    memmove(lines->text.ptr, lines->text.ptr + len, lines->text.len - len);
    lines->text.len -= len;
}

void
log_lines_write(struct log_lines *lines)
{
    if (lines->text.len > 0)
        write_front(lines, lines->text.len);
    list_del(&lines->dirty);
    timer_stop(&lines->timer);
}

static void
lines_on_time(struct timer *t)
{
    log_lines_write(CONTAINER_OF(t, struct log_lines, timer));
}

/* With a buffer: what was in it goes when the new line does not fit, and a line that is too long alone at once. */
static void
buffered(struct log_lines *lines, size_t before)
{
    if (lines->text.len > lines->size && before > 0) {
        write_front(lines, before);
        timer_stop(&lines->timer);
    }
    if (lines->text.len >= lines->size)
        log_lines_write(lines);
    else if (lines->flush_ms > 0 && !timer_pending(&lines->timer))
        timer_set(&lines->timer, lines->flush_ms);
}

void
log_lines_added(struct log_lines *lines, size_t before)
{
    if (lines->text.failed) { /* memory: this line is lost, not those before */
        lines->text.len = before;
        lines->text.failed = false;
        complain(lines, ENOMEM, 1);
    } else if (lines->size > 0) {
        buffered(lines, before);
    } else if (lines->text.len >= TURN_BYTES_MAX) {
        log_lines_write(lines);
    } else if (!list_linked(&lines->dirty)) {
        list_add_tail(&dirty, &lines->dirty);
    }
}

void
log_lines_end_turn(void)
{
    LIST_FOREACH (it, &dirty)
        log_lines_write(LIST_ENTRY(it, struct log_lines, dirty));
}

void
log_lines_open(struct log_lines *lines)
{
    text_init(&lines->text, NULL);
    lines->timer.on_time = lines_on_time;
}

void
log_lines_close(struct log_lines *lines)
{
    log_lines_write(lines);
    timer_forget(&lines->timer);
    text_free(&lines->text);
}

/* ---- names with variables ---- */

struct log_entry {
    struct list node;
    int fd; /* -1: not used often enough to stay open */
    uint32_t uses;
    uint64_t since_ms; /* of the first of these uses */
    uint64_t used_ms, checked_ms;
    dev_t dev;
    ino_t ino;
    size_t len;
    char path[]; /* with a NUL */
};

static int
path_open(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
}

static void
entry_drop(struct log_cache *c, struct log_entry *e)
{
    list_del(&e->node);
    hash_del(&c->by_path, str_n(e->path, e->len));
    fd_close(&e->fd);
    free(e);
    c->count--;
}

void
log_cache_open(struct log_cache *c)
{
    list_init(&c->entries);
    hash_init(&c->by_path, NULL);
    c->count = 0;
}

void
log_cache_close(struct log_cache *c)
{
    log_cache_clear(c);
    hash_free(&c->by_path);
}

void
log_cache_clear(struct log_cache *c)
{
    struct list *node;

    while ((node = list_first(&c->entries)) != NULL)
        entry_drop(c, LIST_ENTRY(node, struct log_entry, node));
}

/* Who has not been used for long goes; looked at when another one is. */
static void
cache_expire(struct log_cache *c)
{
    struct list *node;

    while ((node = list_first(&c->entries)) != NULL) {
        struct log_entry *e = LIST_ENTRY(node, struct log_entry, node);

        if (clock_ms - e->used_ms < c->inactive_ms)
            return;
        entry_drop(c, e);
    }
}

/* The entry of a path, as the one used last. NULL: memory. */
static struct log_entry *
cache_get(struct log_cache *c, struct str path)
{
    struct log_entry *e;

    cache_expire(c);
    e = hash_get(&c->by_path, path);
    if (e == NULL) {
        if (c->count >= c->max)
            entry_drop(c, LIST_ENTRY(list_first(&c->entries), struct log_entry, node));
        e = malloc(sizeof(*e) + path.len + 1);
        if (e == NULL)
            return NULL;
        *e = (struct log_entry){ .fd = -1, .since_ms = clock_ms, .len = path.len };
        memcpy(e->path, path.ptr, path.len);
        e->path[path.len] = '\0';
        if (!hash_set(&c->by_path, str_n(e->path, e->len), e)) {
            free(e);
            return NULL;
        }
        c->count++;
    } else {
        list_del(&e->node);
        if (e->fd == -1 && clock_ms - e->since_ms >= c->inactive_ms) {
            e->uses = 0;
            e->since_ms = clock_ms;
        }
    }
    list_add_tail(&c->entries, &e->node);
    e->used_ms = clock_ms;
    e->uses++;
    return e;
}

/* Whether the name still means the open file. */
static bool
entry_is_valid(const struct log_cache *c, struct log_entry *e)
{
    struct stat st;

    if (clock_ms - e->checked_ms < c->valid_ms)
        return true;
    e->checked_ms = clock_ms;
    return stat(e->path, &st) == 0 && st.st_dev == e->dev && st.st_ino == e->ino;
}

static int
entry_open(const struct log_cache *c, struct log_entry *e)
{
    struct stat st;

    if (e->fd != -1 && entry_is_valid(c, e))
        return e->fd;
    fd_close(&e->fd);
    e->fd = path_open(e->path);
    if (e->fd == -1 || fstat(e->fd, &st) != 0)
        return e->fd;
    e->dev = st.st_dev;
    e->ino = st.st_ino;
    e->checked_ms = clock_ms;
    return e->fd;
}

static void
write_line(int fd, struct str path, struct str line)
{
    size_t left = line.len;
    int error;

    if (fd == -1) {
        log_crit(errno, "open() \"%.*s\" failed", STR(path));
        return;
    }
    error = write_all(fd, line.ptr, &left);
    if (error != 0)
        log_alert(error, "write() to \"%.*s\" failed", STR(path));
}

void
log_path_write(struct log_cache *c, struct str path, struct str line)
{
    struct log_entry *e = c != NULL ? cache_get(c, path) : NULL;
    int fd = -1;

    if (e != NULL) {
        write_line(entry_open(c, e), path, line);
        if (e->uses < c->min_uses)
            fd_close(&e->fd);
        return;
    }
    fd = path_open(path.ptr);
    write_line(fd, path, line);
    fd_close(&fd);
}
