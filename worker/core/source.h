/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source.h - how bodies are pulled. Knows no HTTP: connections name piece kinds, exchanges end sources.
 *
 * The contract has three rules that need thought and are the same everywhere: return what you have before you pull
 * your input again; end a finished child only at the next pull; and pass a WAIT on only from the pull in which it came
 * (what is held back is given with MORE: the call that follows a WAIT may have come meanwhile).
 */
#ifndef WEIR_CORE_SOURCE_H
#define WEIR_CORE_SOURCE_H

#include "build/config.h"

#include "common/base/str.h"

struct exchange;

enum { BATCH_PIECES = 8 };
enum piece_kind { PIECE_MEM = 1, PIECE_FILE = 2, PIECE_PIPE = 4 }; /* bits: also used as a set */

/* A run of bytes on its way out. Borrowed from the source that returned it. */
struct piece {
    enum piece_kind kind;
    int fd;          /* FILE: descriptor; PIPE: read end of a pipe that holds `len` bytes */
    const char *mem; /* MEM */
    uint64_t at;     /* FILE: offset */
    uint64_t len;    /* never 0 */
};

/* One pull: what the consumer can take, and what it got. Lives with the consumer, which sends from it over several
 * turns if need be. */
struct batch {
    uint64_t
        want; /* bytes wanted now (window, rate, fairness), > 0; the last piece may exceed it, the consumer keeps
                     * the rest */
    uint8_t kinds; /* piece kinds the consumer can send; MEM is always in it */
    bool flush;    /* out: all bytes up to here are to reach the client without waiting for more */
    uint8_t n;     /* out: pieces; a source appends and touches only what it appended */
    char *
        room; /* bytes that a source *makes* (file read, deflate, charset) go here, during the call only: reads
                     * handed to the thread pool use the source's own buffer. NULL: a pooled buffer of its own */
    uint32_t
        room_len; /* a source that uses room moves both on and returns a MEM piece that points into it */
    struct piece piece[BATCH_PIECES];
};

enum pull {            /* what follows the bytes of this batch (which may be none) */
            PULL_MORE, /* pull again when these are gone; brought bytes or a flush */
            PULL_WAIT, /* no more for now: the source will call exchange_ready(); once too often is harmless */
            PULL_END,    /* the body is complete */
            PULL_FAILED, /* it never will be: the codec ends the response so that the client sees it (RFC 9112, 8; 9113, 8.1) */
};
enum stop { STOP_DONE, STOP_CLIENT_GONE, STOP_REPLACED, STOP_FAILED };

struct source;
struct source_ops {
    /* Never blocks, never calls the consumer. Bytes stay valid until the next pull or stop of the same source: to
     * pull again says that everything before has been sent or copied. */
    enum pull (*pull)(struct source *s, struct batch *b);
    /* Exactly once, also after END and FAILED. Stops what is below, gives buffers, pins and descriptors back. */
    void (*stop)(struct source *s, enum stop why);
};
struct source {
    const struct source_ops *ops;
    struct source *below; /* what a filter wraps; NULL for a producer */
    struct exchange *x;   /* whom to make ready */
    /* Gives bytes [at, at + len) of the body next, and then END: for ranges. Between pulls, also after END. False: it
     * cannot, and nothing has changed. NULL: bytes come once and forward. */
    bool (*seek)(struct source *s, uint64_t at, uint64_t len);
};

static inline enum pull
source_pull(struct source *s, struct batch *b)
{
    return s->ops->pull(s, b);
}
/* NULL is harmless. */
static inline void
source_stop(struct source *s, enum stop why)
{
    if (s != NULL)
        s->ops->stop(s, why);
}
/* Prepares a batch for a pull: no pieces, no room. */
static inline void
batch_init(struct batch *b, uint64_t want, uint8_t kinds)
{
    b->want = want;
    b->kinds = kinds;
    b->flush = false;
    b->n = 0;
    b->room = NULL;
    b->room_len = 0;
}
/* Appends pieces; the caller has made sure that n < BATCH_PIECES and len > 0. */
static inline void
batch_mem(struct batch *b, const char *mem, uint64_t len)
{
    b->piece[b->n++] = (struct piece){ .kind = PIECE_MEM, .fd = -1, .mem = mem, .len = len };
}
static inline void
batch_file(struct batch *b, int fd, uint64_t at, uint64_t len)
{
    b->piece[b->n++] = (struct piece){ .kind = PIECE_FILE, .fd = fd, .at = at, .len = len };
}

/*
 * Sanitizer builds put a checker between all wrappers (source_check.c): it poisons bytes after the next pull, returns
 * WAIT and single bytes at random, asserts that MORE brings something and that stop comes exactly once.
 */
#ifdef WEIR_CHECKER
struct source *source_checked(struct source *s);
/* What stands behind a checker, which has given all that it holds: for who changes the source itself (body_seek). */
struct source *source_unchecked(struct source *s);
#else
#define source_checked(s)   (s)
#define source_unchecked(s) (s)
#endif

#endif
