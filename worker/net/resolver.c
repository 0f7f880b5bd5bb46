/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * resolver.c - module `resolver`: names to addresses, with a cache for each `resolver` line and one for the system's.
 *
 * Queries for a name that is being asked already wait for that answer. Answers are kept for their TTL (or `valid=`), in
 * a bounded number of entries, the ones longest unused going first. c-ares is used in this file alone.
 *
 * Directives: resolver, resolver_timeout.
 */
#include "worker/net/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "build/config.h"

#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/base/num.h"
#include "common/event/loop.h"
#include "common/event/offload.h"
#include "common/event/timer.h"
#include "common/log/log.h"
#include "common/module.h"
#include "common/sys/clock.h"

#ifdef WEIR_HAVE_CARES
#include <ares.h>
#endif

extern struct module resolver_module;

enum {
    NAME_MAX_LEN = 253,       /* RFC 1035, 2.3.4 */
    ANSWER_MAX = 256,         /* addresses kept of one answer */
    ENTRIES_MAX = 10000,      /* names kept for one resolver */
    NEGATIVE_MS = 5000,       /* a name that is not there is not asked for again so soon */
    SYSTEM_TTL_MS = 10000,    /* the system's look-up tells no TTL */
    TTL_MAX_S = 7 * 86400,    /* what a server says beyond is not believed */
    SERVER_TIMEOUT_MS = 2000, /* before the next server is asked; then longer */
    SERVER_TRIES = 4,
    NOW_TIMEOUT_S = 10, /* of the blocking look-up at load time */
    READS_PER_EVENT = 64,
    DNS_PORT = 53,
};

struct resolver {
    struct vec servers; /* of struct addr */
    uint64_t valid_ms;  /* 0: as the answers say */
    bool ipv4, ipv6;
    struct names *
        *names; /* one for the life of the process, made in the worker at the first question */
};

struct resolver_conf {
    const struct resolver *resolver;
    uint64_t timeout_ms;
};

/* What is known of names through one resolver. */
struct names {
    const struct resolver *r; /* NULL: the system's */
    struct hash by_name;
    struct list by_use; /* of struct entry, longest unused first */
    unsigned n;
#ifdef WEIR_HAVE_CARES
    ares_channel channel;
    struct timer timer; /* c-ares's next time-out */
#endif
};

struct entry {
    struct names *names;
    struct list by_use;
    struct list waiting; /* of struct resolver_query, while asking */
    bool asking;
    bool known;    /* error or addrs hold an answer */
    bool gone;     /* no longer in the table: freed when refs is 0 */
    unsigned refs; /* answers on their way to queries, and the question under way */
    const char *error;
    struct addr *addrs;
    uint32_t n;
    uint64_t expires_ms;
    size_t len;
    char name[NAME_MAX_LEN + 1]; /* lower case, without the last dot */
};

struct resolver_query {
    struct entry *entry; /* NULL: a literal address, in `literal` */
    struct list node;    /* in entry->waiting */
    struct task task;    /* the answer is there */
    struct timer timer;
    resolver_fn fn;
    void *data;
    struct addr literal;
};

static struct names *system_names;

/* ---- entries ---- */

static void
entry_unref(struct entry *e)
{
    ASSERT(e->refs > 0);
    if (--e->refs > 0 || !e->gone)
        return;
    free(e->addrs);
    free(e);
}

/* Out of the table; what still refers to it keeps the memory. */
static void
entry_forget(struct entry *e)
{
    struct names *names = e->names;

    hash_del(&names->by_name, str_n(e->name, e->len));
    list_del(&e->by_use);
    names->n--;
    e->gone = true;
    e->refs++;
    entry_unref(e);
}

/* Room for one more: the one longest unused that nobody waits for. */
static void
names_evict(struct names *names)
{
    LIST_FOREACH (it, &names->by_use) {
        struct entry *e = LIST_ENTRY(it, struct entry, by_use);

        if (e->asking)
            continue;
        entry_forget(e);
        return;
    }
}

static struct entry *
entry_get(struct names *names, struct str name)
{
    struct entry *e = hash_get(&names->by_name, name);

    if (e != NULL) {
        list_del(&e->by_use);
        list_add_tail(&names->by_use, &e->by_use);
        return e;
    }
    if (names->n >= ENTRIES_MAX)
        names_evict(names);
    e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->names = names;
    e->len = name.len;
    memcpy(e->name, name.ptr, name.len);
    list_init(&e->waiting);
    if (!hash_set(&names->by_name, str_n(e->name, e->len), e)) {
        free(e);
        return NULL;
    }
    list_add_tail(&names->by_use, &e->by_use);
    names->n++;
    return e;
}

