/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * json.h - writes JSON (RFC 8259) into a text; commas and nesting are its business.
 */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "common/base/text.h"

struct json {
    struct text *to;
    uint32_t depth;
    bool comma; /* the next value needs one in front */
};

void json_begin(struct json *j, struct text *to);
void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
void json_key(struct json *j, struct str key);
void json_str(struct json *j, struct str s);
void json_u64(struct json *j, uint64_t n);
void json_i64(struct json *j, int64_t n);
void json_bool(struct json *j, bool b);
void json_null(struct json *j);

#endif
