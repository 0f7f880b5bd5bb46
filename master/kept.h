/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kept.h - what the first start was given and every later image needs: arguments, environment, the binary's path,
 * umask, working directory, descriptor limit (ARCHITECTURE.md 9).
 */
#ifndef WEIR_MASTER_KEPT_H
#define WEIR_MASTER_KEPT_H

#include <sys/types.h>

#include "common/base/error.h"

struct kept {
    int argc;
    char **argv;  /* as typed, without --handoff and --preflight; NULL at the end */
    char **env;   /* without LISTEN_* and NGINX */
    char *binary; /* absolute path of argv[0], links not followed: opened anew for each reload */
    int cwd_fd;   /* O_PATH */
    mode_t umask;
    uint64_t nofile;   /* soft descriptor limit at the start, which children get back */
    unsigned sd_count; /* sockets 3 .. 3+n-1 from systemd, consumed */
    char *nginx_fds;   /* value of NGINX= from a running nginx, or NULL */
};

/*
 * Copies everything, as titles overwrite argv; takes LISTEN_* and NGINX out of the environment. Before
 * proc_title_init.
 */
bool kept_init(struct kept *k, int argc, char **argv, struct error *err);
/* Raises the soft descriptor limit to the hard one; k->nofile remembers the old. */
void kept_raise_nofile(struct kept *k);
/* The arguments with `option` behind argv[0], for an image that takes over; NULL when memory is out. */
char **kept_argv_with(const struct kept *k, char *option);
/* The value in the kept environment, or NULL. */
const char *kept_getenv(const struct kept *k, const char *name);

#endif
