/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe_pool.h - pipes for splice, kept for reuse: to make one costs more than to fill it. */
#ifndef WEIR_NET_PIPE_POOL_H
#define WEIR_NET_PIPE_POOL_H

#include <stdbool.h>

enum { PIPE_BYTES = 256 << 10 /* capacity that is asked for; the system may give less */ };

/* fds[0] is read, fds[1] written; both non-blocking. False with errno. */
bool pipe_get(int fds[2]);
/* Back to the pool when it is `clean` (empty), else closed; both become -1. Harmless on -1. */
void pipe_put(int fds[2], bool clean);
/* Closes one that is kept; false: none is. */
bool pipe_pool_drop(void);

#endif
