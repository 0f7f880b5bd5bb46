/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * location.c - location {} and limit_except {}, and which location serves a URI.
 *
 * At each level: an exact location ends the search; else the longest prefix is remembered and its nested locations
 * are searched; then, unless the prefix says ^~, the regular expressions in the order of the text. Exact names and
 * prefixes share one radix tree: a URI is walked once.
 */
#include "common/base/escape.h"
#include "worker/core/explain.h"
#include "worker/http/grams.h"
#include "worker/http/http_core.h"
#include "worker/http/redirect.h"
#include "worker/http/request_body.h"

struct trie_node {
    struct str label;       /* bytes from the parent to here */
    struct location *exact; /* for the path that ends here */
    struct location *prefix;
    struct location *slash; /* "/x/" with auto_redirect, at the node of "/x" */
    char *firsts;           /* first bytes of the children's labels */
    struct trie_node **children;
    uint32_t n, cap;
};

/* A pattern, with a text that it needs; one that needs one of several texts has several of these. */
struct location_gate {
    struct grams needed;
    struct location *loc;
};

struct location_tree {
    struct trie_node *root;
    struct vec regexes; /* of struct location_gate, in text order */
    struct hash named;  /* "@name" -> struct location * */
    bool use_grams;     /* there are enough patterns for the time that it takes to look for texts */
};

enum { PATTERNS_FEW = 4 };

/* ---- the radix tree ---- */

static struct trie_node *
node_new(struct arena *a, struct str label)
{
    struct trie_node *node = ARENA_NEW(a, struct trie_node);

    if (node != NULL)
        node->label = label;
    return node;
}

static struct trie_node **
node_child(const struct trie_node *node, char first)
{
    const char *at = node->n > 0 ? memchr(node->firsts, first, node->n) : NULL;

    return at != NULL ? &node->children[at - node->firsts] : NULL;
}

static bool
node_add(struct arena *a, struct trie_node *node, struct trie_node *child)
{
    if (node->n == node->cap) {
        uint32_t cap = node->cap > 0 ? node->cap * 2 : 2;
        char *firsts = arena_alloc(a, cap);
        struct trie_node **children = arena_array(a, cap, sizeof(*children));

        if (firsts == NULL || children == NULL)
            return false;
        if (node->n > 0) {
            memcpy(firsts, node->firsts, node->n);
            memcpy(children, node->children, node->n * sizeof(*children));
        }
        node->firsts = firsts;
        node->children = children;
        node->cap = cap;
    }
    node->firsts[node->n] = child->label.ptr[0];
    node->children[node->n++] = child;
    return true;
}

