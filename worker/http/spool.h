/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.h - one writer, many cursors; memory, then a file, both bounded. REQUEST_PATH.md 4.
 *
 * The request body, response buffering, proxy_store, cache fill, and replay for mirrors and retries are this object.
 */
#ifndef WEIR_HTTP_SPOOL_H
#define WEIR_HTTP_SPOOL_H

#include <sys/uio.h>

#include "worker/core/exchange.h"

enum spool_mode {
    SPOOL_CONSUME, /* one cursor; memory goes back as it is read */
    SPOOL_KEEP,    /* everything stays until the last cursor closes: request bodies, cache fills */
};
enum spool_end { SPOOL_OPEN, SPOOL_COMPLETE, SPOOL_FAILED };

struct spool;
/* Where temporary files go: `proxy_temp_path` and its like. */
struct temp_path {
    struct str path; /* absolute, ends with NUL */
    uint32_t
        levels[3]; /* directory levels; 0: none. Unlinked files need none; kept ones use them */
};

/*
 * In mem's lifetime (a reference is held until spool_free). mem_max bytes in pooled buffers, then a file of up to
 * file_max bytes in `dir` (0 or NULL: never a file). `on_space` is called from the ready list when room came back.
 */
struct spool *spool_new(struct xmem *mem, enum spool_mode mode, uint64_t mem_max, uint64_t file_max,
                        const struct temp_path *dir);
void spool_on_space(struct spool *s, void (*on_space)(void *data), void *data);
/* Demands of the request body's directives: all bytes in a file that stays (in_file_only); one buffer in the end. */
void spool_in_file_only(struct spool *s, bool keep);

/* Room to read into: iovecs used; 0: full, on_space will be called. `hint`: bytes expected (0: unknown). */
int spool_room(struct spool *s, struct iovec iov[], int n, size_t hint);
/* What was read into room; wakes cursors. */
void spool_commit(struct spool *s, size_t bytes);
/* Copies bytes in, beyond mem_max if need be (bounded by the caller). False: memory. */
bool spool_append(struct spool *s, struct str bytes);
/* In place (rest of a head, one lent piece at most and first); its owner lives longer. */
void spool_lend(struct spool *s, struct str bytes);
/* COMPLETE, FAILED: cursors then say END, FAILED. */
void spool_seal(struct spool *s, enum spool_end how);
enum spool_end spool_ended(const struct spool *s);
uint64_t spool_size(const struct spool *s); /* bytes written so far */
bool spool_is_empty(const struct spool *s); /* nothing waits for the (CONSUME) cursor */
/* A cursor: a source like any other. NULL: memory. */
struct source *spool_open(struct spool *s, struct exchange *x, uint64_t from);
/* Link or rename the (complete) file to `path`; before anything can be lost. False: errno. */
bool spool_keep_file(struct spool *s, struct str path);
struct str
spool_file_path(const struct spool *s); /* of a kept file; empty: in memory or unlinked */
int spool_fd(const struct spool *s);    /* -1: no file */
/* The whole content when it is complete and lies in memory in one piece (copied together if it is small); ptr NULL: it is in
 * a file. */
struct str spool_in_memory(struct spool *s);
/* The writer's end: seals FAILED if it is open. Memory goes when the last cursor has closed. */
void spool_free(struct spool *s);

#endif
