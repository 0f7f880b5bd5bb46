/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * preflight.c - the checking side: a process of its own, so that a fault in it costs nothing.
 */
#include "master/preflight.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/sys/clock.h"
#include "common/sys/fd.h"
#include "master/bind.h"
#include "master/handoff.h"
#include "master/pidfile.h"
#include "master/privilege.h"
#include "master/spawn.h"

enum { ASK_MS = 2000, SEND_MS = 10000 };

/* ---- what is checked -------------------------------------------------------------------------------------------- */

bool
preflight_files(struct config *c, struct report *r)
{
    struct error err = { 0 };
    bool ok = true;

    for (uint32_t i = 0; i < c->logs.len; i++) {
        struct log_file *f = *VEC_AT(&c->logs, struct log_file *, i);

        if (f->fd >= 0 && f->fd != 0)
            continue;
        if (!log_file_open(f)) {
            error_sys(&err, "open() \"%.*s\" failed", STR(f->path));
            ok = report_say(r, LOG_LEVEL_EMERG, "%s", err.text);
        }
    }
    if (!pidfile_check(c->core.pid_path.ptr, &err))
        ok = report_say(r, LOG_LEVEL_EMERG, "%s", err.text);
    return privilege_temp_dirs(c, r) && ok;
}

struct config *
preflight_load(const struct options *o, const struct vec *texts, struct arena *a, struct report *r)
{
    struct conf_options co;
    struct vec messages;
    struct config *c;

    if (!options_conf(o, a, &co)) {
        report_say(r, LOG_LEVEL_EMERG, "out of memory");
        return NULL;
    }
    co.texts = texts;
    vec_init(&messages, a, sizeof(struct conf_message));
    c = config_load(&co, a, &messages);
    VEC_FOREACH (message, struct conf_message, &messages) {
        struct conf_message *to = VEC_PUSH(&r->messages, struct conf_message);

        if (to != NULL)
            *to = *message;
    }
    if (c == NULL && !report_failed(r))
        report_say(r, LOG_LEVEL_EMERG, "the configuration cannot be loaded");
    return c;
}

/* ---- for a reload ----------------------------------------------------------------------------------------------- */

static bool
read_text(struct str *fields, struct str *rest, struct arena *a, struct vec *texts)
{
    struct conf_file *f = VEC_PUSH(texts, struct conf_file);
    struct str tag;

    return f != NULL && handoff_get_file(fields, rest, a, &tag, f);
}

/* What the master holds, and in *texts what is to be loaded in place of files. */
static bool
read_request(int sock, struct arena *a, struct vec *held, struct vec *texts, bool *lint,
             struct report *r)
{
    struct str rest, key, fields;
    struct error err = { 0 };
    uint64_t version;
    char first[16];
    int fd = -1;
    size_t n_fds = 1;
    ssize_t n = fd_recv(sock, first, sizeof(first), &fd, &n_fds, 0);

    if (n <= 0 || n_fds != 1)
        return report_say(r, LOG_LEVEL_EMERG, "preflight: no request came");
    *lint = str_eq(str_n(first, (size_t)n), S(PREFLIGHT_LINT));
    rest = handoff_slurp(fd, a, &err);
    fd_close(&fd);
    if (rest.ptr == NULL)
        return report_say(r, LOG_LEVEL_EMERG, "preflight: %s", err.text);
    if (!lines_next(&rest, &key, &fields) || !str_eq(key, S("weir-handoff")) ||
        !lines_get_num(&fields, &version) || version != HANDOFF_VERSION) {
        report_say(r, LOG_LEVEL_EMERG,
                   "the binary on disk cannot take over from the one that runs: restart it");
        return false;
    }
    while (lines_next(&rest, &key, &fields)) {
        struct held *h;

        if (str_eq(key, S("file"))) {
            if (!read_text(&fields, &rest, a, texts))
                return report_say(r, LOG_LEVEL_EMERG, "preflight: a bad request");
            continue;
        }
        h = str_eq(key, S("held")) ? VEC_PUSH(held, struct held) : NULL;

        if (h == NULL || !handoff_get_held(&fields, &rest, a, h))
            return report_say(r, LOG_LEVEL_EMERG, "preflight: a bad request");
        h->s.fd = -1; /* a number in the master */
    }
    return true;
}

