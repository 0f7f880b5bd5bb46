/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_parse.c - heads of HTTP/1: where they end, what is read from them, what is refused. */
#include "worker/h1/h1.h"

#include "test.h"

static const struct h1_limits limits = { .max_fields = 20, .ignore_invalid_names = true };

TEST(end_of_head)
{
    static const struct {
        const char *text;
        size_t end;
    } heads[] = {
        { "GET / HTTP/1.1\r\n\r\n", 18 },
        { "GET / HTTP/1.1\n\n", 16 },
        { "GET / HTTP/1.1\n\r\nmore", 17 },
        { "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next", 27 },
        { "\r\n\nGET / HTTP/1.1\r\n\r\n", 21 },
        { "GET / HTTP/1.1\r\nHost: a\r\n", 0 },
        { "GET / HTTP/1.1\r\nHost: a\r\n\r", 0 },
        { "GET / HTTP/1.1\r\r\n", 0 },
        { "\r\n\r\n\r\n", 0 },
        { "", 0 },
        { "GET / HTTP/1.1\r\nA: 123456789012345678901234567890123\r\nB: 12345678901234567890\n\n",
          79 },
    };

    EACH (heads, h) {
        struct str all = str_c(h->text);
        size_t scanned = 0, found = 0;

        CHECK_EQ(h1_head_end(all, &scanned), h->end, "%s", h->text);
        /* byte by byte: found with the byte that completes it */
        scanned = 0;
        for (size_t n = 0; n <= all.len && found == 0; n++) {
            found = h1_head_end(str_upto(all, n), &scanned);
            CHECK(found == 0 || found == n, "%s: %zu at %zu", h->text, found, n);
        }
        CHECK_EQ(found, h->end, "%s", h->text);
    }
}

