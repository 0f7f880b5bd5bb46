/* SPDX-License-Identifier: BSD-2-Clause */
/* file.h - whole files, directories, temporary names. */
#ifndef WEIR_SYS_FILE_H
#define WEIR_SYS_FILE_H

#include <sys/stat.h>

#include "common/base/arena.h"
#include "common/base/error.h"

/* The whole content, NUL behind it, from the arena. Fails above `max` bytes (EFBIG) or on a directory (EISDIR). */
bool file_read(struct arena *a, const char *path, size_t max, struct str *content,
               struct error *err);
/* What stat tells of a file's content; zeroed: there is no file. */
struct file_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
};
/* Follows symbolic links. False: there is no such file, or it cannot be looked at; *s is zeroed. */
bool file_stamp_of(const char *path, struct file_stamp *s);
bool file_stamp_is_same(const struct file_stamp *a, const struct file_stamp *b);
/* Writes beside the target, syncs, renames. */
bool file_write_atomic(const char *path, struct str content, mode_t mode, struct error *err);
/* An unlinked temporary file in `dir` (O_TMPFILE, else created and unlinked), CLOEXEC; -1 with errno. */
int file_temp(const char *dir);
/* Creates the directory if it is missing (not its parents), owner as given unless uid is (uid_t)-1. */
bool file_make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid, struct error *err);

/* The directories above `path` that are missing, with this mode whatever the umask says. 0, or an errno. */
int file_make_parents(const char *path, mode_t mode);
/* Directories for files of this mode: may be searched where they may be read. */
static inline mode_t
file_dir_mode(mode_t mode)
{
    return mode | ((mode & 0444) >> 2);
}

#endif
