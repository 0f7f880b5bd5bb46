/* SPDX-License-Identifier: BSD-2-Clause */
/* conn.c - sticky readiness, bytes read ahead, files and pipes, limits, idle connections. */
#include "worker/net/conn.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "t/unit/worker/fixture.h"
#include "worker/core/source.h"
#include "worker/net/pipe_pool.h"

static struct fixture fixture;
static unsigned events;

static void
on_event(struct conn *c UNUSED)
{
    events++;
}

/* A connection over one end of a socket pair; *peer is the other. */
static struct conn *
pair(int *peer, bool outgoing)
{
    int fds[2];
    struct conn *c;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return NULL;
    c = conn_open(fds[0], outgoing);
    *peer = fds[1];
    if (c == NULL)
        close(fds[1]);
    else
        c->on_event = on_event;
    return c;
}

static void
start(unsigned connections)
{
    char conf[64];

    snprintf(conf, sizeof(conf), "events { worker_connections %u; }", connections);
    fixture_loop();
    ASSERT(fixture_load(&fixture, conf) != NULL);
    events = 0;
}

static void
end(void)
{
    fixture_settle();
    CHECK_EQ(conn_count(), 0);
    CHECK_EQ(conn_idle_count(), 0);
    fixture_end(&fixture);
}

TEST(readiness_is_sticky)
{
    char bytes[64];
    size_t got;
    int peer;
    struct conn *c;

    start(10);
    c = pair(&peer, false);
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_AGAIN);
    CHECK_EQ(c->bits & CONN_READABLE, 0);
    fixture_settle();
    CHECK_EQ(events, 0, "that it takes bytes is no news");

    CHECK_EQ(write(peer, "hello", 5), 5);
    fixture_settle();
    CHECK_EQ(events, 1);
    CHECK_EQ(conn_read_buf(c, bytes, 2, &got), IO_OK);
    CHECK_EQ(got, 2);
    CHECK(c->bits & CONN_READABLE, "the read came back full");
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_EQ(got, 3);
    CHECK_EQ(c->bits & CONN_READABLE, 0, "the read came back short");

    CHECK_EQ(write(peer, "bye", 3), 3);
    close(peer);
    fixture_settle();
    CHECK(c->bits & CONN_EOF);
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_EQ(got, 3);
    CHECK(c->bits & CONN_READABLE, "the end is still to be read");
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_EOF);
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_EOF);
    conn_close(c);
    end();
}

TEST(bytes_read_ahead_come_first)
{
    char bytes[64];
    size_t got;
    int peer;
    struct conn *c;

    start(10);
    c = pair(&peer, false);
    CHECK_EQ(write(peer, "last", 4), 4);
    CHECK(conn_unread(c, S("second")));
    CHECK(conn_unread(c, S("first")));
    CHECK_EQ(conn_read_buf(c, bytes, 3, &got), IO_OK);
    CHECK_STR(str_n(bytes, got), "fir");
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_STR(str_n(bytes, got), "stsecond");
    CHECK(c->in == NULL && (c->bits & CONN_READABLE) != 0);
    CHECK_EQ(conn_read_buf(c, bytes, sizeof(bytes), &got), IO_OK);
    CHECK_STR(str_n(bytes, got), "last");
    close(peer);
    conn_close(c);
    end();
}

TEST(a_full_socket_says_so)
{
    static char block[1 << 20];
    struct iovec iov = { block, sizeof(block) };
    char sink[4096];
    size_t taken;
    int peer;
    struct conn *c;

    start(10);
    c = pair(&peer, false);
    CHECK_EQ(conn_write(c, &iov, 1, false, &taken), IO_AGAIN);
    CHECK(taken > 0 && taken < sizeof(block));
    CHECK_EQ(c->sent, taken);
    CHECK_EQ(c->bits & CONN_WRITABLE, 0);
    while (read(peer, sink, sizeof(sink)) > 0)
        ;
    fixture_settle();
    CHECK(c->bits & CONN_WRITABLE);
    CHECK(events > 0);
    close(peer);
    fixture_settle();
    CHECK_EQ(conn_write(c, &iov, 1, false, &taken), IO_ERROR);
    CHECK_EQ(c->error, EPIPE);
    conn_close(c);
    end();
}

