/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lex.c - bytes to words, by nginx's rules.
 *
 * A word ends at white space, ';' or '{'; a '{' directly behind '$' belongs to it (`${name}`), and so does every byte
 * behind a backslash. Quotes count only at the start of a word. In words and quotes alike \" \' \\ \t \r \n become
 * one byte; other backslashes stay, because they belong to regular expressions.
 *
 * Beyond nginx: a word that is `env(NAME)` or `env(NAME, default)` as a whole, and not quoted, is the value of that
 * environment variable. Parts of words stay as they are: in regular expressions they may mean something else.
 */
#include "common/conf/lex.h"

#include <stdlib.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void
lex_init(struct lexer *x, struct str text, uint32_t file, bool is_globals, struct arena *a)
{
    *x = (struct lexer){
        .text = text, .file = file, .line = 1, .is_globals = is_globals, .arena = a
    };
    if (str_starts(text, S("\xef\xbb\xbf")))
        x->at = x->line_at = 3;
}

struct conf_pos
lex_pos(const struct lexer *x)
{
    if (x->is_globals)
        return (struct conf_pos){ x->file, 0, (uint32_t)x->at + 1 };
    return (struct conf_pos){ x->file, x->line, (uint32_t)(x->at - x->line_at) + 1 };
}

static inline bool
at_end(const struct lexer *x)
{
    return x->at == x->text.len;
}

static inline void
step(struct lexer *x)
{
    if (x->text.ptr[x->at++] == '\n') {
        x->line++;
        x->line_at = x->at;
    }
}

static void
skip_blanks(struct lexer *x)
{
    while (!at_end(x)) {
        char c = x->text.ptr[x->at];

        if (c == '#') {
            x->at += str_find(str_from(x->text, x->at), '\n');
            continue;
        }
        if (!is_blank(c))
            return;
        step(x);
    }
}

/* What a backslash and `c` stand for; 0 when both stay. */
static char
escaped(char c)
{
    switch (c) {
    case '"':
    case '\'':
    case '\\':
        return c;
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'n':
        return '\n';
    default:
        return 0;
    }
}

static struct str
unescape(struct arena *a, struct str raw)
{
    size_t slash = str_find(raw, '\\'), n = slash;
    char *to;

    if (slash == raw.len)
        return raw;
    to = arena_alloc(a, raw.len);
    if (to == NULL)
        return STR_NONE;
    memcpy(to, raw.ptr, slash);
    for (size_t i = slash; i < raw.len; i++) {
        char c = raw.ptr[i];

        if (c == '\\' && i + 1 < raw.len) {
            char one = escaped(raw.ptr[i + 1]);

            if (one != 0) {
                c = one;
            } else {
                to[n++] = c;
                c = raw.ptr[i + 1];
            }
            i++;
        }
        to[n++] = c;
    }
    return str_n(to, n);
}

static enum lex_kind
finish_word(struct lexer *x, struct lex_token *t, size_t start, size_t end)
{
    struct str raw = str_n(x->text.ptr + start, end - start);

    if (raw.len > LEX_WORD_MAX) {
        t->text = str_upto(raw, 10);
        return LEX_TOO_LONG;
    }
    t->text = unescape(x->arena, raw);
    return t->text.ptr != NULL ? LEX_WORD : LEX_NO_MEMORY;
}

static enum lex_kind
read_quoted(struct lexer *x, struct lex_token *t)
{
    char quote = x->text.ptr[x->at];
    size_t start = ++x->at;

    t->quoted = (uint8_t)quote;
    for (;; step(x)) {
        if (!at_end(x) && x->text.ptr[x->at] == '\\')
            x->at++;
        else if (!at_end(x) && x->text.ptr[x->at] == quote)
            break;
        if (at_end(x))
            return LEX_UNCLOSED;
    }
    x->after_quote = true;
    x->quote = t->pos;
    return finish_word(x, t, start, x->at++);
}

static enum lex_kind
read_word(struct lexer *x, struct lex_token *t)
{
    size_t start = x->at;
    bool dollar = false;

    for (; !at_end(x); step(x)) {
        char c = x->text.ptr[x->at];

        if (c == '\\') {
            dollar = false;
            if (++x->at == x->text.len)
                break;
            continue;
        }
        if (is_blank(c) || c == ';' || (c == '{' && !dollar))
            break;
        dollar = c == '$';
    }
    return finish_word(x, t, start, x->at);
}

/* ---- env(NAME, default) ---- */

static bool
is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static size_t
blanks(struct str s, size_t at)
{
    while (at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '\t'))
        at++;
    return at;
}

/* The default at `at`: in quotes, or up to the bracket on the same line. Where it ends; 0: it is none. */
static size_t
env_default(struct str s, size_t at, struct str *value)
{
    size_t end;

    at = blanks(s, at);
    if (at < s.len && (s.ptr[at] == '"' || s.ptr[at] == '\'')) {
        end = at + 1 + str_find(str_from(s, at + 1), s.ptr[at]);
        if (end >= s.len)
            return 0;
        *value = str_n(s.ptr + at + 1, end - at - 1);
        return blanks(s, end + 1);
    }
    for (end = at; end < s.len && s.ptr[end] != ')'; end++) {
        if (strchr("\r\n;{}\"'(", s.ptr[end]) != NULL)
            return 0;
    }
    *value = str_trim(str_n(s.ptr + at, end - at));
    return end;
}

