/* SPDX-License-Identifier: BSD-2-Clause */
/* proc.h - what a process is to the system: title, user, limits, CPUs, start time. */
#ifndef WEIR_SYS_PROC_H
#define WEIR_SYS_PROC_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"

/* Call once, first thing in main: moves the environment so that the whole argv area can hold a title. */
void proc_title_init(int argc, char **argv);
/* Shown by ps; also PR_SET_NAME with the first word (up to ':' or blank). */
void proc_set_title(const char *fmt, ...) PRINTF(1, 2);
/* Name in /proc/PID/comm only. */
void proc_set_name(const char *name);

/* initgroups, setgid, setuid; keeps PR_SET_DUMPABLE (core files) and CAP_NET_RAW (foreign source addresses) when asked. */
bool proc_drop_user(uid_t uid, gid_t gid, const char *user, bool dumpable, bool net_raw,
                    struct error *err);
bool proc_no_new_privs(void);
bool proc_set_nofile(uint64_t n, struct error *err);
bool proc_set_core(uint64_t bytes, struct error *err);
uint64_t proc_get_nofile(void);
/* CPUs that this process may use: affinity mask and cgroup quota (v1, v2) considered; at least 1. */
unsigned proc_cpus(void);
/* `mask`: bit i of word i/64 is CPU i. */
bool proc_set_affinity(const uint64_t *mask, size_t words);
/* Field 22 of /proc/PID/stat (start time in ticks); 0 when there is no such process, or one that has ended and that
 * nobody has waited for. */
uint64_t proc_start_time(pid_t pid);
/* Whether the process that had this start time, not 0, still runs. */
bool proc_lives(pid_t pid, uint64_t start_time);
/* pidfd_open(2) and pidfd_send_signal(2); -1 with errno. */
int proc_pidfd(pid_t pid);
int proc_pidfd_signal(int pidfd, int sig);

#endif
