/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * source_check.c - the checker that stands between all body sources in sanitizer builds (ARCHITECTURE.md 10).
 *
 * It copies what it pulls into memory of its own and frees that at the next pull, so that a consumer which keeps bytes
 * too long is caught by the sanitizer. It says WAIT and gives single bytes at random, and asserts the contract.
 */
#include "worker/core/source.h"

#ifdef WEIR_CHECKER

#include <stdlib.h>

#include "common/base/num.h"
#include "common/base/panic.h"
#include "common/base/rand.h"
#include "worker/core/exchange.h"

enum { CHECK_WAIT_ONE_IN = 8, CHECK_BYTE_ONE_IN = 8, CHECK_SMALL_MAX = 64, CHECK_ROOM = 512 };

/* A piece that was pulled: its own copy of the bytes, or a file or pipe as it came. */
struct held {
    struct piece piece;
    char *copy; /* NULL: not MEM */
};

struct checker {
    struct source s;
    struct held held[BATCH_PIECES];
    unsigned n, at;   /* pieces held, the first that is not given yet */
    char *given;      /* what the last pull returned; freed at the next one */
    enum pull result; /* of the source below, for when all is given */
    bool flush;       /* the same */
    bool ended, stopped;
    bool pulling;
};

static void
checker_drop(struct checker *c)
{
    for (unsigned i = c->at; i < c->n; i++)
        free(c->held[i].copy);
    c->n = c->at = 0;
    free(c->given);
    c->given = NULL;
}

/* Takes over what the batch brought; bytes are copied, since the next pull may come at once. */
static void
checker_keep(struct checker *c, const struct batch *b)
{
    c->n = c->at = 0;
    for (unsigned i = 0; i < b->n; i++) {
        struct held *h = &c->held[c->n++];

        ASSERT(b->piece[i].len > 0);
        h->piece = b->piece[i];
        h->copy = NULL;
        if (h->piece.kind != PIECE_MEM) {
            ASSERT((h->piece.kind & b->kinds) != 0);
            continue;
        }
        h->copy = malloc(h->piece.len);
        ASSERT(h->copy != NULL);
        memcpy(h->copy, h->piece.mem, h->piece.len);
        h->piece.mem = h->copy;
    }
}

static void
checker_fill(struct checker *c, const struct batch *outer)
{
    struct source *below = c->s.below;
    char room[CHECK_ROOM];
    struct batch b;

    batch_init(&b, outer->want, outer->kinds);
    if (rand_below(2) == 0)
        b.want = 1 + rand_below(CHECK_SMALL_MAX);
    if (rand_below(2) == 0) {
        b.room = room;
        b.room_len = 1 + rand_below(sizeof(room));
    }
    c->result = source_pull(below, &b);
    ASSERT(b.n <= BATCH_PIECES);
    /* MORE without bytes or a flush would make its consumer spin. */
    ASSERT(c->result != PULL_MORE || b.n > 0 || b.flush);
    c->flush = b.flush;
    checker_keep(c, &b);
}

/* Gives the first held piece, or one byte of it. */
static void
checker_give(struct checker *c, struct batch *b)
{
    struct held *h = &c->held[c->at];
    uint64_t len = h->piece.len;

    if (h->copy == NULL) {
        b->piece[b->n++] = h->piece;
        c->at++;
        return;
    }
    if (rand_below(CHECK_BYTE_ONE_IN) == 0)
        len = 1;
    len = num_min(len, UINT32_MAX);
    c->given = malloc(len);
    ASSERT(c->given != NULL);
    memcpy(c->given, h->piece.mem, len);
    batch_mem(b, c->given, len);
    h->piece.mem += len;
    h->piece.len -= len;
    if (h->piece.len == 0) {
        free(h->copy);
        c->at++;
    }
}

/* exchange_ready wakes who pulls a response. A request body is pulled by others, who are called back by its codec. */
static bool
may_wait(const struct checker *c)
{
    return c->s.x != NULL && c->s.x->responding;
}

static enum pull
checker_pull(struct source *s, struct batch *b)
{
    struct checker *c = CONTAINER_OF(s, struct checker, s);
    bool held = c->at < c->n;

    ASSERT(!c->stopped && !c->ended && !c->pulling);
    ASSERT(b->want > 0 && (b->kinds & PIECE_MEM) != 0 && b->n < BATCH_PIECES);
    c->pulling = true;
    free(c->given);
    c->given = NULL;
    if (!held && may_wait(c) && rand_below(CHECK_WAIT_ONE_IN) == 0) {
        exchange_ready(s->x);
        c->pulling = false;
        return PULL_WAIT;
    }
    if (!held)
        checker_fill(c, b);
    if (c->at < c->n)
        checker_give(c, b);
    c->pulling = false;
    /* what was a WAIT some pulls ago may have been followed by a call already */
    if (c->at < c->n)
        return PULL_MORE;
    b->flush = b->flush || c->flush;
    if (held && c->result == PULL_WAIT)
        return PULL_MORE;
    c->ended = c->result == PULL_END || c->result == PULL_FAILED;
    return c->result;
}

static void
checker_stop(struct source *s, enum stop why)
{
    struct checker *c = CONTAINER_OF(s, struct checker, s);

    ASSERT(!c->stopped && !c->pulling);
    c->stopped = true;
    checker_drop(c);
    source_stop(s->below, why);
    loop_defer_free(free, c);
}

static const struct source_ops checker_ops = { .pull = checker_pull, .stop = checker_stop };

struct source *
source_checked(struct source *s)
{
    struct checker *c = calloc(1, sizeof(*c));

    if (c == NULL || s == NULL) {
        free(c);
        return s;
    }
    c->s = (struct source){ .ops = &checker_ops, .below = s, .x = s->x };
    return &c->s;
}

struct source *
source_unchecked(struct source *s)
{
    struct checker *c;

    if (s->ops != &checker_ops)
        return s;
    c = CONTAINER_OF(s, struct checker, s);
    ASSERT(!c->stopped && !c->pulling && c->at == c->n);
    c->ended = false;
    return source_unchecked(c->s.below);
}

#endif
