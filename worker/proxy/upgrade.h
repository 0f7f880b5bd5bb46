/* SPDX-License-Identifier: BSD-2-Clause */
/* upgrade.h - tunnels after 101 (RFC 9110, 7.8); an inner wall. */
#ifndef WEIR_PROXY_UPGRADE_H
#define WEIR_PROXY_UPGRADE_H

#include "worker/proxy/proxy.h"

/*
 * The origin has answered 101. False: nobody asked for it, or the client's protocol cannot tunnel (502). From here on
 * both bodies are raw: the origin's until it closes, the client's until it shuts its half.
 */
bool upgrade_begin(struct proxy_exchange *p);

#endif