static bool
send_all(int sock, struct str text, const int *fds, size_t n)
{
    while (fd_send(sock, text.ptr, text.len, fds, n, MSG_NOSIGNAL) < 0) {
        struct pollfd p = { .fd = sock, .events = POLLOUT };

        if ((errno != EAGAIN && errno != EINTR && errno != ETOOMANYREFS) ||
            poll(&p, 1, SEND_MS) <= 0)
            return false;
    }
    return true;
}

/* The sockets that were bound, a batch in a message. */
static bool
send_sockets(int sock, const struct vec *held)
{
    struct text t;
    int fds[FD_PASS_MAX];
    size_t n = 0;
    bool ok = true;

    text_init(&t, NULL);
    for (uint32_t i = 0; i <= held->len && ok; i++) {
        const struct held *h = i < held->len ? VEC_AT(held, struct held, i) : NULL;

        if (n > 0 && (h == NULL || n == FD_PASS_MAX || t.len > PREFLIGHT_MESSAGE_MAX / 2)) {
            ok = !t.failed && send_all(sock, text_str(&t), fds, n);
            text_free(&t);
            text_init(&t, NULL);
            n = 0;
        }
        if (h == NULL || h->s.fd < 0)
            continue;
        if (n == 0)
            TEXT_LIT(&t, "part\n");
        handoff_put_held(&t, h);
        fds[n++] = h->s.fd;
    }
    text_free(&t);
    return ok;
}

static bool
send_verdict(int sock, const struct config *c, const struct report *r, bool passed)
{
    struct error err = { 0 };
    struct text t;
    char verdict[100];
    int fd, n;
    bool ok;

    text_init(&t, NULL);
    report_put(r, SIZE_MAX, &t);
    if (c != NULL)
        handoff_put_files(&t, "next", &c->files);
    TEXT_LIT(&t, "end\n");
    fd = t.failed ? -1 : handoff_memfd(text_str(&t), &err);
    text_free(&t);
    if (fd < 0)
        return false;
    n = snprintf(verdict, sizeof(verdict), "verdict %s %u %u", passed ? "passed" : "refused",
                 c != NULL ? c->core.worker_processes : 0,
                 c != NULL ? c->core.worker_processes + spawn_helpers_wanted(c) : 0);
    ok = send_all(sock, str_n(verdict, (size_t)n), &fd, 1);
    fd_close(&fd);
    return ok;
}

int
preflight_run(const struct options *o, int sock)
{
    struct options options = *o;
    struct config *c = NULL;
    struct report r;
    struct arena a;
    struct vec held, texts;
    bool passed;

    arena_init(&a, 65536);
    report_init(&r, &a);
    vec_init(&held, &a, sizeof(struct held));
    vec_init(&texts, &a, sizeof(struct conf_file));
    fd_set_cloexec(sock, true);
    if (read_request(sock, &a, &held, &texts, &options.lint, &r))
        c = preflight_load(&options, texts.len > 0 ? &texts : NULL, &a, &r);
    passed = c != NULL && preflight_files(c, &r) && bind_open(c, &held, BIND_PREFLIGHT, &r);
    if (!passed)
        bind_close(&held, true);
    else if (!send_sockets(sock, &held))
        return 1;
    return send_verdict(sock, c, &r, passed) ? 0 : 1;
}

/* ---- for -t ----------------------------------------------------------------------------------------------------- */

