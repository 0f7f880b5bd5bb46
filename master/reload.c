/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reload.c - the master's side of preflight: starts it, hears it out, and says how it went.
 *
 * The binary is opened once, by the path of the first start, and it is this file that is executed when it passes. The
 * child gets that descriptor, a socket to us and a pipe for its standard error, where a dynamic linker complains.
 */
#include "master/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/log/log.h"
#include "common/sys/core_dump.h"
#include "common/sys/fd.h"
#include "master/bind.h"
#include "master/handoff.h"
#include "master/preflight.h"

enum { DEADLINE_MS = 60000, COMPLAINT_MAX = 4000, CHILD_SOCKET = 3, CHILD_BINARY = 4 };

/* ---- the child, until it is the other binary -------------------------------------------------------------------- */

static _Noreturn void
exec_preflight(const struct master *m, int sock, int complaint, int binary)
{
    char option[] = "--preflight=3";
    char **argv = kept_argv_with(m->kept, option);
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* nobody would hear it */
    /* Out of the way of the numbers that they are to get. */
    sock = fcntl(sock, F_DUPFD, 10);
    complaint = fcntl(complaint, F_DUPFD, 10);
    binary = fcntl(binary, F_DUPFD, 10);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(complaint, STDERR_FILENO);
    dup2(sock, CHILD_SOCKET);
    dup3(binary, CHILD_BINARY, O_CLOEXEC);
    close_range(CHILD_BINARY + 1, ~0U, 0);
    fd_set_nonblock(CHILD_SOCKET, false);
    core_dump_restore_limit();
    if (argv != NULL)
        fexecve(CHILD_BINARY, argv, m->kept->env);
    fprintf(stderr, "cannot execute \"%s\": %s\n", m->kept->binary, strerror(errno));
    _exit(126);
}

/* ---- the verdict ------------------------------------------------------------------------------------------------ */

static void
refuse(struct check *k)
{
    struct str text = text_str(&k->complaint);

    while (text.len > 0 && text.ptr[text.len - 1] == '\n')
        text.len--;
    if (k->timed_out)
        report_say(&k->report, LOG_LEVEL_EMERG, "the check did not end within %d s: killed",
                   DEADLINE_MS / 1000);
    else if (WIFSIGNALED(k->status))
        report_say(&k->report, LOG_LEVEL_EMERG, "the check by \"%s\" died on signal %d%s%.*s",
                   k->m->kept->binary, WTERMSIG(k->status), text.len > 0 ? ": " : "", STR(text));
    else
        report_say(&k->report, LOG_LEVEL_EMERG,
                   "\"%s\" cannot check the configuration: it exited with code %d%s%.*s",
                   k->m->kept->binary, WEXITSTATUS(k->status), text.len > 0 ? ": " : "", STR(text));
}

/* Both have come: the end of the process, and of what it had to say. */
static void
conclude(struct check *k)
{
    struct master *m = k->m;

    if (k->pid != 0 || k->socket_watch.added)
        return;
    timer_forget(&k->deadline);
    if (!k->answered)
        refuse(k);
    master_event(m, k->answered && k->passed ? EVENT_PASSED : EVENT_REFUSED);
}

static void
take_text(struct check *k, int fd)
{
    struct error err = { 0 };
    struct str rest = handoff_slurp(fd, &k->arena, &err), key, fields, tag;

    if (rest.ptr == NULL) {
        report_say(&k->report, LOG_LEVEL_EMERG, "%s", err.text);
        k->passed = false;
        return;
    }
    while (lines_next(&rest, &key, &fields)) {
        if (str_eq(key, S("message"))) {
            report_get(&k->report, &fields);
        } else if (str_eq(key, S("file"))) {
            struct conf_file *f = VEC_PUSH(&k->files, struct conf_file);

            if (f == NULL || !handoff_get_file(&fields, &rest, &k->arena, &tag, f)) {
                report_say(&k->report, LOG_LEVEL_EMERG, "preflight: a bad text");
                k->passed = false;
                return;
            }
        }
    }
}