static size_t
common_length(struct str a, struct str b)
{
    size_t max = a.len < b.len ? a.len : b.len, n = 0;

    while (n < max && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* Cuts the edge to *slot after `at` bytes: a new node stands between. */
static struct trie_node *
node_split(struct arena *a, struct trie_node **slot, size_t at)
{
    struct trie_node *below = *slot;
    struct trie_node *between = node_new(a, str_upto(below->label, at));

    if (between == NULL)
        return NULL;
    below->label = str_from(below->label, at);
    if (!node_add(a, between, below))
        return NULL;
    *slot = between;
    return between;
}

/* The node of a path, made when it is missing. NULL: memory. */
static struct trie_node *
trie_node(struct arena *a, struct trie_node *node, struct str path)
{
    while (path.len > 0) {
        struct trie_node **slot = node_child(node, path.ptr[0]);
        size_t common;

        if (slot == NULL) {
            struct trie_node *child = node_new(a, path);

            return child != NULL && node_add(a, node, child) ? child : NULL;
        }
        common = common_length((*slot)->label, path);
        node = common < (*slot)->label.len ? node_split(a, slot, common) : *slot;
        if (node == NULL)
            return NULL;
        path = str_from(path, common);
    }
    return node;
}

/* ---- directives ---- */

struct location *
http_location_of(struct scope *s)
{
    struct scope *location = scope_up(s, SCOPE_LOCATION);

    return location != NULL ? location->owner : NULL;
}

/* "= /x", "^~ /x", "~ x", "~* x", "@x", "/x"; the mark may also touch the name. */
static bool
location_name(struct conf_load *l, const struct conf_node *n, struct location *loc, bool *nocase)
{
    static const struct {
        struct str mark;
        enum location_kind kind;
        bool nocase;
    } marks[] = { /* longer ones first */
                  { S_INIT("^~"), LOCATION_PREFIX_NO_REGEX, false },
                  { S_INIT("~*"), LOCATION_REGEX, true },
                  { S_INIT("~"), LOCATION_REGEX, false },
                  { S_INIT("="), LOCATION_EXACT, false }
    };
    struct str name = n->args[1];

    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (n->n == 3 ? !str_eq(name, marks[i].mark) : !str_starts(name, marks[i].mark))
            continue;
        loc->kind = marks[i].kind;
        *nocase = marks[i].nocase;
        loc->name = n->n == 3 ? n->args[2] : str_from(name, marks[i].mark.len);
        return true;
    }
    if (n->n == 3)
        return conf_fail(l, n, 1, "invalid location modifier \"%.*s\"", STR(name));
    loc->kind = name.len > 0 && name.ptr[0] == '@' ? LOCATION_NAMED : LOCATION_PREFIX;
    loc->name = name;
    return true;
}

static bool
location_fits(struct conf_load *l, const struct conf_node *n, const struct location *loc,
              const struct location *parent)
{
    int arg = (int)n->n - 1;
    const char *what = NULL;

    if (loc->kind == LOCATION_NAMED && loc->name.len == 1)
        return conf_fail(l, n, arg, "location \"@\" has no name");
    if (parent == NULL)
        return true;
    if (parent->kind == LOCATION_EXACT)
        what = "exact";
    else if (parent->kind == LOCATION_NAMED)
        what = "named";
    if (what != NULL)
        return conf_fail(l, n, arg, "location \"%.*s\" cannot be inside the %s location \"%.*s\"",
                         STR(loc->name), what, STR(parent->name));
    if (loc->kind == LOCATION_NAMED)
        return conf_fail(l, n, arg, "named location \"%.*s\" can be on the server level only",
                         STR(loc->name));
    if (loc->kind != LOCATION_REGEX && !str_starts(loc->name, parent->name))
        return conf_fail(l, n, arg, "location \"%.*s\" is outside location \"%.*s\"",
                         STR(loc->name), STR(parent->name));
    return true;
}

/* For messages: `location "/x"`. */
static struct str
location_title(struct conf_load *l, const struct location *loc)
{
    static const char *const marks[] = {
        [LOCATION_PREFIX] = "",  [LOCATION_PREFIX_NO_REGEX] = "^~ ",
        [LOCATION_EXACT] = "= ", [LOCATION_REGEX] = "~ ",
        [LOCATION_NAMED] = "",
    };

    return arena_fmt(conf_arena(l), "location %s\"%.*s\"", marks[loc->kind], STR(loc->name));
}

bool
location_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct location *parent = http_location_of(conf_scope(l));
    struct vec *list = parent != NULL ? &parent->nested : &http_server_of(conf_scope(l))->locations;
    struct location *loc = ARENA_NEW(conf_arena(l), struct location);
    struct location **slot = VEC_PUSH(list, struct location *);
    bool nocase = false;

    (void)d, (void)conf;
    if (loc == NULL || slot == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *slot = loc;
    loc->parent = parent;
    loc->pos = n->pos;
    vec_init(&loc->nested, conf_arena(l), sizeof(struct location *));
    if (!location_name(l, n, loc, &nocase) || !location_fits(l, n, loc, parent))
        return false;
    if (loc->kind == LOCATION_REGEX) {
        loc->regex = named_regex_compile(l, n, (int)n->n - 1, loc->name, nocase);
        if (loc->regex == NULL)
            return false;
    }
    loc->scope = conf_open_scope(l, n, SCOPE_LOCATION, location_title(l, loc), loc);
    return loc->scope != NULL || conf_fail(l, n, 0, "out of memory");
}

bool
limit_except_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct location *loc = http_location_of(conf_scope(l));

    (void)d, (void)conf;
    if (loc->limit_except != NULL)
        return conf_fail(l, n, 0, "\"limit_except\" directive is duplicate");
    for (uint32_t i = 1; i < n->n; i++) {
        enum method method = method_find(n->args[i]);

        if (method == METHOD_OTHER || method == METHOD_TRACE || method == METHOD_CONNECT)
            return conf_fail(l, n, (int)i, "invalid method \"%.*s\"", STR(n->args[i]));
        loc->limit_methods |= method;
        if (method == METHOD_GET)
            loc->limit_methods |= METHOD_HEAD;
    }
    loc->limit_except = conf_open_scope(l, n, SCOPE_LIMIT_EXCEPT, S("limit_except"), loc);
    return loc->limit_except != NULL || conf_fail(l, n, 0, "out of memory");
}

