/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_seal.c - records of both versions, each cipher, opened again by what the RFCs say. */
#include "worker/tls/tls_seal.h"

#include <linux/tls.h>
#include <openssl/evp.h>

#include "common/base/panic.h"
#include "test.h"

enum { LARGE = 16384 };

static struct suite {
    const char *name;
    uint16_t type;
    uint8_t key_len;
    bool explicit_nonce; /* in TLS 1.2 */
} suites[] = {
    { "AES-128-GCM", TLS_CIPHER_AES_GCM_128, 16, true },
    { "AES-256-GCM", TLS_CIPHER_AES_GCM_256, 32, true },
    { "ChaCha20-Poly1305", TLS_CIPHER_CHACHA20_POLY1305, 32, false },
};

/* Keys as the library gives them, all different; the first record's number is 255, so that the next one carries over. */
static struct side {
    const struct suite *suite;
    uint16_t version;
    unsigned char key[32], iv[12];
    uint64_t sequence;
    struct tls_seal seal;
} sides[2];

static void
put64(unsigned char *to, uint64_t n)
{
    for (int i = 8; i-- > 0; n >>= 8)
        to[i] = (unsigned char)n;
}

static bool
begin(struct side *s, const struct suite *suite, uint16_t version, unsigned char mark)
{
    unsigned char info[64] = { 0 }, *at = info + sizeof(struct tls_crypto_info);
    struct tls_crypto_info head = { .version = version, .cipher_type = suite->type };
    size_t salt = suite->explicit_nonce ? 4 : 0, rest = sizeof(s->iv) - salt;

    *s = (struct side){ .suite = suite, .version = version, .sequence = 255 };
    for (unsigned i = 0; i < sizeof(s->key); i++)
        s->key[i] = (unsigned char)(mark + i);
    for (unsigned i = 0; i < sizeof(s->iv); i++)
        s->iv[i] = (unsigned char)(mark + 100 + i);
    memset(s->iv + 4, 0xff, 8); /* an explicit nonce carries over too */
    memcpy(info, &head, sizeof(head));
    memcpy(at, s->iv + salt, rest);
    memcpy(at += rest, s->key, suite->key_len);
    memcpy(at += suite->key_len, s->iv, salt);
    put64(at + salt, s->sequence);
    return tls_seal_set(&s->seal, info);
}

/* Opens what lies in `record` as the peer does; the length of the text, with the type behind it in TLS 1.3. -1: forged. */
static int
peer_opens(struct side *s, const unsigned char *record, size_t size, unsigned char *text)
{
    bool old = s->version == TLS_1_2_VERSION;
    size_t nonce_len = old && s->suite->explicit_nonce ? 8 : 0;
    size_t len = size - 5 - nonce_len - 16;
    unsigned char nonce[12], data[13], number[8];
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->suite->name, NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n, data_len = 5;
    bool good;

    put64(number, s->sequence++);
    memcpy(nonce, s->iv, 12);
    for (unsigned i = 0; i < 8 && nonce_len == 0; i++)
        nonce[4 + i] ^= number[i];
    memcpy(nonce + 12 - nonce_len, record + 5, nonce_len);
    memcpy(data, record, 5);
    if (old) {
        memcpy(data, number, 8);
        memcpy(data + 8, record, 3);
        data[11] = (unsigned char)(len >> 8);
        data[12] = (unsigned char)len;
        data_len = 13;
    }
    good = EVP_DecryptInit_ex(ctx, cipher, NULL, s->key, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, data, data_len) == 1 &&
           EVP_DecryptUpdate(ctx, text, &n, record + 5 + nonce_len, (int)len) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, (void *)(record + size - 16)) == 1 &&
           EVP_DecryptFinal_ex(ctx, text + len, &n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
    return good ? (int)len : -1;
}

