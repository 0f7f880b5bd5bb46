/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tree.c - words to nested directives.
 *
 * Reading ends at the first mistake in the syntax, because what follows it would be guessed; apply.c still looks at
 * what stands before. An `include` that cannot be read is no such mistake.
 */
#include "common/conf/tree.h"

#include "common/conf/lex.h"
#include "common/conf/source.h"

/* Where directives are appended. */
struct tree_list {
    struct conf_node **end;
};

struct tree {
    struct conf_load *load;
    struct vec words; /* of struct lex_token: of the directive that is being read */
    unsigned depth;   /* of blocks */
    unsigned include_depth;
};

static bool read_lines(struct tree *t, struct lexer *x, struct tree_list *out,
                       const struct conf_node *block);

/* The node, its arguments and their places in one piece of memory. */
static struct conf_node *
make_node(struct conf_load *l, const struct vec *words)
{
    uint32_t n = words->len;
    size_t each = sizeof(struct str) + sizeof(struct conf_pos) + 1;
    struct conf_node *node = arena_alloc(&l->nodes, sizeof(*node) + n * each);

    if (node == NULL) {
        message_no_memory(l);
        return NULL;
    }
    *node = (struct conf_node){ .n = n };
    node->args = (struct str *)(node + 1);
    node->arg_pos = (struct conf_pos *)(node->args + n);
    node->quoted = (uint8_t *)(node->arg_pos + n);
    for (uint32_t i = 0; i < n; i++) {
        const struct lex_token *word = VEC_AT(words, struct lex_token, i);

        node->args[i] = word->text;
        node->arg_pos[i] = word->pos;
        node->quoted[i] = word->quoted;
    }
    node->pos = node->arg_pos[0];
    return node;
}

/* ---- mistakes ---- */

/* What the reader has in hand when the text ends or a brace closes too early. */
static void
hint_open(struct tree *t, const struct conf_node *block)
{
    struct conf_load *l = t->load;

    if (t->words.len > 0) {
        const struct lex_token *name = t->words.data;
        struct str place = message_place(l, name->pos);

        conf_hint(l, "the directive \"%.*s\" of %.*s has no \";\"", STR(name->text), STR(place));
    } else if (block != NULL) {
        struct str place = message_place(l, block->pos);

        conf_hint(l, "the block \"%.*s\" of %.*s is not closed", STR(block->args[0]), STR(place));
    }
}

static bool
fail_end(struct tree *t, const struct lexer *x, const struct conf_node *block, bool in_word)
{
    struct conf_load *l = t->load;

    l->unclosed = true;
    if (x->is_globals)
        conf_fail_at(l, lex_pos(x), "unexpected end of parameter, expecting \";\"");
    else if (in_word || t->words.len > 0)
        conf_fail_at(l, lex_pos(x), "unexpected end of file, expecting \";\" or \"}\"");
    else
        conf_fail_at(l, lex_pos(x), "unexpected end of file, expecting \"}\"");
    if (!in_word)
        hint_open(t, block);
    return false;
}

static bool
fail_token(struct tree *t, const struct lexer *x, const struct lex_token *token,
           const struct conf_node *block)
{
    struct conf_load *l = t->load;
    struct str place;

    switch (token->kind) {
    case LEX_STRAY:
        conf_fail_at(l, token->pos, "unexpected \"%.*s\"", STR(token->text));
        place = message_place(l, token->from);
        conf_hint(l, "the quoted text that starts in %.*s ends before it", STR(place));
        return false;
    case LEX_TOO_LONG:
        if (token->quoted)
            conf_fail_at(l, token->pos,
                         "too long parameter, probably missing terminating \"%c\" character",
                         token->quoted);
        else
            conf_fail_at(l, token->pos, "too long parameter \"%.*s...\" started", STR(token->text));
        return false;
    case LEX_NO_ENV:
        conf_fail_at(l, token->pos, "no \"%.*s\" in the environment", STR(token->text));
        conf_hint(l, "env(%.*s, default) says what holds then", STR(token->text));
        return false;
    case LEX_UNCLOSED:
        fail_end(t, x, block, true);
        place = message_place(l, token->pos);
        conf_hint(l, "the quote of %.*s is not closed", STR(place));
        return false;
    default:
        return message_no_memory(l);
    }
}

/* ---- include ---- */

static bool
include_file(struct tree *t, struct str path, const struct conf_node *n, struct tree_list *out)
{
    struct conf_load *l = t->load;
    uint32_t index = source_file(l, path, n);
    struct lexer x;
    struct str text;
    bool ok;

    if (index == SOURCE_NONE)
        return true;
    text = VEC_AT(&l->config->files, struct conf_file, index)->text;
    if (VEC_AT(&l->files, struct load_file, index)->reading)
        return conf_fail(l, n, 1, "\"%.*s\" includes itself", STR(path));
    if (t->include_depth == LOAD_INCLUDE_DEPTH_MAX)
        return conf_fail(l, n, 1, "files include each other more than %u deep",
                         LOAD_INCLUDE_DEPTH_MAX);
    l->bytes += text.len;
    if (++l->includes > LOAD_INCLUDES_MAX || l->bytes > LOAD_BYTES_MAX)
        return conf_fail_at(l, n != NULL ? n->pos : (struct conf_pos){ index, 1, 1 },
                            "too many included files: more than %u, or %u megabytes",
                            LOAD_INCLUDES_MAX, LOAD_BYTES_MAX >> 20);
    VEC_AT(&l->files, struct load_file, index)->reading = true;
    t->include_depth++;
    lex_init(&x, text, index, false, &l->config->arena);
    ok = read_lines(t, &x, out, NULL);
    t->include_depth--;
    VEC_AT(&l->files, struct load_file, index)->reading = false;
    return ok;
}

