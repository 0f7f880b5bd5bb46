/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * open_file.h - open files, small bodies and hot ones, cached in the worker (open_file_cache). A small static file is one
 * receive and one send.
 */
#ifndef WEIR_HTTP_OPEN_FILE_H
#define WEIR_HTTP_OPEN_FILE_H

#include <sys/stat.h>

#include "common/base/arena.h"

struct conf_load;
struct open_file {
    uint32_t refs;
    int fd;    /* -1: a directory, or only asked about */
    int error; /* errno of the failed open or stat; 0 */
    bool is_dir, is_file, is_exec;
    bool direct; /* fd has O_DIRECT: reads are to be aligned */
    uint64_t size;
    int64_t mtime; /* seconds, and the rest: */
    uint32_t mtime_nsec;
    uint64_t inode, dev;
    const char *body; /* the whole content in worker memory, or NULL; valid while referenced */
    bool
        is_hot; /* `body` is a large one: where the descriptor itself can be sent, that costs less */
    /* The cache's: */
    uint64_t checked_ms; /* clock_ms of the last look at the file system */
    uint32_t copied; /* how often the content was read out of the file, as far as it was counted */
    char *own_body;  /* what `body` points to, freed with the last reference */
};
/* What a scope says; open_file_cache off: every call opens and the last reference closes. */
struct open_file_options {
    struct open_file_cache *cache; /* NULL: off */
    uint64_t valid_ms;
    uint32_t min_uses; /* calls from which on a descriptor (and body) stays open between them */
    bool errors;       /* remember failures too */
    uint8_t symlinks;  /* disable_symlinks: 0 off, 1 on, 2 if_not_owner */
    struct str symlinks_from; /* what a path begins with that is not checked */
    bool want_body;           /* small contents are worth keeping in memory */
    uint64_t directio;        /* bytes from which O_DIRECT is used; UINT64_MAX: never */
};
/* Never NULL unless memory is out; look at error. `path` is absolute. stat_only: no descriptor is needed. */
struct open_file *open_file_get(struct str path, const struct open_file_options *o, bool stat_only);
struct open_file *open_file_ref(struct open_file *f);
void open_file_put(struct open_file *f); /* NULL is harmless */
/* The whole content is about to be read, for a consumer that cannot send descriptors unread. A file in the cache that this
 * happens to again gets a hot `body`: up to 1 MB, and up to 16 MB of all in a worker, if it need not wait for the disk. */
void open_file_copied(struct open_file *f);

/* At load: a cache of at most `max` entries, each forgotten when it was not asked for during `inactive_ms`. Every
 * worker fills its own. NULL: memory. */
struct open_file_cache *open_file_cache_new(struct arena *a, uint32_t max, uint64_t inactive_ms);
/* Forgets all entries. */
void open_file_cache_clear(struct open_file_cache *c);

#endif
