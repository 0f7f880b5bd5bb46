/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_chunk.c - the chunked coding: whole, byte by byte, and what is refused. */
#include "worker/h1/h1.h"

#include "test.h"

/* Decodes `in` in steps of `step` bytes. NULL: refused; the body in a static buffer; *rest: bytes behind the end. */
static const char *
decode(struct str in, size_t step, struct fields *trailers, bool *ended, size_t *rest)
{
    static char body[65536];
    struct h1_chunked c = { .trailers = trailers };
    size_t n = 0;

    *ended = false;
    while (in.len > 0 && !*ended) {
        struct str piece = str_upto(in, step < in.len ? step : in.len), data;

        in = str_from(in, piece.len);
        for (enum h1_chunk got = CHUNK_DATA; got == CHUNK_DATA;) {
            got = h1_chunk_next(&c, &piece, &data);
            if (got == CHUNK_BAD)
                return NULL;
            if (got == CHUNK_DATA) {
                memcpy(body + n, data.ptr, data.len);
                n += data.len;
            }
            if (got == CHUNK_END) {
                *ended = true;
                *rest = piece.len + in.len;
            }
        }
    }
    body[n] = 0;
    return body;
}

static const struct {
    const char *text;
    const char *body; /* NULL: refused */
    bool ended;
    size_t rest;
} bodies[] = {
    { "0\r\n\r\n", "", true, 0 },
    { "5\r\nhello\r\n0\r\n\r\nGET", "hello", true, 3 },
    { "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", true, 0 },
    { "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", true, 0 },
    { "0005\r\nhello\r\n000\r\n\r\n", "hello", true, 0 },
    { "5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", "hello", true, 0 },
    { "5 \t\r\nhello\r\n0 ;x\r\n\r\n", "hello", true, 0 },
    { "5\r\nhello\r\n0\r\nA: b\r\nC: d\n\r\n", "hello", true, 0 },
    { "5\r\nhel", "hel", false, 0 },
    { "5\r\nhello\r\n", "hello", false, 0 },
    { "\r\n", NULL, false, 0 },
    { "x\r\n", NULL, false, 0 },
    { "-1\r\n", NULL, false, 0 },
    { "0x5\r\nhello\r\n", NULL, false, 0 },
    { " 5\r\nhello\r\n", NULL, false, 0 },
    { "5\nhello\r\n", NULL, false, 0 },
    { "5;a\nhello\r\n", NULL, false, 0 },
    { "5;a\rb\r\nhello\r\n", NULL, false, 0 },
    { "5\r\rhello\r\n", NULL, false, 0 },
    { "5\r\nhello\n0\r\n\r\n", NULL, false, 0 },
    { "5\r\nhelloX", NULL, false, 0 },
    { "5 x\r\nhello\r\n", NULL, false, 0 },
    { "8000000000000000\r\n", NULL, false, 0 },
    { "10000000000000000\r\n", NULL, false, 0 },
    { "fffffffffffffffff\r\n", NULL, false, 0 },
    { "000000000000000000000000000000005\r\n", NULL, false, 0 },
    { "0\r\nA b: c\r\n\r\n", NULL, false, 0 },
    { "0\r\n: c\r\n\r\n", NULL, false, 0 },
    { "0\r\n a: c\r\n\r\n", NULL, false, 0 },
    { "0\r\na: c\rd\r\n\r\n", NULL, false, 0 },
    { "0\r\na\r\n\r\n", NULL, false, 0 },
    { "0\r\n\rx", NULL, false, 0 },
};

TEST(bodies_in_any_splitting)
{
    EACH (bodies, b) {
        struct str in = str_c(b->text);

        for (size_t step = 1; step <= in.len; step++) {
            bool ended;
            size_t rest = 0;
            const char *body = decode(in, step, NULL, &ended, &rest);

            CHECK(b->body == NULL ? body == NULL : body != NULL && strcmp(body, b->body) == 0,
                  "%s by %zu: %s", b->text, step, body != NULL ? body : "refused");
            if (b->body != NULL) {
                CHECK_EQ(ended, b->ended, "%s by %zu", b->text, step);
                CHECK_EQ(rest, b->rest, "%s by %zu", b->text, step);
            }
        }
    }
}

TEST(trailers_are_kept_when_asked)
{
    struct arena a;
    struct fields f;
    bool ended;
    size_t rest;

    for (size_t step = 1; step < 20; step++) {
        arena_init(&a, 1024);
        fields_init(&f, &a);
        CHECK(decode(S("1\r\nx\r\n0\r\nX-Sum:  abc \r\nContent-Length: 7\r\nEmpty:\n\r\n"), step,
                     &f, &ended, &rest) != NULL);
        CHECK(ended);
        CHECK_EQ(f.n, 2, "framing fields are dropped");
        CHECK(str_eq(fields_joined(&f, S("x-sum"), ",", &a), S("abc")));
        CHECK(str_eq(fields_joined(&f, S("empty"), ",", &a), S("")));
        arena_free(&a);
    }
}

/* Extensions are paid for with body: a chunk of one byte may not bring thousands of bytes each time. */
TEST(extensions_are_bounded)
{
    struct h1_chunked c = { 0 };
    char chunk[1024 + 8];
    unsigned n = 0;
    enum h1_chunk got;

    memset(chunk, 'e', sizeof(chunk));
    memcpy(chunk, "1;", 2);
    memcpy(chunk + sizeof(chunk) - 5, "\r\nx\r\n", 5);
    do {
        struct str in = str_n(chunk, sizeof(chunk)), data;

        while ((got = h1_chunk_next(&c, &in, &data)) == CHUNK_DATA)
            ;
        n++;
    } while (got == CHUNK_MORE && n < 100);
    CHECK_EQ(got, CHUNK_BAD);
    CHECK(n > 10 && n < 20, "%u", n);
}

TEST(bytes_may_pass_by)
{
    struct h1_chunked c = { 0 };
    struct str in = S("10\r\nab"), data, tail = S("\r\n0\r\n\r\n");

    CHECK_EQ(h1_chunk_left(&c), 0u);
    CHECK_EQ(h1_chunk_next(&c, &in, &data), CHUNK_DATA);
    CHECK_EQ(h1_chunk_left(&c), 14u);
    h1_chunk_passed(&c, 14);
    CHECK_EQ(h1_chunk_left(&c), 0u);
    CHECK_EQ(h1_chunk_next(&c, &tail, &data), CHUNK_END);
}
