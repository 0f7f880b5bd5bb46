/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_start.c - what http says to a TLS handshake: which server a name means, which protocols there are, and what comes
 * behind it.
 */
#include "common/sys/socket.h"
#include "common/conf/lint.h"
#include "worker/http/server.h"
#include "worker/tls/tls.h"

enum { NAMES_SHOWN = 500 }; /* bytes of a certificate's names in a message */

/* The server of the name; its certificate, or where it has none the default server's. */
static const struct tls_context *
choose(struct conn *c, struct str name, const void **server)
{
    const struct http_address *a = listen_address(c);
    const struct server *s = server_of_name(a, name, NULL);
    const struct tls_context *own;

    *server = s;
    if (tls_is_rejected(s->scope))
        return NULL;
    own = tls_context_of(s->scope);
    return own != NULL ? own : tls_context_of(a->default_server->scope);
}

static struct str
protocols(struct conn *c)
{
    (void)c;
    return S("\x08http/1.1\x08http/1.0\x08http/0.9");
}

static void
ready(struct conn *c)
{
    const struct codec *codec = codec_find(tls_alpn(c));

    if (codec == NULL) /* 1.0 and 0.9 are the same codec's */
        codec = codec_find(S(""));
    if (codec == NULL || !codec->begin(c))
        conn_close(c);
}

/* The request is read as plain text, in order to answer it with 497. */
static void
plain(struct conn *c)
{
    const struct codec *codec = codec_find(S(""));

    if (codec == NULL || !codec->begin(c))
        conn_close(c);
}

/* ---- variables in a handshake ---- */

static void
describe_nothing(const struct log_context *ctx, struct text *t)
{
    (void)ctx, (void)t;
}

/* Neither answered nor logged. */
static const struct exchange_kind handshake_kind = { .describe = describe_nothing };
static const struct sink_ops handshake_sink = { .head = NULL };

static struct exchange *
exchange_new(struct conn *c, struct str name)
{
    struct request *r = request_new(c, codec_find(S("")), NULL);

    if (r == NULL)
        return NULL;
    r->x.kind = &handshake_kind;
    r->x.sink = &handshake_sink;
    r->x.log_ctx.describe = describe_nothing;
    r->x.log_ctx.members = NULL;
    r->host = name;
    (void)server_of_name(listen_address(c), name, r); /* for the captures of a pattern */
    return &r->x;
}

static void
exchange_over(struct exchange *x)
{
    exchange_abort(x, STOP_DONE);
}

static const struct tls_server_ops http_tls_ops = { .choose = choose,
                                                    .protocols = protocols,
                                                    .ready = ready,
                                                    .plain = plain,
                                                    .exchange = exchange_new,
                                                    .exchange_over = exchange_over };

void
http_start_tls(struct conn *c, const struct http_address *a)
{
    const struct http_conf *conf = http_conf(a->default_server->scope);

    /* What the listening socket has is that of its own address. */
    if (conf->tcp_nodelay != c->spec->options.nodelay && c->peer.sa.sa_family != AF_UNIX)
        socket_nodelay(c->watch.fd, conf->tcp_nodelay);
    tls_accept(c, &http_tls_ops, conf->client_header_timeout_ms);
}

/* Where the server says that it listens on the address. */
static struct conf_pos
place_of(const struct server *s, const struct http_address *a)
{
    VEC_FOREACH (line, struct listen_line, &s->listens) {
        if (str_eq(line->text, a->text))
            return line->pos;
    }
    return s->pos;
}

bool
http_check_tls(struct conf_load *l, const struct http_address *a)
{
    const struct scope *by_default = a->default_server->scope;

    if (!a->ssl || tls_context_of(by_default) != NULL ||
        conf_is_damaged(l, by_default, &ssl_module))
        return true;
    VEC_FOREACH (s, struct server *, &a->servers) {
        if (tls_context_of((*s)->scope) != NULL || tls_is_rejected((*s)->scope) ||
            conf_is_damaged(l, (*s)->scope, &ssl_module))
            continue;
        conf_fail_at(l, place_of(*s, a),
                     "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive");
        return false;
    }
    return true;
}

/* ---- names ---- */

/* A host name that a certificate would have to be for; ptr NULL: what is no name, or a pattern. *.example.com and
 * .example.com stand for any one name of theirs. */
static struct str
host_name_of(struct conf_load *l, const struct server_name *n)
{
    struct str text = n->text;

    if (n->regex != NULL || str_find(text, '.') >= text.len || str_rfind(text, '*') + 1 == text.len)
        return STR_NONE;
    if (str_starts(text, S("*.")))
        return arena_fmt(conf_arena(l), "any%.*s", STR(str_from(text, 1)));
    if (str_starts(text, S(".")))
        return str_from(text, 1);
    return text;
}

static bool
has_tls(const struct server *s)
{
    VEC_FOREACH (line, struct listen_line, &s->listens) {
        if (line->ssl)
            return true;
    }
    return false;
}

bool
http_name_tls(struct conf_load *l, const struct server *s)
{
    if (!has_tls(s))
        return true;
    VEC_FOREACH (n, struct server_name, &s->names) {
        struct str name = host_name_of(l, n);

        if (name.len > 0 && !tls_name_server(l, s->scope, name))
            return false;
    }
    return true;
}

void
http_lint_certificate(struct conf_load *l, const struct lint_line *at)
{
    const struct server *s = at->scope->kind == SCOPE_SERVER ? at->scope->owner : NULL;

    if (s == NULL || !has_tls(s))
        return;
    VEC_FOREACH (n, struct server_name, &s->names) {
        struct str name = host_name_of(l, n), file, names;

        if (n->pos.line < at->node->pos.line || n->pos.line > at->node->end.line || name.len == 0 ||
            tls_is_for(s->scope, name, conf_arena(l), &file, &names))
            continue;
        lint_say_at(l, n->pos, "certificate \"%.*s\" does not cover server_name \"%.*s\"",
                    STR(file), STR(n->text));
        conf_hint(l, "it is for %.*s", (int)(names.len < NAMES_SHOWN ? names.len : NAMES_SHOWN),
                  names.ptr);
    }
}
