/* SPDX-License-Identifier: BSD-2-Clause */
/* listener.c - accepting, limits, the reserve, leaving. Each test in a process of its own: listeners are global. */
#include "worker/net/listener.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "t/unit/worker/fixture.h"
#include "worker/net/conn.h"
#include "worker/net/events_conf.h"

static struct fixture fixture;
static struct listen_spec spec;
static struct inherit inherit;
static struct conn *accepted[64];
static unsigned n_accepted;

static void
close_on_error(struct conn *c)
{
    if (c->bits & (CONN_ERROR | CONN_EOF))
        conn_close(c);
}

static void
begin(struct conn *c, const struct listen_spec *s)
{
    CHECK(s == &spec && c->spec == s);
    c->on_event = close_on_error;
    accepted[n_accepted++ % ARRAY_LEN(accepted)] = c;
}

static void
listen_on(const char *events)
{
    struct listen_socket *s;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct addr any = { .len = sizeof(any.in), .in = { .sin_family = AF_INET } };
    char conf[100];

    any.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fixture_loop();
    snprintf(conf, sizeof(conf), "events { %s }", events);
    ASSERT(fixture_load(&fixture, conf) != NULL);
    ASSERT(bind(fd, &any.sa, any.len) == 0 && listen(fd, 64) == 0);
    spec.addr = any;
    ASSERT(getsockname(fd, &spec.addr.sa, &spec.addr.len) == 0);
    spec.text = S("127.0.0.1");
    spec.start = begin;
    inherit.config = fixture.config;
    inherit.count = 2;
    s = vec_push((vec_init(&inherit.listeners, NULL, sizeof(*s)), &inherit.listeners));
    *s = (struct listen_socket){ .fd = fd, .addr = spec.addr, .type = SOCK_STREAM, .spec = &spec };
    ASSERT(listener_start(&inherit));
}

static int
dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd != -1)
        (void)!connect(fd, &spec.addr.sa, spec.addr.len);
    return fd;
}

/* Bytes, an end or an error can be read. */
static bool
has_news(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) == 1;
}

/* The peer has reset the connection. */
static bool
is_reset(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == -1 && errno == ECONNRESET;
}

TEST_ALONE(many_connections)
{
    int fds[40];

    listen_on("worker_connections 100;");
    for (int i = 0; i < 40; i++) {
        fds[i] = dial();
        UNTIL(n_accepted == (unsigned)i + 1);
    }
    CHECK_EQ(n_accepted, 40, "beyond two rotations");
    CHECK_EQ(conn_count(), 40);
    for (int i = 0; i < 40; i++)
        close(fds[i]);
    UNTIL(conn_count() == 0);
    CHECK_EQ(conn_count(), 0);
}

TEST_ALONE(leaving_takes_what_waits)
{
    int waiting, later;

    listen_on("worker_connections 100;");
    waiting = dial();
    listener_leave();
    CHECK(listener_left());
    CHECK_EQ(n_accepted, 1);
    later = dial();
    UNTIL(has_news(later));
    loop_turn(0);
    CHECK_EQ(n_accepted, 1, "the address is closed");
    close(waiting);
    close(later);
}

TEST_ALONE(at_the_limit_others_wait_for_room)
{
    int a, b;

    listen_on("worker_connections 1;");
    a = dial();
    UNTIL(n_accepted == 1);
    b = dial();
    loop_turn(50);
    CHECK_EQ(n_accepted, 1);
    close(a);
    UNTIL(n_accepted == 2);
    CHECK_EQ(n_accepted, 2, "recovery at once");
    close(b);
}

TEST_ALONE(at_the_limit_nobody_hangs)
{
    int a, b;

    listen_on("worker_connections 1;");
    a = dial();
    UNTIL(n_accepted == 1);
    b = dial();
    UNTIL(has_news(b));
    CHECK(is_reset(b));
    CHECK_EQ(n_accepted, 1);
    close(a);
    close(b);
}

TEST_ALONE(an_idle_connection_gives_way)
{
    int a, b;
    char byte;

    listen_on("worker_connections 1;");
    a = dial();
    UNTIL(n_accepted == 1);
    conn_set_idle(accepted[0], true);
    b = dial();
    UNTIL(n_accepted == 2);
    CHECK_EQ(n_accepted, 2);
    CHECK_EQ(conn_count(), 1);
    CHECK_EQ(recv(a, &byte, 1, 0), 0);
    close(a);
    close(b);
}

TEST_ALONE(without_descriptors_the_client_is_refused)
{
    struct rlimit none;
    int a, b, last;

    if (getenv("VALGRIND") != NULL) {
        printf("# not tried: valgrind accepts what the limit forbids, and closes it\n");
        return;
    }
    listen_on("worker_connections 100;");
    a = dial();
    UNTIL(n_accepted == 1);
    b = dial();
    last = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(last);
    getrlimit(RLIMIT_NOFILE, &none);
    none.rlim_cur = (rlim_t)last;
    setrlimit(RLIMIT_NOFILE, &none);
    UNTIL(has_news(b));
    CHECK(is_reset(b));
    CHECK_EQ(n_accepted, 1);
    /* With an idle one the next client is served. */
    close(b);
    b = dial();
    CHECK(b != -1);
    conn_set_idle(accepted[0], true);
    UNTIL(n_accepted == 2);
    CHECK_EQ(n_accepted, 2);
    close(a);
    close(b);
}

TEST_ALONE(pause_and_resume)
{
    int a;

    listen_on("multi_accept on;");
    listener_pause();
    a = dial();
    loop_turn(20);
    CHECK_EQ(n_accepted, 0);
    listener_resume();
    UNTIL(n_accepted == 1);
    CHECK_EQ(n_accepted, 1);
    close(a);
}
