/* SPDX-License-Identifier: BSD-2-Clause */
/* resolver.c - answers, cache, errors, time and cancelling, against a name server in the same loop. */
#include "worker/net/resolver.h"

#include "test.h"

#include <sys/socket.h>

#include "build/config.h"
#include "common/base/text.h"
#include "t/unit/worker/fixture.h"

static struct fixture fixture;
static const struct resolver *resolver;
static struct watch server;
static unsigned questions;
static bool silent;

/* What came back, as text: "10.0.0.1 10.0.0.2" or the error. */
static char answer[256];
static unsigned answers;

static void
on_answer(void *data, const struct resolver_answer *a)
{
    struct text t;

    answers++;
    *(uint64_t *)data = a->ttl_ms;
    text_init_fixed(&t, answer, sizeof(answer) - 1);
    if (a->error != NULL)
        text_add(&t, str_c(a->error));
    for (uint32_t i = 0; i < a->n; i++) {
        char ip[ADDR_TEXT_MAX];

        if (i > 0)
            text_char(&t, ' ');
        text_bytes(&t, ip, addr_format_ip(&a->addrs[i], ip));
    }
    answer[t.len] = '\0';
}

/* One A record of 10.0.0.n, with a TTL in seconds. */
static size_t
put_record(unsigned char *to, unsigned char n, unsigned char ttl_s)
{
    const unsigned char record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl_s, 0, 4, 10, 0, 0, n };

    memcpy(to, record, sizeof(record));
    return sizeof(record);
}

/* Answers by the first letter of the name: 'h' has two addresses, 's' a TTL of 0, 'f' fails, others are unknown. */
static void
on_question(struct watch *w, unsigned bits UNUSED)
{
    unsigned char m[512];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    ssize_t len = recvfrom(w->fd, m, sizeof(m) - 64, 0, (struct sockaddr *)&from, &from_len);
    size_t end = 12;
    bool is_a;

    if (len < 17)
        return;
    questions++;
    if (silent)
        return;
    while (end < (size_t)len && m[end] != 0)
        end += 1u + m[end];
    end += 5; /* the root's length, type, class */
    is_a = m[end - 3] == 1;
    m[2] = 0x81;
    m[3] = 0x80;
    memset(&m[6], 0, 6); /* no answers, no further records */
    switch (m[13]) {
    case 'h':
    case 's':
        if (!is_a)
            break;
        m[7] = m[13] == 'h' ? 2 : 1;
        end += put_record(&m[end], 1, m[13] == 'h' ? 60 : 0);
        if (m[13] == 'h')
            end += put_record(&m[end], 2, 90);
        break;
    case 'f':
        m[3] |= 2;
        break;
    default:
        m[3] |= 3;
        break;
    }
    sendto(w->fd, m, end, 0, (struct sockaddr *)&from, from_len);
}

static void
start(const char *parameters)
{
    struct addr at = { .len = sizeof(at.in), .in = { .sin_family = AF_INET } };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    char conf[200];
    uint64_t timeout;

    at.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fixture_loop();
    ASSERT(bind(fd, &at.sa, at.len) == 0 && getsockname(fd, &at.sa, &at.len) == 0);
    server.on_event = on_question;
    ASSERT(loop_add_level(&server, fd, false));
    snprintf(conf, sizeof(conf),
             "events {} http { resolver 127.0.0.1:%u %s; resolver_timeout 7s; }", addr_port(&at),
             parameters);
    ASSERT(fixture_load(&fixture, conf) != NULL);
    resolver = resolver_of_scope(fixture_find(fixture.config, SCOPE_HTTP), &timeout);
    CHECK_EQ(timeout, 7000);
}

/* Asks and waits: the answer as text. */
static struct str
ask(const char *name, uint64_t *ttl)
{
    unsigned before = answers;

    if (resolver_ask(resolver, str_c(name), 5000, on_answer, ttl) == NULL)
        return STR_NONE;
    CHECK_EQ(answers, before, "never from within");
    UNTIL(answers > before);
    return str_c(answer);
}

TEST_ALONE(literal_addresses)
{
    uint64_t ttl;

    fixture_loop();
    resolver = NULL;
    CHECK_STR(ask("192.0.2.7", &ttl), "192.0.2.7");
    CHECK_STR(ask("::1", &ttl), "::1");
}

