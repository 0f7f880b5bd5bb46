/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.h - time, read once per turn of the loop. Deadlines and what zones hold are monotonic; wall time is for
 * people and protocols.
 */
#ifndef WEIR_SYS_CLOCK_H
#define WEIR_SYS_CLOCK_H

#include <stdint.h>
#include <time.h>

/* As of the last clock_update(). */
extern uint64_t clock_ms;      /* monotonic, comparable across processes, not across reboots */
extern uint64_t clock_wall_ms; /* since 1970 */

/* One clock_gettime (coarse) for both; called by the loop when a wait returns. */
void clock_update(void);
/* Exact, a system call through the vDSO: microseconds, monotonic. */
uint64_t clock_now_us(void);

/* Cached texts of the current second, refreshed when it changes. Borrowed until the next clock_update. */
struct str;
struct str clock_http_date(void);  /* "Fri, 20 Nov 2026 12:00:00 GMT" (RFC 9110, 5.6.7) */
struct str clock_log_time(void);   /* "20/Nov/2026:12:00:00 +0000" */
struct str clock_error_time(void); /* "2026/11/20 12:00:00" */
struct str clock_iso8601(void);    /* "2026-11-20T12:00:00+00:00" */

#endif
