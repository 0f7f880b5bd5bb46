/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - the `listen` directive: addresses, socket options, and the list of listeners.
 *
 * Several servers may name one address; options of its socket may stand at one of them only. Beside a wildcard address
 * the specific ones of the same port share its socket, unless they ask for one of their own: then the address that
 * the client connected to chooses the servers.
 */
#include <unistd.h>

#include "common/base/num.h"
#include "worker/http/server.h"
#include "worker/net/proxy_protocol.h"
#include "worker/net/resolver.h"

enum { BACKLOG_DEFAULT = 511, PORT_RANGE_MAX = 65535 };

/* ---- options ---- */

struct listen_option {
    const char *name;
    bool value;  /* "name=value"; else the bare name */
    bool socket; /* an option of the socket: it gets one of its own */
    /* False after conf_fail. */
    bool (*set)(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                struct listen_line *line);
};

static bool
option_default(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
               struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value;
    line->is_default = true;
    return true;
}

static bool
option_bind(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
            struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value, (void)line;
    return true;
}

static bool
option_number(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
              const char *name, uint32_t min, int *to)
{
    uint32_t number;

    if (!num_parse_u32(value, &number) || number < min || number > INT32_MAX)
        return conf_fail(l, n, arg, "invalid %s \"%.*s\"", name, STR(value));
    *to = (int)number;
    return true;
}

static bool
option_backlog(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
               struct listen_line *line)
{
    return option_number(l, n, arg, value, "backlog", 1, &line->options.backlog);
}

static bool
option_fastopen(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                struct listen_line *line)
{
    return option_number(l, n, arg, value, "fastopen", 0, &line->options.fastopen);
}

static bool
option_size(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
            const char *name, int *to)
{
    uint64_t bytes;

    if (!num_parse_size(value, &bytes) || bytes > INT32_MAX)
        return conf_fail(l, n, arg, "invalid %s \"%.*s\"", name, STR(value));
    *to = (int)bytes;
    return true;
}

static bool
option_rcvbuf(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
              struct listen_line *line)
{
    return option_size(l, n, arg, value, "rcvbuf", &line->options.rcvbuf);
}

static bool
option_sndbuf(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
              struct listen_line *line)
{
    return option_size(l, n, arg, value, "sndbuf", &line->options.sndbuf);
}

static bool
option_deferred(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value;
    line->options.deferred = true;
    return true;
}

static bool
option_reuseport(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                 struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value;
    line->options.reuseport = true;
    return true;
}

static bool
option_ipv6only(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                struct listen_line *line)
{
    if (line->addr.sa.sa_family != AF_INET6)
        return conf_fail(l, n, arg, "ipv6only is not supported on addr \"%.*s\"", STR(line->text));
    if (!str_eq(value, S("on")) && !str_eq(value, S("off")))
        return conf_fail(l, n, arg, "invalid ipv6only flags \"%.*s\"", STR(value));
    line->options.ipv6only = str_eq(value, S("on"));
    return true;
}

/* "[idle]:[interval]:[count]", times in seconds; at least one of them. */
static bool
keepalive_times(struct str value, struct socket_options *o)
{
    int *to[3] = { &o->keep_idle_s, &o->keep_intvl_s, &o->keep_count };
    struct str rest = value, piece;
    bool any = false;
    unsigned i = 0;

    for (; str_split(&rest, ':', &piece); i++) {
        uint64_t number;
        uint32_t count;

        if (i == 3)
            return false;
        if (piece.len == 0)
            continue;
        if (i < 2) {
            if (!num_parse_duration(piece, &number))
                return false;
            number /= 1000;
        } else {
            if (!num_parse_u32(piece, &count))
                return false;
            number = count;
        }
        if (number == 0 || number > INT16_MAX)
            return false;
        *to[i] = (int)number;
        any = true;
    }
    return any && i >= 2;
}

static bool
option_so_keepalive(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                    struct listen_line *line)
{
    if (str_eq(value, S("on")))
        line->options.keepalive = 1;
    else if (str_eq(value, S("off")))
        line->options.keepalive = 0;
    else if (keepalive_times(value, &line->options))
        line->options.keepalive = 1;
    else
        return conf_fail(l, n, arg, "invalid so_keepalive value: \"%.*s\"", STR(value));
    return true;
}

