/* SPDX-License-Identifier: BSD-2-Clause */
/* core_dump.h - core files without secrets. */
#ifndef WEIR_SYS_CORE_DUMP_H
#define WEIR_SYS_CORE_DUMP_H

/*
 * From here on a core file of this process, and of those that it forks, has stacks and registers for a debugger, but
 * nothing of the heap and of shared memory, where keys are. Until a crash the soft limit of core files is 1 byte, so that
 * there is none at all when hiding fails; the limit of now holds for what is hidden. Again after that limit was set.
 */
void core_dump_hide_memory(void);
/* Before another program is executed: its limit is the one that was there. */
void core_dump_restore_limit(void);

#endif
