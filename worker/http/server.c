/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.c - http {} and server {}, and which server answers a name.
 *
 * A name is looked for among those of the address that the client connected to: first as it is, then with a wildcard
 * in front (the longest first), then with one behind, then by regular expressions in the order of the text; else the
 * address's default server answers.
 */
#include "worker/http/server.h"

#include "worker/core/explain.h"
#include "worker/tls/tls.h"

#include <limits.h>
#include <unistd.h>

/* The names of an address. Keys are lower case, as the host of a request is. */
struct server_names {
    struct hash exact;   /* "example.com" */
    struct hash leading; /* ".example.com" for *.example.com */
    struct hash ending;  /* "example." for example.* */
    struct vec regexes;  /* of struct server_regex */
};

struct server_regex {
    const struct named_regex *regex;
    struct server *server;
};

struct http_main *
http_main_of(const struct config *c)
{
    for (struct scope *s = c->root->children; s != NULL; s = s->next) {
        if (s->kind == SCOPE_HTTP)
            return s->owner;
    }
    return NULL;
}

struct server *
http_server_of(struct scope *s)
{
    struct scope *server = scope_up(s, SCOPE_SERVER);

    return server != NULL ? server->owner : NULL;
}

/* ---- blocks ---- */

bool
http_block_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct arena *a = conf_arena(l);
    struct http_main *m;

    (void)d, (void)conf;
    if (http_main_of(conf_config(l)) != NULL)
        return conf_fail(l, n, 0, "\"http\" directive is duplicate");
    m = ARENA_NEW(a, struct http_main);
    if (m == NULL)
        return conf_fail(l, n, 0, "out of memory");
    vec_init(&m->servers, a, sizeof(struct server *));
    vec_init(&m->addresses, a, sizeof(struct http_address *));
    m->scope = conf_open_scope(l, n, SCOPE_HTTP, S("http"), m);
    return m->scope != NULL || conf_fail(l, n, 0, "out of memory");
}

bool
server_block_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct arena *a = conf_arena(l);
    struct http_main *m = conf_scope(l)->owner;
    struct server *s = ARENA_NEW(a, struct server);
    struct server **slot = VEC_PUSH(&m->servers, struct server *);

    (void)d, (void)conf;
    if (s == NULL || slot == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *slot = s;
    s->pos = n->pos;
    s->name = S("");
    vec_init_one(&s->names, a, sizeof(struct server_name));
    vec_init_one(&s->listens, a, sizeof(struct listen_line));
    vec_init_one(&s->locations, a, sizeof(struct location *));
    s->scope = conf_open_scope(l, n, SCOPE_SERVER, S("server"), s);
    return s->scope != NULL || conf_fail(l, n, 0, "out of memory");
}

/* ---- server_name ---- */

static struct str
own_hostname(struct arena *a)
{
    char name[HOST_NAME_MAX + 1] = "";
    struct text t;

    if (gethostname(name, sizeof(name) - 1) != 0)
        return S("");
    text_init(&t, a);
    text_lower(&t, str_c(name));
    return t.failed ? STR_NONE : text_str(&t);
}

/* nginx ignores case in patterns that have capitals: hosts are lower case. */
static bool
has_capital(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return true;
    }
    return false;
}

/* A wildcard stands alone in the first or the last label, never in both. */
static bool
name_is_valid(struct str name)
{
    size_t star = str_find(name, '*');

    if (name.len > 0 && name.ptr[0] == '.')
        return name.len > 1 && star == name.len && str_search(name, S("..")) == name.len;
    if (star == name.len)
        return true;
    if (star == 0)
        return name.len > 2 && name.ptr[1] == '.' &&
               str_find(str_from(name, 1), '*') == name.len - 1;
    return star == name.len - 1 && star > 1 && name.ptr[star - 1] == '.';
}

static bool
add_name(struct conf_load *l, const struct conf_node *n, int arg, struct server *s, struct str text)
{
    struct arena *a = conf_arena(l);
    struct server_name *name = VEC_PUSH(&s->names, struct server_name);
    struct text lower;

    if (name == NULL)
        return conf_fail(l, n, arg, "out of memory");
    name->pos = n->arg_pos[arg];
    if (str_find(text, '/') < text.len)
        conf_warn(l, n, arg, "server name \"%.*s\" has suspicious symbols", STR(text));
    if (text.len > 0 && text.ptr[0] == '~') {
        if (text.len == 1)
            return conf_fail(l, n, arg, "empty regex in server name \"%.*s\"", STR(text));
        name->text = text;
        name->regex =
            named_regex_compile(l, n, arg, str_from(text, 1), has_capital(str_from(text, 1)));
        return name->regex != NULL;
    }
    if (str_eq(text, S("$hostname")))
        text = own_hostname(a);
    if (!name_is_valid(text))
        return conf_fail(l, n, arg, "server name \"%.*s\" is invalid", STR(text));
    text_init(&lower, a);
    text_lower(&lower, text);
    name->text = text.len > 0 ? text_str(&lower) : S("");
    return name->text.ptr != NULL || conf_fail(l, n, arg, "out of memory");
}

