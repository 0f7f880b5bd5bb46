/* SPDX-License-Identifier: BSD-2-Clause */
/* type_set.c - sets of media types: text/html always, case, parameters, "*". */
#include "worker/http/type_set.h"

#include "test.h"

#include "common/conf/config.h"
#include "common/log/log_conf.h"
#include "common/module.h"

struct types_conf {
    struct type_set set;
};
static const struct directive types_directives[] = {
    D_CALL("some_types", CTX_MAIN, ARGS(0, ARGS_ANY), conf_set_types, FIELD(struct types_conf, set),
           .inherit = I_LIST),
    D_END,
};
static struct module types_module = {
    .name = "types",
    .conf_size = sizeof(struct types_conf),
    .directives = types_directives,
};
static struct module *const types_modules[] = { &log_module, &types_module, NULL };

/* A configuration of one line, or more. */
struct loaded {
    struct arena arena;
    struct vec texts, messages;
    struct config *config;
};

static const struct type_set *
load(struct loaded *l, const char *lines)
{
    struct conf_options o = { .prefix = S_INIT("/w"), .conf_path = S_INIT("/w/w.conf") };
    struct conf_file *file;

    modules_number(types_modules);
    arena_init(&l->arena, 4096);
    vec_init(&l->texts, &l->arena, sizeof(struct conf_file));
    vec_init(&l->messages, &l->arena, sizeof(struct conf_message));
    file = vec_push(&l->texts);
    *file = (struct conf_file){ S("/w/w.conf"), str_c(lines) };
    o.texts = &l->texts;
    l->config = config_load(&o, &l->arena, &l->messages);
    return l->config == NULL ? NULL
                             : &((struct types_conf *)scope_conf(
                                     *VEC_AT(&l->config->scopes, struct scope *, 0), &types_module))
                                    ->set;
}

static void
unload(struct loaded *l)
{
    config_free(l->config);
    arena_free(&l->arena);
}

static const struct {
    const char *lines, *type;
    bool has;
} cases[] = {
    { "some_types text/css;", "text/css", true },
    { "some_types text/css;", "TEXT/CSS", true },
    { "some_types Text/CSS;", "text/css", true },
    { "some_types text/css;", "text/css; charset=utf-8", true },
    { "some_types text/css;", "text/css ;x", true },
    { "some_types text/css;", " text/css", true },
    { "some_types text/css;", "text/html", true },
    { "some_types text/css;", "text/html;a", true },
    { "some_types text/css;", "text/cs", false },
    { "some_types text/css;", "text/csss", false },
    { "some_types text/css;", "", false },
    { "some_types text/css;", ";", false },
    { "some_types text/css text/plain;", "text/plain", true },
    { "some_types text/css; some_types text/plain;", "text/css", true },
    { "some_types text/css; some_types text/plain;", "text/plain", true },
    { "some_types *;", "any/thing", true },
    { "some_types *;", "", true },
    { "some_types text/css *;", "any/thing", true },
    { "some_types;", "text/html", true },
    { "some_types;", "text/css", false },
};

TEST(types)
{
    EACH (cases, c) {
        struct loaded l;
        const struct type_set *set = load(&l, c->lines);

        CHECK(set != NULL, "%s", c->lines);
        if (set != NULL)
            CHECK_EQ(type_set_has(set, str_c(c->type)), c->has, "%s has %s", c->lines, c->type);
        unload(&l);
    }
}

TEST(without_a_line)
{
    const struct type_set none = { NULL, false };

    CHECK(type_set_has(&none, S("text/html")), "text/html alone");
    CHECK(!type_set_has(&none, S("text/css")));
}

TEST(a_very_long_type)
{
    struct loaded l;
    const struct type_set *set = load(&l, "some_types text/css;");
    char many[300];

    memset(many, 'x', sizeof(many));
    CHECK(set != NULL && !type_set_has(set, str_n(many, sizeof(many))));
    unload(&l);
}

TEST(said_twice)
{
    struct loaded l;

    CHECK(load(&l, "some_types text/css text/CSS text/html;") != NULL, "a warning is no error");
    REQUIRE(l.messages.len == 2);
    CHECK_STR(VEC_AT(&l.messages, struct conf_message, 0)->line,
              "duplicate MIME type \"text/CSS\" in /w/w.conf:1");
    unload(&l);
}
