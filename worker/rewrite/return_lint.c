/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * return_lint.c - checks of what answers in place of a location: `return` and redirecting `rewrite` lines that leave
 * locations without requests, lead to themselves, or take the path by which certificates are renewed.
 *
 * A line counts as certain when it stands outside `if`, and nothing before it can end the list of instructions.
 */
#include "common/base/num.h"
#include "worker/http/http_conf.h"
#include "worker/http/lint_vars.h"
#include "worker/http/server.h"
#include "worker/rewrite/return_lint.h"

/* ---- what a block does with every request ---- */

struct certain {
    const struct conf_node *node; /* NULL: nothing */
    uint32_t status;
    struct str target; /* of a redirect; empty: none */
};

static bool
is_redirect(uint32_t status)
{
    return (status >= 301 && status <= 303) || status == 307 || status == 308;
}

static void
read_return(const struct conf_node *n, struct certain *c)
{
    c->node = n;
    c->status = 302;
    if (n->n == 2 && !num_parse_u32(n->args[1], &c->status))
        c->target = n->args[1];
    if (n->n == 3 && num_parse_u32(n->args[1], &c->status) && is_redirect(c->status))
        c->target = n->args[2];
}

/* `rewrite` of all URIs to another place: "rewrite ^ https://host$request_uri? permanent". */
static bool
read_rewrite(const struct conf_node *n, struct certain *c)
{
    static const char *const all[] = { "^",      "^/",   "^(.*)$", "^/(.*)$", "^.*$", "^(.*)",
                                       "^/(.*)", "(.*)", ".*",     "^.*",     "/" };
    bool matches = false;

    for (size_t i = 0; i < ARRAY_LEN(all) && !matches; i++)
        matches = str_eq(n->args[1], str_c(all[i]));
    if (!matches ||
        (n->n == 4 && !str_eq(n->args[3], S("redirect")) && !str_eq(n->args[3], S("permanent"))))
        return false;
    if (n->n == 3 && str_search(n->args[2], S("://")) == n->args[2].len)
        return false;
    c->node = n;
    c->status = n->n == 4 && str_eq(n->args[3], S("permanent")) ? 301 : 302;
    c->target = n->args[2];
    if (str_ends(c->target, S("?")))
        c->target.len--;
    return true;
}

/* Whether the line may end the list of instructions without an answer. */
static bool
may_end_list(const struct conf_node *n)
{
    if (str_eq(n->args[0], S("break")))
        return true;
    if (str_eq(n->args[0], S("rewrite")))
        return n->n == 4 && (str_eq(n->args[3], S("last")) || str_eq(n->args[3], S("break")));
    if (!str_eq(n->args[0], S("if")))
        return false;
    for (n = n->children; n != NULL; n = n->next)
        if (may_end_list(n))
            return true;
    return false;
}

static struct certain
certain_of(const struct conf_node *n)
{
    struct certain c = { .target = S("") };

    for (; n != NULL; n = n->next) {
        if (str_eq(n->args[0], S("return"))) {
            read_return(n, &c);
            break;
        }
        if (str_eq(n->args[0], S("rewrite")) && read_rewrite(n, &c))
            break;
        if (may_end_list(n))
            break;
    }
    return c;
}

/* ---- locations behind a `return` of the server ---- */

static void
check_unreached(struct conf_load *l, const struct lint_line *at)
{
    const struct server *s = at->node->scope != NULL ? at->node->scope->owner : NULL;
    struct certain c = certain_of(at->node->children);

    if (at->scope->kind != SCOPE_HTTP || s == NULL || c.node == NULL)
        return;
    VEC_FOREACH (it, struct location *, &s->locations) {
        struct str place = lint_place(l, c.node->pos);

        if ((*it)->kind == LOCATION_NAMED)
            continue;
        lint_say_at(
            l, (*it)->pos,
            "%.*s is never reached: the \"%.*s\" of %.*s answers all requests of this server",
            STR((*it)->scope->name), STR(c.node->args[0]), STR(place));
        conf_hint(l, "put that line into \"location / { }\"");
        return;
    }
}