bool
server_name_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct server *s = conf_scope(l)->owner;

    (void)d, (void)conf;
    for (uint32_t i = 1; i < n->n; i++) {
        if (!add_name(l, n, (int)i, s, n->args[i]))
            return false;
    }
    s->name = VEC_AT(&s->names, struct server_name, 0)->text;
    if (s->name.len > 0 && s->name.ptr[0] == '.')
        s->name = str_from(s->name, 1);
    return true;
}

/* ---- tables ---- */

/* False: memory. A name that another server has is reported and left to that one. */
static bool
names_add(struct conf_load *l, struct server_names *names, const struct http_address *a,
          struct server *s, const struct server_name *name)
{
    struct str key = name->text;
    struct str plain = key; /* ".example.com" is also "example.com" */
    struct hash *table = &names->exact;
    const struct server *other;

    if (key.len > 1 && key.ptr[0] == '*') {
        key = str_from(key, 1);
        table = &names->leading;
    } else if (key.len > 1 && key.ptr[0] == '.') {
        plain = str_from(key, 1);
        table = &names->leading;
    } else if (key.len > 1 && key.ptr[key.len - 1] == '*') {
        key = str_upto(key, key.len - 1);
        table = &names->ending;
    }
    other = hash_get(table, key);
    if (other == NULL && plain.ptr != name->text.ptr)
        other = hash_get(&names->exact, plain);
    if (other != NULL) {
        conf_warn_at(l, name->pos, "conflicting server name \"%.*s\" on %.*s, ignored",
                     STR(name->text), STR(a->text));
        if (other != s)
            conf_hint(l, "the server in %.*s:%u answers for it, give one of them another name",
                      STR(config_pos_file(conf_config(l), other->pos)), other->pos.line);
        return true;
    }
    if (plain.ptr != name->text.ptr && !hash_set(&names->exact, plain, s))
        return false;
    return hash_set(table, key, s);
}

static bool
names_add_server(struct conf_load *l, struct server_names *names, const struct http_address *a,
                 struct server *s)
{
    static const struct server_name nameless = { .text = S_INIT("") };
    struct server_name none = nameless;

    none.pos = s->pos;
    if (s->names.len == 0)
        return names_add(l, names, a, s, &none);
    VEC_FOREACH (name, struct server_name, &s->names) {
        if (name->regex != NULL) {
            struct server_regex *re = VEC_PUSH(&names->regexes, struct server_regex);

            if (re == NULL)
                return false;
            *re = (struct server_regex){ name->regex, s };
        } else if (!names_add(l, names, a, s, name)) {
            return false;
        }
    }
    return true;
}

/* Whether the choice can matter: several servers, or a pattern that sets variables. */
static bool
names_are_needed(const struct http_address *a)
{
    if (a->servers.len > 1)
        return true;
    VEC_FOREACH (name, struct server_name, &a->default_server->names) {
        if (name->regex != NULL)
            return true;
    }
    return false;
}

bool
server_names_prepare(struct conf_load *l, struct http_address *a)
{
    struct arena *arena = conf_arena(l);
    struct server_names *names;

    if (!names_are_needed(a))
        return true;
    names = ARENA_NEW(arena, struct server_names);
    if (names == NULL)
        return conf_fail_at(l, a->pos, "out of memory");
    hash_init(&names->exact, arena);
    hash_init(&names->leading, arena);
    hash_init(&names->ending, arena);
    vec_init(&names->regexes, arena, sizeof(struct server_regex));
    VEC_FOREACH (s, struct server *, &a->servers) {
        if (!names_add_server(l, names, a, *s))
            return conf_fail_at(l, a->pos, "out of memory");
    }
    a->names = names;
    return true;
}

/* ---- what explain tells ---- */

