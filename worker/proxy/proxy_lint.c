/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_lint.c - checks of proxy_pass and the request that it makes: the URI that results, names that nobody resolves,
 * WebSocket, fields that are lost.
 */
#include "worker/http/lint_vars.h"
#include "worker/http/location_lint.h"
#include "worker/net/resolver.h"
#include "worker/proxy/proxy.h"

/* ---- the URI ---- */

/* `location /api/` and `proxy_pass http://host/v1`: "/api/users" becomes "/v1users". */
static void
check_uri(struct conf_load *l, const struct lint_line *at)
{
    const struct location *loc = http_location_of(at->scope);
    struct proxy_url u;
    struct str name, uri;
    bool name_ends, uri_ends;

    if (at->scope->kind != SCOPE_LOCATION || loc == NULL ||
        (loc->kind != LOCATION_PREFIX && loc->kind != LOCATION_PREFIX_NO_REGEX) ||
        !proxy_url_parse(at->node->args[1], &u) || u.uri.len == 0)
        return;
    name = loc->name;
    uri = u.uri;
    name_ends = str_ends(name, S("/"));
    uri_ends = str_ends(uri, S("/"));
    if (name_ends == uri_ends || str_find(uri, '?') < uri.len || str_find(uri, '$') < uri.len)
        return;
    lint_say(
        l, at->node, 1,
        "location \"%.*s\" %s and this URI \"%.*s\" %s: \"%.*s%susers\" becomes \"%.*s%susers\"",
        STR(name), name_ends ? "ends in \"/\"" : "has no \"/\" at its end", STR(uri),
        uri_ends ? "does" : "does not", STR(name), name_ends ? "" : "/", STR(uri),
        name_ends ? "" : "/");
    if (name_ends)
        conf_hint(l, "write \"proxy_pass %.*s/\"", STR(at->node->args[1]));
    else
        conf_hint(l, "write \"location %.*s/\"", STR(name));
}

static void
check_decoded(struct conf_load *l, const struct lint_line *at)
{
    lint_say_decoded(
        l, at, 1, "the request to the origin",
        "leave the URI away and change the path by \"rewrite REGEX PATH break\" (it is encoded "
        "anew then), or write $request_uri");
}

static void
check_field(struct conf_load *l, const struct lint_line *at)
{
    lint_say_decoded(l, at, 2, "the request's fields",
                     "write $request_uri, which is as the client sent it");
}

/* ---- names without a resolver ---- */

/* The host of "http://HOST:port/uri"; empty: it is no URL. */
static struct str
host_of(struct str url)
{
    size_t end = str_search(url, S("://"));
    struct str rest = str_from(url, end + 3);

    if (end == url.len)
        return S("");
    if (str_starts(rest, S("[")))
        return str_upto(rest, str_find(rest, ']') + 1);
    for (end = 0;
         end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != ':' && rest.ptr[end] != '?';
         end++)
        if (rest.ptr[end] == '$' && end > 0)
            break;
    return str_upto(rest, end);
}

/* For lint_values: stops at the first URL whose host has to be resolved, and keeps that host. */
static bool
needs_no_resolver(void *data, struct str url)
{
    struct str *name = data, host = host_of(url);
    struct addr a;

    if (host.len == 0 || str_starts(host, S("unix")) || upstream_find(host) != NULL ||
        addr_parse(host, 80, &a))
        return true;
    *name = host;
    return false;
}

static void
check_resolver(struct conf_load *l, const struct lint_line *at)
{
    struct str url = at->node->args[1], host = host_of(url), name = S("");
    uint64_t timeout_ms;
    bool known = true;

    if (str_find(url, '$') == url.len || resolver_of_scope(at->scope, &timeout_ms) != NULL)
        return;
    if (host.len > 0 && str_find(host, '$') == host.len)
        needs_no_resolver(&name, url);
    else
        known = lint_values(l, url, needs_no_resolver, &name);
    if (!known)
        lint_say(
            l, at->node, 1,
            "the host is the value of a variable and may have to be looked up, and there is no "
            "\"resolver\" to ask");
    else if (name.len > 0)
        lint_say(l, at->node, 1,
                 "\"%.*s\" is looked up for each request, because of the variable, and there is no "
                 "\"resolver\" to ask",
                 STR(name));
    else
        return;
    conf_hint(
        l, "add \"resolver ADDRESS\" with that of a name server, or an \"upstream\" of that name");
}

