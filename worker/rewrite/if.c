/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * if.c - runs a block's instructions on a condition; in a location the block's settings then hold for the request.
 *
 * A block's settings are those of its location with its own on top, so of two blocks that match the later one holds
 * alone. In server {} only the instructions matter: what holds there is replaced by the location's settings.
 *
 * Directive: if.
 */
#include <errno.h>

#include "common/conf/lint.h"
#include "worker/core/explain.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"
#include "worker/http/rewrite.h"
#include "worker/rewrite/rewrite.h"

enum condition_kind { CONDITION_TRUE, CONDITION_EQUAL, CONDITION_REGEX, CONDITION_FILE };

struct condition {
    enum condition_kind kind;
    bool negative;             /* true when it does not hold */
    char file;                 /* FILE: 'f', 'd', 'e' or 'x' */
    uint32_t variable;         /* TRUE, EQUAL, REGEX: what is looked at */
    struct template value;     /* EQUAL: with what it is compared; FILE: the path */
    struct named_regex *regex; /* REGEX */
    struct scope *block;
};

/* ---- running ---- */

static bool
file_fits(struct request *r, const struct condition *c)
{
    struct str path = template_expand(&r->x, &c->value);
    struct open_file *f;
    bool fits = false;

    if (path.len == 0 || memchr(path.ptr, '\0', path.len) != NULL)
        return false;
    f = http_open_file(r, path, true);
    if (f == NULL)
        return false;
    if (f->error != 0) {
        if (f->error != ENOENT && f->error != ENOTDIR && f->error != ENAMETOOLONG)
            xlog(&r->x, LOG_LEVEL_CRIT, f->error, "stat() \"%.*s\" failed", STR(path));
    } else {
        fits = c->file == 'f'   ? f->is_file
               : c->file == 'd' ? f->is_dir
               : c->file == 'x' ? f->is_exec
                                : true;
    }
    open_file_put(f);
    return fits;
}

static bool
condition_holds(struct request *r, const struct condition *c)
{
    struct str value, other;

    switch (c->kind) {
    case CONDITION_TRUE:
        value = var_get(&r->x, c->variable).text;
        return value.len > 0 && !str_eq(value, S("0"));
    case CONDITION_EQUAL:
        value = var_get(&r->x, c->variable).text;
        other = template_expand(&r->x, &c->value);
        return str_eq(value, other) != c->negative;
    case CONDITION_REGEX:
        value = var_get(&r->x, c->variable).text;
        return rewrite_match(r, c->regex, value) != c->negative;
    case CONDITION_FILE:
        return file_fits(r, c) != c->negative;
    }
    return false;
}

static enum rewrite_step
if_run(struct request *r, const void *data, enum phase_result *result)
{
    const struct condition *c = data;
    struct scope *server = r->x.scope;
    enum rewrite_step step;
    bool holds = condition_holds(r, c);

    EXPLAIN("rewrite", c->block->pos, "the condition is %s", holds ? "true" : "false");
    if (!holds)
        return REWRITE_NEXT;
    step = rewrite_enter(r, c->block, result);
    if (c->block->kind == SCOPE_IF_SERVER && step != REWRITE_STOP)
        r->x.scope = server;
    return step;
}

/* ---- loading ---- */

/* The words between the brackets; `from` and `to` are the first and the last argument. */
struct words {
    struct str word[3];
    int arg[3]; /* their arguments, for the caret */
    uint32_t n; /* may be more than 3: then the condition is wrong */
};

static void
words_add(struct words *w, struct str word, int arg)
{
    if (w->n < ARRAY_LEN(w->word)) {
        w->word[w->n] = word;
        w->arg[w->n] = arg;
    }
    w->n++;
}

/* Takes the brackets off. False: they are not there. */
static bool
words_read(const struct conf_node *n, struct words *w)
{
    uint32_t last = n->n - 1;

    *w = (struct words){ .n = 0 };
    if (n->args[1].len == 0 || n->args[1].ptr[0] != '(' || !str_ends(n->args[last], S(")")))
        return false;
    for (uint32_t i = 1; i <= last; i++) {
        struct str word = n->args[i];

        if (i == 1)
            word = str_from(word, 1);
        if (i == last && word.len > 0) /* "(" and ")" may be words of their own */
            word.len--;
        if (word.len > 0 || (i > 1 && i < last))
            words_add(w, word, (int)i);
    }
    return true;
}

static bool
parse_comparison(struct conf_load *l, struct conf_node *n, const struct words *w,
                 struct condition *c)
{
    struct str operator= w->word[1], rest = operator;

