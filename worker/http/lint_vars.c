/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lint_vars.c - what a configuration says of the values of its variables, collected once for all checks.
 *
 * $uri is decoded: a client puts any byte into it, line ends and blanks among them. In a file's name that is right; in a
 * request line or a field it is not.
 */
#include "worker/http/lint_vars.h"

#include <stdio.h>

#include "worker/http/http_conf.h"

enum {
    PASSES_MAX = 8, /* variables set from variables set from ... */
};

/* A variable that the configuration gives values. */
struct lint_var {
    struct vec values; /* of struct str, as written */
    bool decoded;
};

struct lint_vars {
    struct hash by_name; /* to struct lint_var; as written */
    bool changed;
};

/* ---- text ---- */

bool
lint_next_variable(struct str text, size_t *at, struct str *name)
{
    for (size_t i = *at; i + 1 < text.len; i++) {
        bool bracket = text.ptr[i + 1] == '{';
        size_t start = i + 1 + bracket, end = start;

        if (text.ptr[i] != '$')
            continue;
        while (end < text.len && char_is_word(text.ptr[end])) {
            bool capture = end == start && text.ptr[end] >= '0' && text.ptr[end] <= '9';

            end++;
            if (capture)
                break;
        }
        if (end == start)
            continue;
        *name = str_n(text.ptr + start, end - start);
        *at = end + (bracket && end < text.len && text.ptr[end] == '}');
        return true;
    }
    return false;
}

static bool
is_path(struct str name)
{
    return str_eq_nocase(name, S("uri")) || str_eq_nocase(name, S("document_uri"));
}

/* ---- patterns ---- */

/* What a group of the pattern begins with at the bracket `p[at]`: its name if it has one. False: it captures nothing. */
static bool
group_at(struct str p, size_t at, struct str *name)
{
    struct str rest = str_from(p, at + 1);
    size_t end;
    char close;

    *name = S("");
    if (!str_starts(rest, S("?")))
        return !str_starts(rest, S("*"));
    rest = str_from(rest, str_starts(rest, S("?P")) ? 2 : 1);
    if (rest.len < 2 || (rest.ptr[0] != '<' && rest.ptr[0] != '\'') || rest.ptr[1] == '=' ||
        rest.ptr[1] == '!')
        return false;
    close = rest.ptr[0] == '<' ? '>' : '\'';
    rest = str_from(rest, 1);
    end = str_find(rest, close);
    *name = str_upto(rest, end);
    return true;
}

/* Behind a class that begins at `at`. */
static size_t
class_end(struct str p, size_t at)
{
    at += at + 1 < p.len && p.ptr[at + 1] == '^' ? 2 : 1;
    if (at < p.len && p.ptr[at] == ']')
        at++;
    while (at < p.len && p.ptr[at] != ']')
        at += p.ptr[at] == '\\' ? 2 : 1;
    return at < p.len ? at + 1 : p.len;
}

/* Whether the class [...] has a blank or a line end among its bytes. */
static bool
class_is_wide(struct str c)
{
    bool negative = c.len > 1 && c.ptr[1] == '^', space = false;

    for (size_t i = 1; i + 1 < c.len; i++) {
        if (c.ptr[i] == ' ')
            space = true;
        if (c.ptr[i] == '\\' && strchr("sDWnrR", c.ptr[i + 1]) != NULL)
            space = true;
        if (c.ptr[i] == '\\')
            i++;
    }
    return space != negative;
}

/* Whether what a part of a pattern matches can hold blanks or control bytes. */
static bool
is_wide(struct str p)
{
    for (size_t i = 0; i < p.len;) {
        if (p.ptr[i] == '.')
            return true;
        if (p.ptr[i] == '\\') {
            if (i + 1 < p.len && strchr("sDWHVNXRnr", p.ptr[i + 1]) != NULL)
                return true;
            i += 2;
        } else if (p.ptr[i] == '[') {
            size_t end = class_end(p, i);

            if (class_is_wide(str_n(p.ptr + i, end - i)))
                return true;
            i = end;
        } else {
            i++;
        }
    }
    return false;
}

/* The end of the group whose bracket is at `at`. */
static size_t
group_end(struct str p, size_t at)
{
    unsigned depth = 0;

    while (at < p.len) {
        char c = p.ptr[at];

        if (c == '[') {
            at = class_end(p, at);
            continue;
        }
        if (c == '\\')
            at++;
        depth += c == '(';
        if (c == ')' && --depth == 0)
            return at;
        at++;
    }
    return p.len;
}

