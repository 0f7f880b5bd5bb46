/* SPDX-License-Identifier: BSD-2-Clause */
/* target.c - forms of targets, normal paths, authorities. */
#include "worker/http/target.h"

#include "test.h"

static const struct {
    const char *text;
    enum target_form form;
    const char *scheme, *authority, *path, *query; /* query NULL: none */
} targets[] = {
    { "/", TARGET_ORIGIN, "", "", "/", NULL },
    { "/a?b", TARGET_ORIGIN, "", "", "/a", "b" },
    { "/a?", TARGET_ORIGIN, "", "", "/a", "" },
    { "/a??b?c", TARGET_ORIGIN, "", "", "/a", "?b?c" },
    { "/a?b#c", TARGET_ORIGIN, "", "", "/a", "b" },
    { "/a#c?b", TARGET_ORIGIN, "", "", "/a", NULL },
    { "//a/b", TARGET_ORIGIN, "", "", "//a/b", NULL },
    { "http://h:8/a?b", TARGET_ABSOLUTE, "http", "h:8", "/a", "b" },
    { "http://h", TARGET_ABSOLUTE, "http", "h", "/", NULL },
    { "http://h?b", TARGET_ABSOLUTE, "http", "h", "/", "b" },
    { "HTTPS://h#x", TARGET_ABSOLUTE, "HTTPS", "h", "/", NULL },
    { "http:///a", TARGET_ABSOLUTE, "http", "", "/a", NULL },
    { "h:443", TARGET_AUTHORITY, "", "h:443", "", NULL },
    { "[::1]:443", TARGET_AUTHORITY, "", "[::1]:443", "", NULL },
    { "*", TARGET_ASTERISK, "", "", "", NULL },
    { "", TARGET_BAD, "", "", "", NULL },
    { "a", TARGET_BAD, "", "", "", NULL },
    { "?a", TARGET_BAD, "", "", "", NULL },
    { "://h/", TARGET_BAD, "", "", "", NULL },
    { "1http://h/", TARGET_BAD, "", "", "", NULL },
    { "http:/h/", TARGET_BAD, "", "", "", NULL },
};

TEST(forms)
{
    EACH (targets, t) {
        struct target got = target_parse(str_c(t->text));

        CHECK_EQ(got.form, t->form, "%s", t->text);
        CHECK(str_eq(got.scheme, str_c(t->scheme)), "%s", t->text);
        CHECK(str_eq(got.authority, str_c(t->authority)), "%s", t->text);
        CHECK(str_eq(got.path, str_c(t->path)), "%s", t->text);
        CHECK_EQ(got.has_query, t->query != NULL, "%s", t->text);
        CHECK(str_eq(got.query, str_c(t->query)), "%s", t->text);
    }
}

/* Each was seen on a running nginx. */
static const struct {
    const char *path, *normal; /* NULL: refused */
} paths[] = {
    { "/u", "/u" },
    { "/u/../u", "/u" },
    { "/..", NULL },
    { "/a/../../u", NULL },
    { "/u//b", "/u/b" },
    { "/u/./b", "/u/b" },
    { "/u/.", "/u/" },
    { "/u/..", "/" },
    { "/u/b/..", "/u/" },
    { "/u/b/.", "/u/b/" },
    { "/u/...", "/u/..." },
    { "/u/.b", "/u/.b" },
    { "/u/..b", "/u/..b" },
    { "/u%2Fb", "/u/b" },
    { "/u%2f..%2f..%2fb", NULL },
    { "/u/%2e%2e/u", "/u" },
    { "/u%00", NULL },
    { "/u%", NULL },
    { "/u%4", NULL },
    { "/u%zz", NULL },
    { "/u%41", "/uA" },
    { "/u%3Fx", "/u?x" },
    { "/u%23x", "/u#x" },
    { "/u#y", "/u" },
    { "/u/a%20b", "/u/a b" },
    { "/u\\..\\b", "/u\\..\\b" },
    { "/u+b", "/u+b" },
    { "/u%2525", "/u%25" },
    { "///u//", "/u/" },
    { "/.", "/" },
    { "/..%2f", NULL },
    { "/%2e%2e", NULL },
    { "/u%2e", "/u." },
    { "/u/..%23", "/u/..#" },
    { "/u/%2e%2e%2f%2e%2e/x", NULL },
    { "/u/%252e%252e/", "/u/%2e%2e/" },
    { "/u%2F%2Fb", "/u/b" },
    { "/u/b%2F../", "/u/" },
    { "/u/..;/b", "/u/..;/b" },
    { "/%2F..%2Fu", NULL },
    { "/u/b/%2e%2e%2Fc", "/u/c" },
    { "/a/b/../../c", "/c" },
    { "u", NULL },
    { "", NULL },
};