/* Everybody who waits gets the answer from the ready list. */
static void
entry_answered(struct entry *e)
{
    struct list *node;

    e->asking = false;
    e->known = true;
    while ((node = list_first(&e->waiting)) != NULL) {
        struct resolver_query *q = LIST_ENTRY(node, struct resolver_query, node);

        list_del(node);
        timer_stop(&q->timer);
        e->refs++;
        task_ready(&q->task);
    }
    entry_unref(e); /* the question's */
}

static void
entry_fail(struct entry *e, const char *error, uint64_t keep_ms)
{
    free(e->addrs);
    e->addrs = NULL;
    e->n = 0;
    e->error = error;
    e->expires_ms = clock_ms + keep_ms;
    entry_answered(e);
}

static void
entry_found(struct entry *e, struct addr *addrs, uint32_t n, uint64_t ttl_ms)
{
    const struct resolver *r = e->names->r;

    if (r != NULL && r->valid_ms > 0)
        ttl_ms = r->valid_ms;
    free(e->addrs);
    e->addrs = addrs;
    e->n = n;
    e->error = NULL;
    e->expires_ms = clock_ms + ttl_ms;
    entry_answered(e);
}

/* ---- the system's look-up, in a thread ---- */

struct system_ask {
    struct offload offload;
    struct entry *entry; /* the loop's: the thread has a copy of the name */
    char name[NAME_MAX_LEN + 1];
    int family;
    int result;
    struct addrinfo *found;
};

static bool
addr_from(struct addr *a, const struct sockaddr *sa, socklen_t len)
{
    if ((sa->sa_family != AF_INET && sa->sa_family != AF_INET6) || len > sizeof(a->in6))
        return false;
    *a = (struct addr){ .len = len };
    memcpy(&a->sa, sa, len);
    addr_set_port(a, 0);
    return true;
}

static const char *
system_error(int result)
{
    return result == EAI_NONAME || result == EAI_NODATA ? "Host not found" : "Server failure";
}

static void
system_work(struct offload *o)
{
    struct system_ask *ask = CONTAINER_OF(o, struct system_ask, offload);
    struct addrinfo hints = { .ai_family = ask->family, .ai_socktype = SOCK_STREAM };

    ask->result = getaddrinfo(ask->name, NULL, &hints, &ask->found);
}

static void
system_done(struct offload *o)
{
    struct system_ask *ask = CONTAINER_OF(o, struct system_ask, offload);
    struct addr *addrs = calloc(ANSWER_MAX, sizeof(*addrs));
    uint32_t n = 0;

    if (ask->result != 0)
        ask->found = NULL;
    for (struct addrinfo *i = ask->found; addrs != NULL && i != NULL && n < ANSWER_MAX;
         i = i->ai_next)
        n += addr_from(&addrs[n], i->ai_addr, i->ai_addrlen);
    if (n > 0) {
        entry_found(ask->entry, addrs, n, SYSTEM_TTL_MS);
    } else {
        free(addrs);
        entry_fail(ask->entry, system_error(ask->result), NEGATIVE_MS);
    }
    if (ask->found != NULL)
        freeaddrinfo(ask->found);
    free(ask);
}

static int
wanted_family(const struct resolver *r)
{
    if (r == NULL || (r->ipv4 && r->ipv6))
        return AF_UNSPEC;
    return r->ipv4 ? AF_INET : AF_INET6;
}

static void
ask_system(struct entry *e)
{
    struct system_ask *ask = calloc(1, sizeof(*ask));

    if (ask == NULL) {
        entry_fail(e, "out of memory", 0);
        return;
    }
    ask->offload.work = system_work;
    ask->offload.done = system_done;
    ask->entry = e;
    ask->family = wanted_family(e->names->r);
    memcpy(ask->name, e->name, e->len + 1);
    if (offload_start(offload_default(), &ask->offload))
        return;
    free(ask);
    entry_fail(e, "too many questions at once", 0);
}

/* ---- c-ares on our loop ---- */

#ifdef WEIR_HAVE_CARES

