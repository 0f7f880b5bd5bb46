/* SPDX-License-Identifier: BSD-2-Clause */
/* addr.c - socket addresses from text and back, networks. */
#include "common/sys/addr.h"

#include "t/unit/test.h"

static const struct {
    const char *text; /* with the default port 80 */
    const char *with_port, *without, *ip;
} addresses[] = {
    { "1.2.3.4", "1.2.3.4:80", "1.2.3.4", "1.2.3.4" },
    { "255.255.255.255:65535", "255.255.255.255:65535", "255.255.255.255", "255.255.255.255" },
    { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0", "0.0.0.0" },
    { "[::1]", "[::1]:80", "[::1]", "::1" },
    { "[::1]:443", "[::1]:443", "[::1]", "::1" },
    { "[2001:DB8:0:0::5]:1", "[2001:db8::5]:1", "[2001:db8::5]", "2001:db8::5" },
    { "unix:/run/x.sock", "unix:/run/x.sock", "unix:/run/x.sock", "unix:" },
};

TEST(texts_there_and_back)
{
    EACH (addresses, t) {
        char to[ADDR_TEXT_MAX];
        struct addr a, again;

        REQUIRE(addr_parse(str_c(t->text), 80, &a), "%s", t->text);
        CHECK_STR(str_n(to, addr_format(&a, false, to)), t->without);
        CHECK_STR(str_n(to, addr_format_ip(&a, to)), t->ip);
        CHECK_STR(str_n(to, addr_format(&a, true, to)), t->with_port);
        CHECK(addr_parse(str_c(t->with_port), 9, &again) && addr_eq(&a, &again), "%s", t->text);
    }
}

static const char *const no_addresses[] = {
    "",          "1.2.3",     "1.2.3.4.5", "1.2.3.256", "1.2.3.4:", "1.2.3.4:x", "1.2.3.4:65536",
    "01.2.3.4x", "localhost", "::1",       "[::1",      "[::1]80",  "[::1]:",    "[1.2.3.4]",
    "[::1%lo]",  "[]:80",     "unix:",     ":80",       "*:80",     " 1.2.3.4",  "[::1]:80 ",
    "[:::1]",
};

TEST(what_is_no_literal_address)
{
    struct addr a;
    char path[200];

    EACH (no_addresses, t)
        CHECK(!addr_parse(str_c(*t), 80, &a), "%s", *t);
    CHECK(!addr_parse(S("1.2.3.4\0x"), 80, &a), "NUL");
    CHECK(!addr_parse(S("unix:/a\0b"), 80, &a), "NUL");
    snprintf(path, sizeof(path), "unix:/%0150d", 1);
    CHECK(!addr_parse(str_c(path), 80, &a), "too long for the system");
    CHECK(!addr_parse_ip(S("1.2.3.4:80"), &a));
    CHECK(!addr_parse_ip(S("[::1]"), &a));
    CHECK(addr_parse_ip(S("::1"), &a));
}

TEST(the_longest_path_fits)
{
    char text[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    struct addr a;

    snprintf(text, sizeof(text), "unix:/%0106d", 1);
    REQUIRE(addr_parse(str_c(text), 0, &a));
    CHECK_STR(str_n(to, addr_format(&a, true, to)), text);
}

TEST(no_address_at_all)
{
    struct addr none = { .len = 0 }, some;
    char to[ADDR_TEXT_MAX];

    addr_parse(S("1.2.3.4"), 0, &some);
    CHECK_EQ(addr_format(&none, true, to), 0);
    CHECK_EQ(addr_port(&none), 0);
    CHECK(!addr_eq(&none, &some) && addr_eq(&none, &none));
    CHECK(!addr_is_wildcard(&none));
    CHECK_EQ(addr_bytes(&none).len, 0);
}

TEST(ports_wildcards_and_bytes)
{
    struct addr a, b;

    addr_parse(S("[::]:80"), 0, &a);
    addr_parse(S("[::]:81"), 0, &b);
    CHECK(addr_is_wildcard(&a) && !addr_eq(&a, &b));
    addr_set_port(&b, 80);
    CHECK(addr_eq(&a, &b));
    CHECK_EQ(addr_port(&b), 80);
    CHECK_EQ(addr_bytes(&a).len, 16);
    addr_parse(S("0.0.0.0"), 80, &b);
    CHECK(addr_is_wildcard(&b) && !addr_eq(&a, &b));
    addr_parse(S("1.2.3.4"), 80, &b);
    CHECK(!addr_is_wildcard(&b));
    CHECK_STR(addr_bytes(&b), "\1\2\3\4");
    addr_parse(S("unix:/x"), 80, &b);
    addr_set_port(&b, 1);
    CHECK_STR(addr_bytes(&b), "/x");
}

static const struct {
    const char *net, *ip;
    bool match;
} networks[] = {
    { "10.0.0.0/8", "10.255.1.2", true },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "10.1.2.3", "10.1.2.3", true },
    { "10.1.2.3", "10.1.2.2", false },
    { "0.0.0.0/0", "1.2.3.4", true },
    { "0.0.0.0/0", "::1", false },
    { "192.168.1.128/25", "192.168.1.200", true },
    { "192.168.1.128/25", "192.168.1.127", false },
    { "10.0.0.0/8", "::ffff:10.1.1.1", true },
    { "2001:db8::/33", "2001:db8:7fff::1", true },
    { "2001:db8::/33", "2001:db8:8000::1", false },
    { "::/0", "fe80::1", true },
    { "::1", "::1", true },
    { "all", "1.2.3.4", true },
    { "unix:", "1.2.3.4", false },
};

TEST(networks_and_their_members)
{
    struct cidr c;
    struct addr a;
    bool low;

    EACH (networks, n) {
        REQUIRE(cidr_parse(str_c(n->net), &c, &low), "%s", n->net);
        CHECK(!low, "%s", n->net);
        addr_parse_ip(str_c(n->ip), &a);
        CHECK_EQ(cidr_match(&c, &a), n->match, "%s in %s", n->ip, n->net);
    }
    addr_parse(S("unix:/x"), 0, &a);
    CHECK(cidr_parse(S("unix:"), &c, &low) && cidr_match(&c, &a));
    CHECK(cidr_parse(S("all"), &c, &low) && cidr_match(&c, &a));
    CHECK(cidr_parse(S("0.0.0.0/0"), &c, &low) && !cidr_match(&c, &a));
}

TEST(bits_right_of_the_mask_are_told_and_cleared)
{
    struct cidr c;
    struct addr a;
    bool low = false;

    CHECK(cidr_parse(S("10.1.2.3/9"), &c, &low) && low);
    addr_parse_ip(S("10.127.0.0"), &a);
    CHECK(cidr_match(&c, &a));
    CHECK_EQ(c.addr[1], 0);
}

TEST(what_is_no_network)
{
    static const char *const wrong[] = {
        "",    "10.0.0.0/33", "10.0.0.0/",         "10.0.0.0/-1", "::/129", "10.0.0.0/8/8",
        "x/8", "/8",          "10.0.0.0/255.0.0.0"
    };
    struct cidr c;
    bool low;

    EACH (wrong, w)
        CHECK(!cidr_parse(str_c(*w), &c, &low), "%s", *w);
}