/* ---- after loading ---- */

static bool
duplicate(struct conf_load *l, const struct location *loc, const struct location *first)
{
    conf_fail_at(l, loc->pos, "duplicate location \"%.*s\"", STR(loc->name));
    conf_hint(l, "the first one is in %.*s:%u: move what this one says into its braces",
              STR(config_pos_file(conf_config(l), first->pos)), first->pos.line);
    return false;
}

static bool
tree_add_path(struct conf_load *l, struct location_tree *t, struct location *loc)
{
    struct trie_node *node = trie_node(conf_arena(l), t->root, loc->name);
    struct location **place;

    if (node == NULL)
        return conf_fail_at(l, loc->pos, "out of memory");
    place = loc->kind == LOCATION_EXACT ? &node->exact : &node->prefix;
    if (*place != NULL)
        return duplicate(l, loc, *place);
    *place = loc;
    if (!loc->auto_redirect || loc->kind == LOCATION_EXACT || loc->name.len < 2 ||
        loc->name.ptr[loc->name.len - 1] != '/')
        return true;
    node = trie_node(conf_arena(l), t->root, str_upto(loc->name, loc->name.len - 1));
    if (node == NULL)
        return conf_fail_at(l, loc->pos, "out of memory");
    node->slash = loc;
    return true;
}

static bool
add_gate(struct location_tree *t, const struct grams *needed, struct location *loc)
{
    struct location_gate *gate = vec_push(&t->regexes);

    if (gate != NULL)
        *gate = (struct location_gate){ *needed, loc };
    return gate != NULL;
}

static bool
tree_add_regex(struct conf_load *l, struct location_tree *t, struct location *loc)
{
    static const struct grams nothing;
    struct vec needed;
    bool good = true;

    vec_init(&needed, NULL, sizeof(struct grams));
    if (!grams_of_pattern(loc->name, &needed))
        good = add_gate(t, &nothing, loc);
    VEC_FOREACH (g, const struct grams, &needed)
        good = good && add_gate(t, g, loc);
    vec_free(&needed);
    return good || conf_fail_at(l, loc->pos, "out of memory");
}

static bool
tree_add(struct conf_load *l, struct location_tree *t, struct location *loc)
{
    switch (loc->kind) {
    case LOCATION_PREFIX:
    case LOCATION_PREFIX_NO_REGEX:
    case LOCATION_EXACT:
        return tree_add_path(l, t, loc);
    case LOCATION_REGEX:
        return tree_add_regex(l, t, loc);
    case LOCATION_NAMED:
        if (hash_get(&t->named, loc->name) != NULL)
            return duplicate(l, loc, hash_get(&t->named, loc->name));
        return hash_set(&t->named, loc->name, loc) || conf_fail_at(l, loc->pos, "out of memory");
    }
    return true;
}

