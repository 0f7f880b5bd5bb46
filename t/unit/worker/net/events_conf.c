/* SPDX-License-Identifier: BSD-2-Clause */
/* events_conf.c - the events block: values, what is accepted without effect, what is refused. */
#include "worker/net/events_conf.h"

#include "test.h"

#include "t/unit/worker/fixture.h"

TEST(values)
{
    static const struct {
        const char *text;
        uint32_t connections;
        bool multi_accept;
        uint64_t stall_ms;
    } rows[] = {
        { "events {}", 512, false, 1000 },
        { "events { worker_connections 4096; multi_accept on; stall_threshold 2s; }", 4096, true,
          2000 },
        { "events { use epoll; accept_mutex on; accept_mutex_delay 500ms; worker_aio_requests 32; "
          "debug_connection 127.0.0.1; debug_connection 10.0.0.0/8; }",
          512, false, 1000 },
    };

    EACH (rows, r) {
        struct fixture f;
        struct config *c = fixture_load(&f, r->text);

        CHECK(c != NULL, "%.*s", STR(fixture_message(&f)));
        if (c == NULL)
            continue;
        CHECK_EQ(c->core.worker_connections, r->connections, "%s", r->text);
        CHECK_EQ(events_conf(c)->multi_accept, r->multi_accept, "%s", r->text);
        CHECK_EQ(events_conf(c)->stall_threshold_ms, r->stall_ms, "%s", r->text);
        fixture_end(&f);
    }
}

TEST(errors)
{
    static const struct {
        const char *text, *message, *hint;
    } rows[] = {
        { "http {}", "no \"events\" section in configuration in /w/w.conf:1", "" },
        { "events {} events {}", "\"events\" directive is duplicate in /w/w.conf:1", "" },
        { "events { use kqueue; }", "event method \"kqueue\" is not supported in /w/w.conf:1",
          "epoll is used always" },
        { "events { use magic; }", "invalid event type \"magic\" in /w/w.conf:1", "" },
        { "worker_connections 5;",
          "\"worker_connections\" directive is not allowed here in "
          "/w/w.conf:1",
          "" },
    };

    EACH (rows, r) {
        struct fixture f;

        CHECK(fixture_load(&f, r->text) == NULL, "%s", r->text);
        CHECK_STR(fixture_message(&f), r->message, "%s", r->text);
        CHECK((r->hint[0] == '\0' ||
               str_search(fixture_details(&f), str_c(r->hint)) < fixture_details(&f).len),
              "%.*s", STR(fixture_details(&f)));
        fixture_end(&f);
    }
}
