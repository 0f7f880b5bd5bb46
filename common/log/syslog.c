/* SPDX-License-Identifier: BSD-2-Clause */
/* syslog.c - the parameters of "syslog:" and the messages. */
#include "common/log/syslog.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/num.h"
#include "common/log/log.h"
#include "common/sys/addr.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"

enum {
    SYSLOG_PORT = 514,
    SYSLOG_TAG_MAX = 32,
    SYSLOG_MESSAGE_MAX = 4096 + 256, /* a line of the error log and the head */
    FACILITY_DEFAULT = 23,           /* local7 */
    SEVERITY_DEFAULT = 6,            /* info */
    NOT_GIVEN = 0xff,
};

struct syslog_target {
    struct addr server;
    struct str server_text; /* as configured */
    struct str tag;         /* empty: the program's name */
    uint8_t facility, severity;
    bool no_host_name;
    int fd; /* -1: not open */
    char host[256];
};

/* The position of a name is its number on the wire. */
static const char *const facilities[] = {
    "kern",   "user",   "mail",     "daemon", "auth",   "intern", "lpr",    "news",
    "uucp",   "clock",  "authpriv", "ftp",    "ntp",    "audit",  "alert",  "cron",
    "local0", "local1", "local2",   "local3", "local4", "local5", "local6", "local7",
};
static const char *const severities[] = {
    "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug",
};

static bool
look_up(struct str host, uint16_t port, struct addr *a)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found;
    char name[256];
    bool ok;

    if (!str_to_c(host, name, sizeof(name)) || getaddrinfo(name, NULL, &hints, &found) != 0)
        return false;
    ok = found->ai_addrlen <= sizeof(a->un);
    if (ok) {
        memset(a, 0, sizeof(*a));
        memcpy(&a->sa, found->ai_addr, found->ai_addrlen);
        a->len = found->ai_addrlen;
        addr_set_port(a, port);
    }
    freeaddrinfo(found);
    return ok;
}

static bool
set_server(struct syslog_target *s, struct str value, struct error *err)
{
    size_t colon = str_rfind(value, ':');
    struct str host = str_upto(value, colon);
    uint32_t port = SYSLOG_PORT;

    if (s->server.len != 0) {
        error_set(err, "duplicate syslog \"server\"");
        return false;
    }
    s->server_text = value;
    if (addr_parse(value, SYSLOG_PORT, &s->server))
        return true;
    if (str_starts(value, S("unix:"))) {
        error_set(err, "%s in syslog server \"%.*s\"",
                  value.len == 5 ? "no path in the unix domain socket"
                                 : "too long path in the unix domain socket",
                  STR(value));
        return false;
    }
    if (host.len == 0) {
        error_set(err, "no host in syslog server \"%.*s\"", STR(value));
        return false;
    }
    if (colon < value.len &&
        (!num_parse_u32(str_from(value, colon + 1), &port) || port == 0 || port > UINT16_MAX)) {
        error_set(err, "invalid port in syslog server \"%.*s\"", STR(value));
        return false;
    }
    if (!look_up(host, (uint16_t)port, &s->server)) {
        error_set(err, "host not found in syslog server \"%.*s\"", STR(value));
        return false;
    }
    return true;
}

static bool
set_name(const char *what, const char *const *names, size_t n, struct str value, uint8_t *field,
         struct error *err)
{
    if (*field != NOT_GIVEN) {
        error_set(err, "duplicate syslog \"%s\"", what);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (str_eq(value, str_c(names[i]))) {
            *field = (uint8_t)i;
            return true;
        }
    }
    error_set(err, "unknown syslog %s \"%.*s\"", what, STR(value));
    return false;
}

static bool
set_tag(struct syslog_target *s, struct str value, struct error *err)
{
    if (s->tag.ptr != NULL) {
        error_set(err, "duplicate syslog \"tag\"");
        return false;
    }
    if (value.len > SYSLOG_TAG_MAX) {
        error_set(err, "syslog tag length exceeds %d", SYSLOG_TAG_MAX);
        return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if ((char_lower(c) < 'a' || char_lower(c) > 'z') && (c < '0' || c > '9') && c != '_') {
            error_set(err, "syslog \"tag\" only allows alphanumeric characters and underscore");
            return false;
        }
    }
    s->tag = value;
    return true;
}

