/* SPDX-License-Identifier: BSD-2-Clause */
/* relay.c - all bytes both ways, half-close, bytes read ahead, errors, time. */
#include "worker/net/relay.h"

#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "t/unit/worker/fixture.h"

static struct fixture fixture;
static struct conn *a, *b;
static int far_a, far_b; /* the other ends */
static struct relay *relay;
static const char *ended;

static void
on_ended(struct relay *r, void *data UNUSED, const char *why)
{
    CHECK(r == relay);
    ended = why;
}

static void
start(uint64_t timeout_ms)
{
    struct relay_options o = { .timeout_ms = timeout_ms, .ended = on_ended };
    int fds[4];

    fixture_loop();
    ASSERT(fixture_load(&fixture, "events { worker_connections 10; }") != NULL);
    ended = NULL;
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, &fds[0]) == 0 &&
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, &fds[2]) == 0);
    a = conn_open(fds[0], false);
    b = conn_open(fds[2], true);
    b->bits |= CONN_WRITABLE;
    far_a = fds[1];
    far_b = fds[3];
    relay = relay_start(a, b, &o);
}

static void
end(void)
{
    if (ended == NULL)
        relay_stop(relay);
    conn_close(a);
    conn_close(b);
    close(far_a);
    close(far_b);
    fixture_settle();
    fixture_end(&fixture);
}

enum { BULK = 3 << 20 };

static unsigned char
byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 24);
}

/* Sends BULK bytes in at one end, takes them out in odd pieces at the other; how many came out right. */
static size_t
pump(int in, int out)
{
    static unsigned char block[70000];
    size_t sent = 0, got = 0;

    for (int turn = 0; turn < 100000 && got < BULK; turn++) {
        size_t n = BULK - sent < sizeof(block) ? BULK - sent : sizeof(block);
        ssize_t r;

        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(sent + i);
        r = n > 0 ? write(in, block, n) : 0;
        sent += r > 0 ? (size_t)r : 0;
        loop_turn(0);
        r = read(out, block, 50000);
        for (ssize_t i = 0; i < r; i++) {
            if (block[i] != byte_at(got + (size_t)i))
                return got;
        }
        got += r > 0 ? (size_t)r : 0;
    }
    return got;
}

TEST(bulk_both_ways)
{
    uint64_t there, back;

    start(0);
    CHECK_EQ(pump(far_a, far_b), BULK);
    CHECK_EQ(pump(far_b, far_a), BULK);
    relay_counts(relay, &there, &back);
    CHECK_EQ(there, BULK);
    CHECK_EQ(back, BULK);
    end();
}

TEST(a_half_that_closes)
{
    char bytes[16];

    start(0);
    CHECK_EQ(write(far_a, "question", 8), 8);
    shutdown(far_a, SHUT_WR);
    fixture_settle();
    CHECK_EQ(read(far_b, bytes, sizeof(bytes)), 8);
    CHECK_EQ(read(far_b, bytes, sizeof(bytes)), 0, "the end was passed on");
    CHECK(ended == NULL);
    CHECK_EQ(write(far_b, "answer", 6), 6);
    fixture_settle();
    CHECK_EQ(read(far_a, bytes, sizeof(bytes)), 6);
    shutdown(far_b, SHUT_WR);
    fixture_settle();
    CHECK_STR(str_c(ended), "closed");
    end();
}

TEST(bytes_read_ahead_go_first)
{
    char bytes[16];

    start(0);
    CHECK(conn_unread(a, S("early ")));
    CHECK_EQ(write(far_a, "late", 4), 4);
    fixture_settle();
    CHECK_EQ(read(far_b, bytes, sizeof(bytes)), 10);
    CHECK_STR(str_n(bytes, 10), "early late");
    end();
}

TEST(an_end_that_fails)
{
    start(0);
    fixture_settle();
    close(far_b);
    fixture_settle();
    CHECK(ended == NULL, "the other half may still speak");
    CHECK_EQ(write(far_a, "x", 1), 1);
    fixture_settle();
    CHECK_STR(str_c(ended), "connection to the origin failed");
    far_b = dup(far_a);
    end();
}

TEST(nothing_moves)
{
    start(20);
    for (int i = 0; i < 100 && ended == NULL; i++)
        loop_turn(50);
    CHECK_STR(str_c(ended), "timed out");
    end();
}