static void
take_sockets(struct check *k, struct str rest, int *fds, size_t n)
{
    struct str key, fields;

    for (size_t i = 0; i < n; i++) {
        struct held one, *h;

        if (!lines_next(&rest, &key, &fields) || !str_eq(key, S("held")) ||
            !handoff_get_held(&fields, &rest, &k->arena, &one))
            return;
        h = VEC_PUSH(&k->sockets, struct held);
        if (h == NULL)
            return;
        *h = one;
        h->s.fd = fds[i];
        h->listening = false;
        h->fresh = true;
        fd_set_nonblock(fds[i], true);
        fds[i] = -1;
    }
}

static void
take_message(struct check *k, struct str text, int *fds, size_t n)
{
    struct str key, fields, verdict;
    uint64_t workers, processes;

    if (!lines_next(&text, &key, &fields))
        return;
    if (str_eq(key, S("part"))) {
        take_sockets(k, text, fds, n);
    } else if (str_eq(key, S("verdict")) && n == 1 && lines_get_word(&fields, &verdict) &&
               lines_get_num(&fields, &workers) && lines_get_num(&fields, &processes) &&
               workers <= SLOTS_MAX && processes <= SLOTS_MAX) {
        k->answered = true;
        k->passed = str_eq(verdict, S("passed"));
        k->workers = (uint32_t)workers;
        k->processes = (uint32_t)processes;
        take_text(k, fds[0]);
    }
}

static void
unwatch(struct watch *w)
{
    int fd = w->fd;

    if (!w->added)
        return;
    loop_del(w);
    fd_close(&fd);
}

