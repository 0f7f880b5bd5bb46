/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_response.c - fuzz target: response heads of origins. What is accepted has a status, one framing, and fields in which
 * no line can end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/h1/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str head = str_n((const char *)data, size);
    struct h1_response_head h;
    struct fields f;
    struct arena a;
    uint32_t i = 0;

    if (size > 4096)
        return 0;
    arena_init(&a, 1024);
    fields_init(&f, &a);
    if (h1_parse_response(head, &h, &f) == NULL) {
        must(h.status >= 100 && h.status <= 999, "no status");
        must(field_value_valid(h.reason), "an odd reason");
        must(fields_get(&f, FIELD_CONTENT_LENGTH) == NULL ||
                 fields_get(&f, FIELD_TRANSFER_ENCODING) == NULL,
             "two framings");
        for (const struct field *one; (one = fields_each(&f, &i)) != NULL;)
            must(field_value_valid(one->value) && field_name_valid(one->name), "an odd field");
    }
    arena_free(&a);
    return 0;
}
