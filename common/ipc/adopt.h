/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * adopt.h - what a worker does for a master that has died, and how its successor gets what the workers hold
 * (ARCHITECTURE.md 9).
 *
 * A worker that notices its master's death calls adopt_listen(): from then on it answers on the control listener.
 * A starting master calls adopt_ask() before it binds anything.
 */
#ifndef WEIR_IPC_ADOPT_H
#define WEIR_IPC_ADOPT_H

#include "common/base/error.h"
#include "common/base/text.h"
#include "common/inherit.h"

/* First word of every request on the control socket, so that old tools and new masters understand each other. */
#define CTL_VERSION "weir/1"
enum { CTL_REQUEST_MAX = 128 * 1024, CTL_ANSWER_MAX = 60000 };

/* ---- the worker's side ---- */

struct adopt_hooks {
    /* Appends this worker's own lines ("name: value\n") to the answer to `status`. May be NULL. */
    void (*status)(struct text *t);
    /* `stop` was asked for: the others have been told, this worker ends now. */
    void (*stop)(void);
};
/*
 * The master is dead: answers `status`, `stop` and `adopt` on in->ctl_fd from the loop, as long as no living worker is
 * of a newer generation that serves (that one then answers). `in` and `hooks` are borrowed for the process's life. False when
 * there is no control listener. Again is harmless.
 */
bool adopt_listen(const struct inherit *in, const struct adopt_hooks *hooks);
/* A successor has told this worker to drain (SIGQUIT): leaves the control listener to it. Harmless otherwise. */
void adopt_leave(void);

/* ---- the starting master's side ---- */

enum adopt_peer {
    ADOPT_NOBODY,  /* no listener there: a cold start */
    ADOPT_MASTER,  /* a master lives; *pid is its id, 0 when unknown */
    ADOPT_ORPHANS, /* workers without a master: what they hold is in *a */
    ADOPT_FAILED, /* somebody is there who does not answer as we need it; the reason is in err; *pid is 0 when who
                      made the listener has ended */
};

struct adopted_zone {
    struct str name; /* as the worker says; the header of fd decides */
    int fd;
};
/* Descriptors from workers. Nothing in it has been checked: a worker sent it. */
struct adopted {
    struct vec sockets; /* of struct listen_socket */
    struct vec zones;   /* of struct adopted_zone */
    int ctl_fd, slots_fd, state_fd;
    uint64_t generation;
};
/* Waits `deadline_ms` at most. Strings come from `mem`, descriptors are the caller's. */
enum adopt_peer adopt_ask(struct str ctl_path, uint64_t deadline_ms, struct arena *mem,
                          struct adopted *a, pid_t *pid, struct error *err);
/* Closes what has not been set to -1. */
void adopted_close(struct adopted *a);

/* A SEQPACKET connection to a control socket, also where the path is too long for an address; -1 with errno. */
int ctl_connect(struct str path);

#endif
