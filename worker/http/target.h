/* SPDX-License-Identifier: BSD-2-Clause */
/* target.h - request targets (RFC 9112, 3.2; RFC 3986): split, normalise, check. Pure. */
#ifndef WEIR_HTTP_TARGET_H
#define WEIR_HTTP_TARGET_H

#include "common/base/text.h"

enum target_form { TARGET_ORIGIN, TARGET_ABSOLUTE, TARGET_AUTHORITY, TARGET_ASTERISK, TARGET_BAD };
struct target {
    enum target_form form;
    struct str scheme, authority; /* of absolute and authority form */
    struct str path, query;       /* as sent; query without '?' */
    bool has_query;
};
struct target target_parse(struct str text);
/* Whether normalising changes nothing for sure: then nothing needs to be copied. */
bool target_is_plain(struct str path, bool merge_slashes);
/*
 * Decodes %XX, resolves "." and "..", joins slashes when asked, cuts a fragment. False: leads above the root, contains
 * NUL (%00) or a broken escape. *plain: the result equals the bytes as sent.
 */
bool target_normalise(struct str path, bool merge_slashes, struct text *to, bool *plain);
/* host[:port]: lower case host without trailing dot; port -1 when absent. False: not a valid authority. */
bool authority_parse(struct str text, struct arena *a, struct str *host, int *port);

#endif
