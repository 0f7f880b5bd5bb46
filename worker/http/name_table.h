/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name_table.h - host names with and without masks, each with a value: "example.com", "*.example.com", ".example.com"
 * (both), "www.example.*". For map, valid_referers and their like.
 */
#ifndef WEIR_HTTP_NAME_TABLE_H
#define WEIR_HTTP_NAME_TABLE_H

#include "common/base/hash.h"

struct name_table {
    struct hash exact;
    struct hash leading; /* ".example.com" for *.example.com */
    struct hash ending;  /* "www.example." for www.example.* */
};

enum name_added { NAME_ADDED, NAME_INVALID, NAME_TWICE, NAME_NO_MEMORY };

void name_table_init(struct name_table *t, struct arena *a);
/* Case does not count; without `masks` each name is taken as it is. `value` is not NULL. */
enum name_added name_table_add(struct name_table *t, struct str name, bool masks, void *value);
/*
 * The value of a name in lower case: an exact one, else the longest leading mask, else the longest ending one; NULL when
 * there is none.
 */
void *name_table_find(const struct name_table *t, struct str name);

#endif
