/* SPDX-License-Identifier: BSD-2-Clause */
/* proxy_protocol.c - headers of both versions, whole, in parts and broken. */
#include "worker/net/proxy_protocol.h"

#include "test.h"

#include "common/base/panic.h"

#define V2(command, family, len_high, len_low) \
    "\r\n\r\n\0\r\nQUIT\n" command family len_high len_low
#define FOUR "\xc0\x00\x02\x01\xc6\x33\x64\x02\x04\xd2\x01\xbb"
#define SIX                                                                                \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02" \
    "\x00\x01\xff\xff"

static const struct {
    struct str in;
    enum proxy_parse result;
    size_t len;
    const char *client, *server; /* NULL: none */
} headers[] = {
    { S_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\r\nGET"), PROXY_DONE, 44, "192.0.2.1:1234",
      "198.51.100.2:443" },
    { S_INIT("PROXY TCP6 2001:db8::1 ::2 65535 0\r\n"), PROXY_DONE, 36, "[2001:db8::1]:65535",
      "[::2]:0" },
    { S_INIT("PROXY UNKNOWN\r\nx"), PROXY_DONE, 15, NULL, NULL },
    { S_INIT("PROXY UNKNOWN any thing at all\r\n"), PROXY_DONE, 32, NULL, NULL },
    { S_INIT("PROXY UNKNOWNX\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1234 443\n"), PROXY_MORE, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 ::1 ::2 1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP6 1.2.3.4 ::2 1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("PROXY \r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("GET / HTTP/1.1\r\n"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("proxy TCP4"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT("\x16\x03\x01"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(""), PROXY_MORE, 0, NULL, NULL },
    { S_INIT("PRO"), PROXY_MORE, 0, NULL, NULL },
    { S_INIT("\r\n\r\n"), PROXY_MORE, 0, NULL, NULL },
    { S_INIT("\r\n\r\nGET"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\0", "\x0c") FOUR "rest"), PROXY_DONE, 28, "192.0.2.1:1234",
      "198.51.100.2:443" },
    { S_INIT(V2("\x21", "\x21", "\0", "\x24") SIX), PROXY_DONE, 52, "[2001:db8::1]:1",
      "[2001:db8::2]:65535" },
    { S_INIT(V2("\x20", "\x11", "\0", "\x0c") FOUR), PROXY_DONE, 28, NULL, NULL },
    { S_INIT(V2("\x20", "\0", "\0", "\0")), PROXY_DONE, 16, NULL, NULL },
    { S_INIT(V2("\x21", "\x12", "\0", "\x0c") FOUR), PROXY_DONE, 28, NULL, NULL }, /* UDP */
    { S_INIT(V2("\x21", "\0", "\0", "\x02") "zz"), PROXY_DONE, 18, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\0", "\x0b") FOUR), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x21", "\0", "\x0c") FOUR), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x22", "\x11", "\0", "\x0c") FOUR), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x11", "\x11", "\0", "\x0c") FOUR), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\xff", "\xff")), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\0", "\x10") FOUR "\x01\0\x02h"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\0", "\x0e") FOUR "\x01\0"), PROXY_BAD, 0, NULL, NULL },
    { S_INIT(V2("\x21", "\x11", "\0", "\x13") FOUR "\x03\0\x04\x01\x02\x03\x04"), PROXY_BAD, 0,
      NULL, NULL }, /* checksum */
};

static bool
addr_is(const struct addr *a, const char *text)
{
    char shown[ADDR_TEXT_MAX];

    if (text == NULL)
        return a->len == 0;
    return str_eq(str_n(shown, addr_format(a, true, shown)), str_c(text));
}

TEST(headers)
{
    EACH (headers, h) {
        struct proxy_protocol p;
        size_t len;
        long n = h - headers;

        CHECK_EQ(proxy_protocol_parse(h->in, &p, &len), h->result, "header %ld", n);
        if (h->result != PROXY_DONE)
            continue;
        CHECK_EQ(len, h->len, "header %ld", n);
        CHECK(addr_is(&p.client, h->client), "header %ld", n);
        CHECK(addr_is(&p.server, h->server), "header %ld", n);
        for (size_t i = 0; i < len; i++)
            CHECK_EQ(proxy_protocol_parse(str_upto(h->in, i), &p, &len), PROXY_MORE,
                     "%zu bytes of header %ld", i, n);
    }
}

