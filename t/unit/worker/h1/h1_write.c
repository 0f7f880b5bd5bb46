/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_write.c - response heads: order, framing, and what does not get out. */
#include "worker/h1/h1_write.h"

#include "test.h"

#include "worker/h1/h1.h"

static struct arena a;
static struct response res;
static struct h1_head head;
static char out[4096];

static void
begin(uint16_t status)
{
    arena_free(&a);
    arena_init(&a, 1024);
    memset(&res, 0, sizeof(res));
    fields_init(&res.fields, &a);
    res.status = status;
    res.length = -1;
    res.last_modified = -1;
    head = (struct h1_head){ .res = &res,
                             .ending = H1_END_NONE,
                             .server_line = S("Server: weir\r\n"),
                             .date = S("Fri, 20 Nov 2026 12:00:00 GMT"),
                             .keepalive = true };
}

static const char *
written(void)
{
    struct text t;

    text_init_fixed(&t, out, sizeof(out) - 1);
    h1_write_head(&t, &head);
    out[t.len] = 0;
    return t.failed ? "failed" : out;
}

#define CHECK_HEAD(text)                                              \
    do {                                                              \
        const char *got = written();                                  \
        CHECK(strcmp(got, text) == 0, "%s instead of %s", got, text); \
    } while (0)

TEST(order_is_nginx_s)
{
    begin(200);
    res.content_type = S("text/html");
    res.charset = S("utf-8");
    res.length = 5;
    res.last_modified = 784111777;
    res.etag = S("\"abc\"");
    head.ending = H1_END_LENGTH;
    head.keepalive_s = 20;
    fields_add(&res.fields, FIELD_OTHER, S("X-One"), S("1"));
    fields_add(&res.fields, FIELD_LOCATION, STR_NONE, S("/x"));
    fields_add(&res.fields, FIELD_ACCEPT_RANGES, STR_NONE, S("bytes"));
    CHECK_HEAD("HTTP/1.1 200 OK\r\nServer: weir\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
               "Content-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\n"
               "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nLocation: /x\r\n"
               "Connection: keep-alive\r\nKeep-Alive: timeout=20\r\nETag: \"abc\"\r\nX-One: 1\r\n"
               "Accept-Ranges: bytes\r\n\r\n");
}

TEST(an_origin_s_own_fields)
{
    begin(299);
    res.reason = S("Fine");
    head.ending = H1_END_CHUNKED;
    head.keepalive = false;
    fields_add(&res.fields, FIELD_DATE, STR_NONE, S("then"));
    fields_add(&res.fields, FIELD_SERVER, STR_NONE, S("origin"));
    fields_add(&res.fields, FIELD_CONTENT_LENGTH, STR_NONE, S("7"));
    fields_add(&res.fields, FIELD_TRANSFER_ENCODING, STR_NONE, S("gzip"));
    fields_add(&res.fields, FIELD_CONNECTION, STR_NONE, S("keep-alive"));
    fields_add(&res.fields, FIELD_KEEP_ALIVE, STR_NONE, S("timeout=5"));
    fields_add(&res.fields, FIELD_CONTENT_TYPE, STR_NONE, S("a/b"));
    CHECK_HEAD("HTTP/1.1 299 Fine\r\nServer: origin\r\nDate: then\r\nTransfer-Encoding: chunked\r\n"
               "Connection: close\r\nContent-Type: a/b\r\n\r\n");
}

TEST(control_bytes_do_not_get_out)
{
    begin(200);
    head.server_line = S("");
    res.reason = S("O\rK");
    res.etag = S("\"a\nb\"");
    res.content_type = S("text/html\r\nX-Evil: 1");
    fields_add(&res.fields, FIELD_OTHER, S("X-A"), S("1\r\nX-Evil: 1"));
    fields_add(&res.fields, FIELD_OTHER, S("X-B\n"), S("1"));
    fields_add(&res.fields, FIELD_OTHER, S("X-C"), str_n("a\0b", 3));
    fields_add(&res.fields, FIELD_OTHER, S("X-D"), S("tab\tand \xff"));
    fields_add(&res.fields, FIELD_LOCATION, STR_NONE, S("/\r\n"));
    CHECK_HEAD(
        "HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\nConnection: keep-alive\r\n"
        "X-D: tab\tand \xff\r\n\r\n");
}

TEST(switching_protocols)
{
    begin(101);
    res.tunnel = true;
    fields_add(&res.fields, FIELD_UPGRADE, STR_NONE, S("websocket"));
    CHECK_HEAD(
        "HTTP/1.1 101 Switching Protocols\r\nServer: weir\r\n"
        "Date: Fri, 20 Nov 2026 12:00:00 GMT\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST(a_head_that_does_not_fit_fails)
{
    struct text t;
    char small[20];

    begin(200);
    text_init_fixed(&t, small, sizeof(small));
    h1_write_head(&t, &head);
    CHECK(t.failed);
}

TEST(status_lines)
{
    CHECK(str_eq(h1_status_line(404), S("HTTP/1.1 404 Not Found\r\n")));
    CHECK(str_eq(h1_status_line(418), S("HTTP/1.1 418 \r\n")));
    CHECK(str_eq(h1_status_line(494), S("HTTP/1.1 400 Bad Request\r\n")));
    CHECK(str_eq(h1_status_line(999), S("HTTP/1.1 999 \r\n")));
}

TEST(chunk_sizes)
{
    static const struct {
        uint64_t size;
        const char *text;
    } sizes[] = { { 1, "1\r\n" },
                  { 255, "ff\r\n" },
                  { 16384, "4000\r\n" },
                  { UINT64_MAX, "ffffffffffffffff\r\n" } };

    EACH (sizes, s) {
        char room[H1_CHUNK_SIZE_MAX];
        unsigned n = h1_chunk_size_before(room + sizeof(room), s->size);

        CHECK(str_eq(str_n(room + sizeof(room) - n, n), str_c(s->text)), "%s", s->text);
    }
}

TEST(informs_and_last_chunks)
{
    struct text t;

    begin(103);
    fields_add(&res.fields, FIELD_LINK, STR_NONE, S("</a>"));
    fields_add(&res.fields, FIELD_CONNECTION, STR_NONE, S("close"));
    text_init_fixed(&t, out, sizeof(out));
    h1_write_inform(&t, &res);
    CHECK(str_eq(text_str(&t), S("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")));

    text_init_fixed(&t, out, sizeof(out));
    h1_write_last_chunk(&t, NULL);
    h1_write_last_chunk(&t, &res.fields);
    CHECK(str_eq(text_str(&t), S("0\r\n\r\n0\r\nLink: </a>\r\nConnection: close\r\n\r\n")));
}
