/* SPDX-License-Identifier: BSD-2-Clause */
/* rand.h - random numbers: fast ones for choices, the kernel's for secrets. */
#ifndef WEIR_BASE_RAND_H
#define WEIR_BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

/* Seeds itself from the kernel; rand_after_fork() makes a child's sequence its own. Not for secrets. */
uint64_t rand_u64(void);
/* 0 .. n-1 without bias; n > 0. */
uint32_t rand_below(uint32_t n);
void rand_after_fork(void);
/* From getrandom(2). */
void rand_bytes(void *to, size_t n);

#endif
