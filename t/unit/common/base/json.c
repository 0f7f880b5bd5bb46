/* SPDX-License-Identifier: BSD-2-Clause */
/* json.c - the JSON writer. */
#include "common/base/json.h"

#include "t/unit/test.h"

TEST(nesting_and_commas)
{
    struct text t;
    struct json j;

    text_init(&t, NULL);
    json_begin(&j, &t);
    json_object(&j);
    json_key(&j, S("a\""));
    json_array(&j);
    json_u64(&j, UINT64_MAX);
    json_i64(&j, -1);
    json_object(&j);
    json_object_end(&j);
    json_array(&j);
    json_array_end(&j);
    json_str(&j, S("x\n"));
    json_array_end(&j);
    json_key(&j, S("b"));
    json_bool(&j, true);
    json_key(&j, S("c"));
    json_null(&j);
    json_object_end(&j);
    CHECK_EQ(j.depth, 0);
    CHECK_STR(text_str(&t),
              "{\"a\\\"\":[18446744073709551615,-1,{},[],\"x\\n\"],\"b\":true,\"c\":null}");
    text_free(&t);
}

TEST(closing_what_is_not_open_ends_the_process)
{
    struct text t;
    struct json j;

    text_init(&t, NULL);
    json_begin(&j, &t);
    CHECK_DIES(json_array_end(&j));
    text_free(&t);
}
