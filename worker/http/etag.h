/* SPDX-License-Identifier: BSD-2-Clause */
/* etag.h - entity tags (RFC 9110, 8.8.3). Pure. */
#ifndef WEIR_HTTP_ETAG_H
#define WEIR_HTTP_ETAG_H

#include "common/base/arena.h"

/* nginx's form: "\"%xT-%xT\"" of modification time and size. */
struct str etag_make(struct arena *a, int64_t mtime, uint64_t size);
/* Whether an If-Match / If-None-Match list has it ("*" always); weak comparison ignores W/. */
bool etag_in_list(struct str list, struct str etag, bool weak);

#endif