static bool
option_proxy_protocol(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                      struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value;
    line->proxy_protocol = true;
    return true;
}

static bool
option_ssl(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
           struct listen_line *line)
{
    (void)l, (void)n, (void)arg, (void)value;
    line->ssl = true;
    return true;
}

static bool
option_accept_filter(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
                     struct listen_line *line)
{
    (void)line;
    conf_warn(l, n, arg, "accept filters \"%.*s\" are not supported on this platform, ignored",
              STR(value));
    return true;
}

static bool
option_missing(struct conf_load *l, const struct conf_node *n, int arg, struct str value,
               struct listen_line *line)
{
    (void)value, (void)line;
    return conf_fail(l, n, arg, "the \"%.*s\" parameter is not supported by this version",
                     STR(n->args[arg]));
}

static const struct listen_option listen_options[] = {
    { "default_server", false, false, option_default },
    { "default", false, false, option_default },
    { "bind", false, true, option_bind },
    { "backlog", true, true, option_backlog },
    { "fastopen", true, true, option_fastopen },
    { "rcvbuf", true, true, option_rcvbuf },
    { "sndbuf", true, true, option_sndbuf },
    { "deferred", false, true, option_deferred },
    { "reuseport", false, true, option_reuseport },
    { "ipv6only", true, true, option_ipv6only },
    { "so_keepalive", true, true, option_so_keepalive },
    { "accept_filter", true, false, option_accept_filter },
    { "ssl", false, false, option_ssl },
    { "http2", false, false, option_missing },
    { "quic", false, false, option_missing },
    { "proxy_protocol", false, false, option_proxy_protocol },
    { "multipath", false, false, option_missing },
};

static bool
listen_option(struct conf_load *l, const struct conf_node *n, int arg, struct listen_line *line)
{
    struct str text = n->args[arg];

    for (size_t i = 0; i < ARRAY_LEN(listen_options); i++) {
        const struct listen_option *o = &listen_options[i];
        struct str value = STR_NONE;

        if (o->value ? !conf_param(text, o->name, &value) : !str_eq(text, str_c(o->name)))
            continue;
        if (o->socket)
            line->has_options = line->bind = true;
        return o->set(l, n, arg, value, line);
    }
    return conf_fail(l, n, arg, "invalid parameter \"%.*s\"", STR(text));
}

/* ---- addresses ---- */

/* "80", or "8000-8010"; 0 is no port. */
static bool
parse_ports(struct str text, uint16_t *from, uint16_t *to)
{
    size_t dash = str_find(text, '-');
    uint32_t first, last;

    if (!num_parse_u32(str_upto(text, dash), &first))
        return false;
    last = first;
    if (dash < text.len && !num_parse_u32(str_from(text, dash + 1), &last))
        return false;
    if (first == 0 || last > PORT_RANGE_MAX || last < first)
        return false;
    *from = (uint16_t)first;
    *to = (uint16_t)last;
    return true;
}

/* The host's addresses; "*" and nothing are the wildcard. */
static bool
host_addresses(struct conf_load *l, const struct conf_node *n, struct str host, struct vec *addrs)
{
    struct addr a;

    if (host.len == 0 || str_eq(host, S("*")))
        host = S("0.0.0.0");
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_n(host.ptr + 1, host.len - 2);
    if (addr_parse_ip(host, &a)) {
        struct addr *to = VEC_PUSH(addrs, struct addr);

        if (to == NULL)
            return conf_fail(l, n, 1, "out of memory");
        *to = a;
        return true;
    }
    if (!resolver_now(host, addrs) || addrs->len == 0)
        return conf_fail(l, n, 1, "host not found in \"%.*s\" of the \"listen\" directive",
                         STR(n->args[1]));
    return true;
}

