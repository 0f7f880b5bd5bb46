/* SPDX-License-Identifier: BSD-2-Clause */
/* lex.h - the words of a configuration text, with their places. */
#ifndef WEIR_CONF_LEX_H
#define WEIR_CONF_LEX_H

#include "common/base/arena.h"
#include "common/conf/scope.h"

enum {
    LEX_WORD_MAX = 1 << 20, /* bytes of one argument */
};

enum lex_kind {
    LEX_WORD,
    LEX_SEMICOLON,
    LEX_OPEN,  /* { */
    LEX_CLOSE, /* } */
    LEX_END,
    LEX_STRAY,    /* something directly behind a closing quote; `text` is the character */
    LEX_TOO_LONG, /* `text` is the beginning, `pos` where the word starts */
    LEX_UNCLOSED, /* the text ends within quotes; `pos` is the opening quote */
    LEX_NO_ENV, /* `env(NAME)` without such a variable and without a default; `text` is the name */
    LEX_NO_MEMORY,
};

struct lex_token {
    enum lex_kind kind;
    uint8_t quoted;  /* 0, '"' or '\'' */
    struct str text; /* of a word: unquoted, unescaped; a part of the file's text where possible */
    struct conf_pos pos;  /* of its first byte; the opening quote of a quoted word */
    struct conf_pos from; /* LEX_STRAY: the quoted word before it */
};

/* Reads a text that outlives it. */
struct lexer {
    struct str text;
    size_t at;
    uint32_t file;
    uint32_t line;  /* of `at`, from 1 */
    size_t line_at; /* where that line begins */
    bool
        is_globals; /* the text of -g: places have no line, the column counts from the text's start */
    bool after_quote;      /* the word before `at` was quoted */
    struct conf_pos quote; /* where it began */
    struct arena *arena;   /* for words that escapes make different from the text */
};

void lex_init(struct lexer *x, struct str text, uint32_t file, bool is_globals, struct arena *a);
enum lex_kind lex_next(struct lexer *x, struct lex_token *t);
struct conf_pos lex_pos(const struct lexer *x);
/* Behind the opening brace of a block of Lua code: moves behind the closing one. False: there is none. */
bool lex_skip_lua(struct lexer *x);

#endif
