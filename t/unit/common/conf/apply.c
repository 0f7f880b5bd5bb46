/* SPDX-License-Identifier: BSD-2-Clause */
/* apply.c - scopes, inheritance, defaults, finishing. */
#include "common/conf/config.h"

#include <time.h>

#include "test.h"

#include "common/conf/fake.h"

static struct config *
load(struct fake_load *f, const char *text)
{
    fake_start(f);
    fake_text(f, "/w/w.conf", str_c(text));
    fake_run(f);
    if (f->messages.len > 0)
        printf("# %.*s", STR(fake_messages(f)));
    return f->config;
}

/* The i-th scope of the configuration, in order of creation. */
static struct scope *
scope(const struct config *c, uint32_t i)
{
    return i < c->scopes.len ? *VEC_AT(&c->scopes, struct scope *, i) : NULL;
}

static struct fake_http *
files(struct scope *s)
{
    return scope_conf(s, &fake_files_module);
}

static struct fake_proxy *
proxy(struct scope *s)
{
    return scope_conf(s, &fake_proxy_module);
}

TEST(defaults)
{
    struct fake_load f;
    struct config *c = load(&f, "events {} http {}");
    struct fake_core *core;

    REQUIRE(c != NULL);
    core = scope_conf(c->root, &fake_core_module);
    CHECK_EQ(core->workers, 1);
    CHECK_EQ(core->daemon, true);
    CHECK_STR(core->pid, "/w/logs/weir.pid");
    CHECK_EQ(((struct fake_events *)scope_conf(scope(c, 1), &fake_events_module))->connections,
             512);
    CHECK_EQ(files(scope(c, 2))->send_timeout_ms, 60000);
    CHECK_EQ(files(scope(c, 2))->methods, 3);
    CHECK_EQ(files(scope(c, 2))->buffers.number, 2);
    CHECK_EQ(files(scope(c, 2))->buffers.size, 32768);
    CHECK_EQ(files(scope(c, 2))->body_size, 1024 * 1024);
    CHECK_STR(files(scope(c, 2))->default_type, "text/plain");
    CHECK_EQ(proxy(scope(c, 2))->limit_s, 3600);
    CHECK_EQ(fake_init_calls, 1);
    fake_end(&f);
}

TEST(values)
{
    struct fake_load f;
    struct config *c =
        load(&f, "worker_processes 4; daemon off; pid /run/x; env A; env B=1;"
                 "http { sendfile ON; send_timeout 1m500ms; satisfy any;"
                 "client_max_body_size 8m; output_buffers 4 8k; expires 2d;"
                 "proxy_next_upstream error; proxy_next_upstream http_502; root x; }");
    struct fake_core *core;
    struct fake_http *h;

    REQUIRE(c != NULL);
    core = scope_conf(c->root, &fake_core_module);
    CHECK_EQ(core->workers, 4);
    CHECK_EQ(core->daemon, false);
    CHECK_STR(core->pid, "/run/x");
    REQUIRE(core->env.len == 2);
    CHECK_STR(*VEC_AT(&core->env, struct str, 1), "B=1");
    h = files(scope(c, 1));
    CHECK_EQ(h->sendfile, true);
    CHECK_EQ(h->send_timeout_ms, 60500);
    CHECK_EQ(h->satisfy, 1);
    CHECK_EQ(h->body_size, 8 << 20);
    CHECK_EQ(h->buffers.number, 4);
    CHECK_EQ(h->methods, 5);
    CHECK_STR(h->root, "/w/x");
    CHECK_EQ(proxy(scope(c, 1))->limit_s, 172800);
    fake_end(&f);
}

TEST(text_order_does_not_matter)
{
    struct fake_load f;
    struct config *c = load(&f, "http { server { location /a { location /b {} } sendfile on; }"
                                " root /r; }");

    REQUIRE(c != NULL && c->scopes.len == 5);
    CHECK_STR(files(scope(c, 4))->root, "/r");
    CHECK_EQ(files(scope(c, 4))->sendfile, true);
    CHECK_EQ(files(scope(c, 1))->sendfile, false);
    fake_end(&f);
}

