/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * offload.c - thread pools. Finished jobs come back through an eventfd of the loop.
 *
 * A thread is started when a job finds none that waits, up to the pool's number; threads stay until the process
 * ends.
 */
#include "common/event/offload.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/event/loop.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"

struct offload_pool {
    struct offload_pool *next; /* in `pools` */
    char *name;
    struct watch watch; /* of the eventfd; fd -1 until the first job */
    unsigned threads_max, queue_max;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wanted;
    struct list queue;      /* jobs not begun, of struct offload */
    struct list finished;   /* jobs whose `done` is due */
    unsigned threads, idle; /* started; of these waiting for a job */
    unsigned queued;        /* length of queue */
};

static struct offload_pool *pools;

/* Everything that a fork makes invalid. */
static void
pool_reset(struct offload_pool *p)
{
    p->watch = (struct watch){ .fd = -1 };
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wanted, NULL);
    list_init(&p->queue);
    list_init(&p->finished);
    p->threads = p->idle = p->queued = 0;
}

struct offload_pool *
offload_pool_new(struct str name, unsigned threads, unsigned max_queue)
{
    struct offload_pool *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->name = strndup(name.ptr, name.len);
    if (p->name == NULL) {
        free(p);
        return NULL;
    }
    p->threads_max = threads;
    p->queue_max = max_queue;
    pool_reset(p);
    p->next = pools;
    pools = p;
    return p;
}

void
offload_reset_after_fork(void)
{
    for (struct offload_pool *p = pools; p != NULL; p = p->next) {
        fd_close(&p->watch.fd);
        pool_reset(p);
    }
}

struct offload_pool *
offload_pool_find(struct str name)
{
    for (struct offload_pool *p = pools; p != NULL; p = p->next)
        if (str_eq(str_c(p->name), name))
            return p;
    if (str_eq(name, S("default")))
        return offload_pool_new(name, 32, 65536);
    return NULL;
}

struct offload_pool *
offload_default(void)
{
    static struct offload_pool *pool;

    if (pool == NULL)
        pool = offload_pool_find(S("default"));
    return pool;
}

static void *
thread_main(void *data)
{
    struct offload_pool *p = data;

    proc_set_name(p->name);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct offload *o;
        bool first;

        while (list_empty(&p->queue)) {
            p->idle++;
            pthread_cond_wait(&p->wanted, &p->lock);
            p->idle--;
        }
        o = LIST_ENTRY(p->queue.next, struct offload, node);
        list_del(&o->node);
        p->queued--;
        pthread_mutex_unlock(&p->lock);
        o->work(o);
        pthread_mutex_lock(&p->lock);
        first = list_empty(&p->finished);
        list_add_tail(&p->finished, &o->node);
        if (first)
            eventfd_write(p->watch.fd, 1);
    }
    return NULL;
}

static void
on_finished(struct watch *w, unsigned bits)
{
    struct offload_pool *p = CONTAINER_OF(w, struct offload_pool, watch);
    struct list finished = LIST_INIT(finished);
    eventfd_t count;

    (void)bits;
    eventfd_read(w->fd, &count);
    pthread_mutex_lock(&p->lock);
    list_splice_tail(&finished, &p->finished);
    pthread_mutex_unlock(&p->lock);
    while (!list_empty(&finished)) {
        struct offload *o = LIST_ENTRY(finished.next, struct offload, node);

        list_del(&o->node);
        o->done(o);
        task_run_ready();
    }
}

static bool
pool_watch(struct offload_pool *p)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return false;
    p->watch.on_event = on_finished;
    if (!loop_add_level(&p->watch, fd, false)) {
        fd_close(&fd);
        return false;
    }
    return true;
}

/* Threads inherit the mask in which all signals are blocked. */
static bool
thread_start(struct offload_pool *p)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, thread_main, p) != 0)
        return false;
    pthread_detach(thread);
    p->threads++;
    return true;
}

bool
offload_start(struct offload_pool *p, struct offload *o)
{
    bool taken = false;

    if (p == NULL || (p->watch.fd == -1 && !pool_watch(p)))
        return false;
    pthread_mutex_lock(&p->lock);
    if (p->queued >= p->queue_max)
        goto done;
    if (p->queued >= p->idle && p->threads < p->threads_max && !thread_start(p) && p->threads == 0)
        goto done;
    list_add_tail(&p->queue, &o->node);
    p->queued++;
    pthread_cond_signal(&p->wanted);
    taken = true;

done:
    pthread_mutex_unlock(&p->lock);
    return taken;
}
