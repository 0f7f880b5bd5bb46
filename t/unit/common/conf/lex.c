/* SPDX-License-Identifier: BSD-2-Clause */
/* lex.c - words, quotes, escapes and places. */
#include "common/conf/lex.h"

#include "common/base/text.h"

#include "test.h"

/* Words joined by '|', then what ended them; `\x01` marks the end of a run. */
static const struct {
    const char *text, *tokens;
} texts[] = {
    { "user a b;", "user|a|b|;" },
    { "events{}", "events|{|}" },
    { " \t\r\n a\r\nb ;", "a|b|;" },
    { "a # ; { }\nb;", "a|b|;" },
    { "a#b;", "a#b|;" },
    { "a 'b c' \"d;e{}\";", "a|b c|d;e{}|;" },
    { "a ab\"c d\";", "a|ab\"c|d\"|;" },
    { "a '';", "a||;" },
    { "a \\t\\r\\n\\\\\\\"\\';", "a|\t\r\n\\\"'|;" },
    { "a \"\\t\\r\\n\\\\\\\"\\'\";", "a|\t\r\n\\\"'|;" },
    { "a ^\\d+\\.x\\;y\\ z;", "a|^\\d+\\.x\\;y\\ z|;" },
    { "a \\#b;", "a|\\#b|;" },
    { "a ${x}y$z;", "a|${x}y$z|;" },
    { "a x${y}{", "a|x${y}|{" },
    { "a $b{", "a|$b|{" },
    { "a $\\{b};", "a|$\\{b}|;" },
    { "a b}c;", "a|b}c|;" },
    { "if ($a = \"b\") {", "if|($a|=|b|)|{" },
    { "if ($a = \"b\"){", "if|($a|=|b|)|{" },
    { "a \"b\";c", "a|b|;|c" },
    { "\xef\xbb\xbf"
      "a;",
      "a|;" },
    { "a \xc3\xa4;", "a|\xc3\xa4|;" },
    { "a\\", "a\\" },
    { "", "" },
};

static struct str
tokens(struct arena *a, struct str text, enum lex_kind *last)
{
    struct lexer x;
    struct lex_token t;
    struct text out;

    text_init(&out, a);
    lex_init(&x, text, 0, false, a);
    for (unsigned n = 0; (*last = lex_next(&x, &t)) <= LEX_CLOSE; n++) {
        static const char marks[] = " ;{}";

        if (n > 0)
            text_char(&out, '|');
        if (t.kind == LEX_WORD)
            text_add(&out, t.text);
        else
            text_char(&out, marks[t.kind]);
    }
    return out.len == 0 ? S("") : text_str(&out);
}

TEST(words)
{
    struct arena a;

    arena_init(&a, 4096);
    EACH (texts, c) {
        enum lex_kind last;

        CHECK_STR(tokens(&a, str_c(c->text), &last), c->tokens, "%s", c->text);
        CHECK_EQ(last, LEX_END, "%s", c->text);
    }
    arena_free(&a);
}

static const struct {
    const char *text;
    enum lex_kind kind;
    uint32_t line, column;
} bad[] = {
    { "a \"b\"c;", LEX_STRAY, 1, 6 },  { "a \"b\"};", LEX_STRAY, 1, 6 },
    { "a \"b\"#;", LEX_STRAY, 1, 6 },  { "a\n  \"b\n\n", LEX_UNCLOSED, 2, 3 },
    { "a 'b\\'", LEX_UNCLOSED, 1, 3 }, { "a 'b\\", LEX_UNCLOSED, 1, 3 },
    { "a\n\n", LEX_END, 3, 1 },
};

TEST(places_of_mistakes)
{
    struct arena a;

    arena_init(&a, 4096);
    EACH (bad, c) {
        struct lexer x;
        struct lex_token t;

        lex_init(&x, str_c(c->text), 7, false, &a);
        while (lex_next(&x, &t) <= LEX_CLOSE)
            ;
        CHECK_EQ(t.kind, c->kind, "%s", c->text);
        CHECK_EQ(t.pos.line, c->line, "%s", c->text);
        CHECK_EQ(t.pos.column, c->column, "%s", c->text);
        CHECK_EQ(t.pos.file, 7);
    }
    arena_free(&a);
}

TEST(long_words)
{
    static char text[LEX_WORD_MAX + 16];
    struct arena a;
    struct lexer x;
    struct lex_token t;

    arena_init(&a, 4096);
    memset(text, 'x', sizeof(text));
    lex_init(&x, str_n(text, LEX_WORD_MAX), 0, false, &a);
    CHECK_EQ(lex_next(&x, &t), LEX_WORD);
    CHECK_EQ(t.text.len, LEX_WORD_MAX);
    lex_init(&x, str_n(text, LEX_WORD_MAX + 1), 0, false, &a);
    CHECK_EQ(lex_next(&x, &t), LEX_TOO_LONG);
    CHECK_STR(t.text, "xxxxxxxxxx");
    arena_free(&a);
}

static const struct {
    const char *text, *rest; /* NULL: there is no end */
} lua[] = {
    { " } x", " x" },
    { " a = { b = {} } } x", " x" },
    { " ngx.say(\"}\") } x", " x" },
    { " ngx.say('\\'}') } x", " x" },
    { " -- }\n } x", " x" },
    { " --[[ }\n } ]] } x", " x" },
    { " --[==[ ]] } ]=] ]==] } x", " x" },
    { " a[b[1]] = [[ } ]] } x", " x" },
    { " s = [=[ ]] } ]=] } x", " x" },
    { " a[1] = 1 } x", " x" },
    { " { ", NULL },
    { " \"} ", NULL },
    { " [[ } ", NULL },
};

TEST(lua_blocks)
{
    EACH (lua, c) {
        struct lexer x;
        bool ok;

        lex_init(&x, str_c(c->text), 0, false, NULL);
        ok = lex_skip_lua(&x);
        CHECK_EQ(ok, c->rest != NULL, "%s", c->text);
        if (ok)
            CHECK_STR(str_from(x.text, x.at), c->rest, "%s", c->text);
    }
}
