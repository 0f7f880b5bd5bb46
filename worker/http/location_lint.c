/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * location_lint.c - checks: locations that no request gets into, `alias` whose '/' does not fit, temporary files in
 * memory.
 *
 * Which URIs a pattern matches is known for the usual forms alone: all, those with a prefix, those with an extension.
 * What is not known is not complained about.
 */
#include "worker/http/location_lint.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include "common/base/escape.h"
#include "worker/http/http_conf.h"

enum {
    COMPARED_MAX = 1000, /* patterns of a level that its other locations are compared with */
};

/* ---- patterns ---- */

static bool
is_any(struct str rest)
{
    static const char *const any[] = { "", ".*", ".*$", "(.*)", "(.*)$" };

    for (size_t i = 0; i < ARRAY_LEN(any); i++)
        if (str_eq(rest, str_c(any[i])))
            return true;
    return false;
}

/* "~ /", "~ .*" and the like: every URI begins with '/'. */
static bool
matches_all(const struct location *loc)
{
    const struct named_regex *re = loc->regex;
    struct str p = loc->name;

    if (re->literal.len > 0)
        return str_eq(re->literal, S("/")) && is_any(re->rest);
    if (str_starts(p, S("^")))
        p = str_from(p, 1);
    return is_any(p) || str_eq(p, S("/")) || str_eq(p, S("."));
}

/* Whether all paths that begin with `prefix` match. */
static bool
matches_prefix(const struct location *loc, struct str prefix)
{
    const struct named_regex *re = loc->regex;

    if (matches_all(loc))
        return true;
    if (re->literal.len == 0 || !is_any(re->rest))
        return false;
    return re->nocase ? str_starts_nocase(prefix, re->literal) : str_starts(prefix, re->literal);
}

/* The alternatives of a pattern that ends in "\.(a|b)$" or "\.a$", and what stands before it. */
static bool
extensions_of(struct str p, struct str *before, struct str *list)
{
    size_t dot = str_rfind(p, '\\');
    struct str rest = str_from(p, dot + 1 < p.len ? dot + 2 : p.len);

    if (dot + 1 >= p.len || p.ptr[dot + 1] != '.' || !str_ends(rest, S("$")))
        return false;
    rest.len--;
    if (str_starts(rest, S("(")) && str_ends(rest, S(")"))) {
        rest = str_n(rest.ptr + 1, rest.len - 2);
        if (str_starts(rest, S("?:")))
            rest = str_from(rest, 2);
    } else if (str_find(rest, '|') < rest.len) {
        return false;
    }
    for (size_t i = 0; i < rest.len; i++)
        if (!char_is_word(rest.ptr[i]) && rest.ptr[i] != '|' && rest.ptr[i] != '-')
            return false;
    *before = str_upto(p, dot);
    *list = rest;
    return rest.len > 0;
}

static bool
has_extension(struct str list, struct str wanted, bool nocase)
{
    struct str one;

    while (str_split(&list, '|', &one))
        if (nocase ? str_eq_nocase(one, wanted) : str_eq(one, wanted))
            return true;
    return false;
}

/* Whether what `later` matches by its extension `first` matches too. */
static bool
covers_extensions(const struct location *first, const struct location *later)
{
    struct str before, all, list, one;

    if (!extensions_of(first->name, &before, &all) ||
        !(before.len == 0 || str_eq(before, S(".*")) || str_eq(before, S("^.*"))) ||
        !extensions_of(later->name, &before, &list) ||
        (later->regex->nocase && !first->regex->nocase))
        return false;
    while (str_split(&list, '|', &one))
        if (!has_extension(all, one, first->regex->nocase))
            return false;
    return true;
}

/* Whether each URI that `later` matches is matched by `first`, which is tried before. */
static bool
covers(const struct location *first, const struct location *later)
{
    bool case_fits = first->regex->nocase || !later->regex->nocase;

    if (matches_all(first) || (case_fits && str_eq(first->name, later->name)))
        return true;
    if (case_fits && later->regex->literal.len > 0 && matches_prefix(first, later->regex->literal))
        return true;
    return covers_extensions(first, later);
}

/* ---- locations that nothing gets into ---- */