static bool
unix_address(struct conf_load *l, const struct conf_node *n, struct vec *addrs)
{
    struct addr *to = VEC_PUSH(addrs, struct addr);
    struct str path = str_from(n->args[1], strlen("unix:"));

    if (to == NULL)
        return conf_fail(l, n, 1, "out of memory");
    if (path.len == 0)
        return conf_fail(l, n, 1,
                         "no path in the unix domain socket in \"%.*s\" of the \"listen\" "
                         "directive",
                         STR(n->args[1]));
    if (!addr_parse(n->args[1], 0, to))
        return conf_fail(l, n, 1,
                         "too long path in the unix domain socket in \"%.*s\" of the "
                         "\"listen\" directive",
                         STR(n->args[1]));
    return true;
}

/* Where the port begins in "host:port": behind the last colon outside brackets; len: there is none. */
static size_t
find_port(struct str text)
{
    size_t colon = str_rfind(text, ':');

    if (colon < text.len && text.ptr[0] == '[' && str_rfind(text, ']') < text.len &&
        colon < str_rfind(text, ']'))
        return text.len;
    return colon;
}

/* A port or a range of ports, if a wrong one. */
static bool
is_numeric(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '-')
            return false;
    }
    return true;
}

/* "::1:80": an IPv6 address wants brackets. */
static bool
is_bare_v6(struct str text)
{
    return text.ptr[0] != '[' && str_find(text, ':') != str_rfind(text, ':');
}

/* Reads the address into `hosts` (without port) and the range of ports. */
static bool
listen_target(struct conf_load *l, const struct conf_node *n, struct vec *hosts, uint16_t *from,
              uint16_t *to)
{
    struct str text = n->args[1];
    size_t colon = find_port(text);

    if (text.len == 0)
        return conf_fail(l, n, 1, "no host in \"\" of the \"listen\" directive");
    *from = *to = 80;
    if (colon == text.len) {
        if (parse_ports(text, from, to))
            return host_addresses(l, n, S("*"), hosts);
        if (is_numeric(text))
            return conf_fail(l, n, 1, "invalid port in \"%.*s\" of the \"listen\" directive",
                             STR(text));
        return host_addresses(l, n, text, hosts);
    }
    if (is_bare_v6(text) || !parse_ports(str_from(text, colon + 1), from, to))
        return conf_fail(l, n, 1, "invalid port in \"%.*s\" of the \"listen\" directive",
                         STR(text));
    return host_addresses(l, n, str_upto(text, colon), hosts);
}

/* ---- the directive ---- */

static struct str
address_text(struct arena *a, const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];

    return arena_str(a, str_n(text, addr_format(addr, true, text)));
}

static bool
listen_add(struct conf_load *l, struct conf_node *n, struct server *s,
           const struct listen_line *model, const struct addr *addr)
{
    struct listen_line *line;

    VEC_FOREACH (other, struct listen_line, &s->listens) {
        if (addr_eq(&other->addr, addr))
            return conf_fail(l, n, 1, "a duplicate listen %.*s", STR(other->text));
    }
    line = VEC_PUSH(&s->listens, struct listen_line);
    if (line == NULL)
        return conf_fail(l, n, 1, "out of memory");
    *line = *model;
    line->addr = *addr;
    line->text = address_text(conf_arena(l), addr);
    return line->text.ptr != NULL || conf_fail(l, n, 1, "out of memory");
}

static void
listen_line_init(struct listen_line *line, struct conf_pos pos)
{
    memset(line, 0, sizeof(*line));
    line->pos = pos;
    line->options.backlog = BACKLOG_DEFAULT;
    line->options.fastopen = -1;
    line->options.ipv6only = 1;
    line->options.keepalive = -1;
}

/* Reads the options behind the address, and adds a line for each host and port. */
static bool
listen_lines(struct conf_load *l, struct conf_node *n, const struct vec *hosts, uint16_t from,
             uint16_t to)
{
    struct server *s = conf_scope(l)->owner;
    struct listen_line line;

    listen_line_init(&line, n->pos);
    line.addr = *VEC_AT(hosts, struct addr, 0);
    line.text = n->args[1];
    for (uint32_t i = 2; i < n->n; i++) {
        if (!listen_option(l, n, (int)i, &line))
            return false;
    }
    VEC_FOREACH (host, struct addr, hosts) {
        for (unsigned port = from; port <= to; port++) {
            struct addr addr = *host;

            if (addr.sa.sa_family != AF_UNIX)
                addr_set_port(&addr, (uint16_t)port);
            if (!listen_add(l, n, s, &line, &addr))
                return false;
        }
    }
    return true;
}

