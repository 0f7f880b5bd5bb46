/* SPDX-License-Identifier: BSD-2-Clause */
/* escape.c - encodings and back. */
#include "common/base/escape.h"

#include "common/base/rand.h"
#include "t/unit/test.h"

static struct text out;

/* What one of the functions makes of `s`. */
#define MADE(call) (text_free(&out), text_init(&out, NULL), (void)(call), text_str(&out))

TEST(uris)
{
    CHECK_STR(MADE(escape_uri(&out, S("/a b%\"#?&=;+é~\x7f"), ESCAPE_URI_PATH)),
              "/a%20b%25%22%23%3F&=;+%C3%A9~%7F");
    CHECK_STR(MADE(escape_uri(&out, S("a=b&c;+ %#"), ESCAPE_URI_ARGS)), "a=b&c;+%20%25%23");
    CHECK_STR(MADE(escape_uri(&out, S("a=b&c;+ "), ESCAPE_URI_VALUE)), "a=b%26c%3B%2B%20");
    CHECK_STR(MADE(escape_uri(&out, S("aZ09-._~/:@!$"), ESCAPE_URI_COMPONENT)),
              "aZ09-._~%2F%3A%40%21%24");
    CHECK_STR(MADE(escape_uri(&out, str_n("\0", 1), ESCAPE_URI_COMPONENT)), "%00");
    CHECK_STR(MADE(unescape_uri(&out, S("%41%6a%6A%zz%4"))), "Ajj%zz%4");
    CHECK_STR(MADE(unescape_uri(&out, S("%"))), "%");
    CHECK_STR(MADE(unescape_uri(&out, S("%%41"))), "%A");
}

TEST(html)
{
    CHECK_STR(MADE(escape_html(&out, S("<a href=\"x\">'&'</a>"))),
              "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
}

TEST(json)
{
    CHECK_STR(MADE(escape_json(&out, S("a\"\\\n\r\t\b\f\x01/\x7f"))),
              "a\\\"\\\\\\n\\r\\t\\b\\f\\u0001/\x7f");
    CHECK_STR(MADE(escape_json(&out, S("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"))),
              "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static const struct {
    const char *bytes, *json;
} not_utf8[] = {
    { "\xff", "\\u00FF" },
    { "\xc3", "\\u00C3" }, /* the end is missing */
    { "\xc3x", "\\u00C3x" },
    { "\xc0\x80", "\\u00C0\\u0080" }, /* overlong */
    { "\xe0\x80\x80", "\\u00E0\\u0080\\u0080" },
    { "\xed\xa0\x80", "\\u00ED\\u00A0\\u0080" }, /* a surrogate */
    { "\xf4\x90\x80\x80", "\\u00F4\\u0090\\u0080\\u0080" },
};

TEST(bytes_that_are_no_utf8)
{
    EACH (not_utf8, n)
        CHECK_STR(MADE(escape_json(&out, str_c(n->bytes))), n->json);
}

TEST(logs)
{
    CHECK_STR(MADE(escape_log(&out, S("a\"b\\c\n\x7f\xc3~ "))), "a\\x22b\\x5Cc\\x0A\\x7F\\xC3~ ");
    CHECK_STR(MADE(escape_line(&out, S("a\"b\\c\n\x1b[\x7f\xc3\xa9\xff\xc2\x9b"))),
              "a\"b\\c\\x0A\\x1B[\\x7F\xc3\xa9\\xFF\\xC2\\x9B");
}

static const struct {
    const char *plain, *padded, *url;
} base64[] = {
    { "", "", "" },
    { "f", "Zg==", "Zg" },
    { "fo", "Zm8=", "Zm8" },
    { "foo", "Zm9v", "Zm9v" },
    { "foob", "Zm9vYg==", "Zm9vYg" },
    { "\xfb\xff\xbf", "+/+/", "-_-_" },
};

TEST(base64_of_rfc4648)
{
    EACH (base64, b) {
        CHECK_STR(MADE(escape_base64(&out, str_c(b->plain))), b->padded);
        CHECK_STR(MADE(escape_base64url(&out, str_c(b->plain))), b->url);
        CHECK_STR(MADE(unescape_base64(&out, str_c(b->padded))), b->plain);
        CHECK_STR(MADE(unescape_base64url(&out, str_c(b->url))), b->plain);
    }
    CHECK_STR(MADE(unescape_base64(&out, S("Zg"))), "f");
}

TEST(what_is_no_base64_is_refused)
{
    static const char *const wrong[] = { "Z",    "Zm9vY", "Zg=",  "Zg===", "Z===",
                                         "====", "Zm9-",  "Z g=", "=" };

    EACH (wrong, w) {
        text_free(&out);
        text_init(&out, NULL);
        CHECK(!unescape_base64(&out, str_c(*w)), "%s", *w);
    }
}

/* Whatever the bytes: back and forth they are the same. */
TEST(round_trips)
{
    for (unsigned i = 0; i < 2000; i++) {
        char bytes[40];
        struct text coded;
        size_t n = rand_below(sizeof(bytes));

        rand_bytes(bytes, n);
        text_init(&coded, NULL);
        escape_uri(&coded, str_n(bytes, n), (enum escape_uri)(i % 4));
        CHECK(str_eq(MADE(unescape_uri(&out, text_str(&coded))), str_n(bytes, n)));
        coded.len = 0;
        escape_base64(&coded, str_n(bytes, n));
        CHECK(str_eq(MADE(unescape_base64(&out, text_str(&coded))), str_n(bytes, n)));
        text_free(&coded);
    }
    text_free(&out);
}
