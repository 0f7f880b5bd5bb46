/* SPDX-License-Identifier: BSD-2-Clause */
/* certs_command.h - `weirctl certs`: the certificates in use, as a table or in JSON. */
#ifndef WEIR_MASTER_CERTS_COMMAND_H
#define WEIR_MASTER_CERTS_COMMAND_H

#include <stdbool.h>

#include "common/base/str.h"

/*
 * Shows all pages. `ask` gives the master's answer to a command, behind "ok ", borrowed until the next one; ptr NULL: it
 * has said why there is none. False when that happened.
 */
bool certs_show(struct str (*ask)(void *data, const char *command), void *data, bool json);

#endif