bool
listen_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint16_t from = 0, to = 0;
    struct vec hosts; /* not in the arena: thousands of servers have such a line */
    bool good;

    (void)d, (void)conf;
    vec_init(&hosts, NULL, sizeof(struct addr));
    good = (str_starts_nocase(n->args[1], S("unix:")) ? unix_address(l, n, &hosts)
                                                      : listen_target(l, n, &hosts, &from, &to)) &&
           listen_lines(l, n, &hosts, from, to);
    vec_free(&hosts);
    return good;
}

/* ---- after all lines ---- */

/* A server without `listen` has port 80, or 8000 when nobody may bind 80. */
static bool
listen_default(struct conf_load *l, struct server *s)
{
    struct listen_line *line = VEC_PUSH(&s->listens, struct listen_line);

    if (line == NULL)
        return conf_fail_at(l, s->pos, "out of memory");
    listen_line_init(line, s->pos);
    addr_parse_ip(S("0.0.0.0"), &line->addr);
    addr_set_port(&line->addr, geteuid() == 0 ? 80 : 8000);
    line->text = address_text(conf_arena(l), &line->addr);
    return line->text.ptr != NULL;
}

/* The address of a line, made at its first mention. */
static struct http_address *
address_of(struct conf_load *l, struct http_main *m, struct hash *known, struct listen_line *line)
{
    struct http_address *a = hash_get(known, line->text);
    struct http_address **slot;

    if (a != NULL)
        return a;
    a = ARENA_NEW(conf_arena(l), struct http_address);
    slot = VEC_PUSH(&m->addresses, struct http_address *);
    if (a == NULL || slot == NULL || !hash_set(known, line->text, a))
        return NULL;
    *slot = a;
    a->addr = line->addr;
    a->text = line->text;
    a->pos = line->pos;
    vec_init(&a->servers, conf_arena(l), sizeof(struct server *));
    return a;
}

static bool
address_add(struct conf_load *l, struct http_address *a, struct server *s, struct listen_line *line)
{
    struct server **slot = VEC_PUSH(&a->servers, struct server *);

    if (slot == NULL)
        return conf_fail_at(l, line->pos, "out of memory");
    *slot = s;
    if (a->default_server == NULL)
        a->default_server = s;
    if (line->has_options) {
        if (a->options_by != NULL)
            return conf_fail_at(l, line->pos, "duplicate listen options for %.*s", STR(a->text));
        a->options_by = line;
    }
    if (line->is_default) {
        if (a->default_by != NULL)
            return conf_fail_at(l, line->pos, "a duplicate default server for %.*s", STR(a->text));
        a->default_by = line;
        a->default_server = s;
    }
    a->bind = a->bind || line->bind;
    if (a->servers.len > 1 && (a->ssl != line->ssl || a->proxy_protocol != line->proxy_protocol))
        conf_warn_at(l, line->pos, "protocol options redefined for %.*s", STR(a->text));
    a->ssl = a->ssl || line->ssl;
    a->proxy_protocol = a->proxy_protocol || line->proxy_protocol;
    return true;
}

/* What an accepted connection starts with: PROXY protocol -> TLS or plain text -> the codec. */
static void
start_tls_or_codec(struct conn *c)
{
    const struct http_address *a = listen_address(c);
    const struct codec *codec;

    if (a->ssl) {
        http_start_tls(c, a);
        return;
    }
    codec = codec_find(S(""));
    if (codec == NULL || !codec->begin(c))
        conn_close(c);
}

static void
http_start(struct conn *c, const struct listen_spec *spec)
{
    const struct http_address *a = listen_address(c);

    (void)spec;
    if (a->proxy_protocol)
        proxy_protocol_begin(c, http_conf(a->default_server->scope)->client_header_timeout_ms,
                             start_tls_or_codec);
    else
        start_tls_or_codec(c);
}

