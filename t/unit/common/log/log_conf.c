/* SPDX-License-Identifier: BSD-2-Clause */
/* log_conf.c - the error_log directive at several levels. */
#include "common/log/log_conf.h"

#include "common/conf/config.h"
#include "common/log/sink.h"
#include "t/unit/test.h"

static bool
open_block(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)conf;
    return conf_open_scope(l, n, d->contexts == CTX_MAIN ? SCOPE_HTTP : SCOPE_SERVER, S("x"),
                           NULL) != NULL;
}

static const struct directive block_directives[] = {
    D_SCOPE("http", CTX_MAIN, ARGS(0, 0), open_block),
    D_SCOPE("server", CTX_HTTP, ARGS(0, 0), open_block), D_END
};
static struct module block_module = { .name = "blocks", .directives = block_directives };
static struct module *const list[] = { &log_module, &block_module, NULL };

struct load {
    struct arena arena;
    struct vec texts, messages;
    struct conf_options options;
    struct config *config;
};

static struct config *
load(struct load *l, const char *text, const char *error_log)
{
    modules_number(list);
    memset(l, 0, sizeof(*l));
    arena_init(&l->arena, 4096);
    vec_init(&l->texts, &l->arena, sizeof(struct conf_file));
    vec_init(&l->messages, &l->arena, sizeof(struct conf_message));
    *VEC_PUSH(&l->texts, struct conf_file) =
        (struct conf_file){ .path = S("/w/w.conf"), .text = str_c(text) };
    l->options = (struct conf_options){ .prefix = S("/w/"),
                                        .conf_path = S("/w/w.conf"),
                                        .globals = S(""),
                                        .error_log = str_c(error_log),
                                        .texts = &l->texts };
    l->config = config_load(&l->options, &l->arena, &l->messages);
    return l->config;
}

static void
unload(struct load *l)
{
    if (l->config != NULL)
        config_free(l->config);
    arena_free(&l->arena);
}

static struct str
first_message(const struct load *l)
{
    return l->messages.len > 0 ? VEC_AT(&l->messages, struct conf_message, 0)->line : S("");
}

/* The sinks of a log in a line: "/w/a:warn stderr:error". */
static struct str
show(const struct log *log)
{
    static char mem[256];
    struct text t;

    text_init_fixed(&t, mem, sizeof(mem));
    for (const struct log_sink *s = log->sinks; s != NULL; s = s->next) {
        if (t.len > 0)
            text_char(&t, ' ');
        text_add(&t, s->kind == SINK_FILE ? s->file->path
                                          : str_c(s->kind == SINK_STDERR ? "stderr" : "syslog"));
        text_fmt(&t, ":%s", log_level_names[s->level]);
    }
    return text_str(&t);
}

TEST(lines_of_a_level_take_the_place_of_those_around)
{
    struct load l;
    struct config *c = load(&l,
                            "error_log a warn; error_log stderr;\n"
                            "http { server { } server { error_log logs/b debug;\n"
                            "error_log syslog:server=127.0.0.1 crit; error_log a; } }",
                            "");

    REQUIRE(c != NULL, "%.*s", STR(first_message(&l)));
    REQUIRE(c->scopes.len == 4);
    CHECK_STR(show(&c->log), "/w/a:warn stderr:error");
    CHECK_EQ(c->log.level, LOG_LEVEL_WARN);
    CHECK_STR(show(log_of_scope(*VEC_AT(&c->scopes, struct scope *, 2))), "/w/a:warn stderr:error");
    CHECK_STR(show(log_of_scope(*VEC_AT(&c->scopes, struct scope *, 3))),
              "/w/logs/b:debug syslog:crit /w/a:error");
    CHECK_EQ(c->logs.len, 2, "each file once");
    unload(&l);
}

TEST(without_a_line_the_default)
{
    struct load l;
    struct config *c = load(&l, "http { server { error_log x; } }", "e.log");

    REQUIRE(c != NULL, "%.*s", STR(first_message(&l)));
    CHECK_STR(show(&c->log), "/w/e.log:error");
    CHECK_EQ(c->log.level, LOG_LEVEL_ERROR);
    CHECK_STR(show(log_of_scope(c->root)), "/w/e.log:error");
    unload(&l);

    c = load(&l, "", "stderr");
    REQUIRE(c != NULL);
    CHECK_STR(show(&c->log), "stderr:error");
    CHECK_EQ(c->logs.len, 0);
    unload(&l);

    c = load(&l, "", "");
    REQUIRE(c != NULL);
    CHECK(str_ends(show(&c->log), S("logs/error.log:error")));
    unload(&l);

    c = load(&l, "error_log x;", "e.log");
    REQUIRE(c != NULL);
    CHECK_STR(show(&c->log), "/w/x:error");
    CHECK_EQ(c->logs.len, 1, "and no file that nobody writes to");
    unload(&l);
}

static const struct {
    const char *text, *message;
} wrong[] = {
    { "error_log x bad;", "invalid log level \"bad\" in /w/w.conf:1" },
    { "error_log syslog:server=;", "no host in syslog server \"\" in /w/w.conf:1" },
    { "error_log syslog:x;", "unknown syslog parameter \"x\" in /w/w.conf:1" },
    { "error_log memory:32m debug;", "weir was built without logs in memory in /w/w.conf:1" },
    { "error_log;", "invalid number of arguments in \"error_log\" directive in /w/w.conf:1" },
};

TEST(errors)
{
    EACH (wrong, w) {
        struct load l;

        CHECK(load(&l, w->text, "") == NULL, "%s", w->text);
        CHECK_STR(first_message(&l), w->message, "%s", w->text);
        unload(&l);
    }
}