struct ares_watch {
    struct watch watch;
    struct task again; /* more to read than one event's share */
    struct names *names;
    struct list node;
};
static struct list ares_watches = LIST_INIT(ares_watches);

static void
names_arm(struct names *names)
{
    struct timeval tv, *next = ares_timeout(names->channel, NULL, &tv);

    if (next != NULL)
        timer_set(&names->timer,
                  (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
    else
        timer_stop(&names->timer);
}

static void
names_on_time(struct timer *t)
{
    struct names *names = CONTAINER_OF(t, struct names, timer);

    ares_process_fd(names->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    names_arm(names);
}

/* Edge-triggered: all is read, whatever c-ares takes at a time. */
static void
ares_watch_process(struct ares_watch *w, bool readable, bool writable)
{
    struct names *names = w->names;

    for (unsigned i = 0; w->watch.added && (readable || writable); i++) {
        struct pollfd more = { .fd = w->watch.fd, .events = POLLIN };

        ares_process_fd(names->channel, readable ? w->watch.fd : ARES_SOCKET_BAD,
                        writable ? w->watch.fd : ARES_SOCKET_BAD);
        writable = false;
        readable = w->watch.added && poll(&more, 1, 0) > 0;
        if (readable && i + 1 == READS_PER_EVENT) {
            task_ready(&w->again);
            break;
        }
    }
    names_arm(names);
}

static void
ares_watch_event(struct watch *watch, unsigned bits)
{
    ares_watch_process(CONTAINER_OF(watch, struct ares_watch, watch), (bits & LOOP_READ) != 0,
                       (bits & LOOP_WRITE) != 0);
}

static void
ares_watch_again(struct task *t)
{
    ares_watch_process(CONTAINER_OF(t, struct ares_watch, again), true, false);
}

/* c-ares says what it wants to know of a descriptor; neither: it is about to close it. */
static void
ares_on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
    struct ares_watch *w = NULL;

    LIST_FOREACH (it, &ares_watches) {
        if (LIST_ENTRY(it, struct ares_watch, node)->watch.fd == fd)
            w = LIST_ENTRY(it, struct ares_watch, node);
    }
    if (!readable && !writable) {
        if (w == NULL)
            return;
        loop_del(&w->watch);
        task_cancel(&w->again);
        list_del(&w->node);
        loop_defer_free(free, w);
        return;
    }
    if (w != NULL)
        return;
    w = calloc(1, sizeof(*w));
    if (w == NULL)
        return; /* the question will time out */
    w->names = data;
    w->watch.on_event = ares_watch_event;
    w->again.run = ares_watch_again;
    if (!loop_add(&w->watch, fd)) {
        log_alert(errno, "resolver: epoll_ctl() failed");
        free(w);
        return;
    }
    list_add_tail(&ares_watches, &w->node);
}

static const char *
ares_error(int status)
{
    switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENODATA:
    case ARES_EBADNAME:
        return "Host not found";
    case ARES_ETIMEOUT:
        return "Operation timed out";
    case ARES_ESERVFAIL:
    case ARES_ECONNREFUSED:
        return "Server failure";
    case ARES_EFORMERR:
    case ARES_EBADRESP:
        return "Format error";
    case ARES_ENOTIMP:
        return "Unimplemented";
    case ARES_EREFUSED:
        return "Operation refused";
    default:
        return "Unknown error";
    }
}

static void
ares_on_answer(void *data, int status, int timeouts, struct ares_addrinfo *found)
{
    struct entry *e = data;
    struct addr *addrs = calloc(ANSWER_MAX, sizeof(*addrs));
    uint64_t ttl_s = TTL_MAX_S;
    uint32_t n = 0;

    (void)timeouts;
    for (struct ares_addrinfo_node *i = found != NULL ? found->nodes : NULL;
         addrs != NULL && i != NULL && n < ANSWER_MAX; i = i->ai_next) {
        if (!addr_from(&addrs[n], i->ai_addr, i->ai_addrlen))
            continue;
        ttl_s = num_min(ttl_s, i->ai_ttl > 0 ? (uint64_t)i->ai_ttl : 0);
        n++;
    }
    if (n > 0) {
        entry_found(e, addrs, n, ttl_s * 1000);
    } else {
        bool missing = status == ARES_ENOTFOUND || status == ARES_ENODATA;

        free(addrs);
        entry_fail(e, status == ARES_SUCCESS ? "Host not found" : ares_error(status),
                   missing ? NEGATIVE_MS : 0);
    }
    if (found != NULL)
        ares_freeaddrinfo(found);
}

static bool
names_open_channel(struct names *names)
{
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = SERVER_TIMEOUT_MS,
        .tries = SERVER_TRIES,
        .lookups = (char *)"b", /* servers alone, no /etc/hosts: as nginx */
        .sock_state_cb = ares_on_socket,
        .sock_state_cb_data = names,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_ROTATE;
    char where[ADDR_TEXT_MAX];
    struct text csv;
    int status = ares_library_init(ARES_LIB_INIT_ALL);

    if (status == ARES_SUCCESS)
        status = ares_init_options(&names->channel, &options, mask);
    if (status != ARES_SUCCESS) {
        log_error(0, "resolver: %s", ares_strerror(status));
        return false;
    }
    text_init(&csv, NULL);
    VEC_FOREACH (a, struct addr, &names->r->servers) {
        if (csv.len > 0)
            text_char(&csv, ',');
        text_bytes(&csv, where, addr_format(a, true, where));
    }
    text_char(&csv, '\0');
    status = csv.failed ? ARES_ENOMEM : ares_set_servers_ports_csv(names->channel, csv.ptr);
    text_free(&csv);
    if (status == ARES_SUCCESS) {
        names->timer.on_time = names_on_time;
        return true;
    }
    log_error(0, "resolver: %s", ares_strerror(status));
    ares_destroy(names->channel);
    return false;
}

static void
ask_servers(struct entry *e)
{
    struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
                                         .ai_family = wanted_family(e->names->r),
                                         .ai_socktype = SOCK_STREAM };

    ares_getaddrinfo(e->names->channel, e->name, NULL, &hints, ares_on_answer, e);
    names_arm(e->names);
}