static const struct server_name *
name_of_regex(const struct server_regex *re)
{
    VEC_FOREACH (name, struct server_name, &re->server->names) {
        if (name->regex == re->regex)
            return name;
    }
    return NULL;
}

TELLER void
explain_regex(const struct server_regex *re, bool fits)
{
    const struct server_name *name = name_of_regex(re);

    if (name != NULL)
        explain_step("server", name->pos, "name \"%.*s\" %s", STR(name->text),
                     fits ? "matches" : "does not match");
}

/* The name of `s` that was found in a table: as it is, or the wildcard that covers the host; the longest one counts. */
static const struct server_name *
name_that_fits(const struct server *s, struct str host)
{
    const struct server_name *found = NULL;

    VEC_FOREACH (name, struct server_name, &s->names) {
        struct str text = name->text;
        bool leading = str_starts(text, S("*.")), dot = str_starts(text, S("."));
        bool ending = str_ends(text, S(".*"));

        if (name->regex != NULL)
            continue;
        if (str_eq(text, host) || (dot && str_eq(str_from(text, 1), host)))
            return name;
        if (((leading || dot) && str_ends(host, str_from(text, leading))) ||
            (ending && str_starts(host, str_upto(text, text.len - 1)))) {
            if (found == NULL || text.len > found->text.len)
                found = name;
        }
    }
    return found;
}

TELLER void
explain_server(const struct http_address *a, const struct server *named, struct str host)
{
    const struct server *s = named != NULL ? named : a->default_server;
    const struct server_name *name = named != NULL ? name_that_fits(named, host) : NULL;
    struct conf_pos by = a->default_by != NULL ? a->default_by->pos : EXPLAIN_NOWHERE;

    if (name != NULL)
        explain_step("server", name->pos, "name \"%.*s\" fits host \"%.*s\" %s", STR(name->text),
                     STR(host), str_eq(name->text, host) ? "exactly" : "as a wildcard");
    else if (named == NULL && a->names == NULL)
        explain_step("server", a->pos, "the only server of %.*s", STR(a->text));
    else if (named == NULL)
        explain_step("server", by, "no name fits host \"%.*s\": the default server of %.*s%s",
                     STR(host), STR(a->text),
                     a->default_by != NULL ? "" : ", which is its first one");
    explain_step("server", s->pos, "server \"%.*s\" is taken", STR(s->name));
    explain_fact("server", s->name);
}

/* ---- the choice ---- */

/* *.example.com: from the longest rest behind a dot on. */
static struct server *
find_leading(const struct server_names *names, struct str host)
{
    if (names->leading.n == 0)
        return NULL;
    for (size_t i = 1; i < host.len; i++) {
        struct server *s;

        if (host.ptr[i] != '.')
            continue;
        s = hash_get(&names->leading, str_from(host, i));
        if (s != NULL)
            return s;
    }
    return NULL;
}

static struct server *
find_ending(const struct server_names *names, struct str host)
{
    if (names->ending.n == 0)
        return NULL;
    for (size_t i = host.len; i > 1; i--) {
        struct server *s;

        if (host.ptr[i - 1] != '.' || i == host.len)
            continue;
        s = hash_get(&names->ending, str_upto(host, i));
        if (s != NULL)
            return s;
    }
    return NULL;
}

static const struct server *
names_find(const struct server_names *names, struct str host, struct request *r)
{
    const struct server *s = hash_get(&names->exact, host);

    if (s != NULL || host.len == 0)
        return s;
    s = find_leading(names, host);
    if (s == NULL)
        s = find_ending(names, host);
    if (s != NULL)
        return s;
    VEC_FOREACH (re, struct server_regex, &names->regexes) {
        bool fits = named_regex_match(r, re->regex, host);

        if (UNLIKELY(explain_on) && r != NULL)
            explain_regex(re, fits);
        if (fits)
            return re->server;
    }
    return NULL;
}

const struct server *
server_of_name(const struct http_address *a, struct str name, struct request *r)
{
    const struct server *s = NULL;

    if (a->names != NULL)
        s = names_find(a->names, name.len > 0 ? name : S(""), r);
    if (UNLIKELY(explain_on) && r != NULL)
        explain_server(a, s, name);
    return s != NULL ? s : a->default_server;
}

const struct server *
http_default_server(struct conn *c)
{
    const struct server *named = tls_server_of(c);

    return named != NULL ? named : listen_address(c)->default_server;
}

void
http_choose_server(struct request *r)
{
    r->server = server_of_name(listen_address(r->x.conn), r->host, r);
    r->x.scope = r->server->scope;
}