TEST(files_and_pipes)
{
    int peer, file = memfd_create("test", MFD_CLOEXEC), fds[2];
    char bytes[64];
    size_t taken;
    struct conn *c;

    start(10);
    c = pair(&peer, false);
    CHECK_EQ(write(file, "0123456789", 10), 10);
    CHECK_EQ(c->ops->write_file(c, file, 3, 4, false, &taken), IO_OK);
    CHECK_EQ(taken, 4);
    CHECK_EQ(read(peer, bytes, sizeof(bytes)), 4);
    CHECK_STR(str_n(bytes, 4), "3456");
    CHECK_EQ(c->ops->write_file(c, file, 10, 5, false, &taken), IO_ERROR);
    CHECK_EQ(c->error, EIO, "the file is shorter than was said");

    CHECK(pipe_get(fds));
    CHECK_EQ(write(fds[1], "piped", 5), 5);
    CHECK_EQ(c->ops->write_pipe(c, fds[0], 5, false, &taken), IO_OK);
    CHECK_EQ(read(peer, bytes, sizeof(bytes)), 5);
    pipe_put(fds, true);
    CHECK_EQ(fds[0], -1);
    close(file);
    close(peer);
    conn_close(c);
    end();
}

static void
close_on_error(struct conn *c)
{
    if (c->bits & CONN_ERROR) {
        note("closed-%d ", (int)(intptr_t)c->owner);
        conn_close(c);
    }
}

static struct conn *
idle(int *peer, bool outgoing, int number)
{
    struct conn *c = pair(peer, outgoing);

    c->on_event = close_on_error;
    c->owner = (void *)(intptr_t)number;
    conn_set_idle(c, true);
    return c;
}

TEST(idle_ones_make_room_oldest_first)
{
    int peers[6];
    struct conn *c, *busy;

    start(4);
    idle(&peers[0], true, 1);
    idle(&peers[1], false, 2);
    idle(&peers[2], false, 3);
    CHECK_EQ(conn_idle_count(), 2);
    busy = pair(&peers[3], false);
    CHECK(conn_has_room());
    c = pair(&peers[4], true); /* the limit counts both directions */
    CHECK(c != NULL);
    CHECK_STR(str_c(fixture_notes), "closed-2 ");
    conn_close(c);
    CHECK_EQ(conn_close_idle(5), 1);
    CHECK_STR(str_c(fixture_notes), "closed-2 closed-3 ");
    CHECK(conn_close_oldest());
    CHECK(!conn_close_oldest());
    CHECK_STR(str_c(fixture_notes), "closed-2 closed-3 closed-1 ");
    CHECK_EQ(conn_count(), 1);
    conn_close(busy);
    for (int i = 0; i < 5; i++)
        close(peers[i]);
    end();
}

static void
count(struct conn *c UNUSED, void *data)
{
    ++*(unsigned *)data;
}

TEST(no_more_than_the_limit)
{
    int peers[3];
    struct conn *a, *b;
    unsigned n = 0;

    start(2);
    a = pair(&peers[0], false);
    b = pair(&peers[1], false);
    CHECK(!conn_has_room());
    CHECK(pair(&peers[2], false) == NULL);
    conn_each(count, &n);
    CHECK_EQ(n, 2);
    conn_close(a);
    conn_close(a); /* harmless until the end of the turn */
    CHECK(conn_has_room());
    conn_close(b);
    close(peers[0]);
    close(peers[1]);
    end();
}

static void
cleaned(void *data)
{
    note("%s ", (const char *)data);
}

TEST(memory_of_a_connection_ends_with_it)
{
    int peer;
    struct conn *c;

    start(10);
    c = pair(&peer, false);
    CHECK(arena_alloc(&c->arena, 100) != NULL);
    CHECK(arena_on_free(&c->arena, cleaned, "cleaned"));
    conn_reset(c);
    CHECK_STR(str_c(fixture_notes), "cleaned ");
    close(peer);
    end();
}