#endif

/* ---- asking ---- */

/* NULL: memory, or c-ares could not start (logged). */
static struct names *
names_of(const struct resolver *r)
{
    struct names **place = r != NULL ? r->names : &system_names;
    struct names *names = *place;

    if (names != NULL)
        return names;
    names = calloc(1, sizeof(*names));
    if (names == NULL)
        return NULL;
    names->r = r;
    hash_init(&names->by_name, NULL);
    list_init(&names->by_use);
#ifdef WEIR_HAVE_CARES
    if (r != NULL && !names_open_channel(names)) {
        free(names);
        return NULL;
    }
#endif
    *place = names;
    return names;
}

static void
entry_ask(struct entry *e)
{
    e->asking = true;
    e->refs++;
#ifdef WEIR_HAVE_CARES
    if (e->names->r != NULL) {
        ask_servers(e);
        return;
    }
#endif
    ask_system(e);
}

static void
query_free(struct resolver_query *q)
{
    timer_forget(&q->timer);
    task_cancel(&q->task);
    free(q);
}

static void
query_deliver(struct task *t)
{
    struct resolver_query *q = CONTAINER_OF(t, struct resolver_query, task);
    struct entry *e = q->entry;
    struct resolver_answer a = { .addrs = &q->literal, .n = 1, .ttl_ms = UINT64_MAX };

    if (e != NULL) {
        a = (struct resolver_answer){ .error = e->error, .addrs = e->addrs, .n = e->n };
        a.ttl_ms = e->expires_ms > clock_ms ? e->expires_ms - clock_ms : 0;
    }
    q->fn(q->data, &a);
    if (e != NULL)
        entry_unref(e);
    query_free(q);
}

static void
query_on_time(struct timer *t)
{
    struct resolver_query *q = CONTAINER_OF(t, struct resolver_query, timer);
    struct resolver_answer a = { .error = "Operation timed out" };

    list_del(&q->node);
    q->fn(q->data, &a);
    query_free(q);
}

/* Lower case, without the dot at the end. False: no name that DNS could have. */
static bool
clean_name(struct str name, char to[NAME_MAX_LEN + 1], struct str *clean)
{
    if (name.len > 1 && name.ptr[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] <= ' ' || name.ptr[i] == 0x7f)
            return false;
        to[i] = char_lower(name.ptr[i]);
    }
    to[name.len] = '\0';
    *clean = str_n(to, name.len);
    return true;
}

