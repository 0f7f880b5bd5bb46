/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_client.c - requests and responses over a socket, split in all ways. */
#include "worker/h1/h1_client.h"

#include "test.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "common/base/num.h"
#include "common/base/rand.h"
#include "t/unit/worker/fixture.h"

static struct fixture fixture;
static struct conn *c;
static int far_end;
static struct arena arena;
static struct h1_client h;

static void
start(bool head_request, bool chunked_out)
{
    int fds[2];

    fixture_loop();
    ASSERT(fixture_load(&fixture, "events { worker_connections 10; }") != NULL);
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    c = conn_open(fds[0], true);
    c->bits |= CONN_WRITABLE;
    far_end = fds[1];
    arena_init(&arena, 1024);
    h1_client_init(&h, c, 4096, head_request, chunked_out);
}

static bool
end(void)
{
    bool reusable = h1_client_end(&h);

    conn_close(c);
    if (far_end >= 0)
        close(far_end);
    arena_free(&arena);
    fixture_settle();
    fixture_end(&fixture);
    return reusable;
}

/* ---- responses ---- */

struct outcome {
    enum h1_recv how; /* END, CLOSED, BAD */
    int status;
    unsigned informs;
    char body[70000];
    size_t len;
};
static struct outcome out;
static struct fields fields;
static bool has_head;

static bool
over(enum h1_recv r)
{
    return r == H1_RECV_END || r == H1_RECV_CLOSED || r == H1_RECV_BAD || r == H1_RECV_NO_MEMORY;
}

/* Heads until there is none, or the final one. */
static enum h1_recv
step_head(void)
{
    for (;;) {
        struct h1_response_head head;
        const char *why = NULL;
        struct str first;
        enum h1_recv r;

        fields_init(&fields, &arena);
        r = h1_client_recv_head(&h, &arena, &head, &fields, &why);
        CHECK(r != H1_RECV_BAD || why != NULL, "a reason");
        if (r != H1_RECV_HEAD)
            return r;
        if (head.status < 200) {
            out.informs++;
            continue;
        }
        out.status = head.status;
        has_head = true;
        r = h1_client_take(&h, &first);
        if (first.len > 0)
            memcpy(out.body, first.ptr, first.len);
        out.len = first.len;
        return r;
    }
}

/* Rooms of all sizes, one or two at once. */
static enum h1_recv
step_body(void)
{
    for (;;) {
        static char rooms[2][3000];
        struct iovec iov[2] = { { rooms[0], 1 + rand_below(2999) },
                                { rooms[1], 1 + rand_below(2999) } };
        size_t got = 0, first;
        int n = 1 + (int)rand_below(2);
        enum h1_recv r;

        ASSERT(sizeof(out.body) - out.len > 6000);
        r = h1_client_recv_body(&h, iov, n, &got);
        CHECK(got <= iov[0].iov_len + (n > 1 ? iov[1].iov_len : 0), "within the room");
        first = num_min(got, iov[0].iov_len);
        memcpy(out.body + out.len, rooms[0], first);
        memcpy(out.body + out.len + first, rooms[1], got - first);
        out.len += got;
        if (r != H1_RECV_BYTES)
            return r;
        CHECK(got > 0, "bytes");
    }
}

/* Lets the far end say `bytes` in pieces of at most `step` bytes, then perhaps close. */
static void
listen_to(struct str bytes, size_t step, bool closes)
{
    size_t at = 0;
    enum h1_recv r = H1_RECV_NOTHING;

    memset(&out, 0, offsetof(struct outcome, body));
    out.len = 0;
    has_head = false;
    for (int turn = 0; turn < 200000 && !over(r); turn++) {
        size_t n = num_min(bytes.len - at, 1 + rand_below((uint32_t)step));

        if (n > 0) {
            ssize_t w = write(far_end, bytes.ptr + at, n);

            at += w > 0 ? (size_t)w : 0;
        } else if (closes && far_end >= 0) {
            close(far_end);
            far_end = -1;
        } else if (turn > 10000) {
            break; /* it says no more, and waits */
        }
        loop_turn(0);
        if (!has_head)
            r = step_head();
        if (has_head && !over(r))
            r = step_body();
    }
    out.how = r;
}

