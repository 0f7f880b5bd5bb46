/* SPDX-License-Identifier: BSD-2-Clause */
/* service.h - tells systemd how it goes (sd_notify(3)), without its library. */
#ifndef WEIR_MASTER_SERVICE_H
#define WEIR_MASTER_SERVICE_H

#include "common/base/panic.h"
#include "master/kept.h"

/* Each does nothing when nobody asked to be told (NOTIFY_SOCKET). */
void service_ready(const struct kept *k, const char *fmt, ...) PRINTF(2, 3);
/* A check begins: READY has to follow, whatever its end is. */
void service_reloading(const struct kept *k);
void service_stopping(const struct kept *k);
/* This process is the one to watch: after going into the background, and when it adopts workers. */
void service_main_pid(const struct kept *k);

#endif
