/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c - the order and bounds of messages, the command line, files on disk, and what setters ask of the loader. */
#include "common/conf/config.h"

#include <sys/stat.h>

#include "test.h"

#include "common/conf/fake.h"

#include "common/shm/zone.h"

static struct str
messages_of(struct fake_load *f, const char *text, const char *globals)
{
    fake_start(f);
    f->options.globals = str_c(globals);
    fake_text(f, "/w/w.conf", str_c(text));
    fake_run(f);
    return fake_messages(f);
}

static const struct {
    const char *globals, *message;
} globals[] = {
    { "nonsense_of_mine;", "[emerg] unknown directive \"nonsense_of_mine\" in command line\n"
                           "    -g | nonsense_of_mine;\n       | ^\n" },
    { "user a", "[emerg] unexpected end of parameter, expecting \";\" in command line\n"
                "    -g | user a\n       |       ^\n"
                "         the directive \"user\" of the command line has no \";\"\n" },
    { "http { ", "[emerg] block directives are not supported in -g option in command line\n"
                 "    -g | http { \n       | ^\n" },
    { "daemon on; daemon off;", "[emerg] \"daemon\" directive is duplicate in command line\n"
                                "    -g | daemon on; daemon off;\n       |            ^\n"
                                "         it is set in the command line\n" },
    { "worker_processes 1;", "[emerg] \"worker_processes\" directive is duplicate in /w/w.conf:1\n"
                             "     1 | worker_processes 2;\n       | ^\n"
                             "         it is set in the command line\n" },
    { "}", "[emerg] unexpected \"}\" in command line\n    -g | }\n       | ^\n" },
};

TEST(command_line)
{
    EACH (globals, c) {
        struct fake_load f;

        CHECK_STR(messages_of(&f, "worker_processes 2;", c->globals), c->message, "%s", c->globals);
        CHECK(f.config == NULL);
        fake_end(&f);
    }
}

TEST(main_file_is_missing)
{
    struct fake_load f;

    fake_start(&f);
    f.options.conf_path = S("none.conf");
    CHECK(fake_run(&f) == NULL);
    CHECK_STR(fake_messages(&f),
              "[emerg] open() \"/w/none.conf\" failed (2: No such file or directory)\n");
    fake_end(&f);
}

TEST(errors_are_bounded)
{
    struct fake_load f;
    struct text t;

    text_init(&t, NULL);
    for (int i = 0; i < 500; i++)
        text_fmt(&t, "nonsense_%d_of_mine;\n", i);
    messages_of(&f, "", "");
    fake_end(&f);
    fake_start(&f);
    fake_text(&f, "/w/w.conf", text_str(&t));
    CHECK(fake_run(&f) == NULL);
    REQUIRE(f.messages.len == 101);
    CHECK_EQ(VEC_AT(&f.messages, struct conf_message, 99)->pos.line, 100);
    CHECK_STR(VEC_AT(&f.messages, struct conf_message, 100)->line,
              "100 errors: the rest of the configuration is not checked");
    fake_end(&f);
    text_free(&t);
}

TEST(warnings_are_bounded)
{
    struct fake_load f;
    struct text t;

    text_init(&t, NULL);
    TEXT_LIT(&t, "http {\n");
    for (int i = 0; i < 1500; i++)
        TEXT_LIT(&t, "server { proxy_next_upstream error error; }\n");
    TEXT_LIT(&t, "}\n");
    fake_start(&f);
    fake_text(&f, "/w/w.conf", text_str(&t));
    CHECK(fake_run(&f) != NULL);
    REQUIRE(f.messages.len == 1001);
    CHECK_STR(VEC_AT(&f.messages, struct conf_message, 1000)->line, "500 more warnings");
    fake_end(&f);
    text_free(&t);
}

TEST(includes_that_multiply)
{
    struct fake_load f;
    struct text t;

    /* Each file includes the next one ten times. */
    fake_start(&f);
    fake_text(&f, "/w/w.conf", S("include f0;"));
    for (int i = 0; i < 9; i++) {
        struct str name = arena_fmt(&f.arena, "/w/f%d", i);

        text_init(&t, &f.arena);
        for (int n = 0; n < 10; n++)
            text_fmt(&t, "include f%d;\n", i + 1);
        fake_text(&f, name.ptr, text_str(&t));
    }
    fake_text(&f, "/w/f9", S("\n"));
    CHECK(fake_run(&f) == NULL);
    CHECK(str_search(fake_messages(&f), S("too many included files")) < fake_messages(&f).len);
    fake_end(&f);
}