static struct http_socket *
socket_new(struct conf_load *l, const struct http_address *a)
{
    struct config *c = conf_config(l);
    struct listen_spec *spec = ARENA_NEW(&c->arena, struct listen_spec);
    struct http_socket *socket = ARENA_NEW(&c->arena, struct http_socket);
    struct listen_spec **slot;
    struct listen_line none;

    if (c->listeners.size == 0)
        vec_init(&c->listeners, &c->arena, sizeof(struct listen_spec *));
    slot = VEC_PUSH(&c->listeners, struct listen_spec *);
    if (spec == NULL || socket == NULL || slot == NULL)
        return NULL;
    listen_line_init(&none, a->pos);
    *spec = (struct listen_spec){
        .addr = a->addr,
        .type = SOCK_STREAM,
        .options = a->options_by != NULL ? a->options_by->options : none.options,
        .pos = a->pos,
        .text = a->text,
        .start = http_start,
        .owner = socket,
    };
    /* A ticket and the response behind it are two small writes. */
    spec->options.nodelay = a->ssl && http_conf(a->default_server->scope)->tcp_nodelay;
    *slot = spec;
    socket->any = a;
    hash_init(&socket->specific, &c->arena);
    return socket;
}

/* Key of a wildcard's socket: family and port. */
static struct str
port_key(struct arena *a, const struct addr *addr)
{
    return arena_fmt(a, "%d:%u", addr->sa.sa_family, addr_port(addr));
}

/* Wildcards first, then the rest: with a socket of its own, or in that of its port's wildcard. */
static bool
make_sockets(struct conf_load *l, struct http_main *m)
{
    struct arena *a = conf_arena(l);
    struct hash wildcards;

    hash_init(&wildcards, a);
    VEC_FOREACH (it, struct http_address *, &m->addresses) {
        struct http_socket *socket;

        if (!addr_is_wildcard(&(*it)->addr))
            continue;
        socket = socket_new(l, *it);
        if (socket == NULL || !hash_set(&wildcards, port_key(a, &(*it)->addr), socket))
            return false;
    }
    VEC_FOREACH (it, struct http_address *, &m->addresses) {
        struct http_socket *socket = NULL;

        if (addr_is_wildcard(&(*it)->addr))
            continue;
        if (!(*it)->bind && (*it)->addr.sa.sa_family != AF_UNIX)
            socket = hash_get(&wildcards, port_key(a, &(*it)->addr));
        if (socket == NULL ? socket_new(l, *it) == NULL
                           : !hash_set(&socket->specific, addr_bytes(&(*it)->addr), *it))
            return false;
    }
    return true;
}

bool
listen_prepare(struct conf_load *l, struct http_main *m)
{
    struct hash known;
    bool good = true;

    hash_init(&known, conf_arena(l));
    VEC_FOREACH (it, struct server *, &m->servers) {
        struct server *s = *it;

        if (s->listens.len == 0 && !listen_default(l, s))
            return false;
        VEC_FOREACH (line, struct listen_line, &s->listens) {
            struct http_address *a = address_of(l, m, &known, line);

            if (a == NULL)
                return conf_fail_at(l, line->pos, "out of memory");
            good = address_add(l, a, s, line) && good;
        }
    }
    if (!good)
        return false;
    VEC_FOREACH (it, struct http_address *, &m->addresses) {
        good = server_names_prepare(l, *it) && good;
        good = http_check_tls(l, *it) && good;
    }
    VEC_FOREACH (it, struct server *, &m->servers)
        good = http_name_tls(l, *it) && good;
    if (!good)
        return false;
    return make_sockets(l, m) || conf_fail_at(l, m->scope->pos, "out of memory");
}

const struct http_address *
listen_address(struct conn *c)
{
    const struct http_socket *socket = c->spec->owner;
    const struct http_address *specific;

    if (socket->specific.n == 0)
        return socket->any;
    specific = hash_get(&socket->specific, addr_bytes(conn_local(c)));
    return specific != NULL ? specific : socket->any;
}
