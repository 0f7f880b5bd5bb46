/* SPDX-License-Identifier: BSD-2-Clause */
/* explain_client.h - the client of a request that is explained: the other end of a pair of sockets. */
#ifndef WEIR_EXPLAIN_CLIENT_H
#define WEIR_EXPLAIN_CLIENT_H

#include "common/event/loop.h"

/*
 * Sends `preface` as it is, then `head`, with `tls` through a handshake that asks for `name`. The loop is stopped when
 * the response's head has come, which becomes the fact "response", or when none will come, which is told. Takes fd; the
 * rest is borrowed. False: it could not be set up.
 */
bool explain_client_start(int fd, struct str preface, bool tls, struct str name, struct str head);

#endif