static void
say_shadowed(struct conf_load *l, const struct location *loc, const struct location *by,
             const char *why)
{
    struct str place = lint_place(l, by->pos);

    lint_say_at(l, loc->pos, "%.*s can never match: %.*s of %.*s %s", STR(loc->scope->name),
                STR(by->scope->name), STR(place), why);
}

/* A ^~ prefix, or an exact path, that takes all URIs of the pattern. */
static const struct location *
path_before(const struct vec *level, const struct location *re)
{
    struct str literal = re->regex->literal;
    const struct location *best = NULL;

    if (literal.len == 0 || re->regex->nocase)
        return NULL;
    VEC_FOREACH (it, struct location *, level) {
        const struct location *p = *it;

        if (p->kind == LOCATION_EXACT && str_eq(p->name, literal) &&
            str_eq(re->regex->rest, S("$")))
            return p;
        if (p->kind == LOCATION_PREFIX_NO_REGEX && str_starts(literal, p->name) &&
            (best == NULL || p->name.len > best->name.len))
            best = p;
    }
    if (best == NULL)
        return NULL;
    VEC_FOREACH (it, struct location *, level) {
        const struct location *p = *it;

        /* A longer prefix lets patterns have a look again. */
        if (p->kind == LOCATION_PREFIX && p->name.len > best->name.len &&
            (str_starts(p->name, literal) || str_starts(literal, p->name)))
            return NULL;
    }
    return best;
}

static void
check_regex(struct conf_load *l, const struct vec *level, uint32_t index, const struct vec *regexes)
{
    const struct location *re = *VEC_AT(regexes, const struct location *, index);
    const struct location *path = path_before(level, re);

    if (path != NULL) {
        say_shadowed(l, re, path, "takes all of its paths, and ends the search");
        conf_hint(l, path->kind == LOCATION_EXACT
                         ? "delete one of them"
                         : "put it into that location, or take its ^~ away");
        return;
    }
    for (uint32_t i = 0; i < index && i < COMPARED_MAX; i++) {
        const struct location *first = *VEC_AT(regexes, const struct location *, i);

        if (!covers(first, re))
            continue;
        say_shadowed(l, re, first, "matches all that it matches, and stands before it");
        conf_hint(l, "patterns are tried in the order of the text: put it before that one");
        return;
    }
}

static void
check_prefix(struct conf_load *l, const struct location *loc, const struct vec *regexes)
{
    if (loc->nested.len > 0)
        return; /* those are looked for before the patterns */
    VEC_FOREACH (it, const struct location *, regexes) {
        if (!matches_prefix(*it, loc->name))
            continue;
        say_shadowed(l, loc, *it, "matches all of its paths, and patterns go before prefixes");
        conf_hint(l, "write \"location ^~ %.*s\"", STR(loc->name));
        return;
    }
}

/* Names that begin with no '/': a pattern without its "~", or a forgotten one. */
static void
check_relative(struct conf_load *l, const struct location *loc)
{
    static const char marks[] = "^$\\*";
    bool pattern = false;

    for (const char *m = marks; *m != '\0'; m++)
        pattern = pattern || str_find(loc->name, *m) < loc->name.len;
    lint_say_at(l, loc->pos, "%.*s can never match: paths begin with \"/\"", STR(loc->scope->name));
    if (pattern)
        conf_hint(l, "a regular expression needs \"~\": write \"location ~ %.*s\"", STR(loc->name));
    else
        conf_hint(l, "write \"location /%.*s\"", STR(loc->name));
}

/* A name that is written as a client would write it; what is compared is decoded, normalised and without arguments. */
static void
check_path(struct conf_load *l, const struct location *loc)
{
    struct str name = loc->name;
    size_t percent = str_find(name, '%');
    const char *why = NULL;

    if (name.len > 0 && name.ptr[0] != '/') {
        check_relative(l, loc);
        return;
    }
    if (str_find(name, '?') < name.len)
        why = "arguments are no part of the path that is compared";
    else if (percent + 2 < name.len && hex_digit(name.ptr[percent + 1]) >= 0 &&
             hex_digit(name.ptr[percent + 2]) >= 0)
        why = "paths are compared decoded";
    else if (http_conf(loc->scope)->merge_slashes && str_search(name, S("//")) < name.len)
        why = "slashes that follow each other are merged";
    else if (str_search(name, S("/../")) < name.len || str_search(name, S("/./")) < name.len)
        why = "\"..\" and \".\" are resolved";
    if (why == NULL)
        return;
    lint_say_at(l, loc->pos, "%.*s does not match a request for \"%.*s\": %s",
                STR(loc->scope->name), STR(name), why);
    conf_hint(l, "write the path as it is after decoding, without arguments");
}