static bool
is_pattern(struct str path)
{
    return str_find(path, '*') < path.len || str_find(path, '?') < path.len ||
           str_find(path, '[') < path.len;
}

/* False ends the reading; what cannot be found does not. */
static bool
include(struct tree *t, const struct conf_node *n, struct tree_list *out)
{
    struct conf_load *l = t->load;
    struct str path;
    struct vec paths;

    if (n->n != 2) {
        conf_fail(l, n, 0, "invalid number of arguments in \"include\" directive");
        return true;
    }
    path = conf_path(l, n->args[1], true);
    if (path.ptr == NULL)
        return message_no_memory(l);
    if (!is_pattern(path))
        return include_file(t, path, n, out);
    vec_init(&paths, &l->scratch, sizeof(struct str));
    if (!source_glob(l, path, n, &paths))
        return !l->no_memory;
    VEC_FOREACH (p, struct str, &paths)
        if (!include_file(t, *p, n, out))
            return false;
    return true;
}

/* ---- lines ---- */

static bool
is_lua_block(struct str name)
{
    return str_ends(name, S("_by_lua_block"));
}

static bool
read_block(struct tree *t, struct lexer *x, struct conf_node *n)
{
    struct conf_load *l = t->load;
    struct tree_list inside = { &n->children };
    bool ok;

    n->block = true;
    if (x->is_globals)
        return conf_fail(l, n, 0, "block directives are not supported in -g option");
    t->words.len = 0;
    if (is_lua_block(n->args[0])) {
        ok = lex_skip_lua(x) || fail_end(t, x, n, false);
    } else if (t->depth == LOAD_DEPTH_MAX) {
        ok = conf_fail(l, n, 0, "blocks are nested more than %u deep", LOAD_DEPTH_MAX);
    } else {
        t->depth++;
        ok = read_lines(t, x, &inside, n);
        t->depth--;
    }
    n->end = lex_pos(x);
    if (n->end.column > 1)
        n->end.column--;
    return ok;
}

/* The words are read and `token` ends them: ';' or '{'. */
static bool
finish_line(struct tree *t, struct lexer *x, const struct lex_token *token, struct tree_list *out)
{
    struct conf_node *n;

    if (t->words.len == 0)
        return conf_fail_at(t->load, token->pos, "unexpected \"%c\"",
                            token->kind == LEX_OPEN ? '{' : ';');
    n = make_node(t->load, &t->words);
    if (n == NULL)
        return false;
    n->end = token->pos;
    t->words.len = 0;
    if (str_eq(n->args[0], S("include")))
        return token->kind == LEX_SEMICOLON
                   ? include(t, n, out)
                   : conf_fail(t->load, n, 0, "directive \"include\" is not terminated by \";\"");
    *out->end = n;
    out->end = &n->next;
    return token->kind != LEX_OPEN || read_block(t, x, n);
}

/* Up to the end of the block, or of the file when `block` is NULL. */
static bool
read_lines(struct tree *t, struct lexer *x, struct tree_list *out, const struct conf_node *block)
{
    struct lex_token token, *word;

    while (!load_gave_up(t->load)) {
        switch (lex_next(x, &token)) {
        case LEX_WORD:
            word = vec_push(&t->words);
            if (word == NULL)
                return message_no_memory(t->load);
            *word = token;
            break;
        case LEX_SEMICOLON:
        case LEX_OPEN:
            if (!finish_line(t, x, &token, out))
                return false;
            break;
        case LEX_CLOSE:
            if (t->words.len == 0 && block != NULL)
                return true;
            conf_fail_at(t->load, token.pos, "unexpected \"}\"");
            hint_open(t, NULL);
            return false;
        case LEX_END:
            return (t->words.len == 0 && block == NULL) || fail_end(t, x, block, false);
        default:
            return fail_token(t, x, &token, block);
        }
    }
    return false;
}

bool
tree_read(struct conf_load *l)
{
    struct tree t = { .load = l };
    struct tree_list out = { &l->config->tree };
    uint32_t globals = source_globals(l);
    struct lexer x;
    bool ok = true;

    vec_init(&t.words, NULL, sizeof(struct lex_token));
    if (globals != SOURCE_NONE) {
        lex_init(&x, VEC_AT(&l->config->files, struct conf_file, globals)->text, globals, true,
                 &l->config->arena);
        ok = read_lines(&t, &x, &out, NULL);
    }
    ok = ok && include_file(&t, l->config->conf_path, NULL, &out);
    vec_free(&t.words);
    return ok;
}

struct conf_node *
tree_default(struct conf_load *l, const char *name, const char *initial)
{
    struct lex_token token = { .kind = LEX_WORD, .text = str_c(name) };
    struct conf_node *n = NULL;
    struct lexer x;
    struct vec words;

    vec_init(&words, NULL, sizeof(struct lex_token));
    lex_init(&x, str_c(initial), 0, false, &l->config->arena);
    while (token.kind == LEX_WORD) {
        struct lex_token *word = vec_push(&words);

        if (word == NULL)
            break;
        *word = token;
        word->pos = (struct conf_pos){ 0, 0, 0 };
        lex_next(&x, &token);
    }
    if (token.kind == LEX_END)
        n = make_node(l, &words);
    vec_free(&words);
    return n;
}
