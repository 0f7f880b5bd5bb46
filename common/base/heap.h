/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h - malloc for many small pieces of the process's one loop thread: OpenSSL allocates from here.
 *
 * Pieces of one size lie side by side in slabs, without a header each. A slab whose pieces are all free serves any other
 * size, and its memory goes back to the system when it was not wanted for a while. Whatever the heap does not serve comes
 * from malloc, and heap_free() knows it: requests of more than 32 kB, those of other threads, all of them before
 * heap_init() and where it returns false.
 */
#ifndef WEIR_BASE_HEAP_H
#define WEIR_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Reserves addresses (no memory yet) for the thread that calls it, which is the one that serves. False: all comes from
 * malloc, because no addresses are left or a memory checker looks on (AddressSanitizer, valgrind), which knows malloc
 * only. The addresses are left out of core files.
 */
bool heap_init(void);

/* Aligned to 16 bytes. NULL: memory is out, or none was asked for. */
void *heap_alloc(size_t bytes);
/* As realloc: NULL gets a new piece; 0 bytes free it, and NULL comes back. Failure leaves the old one as it is. */
void *heap_realloc(void *p, size_t bytes);
/*
 * NULL is harmless, and any thread may free any piece: those that another thread frees wait until the loop's thread wants
 * memory. What is no piece in use, twice freed ones included, is a panic.
 */
void heap_free(void *p);

/*
 * In a forked child that goes on: its pieces come from slabs of its own, so that it writes into no page that it shares
 * with its parent. Inherited pieces stay valid, and are not used again once freed.
 */
void heap_after_fork(void);

/* Bytes of slabs that nobody uses and that are still memory. Cheap: for a look at each turn. */
size_t heap_spare(void);
/*
 * Gives back to the system what was spare all the time since the last call, except `keep` bytes. True: there is more of
 * it, for the next call, so that none blocks for long.
 */
bool heap_trim(size_t keep);

#endif