/* ---- WebSocket ---- */

static const struct proxy_field *
find_field(const struct proxy_conf *c, const char *name)
{
    VEC_FOREACH (f, const struct proxy_field, &c->fields) {
        if (str_eq_nocase(f->name, str_c(name)) && f->value.text.len > 0)
            return f;
    }
    return NULL;
}

/* Whether a segment of the location's path is one that WebSocket goes by. */
static bool
sounds_like_websocket(const struct location *loc)
{
    static const char *const names[] = { "ws",         "wss",       "websocket",
                                         "websockets", "socket.io", "sockjs" };
    struct str rest = loc->name, segment;

    if (loc->kind == LOCATION_REGEX || loc->kind == LOCATION_NAMED)
        return false;
    while (str_split(&rest, '/', &segment))
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (str_eq_nocase(segment, str_c(names[i])))
                return true;
    return false;
}

static bool
asks_upgrade(const struct proxy_field *connection)
{
    return connection != NULL && (!template_is_const(&connection->value) ||
                                  str_eq_nocase(connection->value.text, S("upgrade")));
}

static void
check_websocket(struct conf_load *l, const struct lint_line *at)
{
    const struct proxy_conf *c = scope_conf(at->scope, &proxy_module);
    const struct proxy_field *upgrade = find_field(c, "Upgrade");
    const struct proxy_field *connection = find_field(c, "Connection");
    const struct location *loc = http_location_of(at->scope);

    if (upgrade != NULL && !asks_upgrade(connection)) {
        lint_say(
            l, at->node, 0,
            "the field Upgrade is set and Connection does not say \"upgrade\": no WebSocket opens");
        conf_hint(
            l, "add \"proxy_set_header Connection $connection_upgrade\" with \"map $http_upgrade "
               "$connection_upgrade { default upgrade; '' close; }\"");
    } else if (upgrade == NULL && connection != NULL && template_is_const(&connection->value) &&
               asks_upgrade(connection)) {
        lint_say(
            l, at->node, 0,
            "the field Connection says \"upgrade\" and Upgrade is not set: no WebSocket opens");
        conf_hint(l, "add \"proxy_set_header Upgrade $http_upgrade\"");
    } else if (upgrade != NULL && c->http_version == HTTP_10) {
        lint_say(l, at->node, 0, "HTTP/1.0 has no Upgrade: no WebSocket opens");
        conf_hint(l, "write \"proxy_http_version 1.1\"");
    } else if (upgrade == NULL && loc != NULL && sounds_like_websocket(loc)) {
        lint_say(
            l, at->node, 0,
            "the location is named as those of WebSocket are, and Upgrade is not passed on: no "
            "WebSocket opens");
        conf_hint(
            l, "add \"proxy_set_header Upgrade $http_upgrade\" and \"proxy_set_header Connection "
               "upgrade\"");
    }
}

/* ---- lists ---- */

static void
check_lost(struct conf_load *l, const struct lint_line *at)
{
    if (lint_lost_lines(l, at))
        conf_hint(l, "repeat them here, or put all of them into a file that each block includes");
}

const struct lint_check proxy_checks[] = {
    { "proxy-slash", "proxy_pass", check_uri },
    { "decoded-path", "proxy_pass", check_decoded },
    { "decoded-path", "proxy_set_header", check_field },
    { "resolver-missing", "proxy_pass", check_resolver },
    { "websocket-upgrade", "proxy_pass", check_websocket },
    { "lines-lost", "proxy_set_header", check_lost },
    { "lines-lost", "proxy_hide_header", check_lost },
    { "temp-path-in-memory", "proxy_temp_path", lint_temp_path },
    { 0 },
};
