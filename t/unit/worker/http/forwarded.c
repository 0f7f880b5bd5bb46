/* SPDX-License-Identifier: BSD-2-Clause */
/* forwarded.c - elements of the field Forwarded, read and written. */
#include "worker/http/forwarded.h"

#include "test.h"

/* The addresses of a line, '-' where there is none, parted by blanks; "bad" when it is malformed. */
static const struct {
    const char *line, *hops;
} lines[] = {
    { "", "" },
    { "for=192.0.2.1", "192.0.2.1:0" },
    { "FOR=\"192.0.2.1:80\";proto=http", "192.0.2.1:80" },
    { "for=\"[2001:db8::1]\"", "[2001:db8::1]:0" },
    { "for=\"[2001:db8::1]:443\"", "[2001:db8::1]:443" },
    { "for=[2001:db8::1]:443", "[2001:db8::1]:443" },
    { "for=\"192.0.2.1:_x\"", "192.0.2.1:0" },
    { "for=\"[::1]:_x\"", "[::1]:0" },
    { "for=192.0.2.1, for=192.0.2.2;by=_a,for=unknown", "192.0.2.1:0 192.0.2.2:0 -" },
    { "proto=http", "-" },
    { "by=192.0.2.1", "-" },
    { "for=_hidden", "-" },
    { "for=\"\"", "-" },
    { "for=\"unix:/tmp/s\"", "-" },
    { "for=::1", "-" },
    { "for=192.0.2.1:99999", "-" },
    { " ,\t, for=192.0.2.1 ,", "192.0.2.1:0" },
    { "for=192.0.2.1 ; proto=https", "192.0.2.1:0" },
    { ";for=192.0.2.1;;", "192.0.2.1:0" },
    { "for=\"\\1\\9\\2.0.2.1\"", "192.0.2.1:0" },
    { "host=\"a, for=192.0.2.1\"", "-" },
    { "host=\"a\\\", for=192.0.2.1\"", "-" },
    { "for", "bad" },
    { "for=", "bad" },
    { "=x", "bad" },
    { "for =192.0.2.1", "bad" },
    { "for= 192.0.2.1", "bad" },
    { "for=\"x", "bad" },
    { "for=\"x\\", "bad" },
    { "for=\"x\"y", "bad" },
    { "for=\"x\" y", "bad" },
    { "for=\"a\nb\"", "bad" },
    { "for=a;for=b", "bad" },
    { "192.0.2.1", "bad" },
    { "for=1.1.1.1 2.2.2.2", "bad" },
};

TEST(lines)
{
    EACH (lines, l) {
        struct arena a;
        struct vec hops;
        struct text t;

        arena_init(&a, 1024);
        vec_init(&hops, &a, sizeof(struct forwarded));
        text_init(&t, &a);
        if (!forwarded_parse(str_c(l->line), &hops)) {
            TEXT_LIT(&t, "bad");
            hops.len = 0;
        }
        VEC_FOREACH (hop, struct forwarded, &hops) {
            char shown[ADDR_TEXT_MAX];
            struct addr client;

            if (t.len > 0)
                text_char(&t, ' ');
            if (forwarded_addr(hop, &client))
                text_bytes(&t, shown, addr_format(&client, true, shown));
            else
                text_char(&t, '-');
        }
        CHECK(str_eq(str_n(t.ptr, t.len), str_c(l->hops)), "%s: %.*s", l->line, (int)t.len, t.ptr);
        arena_free(&a);
    }
}

TEST(too_many)
{
    char line[4 * (FORWARDED_MAX + 1)];
    struct arena a;
    struct vec hops;

    for (size_t i = 0; i < sizeof(line); i += 4)
        memcpy(line + i, "a=b,", 4);
    arena_init(&a, 1024);
    vec_init(&hops, &a, sizeof(struct forwarded));
    CHECK(!forwarded_parse(str_n(line, sizeof(line)), &hops));
    vec_init(&hops, &a, sizeof(struct forwarded));
    CHECK(forwarded_parse(str_n(line, sizeof(line) - 4), &hops));
    arena_free(&a);
}

static const struct {
    const char *ip, *host, *text;
} elements[] = {
    { "192.0.2.1", "example.org", "for=192.0.2.1;host=example.org;proto=https" },
    { "2001:db8::1", "example.org:8080",
      "for=\"[2001:db8::1]\";host=\"example.org:8080\";proto=https" },
    { NULL, "", "for=unknown;proto=https" },
    { "192.0.2.1", "a\"b\\c", "for=192.0.2.1;host=\"a\\\"b\\\\c\";proto=https" },
};

TEST(elements)
{
    EACH (elements, e) {
        char mem[200];
        struct text t;
        struct addr ip;

        text_init_fixed(&t, mem, sizeof(mem));
        forwarded_write(&t, e->ip != NULL && addr_parse_ip(str_c(e->ip), &ip) ? &ip : NULL,
                        str_c(e->host), S("https"));
        CHECK(str_eq(text_str(&t), str_c(e->text)), "%.*s", STR(text_str(&t)));
    }
}