struct resolver_query *
resolver_ask(const struct resolver *r, struct str name, uint64_t timeout_ms, resolver_fn fn,
             void *data)
{
    struct resolver_query *q = calloc(1, sizeof(*q));
    char lower[NAME_MAX_LEN + 1];
    struct names *names;
    struct str clean;

    if (q == NULL)
        return NULL;
    q->fn = fn;
    q->data = data;
    q->task.run = query_deliver;
    q->timer.on_time = query_on_time;
    if (addr_parse_ip(name, &q->literal)) {
        task_ready(&q->task);
        return q;
    }
    names = names_of(r);
    /* A name that cannot be asked for is not found: asked for as the root, which has no address. */
    if (names != NULL && !clean_name(name, lower, &clean))
        clean = S(".");
    q->entry = names != NULL ? entry_get(names, clean) : NULL;
    if (q->entry == NULL) {
        free(q);
        return NULL;
    }
    if (q->entry->known && clock_ms < q->entry->expires_ms) {
        q->entry->refs++;
        task_ready(&q->task);
        return q;
    }
    list_add_tail(&q->entry->waiting, &q->node);
    timer_set(&q->timer, timeout_ms);
    if (!q->entry->asking)
        entry_ask(q->entry);
    return q;
}

void
resolver_cancel(struct resolver_query *q)
{
    bool due;

    if (q == NULL)
        return;
    due = list_linked(&q->task.node);
    list_del(&q->node);
    if (due && q->entry != NULL)
        entry_unref(q->entry);
    query_free(q);
}

/* ---- at load ---- */

/* Shared by the caller and the thread; whoever comes last frees it. */
struct now_ask {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool finished, abandoned;
    int result;
    struct addrinfo *found;
    char name[NAME_MAX_LEN + 1];
};

static void
now_free(struct now_ask *ask)
{
    if (ask->found != NULL)
        freeaddrinfo(ask->found);
    pthread_cond_destroy(&ask->answered);
    pthread_mutex_destroy(&ask->lock);
    free(ask);
}

static void *
now_thread(void *data)
{
    struct now_ask *ask = data;
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int result = getaddrinfo(ask->name, NULL, &hints, &found);
    bool last;

    pthread_mutex_lock(&ask->lock);
    ask->result = result;
    ask->found = result == 0 ? found : NULL;
    ask->finished = true;
    last = ask->abandoned;
    pthread_cond_signal(&ask->answered);
    pthread_mutex_unlock(&ask->lock);
    if (last)
        now_free(ask);
    return NULL;
}

static bool
now_take(const struct now_ask *ask, struct vec *addrs)
{
    uint32_t before = addrs->len;

    for (struct addrinfo *i = ask->found; i != NULL; i = i->ai_next) {
        struct addr a, *to;

        if (!addr_from(&a, i->ai_addr, i->ai_addrlen))
            continue;
        to = VEC_PUSH(addrs, struct addr);
        if (to == NULL)
            return false;
        *to = a;
    }
    return addrs->len > before;
}

bool
resolver_now(struct str name, struct vec *addrs)
{
    struct now_ask *ask;
    struct timespec until;
    pthread_t thread;
    struct str clean;
    bool found = false, last;
    struct addr literal;

    if (addr_parse_ip(name, &literal)) {
        struct addr *to = VEC_PUSH(addrs, struct addr);

        if (to != NULL)
            *to = literal;
        return to != NULL;
    }
    ask = calloc(1, sizeof(*ask));
    if (ask == NULL)
        return false;
    pthread_mutex_init(&ask->lock, NULL);
    pthread_cond_init(&ask->answered, NULL);
    if (!clean_name(name, ask->name, &clean) ||
        pthread_create(&thread, NULL, now_thread, ask) != 0) {
        now_free(ask);
        return false;
    }
    pthread_detach(thread);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += NOW_TIMEOUT_S;
    pthread_mutex_lock(&ask->lock);
    while (!ask->finished && pthread_cond_timedwait(&ask->answered, &ask->lock, &until) == 0)
        ;
    if (ask->finished)
        found = now_take(ask, addrs);
    last = ask->finished;
    ask->abandoned = true;
    pthread_mutex_unlock(&ask->lock);
    if (last)
        now_free(ask);
    return found;
}

const struct resolver *
resolver_of_scope(const struct scope *s, uint64_t *timeout_ms)
{
    const struct resolver_conf *c = scope_conf(s, &resolver_module);

    *timeout_ms = c->timeout_ms;
    return c->resolver;
}

