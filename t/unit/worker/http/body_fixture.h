/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * body_fixture.h - for tests of bodies: simulated exchanges, a source that gives its bytes in random pieces, and a
 * consumer that looks at all bytes twice, when they come and when they are given back.
 *
 * Random choices come from a sequence of the test's own, so that a failure comes again.
 */
#ifndef WEIR_TEST_BODY_FIXTURE_H
#define WEIR_TEST_BODY_FIXTURE_H

#include <fcntl.h>
#include <sys/stat.h>

#include "common/base/num.h"
#include "common/event/loop.h"
#include "common/log/log_conf.h"
#include "worker/http/http_conf.h"

/* ---- choices ---- */

static uint64_t choice_state;

static UNUSED void
choices_begin(uint64_t seed)
{
    choice_state = seed * 0x9e3779b97f4a7c15u + 1;
}

/* 0 .. n-1 */
static UNUSED uint64_t
choice(uint64_t n)
{
    choice_state ^= choice_state << 13;
    choice_state ^= choice_state >> 7;
    choice_state ^= choice_state << 17;
    return (choice_state >> 11) % n;
}

static UNUSED bool
one_in(uint64_t n)
{
    return choice(n) == 0;
}

/* ---- bytes ---- */

/* The byte at an offset of the one body that all tests use: no short period. */
static inline char
byte_at(uint64_t at)
{
    return (char)(at * 131 + (at >> 8) * 31 + (at >> 16) * 7);
}

static UNUSED char *
bytes_new(uint64_t from, size_t n)
{
    char *bytes = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(from + i);
    bytes[n] = '\0';
    return bytes;
}

static UNUSED bool
bytes_right(const char *bytes, uint64_t from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != byte_at(from + i))
            return false;
    return true;
}

/* ---- the loop and the log ---- */

static UNUSED void
body_loop(void)
{
    static bool made;
    struct error err;

    if (!made && !loop_init(&err))
        exit(1);
    made = true;
    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
}

static UNUSED void
settle(void)
{
    for (int i = 0; i < 4; i++)
        loop_turn(0);
}

/* Turns of the loop until `done`, about ten seconds at most. */
#define UNTIL(done)                                       \
    for (int turn_ = 0; turn_ < 1000 && !(done); turn_++) \
    loop_turn(10)

/* ---- exchanges ---- */

static UNUSED void
sim_stop(struct exchange *x, enum stop why)
{
    struct request *r = request_of(x);

    source_stop(r->res.body, why);
    r->res.body = NULL;
}

static const struct exchange_kind sim_kind = { .stop = sim_stop };
static const struct sink_ops sim_sink;

/* A scope with nothing but http_core's settings. */
static struct http_conf sim_conf;
static UNUSED struct scope *
sim_scope(void)
{
    static struct scope s;
    static void *conf[1];

    http_core_module.index = 0;
    conf[0] = &sim_conf;
    s.conf = conf;
    return &s;
}

/* A root, or a child in its parent's memory. */
static UNUSED struct request *
sim_request(struct request *parent)
{
    struct xmem *m = parent == NULL ? xmem_get() : parent->x.mem;
    struct request *r = ARENA_NEW(&m->arena, struct request);

    exchange_init(&r->x, &sim_kind, parent != NULL ? &parent->x : NULL, false, m, NULL, &sim_sink,
                  NULL);
    r->x.scope = NULL;
    response_init(&r->res, &m->arena);
    return r;
}

static UNUSED void
sim_end(struct request *r)
{
    exchange_abort(&r->x, STOP_DONE);
    settle();
}

/* ---- a source in random pieces ---- */

struct pieces {
    struct source s;
    uint64_t at, end;
    enum pull last;            /* END or FAILED */
    char *given[BATCH_PIECES]; /* freed at the next pull, so that a late look is found */
    unsigned n_given;
    bool waits, over, stopped;
    struct task ready;
};

static unsigned pieces_alive;

static UNUSED void
pieces_drop(struct pieces *p)
{
    for (unsigned i = 0; i < p->n_given; i++)
        free(p->given[i]);
    p->n_given = 0;
}

static UNUSED void
pieces_ready(struct task *t)
{
    struct pieces *p = CONTAINER_OF(t, struct pieces, ready);

    p->waits = false;
    exchange_ready(p->s.x);
}

static UNUSED enum pull
pieces_pull(struct source *s, struct batch *b)
{
    struct pieces *p = CONTAINER_OF(s, struct pieces, s);
    unsigned n = (unsigned)choice(BATCH_PIECES - b->n + 1);
    uint64_t sizes[] = { 1, 7, 100, 5000 };

    ASSERT(!p->over && !p->stopped && b->n < BATCH_PIECES);
    pieces_drop(p);
    if (p->waits)
        return PULL_WAIT;
    for (unsigned i = 0; i < n && p->at < p->end; i++) {
        size_t len = (size_t)num_min(1 + choice(sizes[choice(4)]), p->end - p->at);

        p->given[p->n_given] = bytes_new(p->at, len);
        if (b->room != NULL && b->room_len >= len && one_in(3)) {
            memcpy(b->room, p->given[p->n_given], len);
            free(p->given[p->n_given]);
            batch_mem(b, b->room, len);
            b->room += len;
            b->room_len -= (uint32_t)len;
        } else {
            batch_mem(b, p->given[p->n_given++], len);
        }
        p->at += len;
    }
    if (p->at == p->end && one_in(2)) {
        p->over = true;
        return p->last;
    }
    if (b->n == 0 || one_in(4)) {
        p->waits = true;
        task_ready(&p->ready);
        return PULL_WAIT;
    }
    b->flush = one_in(5);
    return PULL_MORE;
}