/* ---- redirects to themselves ---- */

/* The parts of "scheme://host[:port]uri"; empty ones where the target leaves them as they are. */
struct target {
    struct str scheme, host, uri;
    uint32_t port; /* 0: the scheme's */
};

static bool
target_parse(struct str text, struct target *t)
{
    size_t end = str_search(text, S("://")), colon;

    *t = (struct target){ .scheme = S(""), .host = S(""), .uri = text };
    if (end == text.len)
        return str_starts(text, S("/"));
    t->scheme = str_upto(text, end);
    text = str_from(text, end + 3);
    for (end = 0; end < text.len && text.ptr[end] != '/' && text.ptr[end] != '?'; end++)
        if (text.ptr[end] == '$' && end > 0)
            break; /* "host$request_uri" */
    t->host = str_upto(text, end);
    t->uri = str_from(text, end);
    colon = str_rfind(t->host, ':');
    if (colon < t->host.len) {
        if (!num_parse_u32(str_from(t->host, colon + 1), &t->port))
            return false;
        t->host = str_upto(t->host, colon);
    }
    return t->host.len > 0;
}

static bool
listens_for(const struct server *s, bool ssl, uint32_t port)
{
    VEC_FOREACH (line, struct listen_line, &s->listens)
        if (line->ssl == ssl && addr_port(&line->addr) == port)
            return true;
    return false;
}

static bool
has_name(const struct server *s, struct str host)
{
    VEC_FOREACH (name, struct server_name, &s->names)
        if (str_eq_nocase(name->text, host))
            return true;
    return false;
}

/* Whether the target's host is one that brings the client back to this server. */
static bool
host_is_own(const struct server *s, struct str host)
{
    return host.len == 0 || str_eq(host, S("$host")) || str_eq(host, S("$http_host")) ||
           str_eq(host, S("$server_name")) || has_name(s, host);
}

/* Whether some address of the server that the line answers is the one that the target names. */
static bool
address_is_own(const struct server *s, const struct target *t)
{
    bool https = str_eq(t->scheme, S("https")), http = str_eq(t->scheme, S("http"));

    if (t->scheme.len == 0 || (str_eq(t->scheme, S("$scheme")) && t->port == 0))
        return true;
    if (!https && !http)
        return false;
    return listens_for(s, https, t->port != 0 ? t->port : https ? 443 : 80);
}

/* Whether the URI gets to the same line again: in server {} each one does. */
static bool
uri_is_own(const struct server *s, const struct location *loc, struct str uri)
{
    size_t end = str_find(uri, '?');

    if (loc == NULL)
        return true;
    if (str_eq(uri, S("$request_uri")) || str_eq(uri, S("$uri")) ||
        str_eq(uri, S("$uri$is_args$args")) || str_eq(uri, S("$document_uri")))
        return true;
    uri = str_upto(uri, end);
    if (uri.len == 0)
        uri = S("/");
    return str_find(uri, '$') == uri.len && location_of_uri(s, uri) == loc;
}

static void
check_loop(struct conf_load *l, const struct lint_line *at)
{
    const struct location *loc = http_location_of(at->scope);
    const struct server *s = http_server_of(at->scope);
    struct certain c = certain_of(lint_first(l, at->outer));
    struct target t;

    if (loc != NULL && (loc->kind == LOCATION_NAMED || http_conf(loc->scope)->internal))
        return; /* another one has sent the request here */
    if (s == NULL || c.node != at->node || c.target.len == 0 || !target_parse(c.target, &t) ||
        (at->scope->kind != SCOPE_SERVER && at->scope->kind != SCOPE_LOCATION) ||
        !host_is_own(s, t.host) || !address_is_own(s, &t) || !uri_is_own(s, loc, t.uri))
        return;
    lint_say(l, at->node, 0, "this redirect leads to itself: \"%.*s\" is answered by the same line",
             STR(c.target));
    if (str_eq(t.scheme, S("https")))
        conf_hint(l,
                  "a redirect to https belongs into a server of its own that has no \"listen ... "
                  "ssl\"");
    else
        conf_hint(l, "redirect to a path, a name or a port that this line does not answer");
}

