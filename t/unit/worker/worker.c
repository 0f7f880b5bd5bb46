/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - a worker process seen from its channel: ready, draining, quitting, stopping, orphaned. */
#include "worker/worker.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <signal.h>
#include <sys/socket.h>

#include "common/event/signal.h"
#include "common/ipc/channel.h"
#include "common/shm/slots.h"
#include "common/sys/proc.h"
#include "common/sys/socket.h"
#include "t/unit/worker/fixture.h"
#include "worker/net/conn.h"

/* ---- in the worker: a protocol of one letter. 'h' says "hello"; 'x' spins; other letters end the connection ---- */

static void
letter(struct conn *c)
{
    char byte;
    size_t got, taken;
    struct iovec hello = { (void *)"hello", 5 };
    volatile unsigned long spin = 0;
    uint64_t until;

    switch (conn_read_buf(c, &byte, 1, &got)) {
    case IO_OK:
        break;
    case IO_AGAIN:
        return;
    default:
        conn_close(c);
        return;
    }
    if (byte == 'x') {
        until = clock_now_us() + 300000;
        while (clock_now_us() < until)
            spin++;
    }
    if (byte != 'h' && byte != 'x') {
        conn_close(c);
        return;
    }
    (void)conn_write(c, &hello, 1, false, &taken);
    conn_set_idle(c, true);
}

static void
begin(struct conn *c, const struct listen_spec *s UNUSED)
{
    c->on_event = letter;
}

static void
greet(struct str question, struct text *t)
{
    text_fmt(t, "asked: %.*s\n", STR(question));
}

/* ---- the master's side ---- */

static struct {
    struct fixture fixture;
    struct listen_spec spec;
    struct slot_table *slots;
    int channel;
    int stderr_fd; /* of the worker */
    pid_t pid;
} w;

static void
in_worker(struct listen_socket *s, int channel, pid_t master)
{
    struct inherit in = {
        .config = w.fixture.config,
        .ctl_fd = -1,
        .channel_fd = channel,
        .master_pid = master,
        .master_pidfd = proc_pidfd(master),
        .slots = w.slots,
        .slots_fd = -1,
        .state_fd = -1,
        .count = 1,
    };

    signal_block_all();
    dup2(w.stderr_fd, STDERR_FILENO);
    cycle_on_ask(greet);
    vec_init(&in.listeners, NULL, sizeof(*s));
    *(struct listen_socket *)vec_push(&in.listeners) = *s;
    exit(worker_run(&in));
}

static void
start_worker(const char *conf)
{
    struct addr any = { .len = sizeof(any.in), .in = { .sin_family = AF_INET } };
    struct listen_socket s = { .type = SOCK_STREAM, .spec = &w.spec };
    int pair[2];
    pid_t self = getpid();

    any.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fixture_load(&w.fixture, conf) == NULL) {
        printf("# %.*s\n", STR(fixture_message(&w.fixture)));
        exit(1);
    }
    w.fixture.config->core.uid = (uid_t)-1;
    s.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(bind(s.fd, &any.sa, any.len) == 0 && listen(s.fd, 16) == 0);
    ASSERT(socket_local_addr(s.fd, &w.spec.addr));
    w.spec.text = S("127.0.0.1");
    w.spec.start = begin;
    if (w.stderr_fd == 0)
        w.stderr_fd = memfd_create("stderr", MFD_CLOEXEC);
    ASSERT(socket_pair(pair));
    fflush(stdout);
    w.pid = fork();
    if (w.pid == 0) {
        close(pair[0]);
        in_worker(&s, pair[1], self);
    }
    close(pair[1]);
    close(s.fd);
    w.channel = pair[0];
}

/* The next message's type; -1 when there is none within ten seconds or the worker has gone. */
static int
message(char *text, size_t size)
{
    struct pollfd p = { .fd = w.channel, .events = POLLIN };
    char bytes[4096];
    ssize_t n = poll(&p, 1, 10000) == 1 ? recv(w.channel, bytes, sizeof(bytes) - 1, 0) : -1;
    uint32_t type;

    if (n < (ssize_t)sizeof(type))
        return -1;
    bytes[n] = '\0';
    memcpy(&type, bytes, sizeof(type));
    if (text != NULL) {
        size_t at = (size_t)n;

        while (at > 0 && (bytes[at - 1] >= ' ' || bytes[at - 1] == '\n'))
            at--;
        (void)str_to_c(str_c(bytes + at), text, size);
    }
    return (int)type;
}

static struct channel out; /* only to send with: never in a loop */

#define TELL(type, payload)                                    \
    do {                                                       \
        out.fd = w.channel;                                    \
        CHECK(CHANNEL_SEND(&out, type, payload), "%s", #type); \
    } while (0)

static int
dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval ten = { .tv_sec = 10 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ten, sizeof(ten));
    return connect(fd, &w.spec.addr.sa, w.spec.addr.len) == 0 ? fd : (close(fd), -1);
}

static bool
says_hello(int fd, char with)
{
    char bytes[8];

    return send(fd, &with, 1, MSG_NOSIGNAL) == 1 && recv(fd, bytes, 5, MSG_WAITALL) == 5;
}

static int
exit_status(void)
{
    int status = -1;

    waitpid(w.pid, &status, 0);
    return status;
}