/* Reads the answer to `held`. */
static bool
read_held(int sock, struct arena *a, struct vec *held)
{
    char *text = arena_alloc(a, CTL_ANSWER_MAX + 100);
    struct pollfd p = { .fd = sock, .events = POLLIN };
    struct str rest, key, fields;
    ssize_t n;

    if (text == NULL || poll(&p, 1, ASK_MS) <= 0)
        return false;
    n = recv(sock, text, CTL_ANSWER_MAX + 100, MSG_DONTWAIT);
    rest = str_n(text, n > 0 ? (size_t)n : 0);
    if (!str_starts(rest, S("ok")))
        return false;
    rest = str_from(rest, 2);
    if (rest.len > 0)
        rest = str_from(rest, 1);
    while (lines_next(&rest, &key, &fields)) {
        struct held one = { .listening = true }, *h;

        if (!str_eq(key, S("socket")) || !lines_get_socket(&fields, a, &one.s))
            continue;
        h = VEC_PUSH(held, struct held);
        if (h != NULL)
            *h = one;
    }
    return true;
}

/*
 * Which addresses the master of this configuration holds. Where it may not be asked, or lives without a control
 * socket, an address in use may well be ours.
 */
static enum bind_mode
ask_held(const struct config *c, struct arena *a, struct vec *held)
{
    struct str path = pidfile_sibling(a, c->core.pid_path, ".ctl");
    struct error err;
    int sock = path.ptr != NULL ? ctl_connect(path) : -1;
    bool ok;

    if (sock < 0)
        return errno == EACCES || errno == EPERM || pidfile_read(c->core.pid_path.ptr, &err) != 0
                   ? BIND_TEST_MILD
                   : BIND_TEST;
    ok = send(sock, CTL_VERSION " held", sizeof(CTL_VERSION " held") - 1, MSG_NOSIGNAL) >= 0 &&
         read_held(sock, a, held);
    fd_close(&sock);
    return ok ? BIND_TEST : BIND_TEST_MILD;
}

static void
dump(const struct config *c)
{
    struct text t;

    text_init(&t, NULL);
    config_dump(c, &t);
    fd_write_all(STDOUT_FILENO, t.ptr, t.len);
    text_free(&t);
}

static void
print_json(const struct report *r, struct str conf_path, bool ok)
{
    struct text t;

    text_init(&t, NULL);
    report_json(r, conf_path, ok, &t);
    fd_write_all(STDOUT_FILENO, t.ptr, t.len);
    text_free(&t);
}

/* Warnings that make the test fail are shown though -q is given. */
bool
preflight_show(const struct options *o, const struct report *r, struct str conf_path)
{
    bool ok = !report_failed(r) && !(o->strict && report_warned(r));
    enum log_level max = !o->quiet ? LOG_LEVEL_INFO : o->strict ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR;

    if (o->json)
        print_json(r, conf_path, ok);
    else
        report_print(r, max);
    return ok;
}

int
preflight_test(const struct options *o)
{
    bool talks = !o->quiet && !o->json, ok = true;
    struct conf_options co;
    struct config *c;
    struct report r;
    struct arena a;
    struct vec held;

    arena_init(&a, 65536);
    report_init(&r, &a);
    vec_init(&held, &a, sizeof(struct held));
    c = preflight_load(o, NULL, &a, &r);
    if (!options_conf(o, &a, &co))
        return 1;
    if (!o->json) {
        ok = preflight_show(o, &r, co.conf_path);
        r.messages.len = 0;
    }
    if (c != NULL && talks)
        fprintf(stderr, "%s: the configuration file %.*s syntax is ok\n", log_program,
                STR(co.conf_path));
    ok = c != NULL && preflight_files(c, &r) && bind_open(c, &held, ask_held(c, &a, &held), &r) &&
         ok;
    bind_close(&held, false);
    ok = preflight_show(o, &r, co.conf_path) && ok;
    if (!ok && !o->json)
        fprintf(stderr, "%s: configuration file %.*s test failed\n", log_program,
                STR(co.conf_path));
    else if (talks)
        fprintf(stderr, "%s: configuration file %.*s test is successful\n", log_program,
                STR(co.conf_path));
    if (ok && o->dump)
        dump(c);
    config_free(c);
    arena_free(&a);
    return ok ? 0 : 1;
}