/* ---- the path by which certificates are renewed ---- */

#define ACME_PATH "/.well-known/acme-challenge/"

enum acme_fate { ACME_ANSWERED, ACME_PASSED_ON, ACME_REDIRECTED, ACME_DENIED };

/* What becomes of a request for ACME_PATH, and the line that says so. */
struct acme {
    enum acme_fate fate;
    const struct conf_node *node; /* REDIRECTED, DENIED */
    struct str target;
};

static const struct conf_node *
node_of_scope(const struct conf_node *n, const struct scope *s)
{
    for (; n != NULL; n = n->next) {
        const struct conf_node *inner;

        if (n->scope == s)
            return n;
        if (n->scope == NULL)
            continue;
        inner = node_of_scope(n->children, s);
        if (inner != NULL)
            return inner;
    }
    return NULL;
}

/* `deny all` of the block's rules of access, which it takes from the server when it has none. */
static const struct conf_node *
find_deny_all(const struct conf_node *block, const struct conf_node *server)
{
    const struct conf_node *n = block->children;

    if (lint_find(n, "satisfy") != NULL)
        return NULL;
    if (lint_find(n, "deny") == NULL && lint_find(n, "allow") == NULL)
        n = server->children;
    while ((n = lint_find(n, "deny")) != NULL && !str_eq(n->args[1], S("all")))
        n = n->next;
    return n;
}

static bool
judge(struct certain c, struct acme *a)
{
    if (c.node == NULL)
        return false;
    a->node = c.node;
    a->target = c.target;
    a->fate = c.target.len > 0 ? ACME_REDIRECTED : c.status >= 400 ? ACME_DENIED : ACME_ANSWERED;
    return true;
}

static struct acme
acme_fate(const struct conf_node *server, const struct server *s)
{
    struct acme a = { .fate = ACME_PASSED_ON, .target = S("") };
    const struct conf_node *block = server, *deny;
    const struct location *loc;

    if (judge(certain_of(server->children), &a))
        return a;
    loc = location_of_uri(s, S(ACME_PATH "x"));
    if (loc != NULL) {
        block = node_of_scope(server->children, loc->scope);
        if (block == NULL || judge(certain_of(block->children), &a))
            return a;
    }
    deny = find_deny_all(block, server);
    if (deny != NULL) {
        a.fate = ACME_DENIED;
        a.node = deny;
    } else if ((loc != NULL && str_search(loc->name, S("well-known")) < loc->name.len) ||
               http_content(loc != NULL ? loc->scope : s->scope) == NULL) {
        a.fate = ACME_ANSWERED;
    }
    return a;
}

/* A name that a certificate may be for. */
static struct str
domain_of(const struct server *s)
{
    VEC_FOREACH (name, struct server_name, &s->names) {
        struct addr a;

        if (name->regex == NULL && str_find(name->text, '.') < name->text.len &&
            str_find(name->text, '*') == name->text.len && !addr_parse_ip(name->text, &a))
            return name->text;
    }
    return S("");
}

/* Servers with TLS by their names: where a redirect to https leads. */
struct tls_servers {
    struct hash by_name; /* to struct conf_node, the server {} */
    bool made;
};

