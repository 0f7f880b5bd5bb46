/* SPDX-License-Identifier: BSD-2-Clause */
/* redirect.c - jumps between locations, and Location fields. */
#include "worker/http/redirect.h"

#include "common/base/escape.h"
#include "worker/core/explain.h"
#include "worker/http/http_core.h"
#include "worker/http/target.h"

/* ---- jumps ---- */

/* Counts a change of the URI. False: there were too many, which is logged. */
static bool
jump_counted(struct exchange *x, const char *what, struct str to)
{
    if (x->jumps >= HTTP_JUMPS_MAX) {
        x->jumps = HTTP_JUMPS_MAX + 1;
        xlog(x, LOG_LEVEL_ERROR, 0, "rewrite or internal redirection cycle while %s \"%.*s\"", what,
             STR(to));
        return false;
    }
    x->jumps++;
    return true;
}

static bool
has_dot_segment(struct str path)
{
    for (size_t i = 0; i + 1 < path.len; i++) {
        if (path.ptr[i] == '/' && path.ptr[i + 1] == '.')
            return true;
    }
    return false;
}

/* Decodes (not what is a decoded path already) and resolves dots. False: it leads above the root, or no memory. */
static bool
normalise(struct request *r, struct str *uri, bool decoded)
{
    struct arena *a = request_arena(r);
    struct str path = *uri;
    struct text encoded, to;
    bool plain;

    if (decoded) {
        if (!has_dot_segment(path))
            return true;
        text_init(&encoded, a);
        for (size_t i = 0; i < path.len; i++) {
            if (path.ptr[i] == '%' || path.ptr[i] == '?' || path.ptr[i] == '#')
                text_fmt(&encoded, "%%%02X", (unsigned)path.ptr[i]);
            else
                text_char(&encoded, path.ptr[i]);
        }
        path = text_str(&encoded);
    }
    text_init(&to, a);
    if (path.ptr == NULL || !target_normalise(path, false, &to, &plain) || to.failed)
        return false;
    *uri = text_str(&to);
    return true;
}

bool
redirect_normalise(struct request *r, struct str *uri)
{
    return normalise(r, uri, true);
}

enum phase_result
redirect_internal(struct exchange *x, struct str uri, struct str args)
{
    struct request *r = request_of(x);
    bool decoded = args.ptr != NULL;

    if (!decoded) {
        size_t mark = str_find(uri, '?');

        args = mark < uri.len ? str_from(uri, mark + 1) : STR_NONE;
        uri = str_upto(uri, mark);
    }
    if (!jump_counted(x, "internally redirecting to", uri))
        return phase_respond(x, 500);
    if (!normalise(r, &uri, decoded)) {
        xlog(x, LOG_LEVEL_ERROR, 0, "unsafe URI \"%.*s\" in an internal redirect", STR(uri));
        return phase_respond(x, 404);
    }
    EXPLAIN("redirect", EXPLAIN_NOWHERE, "internally to \"%.*s%s%.*s\"", STR(uri),
            args.len > 0 ? "?" : "", STR(args));
    xlog(x, LOG_LEVEL_DEBUG, 0, "internal redirect: \"%.*s?%.*s\"", STR(uri), STR(args));
    r->uri = uri;
    r->args = args.len > 0 ? args : STR_NONE;
    r->uri_as_sent = false;
    r->uri_replaced = false;
    r->internal = true;
    r->location = NULL;
    exchange_clear_states(x);
    x->scope = r->server->scope;
    phase_goto(x, HTTP_SERVER_REWRITE);
    return PHASE_JUMP;
}

enum phase_result
redirect_named(struct exchange *x, struct str name)
{
    struct request *r = request_of(x);
    struct location *loc = location_named(r->server, name);

    if (!jump_counted(x, "redirect to named location", name))
        return phase_respond(x, 500);
    if (loc == NULL) {
        xlog(x, LOG_LEVEL_ERROR, 0, "could not find named location \"%.*s\"", STR(name));
        return phase_respond(x, 500);
    }
    EXPLAIN("redirect", loc->pos, "internally to location \"%.*s\"", STR(name));
    r->internal = true;
    r->uri_changed = false;
    exchange_clear_states(x);
    location_enter(r, loc);
    phase_goto(x, HTTP_REWRITE);
    return PHASE_JUMP;
}

/* ---- Location ---- */

static void
add_host(struct request *r, const struct http_conf *c, struct text *t)
{
    char address[ADDR_TEXT_MAX];
    struct str host = r->host;

    if (c->server_name_in_redirect && r->server->name.len > 0)
        host = r->server->name;
    if (host.len > 0)
        text_add(t, host);
    else
        text_bytes(t, address, addr_format(conn_local(r->x.root->conn), false, address));
}

struct str
redirect_absolute(struct request *r, struct str path)
{
    const struct http_conf *c = HTTP_CONF(r);
    struct conn *conn = r->x.root->conn;
    bool https = str_eq(r->scheme, S("https"));
    uint16_t port;
    struct text t;

    if (conn == NULL)
        return path;
    port = addr_port(conn_local(conn));
    text_init(&t, request_arena(r));
    text_add(&t, r->scheme);
    TEXT_LIT(&t, "://");
    add_host(r, c, &t);
    if (c->port_in_redirect && port != 0 && port != (https ? 443 : 80))
        text_fmt(&t, ":%u", port);
    text_add(&t, path);
    return text_str(&t);
}

bool
redirect_set_location(struct request *r, struct str location)
{
    struct text t;

    if (location.ptr == NULL)
        return false;
    if (field_value_valid(location))
        return fields_set(&r->res.fields, FIELD_LOCATION, STR_NONE, location) != NULL;
    text_init(&t, request_arena(r));
    escape_uri(&t, location, ESCAPE_URI_CONTROLS);
    return !t.failed && fields_set(&r->res.fields, FIELD_LOCATION, STR_NONE, text_str(&t)) != NULL;
}

enum phase_result
redirect_external(struct request *r, int status, struct str location)
{
    if (location.len > 0 && location.ptr[0] == '/' && HTTP_CONF(r)->absolute_redirect)
        location = redirect_absolute(r, location);
    if (!redirect_set_location(r, location))
        return phase_respond(&r->x, 500);
    return phase_respond(&r->x, status);
}
