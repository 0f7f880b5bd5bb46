/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.c - turns of the loop: order, bounds, and what a callback may do to others. */
#include "common/event/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/event/timer.h"
#include "t/unit/test.h"

/* What happened, one letter each. */
static char trace[64];

static void
note(char c)
{
    size_t n = strlen(trace);

    if (n < sizeof(trace) - 1) {
        trace[n] = c;
        trace[n + 1] = '\0';
    }
}

#define TRACED(want)                                      \
    do {                                                  \
        CHECK(strcmp(trace, want) == 0, "\"%s\"", trace); \
        trace[0] = '\0';                                  \
    } while (0)

static void
begin(void)
{
    static bool done;
    struct error err;

    trace[0] = '\0';
    if (!done && !loop_init(&err))
        exit(1);
    done = true;
}

/* One end of a pair of sockets in the loop, the other one in our hands. */
struct end {
    struct watch watch;
    char name;
    unsigned bits; /* of the last event */
    void (*then)(struct end *e);
    int peer;
};

static void
on_event(struct watch *w, unsigned bits)
{
    struct end *e = CONTAINER_OF(w, struct end, watch);

    e->bits = bits;
    note(e->name);
    if (e->then != NULL)
        e->then(e);
}

static void
end_open(struct end *e, char name)
{
    int fds[2];

    memset(e, 0, sizeof(*e));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        exit(1);
    e->name = name;
    e->watch.on_event = on_event;
    e->peer = fds[1];
    CHECK(loop_add(&e->watch, fds[0]));
}

static void
end_close(struct end *e)
{
    loop_del(&e->watch);
    close(e->watch.fd);
    if (e->peer != -1)
        close(e->peer);
}

TEST(events_come_once_per_edge)
{
    struct end a;

    begin();
    end_open(&a, 'a');
    loop_turn(1000);
    TRACED("a");
    CHECK_EQ(a.bits, LOOP_WRITE);
    loop_turn(0);
    TRACED("");
    CHECK_EQ(send(a.peer, "x", 1, 0), 1);
    loop_turn(1000);
    TRACED("a");
    CHECK(a.bits & LOOP_READ);
    loop_turn(0); /* not read, and no news */
    TRACED("");
    CHECK_EQ(send(a.peer, "x", 1, 0), 1);
    loop_turn(1000);
    TRACED("a");
    shutdown(a.peer, SHUT_WR);
    loop_turn(1000);
    CHECK((a.bits & (LOOP_READ | LOOP_HANGUP)) == (LOOP_READ | LOOP_HANGUP), "%u", a.bits);
    end_close(&a);
}

TEST(listeners_are_told_until_they_read)
{
    struct end a;
    char c;

    begin();
    end_open(&a, 'a');
    loop_del(&a.watch);
    CHECK(loop_add_level(&a.watch, a.watch.fd, true));
    loop_turn(0);
    TRACED("");
    CHECK_EQ(send(a.peer, "x", 1, 0), 1);
    loop_turn(0);
    loop_turn(0);
    TRACED("aa");
    CHECK_EQ(read(a.watch.fd, &c, 1), 1);
    loop_turn(0);
    TRACED("");
    end_close(&a);
}

static struct end first, second;
static int extra_fd;

static void
delete_the_other(struct end *e)
{
    loop_del(e == &first ? &second.watch : &first.watch);
}

TEST(a_deleted_watch_gets_no_event_of_the_same_batch)
{
    begin();
    end_open(&first, '1');
    end_open(&second, '2');
    first.then = second.then = delete_the_other;
    loop_turn(1000);
    CHECK_EQ(strlen(trace), 1);
    loop_turn(0);
    CHECK_EQ(strlen(trace), 1);
    end_close(&first);
    end_close(&second);
}

static void
replace_the_other(struct end *e)
{
    struct end *other = e == &first ? &second : &first;

    e->then = other->then = NULL;
    loop_del(&other->watch);
    CHECK(loop_add_level(&other->watch, extra_fd, false));
}

