/* SPDX-License-Identifier: BSD-2-Clause */
/* type_set.h - sets of media types: addition_types, sub_filter_types, gzip_types ... */
#ifndef WEIR_HTTP_TYPE_SET_H
#define WEIR_HTTP_TYPE_SET_H

#include "common/base/hash.h"
#include "common/base/text.h"
#include "common/conf/directive.h"

struct type_set {
    struct hash *types; /* lower case; NULL: text/html alone */
    bool any;           /* "*" */
};

/* Every argument a media type, or "*". text/html is always in it, as in nginx. Field: struct type_set, I_LIST. */
bool conf_set_types(struct conf_load *l, const struct directive *d, struct conf_node *n,
                    void *conf);
/* Parameters of the type (after ';') do not count. */
bool type_set_has(const struct type_set *s, struct str content_type);

#endif