/* Whether the group of this name or number in the pattern can hold blanks or control bytes. False: it has none such. */
static bool
group_is_wide(struct str p, struct str wanted)
{
    unsigned number = 0;

    for (size_t at = 0; at < p.len;) {
        struct str name;
        char digits[12];

        if (p.ptr[at] == '[') {
            at = class_end(p, at);
            continue;
        }
        if (p.ptr[at] == '(' && group_at(p, at, &name)) {
            snprintf(digits, sizeof(digits), "%u", ++number);
            if (str_eq(wanted, str_c(digits)) || (name.len > 0 && str_eq(wanted, name)))
                return is_wide(str_n(p.ptr + at + 1, group_end(p, at) - at - 1));
        }
        at += p.ptr[at] == '\\' ? 2 : 1;
    }
    return false;
}

/* ---- captures ---- */

/* The pattern of `location ~ PATTERN`; empty: it has none. */
static struct str
location_pattern(const struct conf_node *n)
{
    struct str name = n->args[1];

    if (n->n == 3)
        return str_starts(name, S("~")) ? n->args[2] : S("");
    return str_starts(name, S("~*"))  ? str_from(name, 2)
           : str_starts(name, S("~")) ? str_from(name, 1)
                                      : S("");
}

/* The pattern of `if ($x ~ PATTERN)`, and $x; false: it is another condition. */
static bool
if_pattern(const struct conf_node *n, struct str *subject, struct str *pattern)
{
    if (n->n < 4 || !str_starts(n->args[1], S("($")) || n->args[2].len == 0 ||
        str_find(n->args[2], '~') == n->args[2].len)
        return false;
    *subject = str_from(n->args[1], 2);
    *pattern = n->args[3];
    if (str_ends(*pattern, S(")")) && n->n == 4)
        pattern->len--;
    return true;
}

static bool is_decoded(struct conf_load *l, const struct lint_vars *v, const struct lint_line *at,
                       struct str name);

static bool
is_before(struct conf_pos a, struct conf_pos b)
{
    return a.file != b.file || a.line < b.line || (a.line == b.line && a.column < b.column);
}

enum captured { CAPTURED_NOTHING, CAPTURED_HARMLESS, CAPTURED_PATH };

/* What a `rewrite` before this line in its block makes of the capture. */
static enum captured
captured_before(struct conf_load *l, const struct lint_line *at, struct str name)
{
    const struct vec *lines = lint_lines(l, at->outer, "rewrite");
    enum captured found = CAPTURED_NOTHING;

    if (lines == NULL)
        return found;
    VEC_FOREACH (it, const struct conf_node *, lines) {
        if (*it == at->node || !is_before((*it)->pos, at->node->pos))
            break;
        found = group_is_wide((*it)->args[1], name) ? CAPTURED_PATH : CAPTURED_HARMLESS;
    }
    return found;
}

/* Whether the capture $1, or the named group, of the pattern that was matched last is a part of the decoded path. */
static bool
capture_is_decoded(struct conf_load *l, const struct lint_vars *v, const struct lint_line *at,
                   struct str name)
{
    for (; at->outer != NULL; at = at->outer) {
        const struct conf_node *block = at->outer->node;
        enum captured before = captured_before(l, at, name);
        struct str subject, pattern;

        if (before != CAPTURED_NOTHING)
            return before == CAPTURED_PATH;
        if (str_eq(block->args[0], S("if")) && if_pattern(block, &subject, &pattern))
            return is_decoded(l, v, at->outer, subject) && group_is_wide(pattern, name);
        if (str_eq(block->args[0], S("location")) && location_pattern(block).len > 0)
            return group_is_wide(location_pattern(block), name);
    }
    return false;
}

/* ---- variables ---- */

static bool
is_decoded(struct conf_load *l, const struct lint_vars *v, const struct lint_line *at,
           struct str name)
{
    const struct lint_var *var = hash_get(&v->by_name, name);

    if (is_path(name) || (var != NULL && var->decoded))
        return true;
    return var == NULL && capture_is_decoded(l, v, at, name);
}

static bool
has_decoded(struct conf_load *l, const struct lint_vars *v, const struct lint_line *at,
            struct str text, struct str *found)
{
    size_t i = 0;

    while (lint_next_variable(text, &i, found))
        if (is_decoded(l, v, at, *found))
            return true;
    return false;
}

/* A line gives the variable (with its '$') this value. */
static void
add_value(struct conf_load *l, struct lint_vars *v, struct str name, struct str value, bool decoded)
{
    struct lint_var *var;
    struct str *slot;

    if (name.len < 2 || name.ptr[0] != '$')
        return;
    name = str_from(name, 1);
    var = hash_get(&v->by_name, name);
    if (var == NULL) {
        var = ARENA_NEW(v->by_name.arena, struct lint_var);
        if (var == NULL || !hash_set(&v->by_name, name, var)) {
            conf_fail_at(l, (struct conf_pos){ 0, 0, 0 }, "out of memory");
            return;
        }
        vec_init(&var->values, v->by_name.arena, sizeof(struct str));
    }
    if (value.ptr != NULL && (slot = vec_push(&var->values)) != NULL)
        *slot = value;
    if (decoded && !var->decoded)
        v->changed = var->decoded = true;
}