#define OK "HTTP/1.1 200 OK\r\n"
static const struct {
    const char *name, *bytes, *body;
    enum h1_recv how;
    bool head_request, closes, reusable;
    unsigned informs;
} responses[] = {
    { "a length", OK "Content-Length: 5\r\n\r\nhello", "hello", .how = H1_RECV_END,
      .reusable = true },
    { "of nothing", OK "Content-Length: 0\r\n\r\n", "", .how = H1_RECV_END, .reusable = true },
    { "chunks", OK "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX: y\r\n\r\n",
      "hello", .how = H1_RECV_END, .reusable = true },
    { "until the end", OK "\r\nhello", "hello", .how = H1_RECV_END, .closes = true },
    { "no body: 204", "HTTP/1.1 204 No\r\n\r\n", "", .how = H1_RECV_END, .reusable = true },
    { "no body: 304", "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", "", .how = H1_RECV_END,
      .reusable = true },
    { "no body: HEAD", OK "Content-Length: 5\r\n\r\n", "", .how = H1_RECV_END, .head_request = true,
      .reusable = true },
    { "close", OK "Connection: close\r\nContent-Length: 2\r\n\r\nok", "ok", .how = H1_RECV_END },
    { "HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", .how = H1_RECV_END },
    { "HTTP/1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
      "ok", .how = H1_RECV_END, .reusable = true },
    { "1xx before it",
      "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n" OK "Content-Length: 2\r\n\r\nok",
      "ok", .how = H1_RECV_END, .reusable = true, .informs = 2 },
    { "cut: nothing", "", "", .how = H1_RECV_CLOSED, .closes = true },
    { "cut: a head", OK "X: y\r\n", "", .how = H1_RECV_CLOSED, .closes = true },
    { "cut: a length", OK "Content-Length: 5\r\n\r\nhell", "hell", .how = H1_RECV_CLOSED,
      .closes = true },
    { "cut: a chunk", OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhell", "hell",
      .how = H1_RECV_CLOSED, .closes = true },
    { "cut: no last chunk", OK "Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n", "hell",
      .how = H1_RECV_CLOSED, .closes = true },
    { "cut: trailers", OK "Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\nX: y\r\n", "hell",
      .how = H1_RECV_CLOSED, .closes = true },
    { "bad: no HTTP", "SSH-2.0", "", .how = H1_RECV_BAD },
    { "bad: a field", OK "a b: c\r\n\r\n", "", .how = H1_RECV_BAD },
    { "bad: a chunk", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nokx\r\n", "ok",
      .how = H1_RECV_BAD },
    { "silence", OK "Content-Length: 5\r\n\r\nhell", "hell", .how = H1_RECV_NOTHING },
};

TEST(responses)
{
    EACH (responses, t) {
        for (int round = 0; round < 40; round++) {
            size_t step = round == 0 ? 1 : round < 20 ? 1 + rand_below(20) : 1000;
            bool reusable;

            start(t->head_request, false);
            h.chunked.trailers = NULL;
            listen_to(str_c(t->bytes), step, t->closes);
            CHECK_EQ(out.how, t->how, "%s, steps of %zu", t->name, step);
            CHECK_STR(str_n(out.body, out.len), t->body, "%s", t->name);
            CHECK_EQ(out.informs, t->informs, "%s", t->name);
            reusable = end();
            CHECK_EQ(reusable, t->reusable, "%s: may be used again", t->name);
            if (test_failures != 0)
                return;
        }
    }
}

TEST(bytes_behind_the_response)
{
    static const char *const texts[] = {
        OK "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nx",
        "HTTP/1.1 204 No\r\n\r\nx",
    };

    EACH (texts, text) {
        start(false, false);
        listen_to(str_c(*text), 1000, false);
        CHECK_EQ(out.how, H1_RECV_END, "the response is complete");
        CHECK(!end(), "the connection is not used again");
        CHECK(h.extra, "and why is known");
    }
}