TEST(structs_are_shared_until_set)
{
    struct fake_load f;
    struct config *c = load(&f, "http { server { location / { } location /x { sendfile on; } } }");
    struct scope *http, *server, *first, *second;

    REQUIRE(c != NULL && c->scopes.len == 5);
    http = scope(c, 1);
    server = scope(c, 2);
    first = scope(c, 3);
    second = scope(c, 4);
    CHECK(server->conf == http->conf && first->conf == http->conf);
    CHECK(second->conf != http->conf);
    CHECK(files(second) != files(http));
    CHECK(proxy(second) == proxy(http));
    CHECK_EQ(fake_finish_calls, 2);
    CHECK(first->next == second && second->next == NULL && server->children == first);
    CHECK(second->parent == server && scope_up(second, SCOPE_HTTP) == http);
    CHECK(scope_up(second, SCOPE_EVENTS) == NULL);
    CHECK_STR(second->name, "/x");
    CHECK_EQ(second->id, 4);
    fake_end(&f);
}

TEST(lists_start_anew_at_a_level)
{
    struct fake_load f;
    struct config *c = load(&f, "http { add_header A 1; add_header B 2; allow all; server {"
                                " location / { add_header C 3; deny x; allow y; } location /x { } }"
                                "}");

    REQUIRE(c != NULL);
    CHECK_EQ(files(scope(c, 1))->headers.len, 2);
    CHECK_EQ(files(scope(c, 4))->headers.len, 2);
    REQUIRE(files(scope(c, 3))->headers.len == 1);
    CHECK_STR(*VEC_AT(&files(scope(c, 3))->headers, struct str, 0), "C 3");
    REQUIRE(files(scope(c, 3))->rules.len == 2);
    CHECK_STR(*VEC_AT(&files(scope(c, 3))->rules, struct str, 0), "deny x");
    CHECK_STR(*VEC_AT(&files(scope(c, 3))->rules, struct str, 1), "allow y");
    fake_end(&f);
}

TEST(block_and_inner_fields)
{
    struct fake_load f;
    struct config *c =
        load(&f, "http { server { location / { proxy_pass p; try_files a b; expires 5;"
                 " if (x) { } limit_except GET { deny all; } location /in { } } } }");
    struct scope *location, *in_if, *limit, *nested;

    REQUIRE(c != NULL && c->scopes.len == 7);
    location = scope(c, 3);
    in_if = scope(c, 4);
    limit = scope(c, 5);
    nested = scope(c, 6);
    CHECK_STR(proxy(location)->pass, "p");
    CHECK_STR(proxy(location)->try_files, "a");
    CHECK_STR(proxy(in_if)->pass, "p");
    CHECK_STR(proxy(in_if)->try_files, "");
    CHECK_STR(proxy(limit)->pass, "p");
    CHECK_STR(proxy(nested)->pass, "");
    CHECK_STR(proxy(nested)->try_files, "");
    CHECK_EQ(proxy(nested)->limit_s, 5);
    CHECK(files(nested) == files(location));
    fake_end(&f);
}

TEST(rows_are_chosen_by_context)
{
    struct fake_load f;
    struct config *c = load(&f, "http { upstream u { server a; server b weight=2; } server { } }");
    struct fake_upstream *u;

    REQUIRE(c != NULL && c->scopes.len == 4);
    CHECK_EQ(scope(c, 2)->kind, SCOPE_UPSTREAM);
    CHECK_EQ(scope(c, 3)->kind, SCOPE_SERVER);
    u = scope_conf(scope(c, 2), &fake_upstream_module);
    CHECK_EQ(u->servers.len, 2);
    CHECK_EQ(u->keepalive, 32);
    fake_end(&f);
}