/* Takes the word if it has that form. False: it is a word like others. */
static bool
read_env(struct lexer *x, struct lex_token *t, enum lex_kind *kind)
{
    struct str s = str_from(x->text, x->at), name, value = STR_NONE;
    size_t at = strlen("env("), end;
    char *variable;
    const char *found;

    if (!str_starts(s, S("env(")))
        return false;
    at = end = blanks(s, at);
    while (end < s.len && is_name_char(s.ptr[end], end == at))
        end++;
    name = str_n(s.ptr + at, end - at);
    end = blanks(s, end);
    if (end < s.len && s.ptr[end] == ',')
        end = env_default(s, end + 1, &value);
    if (name.len == 0 || end == 0 || end >= s.len || s.ptr[end] != ')')
        return false;
    end++;
    if (end < s.len && !is_blank(s.ptr[end]) && s.ptr[end] != ';' && s.ptr[end] != '{')
        return false;
    x->at += end;
    variable = arena_cstr(x->arena, name);
    found = variable != NULL ? getenv(variable) : NULL;
    t->text = found != NULL ? arena_str(x->arena, str_c(found)) : value;
    *kind = LEX_WORD;
    if (variable == NULL || (found != NULL && t->text.ptr == NULL)) {
        *kind = LEX_NO_MEMORY;
    } else if (t->text.ptr == NULL) {
        *kind = LEX_NO_ENV;
        t->text = name;
    } else if (t->text.len > LEX_WORD_MAX) {
        *kind = LEX_TOO_LONG;
        t->text = str_upto(t->text, 10);
    }
    return true;
}

/* The whole UTF-8 sequence at `at`, so that a message shows a character. */
static struct str
character(const struct lexer *x)
{
    size_t end = x->at + 1;

    if (((unsigned char)x->text.ptr[x->at] & 0xc0) == 0xc0)
        while (end < x->text.len && ((unsigned char)x->text.ptr[end] & 0xc0) == 0x80)
            end++;
    return str_n(x->text.ptr + x->at, end - x->at);
}

static enum lex_kind
read_token(struct lexer *x, struct lex_token *t)
{
    char c = at_end(x) ? ' ' : x->text.ptr[x->at];
    enum lex_kind kind;

    if (x->after_quote) {
        x->after_quote = false;
        if (!is_blank(c) && c != ';' && c != '{' && c != ')') {
            t->pos = lex_pos(x);
            t->from = x->quote;
            t->text = character(x);
            return LEX_STRAY;
        }
    }
    skip_blanks(x);
    t->pos = lex_pos(x);
    if (at_end(x))
        return LEX_END;
    switch (x->text.ptr[x->at]) {
    case ';':
        x->at++;
        return LEX_SEMICOLON;
    case '{':
        x->at++;
        return LEX_OPEN;
    case '}':
        x->at++;
        return LEX_CLOSE;
    case '"':
    case '\'':
        return read_quoted(x, t);
    default:
        return read_env(x, t, &kind) ? kind : read_word(x, t);
    }
}

enum lex_kind
lex_next(struct lexer *x, struct lex_token *t)
{
    *t = (struct lex_token){ .text = STR_NONE };
    t->kind = read_token(x, t);
    return t->kind;
}

/* ---- Lua ---- */

static bool
starts(const struct lexer *x, const char *what)
{
    return str_starts(str_from(x->text, x->at), str_c(what));
}

/* At a long bracket `[[` or `[=[`: moves behind its end. False and unmoved when it is none. */
static bool
skip_long_bracket(struct lexer *x)
{
    struct str rest = str_from(x->text, x->at);
    size_t level = 1;

    while (level < rest.len && rest.ptr[level] == '=')
        level++;
    if (rest.len == 0 || rest.ptr[0] != '[' || level == rest.len || rest.ptr[level] != '[')
        return false;
    for (size_t i = 0; i <= level; i++)
        x->at++;
    while (!at_end(x)) {
        struct str here = str_from(x->text, x->at);
        size_t n = 1;

        while (n < here.len && n < level && here.ptr[0] == ']' && here.ptr[n] == '=')
            n++;
        if (here.ptr[0] == ']' && n == level && n < here.len && here.ptr[n] == ']') {
            x->at += level + 1;
            break;
        }
        step(x);
    }
    return true;
}

static void
skip_lua_string(struct lexer *x)
{
    char quote = x->text.ptr[x->at++];

    while (!at_end(x)) {
        char c = x->text.ptr[x->at];

        step(x);
        if (c == quote)
            return;
        if (c == '\\' && !at_end(x))
            step(x);
    }
}

bool
lex_skip_lua(struct lexer *x)
{
    unsigned depth = 1;

    while (!at_end(x)) {
        char c = x->text.ptr[x->at];

        if (c == '"' || c == '\'') {
            skip_lua_string(x);
        } else if (starts(x, "--")) {
            x->at += 2;
            if (!skip_long_bracket(x))
                x->at += str_find(str_from(x->text, x->at), '\n');
        } else if (c != '[' || !skip_long_bracket(x)) {
            step(x);
            depth += c == '{';
            if (c == '}' && --depth == 0)
                return true;
        }
    }
    return false;
}
