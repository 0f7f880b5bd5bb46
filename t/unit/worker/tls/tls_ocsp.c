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