TEST_ALONE(the_system_knows_localhost)
{
    uint64_t ttl;
    struct vec addrs = { .data = NULL };

    fixture_loop();
    resolver = NULL;
    ask("localhost", &ttl);
    CHECK(strstr(answer, "127.0.0.1") != NULL || strstr(answer, "::1") != NULL, "%s", answer);
    CHECK_STR(ask("name with blanks", &ttl), "Host not found");
    CHECK(resolver_now(S("localhost"), &addrs) && addrs.len > 0);
    vec_free(&addrs);
}

TEST_ALONE(errors_of_the_directive)
{
    static const struct {
        const char *line, *message;
    } rows[] = {
        { "resolver valid=1s;", "no name servers defined in /w/w.conf:1" },
        { "resolver 127.0.0.1 valid=x;", "invalid parameter: valid=x in /w/w.conf:1" },
        { "resolver 127.0.0.1 ipv6=maybe;", "invalid parameter: ipv6=maybe in /w/w.conf:1" },
        { "resolver 127.0.0.1 ipv4=off ipv6=off;",
          "\"ipv4\" and \"ipv6\" cannot both be \"off\" in /w/w.conf:1" },
        { "resolver localhost:0;", "invalid port in resolver \"localhost:0\" in /w/w.conf:1" },
    };

    fixture_loop();
    EACH (rows, r) {
        char conf[200];

        snprintf(conf, sizeof(conf), "events {} http { %s }", r->line);
        CHECK(fixture_load(&fixture, conf) == NULL, "%s", r->line);
        CHECK_STR(fixture_message(&fixture), r->message, "%s", r->line);
        fixture_end(&fixture);
    }
}

#ifdef WEIR_HAVE_CARES

TEST_ALONE(answers_are_kept_for_their_ttl)
{
    uint64_t ttl;
    unsigned asked;

    start("ipv6=off");
    CHECK_STR(ask("host.example", &ttl), "10.0.0.1 10.0.0.2");
    CHECK(ttl > 55000 && ttl <= 60000, "the smaller of two: %llu", (unsigned long long)ttl);
    asked = questions;
    CHECK_EQ(asked, 1);
    CHECK_STR(ask("HOST.example.", &ttl), "10.0.0.1 10.0.0.2");
    CHECK_EQ(questions, asked, "from the cache");
    CHECK_STR(ask("short.example", &ttl), "10.0.0.1");
    asked = questions;
    CHECK_STR(ask("short.example", &ttl), "10.0.0.1");
    CHECK_EQ(questions, asked + 1, "a TTL of 0 is not kept");
}

TEST_ALONE(valid_replaces_the_ttl)
{
    uint64_t ttl;

    start("valid=5m");
    CHECK_STR(ask("short.example", &ttl), "10.0.0.1");
    CHECK(ttl > 290000 && ttl <= 300000);
    CHECK_EQ(questions, 2, "both families");
}

TEST_ALONE(names_that_fail)
{
    uint64_t ttl;
    unsigned asked;

    start("ipv6=off");
    CHECK_STR(ask("unknown.example", &ttl), "Host not found");
    asked = questions;
    CHECK_STR(ask("unknown.example", &ttl), "Host not found");
    CHECK_EQ(questions, asked, "not asked for again at once");
    CHECK_STR(ask("fails.example", &ttl), "Server failure");
    CHECK_STR(ask("", &ttl), "Host not found");
}

TEST_ALONE(one_question_for_many)
{
    uint64_t ttl[3];

    start("ipv6=off");
    for (int i = 0; i < 3; i++)
        CHECK(resolver_ask(resolver, S("host.example"), 5000, on_answer, &ttl[i]) != NULL);
    UNTIL(answers == 3);
    CHECK_EQ(answers, 3);
    CHECK_EQ(questions, 1);
}

TEST_ALONE(time_and_cancelling)
{
    uint64_t ttl;
    struct resolver_query *q;

    start("ipv6=off");
    silent = true;
    q = resolver_ask(resolver, S("host.example"), 5000, on_answer, &ttl);
    resolver_cancel(q);
    CHECK(resolver_ask(resolver, S("host.example"), 30, on_answer, &ttl) != NULL);
    UNTIL(answers > 0);
    CHECK_STR(str_c(answer), "Operation timed out");
    silent = false;
    CHECK_STR(ask("host.example", &ttl), "10.0.0.1 10.0.0.2"); /* the server is asked again */
    q = resolver_ask(resolver, S("host.example"), 5000, on_answer, &ttl);
    resolver_cancel(q); /* its answer was on the way */
    fixture_settle();
    CHECK_EQ(answers, 2);
}

#endif