static bool
normalise(const char *path, bool merge, char *to, bool *plain)
{
    struct text t;
    bool ok;

    text_init_fixed(&t, to, 100);
    ok = target_normalise(str_c(path), merge, &t, plain);
    to[ok ? t.len : 0] = 0;
    return ok;
}

TEST(normal_paths)
{
    EACH (paths, p) {
        char to[101];
        bool plain = false, ok = normalise(p->path, true, to, &plain);

        CHECK_EQ(ok, p->normal != NULL, "%s", p->path);
        if (ok && p->normal != NULL) {
            CHECK(strcmp(to, p->normal) == 0, "%s: %s", p->path, to);
            CHECK_EQ(plain, strcmp(p->path, p->normal) == 0, "%s", p->path);
        }
    }
}

TEST(slashes_are_kept_when_asked)
{
    char to[101];
    bool plain;

    CHECK(normalise("//a///b/", false, to, &plain) && strcmp(to, "//a///b/") == 0 && plain, "%s",
          to);
    CHECK(normalise("/a//../b", false, to, &plain) && strcmp(to, "/a/b") == 0, "%s", to);
    CHECK(normalise("//..", false, to, &plain) && strcmp(to, "/") == 0, "%s", to);
    CHECK(!normalise("/../", false, to, &plain));
}

static const struct {
    const char *text, *host; /* NULL: refused */
    int port;
} authorities[] = {
    { "a.example", "a.example", -1 },
    { "A.Example.:80", "a.example", 80 },
    { "a:", "a", -1 },
    { "a_b%41\xc3\xa4", "a_b%41\xc3\xa4", -1 },
    { "[::1]", "[::1]", -1 },
    { "[FE80::1]:8080", "[fe80::1]", 8080 },
    { "127.0.0.1:0", "127.0.0.1", 0 },
    { "", NULL, 0 },
    { ".", NULL, 0 },
    { ":80", NULL, 0 },
    { "a..b", NULL, 0 },
    { "a b", NULL, 0 },
    { "a/b", NULL, 0 },
    { "u@a", NULL, 0 },
    { "a:80x", NULL, 0 },
    { "a:65536", NULL, 0 },
    { "a:-1", NULL, 0 },
    { "a:1:2", NULL, 0 },
    { "[::1", NULL, 0 },
    { "[::1]x", NULL, 0 },
    { "[]", NULL, 0 },
    { "[::1/]", NULL, 0 },
    { "a]", NULL, 0 },
    { "a\x7f", NULL, 0 },
};

TEST(authority)
{
    struct arena a;

    arena_init(&a, 256);
    EACH (authorities, t) {
        struct str host = STR_NONE;
        int port = 0;
        bool ok = authority_parse(str_c(t->text), &a, &host, &port);

        CHECK_EQ(ok, t->host != NULL, "%s", t->text);
        if (ok && t->host != NULL) {
            CHECK(str_eq(host, str_c(t->host)), "%s: %.*s", t->text, STR(host));
            CHECK_EQ(port, t->port, "%s", t->text);
        }
    }
    CHECK(!authority_parse(S("a\0b"), &a, &(struct str){ 0 }, &(int){ 0 }));
    arena_free(&a);
}
