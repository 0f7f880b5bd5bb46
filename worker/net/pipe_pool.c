/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe_pool.c - a bounded stack of empty pipes. */
#include "worker/net/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/sys/fd.h"

enum { PIPES_KEPT = 64 };

static struct {
    int fds[2];
} kept[PIPES_KEPT];
static unsigned kept_count;

bool
pipe_get(int fds[2])
{
    if (kept_count > 0) {
        kept_count--;
        fds[0] = kept[kept_count].fds[0];
        fds[1] = kept[kept_count].fds[1];
        return true;
    }
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) {
        fds[0] = fds[1] = -1;
        return false;
    }
    /* Above the user's share of pipe memory the ordinary size stays. */
    (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
    return true;
}

bool
pipe_pool_drop(void)
{
    if (kept_count == 0)
        return false;
    kept_count--;
    fd_close(&kept[kept_count].fds[0]);
    fd_close(&kept[kept_count].fds[1]);
    return true;
}

void
pipe_put(int fds[2], bool clean)
{
    if (clean && fds[0] != -1 && kept_count < PIPES_KEPT) {
        kept[kept_count].fds[0] = fds[0];
        kept[kept_count].fds[1] = fds[1];
        kept_count++;
        fds[0] = fds[1] = -1;
        return;
    }
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}