TEST(longest_line)
{
    char line[108] = "PROXY UNKNOWN ";
    struct proxy_protocol p;
    size_t len;

    memset(line + 14, 'x', sizeof(line) - 14);
    CHECK_EQ(proxy_protocol_parse(str_n(line, 106), &p, &len), PROXY_MORE);
    CHECK_EQ(proxy_protocol_parse(str_n(line, 107), &p, &len), PROXY_BAD);
    memcpy(line + 105, "\r\n", 2);
    CHECK_EQ(proxy_protocol_parse(str_n(line, 107), &p, &len), PROXY_DONE);
    CHECK_EQ(len, 107);
    memcpy(line + 105, "x\r\n", 3);
    CHECK_EQ(proxy_protocol_parse(str_n(line, 108), &p, &len), PROXY_BAD);
}

/* alpn, authority, unique_id, netns, and ssl with verify 258, version, cn, cipher, sig_alg, key_alg. */
#define TLVS                                                                                   \
    "\x01\0\x02h2\x02\0\x0b"                                                                   \
    "example.org\x05\0\x03uid\x30\0\x02ns\x20\0\x24\x07\0\0\x01\x02\x21\0\x02v3\x22\0\x04user" \
    "\x23\0\x03"                                                                               \
    "AES\x24\0\x02sa\x25\0\x05"                                                                \
    "RSA48"

static const struct {
    const char *name, *value; /* NULL: none */
} tlvs[] = {
    { "alpn", "h2" },
    { "0x01", "h2" },
    { "authority", "example.org" },
    { "unique_id", "uid" },
    { "netns", "ns" },
    { "ssl_version", "v3" },
    { "ssl_cn", "user" },
    { "ssl_0x22", "user" },
    { "ssl_cipher", "AES" },
    { "ssl_sig_alg", "sa" },
    { "ssl_key_alg", "RSA48" },
    { "0x06", NULL },
    { "0x100", NULL },
    { "0x", NULL },
    { "cn", NULL },
    { "ssl_alpn", NULL },
    { "ssl_", NULL },
    { "", NULL },
    { "nothing", NULL },
    { "ssl_0x26", NULL },
};

TEST(tlvs)
{
    static const struct str all = S_INIT(TLVS);
    uint32_t verify = 0;

    EACH (tlvs, t) {
        struct str v = proxy_protocol_tlv_named(all, str_c(t->name));

        if (t->value == NULL)
            CHECK(v.ptr == NULL, "%s", t->name);
        else
            CHECK(str_eq(v, str_c(t->value)), "%s: %.*s", t->name, STR(v));
    }
    CHECK(proxy_protocol_ssl_verify(all, &verify));
    CHECK_EQ(verify, 258);
    CHECK(!proxy_protocol_ssl_verify(S("\x01\0\x02h2"), &verify));
    CHECK(!proxy_protocol_ssl_verify(S("\x20\0\x04\0\0\0\0"), &verify));
    CHECK(proxy_protocol_tlv_named(S("\x20\0\x05\0\0\0\0\0"), S("ssl_cn")).ptr == NULL);
}

TEST(checksum)
{
    char header[] = V2("\x21", "\x11", "\0", "\x18") FOUR "\x03\0\x04\0\0\0\0\x01\0\x02h2";
    struct str in = str_n(header, sizeof(header) - 1);
    struct proxy_protocol p;
    size_t len;

    CHECK_EQ(proxy_protocol_parse(in, &p, &len), PROXY_BAD, "no checksum");
    memcpy(header + 31, "\xa0\x1f\x40\x8c", 4);
    CHECK_EQ(proxy_protocol_parse(in, &p, &len), PROXY_DONE, "the right one");
    CHECK(str_eq(proxy_protocol_tlv(p.tlvs, 1), S("h2")));
    for (size_t i = 0; i < in.len; i++) {
        if (i == 28) /* the type of the checksum: then there is none */
            continue;
        header[i] ^= 1;
        CHECK(proxy_protocol_parse(in, &p, &len) != PROXY_DONE || p.client.len == 0, "byte %zu", i);
        header[i] ^= 1;
    }
}
