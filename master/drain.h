/* SPDX-License-Identifier: BSD-2-Clause */
/* drain.h - asks processes to finish, with a deadline and a last resort. */
#ifndef WEIR_MASTER_DRAIN_H
#define WEIR_MASTER_DRAIN_H

#include "master/master.h"

/* A successor serves: every process of an older generation, orphans too, leaves and finishes. */
void drain_old(struct master *m);
void drain_child(struct master *m, struct child *c);
/* No successor. Graceful: requests in flight are finished; else it ends now. */
void drain_stop_child(struct child *c, bool graceful);
void drain_stop_all(struct master *m, bool graceful);
/* A child that is not ready by then is killed. */
void drain_expect_ready(struct child *c);

/* Whether no worker of an older generation accepts connections any more. */
bool drain_all_left(const struct master *m);

#endif
