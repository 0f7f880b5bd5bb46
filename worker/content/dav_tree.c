/* SPDX-License-Identifier: BSD-2-Clause */
/* dav_tree.c - removes and copies files and directories; see dav_tree.h. */
#include "worker/content/dav_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_BYTES = 64 * 1024 };

static bool
is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* ---- removal ---- */

static int remove_at(int dir, const char *name, unsigned depth);

static int
remove_members(int fd, unsigned depth)
{
    DIR *d = fdopendir(fd);
    struct dirent *e;
    int error = 0, first = 0;

    if (d == NULL) {
        error = errno;
        close(fd);
        return error;
    }
    while (errno = 0, (e = readdir(d)) != NULL) {
        if (is_dots(e->d_name))
            continue;
        error = remove_at(dirfd(d), e->d_name, depth);
        if (first == 0 && error != ENOENT)
            first = error;
    }
    if (first == 0)
        first = errno;
    closedir(d);
    return first;
}

static int
remove_at(int dir, const char *name, unsigned depth)
{
    struct stat st;
    int fd, error;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dir, name, 0) == 0 ? 0 : errno;
    if (depth == 0)
        return ELOOP;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd == -1)
        return errno;
    error = remove_members(fd, depth - 1);
    if (error != 0)
        return error;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

int
dav_remove(const char *path)
{
    return remove_at(AT_FDCWD, path, DAV_DEPTH_MAX);
}

/* ---- copies ---- */

static int copy_at(int from, const char *name, int to, const char *new_name, bool follow,
                   bool members, unsigned depth);

static int
write_all(int fd, const char *at, size_t left)
{
    while (left > 0) {
        ssize_t n = write(fd, at, left);

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    return 0;
}

static int
copy_bytes(int from, int to)
{
    char buffer[COPY_BYTES];
    ssize_t n;

    /* in the kernel, where the file system can share the blocks */
    while ((n = copy_file_range(from, NULL, to, NULL, 1U << 30, 0)) > 0)
        ;
    if (n == 0)
        return 0;
    for (;;) { /* it goes on where that stopped */
        int error;

        n = read(from, buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? 0 : errno;
        error = write_all(to, buffer, (size_t)n);
        if (error != 0)
            return error;
    }
}

static void
copy_times(int fd, const struct stat *st)
{
    struct timespec times[2] = { st->st_atim, st->st_mtim };

    (void)futimens(fd, times);
}

static int
copy_file(int fd, const struct stat *st, int to, const char *new_name)
{
    int out = openat(to, new_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                     st->st_mode & 0777);
    int error;

    if (out == -1)
        return errno;
    error = copy_bytes(fd, out);
    copy_times(out, st);
    if (close(out) != 0 && error == 0)
        error = errno;
    return error;
}

static int
copy_members(int from, int to, unsigned depth)
{
    DIR *d = fdopendir(from);
    struct dirent *e;
    int error = 0;

    if (d == NULL) {
        error = errno;
        close(from);
        return error;
    }
    while (error == 0 && (errno = 0, (e = readdir(d)) != NULL)) {
        if (!is_dots(e->d_name))
            error = copy_at(dirfd(d), e->d_name, to, e->d_name, false, true, depth);
    }
    if (error == 0)
        error = errno;
    closedir(d);
    return error;
}

/* Takes fd. */
static int
copy_dir(int fd, const struct stat *st, int to, const char *new_name, bool members, unsigned depth)
{
    int out = -1, error = 0;

    /* writable for us until it is filled */
    if (depth == 0)
        error = ELOOP;
    else if (mkdirat(to, new_name, (st->st_mode & 0777) | 0700) != 0 ||
             (out = openat(to, new_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
        error = errno;
    if (error != 0 || !members)
        close(fd);
    else
        error = copy_members(fd, out, depth - 1);
    if (out != -1) {
        copy_times(out, st);
        close(out);
    }
    return error;
}

static int
copy_link(int from, const char *name, int to, const char *new_name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

    if (n < 0)
        return errno;
    target[n] = '\0';
    return symlinkat(target, to, new_name) == 0 ? 0 : errno;
}

static int
copy_at(int from, const char *name, int to, const char *new_name, bool follow, bool members,
        unsigned depth)
{
    struct stat st;
    int fd, error;

    if (fstatat(from, name, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    if (S_ISLNK(st.st_mode))
        return copy_link(from, name, to, new_name);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return 0; /* sockets, pipes and devices stay where they are */
    fd = openat(from, name,
                O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (follow ? 0 : O_NOFOLLOW));
    if (fd == -1 || fstat(fd, &st) != 0) {
        error = errno;
        if (fd != -1)
            close(fd);
        return error;
    }
    if (S_ISDIR(st.st_mode))
        return copy_dir(fd, &st, to, new_name, members, depth);
    error = copy_file(fd, &st, to, new_name);
    close(fd);
    return error;
}

int
dav_copy(const char *from, const char *to, bool members)
{
    int error = copy_at(AT_FDCWD, from, AT_FDCWD, to, true, members, DAV_DEPTH_MAX);

    if (error != 0 && error != EEXIST)
        (void)dav_remove(to);
    return error;
}

/* ---- into place ---- */

int
dav_replace(const char *from, const char *to, const char *aside)
{
    struct stat st;

    if (lstat(to, &st) != 0 || !S_ISDIR(st.st_mode))
        return rename(from, to) == 0 ? 0 : errno;
    /* At any moment there is one of the two under the name, where the file system can exchange them. */
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0)
        return dav_remove(from);
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (rename(to, aside) != 0)
        return errno;
    if (rename(from, to) != 0) {
        int error = errno;

        (void)rename(aside, to);
        return error;
    }
    return dav_remove(aside);
}
