/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syslog.h - messages to a syslog server over UDP or a unix datagram socket, in the form of RFC 3164 (error and
 * access logs).
 */
#ifndef WEIR_LOG_SYSLOG_H
#define WEIR_LOG_SYSLOG_H

#include "common/base/arena.h"
#include "common/base/error.h"

struct syslog_target;

/*
 * `args` is what stands behind "syslog:": "server=ADDRESS[,facility=F][,tag=T][,severity=S][,nohostname]". A server
 * that is a name is looked up here, which blocks. NULL with nginx's message in err. Lives as long as the arena; its
 * socket is opened with the first message and closed with the arena.
 */
struct syslog_target *syslog_open(struct arena *a, struct str args, struct error *err);
/* The number of severity=, 6 (info) by default: for logs whose lines have no level of their own. */
unsigned syslog_severity(const struct syslog_target *s);
/* One message without '\n'. Never blocks and says nothing when it is lost. `severity` is 0 (emerg) .. 7 (debug). */
void syslog_send(struct syslog_target *s, unsigned severity, struct str message);

#endif
