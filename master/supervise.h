/* SPDX-License-Identifier: BSD-2-Clause */
/* supervise.h - children: what they say, how they end, who takes their place, who cleans up behind them. */
#ifndef WEIR_MASTER_SUPERVISE_H
#define WEIR_MASTER_SUPERVISE_H

#include "master/master.h"

/* Puts a child under supervision: channel_fd is taken (-1: none, an orphan with a pidfd). */
void supervise_attach(struct master *m, struct child *c, int channel_fd);
/* Waits for all that have ended; several may stand behind one SIGCHLD. */
void supervise_reap(struct master *m);
/* Empties the seats: nobody is replaced any more. Children stay. */
void supervise_dissolve(struct master *m);
/* Seats living children of the serving generation (HOLD), so that only the dead ones are replaced. */
void supervise_reseat(struct master *m);
/* A living worker that can be asked about zones; NULL: none. */
struct child *supervise_any_worker(struct master *m);
/* Sends a signal to this process and no other. */
void supervise_kill(struct child *c, int sig);
/* Children of a generation, of all when it is 0. */
unsigned supervise_count(const struct master *m, uint64_t generation);
/* Asks the workers to clean up behind dead processes that nobody has been asked about. */
void supervise_ask_reap(struct master *m);
/* The generation's note in m->generations, added when it is new; NULL: memory. */
struct generation *supervise_generation(struct master *m, uint64_t number);

#endif
