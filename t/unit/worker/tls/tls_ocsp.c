/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_ocsp.c - URLs of responders; what is no response. */
#include "worker/tls/tls_ocsp.h"

#include "test.h"

static const struct {
    const char *text;
    enum tls_ocsp_url_result result;
    const char *host;
    unsigned port;
    const char *path;
} urls[] = {
    { "http://a.example", OCSP_URL_GOOD, "a.example", 80, "/" },
    { "HTTP://a.example/", OCSP_URL_GOOD, "a.example", 80, "/" },
    { "http://a.example:8080/x/y?z", OCSP_URL_GOOD, "a.example", 8080, "/x/y?z" },
    { "http://[::1]/x", OCSP_URL_GOOD, "[::1]", 80, "/x" },
    { "http://[::1]:81/x", OCSP_URL_GOOD, "[::1]", 81, "/x" },
    { "https://a.example/", OCSP_URL_NO_HTTP, NULL, 0, NULL },
    { "ldap://a.example/", OCSP_URL_NO_HTTP, NULL, 0, NULL },
    { "", OCSP_URL_NO_HTTP, NULL, 0, NULL },
    { "http://", OCSP_URL_NO_HOST, NULL, 0, NULL },
    { "http:///x", OCSP_URL_NO_HOST, NULL, 0, NULL },
    { "http://a:0/", OCSP_URL_NO_HOST, NULL, 0, NULL },
    { "http://a:65536/", OCSP_URL_NO_HOST, NULL, 0, NULL },
    { "http://a:x/", OCSP_URL_NO_HOST, NULL, 0, NULL },
    { "http://a/x\r\nHost: b", OCSP_URL_NO_HOST, NULL, 0, NULL }, /* it would be a field */
    { "http://a b/", OCSP_URL_NO_HOST, NULL, 0, NULL },
};

TEST(urls_of_responders)
{
    EACH (urls, t) {
        struct tls_ocsp_url u;

        CHECK_EQ(tls_ocsp_url_parse(str_c(t->text), &u), t->result, "%s", t->text);
        if (t->result != OCSP_URL_GOOD)
            continue;
        CHECK_STR(u.host, t->host, "%s", t->text);
        CHECK_STR(u.path, t->path, "%s", t->text);
        CHECK_EQ(u.port, t->port, "%s", t->text);
    }
}

TEST(what_is_no_response)
{
    static const char *const bad[] = { "", "x", "\x30\x03\x0a\x01\x06trailing",
                                       "\x30\x03\x0a\x01" };
    const struct tls_ocsp_question q = { .certificate = NULL };

    EACH (bad, t) {
        struct tls_ocsp_answer a;

        tls_ocsp_judge(&q, str_c(*t), &a);
        CHECK_EQ(a.status, OCSP_FAILED);
        CHECK(a.why != NULL && strstr(a.why, "d2i_OCSP_RESPONSE() failed") != NULL, "%s", a.why);
    }
}

TEST(a_response_that_refuses)
{
    const struct tls_ocsp_question q = { .certificate = NULL };
    struct tls_ocsp_answer a;

    tls_ocsp_judge(&q, str_n("\x30\x03\x0a\x01\x06", 5), &a);
    CHECK_EQ(a.status, OCSP_FAILED);
    CHECK(strstr(a.why, "OCSP response not successful (6: unauthorized)") != NULL, "%s", a.why);
}

static X509 *
make_certificate(EVP_PKEY *key, long serial)
{
    X509 *x = X509_new();

    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -1000);
    X509_gmtime_adj(X509_getm_notAfter(x), 100000);
    X509_set_pubkey(x, key);
    X509_sign(x, key, EVP_sha256());
    return x;
}

/* What was on the stack before is no part of a key. */
static __attribute__((noinline)) void
fill_stack(int with)
{
    volatile char bytes[4096];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)with;
}

TEST(a_key_depends_on_both_certificates_alone)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *a = make_certificate(key, 1), *b = make_certificate(key, 2);
    char keys[4][32];

    fill_stack(0x11);
    CHECK(tls_ocsp_key(a, b, keys[0]));
    fill_stack(0x22);
    CHECK(tls_ocsp_key(a, b, keys[1]));
    CHECK(tls_ocsp_key(b, a, keys[2]));
    CHECK(tls_ocsp_key(a, a, keys[3]));
    CHECK(memcmp(keys[0], keys[1], 32) == 0);
    CHECK(memcmp(keys[0], keys[2], 32) != 0);
    CHECK(memcmp(keys[0], keys[3], 32) != 0);
    X509_free(a);
    X509_free(b);
    EVP_PKEY_free(key);
}