static UNUSED void
pieces_stop(struct source *s, enum stop why UNUSED)
{
    struct pieces *p = CONTAINER_OF(s, struct pieces, s);

    ASSERT(!p->stopped);
    p->stopped = true;
    pieces_drop(p);
    task_cancel(&p->ready);
    pieces_alive--;
}

static const struct source_ops pieces_ops = { pieces_pull, pieces_stop };

/* Bytes [from, from + len), then `last`. */
static UNUSED struct source *
pieces_new(struct exchange *x, uint64_t from, uint64_t len, enum pull last)
{
    struct pieces *p = ARENA_NEW(&x->mem->arena, struct pieces);

    p->s = (struct source){ .ops = &pieces_ops, .x = x };
    p->at = from;
    p->end = from + len;
    p->last = last;
    p->ready.run = pieces_ready;
    pieces_alive++;
    return &p->s;
}

/* ---- a consumer ---- */

struct taker {
    struct source *s;
    struct batch b;
    uint64_t held_at[BATCH_PIECES]; /* offset in the body of each piece of b */
    char *room;
    uint64_t at;   /* bytes taken so far */
    uint8_t kinds; /* that it may ask for */
    enum pull last;
    bool wrong;
    /* Where bytes lie that are no part of the one body; NULL: it is all of it, from `from` on. */
    const char *text;
    uint64_t from;
    size_t text_len;
};

static UNUSED bool
taker_right(const struct taker *t, const char *bytes, uint64_t at, size_t n)
{
    if (t->text == NULL)
        return bytes_right(bytes, t->from + at, n);
    return at + n <= t->text_len && memcmp(bytes, t->text + at, n) == 0;
}

static UNUSED bool
piece_right(const struct taker *t, const struct piece *p, uint64_t at)
{
    char bytes[4096];

    if (p->kind == PIECE_MEM)
        return taker_right(t, p->mem, at, p->len);
    for (uint64_t done = 0; done < p->len;) {
        size_t want = (size_t)num_min(sizeof(bytes), p->len - done);

        if (pread(p->fd, bytes, want, (off_t)(p->at + done)) != (ssize_t)want ||
            !taker_right(t, bytes, at + done, want))
            return false;
        done += want;
    }
    return true;
}

static UNUSED void
taker_look(struct taker *t)
{
    for (uint8_t i = 0; i < t->b.n; i++) {
        if (piece_right(t, &t->b.piece[i], t->held_at[i]))
            continue;
        if (!t->wrong)
            printf("# piece %u of kind %d at %llu, %llu bytes, is wrong\n", i,
                   (int)t->b.piece[i].kind, (unsigned long long)t->held_at[i],
                   (unsigned long long)t->b.piece[i].len);
        t->wrong = true;
    }
}

/* Looks once more at what is held, lets go of it, and pulls. */
static UNUSED enum pull
taker_pull(struct taker *t)
{
    uint64_t wants[] = { 1, 1000, 16384, 100000 };

    taker_look(t);
    free(t->room);
    t->room = NULL;
    batch_init(&t->b, 1 + choice(wants[choice(4)]),
               one_in(2) ? PIECE_MEM : (uint8_t)(t->kinds | PIECE_MEM));
    if (one_in(2)) {
        t->b.room_len = (uint32_t)(1 + choice(one_in(2) ? 100 : 20000));
        t->b.room = t->room = malloc(t->b.room_len);
    }
    t->last = source_pull(t->s, &t->b);
    for (uint8_t i = 0; i < t->b.n; i++) {
        ASSERT(t->b.piece[i].len > 0 && (t->b.piece[i].kind & (t->kinds | PIECE_MEM)));
        t->held_at[i] = t->at;
        t->at += t->b.piece[i].len;
    }
    ASSERT(t->last != PULL_MORE || t->b.n > 0 || t->b.flush);
    taker_look(t);
    return t->last;
}

static UNUSED bool
taker_is_over(const struct taker *t)
{
    return t->last == PULL_END || t->last == PULL_FAILED;
}

static UNUSED void
taker_stop(struct taker *t, enum stop why)
{
    taker_look(t);
    source_stop(t->s, why);
    free(t->room);
    t->room = NULL;
    t->s = NULL;
}

/* Pulls until the end, with turns of the loop where it says WAIT. False: it did not come. */
static UNUSED bool
taker_take_all(struct taker *t)
{
    for (int i = 0; i < 1000000; i++) {
        switch (taker_pull(t)) {
        case PULL_END:
        case PULL_FAILED:
            return true;
        case PULL_WAIT:
            loop_turn(0);
            break;
        case PULL_MORE:
            break;
        }
    }
    return false;
}

#endif
