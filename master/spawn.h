/* SPDX-License-Identifier: BSD-2-Clause */
/* spawn.h - forks the processes of a generation. */
#ifndef WEIR_MASTER_SPAWN_H
#define WEIR_MASTER_SPAWN_H

#include "common/inherit.h"
#include "master/master.h"

/* What runs in a child; set by main.c, as this floor does not call into worker/. */
extern int (*spawn_entry)(struct inherit *in);

/* Makes the seats of m->config's workers and helpers; all are empty. False when memory is out. */
bool spawn_seats(struct master *m);
/* Forks into every empty seat. False, and said in m->verdict, when one stays empty. */
bool spawn_all(struct master *m);
/* Forks into one seat; NULL when the system or the slot table has no room (logged). */
struct child *spawn_child(struct master *m, struct seat *seat);
/* Processes that the configuration wants: workers, and helpers. */
uint32_t spawn_helpers_wanted(const struct config *c);
/* "worker", "cache manager": what a kind is called. */
const char *spawn_kind_name(uint32_t kind);

#endif
