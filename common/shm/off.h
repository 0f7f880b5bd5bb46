/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * off.h - offsets into a zone in place of pointers: generations map a zone at different addresses.
 */
#ifndef WEIR_SHM_OFF_H
#define WEIR_SHM_OFF_H

#include <stdint.h>

struct zone;
typedef uint64_t off; /* bytes from the zone's start; 0: none */

/* The object of `size` bytes at `o`; NULL when it is 0, misaligned (8) or does not lie inside the zone: 'corrupt'. */
void *off_get(struct zone *z, off o, uint64_t size);
off off_of(struct zone *z, const void *p);
#define OFF_GET(z, o, type) ((type *)off_get((z), (o), sizeof(type)))

#endif
