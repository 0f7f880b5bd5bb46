/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * named_regex.c - regular expressions of the configuration whose named groups become variables.
 *
 * Most patterns of locations are tried in vain, so what every match has to begin with is compared first.
 */
#include "worker/http/named_regex.h"

/* Characters that mean themselves in a pattern. */
static bool
is_literal(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("/-_~%:;,@=&!\"'<> ", c) != NULL);
}

/* Whether an alternative stands outside all groups: then "^" does not hold for all of the pattern. */
static bool
has_outer_alternative(struct str p)
{
    unsigned depth = 0;
    bool in_class = false;

    for (size_t i = 0; i < p.len; i++) {
        char c = p.ptr[i];

        if (c == '\\') {
            if (i + 1 < p.len && p.ptr[i + 1] == 'Q')
                return true; /* quoting changes what follows: no guess */
            i++;
        } else if (in_class) {
            in_class = c != ']';
        } else if (c == '[') {
            in_class = true;
            if (i + 1 < p.len && p.ptr[i + 1] == '^')
                i++;
            if (i + 1 < p.len && p.ptr[i + 1] == ']')
                i++;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && depth > 0) {
            depth--;
        } else if (c == '|' && depth == 0) {
            return true;
        }
    }
    return false;
}

/* Sets the bytes that a match begins with, none when that cannot be told easily, and what follows them. */
static void
find_literal(struct arena *a, struct str p, struct named_regex *re)
{
    struct text t;
    size_t last = 0; /* length of t without its last character */
    size_t i = 1, last_at = 1;

    re->rest = p;
    if (p.len == 0 || p.ptr[0] != '^' || has_outer_alternative(p))
        return;
    text_init(&t, a);
    while (i < p.len) {
        char c = p.ptr[i];
        size_t at = i;

        if (c == '*' || c == '?' || c == '{') {
            t.len = last; /* the character before may be absent */
            i = last_at;
            break;
        }
        if (c == '\\' && i + 1 < p.len && strchr(".-/+$^()[]{}|*?", p.ptr[i + 1]) != NULL &&
            p.ptr[i + 1] != '\0')
            c = p.ptr[++i];
        else if (!is_literal(c))
            break;
        last = t.len;
        last_at = at;
        text_char(&t, c);
        i++;
    }
    if (t.failed || t.len == 0)
        return;
    re->literal = text_str(&t);
    re->rest = str_from(p, i);
}

static bool
define_groups(struct conf_load *l, const struct conf_node *n, int arg, struct named_regex *re)
{
    struct arena *a = conf_arena(l);
    struct str name;
    uint32_t group;

    while (regex_named(re->regex, re->n_named, &name, &group))
        re->n_named++;
    if (re->n_named == 0)
        return true;
    re->named = arena_array(a, re->n_named, sizeof(struct named_group));
    if (re->named == NULL)
        return conf_fail(l, n, arg, "out of memory");
    for (uint32_t i = 0; i < re->n_named; i++) {
        struct named_group *g = &re->named[i];

        regex_named(re->regex, i, &name, &g->group);
        if (!var_define(l, n, arg, name, VAR_CHANGEABLE, NULL, NULL, NULL, &g->variable))
            return false;
    }
    return true;
}

struct named_regex *
named_regex_compile(struct conf_load *l, const struct conf_node *n, int arg, struct str pattern,
                    bool nocase)
{
    struct arena *a = conf_arena(l);
    struct named_regex *re = ARENA_NEW(a, struct named_regex);
    struct text err;

    if (re == NULL) {
        conf_fail(l, n, arg, "out of memory");
        return NULL;
    }
    text_init(&err, a);
    re->regex = regex_compile(a, pattern, nocase, &err);
    if (re->regex == NULL) {
        conf_fail(l, n, arg, "%.*s", STR(text_str(&err)));
        return NULL;
    }
    re->nocase = nocase;
    find_literal(a, regex_pattern(re->regex), re);
    return define_groups(l, n, arg, re) ? re : NULL;
}

bool
named_regex_match(struct request *r, const struct named_regex *re, struct str subject)
{
    struct regex_match m;
    bool failed = false;

    if (re->literal.len > 0 &&
        !(re->nocase ? str_starts_nocase(subject, re->literal) : str_starts(subject, re->literal)))
        return false;
    if (!regex_match(re->regex, subject, &m, &failed)) {
        if (failed && r != NULL)
            xlog(&r->x, LOG_LEVEL_ERROR, 0,
                 "a limit was reached while matching \"%.*s\" on \"%.*s\"", STR(subject),
                 STR(regex_pattern(re->regex)));
        return false;
    }
    if (r == NULL)
        return true;
    request_captures(r, subject, &m);
    for (uint32_t i = 0; i < re->n_named; i++) {
        const struct named_group *g = &re->named[i];
        size_t from = SIZE_MAX, to = 0;

        if (g->group < m.n) {
            from = m.at[2 * g->group];
            to = m.at[2 * g->group + 1];
        }
        var_set(&r->x, g->variable,
                from == SIZE_MAX ? S("") : str_n(subject.ptr + from, to - from));
    }
    return true;
}