/* What the worker wrote to its log. */
static bool
logged(const char *what)
{
    char bytes[16384];
    ssize_t n = pread(w.stderr_fd, bytes, sizeof(bytes) - 1, 0);

    bytes[n > 0 ? n : 0] = '\0';
    return strstr(bytes, what) != NULL;
}

static const char conf[] = "events { worker_connections 64; stall_threshold 50ms; }";
static const struct msg_none nothing;

TEST_ALONE(serves_and_stops)
{
    int fd;

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    fd = dial();
    CHECK(says_hello(fd, 'h'));
    TELL(MSG_STOP, &nothing);
    CHECK_EQ(exit_status(), 0);
    close(fd);
}

TEST_ALONE(a_draining_worker_serves_what_it_has)
{
    int idle, fresh;

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    idle = dial();
    CHECK(says_hello(idle, 'h'));
    TELL(MSG_DRAIN, &(struct msg_drain){ 0 });
    CHECK_EQ(message(NULL, 0), MSG_DRAINING);
    fresh = dial();
    CHECK_EQ(fresh, -1, "nobody listens any more");
    CHECK(says_hello(idle, 'h'), "an idle connection is not closed by the drain");
    close(idle);
    CHECK_EQ(exit_status(), 0);
}

TEST_ALONE(a_drain_has_an_end)
{
    int idle;

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    idle = dial();
    CHECK(says_hello(idle, 'h'));
    TELL(MSG_DRAIN, &(struct msg_drain){ .deadline_ms = 50 });
    CHECK_EQ(exit_status(), 0);
    close(idle);
}

TEST_ALONE(quitting_closes_idle_connections)
{
    int idle, busy;
    char byte;

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    idle = dial();
    busy = dial();
    CHECK(says_hello(idle, 'h'));
    CHECK(says_hello(busy, 'h'));
    TELL(MSG_QUIT, &nothing);
    CHECK_EQ(recv(idle, &byte, 1, 0), 0);
    CHECK_EQ(exit_status(), 0);
    close(idle);
    close(busy);
}

TEST_ALONE(signals_to_the_worker)
{
    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    kill(w.pid, SIGQUIT);
    CHECK_EQ(exit_status(), 0);
    fixture_end(&w.fixture);
    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    kill(w.pid, SIGTERM);
    CHECK_EQ(exit_status(), 0);
}

TEST_ALONE(questions)
{
    char text[200] = "";

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    out.fd = w.channel;
    CHECK(channel_send(&out, MSG_ASK, &(struct msg_ask){ .id = 7 }, sizeof(struct msg_ask),
                       S("zones"), NULL, 0));
    CHECK_EQ(message(text, sizeof(text)), MSG_ANSWER);
    CHECK(strstr(text, "asked: zones\n") != NULL, "%s", text);
    TELL(MSG_STOP, &nothing);
    CHECK_EQ(exit_status(), 0);
}

TEST_ALONE(dead_slots_are_reaped)
{
    w.slots = calloc(1, sizeof(*w.slots));
    w.slots->high_water = 2;
    w.slots->row[1] = (struct slot_row){ .state = SLOT_DEAD, .incarnation = 5 };
    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_REAPED);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    TELL(MSG_REAP, (&(struct msg_slot){ .slot = 3, .incarnation = 9 }));
    CHECK_EQ(message(NULL, 0), MSG_REAPED);
    TELL(MSG_STOP, &nothing);
    CHECK_EQ(exit_status(), 0);
}

TEST_ALONE(a_stalled_worker_is_reported)
{
    int fd;

    start_worker(conf);
    CHECK_EQ(message(NULL, 0), MSG_READY);
    fd = dial();
    CHECK(says_hello(fd, 'x'));
    TELL(MSG_STOP, &nothing);
    CHECK_EQ(exit_status(), 0);
    CHECK(logged("has not returned to its event loop for 50 ms"));
    CHECK(logged("is back in its event loop"));
    close(fd);
}

/* The master between us and the worker dies; the worker serves on. */
TEST_ALONE(a_dead_master_ends_nothing)
{
    int fd, told[2], status, pidfd;
    struct pollfd end = { .events = POLLIN };
    pid_t master, worker;

    CHECK(pipe2(told, O_CLOEXEC) == 0);
    start_worker(conf); /* makes the address; its worker is not the one meant */
    CHECK_EQ(message(NULL, 0), MSG_READY);
    TELL(MSG_STOP, &nothing);
    exit_status();
    fflush(stdout);
    master = fork();
    if (master == 0) {
        start_worker(conf);
        (void)message(NULL, 0);
        (void)!write(told[1], &w.pid, sizeof(w.pid));
        (void)!write(told[1], &w.spec.addr, sizeof(w.spec.addr));
        _exit(0);
    }
    CHECK_EQ(read(told[0], &worker, sizeof(worker)), sizeof(worker));
    CHECK_EQ(read(told[0], &w.spec.addr, sizeof(w.spec.addr)), sizeof(w.spec.addr));
    pidfd = end.fd = proc_pidfd(worker);
    waitpid(master, &status, 0);
    for (int i = 0; i < 1000 && !logged("has died: serving on"); i++)
        poll(NULL, 0, 10);
    CHECK(logged("has died: serving on"));
    fd = dial();
    CHECK(says_hello(fd, 'h'));
    close(fd);
    kill(worker, SIGQUIT); /* to an orphan: drain */
    CHECK_EQ(poll(&end, 1, 10000), 1, "it ends when nothing is left");
    close(pidfd);
}
