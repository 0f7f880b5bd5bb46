/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bind.h - listening sockets: opens what a configuration names and the master does not hold, keeps groups whole,
 * closes what is no longer named (ARCHITECTURE.md 9).
 */
#ifndef WEIR_MASTER_BIND_H
#define WEIR_MASTER_BIND_H

#include "master/master.h"

enum bind_mode {
    BIND_START,     /* to listen soon; an address in use is tried again for a while */
    BIND_TAKE_OVER, /* to listen soon */
    BIND_PREFLIGHT, /* for the master: nothing is done to an address that is held */
    BIND_TEST,      /* -t: looks, and closes again */
    BIND_TEST_MILD, /* -t that could not ask what is held: an address in use is a warning */
};

/*
 * Binds, without listen(), what is missing in `held` (of struct held, gets the new ones as fresh). False when the
 * report has an error.
 */
bool bind_open(const struct config *c, struct vec *held, enum bind_mode mode, struct report *r);
/* Everything named listens, under its own name; `spec` is set, and surplus by the number of workers. */
bool bind_listen(const struct config *c, struct vec *held, struct report *r);
/* Steers the groups to the first N sockets: when the workers that tend them are ready, and before others leave. */
void bind_steer(const struct config *c, struct vec *held);
/* The configuration serves: what it does not name is closed, nothing is fresh any more. */
void bind_settle(struct vec *held);
/* The attempt failed: what came with it is closed, but for members of groups that serve. */
void bind_revert(struct vec *held);
/* What came with an attempt that got no further than this image: it goes whole. */
void bind_drop_fresh(struct vec *held);
/* Closes all; with `unlink_names`, the names of unix sockets go too. */
void bind_close(struct vec *held, bool unlink_names);

/* Descriptor as it was found (systemd, a running nginx, a preflight): appended when it is a socket that can serve. */
bool bind_inherit(struct vec *held, int fd);
/* Sockets that workers sent: those whose address is not what they are said to be are closed. */
void bind_adopt(struct vec *held, struct vec *sockets, struct report *r);

#endif
