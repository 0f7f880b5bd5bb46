/* SPDX-License-Identifier: BSD-2-Clause */
/* crc32c.c - the examples of RFC 3720, appendix B.4, and parts against the whole. */
#include "common/base/crc32c.h"

#include "t/unit/test.h"

TEST(examples_of_the_rfc)
{
    uint8_t mem[32];

    CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
    memset(mem, 0, sizeof(mem));
    CHECK_EQ(crc32c(0, mem, sizeof(mem)), 0x8a9136aa);
    memset(mem, 0xff, sizeof(mem));
    CHECK_EQ(crc32c(0, mem, sizeof(mem)), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(mem); i++)
        mem[i] = (uint8_t)i;
    CHECK_EQ(crc32c(0, mem, sizeof(mem)), 0x46dd794e);
    CHECK_EQ(crc32c(0, NULL, 0), 0);
}

TEST(parts_make_the_whole)
{
    char mem[100];

    for (unsigned i = 0; i < sizeof(mem); i++)
        mem[i] = (char)(i * 37);
    for (size_t cut = 0; cut <= sizeof(mem); cut++)
        CHECK_EQ(crc32c(crc32c(0, mem, cut), mem + cut, sizeof(mem) - cut),
                 crc32c(0, mem, sizeof(mem)), "%zu", cut);
}
