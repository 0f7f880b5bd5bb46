/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spool.h - one writer, many cursors; memory, then a file, both bounded. ARCHITECTURE.md 10.
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
 * In mem's lifetime (a reference is held until spool_free and the last cursor's stop). mem_max bytes in pooled buffers,
 * then a file of up to file_max bytes in `dir` (0 or NULL: never a file). NULL: memory.
 */
struct spool *spool_new(struct xmem *mem, enum spool_mode mode, uint64_t mem_max, uint64_t file_max,
                        const struct temp_path *dir);
/* Called from the ready list after spool_room has said 0: ask again. */
void spool_on_space(struct spool *s, void (*on_space)(void *data), void *data);
/* Demand of client_body_in_file_only: all bytes are in a file with a name once it is COMPLETE; keep: the file stays,
 * else it goes with the spool. */
void spool_in_file_only(struct spool *s, bool keep);

/*
 * Room to read into: iovecs used. It holds until the next call of any function of this spool or its cursors. 0: full,
 * on_space will be called. `hint`: bytes expected (0: unknown). The room of a FAILED spool (memory was out, or it could
 * keep no more) leads nowhere: a writer that looks at spool_ended can end, one that does not is not held up.
 */
int spool_room(struct spool *s, struct iovec iov[], int n, size_t hint);
/* What was read into room; wakes cursors. 0 gives unused room back. */
void spool_commit(struct spool *s, size_t bytes);
/* Copies bytes in, beyond mem_max if need be (bounded by the caller). False: it has failed. */
bool spool_append(struct spool *s, struct str bytes);
/* In place (rest of a head, one lent piece at most and first); its owner lives longer. */
void spool_lend(struct spool *s, struct str bytes);
/* COMPLETE, FAILED: cursors then say END, FAILED behind their last byte. Only the first call counts. */
void spool_seal(struct spool *s, enum spool_end how);
enum spool_end spool_ended(const struct spool *s);
uint64_t spool_size(const struct spool *s); /* bytes written so far */
bool spool_is_empty(const struct spool *s); /* nothing waits for the (CONSUME) cursor */
/* A cursor: a source like any other, until spool_free. NULL: memory, or bytes from there on are gone. */
struct source *spool_open(struct spool *s, struct exchange *x, uint64_t from);
/* Gives the complete KEEP spool's file the name `path` (NUL behind, lives as long), in place of what had it, with this mode
 * and time (seconds; -1: now); it is copied if it lies in another file system. False: errno. */
bool spool_keep_file(struct spool *s, struct str path, mode_t mode, int64_t mtime);
/* Of a file with a name, NUL behind; empty: in memory or unlinked. */
struct str spool_file_path(const struct spool *s);
int spool_fd(const struct spool *s); /* -1: no file */
/* The whole content of a complete KEEP spool when it lies in memory, copied together if it is not in one piece; ptr
 * NULL: it is in a file. */
struct str spool_in_memory(struct spool *s);
/* The writer's end: seals FAILED if it is open. Memory goes when the last cursor has closed. NULL is harmless. */
void spool_free(struct spool *s);

#endif
