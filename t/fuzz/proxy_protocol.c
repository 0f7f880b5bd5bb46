/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_protocol.c - fuzz target for headers of the PROXY protocol: whatever comes, the parser stays within its bytes;
 * a header is complete at one length only, and what it holds can be asked for.
 */
#include "common/base/panic.h"
#include "worker/net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
ask(const struct proxy_protocol *p)
{
    static const char *const names[] = { "alpn",        "authority",   "unique_id",   "ssl",
                                         "netns",       "ssl_version", "ssl_cn",      "ssl_cipher",
                                         "ssl_sig_alg", "ssl_key_alg", "ssl_0x22",    "0xff",
                                         "0x",          "nothing",     "ssl_nothing", "ssl_" };
    char text[ADDR_TEXT_MAX];
    uint32_t verify;
    size_t sum = 0;

    sum += addr_format(&p->client, true, text) + addr_format(&p->server, true, text);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = proxy_protocol_tlv_named(p->tlvs, str_c(names[i]));

        for (size_t j = 0; j < value.len; j++)
            sum += (unsigned char)value.ptr[j];
    }
    if (proxy_protocol_ssl_verify(p->tlvs, &verify))
        sum += verify;
    ASSERT(p->version == 1 || p->version == 2);
    ASSERT(sum < SIZE_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_n((const char *)data, size);
    struct proxy_protocol p, again;
    size_t len, len_again;

    if (proxy_protocol_parse(in, &p, &len) != PROXY_DONE)
        return 0;
    ASSERT(len <= size && len <= PROXY_HEADER_MAX);
    ask(&p);
    ASSERT(proxy_protocol_parse(str_upto(in, len), &again, &len_again) == PROXY_DONE);
    ASSERT(len == len_again && p.tlvs.len == again.tlvs.len);
    for (size_t i = 0; i < len; i++)
        ASSERT(proxy_protocol_parse(str_upto(in, i), &again, &len_again) == PROXY_MORE);
    return 0;
}
