/* SPDX-License-Identifier: BSD-2-Clause */
/* template.c - variables and templates: names at load, values and their cache at run time. */
#include "worker/core/template.h"

#include "test.h"

#include "t/unit/worker/fixture.h"

/* Expands the `text` of http {} in an exchange of its own. */
static void
expands(const char *conf, const char *want)
{
    struct fixture f;
    struct config *c = fixture_load(&f, conf);
    struct exchange *x;

    if (c == NULL) {
        CHECK(c != NULL, "%.*s", STR(fixture_message(&f)));
        return;
    }
    x = fixture_exchange(fixture_find(c, SCOPE_HTTP));
    CHECK_STR(template_expand(x, fixture_text(x->scope)), want, "%s", conf);
    exchange_finish(x);
    fixture_settle();
    fixture_end(&f);
}

TEST(values)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        { "plain", "plain" },
        { "$host", "example.org" },
        { "$HOST", "example.org" },
        { "a$host.b", "aexample.org.b" },
        { "${host}name", "example.orgname" },
        { "$host$uri", "example.org/page" },
        { "$arg_Name", "name" },
        { "<$arg_missing>", "<>" },
        { "$once$once", "11" },
        { "$every$every", "11" }, /* volatile: once for each template */
        { "$egg", "" },           /* a cycle ends */
        { "$set", "" },
        { "$mapped", "of-map" },
        { "", "" },
    };

    fixture_loop();
    EACH (rows, r) {
        char conf[256];

        snprintf(conf, sizeof(conf),
                 "events {} http { set $set; map $mapped of-map; text \"%s\"; }", r->text);
        expands(conf, r->want);
    }
}

TEST(errors)
{
    static const struct {
        const char *line, *message, *details;
    } rows[] = {
        { "text $hst;", "unknown \"hst\" variable in /w/w.conf:2", "did you mean \"$host\"?" },
        { "text a$;", "invalid variable name in \"a$\" in /w/w.conf:2", "" },
        { "text \"a$ b\";", "invalid variable name in \"a$ b\" in /w/w.conf:2", "" },
        { "text \"${host\";", "the closing bracket in \"host\" variable is missing in /w/w.conf:2",
          "" },
        { "text $session_time;", "unknown \"session_time\" variable in /w/w.conf:2", "" },
        { "set $uri;", "the duplicate \"uri\" variable in /w/w.conf:2", "" },
        { "map $host x;", "the duplicate \"host\" variable in /w/w.conf:2", "" },
    };

    fixture_loop();
    EACH (rows, r) {
        struct fixture f;
        char conf[256];

        snprintf(conf, sizeof(conf), "events {} http {\n%s\n}", r->line);
        CHECK(fixture_load(&f, conf) == NULL, "%s", r->line);
        CHECK_STR(fixture_message(&f), r->message, "%s", r->line);
        CHECK(str_search(fixture_details(&f), str_c(r->details)) < fixture_details(&f).len ||
                  r->details[0] == '\0',
              "%s: %.*s", r->line, STR(fixture_details(&f)));
        fixture_end(&f);
    }
}

TEST(stream_has_names_of_its_own)
{
    struct fixture f;
    struct config *c = fixture_load(&f, "events {} stream { text $host-$session_time; }");
    struct exchange *x;

    REQUIRE(c != NULL, "%.*s", STR(fixture_message(&f)));
    x = fixture_exchange(fixture_find(c, SCOPE_STREAM));
    CHECK_STR(template_expand(x, fixture_text(x->scope)), "example.org-0.1");
    exchange_finish(x);
    fixture_settle();
    fixture_end(&f);
    CHECK(fixture_load(&f, "events {} stream { text $uri; }") == NULL);
    fixture_end(&f);
}

TEST(cache_is_shared_by_the_tree)
{
    struct fixture f;
    struct config *c = fixture_load(&f, "events {} http { set $mine; text $once-$mine; }");
    const struct template *t;
    struct exchange *x, *child;

    fixture_loop();
    REQUIRE(c != NULL);
    x = fixture_exchange(fixture_find(c, SCOPE_HTTP));
    child = fixture_child(x, false);
    t = fixture_text(x->scope);
    CHECK_STR(template_expand(x, t), "1-");
    CHECK_STR(template_expand(child, t), "1-");
    var_set(child, 0, S("set-in-child")); /* index 0: `set` is the first row */
    CHECK_STR(template_expand(x, t), "1-set-in-child");
    exchange_finish(child);
    exchange_finish(x);
    fixture_settle();
    fixture_end(&f);
}

TEST(volatile_values)
{
    struct fixture f;
    struct config *c = fixture_load(&f, "events {} http { text $every-$args; }");
    const struct template *t;
    struct exchange *x;

    REQUIRE(c != NULL);
    x = fixture_exchange(fixture_find(c, SCOPE_HTTP));
    t = fixture_text(x->scope);
    CHECK_STR(template_expand(x, t), "1-");
    CHECK_STR(template_expand(x, t), "2-");
    var_set(x, 1, S("a=b")); /* index 1: $args, by its setter */
    CHECK_STR(fixture_stored, "a=b");
    CHECK_STR(template_expand(x, t), "3-a=b");
    CHECK_STR(var_get(x, 0).text, "4"); /* outside of a template */
    CHECK_STR(var_get(x, 0).text, "5");
    exchange_finish(x);
    fixture_settle();
    fixture_end(&f);
}

TEST(by_name_at_run_time)
{
    struct fixture f;
    struct config *c = fixture_load(&f, "events {} http { map $m value; }");
    struct exchange *x;

    REQUIRE(c != NULL);
    x = fixture_exchange(fixture_find(c, SCOPE_HTTP));
    CHECK_STR(var_get_named(x, S("M")).text, "value");
    CHECK_STR(var_get_named(x, S("URI")).text, "/page");
    CHECK_STR(var_get_named(x, S("arg_X")).text, "x");
    CHECK(!var_get_named(x, S("nothing")).found);
    CHECK(!var_get_named(x, S("arg_missing")).found);
    exchange_finish(x);
    fixture_settle();
    fixture_end(&f);
}

static struct str
capture(struct exchange *x UNUSED, unsigned group)
{
    return group == 1 ? S("one") : S("");
}

TEST(captures)
{
    fixture_loop();
    template_capture = capture;
    expands("events {} http { text a$1b$2; }", "aoneb");
    template_capture = NULL;
}
