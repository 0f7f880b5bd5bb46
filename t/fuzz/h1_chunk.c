/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_chunk.c - fuzz target: the chunked coding. The same bytes give the same body, trailers and verdict however they are
 * split; nothing is read beyond what is given.
 *
 * Input: a byte that says how to split (0: not at all), then the coded bytes.
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

/* Decodes in steps; what lies behind the end is not counted. */
static enum h1_chunk
decode(struct str in, size_t step, struct text *body, struct fields *trailers, size_t *used)
{
    struct h1_chunked c = { .trailers = trailers };
    enum h1_chunk got = CHUNK_MORE;

    *used = 0;
    while (in.len > 0 && got == CHUNK_MORE) {
        struct str piece = str_upto(in, step < in.len ? step : in.len), rest = piece, data;

        in = str_from(in, piece.len);
        do {
            got = h1_chunk_next(&c, &rest, &data);
            if (got == CHUNK_DATA) {
                must(data.len > 0 && data.ptr >= piece.ptr &&
                         data.ptr + data.len <= piece.ptr + piece.len,
                     "data outside of the input");
                text_add(body, data);
            }
        } while (got == CHUNK_DATA);
        *used += piece.len - rest.len;
        must(got != CHUNK_MORE || rest.len == 0, "not all was used up");
    }
    return got;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in;
    struct fields one, other;
    struct text whole, split;
    struct arena a;
    size_t used, used_split;
    enum h1_chunk verdict;

    if (size < 1 || size > 65536)
        return 0;
    in = str_n((const char *)data + 1, size - 1);
    arena_init(&a, 4096);
    fields_init(&one, &a);
    fields_init(&other, &a);
    text_init(&whole, &a);
    text_init(&split, &a);
    verdict = decode(in, SIZE_MAX, &whole, &one, &used);
    must(decode(in, data[0] > 0 ? data[0] : SIZE_MAX, &split, &other, &used_split) == verdict,
         "another verdict");
    must(str_eq(text_str(&whole), text_str(&split)), "another body");
    must(used == used_split, "other bytes used");
    must(one.n == other.n, "other trailers");
    for (uint16_t i = 0; i < one.n; i++)
        must(str_eq(one.at[i].name, other.at[i].name) &&
                 str_eq(one.at[i].value, other.at[i].value) && field_name_valid(one.at[i].name) &&
                 field_value_valid(one.at[i].value),
             "other trailers");
    arena_free(&a);
    return 0;
}