/* Lines of `map`, `geo`, `split_clients`: "KEY VALUE;". */
static void
add_table(struct conf_load *l, struct lint_vars *v, const struct lint_line *at, struct str name,
          bool first)
{
    const struct conf_node *block = at->node;
    bool of_path = block->n == 3 && (str_eq_nocase(block->args[1], S("$uri")) ||
                                     str_eq_nocase(block->args[1], S("$document_uri")));
    struct str variable;

    for (const struct conf_node *n = block->children; n != NULL; n = n->next) {
        bool decoded;
        size_t i = 0;

        if (n->n != 2 || str_eq(n->args[0], S("include")))
            continue;
        decoded =
            has_decoded(l, v, at, n->args[1], &variable) ||
            (of_path && str_starts(n->args[0], S("~")) &&
             lint_next_variable(n->args[1], &i, &variable) && group_is_wide(n->args[0], variable));
        add_value(l, v, name, first ? n->args[1] : STR_NONE, decoded);
    }
}

static void
collect(struct conf_load *l, struct lint_vars *v, const struct conf_node *n, struct scope *s,
        const struct lint_line *outer, bool first)
{
    struct str found;

    for (; n != NULL; n = n->next) {
        struct lint_line at = { n, s, outer };
        struct str name = n->args[0];

        if (n->scope != NULL)
            collect(l, v, n->children, n->scope, &at, first);
        else if (str_eq(name, S("set")) && n->n == 3)
            add_value(l, v, n->args[1], first ? n->args[2] : STR_NONE,
                      has_decoded(l, v, &at, n->args[2], &found));
        else if (str_eq(name, S("map")) || str_eq(name, S("split_clients")) ||
                 str_eq(name, S("geo")))
            add_table(l, v, &at, n->args[n->n - 1], first);
    }
}

static struct lint_vars *
vars_of(struct conf_load *l)
{
    struct lint_vars *v = lint_state(l, &http_core_module, sizeof(*v));
    const struct config *c = conf_config(l);

    if (v == NULL || v->by_name.arena != NULL)
        return v;
    hash_init(&v->by_name, conf_arena(l));
    v->changed = true;
    for (int pass = 0; pass < PASSES_MAX && v->changed; pass++) {
        v->changed = false;
        collect(l, v, c->tree, c->root, NULL, pass == 0);
    }
    return v;
}

/* ---- for checks ---- */

bool
lint_decoded(struct conf_load *l, const struct lint_line *at, struct str text, struct str *variable)
{
    const struct lint_vars *v;

    if (str_find(text, '$') == text.len)
        return false;
    v = vars_of(l);
    return v != NULL && has_decoded(l, v, at, text, variable);
}

void
lint_say_decoded(struct conf_load *l, const struct lint_line *at, int arg, const char *where,
                 const char *instead)
{
    struct str name;

    if (!lint_decoded(l, at, at->node->args[arg], &name))
        return;
    lint_say(l, at->node, arg,
             "\"$%.*s\" is a part of the decoded path: %%3F of a client is a \"?\" in %s, and with "
             "nginx "
             "%%0D%%0A is a line end there (header injection)",
             STR(name), where);
    conf_hint(l, "%s", instead);
}

bool
lint_values(struct conf_load *l, struct str text, lint_value_fn fn, void *data)
{
    const struct lint_vars *v = vars_of(l);
    const struct lint_var *var;
    size_t end = 0, start, more;
    struct str name, other;

    if (!lint_next_variable(text, &end, &name)) {
        fn(data, text);
        return true;
    }
    more = end;
    var = v != NULL ? hash_get(&v->by_name, name) : NULL;
    if (var == NULL || var->values.len == 0 || lint_next_variable(text, &more, &other))
        return false;
    start = (size_t)(name.ptr - text.ptr) - 1 - (name.ptr[-1] == '{');
    VEC_FOREACH (value, struct str, &var->values) {
        struct str whole;

        if (str_find(*value, '$') < value->len)
            return false;
        whole = arena_fmt(conf_arena(l), "%.*s%.*s%.*s", STR(str_upto(text, start)), STR(*value),
                          STR(str_from(text, end)));
        if (whole.ptr == NULL || !fn(data, whole))
            break;
    }
    return true;
}
