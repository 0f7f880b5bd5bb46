/* SPDX-License-Identifier: BSD-2-Clause */
/* location.c - which location serves a URI. */
#include "test.h"

#include "t/unit/worker/http/http_fixture.h"

/* The name of the location that is found, or "" when there is none. */
static struct str
found(const struct web *w, const char *uri)
{
    static char name[64];
    struct conn c;
    struct request *r = web_request(w, &c, 0, NULL, "a", uri);

    location_find(&r->x);
    str_to_c(r->location != NULL ? r->location->name : S(""), name, sizeof(name));
    web_request_end(r);
    return str_c(name);
}

struct row {
    const char *uri, *location;
};

static void
check_rows(const char *conf, const struct row *rows, size_t n)
{
    struct web w;

    if (web_load(&w, conf) == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    for (size_t i = 0; i < n; i++)
        CHECK_STR(found(&w, rows[i].uri), rows[i].location, "%s in %s", rows[i].uri, conf);
    web_end(&w);
}

TEST(precedence)
{
    static const struct row rows[] = {
        { "/", "/" },
        { "/index.html", "/" },
        { "/documents/document.html", "/documents/" },
        { "/documents", "/" },
        { "/images/1.gif", "/images/" }, /* ^~: no regular expressions */
        { "/documents/1.jpg", "\\.(gif|jpg)$" },
        { "/x.GIF", "/" },
        { "/x.PNG", "\\.png$" },
        { "/exact", "/exact" },
        { "/exact/", "/" },
        { "/exactly", "/" },
        { "/both", "/both" },
        { "/bothy.jpg", "\\.(gif|jpg)$" },
        { "/abc", "/abc" },
        { "/abd", "/ab" },
        { "/ab", "/ab" },
        { "/a", "/" },
        { "/first.jpg", "\\.(gif|jpg)$" }, /* the first one that matches */
    };

    check_rows("server { location / {} location /documents/ {} location ^~ /images/ {}"
               " location ~ \\.(gif|jpg)$ {} location ~* \\.png$ {} location = /exact {}"
               " location = /both {} location /both {} location /ab {} location /abc {}"
               " location ~ ^/first {} }",
               rows, ARRAY_LEN(rows));
}

TEST(without_a_match)
{
    static const struct row rows[] = { { "/b", "" }, { "/a/b", "/a/" } };

    check_rows("server { location /a/ {} }", rows, ARRAY_LEN(rows));
}

TEST(nested)
{
    static const struct row rows[] = {
        { "/a/", "/a/" },
        { "/a/b/c", "/a/b/" },
        { "/a/b/c.php", "\\.php$" }, /* within /a/ */
        { "/a/deep/x", "/a/deep/" },
        { "/a/deep/x.txt", "\\.txt$" },
        { "/a/x.outer", "\\.outer$" }, /* the outer level's, when no inner one matches */
        { "/r/inner/x", "inner" },     /* a pattern within a pattern */
        { "/r/x", "^/r/" },
        { "/a/b/exact", "/a/b/exact" },
    };

    check_rows("server { location /a/ { location /a/b/ {} location ~ \\.php$ {}"
               "   location = /a/b/exact {}"
               "   location /a/deep/ { location ~ \\.txt$ {} } }"
               " location ~ \\.outer$ {} location ~ ^/r/ { location ~ inner {} } }",
               rows, ARRAY_LEN(rows));
}

/* Prefixes that share bytes in all ways. */
TEST(radix_tree)
{
    static const struct row rows[] = {
        { "/", "" },
        { "/f", "" },
        { "/fo", "/fo" },
        { "/foo", "/foo" },
        { "/foob", "/foo" },
        { "/foobar", "/foobar" },
        { "/foobaz", "/foobaz" },
        { "/foobay", "/foo" },
        { "/fob", "/fo" },
        { "/x/y", "/x" },
        { "/x", "/x" },
        { "/y", "" },
    };

    check_rows("server { location /foobar {} location /foo {} location /foobaz {} location /fo {}"
               " location /x {} }",
               rows, ARRAY_LEN(rows));
}

TEST(many)
{
    struct web w;
    struct text conf;
    char uri[32], want[32];

    text_init(&conf, NULL);
    TEXT_LIT(&conf, "server {");
    for (int i = 0; i < 1000; i++)
        text_fmt(&conf, " location /p%d/ {}", i);
    for (int i = 0; i < 200; i++)
        text_fmt(&conf, " location ~ ^/r%d/.*\\.x$ {}", i);
    TEXT_LIT(&conf, " }");
    text_char(&conf, '\0');
    if (web_load(&w, conf.ptr) == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(uri, sizeof(uri), "/p%d/x", i);
        snprintf(want, sizeof(want), "/p%d/", i);
        CHECK_STR(found(&w, uri), want, "%s", uri);
    }
    CHECK_STR(found(&w, "/r199/y.x"), "^/r199/.*\\.x$", "the last pattern");
    CHECK_STR(found(&w, "/p1000/x"), "", "none");
    web_end(&w);
    text_free(&conf);
}

TEST(limit_except)
{
    struct web w;
    struct conn c;
    struct request *r;

    if (web_load(&w, "server { location / { limit_except GET { } } }") == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    r = web_request(&w, &c, 0, NULL, "a", "/");
    r->method = METHOD_POST;
    location_find(&r->x);
    CHECK_EQ((int)r->x.scope->kind, (int)SCOPE_LIMIT_EXCEPT, "POST");
    r->method = METHOD_HEAD; /* comes with GET */
    location_find(&r->x);
    CHECK_EQ((int)r->x.scope->kind, (int)SCOPE_LOCATION, "HEAD");
    r->method = METHOD_OTHER;
    location_find(&r->x);
    CHECK_EQ((int)r->x.scope->kind, (int)SCOPE_LIMIT_EXCEPT, "an unknown method");
    web_request_end(r);
    web_end(&w);
}

TEST(internal)
{
    struct web w;
    struct conn c;
    struct request *r;

    if (web_load(&w, "server { location /i/ { internal; location /i/j/ {} } location @n {} }") ==
        NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    r = web_request(&w, &c, 0, NULL, "a", "/i/x");
    location_find(&r->x);
    CHECK_EQ(web_status, 404, "from outside");
    web_status = 0;
    r->uri = S("/i/j/");
    location_find(&r->x);
    CHECK_EQ(web_status, 404, "nested ones inherit it");
    web_status = 0;
    r->internal = true;
    location_find(&r->x);
    CHECK_EQ(web_status, 0, "after a redirect");
    CHECK(location_named(r->server, S("@n")) != NULL, "@n");
    CHECK(location_named(r->server, S("@m")) == NULL, "no @m");
    web_request_end(r);
    web_end(&w);
}

TEST(messages)
{
    static const struct {
        const char *conf, *message;
    } rows[] = {
        { "location /a {} location /a {}", "duplicate location \"/a\" in /w/w.conf:1" },
        { "location = /a {} location = /a {}", "duplicate location \"/a\" in /w/w.conf:1" },
        { "location /a {} location ^~ /a {}", "duplicate location \"/a\" in /w/w.conf:1" },
        { "location @a {} location @a {}", "duplicate location \"@a\" in /w/w.conf:1" },
        { "location = /a {} location /a {}", "" },
        { "location x /a {}", "invalid location modifier \"x\" in /w/w.conf:1" },
        { "location /a { location @b {} }",
          "named location \"@b\" can be on the server level only in /w/w.conf:1" },
        { "location @a { location /b {} }",
          "location \"/b\" cannot be inside the named location \"@a\" in /w/w.conf:1" },
        { "location = /a { location /a/b {} }",
          "location \"/a/b\" cannot be inside the exact location \"/a\" in /w/w.conf:1" },
        { "location /a { location /b {} }",
          "location \"/b\" is outside location \"/a\" in /w/w.conf:1" },
        { "location / { limit_except FOO {} }", "invalid method \"FOO\" in /w/w.conf:1" },
    };

    EACH (rows, row) {
        struct web w;
        char conf[256];

        snprintf(conf, sizeof(conf), "server { %s }", row->conf);
        web_load(&w, conf);
        CHECK_STR(web_message(&w, 0), row->message, "%s", row->conf);
        web_end(&w);
    }
}

/* What a pattern has to begin with saves the match itself; it must never cost one. */
TEST(literal_prefix)
{
    static const struct row rows[] = {
        { "/ab", "^/abc?$" },       { "/abc", "^/abc?$" }, { "/xz", "^/xy*z" },
        { "/q1", "^/q{0,1}|^/q1" }, { "/p.q", "^/p\\.q" }, { "/w|v", "^/w[|]v" },
        { "/m(n", "^/m\\(n" },
    };

    check_rows("server { location ~ ^/abc?$ {} location ~ ^/xy*z {} location ~ ^/p\\.q {}"
               " location ~ ^/w[|]v {} location ~ ^/m\\(n {} location ~ \"^/q{0,1}|^/q1\" {} }",
               rows, ARRAY_LEN(rows));
}
