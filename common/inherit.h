/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inherit.h - all that a child gets from the master, in one struct. Nothing else is global.
 */
#ifndef WEIR_INHERIT_H
#define WEIR_INHERIT_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/vec.h"
#include "common/conf/config.h"

/* A socket that listens, or one of a reuseport group. */
struct listen_socket {
    int fd;
    struct addr addr;
    int type;
    uint32_t index; /* in its reuseport group, in order of listen(); 0 otherwise */
    bool reuseport;
    bool surplus; /* of a group: beyond the workers of now, tended all the same */
    const struct listen_spec
        *spec; /* of this configuration; NULL: only another generation names it */
};

struct inherit {
    struct config *config;
    struct vec
        listeners; /* of struct listen_socket: all, also those that this child does not tend */
    int ctl_fd;    /* the control listener; touched only when the master is dead; -1: none */
    int channel_fd;
    pid_t master_pid;
    int master_pidfd; /* opened in the child right after fork; -1: not supported */
    uint32_t slot;
    uint64_t incarnation;
    const struct slot_table *slots; /* read-only mapping */
    int slots_fd;                   /* opened read-only */
    int state_fd; /* the sealed hand-over text of this generation; -1 without master_process */
    uint64_t generation;
    uint32_t index, count;             /* worker `index` of `count` */
    const struct process_def *process; /* NULL: a worker */
};

#endif