/* Requests by their first line or the fields behind it, and what they are answered with (0: accepted). */
static const struct {
    const char *text;
    size_t len;
    int status;
} requests[] = {
#define R(text, status)                \
    {                                  \
        text, sizeof(text) - 1, status \
    }
#define F(text, status) R("GET / HTTP/1.1\r\n" text "\r\n\r\n", status)
    R("GET / HTTP/1.0\r\n\r\n", 0),
    R("GET / HTTP/1.1\n\n", 0),
    R("\r\nGET / HTTP/1.1\r\n\r\n", 0),
    R("GET  /  HTTP/1.1  \r\n\r\n", 0),
    R("M-_ETHOD /\xff HTTP/1.999\r\n\r\n", 0),
    R("GET / HTTP/1.1000\r\n\r\n", 400),
    R("GET / HTTP/2.0\r\n\r\n", 505),
    R("PRI * HTTP/2.0\r\n\r\n", 505),
    R("GET / HTTP/11.1\r\n\r\n", 505),
    R("GET / HTTP/0.9\r\n\r\n", 400),
    R("GET / HTTP/01.1\r\n\r\n", 400),
    R("GET / HTTP/1\r\n\r\n", 400),
    R("GET / HTTP/1.\r\n\r\n", 400),
    R("GET / HTTP/1.1x\r\n\r\n", 400),
    R("GET / http/1.1\r\n\r\n", 400),
    R("GET /\r\n\r\n", 400),
    R("GET\r\n\r\n", 400),
    R("GET /a b HTTP/1.1\r\n\r\n", 400),
    R("GET\t/ HTTP/1.1\r\n\r\n", 400),
    R("GET /a\tb HTTP/1.1\r\n\r\n", 400),
    R("GET /\0 HTTP/1.1\r\n\r\n", 400),
    R("GET /\x7f HTTP/1.1\r\n\r\n", 400),
    R("GET /\r HTTP/1.1\r\n\r\n", 400),
    R("\rGET / HTTP/1.1\r\n\r\n", 400),
    R(" GET / HTTP/1.1\r\n\r\n", 400),
    R("get / HTTP/1.1\r\n\r\n", 400),
    R("G3T / HTTP/1.1\r\n\r\n", 400),
    F("Host: a", 0),
    F("Host:a", 0),
    F("Host:", 0),
    F("X: \t a\tb\xff \t", 0),
    F("X(y: dropped", 0),
    F("Host : a", 400),
    F("Ho st: a", 400),
    F(" Host: a", 400),
    F("X: a\r\n folded", 400),
    F("X: a\r\n\tfolded", 400),
    F("no colon", 400),
    F("nocolon", 400),
    F("nocolon\r\nHost: a", 400),
    F(": empty", 400),
    F("X: a\rb", 400),
    F("X: a\r", 400),
    F("X: a\0b", 400),
    F("X: \x01", 400),
    F("X: \x7f", 400),
    F("X\x01: a", 400),
    F("Content-Length: 0", 0),
    F("Content-Length: 9223372036854775807", 0),
    F("Content-Length: 9223372036854775808", 400),
    F("Content-Length: 99999999999999999999", 400),
    F("Content-Length: +1", 400),
    F("Content-Length: -1", 400),
    F("Content-Length: 1, 1", 400),
    F("Content-Length: 0x1", 400),
    F("Content-Length: 1 1", 400),
    F("Content-Length:", 400),
    F("Content-Length: 1\r\nContent-Length: 1", 400),
    F("Content-Length: 1\r\nTransfer-Encoding: chunked", 400),
    F("Transfer-Encoding: chunked\r\ncontent-length: 1", 400),
    F("Transfer-Encoding: Chunked", 0),
    F("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    F("Transfer-Encoding: chunked, chunked", 501),
    F("Transfer-Encoding: gzip, chunked", 501),
    F("Transfer-Encoding: identity", 501),
    F("Transfer-Encoding:", 501),
    F("Transfer-Encoding: \x0b"
      "chunked",
      400),
    R("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
#undef F
#undef R
};

TEST(what_is_refused)
{
    EACH (requests, r) {
        struct arena a;
        struct fields f;
        struct h1_request_head h;
        int status;
        const char *why;

        arena_init(&a, 1024);
        fields_init(&f, &a);
        why = h1_parse_request(str_n(r->text, r->len), &limits, &h, &f, &status);
        CHECK_EQ(why == NULL ? 0 : status, r->status, "%s (%s)", r->text,
                 why != NULL ? why : "good");
        arena_free(&a);
    }
}

TEST(what_is_read)
{
    static const char text[] =
        "\r\nPOST /a?b  HTTP/1.7\r\nHost: x\r\nContent-Length: 12\r\nX-Y:  z \r\n"
        "under_score: 1\r\nCONNECTION: foo, close\r\n\r\n";
    struct arena a;
    struct fields f;
    struct h1_request_head h;
    int status;

    arena_init(&a, 1024);
    fields_init(&f, &a);
    REQUIRE(h1_parse_request(str_c(text), &limits, &h, &f, &status) == NULL);
    CHECK(str_eq(h.line, S("POST /a?b  HTTP/1.7")));
    CHECK(str_eq(h.method, S("POST")) && str_eq(h.target, S("/a?b")));
    CHECK_EQ(h.version, HTTP_11);
    CHECK_EQ(h.framing, H1_LENGTH);
    CHECK_EQ(h.length, 12u);
    CHECK(!h.keepalive);
    CHECK_EQ(f.n, 4, "the underscore is dropped");
    CHECK(str_eq(fields_value(&f, FIELD_HOST), S("x")));
    CHECK(str_eq(fields_joined(&f, S("x-y"), ",", &a), S("z")));
    arena_free(&a);
}

TEST(keep_alive)
{
    static const struct {
        const char *text;
        bool keep;
    } heads[] = {
        { "GET / HTTP/1.1\r\n\r\n", true },
        { "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nConnection: Keep-Alive, Close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n", true },
        { "GET / HTTP/1.0\r\n\r\n", false },
        { "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true },
        { "GET / HTTP/1.0\r\nConnection: upgrade\r\n\r\n", false },
    };

    EACH (heads, t) {
        struct arena a;
        struct fields f;
        struct h1_request_head h;
        int status;

        arena_init(&a, 1024);
        fields_init(&f, &a);
        CHECK(h1_parse_request(str_c(t->text), &limits, &h, &f, &status) == NULL);
        CHECK_EQ(h.keepalive, t->keep, "%s", t->text);
        arena_free(&a);
    }
}

TEST(limits_and_names)
{
    struct h1_limits strict = { .max_fields = 2,
                                .ignore_invalid_names = false,
                                .underscores = true };
    struct arena a;
    struct fields f;
    struct h1_request_head h;
    int status;

    arena_init(&a, 1024);
    fields_init(&f, &a);
    CHECK(h1_parse_request(S("GET / HTTP/1.1\r\na_b: 1\r\nc: 2\r\n\r\n"), &strict, &h, &f,
                           &status) == NULL);
    CHECK_EQ(f.n, 2);
    CHECK(h1_parse_request(S("GET / HTTP/1.1\r\na.b: 1\r\n\r\n"), &strict, &h, &f, &status) ==
          NULL);
    CHECK_EQ(f.n, 3);
    CHECK(h1_parse_request(S("GET / HTTP/1.1\r\na(b: 1\r\n\r\n"), &strict, &h, &f, &status) !=
          NULL);
    CHECK(h1_parse_request(S("GET / HTTP/1.1\r\na: 1\r\nb: 1\r\nc: 1\r\n\r\n"), &strict, &h, &f,
                           &status) != NULL);
    CHECK_EQ(status, 400);
    arena_free(&a);
}

TEST(start_of_an_incomplete_head)
{
    static const struct {
        const char *text;
        int status; /* 0: may become one */
    } starts[] = {
        { "", 0 },
        { "\r", 0 },
        { "\r\n", 0 },
        { "GE", 0 },
        { "GET ", 0 },
        { "GET /x HTT", 0 },
        { "GET / HTTP/1.1\r\nHo", 0 },
        { "GET /\r\n", 400 },
        { "GET / HTTP/3.0\r\n", 505 },
        { "\x16\x03\x01", 400 },
        { "get", 400 },
        { "GET/", 400 },
        { " ", 400 },
        { "\rG", 400 },
    };

    EACH (starts, s) {
        struct h1_request_head h;
        int status;
        const char *why = h1_check_start(str_c(s->text), &h, &status);

        CHECK_EQ(why == NULL ? 0 : status, s->status, "%s", s->text);
    }
}

TEST(responses)
{
    static const struct {
        const char *text;
        int status; /* 0: refused */
        enum h1_framing framing;
        bool keep;
    } heads[] = {
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, H1_LENGTH, true },
        { "HTTP/1.1 200\r\n\r\n", 200, H1_UNTIL_CLOSE, true },
        { "HTTP/1.1 204 \r\n\r\n", 204, H1_UNTIL_CLOSE, true },
        { "HTTP/1.0 404 Not Found\nA: b\n\n", 404, H1_UNTIL_CLOSE, false },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, H1_CHUNKED, true },
        { "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n", 200,
          H1_CHUNKED, false },
        { "HTTP/1.1 200 OK\r\nX_y.z: 1\r\nConnection: close\r\n\r\n", 200, H1_UNTIL_CLOSE, false },
        { "HTTP/1.1 200 OK\r\nA(: b\r\n\r\n", 200, H1_UNTIL_CLOSE, true }, /* dropped */
        { "HTTP/1.1 099 OK\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 2000 OK\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 20 OK\r\n\r\n", 0, 0, false },
        { "HTTP/2.0 200 OK\r\n\r\n", 0, 0, false },
        { "\r\nHTTP/1.1 200 OK\r\n\r\n", 0, 0, false },
        { "ICY 200 OK\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 O\rK\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 0,
          false },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 0, 0, false },
        { "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, 0, false },
    };

    EACH (heads, t) {
        struct arena a;
        struct fields f;
        struct h1_response_head h;
        const char *why;

        arena_init(&a, 1024);
        fields_init(&f, &a);
        why = h1_parse_response(str_c(t->text), &h, &f);
        CHECK_EQ(why == NULL ? h.status : 0, t->status, "%s (%s)", t->text, why != NULL ? why : "");
        if (why == NULL) {
            CHECK_EQ(h.framing, t->framing, "%s", t->text);
            CHECK_EQ(h.keepalive, t->keep, "%s", t->text);
        }
        arena_free(&a);
    }
}
