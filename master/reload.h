/* SPDX-License-Identifier: BSD-2-Clause */
/* reload.h - the preflight child: the next configuration is checked by the next binary. */
#ifndef WEIR_MASTER_RELOAD_H
#define WEIR_MASTER_RELOAD_H

#include "master/master.h"

/* A check, from its begin until reload_free(). */
struct check {
    struct master *m;
    bool for_reload; /* else only somebody who asked for a test waits */
    bool rollback;   /* the texts of before are checked, not the files */
    bool lint;       /* somebody did: the checks run too */
    pid_t pid;       /* 0: has ended */
    int binary_fd;   /* the file that is checked, and executed when it passes */
    struct watch socket_watch, stderr_watch;
    struct timer deadline;
    struct arena arena;
    struct report report;
    struct vec sockets; /* of struct held: bound by preflight */
    struct vec files;   /* of struct conf_file: what it has read */
    uint32_t processes; /* that the configuration wants */
    uint32_t workers;
    bool answered, passed, timed_out;
    int status;            /* of waitpid */
    struct text complaint; /* what the child wrote to standard error */
};

/* Starts it: EVENT_PASSED or EVENT_REFUSED comes from the loop, with m->check->report. */
void reload_begin(struct master *m);
/* An unknown child has ended: ours, perhaps. */
void reload_on_exit(struct master *m, pid_t pid, int status);
/* Ends a check that nobody needs any more, or has been used; what it bound is closed. */
void reload_free(struct master *m);

#endif
