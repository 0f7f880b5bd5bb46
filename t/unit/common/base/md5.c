/* SPDX-License-Identifier: BSD-2-Clause */
/* md5.c - the test suite of RFC 1321, A.5, and lengths around a block's end. */
#include "common/base/md5.h"

#include "test.h"

#include "common/base/text.h"

static const struct {
    const char *text, *digest;
} rows[] = {
    { "", "d41d8cd98f00b204e9800998ecf8427e" },
    { "a", "0cc175b9c0f1b6a831c399e269772661" },
    { "abc", "900150983cd24fb0d6963f7d28e17f72" },
    { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
    { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
    { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
      "d174ab98d277d9f5a5611c2c9f419d9f" },
    { "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "57edf4a22be3c955ac49da2e2107b67a" },
    { "1234567890123456789012345678901234567890123456789012345",
      "c9ccf168914a1bcfc3229f1948e67da0" },
    { "12345678901234567890123456789012345678901234567890123456",
      "49f193adce178490e34d1b3a4ec0064c" },
    { "1234567890123456789012345678901234567890123456789012345678901234",
      "eb6c4179c0a7c82cc2828c1e6338e165" },
};

TEST(digests)
{
    EACH (rows, r) {
        uint8_t digest[MD5_SIZE];
        char mem[2 * MD5_SIZE + 1];
        struct text t;

        md5(str_c(r->text), digest);
        text_init_fixed(&t, mem, sizeof(mem));
        text_hex(&t, str_n((const char *)digest, sizeof(digest)));
        CHECK_STR(text_str(&t), r->digest, "%s", r->text);
    }
}
