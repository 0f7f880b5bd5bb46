/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_request.c - fuzz target: request heads.
 *
 * Where a head ends does not depend on how its bytes come; what is accepted has one framing, parts that lie within it and
 * nothing in them that could end a line; no prefix of it is refused; and written anew from its parts it reads the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "worker/h1/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = { .max_fields = 100, .ignore_invalid_names = true };

static void
must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static size_t
head_end_by_bytes(struct str all, size_t step)
{
    size_t scanned = 0;

    for (size_t n = 0;; n += step) {
        size_t end = h1_head_end(str_upto(all, n < all.len ? n : all.len), &scanned);

        if (end > 0 || n >= all.len)
            return end;
    }
}

static void
check_part(struct str head, struct str part)
{
    must(part.ptr >= head.ptr && part.ptr + part.len <= head.ptr + head.len, "outside of the head");
    for (size_t i = 0; i < part.len; i++)
        must(part.ptr[i] != '\r' && part.ptr[i] != '\n' && part.ptr[i] != '\0',
             "a line ends in it");
}

static void
check_again(struct arena *a, const struct h1_request_head *h, const struct fields *f)
{
    struct h1_request_head again;
    struct fields fields;
    struct text t;
    uint32_t i = 0;
    int status;

    text_init(&t, a);
    text_fmt(&t, "%.*s %.*s HTTP/1.%c\r\n", STR(h->method), STR(h->target),
             h->version == HTTP_10 ? '0' : '1');
    for (const struct field *one; (one = fields_each(f, &i)) != NULL;)
        text_fmt(&t, "%.*s: %.*s\r\n", STR(one->name), STR(one->value));
    TEXT_LIT(&t, "\r\n");
    fields_init(&fields, a);
    must(h1_parse_request(text_str(&t), &limits, &again, &fields, &status) == NULL, "refused anew");
    must(again.framing == h->framing && again.length == h->length &&
             again.keepalive == h->keepalive && fields.n == f->n,
         "reads differently");
}

static void
check_accepted(struct arena *a, struct str head, const struct h1_request_head *h,
               const struct fields *f)
{
    struct h1_request_head ignored;
    uint32_t i = 0;
    int status;

    check_part(head, h->line);
    check_part(head, h->method);
    check_part(head, h->target);
    must(h->target.len > 0 && h->method.len > 0, "empty parts");
    for (const struct field *one; (one = fields_each(f, &i)) != NULL;) {
        check_part(head, one->name);
        check_part(head, one->value);
        must(field_value_valid(one->value) && field_name_valid(one->name), "an odd field");
    }
    must(fields_get(f, FIELD_CONTENT_LENGTH) == NULL ||
             fields_get(f, FIELD_TRANSFER_ENCODING) == NULL,
         "two framings");
    for (size_t n = 0; n < head.len; n++)
        must(h1_check_start(str_upto(head, n), &ignored, &status) == NULL, "a prefix is refused");
    check_again(a, h, f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_n((const char *)data, size), head;
    struct h1_request_head h;
    struct fields f;
    struct arena a;
    size_t scanned = 0, end = h1_head_end(all, &scanned);
    int status = 0;

    if (size > 4096)
        return 0;
    must(head_end_by_bytes(all, 1) == end && head_end_by_bytes(all, 7) == end,
         "the end depends on the splitting");
    head =
        end > 0 ? str_upto(all, end) : all; /* what is no complete head is no reason to stumble */
    arena_init(&a, 1024);
    fields_init(&f, &a);
    if (h1_parse_request(head, &limits, &h, &f, &status) == NULL && end > 0)
        check_accepted(&a, head, &h, &f);
    arena_free(&a);
    return 0;
}
