/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * forwarded.c - fuzz target for the field Forwarded. The input is what clients sent, the field before a proxy added its
 * element: whatever stands there, the last hop of a line that can be read is the proxy's.
 */
#include "common/base/panic.h"
#include "worker/http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
append_and_read(struct arena *a, struct str line, const char *ip)
{
    struct addr client, found;
    struct text t;
    struct vec hops;
    char shown[ADDR_TEXT_MAX];

    ASSERT(addr_parse_ip(str_c(ip), &client));
    text_init(&t, a);
    text_add(&t, line);
    TEXT_LIT(&t, ", ");
    forwarded_write(&t, &client, S("a \"host\":1"), S("https"));
    vec_init(&hops, a, sizeof(struct forwarded));
    if (!forwarded_parse(text_str(&t), &hops))
        return;
    ASSERT(hops.len > 0 && hops.len <= FORWARDED_MAX);
    ASSERT(forwarded_addr(VEC_AT(&hops, struct forwarded, hops.len - 1), &found));
    ASSERT(str_eq(str_n(shown, addr_format_ip(&found, shown)), str_c(ip)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str line = str_n((const char *)data, size);
    struct arena a;
    struct vec hops;

    arena_init(&a, 1024);
    vec_init(&hops, &a, sizeof(struct forwarded));
    (void)forwarded_parse(line, &hops);
    VEC_FOREACH (hop, struct forwarded, &hops) {
        struct addr found;

        (void)forwarded_addr(hop, &found);
    }
    append_and_read(&a, line, "203.0.113.7");
    append_and_read(&a, line, "2001:db8::7");
    arena_free(&a);
    return 0;
}