TEST(heads_are_bounded)
{
    struct text t;

    text_init(&t, NULL);
    TEXT_LIT(&t, OK "X: ");
    for (int i = 0; i < 5000; i++)
        text_char(&t, 'a');
    start(false, false);
    listen_to(text_str(&t), 700, false);
    CHECK_EQ(out.how, H1_RECV_BAD, "a head that does not end");
    (void)end();
    TEXT_LIT(&t, "\r\n\r\n");
    start(false, false);
    listen_to(text_str(&t), 10000, false);
    CHECK_EQ(out.how, H1_RECV_BAD, "one that is too long");
    (void)end();
    text_free(&t);
}

TEST(trailers)
{
    struct fields trailers;

    start(false, false);
    fields_init(&trailers, &arena);
    h.chunked.trailers = &trailers;
    listen_to(S(OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n"), 3,
              false);
    CHECK_EQ(out.how, H1_RECV_END, "complete");
    CHECK_EQ(trailers.n, 2, "two fields");
    CHECK_STR(trailers.at[1].value, "d", "the second");
    CHECK(end(), "used again");
}

/* Bodies of random sizes and chunks. */
TEST(large_bodies)
{
    static char body[60000];

    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)(i * 2654435761u >> 24);
    for (int round = 0; round < 30; round++) {
        size_t len = rand_below(sizeof(body)), at = 0;
        bool chunked = round % 2 == 0;
        struct text t;

        text_init(&t, NULL);
        if (chunked)
            TEXT_LIT(&t, OK "Transfer-Encoding: chunked\r\n\r\n");
        else
            text_fmt(&t, OK "Content-Length: %zu\r\n\r\n", len);
        while (chunked && at < len) {
            size_t n = num_min(len - at, 1 + rand_below(9000));

            text_fmt(&t, "%zx\r\n", n);
            text_bytes(&t, body + at, n);
            TEXT_LIT(&t, "\r\n");
            at += n;
        }
        if (chunked)
            TEXT_LIT(&t, "0\r\n\r\n");
        else
            text_bytes(&t, body, len);
        start(false, false);
        listen_to(text_str(&t), 1 + rand_below(20000), false);
        CHECK_EQ(out.how, H1_RECV_END, "complete");
        CHECK(out.len == len && memcmp(out.body, body, len) == 0, "%zu bytes", len);
        CHECK(end(), "used again");
        text_free(&t);
    }
}

TEST(splice_of_a_body)
{
    char got[64];
    struct h1_response_head head;
    const char *why;
    struct str first;
    int pipe_fds[2];
    size_t n = 0;

    start(false, false);
    ASSERT(pipe2(pipe_fds, O_NONBLOCK) == 0);
    fields_init(&fields, &arena);
    CHECK_EQ(write(far_end, OK "Content-Length: 6\r\n\r\n", 38), 38);
    loop_turn(0);
    CHECK_EQ(h1_client_recv_head(&h, &arena, &head, &fields, &why), H1_RECV_HEAD);
    CHECK_EQ(h1_client_take(&h, &first), H1_RECV_NOTHING);
    CHECK_EQ(h1_client_splice(&h, pipe_fds[1], 100, &n), H1_RECV_NOTHING, "nothing yet");
    CHECK_EQ(write(far_end, "abcdef", 6), 6);
    loop_turn(0);
    CHECK_EQ(h1_client_splice(&h, pipe_fds[1], 4, &n), H1_RECV_BYTES);
    CHECK_EQ(n, 4, "as many as asked");
    CHECK_EQ(h1_client_splice(&h, pipe_fds[1], 100, &n), H1_RECV_END);
    CHECK_EQ(read(pipe_fds[0], got, sizeof(got)), 6);
    CHECK(memcmp(got, "abcdef", 6) == 0, "the bytes");
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    CHECK(end(), "used again");
}

/* ---- requests ---- */

/* Gives `len` bytes in random pieces, with WAIT between them. */
struct feed {
    struct source source;
    size_t at, len;
    bool fails;
};

static char feed_bytes[400000];