TEST(includes_that_never_end)
{
    struct fake_load f;

    fake_start(&f);
    fake_text(&f, "/w/w.conf", S("include a/*;"));
    fake_text(&f, "/w/a/1", S("include a/*;"));
    fake_text(&f, "/w/a/2", S("daemon on;"));
    CHECK(fake_run(&f) == NULL);
    CHECK(str_search(fake_messages(&f), S("\"/w/a/1\" includes itself in /w/a/1:1")) <
          fake_messages(&f).len);
    fake_end(&f);
}

/* What was read from disk gives the same configuration when it is handed over. */
TEST(hand_over)
{
    char dir[] = "/tmp/weir-unit-XXXXXX", path[128];
    struct fake_load f, again;
    FILE *to;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/parts", dir);
    REQUIRE(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/parts/a.conf", dir);
    to = fopen(path, "w");
    REQUIRE(to != NULL);
    fputs("sendfile on;\n", to);
    fclose(to);
    snprintf(path, sizeof(path), "%s/w.conf", dir);
    to = fopen(path, "w");
    REQUIRE(to != NULL);
    fputs("http { include parts/*.conf; include none/*; }", to);
    fclose(to);

    fake_start(&f);
    f.options.texts = NULL;
    f.options.prefix = str_c(dir);
    f.options.globals = S("daemon off;");
    CHECK(fake_run(&f) != NULL, "%.*s", STR(fake_messages(&f)));
    snprintf(path, sizeof(path), "%s/parts/a.conf", dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/parts", dir);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/w.conf", dir);
    unlink(path);
    rmdir(dir);
    if (f.config != NULL) {
        fake_start(&again);
        again.options.prefix = str_c(dir);
        again.options.texts = &f.config->files;
        CHECK(fake_run(&again) != NULL, "%.*s", STR(fake_messages(&again)));
        if (again.config != NULL) {
            struct fake_core *core = scope_conf(again.config->root, &fake_core_module);
            struct fake_http *h = again.config->root->children->conf[fake_files_module.index];

            CHECK_EQ(core->daemon, false);
            CHECK_EQ(h->sendfile, true);
            CHECK_EQ(again.config->files.len, 3);
        }
        fake_end(&again);
    }
    fake_end(&f);
}

TEST(devices)
{
    struct fake_load f;

    fake_start(&f);
    f.options.texts = NULL;
    f.options.conf_path = S("/dev/null");
    CHECK(fake_run(&f) != NULL);
    fake_end(&f);
    fake_start(&f);
    f.options.texts = NULL;
    f.options.conf_path = S("/tmp/");
    CHECK(fake_run(&f) == NULL);
    CHECK_STR(fake_messages(&f), "[emerg] read() \"/tmp/\" failed (21: Is a directory)\n");
    fake_end(&f);
}

/* ---- a module whose setter and finish do what a test wants ---- */

static bool (*probe)(struct conf_load *l, struct conf_node *n, void *conf);
static bool (*probe_loaded)(struct conf_load *l);

static bool
set_probe(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n, void *conf)
{
    return probe(l, n, conf);
}

static bool
loaded_probe(struct conf_load *l)
{
    return probe_loaded == NULL || probe_loaded(l);
}

static const struct directive probe_directives[] = {
    D_CALL("probe", CTX_MAIN | CTX_HTTP | CTX_SRV | CTX_LOC, ARGS(0, ARGS_ANY), set_probe,
           .repeat = true),
    D_END,
};
static struct module probe_module = { .name = "probe",
                                      .conf_size = sizeof(uint64_t),
                                      .directives = probe_directives,
                                      .loaded = loaded_probe };
static struct module *const probe_modules[] = { &fake_core_module,  &fake_events_module,
                                                &fake_files_module, &fake_http_module,
                                                &probe_module,      NULL };

static struct str
probed(struct fake_load *f, const char *text,
       bool (*fn)(struct conf_load *, struct conf_node *, void *))
{
    fake_start(f);
    modules_number(probe_modules);
    probe = fn;
    fake_text(f, "/w/w.conf", str_c(text));
    fake_run(f);
    return fake_messages(f);
}

static const struct zone_ops ops_a = { .kind = "a" }, ops_b = { .kind = "b" };

/* probe NAME SIZE KIND */
static bool
probe_zone(struct conf_load *l, struct conf_node *n, void *conf UNUSED)
{
    const struct zone_ops *ops = str_eq(n->args[3], S("a")) ? &ops_a : &ops_b;

    return config_zone(l, n, n->args[1], (uint64_t)(n->args[2].ptr[0] - '0'), ops) != NULL;
}

TEST(zones)
{
    struct fake_load f;

    CHECK_STR(probed(&f, "probe x 0 a; probe x 5 a; probe y 1 b; probe x 5 a;", probe_zone), "");
    REQUIRE(f.config != NULL && f.config->zones.len == 2);
    CHECK_EQ((*VEC_AT(&f.config->zones, struct zone_spec *, 0))->size, 5);
    fake_end(&f);
    CHECK_STR(probed(&f, "probe x 1 a;\nprobe x 1 b;", probe_zone),
              "[emerg] the shared memory zone \"x\" is already declared for a different use in "
              "/w/w.conf:2\n     2 | probe x 1 b;\n       | ^\n"
              "         it is declared in /w/w.conf:1\n");
    fake_end(&f);
    CHECK_STR(probed(&f, "probe x 1 a;\nprobe x 2 a;", probe_zone),
              "[emerg] the size 2 of shared memory zone \"x\" conflicts with already declared size "
              "1 in /w/w.conf:2\n     2 | probe x 2 a;\n       | ^\n"
              "         it is declared in /w/w.conf:1\n");
    fake_end(&f);
    CHECK_STR(probed(&f, "probe x 0 a;", probe_zone),
              "[emerg] zero size shared memory zone \"x\" in /w/w.conf:1\n"
              "     1 | probe x 0 a;\n       | ^\n");
    fake_end(&f);
}

static bool
probe_files(struct conf_load *l, struct conf_node *n, void *conf UNUSED)
{
    struct log_file *a = config_log_file(l, n->args[1]), *b = config_log_file(l, S("logs/x"));
    struct str value;

    CHECK(a == b && a->fd == -1);
    CHECK_STR(a->path, "/w/logs/x");
    CHECK_STR(conf_path(l, S("a"), true), "/w/a");
    CHECK_STR(conf_path(l, S("/abs"), false), "/abs");
    CHECK(conf_param(S("zone=a:1m"), "zone", &value));
    CHECK_STR(value, "a:1m");
    CHECK(conf_param(S("zone="), "zone", &value) && value.len == 0);
    CHECK(!conf_param(S("zone"), "zone", &value));
    CHECK(!conf_param(S("zones=a"), "zone", &value));
    return true;
}

TEST(paths)
{
    struct fake_load f;

    CHECK_STR(probed(&f, "probe /w/logs/x;", probe_files), "");
    REQUIRE(f.config != NULL);
    CHECK_EQ(f.config->logs.len, 1);
    CHECK_STR(f.config->prefix, "/w/");
    fake_end(&f);
}

/* In a location: gives its server, entered long before, a struct of its own. */
static bool
probe_server(struct conf_load *l, struct conf_node *n, void *conf UNUSED)
{
    struct scope *server = scope_up(conf_scope(l), SCOPE_SERVER);
    struct fake_http *h;

    if (n->n < 2)
        return true;
    h = conf_own(l, server, &fake_files_module);
    if (h == NULL)
        return false;
    h->keepalive_requests = 7;
    return true;
}

TEST(a_late_copy_is_seen_below)
{
    struct fake_load f;
    struct scope *http, *server, *first, *second;

    CHECK_STR(probed(&f,
                     "http { server { location /a { } location /b { probe x; }"
                     " location /c { sendfile on; } } server { } }",
                     probe_server),
              "");
    REQUIRE(f.config != NULL);
    http = f.config->root->children;
    server = http->children;
    first = server->children;
    second = first->next;
#define REQUESTS(s) (((struct fake_http *)scope_conf(s, &fake_files_module))->keepalive_requests)
    CHECK_EQ(REQUESTS(http), 1000);
    CHECK_EQ(REQUESTS(server), 7);
    CHECK_EQ(REQUESTS(first), 7);
    CHECK_EQ(REQUESTS(second), 7);
    CHECK_EQ(REQUESTS(second->next), 7);
    CHECK_EQ(REQUESTS(server->next), 1000);
    fake_end(&f);
}

static bool
probe_silent(struct conf_load *l UNUSED, struct conf_node *n UNUSED, void *conf UNUSED)
{
    return false;
}

static bool
loaded_nothing(struct conf_load *l)
{
    return conf_fail_at(l, (struct conf_pos){ 0, 0, 0 }, "no \"events\" section in configuration");
}

TEST(errors_without_a_place)
{
    struct fake_load f;

    CHECK_STR(probed(&f, "daemon on;\nprobe;\n", probe_silent),
              "[emerg] \"probe\" directive is invalid in /w/w.conf:2\n"
              "     2 | probe;\n       | ^\n");
    fake_end(&f);
    probe_loaded = loaded_nothing;
    CHECK_STR(probed(&f, "daemon on;\n\n# end\n", NULL),
              "[emerg] no \"events\" section in configuration in /w/w.conf:3\n");
    fake_end(&f);
    probe_loaded = NULL;
}
