/* SPDX-License-Identifier: BSD-2-Clause */
/* watchdog.h - reports a worker that does not come back to its event loop. */
#ifndef WEIR_WATCHDOG_H
#define WEIR_WATCHDOG_H

#include <stdint.h>

/*
 * From now on, when the loop has not turned for `threshold_ms` (0: never), one line with a backtrace goes to the error
 * log, from a signal while the process is still stuck. Failure to set it up is logged and harmless.
 */
void watchdog_start(uint64_t threshold_ms);

#endif