/* NULL and *failed false: there are no locations. */
static struct location_tree *
tree_make(struct conf_load *l, const struct vec *locations, bool *failed)
{
    struct arena *a = conf_arena(l);
    struct location_tree *t;
    bool good;

    if (locations->len == 0)
        return NULL;
    *failed = true;
    good = true;
    t = ARENA_NEW(a, struct location_tree);
    if (t == NULL || (t->root = node_new(a, S(""))) == NULL)
        return NULL;
    vec_init_one(&t->regexes, a, sizeof(struct location_gate));
    hash_init(&t->named, a);
    VEC_FOREACH (it, struct location *, locations) {
        struct location *loc = *it;
        bool nested_failed = false;

        if (loc->scope == NULL) /* its line has an error */
            continue;
        loc->tree = tree_make(l, &loc->nested, &nested_failed);
        good = !nested_failed && good;
        good = tree_add(l, t, loc) && good;
    }
    t->use_grams = t->regexes.len >= PATTERNS_FEW;
    *failed = !good;
    return t;
}

bool
location_prepare(struct conf_load *l, struct server *s)
{
    bool failed = false;

    s->tree = tree_make(l, &s->locations, &failed);
    return !failed;
}

/* ---- the search ---- */

enum found {
    FOUND_NOTHING,
    FOUND_PREFIX,   /* unless a regular expression matches */
    FOUND_FINAL,    /* exact, or by a regular expression */
    FOUND_REDIRECT, /* the URI lacks the last '/' of the location */
};

TELLER void
explain_candidate(const char *kind, const struct location *l, const char *result)
{
    explain_step("location", l->pos, "%s \"%.*s\" %s", kind, STR(l->name), result);
}

static enum found
search_paths(const struct location_tree *t, struct str uri, struct location **found)
{
    const struct trie_node *node = t->root;
    enum found how = FOUND_NOTHING;
    const bool telling = explain_on;

    for (;;) {
        struct trie_node **child;

        if (node->prefix != NULL) {
            if (UNLIKELY(telling))
                explain_candidate("prefix", node->prefix, "fits");
            *found = node->prefix;
            how = FOUND_PREFIX;
        }
        if (uri.len == 0) {
            if (node->exact != NULL) {
                if (UNLIKELY(telling))
                    explain_candidate("exact path", node->exact, "fits");
                *found = node->exact;
                return FOUND_FINAL;
            }
            if (node->prefix == NULL && node->slash != NULL) {
                *found = node->slash;
                return FOUND_REDIRECT;
            }
            return how;
        }
        child = node_child(node, uri.ptr[0]);
        if (child == NULL || !str_starts(uri, (*child)->label))
            return how;
        node = *child;
        uri = str_from(uri, node->label.len);
    }
}

/* One look for a location. */
struct search {
    struct request *r; /* gets the captures; NULL: nobody does */
    struct str uri;
    struct location *found; /* the best so far; NULL: none */
    bool has_grams;
    struct grams absent; /* of uri */
};

static enum found search(struct search *s, const struct location_tree *t);

static bool
search_regexes(struct search *s, const struct location_tree *t)
{
    const struct location *tried = NULL;
    const bool telling = explain_on;
    bool use_grams = t->use_grams && !telling; /* each pattern is told of */

    if (use_grams && !s->has_grams) {
        grams_of_subject(s->uri, &s->absent);
        s->has_grams = true;
    }
    VEC_FOREACH (gate, const struct location_gate, &t->regexes) {
        struct location *loc = gate->loc;
        bool fits;

        if (loc == tried || (use_grams && !grams_may_have(&s->absent, &gate->needed)))
            continue;
        tried = loc;
        fits = named_regex_match(s->r, loc->regex, s->uri);
        if (UNLIKELY(telling))
            explain_candidate("pattern", loc, fits ? "matches" : "does not match");
        if (!fits)
            continue;
        s->found = loc;
        if (loc->tree != NULL)
            search(s, loc->tree);
        return true;
    }
    return false;
}