static void
check_level(struct conf_load *l, const struct vec *level)
{
    struct vec regexes,
        wide; /* of const struct location *; wide: those that matches_prefix may be true of */

    vec_init(&regexes, conf_arena(l), sizeof(struct location *));
    vec_init(&wide, conf_arena(l), sizeof(struct location *));
    VEC_FOREACH (it, struct location *, level) {
        struct location **slot;

        if ((*it)->kind != LOCATION_REGEX)
            continue;
        if ((slot = vec_push(&regexes)) != NULL)
            *slot = *it;
        if ((matches_all(*it) || is_any((*it)->regex->rest)) && wide.len < COMPARED_MAX &&
            (slot = vec_push(&wide)) != NULL)
            *slot = *it;
    }
    for (uint32_t i = 0; i < regexes.len; i++)
        check_regex(l, level, i, &regexes);
    VEC_FOREACH (it, struct location *, level) {
        if ((*it)->kind == LOCATION_PREFIX)
            check_prefix(l, *it, &wide);
        if ((*it)->kind != LOCATION_REGEX && (*it)->kind != LOCATION_NAMED)
            check_path(l, *it);
        if ((*it)->nested.len > 0)
            check_level(l, &(*it)->nested);
    }
}

static void
check_server(struct conf_load *l, const struct lint_line *at)
{
    if (at->node->scope != NULL && at->node->scope->kind == SCOPE_SERVER)
        check_level(l, &((const struct server *)at->node->scope->owner)->locations);
}

/* ---- alias ---- */

static void
check_alias(struct conf_load *l, const struct lint_line *at)
{
    const struct location *loc = http_location_of(at->scope);
    struct str path = at->node->args[1], name = loc->name;
    bool path_ends = str_ends(path, S("/")), name_ends = str_ends(name, S("/"));

    if ((loc->kind != LOCATION_PREFIX && loc->kind != LOCATION_PREFIX_NO_REGEX) ||
        path_ends == name_ends || path.len == 0 || str_find(path, '$') < path.len)
        return;
    if (path_ends) {
        lint_say(l, at->node, 1,
                 "location \"%.*s\" has no \"/\" at its end and its alias \"%.*s\" has: a request "
                 "for \"%.*s../x\" asks for \"%.*s../x\", outside of that directory",
                 STR(name), STR(path), STR(name), STR(path));
        conf_hint(
            l,
            "write \"location %.*s/\" (weir answers such a request with 404, nginx with the file)",
            STR(name));
    } else {
        lint_say(l, at->node, 1,
                 "location \"%.*s\" has a \"/\" at its end and its alias \"%.*s\" has none: "
                 "\"%.*sx\" is looked for as \"%.*sx\"",
                 STR(name), STR(path), STR(name), STR(path));
        conf_hint(l, "write \"alias %.*s/\"", STR(path));
    }
}

/* ---- temporary files ---- */

/* Of the directory, or of the nearest one above it that exists. */
static bool
is_in_memory(struct str path)
{
    char name[4096];
    struct statfs fs;

    while (str_to_c(path, name, sizeof(name))) {
        if (statfs(name, &fs) == 0)
            return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
        if (path.len <= 1)
            return false;
        path = str_upto(path, str_rfind(path, '/'));
        if (path.len == 0)
            path = S("/");
    }
    return false;
}

void
lint_temp_path(struct conf_load *l, const struct lint_line *at)
{
    struct str path = conf_path(l, at->node->args[1], false);

    if (path.ptr == NULL || !is_in_memory(path))
        return;
    lint_say(
        l, at->node, 1,
        "\"%.*s\" is in memory (tmpfs): what is written there to spare memory takes more of it",
        STR(at->node->args[1]));
    conf_hint(l, "name a directory on a disk");
}

const struct lint_check location_checks[] = {
    { "location-never-matches", "server", check_server },
    { "alias-slash", "alias", check_alias },
    { "temp-path-in-memory", "client_body_temp_path", lint_temp_path },
    { 0 },
};
