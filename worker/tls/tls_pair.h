/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_pair.h - a certificate with the rest of its chain and its key: read, checked against each other, counted. Inside
 * this room.
 */
#ifndef WEIR_TLS_TLS_PAIR_H
#define WEIR_TLS_TLS_PAIR_H

#include <openssl/ssl.h>

#include "common/base/error.h"
#include "common/base/str.h"
#include "common/sys/file.h"

/* Where a certificate or a key comes from. */
struct tls_pem {
    /* A path that ends with NUL, or "data:" and the content; a key also "store:" and an URI. For messages in any case. */
    struct str name;
    struct str content; /* ptr not NULL: this is read in place of the file */
};
struct tls_pair_source {
    struct tls_pem certificate, key;
    struct str passwords; /* lines, tried in turn; may be empty */
};

struct tls_pair {
    uint32_t refs; /* of the loop's thread alone */
    X509 *leaf;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
    struct file_stamp certificate_stamp, key_stamp; /* before they were read */
};

/* Why there is no pair. */
struct tls_pair_error {
    bool of_key;   /* not of the certificate */
    bool mismatch; /* both are good, but not for each other */
    bool locked;   /* the key is encrypted, and no passphrase opens it */
    struct error error;
};

/* One reference is the caller's. NULL: *e says why, without a word of the content. May run in a thread. */
struct tls_pair *tls_pair_read(const struct tls_pair_source *s, struct tls_pair_error *e);
static inline struct tls_pair *
tls_pair_ref(struct tls_pair *p)
{
    p->refs++;
    return p;
}
/* NULL is nothing. */
void tls_pair_put(void *pair);
/* Whether files of these names still are what p was made of. */
bool tls_pair_is_current(const struct tls_pair *p, const char *certificate, const char *key);
/* A name as messages show it: content is none of their business. In `a`, or constant. */
struct str tls_pem_shown(struct str name);
/* Whether a name is not a file's. */
bool tls_pem_is_data(struct str name);

#endif
