/* SPDX-License-Identifier: BSD-2-Clause */
/* file.c - reading and replacing whole files, temporary files, directories. */
#include "common/sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/sys/fd.h"

enum { READ_STEP = 16 * 1024 };

/* Appends the rest of the file; at most max + 1 bytes, so that the caller sees when it is too long. */
static bool
read_rest(int fd, size_t max, struct text *t)
{
    while (t->len <= max) {
        size_t want = t->cap - t->len > 1 ? t->cap - t->len - 1 : READ_STEP;
        char *to;
        ssize_t got;

        if (want > max - t->len + 1)
            want = max - t->len + 1;
        to = text_room(t, want);
        if (to == NULL) {
            errno = ENOMEM;
            return false;
        }
        got = read(fd, to, want);
        if (got == 0)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            t->len += (size_t)got;
    }
    errno = EFBIG;
    return false;
}

bool
file_read(struct arena *a, const char *path, size_t max, struct str *content, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    struct text t;

    if (fd < 0) {
        error_sys(err, "open() \"%s\" failed", path);
        return false;
    }
    text_init(&t, a);
    if (fstat(fd, &st) < 0) {
        error_sys(err, "fstat() \"%s\" failed", path);
        goto fail;
    }
    if (max > SIZE_MAX / 8)
        max = SIZE_MAX / 8;
    if (S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size <= max)
        text_room(&t, (size_t)st.st_size + 2); /* so that the end is found without growing */
    if (!read_rest(fd, max, &t)) {
        error_sys(err, "read() \"%s\" failed", path);
        goto fail;
    }
    text_char(&t, '\0');
    if (t.failed) {
        errno = ENOMEM;
        error_sys(err, "read() \"%s\" failed", path);
        goto fail;
    }
    *content = str_n(t.ptr, t.len - 1);
    fd_close(&fd);
    return true;

fail:
    fd_close(&fd);
    return false;
}

bool
file_stamp_of(const char *path, struct file_stamp *s)
{
    struct stat st;

    *s = (struct file_stamp){ 0 };
    if (stat(path, &st) != 0)
        return false;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->size = st.st_size;
    s->modified = st.st_mtim;
    s->changed = st.st_ctim;
    return true;
}

static bool
is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

/* The rename is to survive a crash too; a directory that cannot be synced is no error. */
static void
sync_directory(const char *path)
{
    char dir[PATH_MAX];
    struct str p = str_c(path);
    size_t slash = str_rfind(p, '/');
    int fd;

    if (slash == p.len)
        p = S(".");
    else
        p = str_upto(p, slash == 0 ? 1 : slash);
    if (!str_to_c(p, dir, sizeof(dir)))
        return;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd);
    fd_close(&fd);
}

bool
file_write_atomic(const char *path, struct str content, mode_t mode, struct error *err)
{
    char temp[PATH_MAX];
    int fd;

    if ((size_t)snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= sizeof(temp)) {
        errno = ENAMETOOLONG;
        error_sys(err, "open() \"%s\" failed", path);
        return false;
    }
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        error_sys(err, "open() \"%s\" failed", temp);
        return false;
    }
    if (!fd_write_all(fd, content.ptr, content.len) || fchmod(fd, mode) < 0 || fsync(fd) < 0) {
        error_sys(err, "write() to \"%s\" failed", temp);
        goto fail;
    }
    fd_close(&fd);
    if (rename(temp, path) < 0) {
        error_sys(err, "rename() \"%s\" to \"%s\" failed", temp, path);
        goto fail;
    }
    sync_directory(path);
    return true;

fail:
    fd_close(&fd);
    unlink(temp);
    return false;
}

int
file_temp(const char *dir)
{
    char name[PATH_MAX];
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    /* Old kernels and some file systems do not know O_TMPFILE, each with an error of its own. */
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    if ((size_t)snprintf(name, sizeof(name), "%s/weir.XXXXXX", dir) >= sizeof(name)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

bool
file_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct error *err)
{
    struct stat st;

    if (mkdir(path, mode) < 0 && errno != EEXIST) {
        error_sys(err, "mkdir() \"%s\" failed", path);
        return false;
    }
    if (stat(path, &st) < 0) {
        error_sys(err, "stat() \"%s\" failed", path);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        error_sys(err, "\"%s\" is not a directory", path);
        return false;
    }
    if (uid == (uid_t)-1)
        return true;
    if (st.st_uid != uid && chown(path, uid, gid) < 0) {
        error_sys(err, "chown(\"%s\", %u) failed", path, (unsigned)uid);
        return false;
    }
    if ((st.st_mode & S_IRWXU) != S_IRWXU && chmod(path, st.st_mode | S_IRWXU) < 0) {
        error_sys(err, "chmod() \"%s\" failed", path);
        return false;
    }
    return true;
}

int
file_make_parents(const char *path, mode_t mode)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part))
        return ENAMETOOLONG;
    memcpy(part, path, len + 1);
    for (char *slash = strchr(part + 1, '/'); slash != NULL && slash[1] != '\0';
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, mode) == 0) {
            if (chmod(part, mode) != 0)
                return errno;
        } else if (errno != EEXIST) {
            return errno;
        }
        *slash = '/';
    }
    return 0;
}
