/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy.c - the parts of a proxy_pass URL, sets of field names. */
#include "worker/proxy/proxy.h"

#include "test.h"

static const struct {
    const char *text, *host, *host_header, *uri; /* host NULL: no URL */
} urls[] = {
    { "http://a", "a", "a", "" },
    { "HTTP://a:81", "a:81", "a:81", "" },
    { "http://a/", "a", "a", "/" },
    { "http://a:81/b/c?d", "a:81", "a:81", "/b/c?d" },
    { "http://a?b/c", "a", "a", "?b/c" },
    { "http://[::1]:81/b", "[::1]:81", "[::1]:81", "/b" },
    { "http://unix:/tmp/x", "unix:/tmp/x", "localhost", "" },
    { "http://unix:/tmp/x:", "unix:/tmp/x", "localhost", "" },
    { "http://unix:/tmp/x:/y:z", "unix:/tmp/x", "localhost", "/y:z" },
    { "http://", NULL, NULL, NULL },
    { "http:///x", NULL, NULL, NULL },
    { "http://unix:", NULL, NULL, NULL },
    { "https://a/b", "a", "a", "/b" },
    { "https:/a", NULL, NULL, NULL },
    { "a:81", NULL, NULL, NULL },
    { "", NULL, NULL, NULL },
};

TEST(urls)
{
    EACH (urls, t) {
        struct proxy_url u;

        if (t->host == NULL) {
            CHECK(!proxy_url_parse(str_c(t->text), &u), "%s", t->text);
            continue;
        }
        CHECK(proxy_url_parse(str_c(t->text), &u), "%s", t->text);
        CHECK_STR(u.host, t->host, "%s", t->text);
        CHECK_STR(u.host_header, t->host_header, "%s", t->text);
        CHECK_STR(u.uri, t->uri, "%s", t->text);
    }
}

static bool
has(const struct name_set *s, const char *name)
{
    struct field f = { .id = (uint16_t)field_id(str_c(name)), .name = str_c(name) };

    return name_set_has(s, &f);
}

TEST(sets_of_names)
{
    struct name_set s = { .known = { false } };
    struct arena a;

    arena_init(&a, 1024);
    CHECK(name_set_add(&s, &a, S("Server")) && name_set_add(&s, &a, S("X-Own")), "added");
    CHECK(has(&s, "server") && has(&s, "X-OWN"), "without case");
    CHECK(!has(&s, "Date") && !has(&s, "X-Other"), "no others");
    name_set_remove(&s, S("SERVER"));
    name_set_remove(&s, S("x-own"));
    name_set_remove(&s, S("X-Never"));
    CHECK(!has(&s, "Server") && !has(&s, "X-Own"), "removed");
    arena_free(&a);
}