static void
on_socket(struct watch *w, unsigned bits UNUSED)
{
    struct check *k = CONTAINER_OF(w, struct check, socket_watch);
    char text[PREFLIGHT_MESSAGE_MAX];
    int fds[FD_PASS_MAX];
    size_t n_fds = FD_PASS_MAX;
    ssize_t n = fd_recv(w->fd, text, sizeof(text), fds, &n_fds, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        unwatch(w);
        conclude(k);
        return;
    }
    take_message(k, str_n(text, (size_t)n), fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(&fds[i]);
}

static void
on_stderr(struct watch *w, unsigned bits UNUSED)
{
    struct check *k = CONTAINER_OF(w, struct check, stderr_watch);
    char text[1000];
    ssize_t n = read(w->fd, text, sizeof(text));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        unwatch(w);
    else if (k->complaint.len + (size_t)n < COMPLAINT_MAX)
        text_bytes(&k->complaint, text, (size_t)n);
}

static void
on_deadline(struct timer *t)
{
    struct check *k = CONTAINER_OF(t, struct check, deadline);

    k->timed_out = true;
    k->answered = false;
    if (k->pid != 0)
        kill(k->pid, SIGKILL);
    else
        unwatch(&k->socket_watch); /* somebody it forked holds the other end */
    conclude(k);
}

void
reload_on_exit(struct master *m, pid_t pid, int status)
{
    struct check *k = m->check;

    if (k == NULL || k->pid != pid)
        return;
    k->pid = 0;
    k->status = status;
    while (k->stderr_watch.added) {
        uint32_t before = (uint32_t)k->complaint.len;

        on_stderr(&k->stderr_watch, 0);
        if (k->stderr_watch.added && k->complaint.len == before)
            break;
    }
    conclude(k);
}

/* ---- begin and end ---------------------------------------------------------------------------------------------- */

/* The request in a memfd, sent before the child exists: it waits in the socket. */
static bool
send_request(struct check *k, int sock, struct error *err)
{
    struct str word = k->lint ? S(PREFLIGHT_LINT) : S("request");
    struct master *m = k->m;
    struct text t;
    int fd = -1;
    bool ok;

    text_init(&t, NULL);
    text_fmt(&t, "weir-handoff %d\n", HANDOFF_VERSION);
    VEC_FOREACH (h, struct held, &m->sockets)
        handoff_put_held(&t, h);
    if (k->rollback)
        handoff_put_files(&t, "back", &m->back_files);
    if (t.failed)
        error_set(err, "out of memory");
    else
        fd = handoff_memfd(text_str(&t), err);
    text_free(&t);
    if (fd < 0)
        return false;
    ok = fd_send(sock, word.ptr, word.len, &fd, 1, MSG_NOSIGNAL) >= 0;
    if (!ok)
        error_sys(err, "cannot send the preflight request");
    fd_close(&fd);
    return ok;
}

static bool
start(struct check *k, struct error *err)
{
    struct master *m = k->m;
    int pair[2] = { -1, -1 }, complaint[2] = { -1, -1 };

    k->binary_fd = open(m->kept->binary, O_RDONLY | O_CLOEXEC);
    if (k->binary_fd < 0) {
        error_sys(err, "open() \"%s\" failed", m->kept->binary);
        return false;
    }
    if (!socket_pair(pair) || pipe2(complaint, O_CLOEXEC | O_NONBLOCK) != 0) {
        error_sys(err, "cannot prepare a preflight");
        goto fail;
    }
    k->socket_watch.on_event = on_socket;
    k->stderr_watch.on_event = on_stderr;
    if (!send_request(k, pair[0], err))
        goto fail;
    if (!loop_add_level(&k->socket_watch, pair[0], false)) {
        error_sys(err, "cannot watch a preflight");
        goto fail;
    }
    pair[0] = -1;
    if (!loop_add_level(&k->stderr_watch, complaint[0], false)) {
        error_sys(err, "cannot watch a preflight");
        goto fail;
    }
    complaint[0] = -1;
    log_flush();
    k->pid = fork();
    if (k->pid == 0)
        exec_preflight(m, pair[1], complaint[1], k->binary_fd);
    if (k->pid < 0) {
        k->pid = 0;
        error_sys(err, "fork() failed");
        goto fail;
    }
    fd_close(&pair[1]);
    fd_close(&complaint[1]);
    return true;

fail:
    for (int i = 0; i < 2; i++) {
        fd_close(&pair[i]);
        fd_close(&complaint[i]);
    }
    return false;
}

void
reload_begin(struct master *m)
{
    struct check *k = calloc(1, sizeof(*k));
    struct error err = { 0 };

    ASSERT(m->check == NULL);
    if (k == NULL) {
        log_alert(0, "out of memory: no check");
        master_event(m, EVENT_REFUSED);
        return;
    }
    k->m = m;
    k->for_reload = m->reload_wanted;
    k->lint = m->test_wanted;
    k->binary_fd = -1;
    arena_init(&k->arena, 65536);
    report_init(&k->report, &k->arena);
    vec_init(&k->sockets, &k->arena, sizeof(struct held));
    vec_init(&k->files, &k->arena, sizeof(struct conf_file));
    text_init(&k->complaint, NULL);
    k->rollback = m->reload_wanted && m->rollback_wanted;
    m->check = k;
    m->reload_wanted = m->test_wanted = m->rollback_wanted = false;
    if (!start(k, &err)) {
        report_say(&k->report, LOG_LEVEL_EMERG, "%s", err.text);
        unwatch(&k->socket_watch);
        master_event(m, EVENT_REFUSED);
        return;
    }
    k->deadline.on_time = on_deadline;
    timer_set(&k->deadline, DEADLINE_MS);
}

static void
check_free(void *p)
{
    struct check *k = p;

    arena_free(&k->arena);
    text_free(&k->complaint);
    free(k);
}

void
reload_free(struct master *m)
{
    struct check *k = m->check;

    if (k == NULL)
        return;
    m->check = NULL;
    if (k->pid != 0)
        kill(k->pid, SIGKILL);
    timer_forget(&k->deadline);
    unwatch(&k->socket_watch);
    unwatch(&k->stderr_watch);
    bind_close(&k->sockets, true);
    fd_close(&k->binary_fd);
    loop_defer_free(check_free, k);
}
