/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_seal.h - records that we send, sealed where they leave from.
 *
 * A library that could give its sending keys to the kernel (Linux, TLS in the kernel) gives them to the connection just as
 * well: its BIO says that it encrypts, and from there on gets plain text with the type of the record. So nothing is
 * copied through the library's own buffers, and the keys of a connection take 64 bytes here instead of a context.
 *
 * The cryptography is the library's own (EVP); what is here is the framing of RFC 8446, 5.2, and RFC 5288 and 7905.
 */
#ifndef WEIR_TLS_TLS_SEAL_H
#define WEIR_TLS_TLS_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_SEAL_HEAD_MAX = 13, /* bytes in front of the text: head, explicit nonce */
    TLS_SEAL_TAIL_MAX = 17, /* bytes behind: type, tag */
};

enum tls_content { /* RFC 8446, 5.1 */
                   TLS_CONTENT_ALERT = 21,
                   TLS_CONTENT_HANDSHAKE = 22,
                   TLS_CONTENT_DATA = 23,
};

/* The sending side of a session. All zero: the library seals by itself. */
struct tls_seal {
    uint16_t version; /* of the protocol: 0x303, 0x304; 0: no keys are here */
    uint8_t cipher;   /* index into the ciphers that we have */
    uint8_t head, tail;
    unsigned char key[32], iv[12];
    uint64_t sequence; /* of the next record */
};

static inline bool
tls_seal_has_keys(const struct tls_seal *s)
{
    return s->version != 0;
}

/* Takes the keys. `info` is a struct tls_crypto_info of linux/tls.h with what follows it. False: of a kind that we do not
 * have; the library goes on as before. */
bool tls_seal_set(struct tls_seal *s, const void *info);
/* Forgets them: at the end of a session, or because the library changes its keys. */
void tls_seal_clear(struct tls_seal *s);
/* Makes a record of `len` bytes (at most 2^14) at `to`, which has room for head and tail as well; the text may lie where
 * it is to be: at to + head. Its length; 0: the library failed, and the session is over. */
size_t tls_seal_record(struct tls_seal *s, enum tls_content type, const void *text, size_t len,
                       unsigned char *to);

#endif
