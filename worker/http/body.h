/* SPDX-License-Identifier: BSD-2-Clause */
/* body.h - sources of memory and files: the two producers that every content handler needs. */
#ifndef WEIR_HTTP_BODY_H
#define WEIR_HTTP_BODY_H

#include "worker/core/exchange.h"

struct open_file;

/* Borrowed from the cycle or x's arena. NULL: memory is out. */
struct source *body_mem(struct exchange *x, struct str bytes);
/*
 * Bytes [at, at + len) of a file of an HTTP exchange: as FILE pieces if they are wanted, else read; with `aio threads`
 * what is not in the page cache is read by a thread. Small cached bodies come from memory. Takes a reference of f until
 * stop. NULL: memory is out.
 */
struct source *body_file(struct exchange *x, struct open_file *f, uint64_t at, uint64_t len);
/* Makes a source that can (those above, slices) give bytes [at, at + len) of its body next, and then END: for ranges.
 * Between pulls, also after END. False: it cannot, and nothing has changed. */
bool body_seek(struct source *s, uint64_t at, uint64_t len);
/* For filters that look at bytes: kinds = MEM, no room. */
enum pull body_pull_mem(struct source *below, struct batch *in);

#endif
