/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - runs one request of a made-up client through the code that serves, in a process that serves nobody else.
 *
 * The client is at the other end of a pair of sockets, whose server side is given to the codec as if a listener had
 * accepted it. Shared memory is replaced by copies, logs by the story. What is left of effects (files written, origins and
 * subrequests asked) those who have them leave out: worker/core/explain.h.
 */
#include "worker/worker.h"

#include <errno.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log_conf.h"
#include "common/module.h"
#include "common/shm/counters.h"
#include "common/shm/slots.h"
#include "common/shm/zone.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"
#include "common/sys/socket.h"
#include "worker/core/explain.h"
#include "worker/explain_client.h"
#include "worker/explain_show.h"
#include "worker/http/server.h"

/* What is asked. */
struct question {
    uint64_t json, tls, port;
    struct str host; /* of the URL, without port */
    struct addr client;
    struct str head; /* bytes of the request */
};

static bool
question_parse(struct str text, struct arena *a, struct question *q)
{
    struct str client;

    return lines_get_num(&text, &q->json) && lines_get_num(&text, &q->tls) &&
           lines_get_str(&text, a, &q->host) && lines_get_num(&text, &q->port) &&
           q->port <= UINT16_MAX && lines_get_str(&text, a, &client) &&
           addr_parse(client, 40000, &q->client) && lines_get_str(&text, a, &q->head);
}

/* ---- the listening socket ---- */

/* How well an address suits a client that knows the host of a URL only. */
static int
address_rank(const struct http_address *a, const struct question *q, const struct addr *literal)
{
    if (addr_port(&a->addr) != q->port || a->addr.sa.sa_family == AF_UNIX)
        return 0;
    if (literal->len > 0 && str_eq(addr_bytes(&a->addr), addr_bytes(literal)))
        return 4;
    if (addr_is_wildcard(&a->addr))
        return literal->len == 0 || literal->sa.sa_family == a->addr.sa.sa_family ? 3 : 2;
    return literal->len > 0 ? 0 : 1; /* the host may be any */
}

static const struct http_address *
address_choose(const struct http_main *m, const struct question *q, struct addr *literal)
{
    const struct http_address *best = NULL;
    int rank = 0;

    if (!addr_parse_ip(q->host, literal))
        literal->len = 0;
    for (uint32_t i = 0; m != NULL && i < m->addresses.len; i++) {
        const struct http_address *a = *VEC_AT(&m->addresses, struct http_address *, i);
        int r = address_rank(a, q, literal);

        if (r > rank) {
            rank = r;
            best = a;
        }
    }
    return best;
}

static const struct listen_spec *
spec_of(const struct config *c, const struct http_address *a)
{
    for (uint32_t i = 0; i < c->listeners.len; i++) {
        const struct listen_spec *spec = *VEC_AT(&c->listeners, struct listen_spec *, i);
        const struct http_socket *s = spec->owner;

        if (s->any == a || hash_get(&s->specific, addr_bytes(&a->addr)) == a)
            return spec;
    }
    return NULL;
}

/* The address that the client has reached. */
static struct addr
local_address(const struct http_address *a, const struct addr *literal)
{
    struct addr local = a->addr;

    if (!addr_is_wildcard(&a->addr))
        return local;
    if (literal->len > 0 && literal->sa.sa_family == a->addr.sa.sa_family)
        local = *literal;
    else
        addr_parse_ip(a->addr.sa.sa_family == AF_INET6 ? S("::1") : S("127.0.0.1"), &local);
    addr_set_port(&local, addr_port(&a->addr));
    return local;
}

static void
say_no_address(const struct http_main *m, const struct question *q, struct text *answer)
{
    text_fmt(answer, "no server listens on port %u", (unsigned)q->port);
    for (uint32_t i = 0; m != NULL && i < m->addresses.len; i++) {
        const struct http_address *a = *VEC_AT(&m->addresses, struct http_address *, i);

        text_fmt(answer, "%s%.*s", i == 0 ? ", but on " : ", ", STR(a->text));
    }
}

/* ---- the process ---- */

static void
on_log(const char *level, struct str message)
{
    explain_step("log", EXPLAIN_NOWHERE, "[%s] %.*s", level, STR(message));
}

/* All that the error logs could say becomes part of the story. Nothing is written to a log file of any kind. */
static void
tap_logs(const struct config *c)
{
    for (uint32_t i = 0; i < c->scopes.len; i++) {
        struct scope *s = *VEC_AT(&c->scopes, struct scope *, i);

        if (s->kind >= SCOPE_HTTP && s->kind <= SCOPE_LIMIT_EXCEPT)
            log_of_scope(s)->level = LOG_LEVEL_INFO;
    }
    log_main->level = LOG_LEVEL_INFO;
    log_tap = on_log;
    for (uint32_t i = 0; i < c->logs.len; i++)
        fd_close(&(*VEC_AT(&c->logs, struct log_file *, i))->fd);
}