static void
check_record(struct side *s, enum tls_content type, const unsigned char *text, size_t len,
             bool in_place)
{
    static unsigned char record[LARGE + TLS_SEAL_HEAD_MAX + TLS_SEAL_TAIL_MAX], opened[LARGE + 32];
    bool new = s->version == TLS_1_3_VERSION;
    size_t size;

    memset(record, 0xee, sizeof(record));
    if (in_place)
        memcpy(record + s->seal.head, text, len);
    size = tls_seal_record(&s->seal, type, in_place ? record + s->seal.head : text, len, record);
    CHECK_EQ(size, s->seal.head + len + s->seal.tail);
    CHECK_EQ(record[0], new ? TLS_CONTENT_DATA : (int)type, "RFC 8446, 5.2: the type is hidden");
    CHECK(record[1] == 3 && record[2] == 3);
    CHECK_EQ((size_t)(record[3] << 8 | record[4]), size - 5);
    CHECK_EQ(peer_opens(s, record, size, opened), (int)len + new, "%s", s->suite->name);
    CHECK(memcmp(opened, text, len) == 0);
    if (new)
        CHECK_EQ(opened[len], type);
}

TEST(a_peer_opens_them)
{
    static unsigned char text[LARGE];

    for (unsigned i = 0; i < LARGE; i++)
        text[i] = (unsigned char)(i * 7 + (i >> 8));
    for (unsigned i = 0; i < ARRAY_LEN(suites); i++) {
        for (uint16_t version = TLS_1_2_VERSION; version <= TLS_1_3_VERSION; version++) {
            struct side *s = &sides[0];

            CHECK(begin(s, &suites[i], version, 1));
            check_record(s, TLS_CONTENT_DATA, text, 1, false);
            check_record(s, TLS_CONTENT_HANDSHAKE, text, 300, false);
            check_record(s, TLS_CONTENT_DATA, text, LARGE, false);
            check_record(s, TLS_CONTENT_DATA, text, LARGE, true);
            check_record(s, TLS_CONTENT_ALERT, text, 2, false);
            check_record(s, TLS_CONTENT_DATA, text, 0, false);
            tls_seal_clear(&s->seal);
        }
    }
}

TEST(connections_share_a_cipher)
{
    static const unsigned char text[] = "the text of one or the other";

    for (unsigned i = 0; i < ARRAY_LEN(suites); i++) {
        CHECK(begin(&sides[0], &suites[i], TLS_1_3_VERSION, 1));
        CHECK(begin(&sides[1], &suites[i], TLS_1_2_VERSION, 50));
        for (unsigned n = 0; n < 5; n++)
            check_record(&sides[n % 2], TLS_CONTENT_DATA, text, sizeof(text), false);
        /* One that ends leaves its place to another. */
        check_record(&sides[0], TLS_CONTENT_DATA, text, sizeof(text), false);
        tls_seal_clear(&sides[0].seal);
        CHECK(begin(&sides[0], &suites[i], TLS_1_3_VERSION, 90));
        check_record(&sides[0], TLS_CONTENT_DATA, text, sizeof(text), false);
        check_record(&sides[1], TLS_CONTENT_DATA, text, sizeof(text), false);
        tls_seal_clear(&sides[0].seal);
        tls_seal_clear(&sides[1].seal);
    }
}

TEST(what_is_not_known_is_left_to_the_library)
{
    static const struct suite other = { "?", TLS_CIPHER_AES_CCM_128, 16, true };
    struct side *s = &sides[0];

    CHECK(!begin(s, &other, TLS_1_3_VERSION, 1));
    CHECK(!tls_seal_has_keys(&s->seal));
    CHECK(!begin(s, &suites[0], 0x302, 1));
    CHECK(!begin(s, &suites[0], 0x305, 1));
    CHECK(!tls_seal_has_keys(&s->seal));
}

TEST(keys_are_forgotten)
{
    static const struct tls_seal nothing;
    struct side *s = &sides[0];

    CHECK(begin(s, &suites[1], TLS_1_3_VERSION, 1));
    CHECK(tls_seal_has_keys(&s->seal));
    tls_seal_clear(&s->seal);
    CHECK(memcmp(&s->seal, &nothing, sizeof(nothing)) == 0);
    tls_seal_clear(&s->seal);
}