static enum pull
feed_pull(struct source *s, struct batch *b)
{
    struct feed *f = CONTAINER_OF(s, struct feed, source);

    if (rand_below(4) == 0)
        return PULL_WAIT;
    for (unsigned i = rand_below(3); i < 3 && f->at < f->len; i++) {
        size_t n = num_min(f->len - f->at, 1 + rand_below(60000));

        batch_mem(b, feed_bytes + f->at, n);
        f->at += n;
    }
    if (f->at < f->len)
        return b->n > 0 ? PULL_MORE : PULL_WAIT;
    return f->fails ? PULL_FAILED : PULL_END;
}

static void
feed_stop(struct source *s UNUSED, enum stop why UNUSED)
{
}

static const struct source_ops feed_ops = { feed_pull, feed_stop };

static struct text received;

static void
drain(void)
{
    char buf[50000];
    ssize_t n;

    while ((n = read(far_end, buf, 1 + rand_below(sizeof(buf)))) > 0)
        text_bytes(&received, buf, (size_t)n);
}

static enum h1_sent
send_all(struct feed *f)
{
    enum h1_sent sent = H1_SENT_WAITS;

    text_init(&received, NULL);
    for (int turn = 0; turn < 100000; turn++) {
        sent = h1_client_send(&h, f != NULL ? &f->source : NULL);
        if (sent != H1_SENT_BLOCKED && sent != H1_SENT_WAITS)
            break;
        if (rand_below(3) == 0)
            drain();
        loop_turn(0);
    }
    drain();
    return sent;
}

static void
put_head(const char *text)
{
    struct buf *b = h1_client_out(&h, strlen(text));

    memcpy(b->mem, text, strlen(text));
    b->end = (uint32_t)strlen(text);
}

TEST(requests)
{
    for (size_t i = 0; i < sizeof(feed_bytes); i++)
        feed_bytes[i] = (char)(i * 2654435761u >> 24);
    for (int round = 0; round < 60; round++) {
        struct feed f = { .source = { .ops = &feed_ops }, .len = rand_below(sizeof(feed_bytes)) };
        bool chunked = round % 2 == 0, wrong = false;
        struct h1_chunked decoder = { 0 };
        struct str rest, data;
        size_t at = 0;

        start(false, chunked);
        put_head("HEAD\r\n");
        CHECK_EQ(send_all(&f), H1_SENT_ALL, "through");
        rest = text_str(&received);
        CHECK(str_starts(rest, S("HEAD\r\n")), "the head first");
        rest = str_from(rest, 6);
        while (chunked && !wrong) {
            enum h1_chunk k = h1_chunk_next(&decoder, &rest, &data);

            if (k == CHUNK_DATA) {
                wrong = data.len > f.len - at || memcmp(data.ptr, feed_bytes + at, data.len) != 0;
                at += data.len;
                continue;
            }
            CHECK_EQ(k, CHUNK_END, "the coding");
            CHECK_EQ(rest.len, 0, "and no more");
            break;
        }
        CHECK(!wrong, "the bytes of chunks");
        if (chunked)
            CHECK_EQ(at, f.len, "all of them");
        else
            CHECK(rest.len == f.len && memcmp(rest.ptr, feed_bytes, f.len) == 0, "the body");
        (void)end();
        text_free(&received);
    }
}

TEST(failures_of_a_request)
{
    struct feed f = { .source = { .ops = &feed_ops }, .len = 10, .fails = true };

    start(false, false);
    put_head("HEAD\r\n");
    CHECK_EQ(send_all(NULL), H1_SENT_ALL, "no body");
    CHECK_STR(text_str(&received), "HEAD\r\n", "the head alone");
    text_free(&received);
    (void)end();

    start(false, false);
    put_head("HEAD\r\n");
    CHECK_EQ(send_all(&f), H1_SENT_BODY_FAILED, "the body's fault");
    text_free(&received);
    (void)end();

    start(false, false);
    close(far_end);
    far_end = -1;
    put_head("HEAD\r\n");
    CHECK_EQ(h1_client_send(&h, NULL), H1_SENT_FAILED, "the connection's");
    CHECK_EQ(c->error, EPIPE, "and why");
    (void)end();
}
