/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - the turns of the event loop over epoll.
 */
#include "common/event/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/event/offload.h"
#include "common/event/timer.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"

enum {
    BATCH = 512, /* events taken with one wait */
    READY_PER_TURN =
        4096, /* ready tasks run before the loop looks at descriptors and timers again */
    FLUSH_PER_TURN = 4096,
};

#define EDGES (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* An event's data: the watch, and its stamp in the upper 16 bits, which no user address needs. */
#define WATCH_BITS 48
#define WATCH_MASK ((UINT64_C(1) << WATCH_BITS) - 1)

struct deferred {
    void (*free_fn)(void *);
    void *ptr;
};

static struct {
    int epoll_fd;
    bool running;
    bool in_turn;
    uint16_t stamp;      /* of the registration made last */
    unsigned ready_left; /* of READY_PER_TURN in this turn */
    struct list ready;   /* of struct task */
    struct list flush;   /* of struct task */
    struct list hooks;   /* of struct task */
    struct deferred *free_list;
    size_t free_n, free_cap;
} loop = {
    .epoll_fd = -1,
    .ready = LIST_INIT(loop.ready),
    .flush = LIST_INIT(loop.flush),
    .hooks = LIST_INIT(loop.hooks),
};

bool
loop_init(struct error *err)
{
    ASSERT(loop.epoll_fd == -1);
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll_fd < 0) {
        error_sys(err, "epoll_create() failed");
        return false;
    }
    clock_update();
    return true;
}

bool
loop_reset_after_fork(struct error *err)
{
    fd_close(&loop.epoll_fd); /* only our descriptor of it; what is registered stays the parent's */
    list_init(&loop.ready);
    list_init(&loop.flush);
    list_init(&loop.hooks);
    loop.free_n = 0;
    loop.running = loop.in_turn = false;
    timer_reset_after_fork();
    offload_reset_after_fork();
    return loop_init(err);
}

static void
free_deferred(void)
{
    for (size_t i = 0; i < loop.free_n; i++) { /* free_fn may add more */
        struct deferred d = loop.free_list[i];

        d.free_fn(d.ptr);
    }
    loop.free_n = 0;
}

void
loop_fini(void)
{
    free_deferred();
    free(loop.free_list);
    loop.free_list = NULL;
    loop.free_cap = 0;
    fd_close(&loop.epoll_fd);
}

static struct epoll_event
event_of(const struct watch *w, uint16_t stamp, uint32_t events)
{
    struct epoll_event e = { .events = events };

    e.data.u64 = (uint64_t)(uintptr_t)w | (uint64_t)stamp << WATCH_BITS;
    return e;
}

static bool
add(struct watch *w, int fd, uint32_t events)
{
    uint16_t stamp = ++loop.stamp;
    struct epoll_event e = event_of(w, stamp, events);

    if (epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        return false;
    w->fd = fd;
    w->stamp = stamp;
    w->added = true;
    return true;
}

bool
loop_add(struct watch *w, int fd)
{
    return add(w, fd, EDGES);
}

void
loop_again(struct watch *w)
{
    struct epoll_event e = event_of(w, w->stamp, EDGES);

    if (w->added)
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, w->fd, &e);
}

bool
loop_add_level(struct watch *w, int fd, bool exclusive)
{
    return add(w, fd, exclusive ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN);
}

void
loop_del(struct watch *w)
{
    if (!w->added)
        return;
    w->added = false;
    epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
}

void
loop_forget(struct watch *w)
{
    w->added = false;
}

void
task_ready(struct task *t)
{
    if (!list_linked(&t->node))
        list_add_tail(&loop.ready, &t->node);
}

void
task_flush(struct task *t)
{
    if (!list_linked(&t->node))
        list_add_tail(&loop.flush, &t->node);
}

void
task_cancel(struct task *t)
{
    list_del(&t->node);
}

void
loop_hook(struct task *t)
{
    if (!list_linked(&t->node))
        list_add_tail(&loop.hooks, &t->node);
}