/* valid=, ipv4=, ipv6=: true and *good when it was one of these. */
static bool
resolver_parameter(struct conf_load *l, struct conf_node *n, int arg, struct resolver *r,
                   bool *good)
{
    struct str text = n->args[arg], value;
    bool *flag = NULL;

    *good = true;
    if (conf_param(text, "valid", &value)) {
        if (!num_parse_duration(value, &r->valid_ms) || r->valid_ms == 0)
            *good = conf_fail(l, n, arg, "invalid parameter: %.*s", STR(text));
        return true;
    }
    if (conf_param(text, "status_zone", &value)) {
        conf_warn(l, n, arg, "\"status_zone\" has no effect here");
        return true;
    }
    if (conf_param(text, "ipv4", &value))
        flag = &r->ipv4;
    else if (conf_param(text, "ipv6", &value))
        flag = &r->ipv6;
    if (flag == NULL)
        return false;
    if (str_eq(value, S("on")) || str_eq(value, S("off")))
        *flag = str_eq(value, S("on"));
    else
        *good = conf_fail(l, n, arg, "invalid parameter: %.*s", STR(text));
    return true;
}

/* An address, or a name that the system's resolver knows, each with an optional port. */
static bool
resolver_server(struct conf_load *l, struct conf_node *n, int arg, struct resolver *r)
{
    struct str text = n->args[arg], host = text;
    struct vec found = { .data = NULL };
    uint32_t port = DNS_PORT;
    size_t colon = str_rfind(text, ':');
    struct addr a, *to;
    bool good = true;

    if (addr_parse(text, DNS_PORT, &a) && a.sa.sa_family != AF_UNIX) {
        to = VEC_PUSH(&r->servers, struct addr);
        if (to == NULL)
            return conf_fail(l, n, arg, "out of memory");
        *to = a;
        return true;
    }
    if (colon < text.len) {
        host = str_upto(text, colon);
        if (!num_parse_u32(str_from(text, colon + 1), &port) || port == 0 || port > UINT16_MAX)
            return conf_fail(l, n, arg, "invalid port in resolver \"%.*s\"", STR(text));
    }
    if (!resolver_now(host, &found))
        return conf_fail(l, n, arg, "host not found in resolver \"%.*s\"", STR(text));
    VEC_FOREACH (f, struct addr, &found) {
        to = VEC_PUSH(&r->servers, struct addr);
        if (to == NULL) {
            good = conf_fail(l, n, arg, "out of memory");
            break;
        }
        *to = *f;
        addr_set_port(to, (uint16_t)port);
    }
    vec_free(&found);
    return good;
}

static bool
resolver_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct resolver_conf *c = conf;
    struct resolver *r = ARENA_NEW(conf_arena(l), struct resolver);

    (void)d;
    if (r == NULL || (r->names = ARENA_NEW(conf_arena(l), struct names *)) == NULL)
        return conf_fail(l, n, 0, "out of memory");
    vec_init(&r->servers, conf_arena(l), sizeof(struct addr));
    r->ipv4 = r->ipv6 = true;
    for (uint32_t i = 1; i < n->n; i++) {
        bool good;

        if (!resolver_parameter(l, n, (int)i, r, &good))
            good = resolver_server(l, n, (int)i, r);
        if (!good)
            return false;
    }
    if (r->servers.len == 0)
        return conf_fail(l, n, -1, "no name servers defined");
    if (!r->ipv4 && !r->ipv6)
        return conf_fail(l, n, 0, "\"ipv4\" and \"ipv6\" cannot both be \"off\"");
#ifndef WEIR_HAVE_CARES
    conf_warn(l, n, 0, "\"resolver\" needs c-ares: names are looked up by the system instead");
#endif
    c->resolver = r;
    return true;
}

#define RESOLVER_CONTEXTS \
    (CTX_HTTP | CTX_SRV | CTX_LOC | CTX_UPS | CTX_STREAM | CTX_SSRV | CTX_SUPS)

static const struct directive resolver_directives[] = {
    D_CALL("resolver", RESOLVER_CONTEXTS, ARGS(1, ARGS_ANY), resolver_set),
    D_MSEC("resolver_timeout", RESOLVER_CONTEXTS, struct resolver_conf, timeout_ms, DEFAULT(30s)),
    D_END
};

struct module resolver_module = {
    .name = "resolver",
    .conf_size = sizeof(struct resolver_conf),
    .directives = resolver_directives,
};