    c->negative = operator.len> 0 && operator.ptr[0] == '!';
    if (c->negative)
        rest = str_from(rest, 1);
    if (str_eq(rest, S("="))) {
        c->kind = CONDITION_EQUAL;
        return template_compile(l, n, w->arg[2], w->word[2], &c->value);
    }
    if (str_eq(rest, S("~")) || str_eq(rest, S("~*"))) {
        c->kind = CONDITION_REGEX;
        c->regex = named_regex_compile(l, n, w->arg[2], w->word[2], rest.len == 2);
        return c->regex != NULL;
    }
    return conf_fail(l, n, w->arg[1], "unexpected \"%.*s\" in condition", STR(operator));
}

static bool
parse_file(struct conf_load *l, struct conf_node *n, const struct words *w, struct condition *c)
{
    c->kind = CONDITION_FILE;
    c->negative = w->word[0].ptr[0] == '!';
    c->file = w->word[0].ptr[w->word[0].len - 1];
    return template_compile(l, n, w->arg[1], w->word[1], &c->value);
}

static bool
is_file_test(struct str word)
{
    static const char *const tests[] = { "-f", "-d", "-e", "-x", "!-f", "!-d", "!-e", "!-x" };

    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        if (str_eq(word, str_c(tests[i])))
            return true;
    }
    return false;
}

static bool
parse_condition(struct conf_load *l, struct conf_node *n, struct condition *c)
{
    struct words w;

    if (!words_read(n, &w))
        return conf_fail(l, n, 1, "invalid condition \"%.*s\"", STR(n->args[1]));
    if (w.n == 2 && is_file_test(w.word[0]))
        return parse_file(l, n, &w, c);
    if ((w.n != 1 && w.n != 3) || w.word[0].len < 2 || w.word[0].ptr[0] != '$')
        return conf_fail(l, n, w.n > 0 ? w.arg[0] : 1, "invalid condition \"%.*s\"",
                         STR(w.n > 0 ? w.word[0] : n->args[1]));
    if (w.n == 3 && !parse_comparison(l, n, &w, c))
        return false;
    c->variable = var_index(l, str_from(w.word[0], 1), n->arg_pos[w.arg[0]]);
    return true;
}

static bool
if_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct condition *c = ARENA_NEW(conf_arena(l), struct condition);
    bool in_server = conf_scope(l)->kind == SCOPE_SERVER;

    (void)d, (void)conf;
    if (c == NULL)
        return conf_fail(l, n, 0, "out of memory");
    if (!parse_condition(l, n, c))
        return false;
    c->block = conf_open_scope(l, n, in_server ? SCOPE_IF_SERVER : SCOPE_IF, S("if"), NULL);
    return (c->block != NULL && rewrite_append(l, if_run, c)) ||
           conf_fail(l, n, 0, "out of memory");
}

/* ---- the check ---- */

static bool
is_instruction(struct str name)
{
    static const char *const names[] = { "return", "rewrite",     "set",
                                         "break",  "rewrite_log", "uninitialized_variable_warn" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_eq(name, str_c(names[i])))
            return true;
    }
    return false;
}

/* In a location the settings of the last block whose condition holds are those of the request: of no other one. */
static void
check_settings(struct conf_load *l, const struct lint_line *at)
{
    const struct conf_node *first = NULL;
    unsigned n = 0;

    if (at->scope->kind != SCOPE_LOCATION)
        return;
    for (const struct conf_node *line = at->node->children; line != NULL; line = line->next) {
        if (is_instruction(line->args[0]))
            continue;
        if (n++ == 0)
            first = line;
    }
    if (first == NULL)
        return;
    lint_say(l, first, 0,
             "\"%.*s\" in \"if\": a request has the settings of one \"if\" alone, the last whose "
             "condition holds, and try_files of the location is not applied then",
             STR(first->args[0]));
    if (str_ends(first->args[0], S("_pass")))
        conf_hint(l,
                  "choose the upstream by \"map\", or use \"error_page 418 = @name; return 418;\"");
    else
        conf_hint(
            l, "set a variable by \"map\" and use it in the location; \"if\" is safe with return, "
               "rewrite, set and break");
}

static const struct lint_check if_checks[] = {
    { "if-settings", "if", check_settings },
    { 0 },
};

static const struct directive if_directives[] = {
    D_SCOPE("if", CTX_SRV | CTX_LOC, ARGS(1, ARGS_ANY), if_set), D_END
};

struct module if_module = {
    .name = "if",
    .directives = if_directives,
    .lint = if_checks,
};
