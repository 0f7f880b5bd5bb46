/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listener.h - accept, rotation among workers, leaving (ARCHITECTURE.md 9).
 */
#ifndef WEIR_NET_LISTENER_H
#define WEIR_NET_LISTENER_H

#include "common/inherit.h"

/* Watches the sockets that this worker tends (of a reuseport group: those with index mod count == its index). Each
 * accepted connection starts with its spec's start(). False: the reason is logged. */
bool listener_start(const struct inherit *in);
/* DEL, accept until EAGAIN, each; then it is left and its descriptor closed: whoever serves the address from now on
 * holds it too (all sockets of a reuseport group included), and an address that is gone is to refuse connections. */
void listener_leave(void);
/* Tends the sockets of a reuseport group that belong to the worker of this index as well, or no more. */
void listener_tend(uint32_t index, bool on);
/* At a limit: deregisters until listener_resume (a connection was closed). */
void listener_pause(void);
void listener_resume(void);
bool listener_left(void);

#endif
