/* SPDX-License-Identifier: BSD-2-Clause */
/* syslog.c - parameters and messages of the syslog sink. */
#include "common/log/syslog.h"

#include <poll.h>
#include <sys/socket.h>

#include "common/log/log.h"
#include "common/sys/addr.h"
#include "common/sys/clock.h"
#include "common/sys/socket.h"
#include "t/unit/test.h"

static const struct {
    const char *args, *message;
} wrong[] = {
    { "x", "unknown syslog parameter \"x\"" },
    { "", "unknown syslog parameter \"\"" },
    { "facility=local1", "no syslog server specified" },
    { "server=", "no host in syslog server \"\"" },
    { "server=unix:", "no path in the unix domain socket in syslog server \"unix:\"" },
    { "server=127.0.0.1:99999", "invalid port in syslog server \"127.0.0.1:99999\"" },
    { "server=nosuch.invalid", "host not found in syslog server \"nosuch.invalid\"" },
    { "server=127.0.0.1,server=127.0.0.1", "duplicate syslog \"server\"" },
    { "server=127.0.0.1,facility=zz", "unknown syslog facility \"zz\"" },
    { "server=127.0.0.1,severity=zz", "unknown syslog severity \"zz\"" },
    { "server=127.0.0.1,tag=a-b",
      "syslog \"tag\" only allows alphanumeric characters and underscore" },
    { "server=127.0.0.1,tag=123456789012345678901234567890123", "syslog tag length exceeds 32" },
    { "server=127.0.0.1,tag=a,tag=b", "duplicate syslog \"tag\"" },
};

TEST(wrong_parameters_are_explained)
{
    struct arena a;
    struct error err;

    arena_init(&a, 4096);
    EACH (wrong, w) {
        err.text[0] = '\0';
        CHECK(syslog_open(&a, str_c(w->args), &err) == NULL, "%s", w->args);
        CHECK_STR(str_c(err.text), w->message, "%s", w->args);
    }
    arena_free(&a);
}

/* A server on the loopback. */
static int
server_open(struct addr *a, const char *at)
{
    struct socket_options o = { .keepalive = -1 };
    struct error err;
    int fd;

    addr_parse(str_c(at), 0, a);
    fd = socket_bind(a, SOCK_DGRAM, &o, &err);
    if (fd >= 0)
        socket_local_addr(fd, a);
    return fd;
}

static struct str
receive(int fd)
{
    static char mem[8192];
    struct pollfd p = { .fd = fd, .events = POLLIN };
    ssize_t n = poll(&p, 1, 5000) == 1 ? recv(fd, mem, sizeof(mem), 0) : -1;

    return str_n(mem, n > 0 ? (size_t)n : 0);
}

static struct syslog_target *
open_to(struct arena *a, const struct addr *server, const char *more)
{
    char to[ADDR_TEXT_MAX], args[256];
    struct error err = { .sys = 0 };
    struct syslog_target *s;

    snprintf(args, sizeof(args), "server=%.*s%s", (int)addr_format(server, true, to), to, more);
    s = syslog_open(a, str_c(args), &err);
    CHECK(s != NULL, "%s", err.text);
    return s;
}

TEST(messages_in_the_form_of_rfc3164)
{
    struct addr server;
    int fd = server_open(&server, "127.0.0.1:0");
    char host[256] = "", want[512];
    struct syslog_target *s;
    struct arena a;

    REQUIRE(fd >= 0);
    setenv("TZ", "UTC0", 1);
    tzset();
    clock_wall_ms = UINT64_C(784111777000);
    gethostname(host, sizeof(host) - 1);
    arena_init(&a, 4096);
    s = open_to(&a, &server, "");
    CHECK_EQ(syslog_severity(s), 6);
    syslog_send(s, 3, S("hello"));
    snprintf(want, sizeof(want), "<187>Nov  6 08:49:37 %s weir: hello", host);
    CHECK_STR(receive(fd), want);

    s = open_to(&a, &server, ",facility=local0,tag=my_1,severity=debug,nohostname");
    CHECK_EQ(syslog_severity(s), 7);
    syslog_send(s, 7, S("x"));
    CHECK_STR(receive(fd), "<135>Nov  6 08:49:37 my_1: x");
    close(fd);
    arena_free(&a);
}

TEST(a_server_that_comes_back_gets_messages_again)
{
    char at[64];
    struct addr server;
    struct syslog_target *s;
    struct arena a;
    int fd;

    snprintf(at, sizeof(at), "unix:/tmp/weir-unit-%d.log", (int)getpid());
    arena_init(&a, 4096);
    fd = server_open(&server, at);
    REQUIRE(fd >= 0);
    s = open_to(&a, &server, ",nohostname,tag=t");
    syslog_send(s, 6, S("one"));
    CHECK(str_ends(receive(fd), S("t: one")));
    close(fd);
    unlink(at + 5);
    syslog_send(s, 6, S("lost"));
    fd = server_open(&server, at);
    REQUIRE(fd >= 0);
    syslog_send(s, 6, S("two"));
    CHECK(str_ends(receive(fd), S("t: two")));
    close(fd);
    unlink(at + 5);
    arena_free(&a);
}

TEST(the_error_log_gives_whole_lines_with_their_severity)
{
    char args[128], to[ADDR_TEXT_MAX];
    struct addr server;
    int fd = server_open(&server, "127.0.0.1:0");
    struct log log = { .sinks = NULL };
    struct log_sink *sink;
    struct error err = { .sys = 0 };
    struct arena a;
    struct str got;

    arena_init(&a, 4096);
    snprintf(args, sizeof(args), "server=%.*s", (int)addr_format(&server, true, to), to);
    sink = log_sink_syslog(&a, str_c(args), LOG_LEVEL_WARN, &err);
    REQUIRE(sink != NULL, "%s", err.text);
    log_add_sink(&log, sink);
    log_write(&log, LOG_LEVEL_NOTICE, 0, NULL, "not this");
    log_write(&log, LOG_LEVEL_WARN, 0, NULL, "but this");
    got = receive(fd);
    CHECK(str_starts(got, S("<188>")), "%.*s", STR(got));
    CHECK(str_search(got, S("[warn]")) < got.len && str_ends(got, S(": but this")), "%.*s",
          STR(got));
    close(fd);
    arena_free(&a);
}
