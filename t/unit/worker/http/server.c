/* SPDX-License-Identifier: BSD-2-Clause */
/* server.c - which server answers a name; addresses and their sockets. */
#include "worker/http/server.h"

#include "test.h"

#include "t/unit/worker/http/http_fixture.h"

static const char names_conf[] = "server { listen 80; server_name first; }"
                                 "server { listen 80; server_name example.org www.example.org; }"
                                 "server { listen 80; server_name *.example.org; }"
                                 "server { listen 80; server_name *.sub.example.org; }"
                                 "server { listen 80; server_name mail.*; }"
                                 "server { listen 80; server_name .dot.net; }"
                                 "server { listen 80; server_name ~^(?<sub>\\w+)\\.re\\.net$; }"
                                 "server { listen 80; server_name ~re; }"
                                 "server { listen 80; server_name \"\"; }"
                                 "server { listen 80; server_name MiXed.org mail.sub.*; }"
                                 "server { listen 80; server_name _; }";

TEST(names)
{
    static const struct {
        const char *host;
        uint32_t server;
    } rows[] = {
        { "first", 0 },
        { "unknown", 0 }, /* the first one is the default */
        { "example.org", 1 },
        { "www.example.org", 1 }, /* exact before wildcard */
        { "a.example.org", 2 },
        { "a.b.example.org", 2 },
        { "sub.example.org", 2 },
        { "x.sub.example.org", 3 }, /* the longer wildcard */
        { "mail.example.org", 2 },  /* leading wildcard before an ending one */
        { "mail.com", 4 },
        { "mail.a.b", 4 },
        { "mail.sub.b", 9 }, /* the longer one */
        { "mail", 0 },
        { "dot.net", 5 },
        { "x.dot.net", 5 },
        { "xdot.net", 0 },
        { ".dot.net", 0 },
        { "a.re.net", 6 }, /* patterns in the order of the text */
        { "a-b.re.net", 7 },
        { "", 8 },
        { "mixed.org", 9 },
        { "_", 10 },
    };
    struct web w;
    struct conn c;

    if (web_load(&w, names_conf) == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    EACH (rows, row) {
        struct request *r = web_request(&w, &c, 0, NULL, row->host, "/");

        CHECK(r->server == web_server(&w, row->server), "host \"%s\"", row->host);
        CHECK(r->x.scope == r->server->scope, "the scope of host \"%s\"", row->host);
        web_request_end(r);
    }
    CHECK_EQ(w.messages.len, 0u, "no warnings");
    web_end(&w);
}

TEST(named_groups_are_variables)
{
    struct web w;
    struct conn c;
    struct request *r;

    if (web_load(&w, "server { server_name ~^(?<sub>\\w+)\\.re\\.net$; return 200 $sub; }") ==
        NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    r = web_request(&w, &c, 0, NULL, "abc.re.net", "/");
    CHECK_STR(var_get_named(&r->x, S("sub")).text, "abc", "$sub");
    web_request_end(r);
    web_end(&w);
}

/* A wildcard's socket serves the other addresses of its port too. */
TEST(addresses)
{
    static const struct {
        uint32_t spec;
        const char *local, *host;
        uint32_t server;
    } rows[] = {
        { 0, "10.0.0.1", "a", 0 },  { 0, "10.0.0.1", "b", 1 },
        { 0, "127.0.0.1", "a", 2 }, /* its own servers, and default */
        { 0, "127.0.0.1", "b", 2 }, { 0, "127.0.0.1", "c", 3 },
        { 1, "127.0.0.2", "a", 4 }, { 2, NULL, "x", 5 },
    };
    struct web w;
    struct conn c;

    if (web_load(&w, "server { listen 80; server_name a; }"
                     "server { listen *:80; server_name b; }"
                     "server { listen 127.0.0.1:80; server_name z; }"
                     "server { listen 127.0.0.1:80; server_name c; }"
                     "server { listen 127.0.0.2:80 bind; }"
                     "server { listen unix:/w/sock; }") == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    CHECK_EQ(w.config->listeners.len, 3u, "sockets");
    EACH (rows, row) {
        struct request *r = web_request(&w, &c, row->spec, row->local, row->host, "/");

        CHECK(r->server == web_server(&w, row->server), "%s of %s", row->host,
              row->local != NULL ? row->local : "unix");
        web_request_end(r);
    }
    web_end(&w);
}

TEST(listen_options)
{
    struct web w;
    const struct listen_spec *spec;

    if (web_load(&w, "server { listen 8080 backlog=7 rcvbuf=16k sndbuf=1m deferred reuseport"
                     "         fastopen=5 so_keepalive=30m::10; }"
                     "server { listen 8080; }"
                     "server { listen [::]:80 ipv6only=off; }"
                     "server { listen 9000-9002; }") == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    CHECK_EQ(w.config->listeners.len, 5u, "sockets");
    spec = *VEC_AT(&w.config->listeners, struct listen_spec *, 0);
    CHECK_STR(spec->text, "0.0.0.0:8080", "text");
    CHECK_EQ(spec->options.backlog, 7, "backlog");
    CHECK_EQ(spec->options.rcvbuf, 16384, "rcvbuf");
    CHECK_EQ(spec->options.sndbuf, 1048576, "sndbuf");
    CHECK_EQ(spec->options.fastopen, 5, "fastopen");
    CHECK(spec->options.deferred && spec->options.reuseport, "deferred, reuseport");
    CHECK_EQ(spec->options.keepalive, 1, "so_keepalive");
    CHECK_EQ(spec->options.keep_idle_s, 1800, "idle");
    CHECK_EQ(spec->options.keep_intvl_s, 0, "interval");
    CHECK_EQ(spec->options.keep_count, 10, "count");
    spec = *VEC_AT(&w.config->listeners, struct listen_spec *, 1);
    CHECK_STR(spec->text, "[::]:80", "text");
    CHECK_EQ(spec->options.ipv6only, 0, "ipv6only");
    CHECK_EQ(spec->options.backlog, 511, "backlog");
    spec = *VEC_AT(&w.config->listeners, struct listen_spec *, 4);
    CHECK_STR(spec->text, "0.0.0.0:9002", "the end of the range");
    web_end(&w);
}

TEST(default_server)
{
    struct web w;
    struct conn c;
    struct request *r;

    if (web_load(&w, "server { listen 80; server_name a; }"
                     "server { listen 80 default_server; server_name b; }") == NULL) {
        CHECK(false, "%.*s", STR(web_message(&w, 0)));
        return;
    }
    r = web_request(&w, &c, 0, NULL, "x", "/");
    CHECK(r->server == web_server(&w, 1), "default_server");
    CHECK(http_default_server(&c) == web_server(&w, 1), "before a Host is known");
    web_request_end(r);
    web_end(&w);
}

TEST(messages)
{
    static const struct {
        const char *conf, *message;
    } rows[] = {
        { "server { listen 80; listen *:80; }", "a duplicate listen 0.0.0.0:80 in /w/w.conf:1" },
        { "server { listen 80 default_server; } server { listen 80 default_server; }",
          "a duplicate default server for 0.0.0.0:80 in /w/w.conf:1" },
        { "server { listen 80 backlog=5; } server { listen 80 deferred; }",
          "duplicate listen options for 0.0.0.0:80 in /w/w.conf:1" },
        { "server { listen 80 backlog=0; }", "invalid backlog \"0\" in /w/w.conf:1" },
        { "server { listen 80 ipv6only=on; }",
          "ipv6only is not supported on addr \"80\" in /w/w.conf:1" },
        { "server { listen 80 so_keepalive=x; }",
          "invalid so_keepalive value: \"x\" in /w/w.conf:1" },
        { "server { listen 80 foo; }", "invalid parameter \"foo\" in /w/w.conf:1" },
        { "server { listen 0; }",
          "invalid port in \"0\" of the \"listen\" directive in /w/w.conf:1" },
        { "server { listen 1.2.3.4:70000; }",
          "invalid port in \"1.2.3.4:70000\" of the \"listen\" directive in /w/w.conf:1" },
        { "server { listen ::1:80; }",
          "invalid port in \"::1:80\" of the \"listen\" directive in /w/w.conf:1" },
        { "server { listen 8000-7000; }",
          "invalid port in \"8000-7000\" of the \"listen\" directive in /w/w.conf:1" },
        { "server { listen unix:; }", "no path in the unix domain socket in \"unix:\" of the "
                                      "\"listen\" directive in /w/w.conf:1" },
        { "server { server_name www.*.org; }",
          "server name \"www.*.org\" is invalid in /w/w.conf:1" },
        { "server { server_name *org; }", "server name \"*org\" is invalid in /w/w.conf:1" },
        { "server { server_name ~; }", "empty regex in server name \"~\" in /w/w.conf:1" },
        /* warnings, with a port each: without, it is 8000 for users who may not have 80 */
        { "server { listen 80; server_name a; } server { listen 80; server_name a b; }",
          "conflicting server name \"a\" on 0.0.0.0:80, ignored in /w/w.conf:1" },
        { "server { listen 80; } server { listen 80; }",
          "conflicting server name \"\" on 0.0.0.0:80, ignored in /w/w.conf:1" },
        { "server { listen 80; server_name a.org; } server { listen 80; server_name .a.org; }",
          "conflicting server name \".a.org\" on 0.0.0.0:80, ignored in /w/w.conf:1" },
        { "server { listen 80; server_name *.a.org; } server { listen 80; server_name .a.org; }",
          "conflicting server name \".a.org\" on 0.0.0.0:80, ignored in /w/w.conf:1" },
    };

    EACH (rows, row) {
        struct web w;

        web_load(&w, row->conf);
        CHECK_STR(web_message(&w, 0), row->message, "%s", row->conf);
        web_end(&w);
    }
}