TEST(included_texts)
{
    struct fake_load f;
    struct config *c;
    struct text t;

    fake_start(&f);
    fake_text(&f, "/w/w.conf", S("http { include conf.d/*.conf; include one; }"));
    fake_text(&f, "/w/conf.d/b.conf", S("server { include ../x/[y]; root /b; }"));
    fake_text(&f, "/w/conf.d/a.conf", S("server { root /a; }\n"));
    fake_text(&f, "/w/conf.d/.hidden.conf", S("nonsense"));
    fake_text(&f, "/w/conf.d/../x/y", S("sendfile on;"));
    fake_text(&f, "/w/one", S("types { include one.types; }"));
    fake_text(&f, "/w/one.types", S("text/html html htm;\n"));
    f.options.globals = S("worker_processes 3;");
    c = fake_run(&f);
    REQUIRE(c != NULL, "%.*s", STR(fake_messages(&f)));
    REQUIRE(c->scopes.len == 4);
    CHECK_STR(files(scope(c, 2))->root, "/a");
    CHECK_EQ(files(scope(c, 2))->sendfile, false);
    CHECK_EQ(files(scope(c, 1))->types, 2);
    CHECK_EQ(((struct fake_core *)scope_conf(c->root, &fake_core_module))->workers, 3);
    CHECK_STR(config_pos_file(c, scope(c, 2)->pos), "/w/conf.d/a.conf");
    CHECK_EQ(scope(c, 2)->pos.line, 1);
    text_init(&t, &f.arena);
    config_dump(c, &t);
    CHECK(str_starts(text_str(&t), S("# configuration file /w/w.conf:\nhttp {")));
    CHECK(str_search(text_str(&t), S("\n# configuration file /w/conf.d/a.conf:\nserver { root /a; "
                                     "}\n\n# configuration file /w/conf.d/b.conf:\n")) < t.len);
    CHECK(str_search(text_str(&t), S("worker_processes")) == t.len);
    fake_end(&f);
}

TEST(tables_are_dumped)
{
    struct arena a;
    struct text t;

    modules_number(fake_modules);
    arena_init(&a, 4096);
    text_init(&t, &a);
    config_dump_tables(&t);
    CHECK(str_search(text_str(&t), S("directive\tcore\tuser\tmain\t1-2\t\t\n")) < t.len);
    CHECK(str_search(text_str(&t), S("directive\thttp\thttp\tmain\tblock\t\t\n")) < t.len);
    CHECK(str_search(text_str(&t), S("directive\thttp\tlocation\tserver,location\t1-2 block\t\t")) <
          t.len);
    CHECK(str_search(text_str(&t), S("\tupstream\tserver\tupstream\t1+\t\t\n")) < t.len);
    CHECK(str_search(text_str(&t), S("\tserver_name\tserver\t1+\t")) < t.len);
    CHECK(str_search(text_str(&t), S("\tsend_timeout\thttp,server,location\t1\t60s\t")) < t.len);
    CHECK(str_search(text_str(&t), S("\ttables grow by themselves\n")) < t.len);
    arena_free(&a);
}

/* 10,000 server blocks: they are to take no more than 0.2 s and 20 MB. */
TEST(many_servers)
{
    struct fake_load f;
    struct timespec start, end;
    struct config *c;
    struct text t;
    double seconds;

    fake_start(&f);
    text_init(&t, NULL);
    TEXT_LIT(&t, "events {}\nhttp {\n");
    for (int i = 0; i < 10000; i++)
        text_fmt(&t,
                 "server {\n    listen 80;\n    server_name s%d.example.com;\n    root /srv/%d;\n"
                 "    location / { }\n    location /api { proxy_pass http://b%d; }\n}\n",
                 i, i, i);
    TEXT_LIT(&t, "}\n");
    fake_text(&f, "/w/w.conf", text_str(&t));
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    c = fake_run(&f);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    REQUIRE(c != NULL);
    CHECK_EQ(c->scopes.len, 30003);
    CHECK(c->arena.used < 20u << 20, "%zu bytes", c->arena.used);
    seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("# %.3f s, %zu kB\n", seconds, c->arena.used >> 10);
    CHECK(seconds < 2, "%.3f s", seconds); /* generous: sanitizers and busy machines */
    fake_end(&f);
    text_free(&t);
}
