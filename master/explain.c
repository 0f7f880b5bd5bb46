/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - starts the process in which a request is explained.
 *
 * It has the configuration because it is a copy of the master, as the workers are; it shares nothing with them but memory
 * that it takes a copy of. The client is its own from the start, so nothing of this waits in the master.
 */
#include "master/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/rand.h"
#include "common/event/signal.h"
#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"
#include "master/handoff.h"
#include "master/signals.h"

enum {
    PROCESSES_MAX = 8, /* at once */
    LIFE_S = 15,       /* then it is killed, whatever it does */
};

bool (*explain_entry)(struct config *c, struct str question, struct text *answer);

static pid_t running[PROCESSES_MAX];

/* ---- the child -------------------------------------------------------------------------------------------------- */

static void
send_answer(int fd, bool ok, struct str text)
{
    struct error err = { 0 };
    struct text t;
    int memfd = ok ? handoff_memfd(text, &err) : -1;

    if (memfd >= 0) {
        fd_send(fd, "ok", 2, &memfd, 1, MSG_NOSIGNAL);
        return;
    }
    text_init(&t, NULL);
    TEXT_LIT(&t, "error explain ");
    text_add(&t, ok ? str_c(err.text) : text);
    (void)send(fd, t.ptr, t.len, MSG_NOSIGNAL);
    text_free(&t);
}

/* Nothing of what the master holds is needed but zones and memory. */
static void
forget_master(struct master *m)
{
    struct error err = { 0 };

    lock_init_process();
    rand_after_fork();
    timer_reset_after_fork();
    if (!loop_reset_after_fork(&err))
        _exit(1);
    signals_forget();
    master_forget_private(m);
    VEC_FOREACH (h, struct held, &m->sockets)
        fd_close(&h->s.fd);
}

static _Noreturn void
run(struct master *m, int fd, struct str question, pid_t parent)
{
    struct text answer;
    bool ok;

    signal_restore(); /* SIGALRM has to end us */
    signal(SIGPIPE, SIG_IGN);
    alarm(LIFE_S);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent)
        _exit(1);
    proc_set_title("%s: explains a request", log_program);
    forget_master(m);
    text_init(&answer, NULL);
    ok = explain_entry(m->config, question, &answer);
    send_answer(fd, ok, answer.failed ? S("out of memory") : text_str(&answer));
    _exit(0);
}

/* ---- the master ------------------------------------------------------------------------------------------------- */

static pid_t *
free_place(void)
{
    for (size_t i = 0; i < ARRAY_LEN(running); i++) {
        if (running[i] == 0)
            return &running[i];
    }
    return NULL;
}

bool
explain_fork(struct master *m, int fd, struct str question, bool *busy, struct error *err)
{
    pid_t *place = free_place(), self = getpid();
    int own;

    *busy = place == NULL || m->serving == 0 || m->state == STATE_HANDOFF;
    if (*busy) {
        error_set(err, place == NULL ? "too many requests are being explained"
                                     : "a configuration is just being put into effect");
        return false;
    }
    if (m->config == NULL) {
        error_set(err, "what serves cannot be loaded again");
        return false;
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0) {
        error_sys(err, "no descriptor");
        return false;
    }
    log_flush();
    *place = fork();
    if (*place == 0) {
        fd_set_nonblock(own, false);
        run(m, own, question, self);
    }
    fd_close(&own);
    if (*place > 0)
        return true;
    *place = 0;
    error_sys(err, "fork() failed");
    return false;
}

void
explain_on_exit(pid_t pid)
{
    for (size_t i = 0; i < ARRAY_LEN(running); i++) {
        if (running[i] == pid)
            running[i] = 0;
    }
}
