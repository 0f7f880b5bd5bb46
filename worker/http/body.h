/* SPDX-License-Identifier: BSD-2-Clause */
/* body.h - sources of memory and files. NULL: memory is out. */
#ifndef WEIR_HTTP_BODY_H
#define WEIR_HTTP_BODY_H

#include "worker/core/exchange.h"

struct open_file;

struct source *body_mem(struct exchange *x,
                        struct str bytes); /* borrowed from the cycle or x's arena */
/* FILE if wanted, else reads, `aio` included. Takes a reference of f until stop; small cached bodies come from memory. */
struct source *body_file(struct exchange *x, struct open_file *f, uint64_t at, uint64_t len);
/* For filters that look at bytes: kinds = MEM, no room. */
enum pull body_pull_mem(struct source *below, struct batch *in);

#endif
