/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe_pool.h - pipes for splice, kept for the next use. */
#ifndef WEIR_NET_PIPE_POOL_H
#define WEIR_NET_PIPE_POOL_H

#include <stdbool.h>

/* A non-blocking pipe with 1 MB of room where the system allows it: [0] to read, [1] to write. False: errno. */
bool pipe_get(int fds[2]);
/* Back to the pool when it is empty, else closed. */
void pipe_put(int fds[2], bool empty);

#endif