TEST(nor_does_a_watch_that_was_added_anew)
{
    int fds[2];

    begin();
    REQUIRE(pipe(fds) == 0);
    extra_fd = fds[0];
    end_open(&first, '1');
    end_open(&second, '2');
    first.then = second.then = replace_the_other;
    loop_turn(1000);
    CHECK_EQ(strlen(trace), 1);
    trace[0] = '\0';
    CHECK_EQ(write(fds[1], "x", 1), 1);
    loop_turn(1000);
    CHECK_EQ(strlen(trace), 1, "its own event it gets");
    loop_del(&first.watch);
    loop_del(&second.watch);
    close(fds[0]);
    close(fds[1]);
}

static struct task ready_a, ready_b, flush_a, hook;
static struct timer timer;

static void
run_ready_a(struct task *t)
{
    (void)t;
    note('r');
}

static void
run_ready_b(struct task *t)
{
    (void)t;
    note('s');
}

static void
run_flush(struct task *t)
{
    (void)t;
    note('f');
}

static void
run_hook(struct task *t)
{
    (void)t;
    note('h');
}

static void
on_time(struct timer *t)
{
    (void)t;
    note('t');
    task_ready(&ready_b);
}

static void
start_tasks(struct end *e)
{
    e->then = NULL;
    task_flush(&flush_a);
    task_flush(&flush_a);
    task_ready(&ready_a);
    task_ready(&ready_a);
}

static void
note_free(void *p)
{
    (void)p;
    note('!');
}

/* Hooks run for ever: this is the last test but one that looks at every letter. */
TEST(a_turn_has_its_order)
{
    struct end a;

    begin();
    ready_a.run = run_ready_a;
    ready_b.run = run_ready_b;
    flush_a.run = run_flush;
    hook.run = run_hook;
    timer.on_time = on_time;

    timer_set(&timer, 0);
    while (trace[0] == '\0') /* the clock is coarse */
        loop_turn(100);
    TRACED("ts");

    end_open(&a, 'a');
    a.then = start_tasks;
    loop_hook(&hook);
    loop_defer_free(note_free, &a);
    loop_turn(1000);
    TRACED("arfh!");
    loop_turn(0);
    TRACED("h");

    task_ready(&ready_a);
    task_flush(&flush_a);
    task_cancel(&ready_a);
    task_cancel(&ready_a);
    loop_turn(-1); /* does not wait: there is something to flush */
    TRACED("fh");
    end_close(&a);
}

static unsigned runs;

static void
run_again(struct task *t)
{
    runs++;
    task_ready(t);
}

TEST(a_task_that_always_is_ready_does_not_stop_the_loop)
{
    struct task again = { .run = run_again };
    struct end a;

    begin();
    end_open(&a, 'a');
    task_ready(&again);
    loop_turn(-1);
    CHECK(strchr(trace, 'a') != NULL);
    CHECK(runs > 1);
    runs = 0;
    CHECK_EQ(send(a.peer, "x", 1, 0), 1);
    trace[0] = '\0';
    loop_turn(-1);
    CHECK(strchr(trace, 'a') != NULL, "events still come");
    CHECK(runs > 1, "and the task still runs");
    task_cancel(&again);
    end_close(&a);
}

static void
stop(struct task *t)
{
    (void)t;
    loop_stop();
}

TEST(run_until_stopped)
{
    struct task t = { .run = stop };

    begin();
    task_ready(&t);
    loop_run();
    CHECK(!list_linked(&t.node));
}

TEST(a_child_starts_anew)
{
    struct end a;
    int status = 0;
    pid_t pid;

    begin();
    end_open(&a, 'a');
    task_ready(&ready_a);
    pid = fork();
    if (pid == 0) {
        struct error err;

        if (!loop_reset_after_fork(&err))
            _exit(1);
        trace[0] = '\0';
        loop_turn(0);
        _exit(trace[0] == '\0' ? 0 : 2); /* no event, task or hook of the parent */
    }
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", (unsigned)status);
    loop_turn(0);
    CHECK(strchr(trace, 'a') != NULL && strchr(trace, 'r') != NULL, "%s", trace);
    end_close(&a);
}

TEST(errors_are_returned)
{
    struct watch w = { .on_event = on_event };
    int fd = open("/etc/passwd", O_RDONLY);

    begin();
    CHECK(!loop_add(&w, fd));
    CHECK_EQ(errno, EPERM, "epoll knows no files");
    CHECK(!w.added);
    loop_del(&w);
    close(fd);
}

TEST(the_end)
{
    begin();
    loop_defer_free(note_free, trace);
    loop_fini();
    TRACED("!");
}
