/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_seal.c - records that we send, sealed where they leave from.
 *
 * One context of each cipher serves all connections of the process: to set another key costs a twentieth of what a small
 * response costs, and an idle connection keeps 64 bytes.
 */
#include "worker/tls/tls_seal.h"

#include <linux/tls.h>
#include <openssl/evp.h>
#include <string.h>

#include "common/base/panic.h"

enum {
    TAG = 16,
    NONCE = 12,
    EXPLICIT_NONCE = 8, /* of AES-GCM in TLS 1.2 (RFC 5288, 3) */
    RECORD_HEAD = 5,
};

/* A cipher, where linux/tls.h has its parts, and its context with the keys of `owner`. */
static struct cipher {
    const char *name;
    uint16_t type;
    uint8_t key_at, key_len, iv_at, iv_len, salt_at, salt_len, sequence_at;
    bool explicit_nonce; /* in TLS 1.2 */
    EVP_CIPHER_CTX *ctx;
    const struct tls_seal *owner;
} ciphers[] = {
#define PARTS(info, key_size, iv_size, salt_size)                    \
    .key_at = offsetof(struct info, key), .key_len = (key_size),     \
    .iv_at = offsetof(struct info, iv), .iv_len = (iv_size),         \
    .salt_at = offsetof(struct info, salt), .salt_len = (salt_size), \
    .sequence_at = offsetof(struct info, rec_seq)
    { .name = "AES-128-GCM",
      .type = TLS_CIPHER_AES_GCM_128,
      .explicit_nonce = true,
      PARTS(tls12_crypto_info_aes_gcm_128, 16, 8, 4) },
    { .name = "AES-256-GCM",
      .type = TLS_CIPHER_AES_GCM_256,
      .explicit_nonce = true,
      PARTS(tls12_crypto_info_aes_gcm_256, 32, 8, 4) },
    { .name = "ChaCha20-Poly1305",
      .type = TLS_CIPHER_CHACHA20_POLY1305,
      PARTS(tls12_crypto_info_chacha20_poly1305, 32, 12, 0) },
};

static EVP_CIPHER_CTX *
context_new(const char *name)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

    if (ctx == NULL || cipher == NULL || EVP_EncryptInit_ex(ctx, cipher, NULL, NULL, NULL) != 1) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_CIPHER_free(cipher); /* the context holds it */
    return ctx;
}

bool
tls_seal_set(struct tls_seal *s, const void *info)
{
    const unsigned char *from = info;
    struct tls_crypto_info head;

    memcpy(&head, info, sizeof(head));
    tls_seal_clear(s);
    if (head.version != TLS_1_2_VERSION && head.version != TLS_1_3_VERSION)
        return false;
    for (unsigned i = 0; i < ARRAY_LEN(ciphers); i++) {
        struct cipher *c = &ciphers[i];
        bool explicit_nonce = c->explicit_nonce && head.version == TLS_1_2_VERSION;

        if (c->type != head.cipher_type)
            continue;
        if (c->ctx == NULL)
            c->ctx = context_new(c->name);
        if (c->ctx == NULL)
            return false;
        s->version = head.version;
        s->cipher = (uint8_t)i;
        s->head = RECORD_HEAD + (explicit_nonce ? EXPLICIT_NONCE : 0);
        s->tail = TAG + (head.version == TLS_1_3_VERSION);
        memcpy(s->key, from + c->key_at, c->key_len);
        memcpy(s->iv, from + c->salt_at, c->salt_len);
        memcpy(s->iv + c->salt_len, from + c->iv_at, c->iv_len);
        memcpy(&s->sequence, from + c->sequence_at, sizeof(s->sequence));
        s->sequence = be64toh(s->sequence);
        return true;
    }
    return false;
}

void
tls_seal_clear(struct tls_seal *s)
{
    if (s->version == 0)
        return;
    if (ciphers[s->cipher].owner == s)
        ciphers[s->cipher].owner = NULL;
    OPENSSL_cleanse(s, sizeof(*s));
}

/* RFC 8446, 5.3, and RFC 7905, 2: the sequence number goes into the IV. With an explicit nonce (RFC 5288, 3) the second
 * part of the IV is one that counts on. */
static void
next_nonce(struct tls_seal *s, unsigned char nonce[NONCE])
{
    uint64_t part;

    memcpy(nonce, s->iv, NONCE);
    memcpy(&part, nonce + NONCE - sizeof(part), sizeof(part));
    if (s->head > RECORD_HEAD) {
        uint64_t next = htobe64(be64toh(part) + 1);

        memcpy(s->iv + NONCE - sizeof(next), &next, sizeof(next));
        return;
    }
    part ^= htobe64(s->sequence);
    memcpy(nonce + NONCE - sizeof(part), &part, sizeof(part));
}

static void
put16(unsigned char *to, size_t n)
{
    to[0] = (unsigned char)(n >> 8);
    to[1] = (unsigned char)n;
}

/* What is authenticated beside the text; its length. RFC 8446, 5.2: the head; RFC 5246, 6.2.3.3: the sequence number and
 * what the head would be without encryption. */
static int
additional_data(const struct tls_seal *s, enum tls_content type, size_t len,
                const unsigned char *head, unsigned char data[13])
{
    uint64_t sequence = htobe64(s->sequence);

    if (s->version == TLS_1_3_VERSION) {
        memcpy(data, head, RECORD_HEAD);
        return RECORD_HEAD;
    }
    memcpy(data, &sequence, sizeof(sequence));
    data[8] = (unsigned char)type;
    data[9] = head[1];
    data[10] = head[2];
    put16(data + 11, len);
    return 13;
}

size_t
tls_seal_record(struct tls_seal *s, enum tls_content type, const void *text, size_t len,
                unsigned char *to)
{
    struct cipher *c = &ciphers[s->cipher];
    bool hide_type = s->version == TLS_1_3_VERSION;
    unsigned char nonce[NONCE], data[13], inner = (unsigned char)type, *at = to + s->head;
    size_t size = s->head + len + s->tail;
    bool has_key = c->owner == s;
    int n;

    next_nonce(s, nonce);
    to[0] = hide_type ? TLS_CONTENT_DATA : inner;
    put16(to + 1, TLS_1_2_VERSION);
    put16(to + 3, size - RECORD_HEAD);
    if (s->head > RECORD_HEAD)
        memcpy(to + RECORD_HEAD, nonce + NONCE - EXPLICIT_NONCE, EXPLICIT_NONCE);
    c->owner = NULL; /* a call that fails leaves a context behind of which nobody knows the key */
    if (EVP_EncryptInit_ex(c->ctx, NULL, NULL, has_key ? NULL : s->key, nonce) != 1)
        return 0;
    c->owner = s;
    if (EVP_EncryptUpdate(c->ctx, NULL, &n, data, additional_data(s, type, len, to, data)) != 1 ||
        EVP_EncryptUpdate(c->ctx, at, &n, text, (int)len) != 1 ||
        (hide_type && EVP_EncryptUpdate(c->ctx, at + len, &n, &inner, 1) != 1) ||
        EVP_EncryptFinal_ex(c->ctx, at + len, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(c->ctx, EVP_CTRL_AEAD_GET_TAG, TAG, to + size - TAG) != 1)
        return 0;
    s->sequence++;
    return size;
}