static bool
detach_zones(const struct config *c)
{
    /* A slot that nobody has; in our copies only. */
    const uint32_t slot = SLOTS_MAX - 1;
    const uint64_t incarnation = 1;

    process_slot = slot_ref(slot, incarnation);
    for (uint32_t i = 0; i < c->zones.len; i++) {
        struct zone_spec *spec = *VEC_AT(&c->zones, struct zone_spec *, i);

        if (spec->zone == NULL)
            continue;
        if (!zone_detach(spec->zone))
            return false;
        zone_worker_start(spec->zone, NULL);
        if (spec->ops == &counters_zone_ops)
            counters_attach(spec->zone, slot, incarnation);
    }
    return true;
}

/* Files are seen with a worker's rights. */
static bool
become_worker(const struct core_settings *core, struct error *err)
{
    char user[256];

    if (geteuid() != 0 || core->uid == (uid_t)-1)
        return true;
    (void)str_to_c(core->user, user, sizeof(user));
    return proc_drop_user(core->uid, core->gid, user, false, false, err);
}

static bool
set_up(struct config *c, struct arena *a, struct text *answer)
{
    struct conf_options o = { .prefix = c->prefix, .conf_path = c->conf_path, .texts = &c->files };
    struct vec messages;
    struct arena nodes;
    struct error err = { 0 };
    const struct config *text;

    worker_config = c;
    vec_init(&messages, a, sizeof(struct conf_message));
    text = config_read(&o, a, &messages, &nodes);
    if (text == NULL) {
        text_fmt(answer, "out of memory");
        return false;
    }
    explain_begin(a, text->tree);
    tap_logs(c);
    if (!detach_zones(c)) {
        text_fmt(answer, "no memory for a copy of the zones: %s", strerror(errno));
        return false;
    }
    if (!become_worker(&c->core, &err)) {
        text_fmt(answer, "%s", err.text);
        return false;
    }
    for (struct module *const *m = modules; *m != NULL; m++) {
        if ((*m)->worker_init != NULL && !(*m)->worker_init(c)) {
            text_fmt(answer, "module %s could not start", (*m)->name);
            return false;
        }
    }
    cycle_set_state(WORKER_SERVING);
    return true;
}

/* ---- the request ---- */

static struct str
proxy_header(struct arena *a, const struct addr *client, const struct addr *local)
{
    char from[ADDR_TEXT_MAX], to[ADDR_TEXT_MAX];
    struct str src = str_n(from, addr_format_ip(client, from));
    struct str dst = str_n(to, addr_format_ip(local, to));

    if (client->sa.sa_family != local->sa.sa_family)
        return S("PROXY UNKNOWN\r\n");
    return arena_fmt(a, "PROXY TCP%d %.*s %.*s %u %u\r\n", client->sa.sa_family == AF_INET6 ? 6 : 4,
                     STR(src), STR(dst), addr_port(client), addr_port(local));
}

/* From the loop, so that it can be stopped from within. */
static struct {
    struct task task;
    struct conn *conn;
} accepted;

static void
on_accepted(struct task *t)
{
    (void)t;
    accepted.conn->spec->start(accepted.conn, accepted.conn->spec);
}

static bool
begin(const struct config *c, const struct http_address *a, const struct question *q,
      const struct addr *literal, struct arena *mem)
{
    const struct listen_spec *spec = spec_of(c, a);
    struct addr local = local_address(a, literal);
    struct str preface = a->proxy_protocol ? proxy_header(mem, &q->client, &local) : S("");
    struct conn *conn;
    int pair[2];

    if (spec == NULL || preface.ptr == NULL ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    explain_step("listen", a->pos, "%.*s%s%s", STR(a->text), a->ssl ? ", TLS" : "",
                 a->proxy_protocol ? ", PROXY protocol" : "");
    explain_fact("listen", a->text);
    conn = conn_open(pair[0], false);
    if (conn == NULL)
        return false;
    conn->peer = q->client;
    conn->local = local;
    conn->spec = spec;
    if (!explain_client_start(pair[1], preface, q->tls != 0, q->host, q->head))
        return false;
    accepted.conn = conn;
    accepted.task.run = on_accepted;
    task_ready(&accepted.task);
    return true;
}

bool
worker_explain(struct config *c, struct str question, struct text *answer)
{
    const struct http_main *m = http_main_of(c);
    const struct http_address *address;
    struct addr literal;
    struct question q;
    struct arena a;
    struct str line;

    arena_init(&a, 65536);
    if (!question_parse(question, &a, &q)) {
        text_fmt(answer, "not understood");
        return false;
    }
    address = address_choose(m, &q, &literal);
    if (address == NULL) {
        say_no_address(m, &q, answer);
        return false;
    }
    if (!set_up(c, &a, answer))
        return false;
    clock_update();
    if (!begin(c, address, &q, &literal, &a)) {
        text_fmt(answer, "the connection could not be made: %s", strerror(errno));
        return false;
    }
    loop_run();
    log_tap = NULL;
    line = str_upto(q.head, str_find(q.head, '\r'));
    (q.json ? explain_show_json : explain_show_text)(c, line, answer);
    return !answer->failed;
}
