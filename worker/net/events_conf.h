/* SPDX-License-Identifier: BSD-2-Clause */
/* events_conf.h - the settings of events {} that the rooms of a worker read at run time. */
#ifndef WEIR_NET_EVENTS_CONF_H
#define WEIR_NET_EVENTS_CONF_H

#include "common/conf/config.h"

struct events_conf {
    uint32_t worker_connections;
    bool multi_accept;
    uint64_t stall_threshold_ms; /* a worker that is away from its loop for longer is reported */
};

const struct events_conf *events_conf(const struct config *c);

/* Ids of the counters of connections. */
extern uint16_t events_accepted, events_handled, events_active;

#endif
