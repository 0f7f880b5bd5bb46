/* SPDX-License-Identifier: BSD-2-Clause */
/* crc32c.c - CRC-32C: eight table look-ups per eight bytes, or the instruction of SSE 4.2 and ARMv8. */
#include "common/base/crc32c.h"

#include <string.h>

#include "common/base/word.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

static uint32_t table[8][256]; /* table[k][b]: byte b followed by k zero bytes */

static __attribute__((constructor)) void
table_init(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;

        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        table[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (unsigned k = 1; k < 8; k++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

static uint32_t
by_table(uint32_t crc, const char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w = word_load(p) ^ crc;

        crc = table[7][w & 0xff] ^ table[6][w >> 8 & 0xff] ^ table[5][w >> 16 & 0xff] ^
              table[4][w >> 24 & 0xff] ^ table[3][w >> 32 & 0xff] ^ table[2][w >> 40 & 0xff] ^
              table[1][w >> 48 & 0xff] ^ table[0][w >> 56];
    }
    for (; n > 0; n--, p++)
        crc = crc >> 8 ^ table[0][(crc ^ (uint8_t)*p) & 0xff];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t
by_cpu(uint32_t crc, const char *p, size_t n)
{
    uint64_t c = crc;

    for (; n >= 8; n -= 8, p += 8)
        c = __builtin_ia32_crc32di(c, word_load(p));
    for (; n > 0; n--, p++)
        c = __builtin_ia32_crc32qi((uint32_t)c, (uint8_t)*p);
    return (uint32_t)c;
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
static uint32_t
by_cpu(uint32_t crc, const char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8)
        crc = __crc32cd(crc, word_load(p));
    for (; n > 0; n--, p++)
        crc = __crc32cb(crc, (uint8_t)*p);
    return crc;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2"))
        return ~by_cpu(~crc, bytes, n);
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
    return ~by_cpu(~crc, bytes, n);
#endif
    return ~by_table(~crc, bytes, n);
}