static enum found
search(struct search *s, const struct location_tree *t)
{
    struct location *prefix = NULL;
    enum found how = search_paths(t, s->uri, &prefix);

    if (prefix != NULL)
        s->found = prefix;
    if (how == FOUND_FINAL || how == FOUND_REDIRECT)
        return how;
    if (prefix != NULL && prefix->tree != NULL) {
        enum found nested = search(s, prefix->tree);

        if (nested == FOUND_FINAL || nested == FOUND_REDIRECT)
            return nested;
    }
    if (prefix != NULL && prefix->kind == LOCATION_PREFIX_NO_REGEX) {
        if (t->regexes.len > 0)
            EXPLAIN("location", prefix->pos, "because of \"^~\" no regular expression is tried");
        return how;
    }
    return t->regexes.len > 0 && search_regexes(s, t) ? FOUND_FINAL : how;
}

struct location *
location_of_uri(const struct server *s, struct str uri)
{
    struct search look = { .uri = uri };

    if (s->tree == NULL || search(&look, s->tree) == FOUND_REDIRECT)
        return NULL;
    return look.found;
}

/* ---- the phase ---- */

TELLER void
explain_location(const struct request *r, const struct location *loc)
{
    explain_step("location", loc->pos, "taken for \"%.*s\"", STR(r->uri));
    if (r->x.scope == loc->limit_except)
        explain_step("location", loc->limit_except->pos,
                     "the method is none of these, so what stands in this block holds");
    explain_fact("location", explain_line(loc->pos));
}

void
location_enter(struct request *r, struct location *loc)
{
    r->location = loc;
    r->located = r->uri.ptr;
    r->x.scope = loc->scope;
    if (loc->limit_except != NULL && (r->method & loc->limit_methods) == 0)
        r->x.scope = loc->limit_except;
    if (UNLIKELY(explain_on))
        explain_location(r, loc);
}

struct location *
location_named(const struct server *s, struct str name)
{
    return s->tree != NULL ? hash_get(&s->tree->named, name) : NULL;
}

static enum phase_result
redirect_to_slash(struct request *r, const struct location *loc)
{
    struct text t;

    text_init(&t, request_arena(r));
    escape_uri(&t, loc->name, ESCAPE_URI_PATH);
    if (r->args.len > 0) {
        text_char(&t, '?');
        text_add(&t, r->args);
    }
    if (t.failed)
        return phase_respond(&r->x, 500);
    return redirect_external(r, 301, text_str(&t));
}

/* Before anybody reads the body; later (after an error page's redirect) it has been dealt with. */
static bool
body_is_too_large(struct request *r)
{
    uint64_t max = HTTP_CONF(r)->client_max_body_size;

    return max > 0 && r->content_length > 0 && (uint64_t)r->content_length > max &&
           request_body_state(r) == BODY_AWAITED;
}

enum phase_result
location_find(struct exchange *x)
{
    struct request *r = request_of(x);
    struct search look;
    enum found how = FOUND_NOTHING;

    r->uri_changed = r->uri_replaced = false;
    r->location = NULL;
    x->scope = r->server->scope;
    look.r = r;
    look.uri = r->uri;
    look.found = NULL;
    look.has_grams = false;
    if (r->server->tree != NULL)
        how = search(&look, r->server->tree);
    if (look.found != NULL)
        location_enter(r, look.found);
    else
        EXPLAIN("location", r->server->pos, "none fits \"%.*s\": the server's own settings hold",
                STR(r->uri));
    if (how == FOUND_REDIRECT) {
        EXPLAIN("location", look.found->pos,
                "\"%.*s\" lacks the last \"/\": the client is redirected", STR(r->uri));
        return redirect_to_slash(r, look.found);
    }
    if (HTTP_CONF(r)->internal && !r->internal) {
        EXPLAIN("location", explain_place(x->scope, "internal", S("")),
                "clients may not ask for it");
        return phase_respond(x, 404);
    }
    if (body_is_too_large(r)) {
        xlog(x, LOG_LEVEL_ERROR, 0, "client intended to send too large body: %lld bytes",
             (long long)r->content_length);
        request_body_discard(r);
        return phase_respond(x, 413);
    }
    return PHASE_NEXT;
}
