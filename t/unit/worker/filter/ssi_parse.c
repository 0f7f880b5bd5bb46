/* SPDX-License-Identifier: BSD-2-Clause */
/* ssi_parse.c - texts and commands of a page, however it comes in parts. */
#include "test.h"

#include "worker/filter/ssi_parse.h"

enum { VALUE_MAX = 8 };

/* A page, and what is found: commands in brackets, "!" for those that are wrong. */
static const struct {
    const char *page, *found;
} pages[] = {
    { "a<!--# echo var=\"x\" -->b", "a[echo var=x]b" },
    { "<!--#echo var='x'-->", "[echo var=x]" },
    { "<!--#\techo\r\n var = \"x\"\n-->", "[echo var=x]" },
    { "<!--# a b=\"1\" c='2' -->", "[a b=1 c=2]" },
    { "<!--# a b=\"\" -->", "[a b=]" },
    { "<!--#endif-->", "[endif]" },
    { "<!--# a b=\"-->\" -->c", "[a b=-->]c" },
    { "<!--# a b=\"\\\"\" -->c", "[a b=\\\"]c" },
    { "<!--# a b=\"\\\\\" -->c", "[a b=\\\\]c" },
    { "<!--# a b='\"' -->", "[a b=\"]" },
    { "<!--# a b=\"12345678\" -->", "[a b=12345678]" },
    { "<!--# a b=\"123456789\" -->c", "[!a]c" },
    { "<!--#-->a", "[]a" },
    { "<!--# -->a", "[]a" },
    { "<!--# a --->b", "[!a]b" },
    { "<!--# a - -->b", "[!a]b" },
    { "<!--# a-b -->c", "[!a]c" },
    { "<!--# a b -->c", "[!a]c" },
    { "<!--# a b=c -->d", "[!a]d" },
    { "<!--# a b=-->d", "[!a]d" },
    { "<!--# a b=\"c\"d=\"e\" -->f", "[!a b=c]f" },
    { "<!--# a b=\"c\"- -->f", "[!a b=c]f" },
    /* no commands */
    { "", "" },
    { "<", "<" },
    { "<!- <!-- <!--x <! <!--", "<!- <!-- <!--x <! <!--" },
    { "<<!--# a -->", "<[a]" },
    { "<!-<!--<!--# a -->", "<!-<!--[a]" },
    /* no end */
    { "a<!--#", "a<!--#" },
    { "a<!--# b c=\"d\" --", "a<!--# b c=\"d\" --" },
    { "a<!--# b c=\"d -->", "a<!--# b c=\"d -->" },
    { "a<!--# b <!--# c", "a<!--# b <!--# c" },
};

static void
add_command(struct text *found, const struct ssi_command *c)
{
    text_fmt(found, "[%s%.*s", c->problem != NULL ? "!" : "", STR(c->name));
    for (uint32_t i = 0; i < c->n; i++)
        text_fmt(found, " %.*s=%.*s", STR(c->params[i].name), STR(c->params[i].value));
    TEXT_LIT(found, "]");
}

static void
parse(struct str page, size_t step, struct text *found)
{
    struct ssi_parser p;
    struct ssi_command command;
    struct str text;

    ssi_parser_init(&p, VALUE_MAX);
    for (size_t at = 0; at < page.len; at += step) {
        struct str in = str_n(page.ptr + at, page.len - at < step ? page.len - at : step);
        enum ssi_event event;

        while ((event = ssi_parse(&p, &in, &text, &command)) != SSI_MORE) {
            REQUIRE(event != SSI_FAILED);
            if (event == SSI_TEXT)
                text_add(found, text);
            else
                add_command(found, &command);
        }
    }
    while (ssi_parse_end(&p, &text) == SSI_TEXT)
        text_add(found, text);
    ssi_parser_free(&p);
}

TEST(pages)
{
    EACH (pages, t) {
        for (size_t step = 1; step <= strlen(t->page) + 1; step++) {
            struct text found;

            text_init(&found, NULL);
            TEXT_LIT(&found, "");
            parse(str_c(t->page), step, &found);
            CHECK(str_eq(text_str(&found), str_c(t->found)), "\"%s\" in parts of %zu: \"%.*s\"",
                  t->page, step, STR(text_str(&found)));
            text_free(&found);
        }
    }
}

/* A command that is longer than any sensible one is text, and what follows is parsed. */
TEST(too_long)
{
    struct text page, found;

    text_init(&page, NULL);
    text_init(&found, NULL);
    TEXT_LIT(&page, "<!--# ");
    while (page.len < SSI_COMMAND_MAX)
        text_char(&page, 'x');
    TEXT_LIT(&page, " --><!--# a -->");
    parse(text_str(&page), 1000, &found);
    CHECK_EQ(found.len, SSI_COMMAND_MAX + 4 + 3);
    CHECK(str_ends(text_str(&found), S("x -->[a]")));
    text_free(&page);
    text_free(&found);
}

TEST(unescape)
{
    static const struct {
        const char *value, *plain;
    } values[] = {
        { "", "" },           { "a", "a" },     { "\\", "\\" },         { "\\\\", "\\" },
        { "\\\"\\'", "\"'" }, { "\\$a", "$a" }, { "\\n\\w", "\\n\\w" }, { "a\\\\\\$", "a\\$" },
        { "\\\\n", "\\n" },   { "a\\", "a\\" },
    };

    EACH (values, v) {
        struct text plain;

        text_init(&plain, NULL);
        TEXT_LIT(&plain, "");
        ssi_unescape(&plain, str_c(v->value));
        CHECK(str_eq(text_str(&plain), str_c(v->plain)), "%s", v->value);
        text_free(&plain);
    }
}