static const struct conf_node *
tls_server(struct conf_load *l, const struct lint_line *at, struct str host)
{
    struct tls_servers *t = lint_state(l, &return_module, sizeof(*t));

    if (t == NULL)
        return NULL;
    if (!t->made)
        hash_init(&t->by_name, conf_arena(l));
    for (const struct conf_node *n = lint_first(l, at->outer); n != NULL && !t->made; n = n->next) {
        const struct server *s = str_eq(n->args[0], S("server")) ? n->scope->owner : NULL;

        if (s == NULL || !listens_for(s, true, 443))
            continue;
        VEC_FOREACH (name, struct server_name, &s->names)
            if (hash_get(&t->by_name, name->text) == NULL)
                hash_set(&t->by_name, name->text, (void *)n);
    }
    t->made = true;
    return hash_get(&t->by_name, host);
}

/* Whether the server that a redirect to https leads to answers the path. */
static bool
target_answers(struct conf_load *l, const struct lint_line *at, const struct server *s,
               struct str to)
{
    const struct conf_node *server;
    struct target t;

    if (!target_parse(to, &t) || !str_eq(t.scheme, S("https")))
        return false;
    if (t.host.len > 0 && t.host.ptr[0] == '$')
        t.host = domain_of(s);
    server = tls_server(l, at, t.host);
    return server != NULL && acme_fate(server, server->scope->owner).fate == ACME_ANSWERED;
}

static void
check_acme(struct conf_load *l, const struct lint_line *at)
{
    const struct server *s = at->node->scope != NULL ? at->node->scope->owner : NULL;
    struct acme a;
    struct str name;

    if (at->scope->kind != SCOPE_HTTP || s == NULL || !listens_for(s, false, 80))
        return;
    name = domain_of(s);
    if (name.len == 0)
        return;
    a = acme_fate(at->node, s);
    if (a.fate == ACME_DENIED)
        lint_say(l, a.node, 0,
                 "this covers \"" ACME_PATH
                 "\" too: a certificate for \"%.*s\" cannot be had by ACME "
                 "over HTTP",
                 STR(name));
    else if (a.fate == ACME_REDIRECTED && !target_answers(l, at, s, a.target))
        lint_say(l, a.node, 0,
                 "this redirect covers \"" ACME_PATH
                 "\" too: ACME's check of \"%.*s\" over HTTP is "
                 "sent on to where no location is made for it",
                 STR(name));
    else
        return;
    if (a.node == certain_of(at->node->children).node)
        conf_hint(l, "put this line into \"location / { }\", where other locations go before it");
    conf_hint(l, "add \"location ^~ " ACME_PATH " { root DIRECTORY; }\"");
}

/* ---- bytes of the path in Location ---- */

static void
check_return_target(struct conf_load *l, const struct lint_line *at)
{
    struct certain c = { .target = S("") };

    read_return(at->node, &c);
    if (c.target.len > 0)
        lint_say_decoded(l, at, (int)at->node->n - 1, "the field Location",
                         "write $request_uri, which is as the client sent it");
}

static void
check_rewrite_target(struct conf_load *l, const struct lint_line *at)
{
    const struct conf_node *n = at->node;
    bool flag =
        n->n == 4 && (str_eq(n->args[3], S("redirect")) || str_eq(n->args[3], S("permanent")));
    struct str rest = n->args[2], name;
    size_t i = 0;

    if (!flag && str_search(n->args[2], S("://")) == n->args[2].len)
        return;
    while (lint_next_variable(rest, &i, &name)) {
        if (name.len == 1) /* captures are encoded again */
            continue;
        if (lint_decoded(l, at, arena_fmt(conf_arena(l), "${%.*s}", STR(name)), &name)) {
            lint_say_decoded(l, at, 2, "the field Location",
                             "write $request_uri, which is as the client sent it");
            return;
        }
    }
}

const struct lint_check return_checks[] = {
    { "location-never-matches", "server", check_unreached },
    { "redirect-loop", "return", check_loop },
    { "redirect-loop", "rewrite", check_loop },
    { "acme-challenge", "server", check_acme },
    { "decoded-path", "return", check_return_target },
    { "decoded-path", "rewrite", check_rewrite_target },
    { 0 },
};