static bool
set_parameter(struct syslog_target *s, struct str p, struct error *err)
{
    if (str_starts(p, S("server=")))
        return set_server(s, str_from(p, 7), err);
    if (str_starts(p, S("facility=")))
        return set_name("facility", facilities, ARRAY_LEN(facilities), str_from(p, 9), &s->facility,
                        err);
    if (str_starts(p, S("severity=")))
        return set_name("severity", severities, ARRAY_LEN(severities), str_from(p, 9), &s->severity,
                        err);
    if (str_starts(p, S("tag=")))
        return set_tag(s, str_from(p, 4), err);
    if (str_eq(p, S("nohostname"))) {
        s->no_host_name = true;
        return true;
    }
    error_set(err, "unknown syslog parameter \"%.*s\"", STR(p));
    return false;
}

static void
syslog_close(void *data)
{
    struct syslog_target *s = data;

    fd_close(&s->fd);
}

struct syslog_target *
syslog_open(struct arena *a, struct str args, struct error *err)
{
    struct syslog_target *s = ARENA_NEW(a, struct syslog_target);
    struct str rest = s != NULL ? arena_str(a, args) : STR_NONE, p;

    if (rest.ptr == NULL || !arena_on_free(a, syslog_close, s)) {
        error_set(err, "no memory for syslog");
        return NULL;
    }
    s->fd = -1;
    s->facility = s->severity = NOT_GIVEN;
    while (str_split(&rest, ',', &p))
        if (!set_parameter(s, p, err))
            return NULL;
    if (s->server.len == 0) {
        error_set(err, "no syslog server specified");
        return NULL;
    }
    if (s->facility == NOT_GIVEN)
        s->facility = FACILITY_DEFAULT;
    if (s->severity == NOT_GIVEN)
        s->severity = SEVERITY_DEFAULT;
    if (gethostname(s->host, sizeof(s->host) - 1) < 0)
        s->host[0] = '\0';
    return s;
}

unsigned
syslog_severity(const struct syslog_target *s)
{
    return s->severity;
}

static bool
connect_socket(struct syslog_target *s)
{
    s->fd = socket(s->server.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return false;
    if (connect(s->fd, &s->server.sa, s->server.len) < 0) {
        fd_close(&s->fd);
        return false;
    }
    return true;
}

/* A server that was restarted has a new socket: so once more, with a new one of ours, unless it is only slow. */
static void
send_message(struct syslog_target *s, struct str message)
{
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        if (s->fd == -1 && !connect_socket(s))
            return;
        if (send(s->fd, message.ptr, message.len, MSG_NOSIGNAL) >= 0)
            return;
        if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
            return;
        fd_close(&s->fd);
    }
}

/* "Nov  5 12:00:00", RFC 3164, 4.1.2. */
static struct str
time_text(void)
{
    static time_t second = -1;
    static char text[32];
    static size_t len;
    time_t now = (time_t)(clock_wall_ms / 1000);

    if (second != now) {
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        struct tm tm;

        localtime_r(&now, &tm);
        len =
            (size_t)snprintf(text, sizeof(text), "%.3s %2d %02d:%02d:%02d", months + tm.tm_mon * 3,
                             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        second = now;
    }
    return str_n(text, len);
}

void
syslog_send(struct syslog_target *s, unsigned severity, struct str message)
{
    char mem[SYSLOG_MESSAGE_MAX];
    struct text t;

    text_init_fixed(&t, mem, sizeof(mem));
    text_fmt(&t, "<%u>%.*s ", s->facility * 8u + severity, STR(time_text()));
    if (!s->no_host_name)
        text_fmt(&t, "%s ", s->host);
    text_add(&t, s->tag.ptr != NULL ? s->tag : str_c(log_program));
    TEXT_LIT(&t, ": ");
    text_add(&t, str_upto(message, num_min(message.len, t.cap - t.len)));
    send_message(s, text_str(&t));
}