/* Runs tasks off the front until the list is empty or `bound` are done; returns what is left of the bound. */
static unsigned
run_tasks(struct list *tasks, unsigned bound)
{
    for (; bound > 0 && !list_empty(tasks); bound--) {
        struct task *t = LIST_ENTRY(tasks->next, struct task, node);

        list_del(&t->node);
        t->run(t);
    }
    return bound;
}

void
task_run_ready(void)
{
    loop.ready_left = run_tasks(&loop.ready, loop.ready_left);
}

/* When memory is out the piece is lost: it stays allocated, and nothing refers to it. */
void
loop_defer_free(void (*free_fn)(void *), void *ptr)
{
    if (loop.free_n == loop.free_cap) {
        size_t cap = loop.free_cap == 0 ? 64 : loop.free_cap * 2;
        struct deferred *bigger = realloc(loop.free_list, cap * sizeof(*bigger));

        if (bigger == NULL)
            return;
        loop.free_list = bigger;
        loop.free_cap = cap;
    }
    loop.free_list[loop.free_n++] = (struct deferred){ .free_fn = free_fn, .ptr = ptr };
}

static inline unsigned
bits_of(uint32_t events)
{
    unsigned bits = 0;

    if (events & EPOLLIN)
        bits |= LOOP_READ;
    if (events & EPOLLOUT)
        bits |= LOOP_WRITE;
    if (events & EPOLLRDHUP)
        bits |= LOOP_READ | LOOP_HANGUP;
    if (events & EPOLLHUP)
        bits |= LOOP_READ | LOOP_WRITE | LOOP_HANGUP;
    if (events & EPOLLERR)
        bits |= LOOP_READ | LOOP_WRITE | LOOP_ERROR;
    return bits;
}

static inline void
deliver(const struct epoll_event *e)
{
    struct watch *w = (struct watch *)(uintptr_t)(e->data.u64 & WATCH_MASK);

    /* Deleted by an earlier callback of this batch, and maybe added again for another descriptor. */
    if (!w->added || w->stamp != e->data.u64 >> WATCH_BITS)
        return;
    w->on_event(w, bits_of(e->events));
    task_run_ready();
}

/* The watch of an event that comes next, and what lies behind it: it is in the cache when its turn comes. */
static inline void
prefetch(const struct epoll_event *e)
{
    const char *w = (const char *)(uintptr_t)(e->data.u64 & WATCH_MASK);

    __builtin_prefetch(w);
    __builtin_prefetch(w + 64);
}

/* How long the wait may be: `max` and the result -1 for ever. */
static int
wait_ms(int max)
{
    int timer;

    if (!list_empty(&loop.ready) || !list_empty(&loop.flush))
        return 0;
    timer = timer_next_ms();
    if (timer == -1)
        return max;
    return max == -1 || timer < max ? timer : max;
}

/* The wait stands first here, which in loop_run comes to the same. */
void
loop_turn(int max_wait_ms)
{
    static struct epoll_event batch[BATCH]; /* on the stack the compiler would clear it each time */
    int n;

    ASSERT(!loop.in_turn);
    loop.in_turn = true;
    n = epoll_wait(loop.epoll_fd, batch, BATCH, wait_ms(max_wait_ms));
    ASSERT(n >= 0 || errno == EINTR);
    clock_update();

    loop.ready_left = READY_PER_TURN;
    for (int i = 0; i < n; i++) {
        if (i + 1 < n)
            prefetch(&batch[i + 1]);
        deliver(&batch[i]);
    }
    task_run_ready();
    timer_run();
    run_tasks(&loop.flush, FLUSH_PER_TURN);
    LIST_FOREACH (node, &loop.hooks) {
        struct task *t = LIST_ENTRY(node, struct task, node);

        t->run(t);
    }
    free_deferred();
    loop.in_turn = false;
}

void
loop_run(void)
{
    loop.running = true;
    while (loop.running)
        loop_turn(-1);
}

void
loop_stop(void)
{
    loop.running = false;
}
