/* SPDX-License-Identifier: BSD-2-Clause */
/* forwarded.h - the field Forwarded (RFC 7239): taken apart and written. */
#ifndef WEIR_HTTP_FORWARDED_H
#define WEIR_HTTP_FORWARDED_H

#include "common/base/text.h"
#include "common/base/vec.h"
#include "common/sys/addr.h"

/* One element: a hop. */
struct forwarded {
    struct str
        client; /* of `for`, as it stands in the line but for quotes around it; ptr NULL: not told */
};
enum { FORWARDED_MAX = 256 }; /* elements; more are malformed */

/*
 * The elements of one field line, appended to `hops` (of struct forwarded) in the order of the text: the client first,
 * the nearest proxy last. False: the line is malformed, or memory is out; what was appended says nothing then.
 */
bool forwarded_parse(struct str line, struct vec *hops);
/* The address of a hop (RFC 7239, 6), port 0 when it is hidden or not told. False: unknown, hidden or no address. */
bool forwarded_addr(const struct forwarded *hop, struct addr *a);
/* Appends the element `for=...;host=...;proto=...`; without a client `for=unknown`, without a host none. */
void forwarded_write(struct text *t, const struct addr *client, struct str host, struct str proto);

#endif
