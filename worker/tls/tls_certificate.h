/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_certificate.h - the certificates that a configuration names: each is read once, may be bad without harm to others,
 * and gives way to a renewed one. Inside this room.
 */
#ifndef WEIR_TLS_TLS_CERTIFICATE_H
#define WEIR_TLS_TLS_CERTIFICATE_H

#include "worker/tls/tls_context.h"
#include "worker/tls/tls_pair.h"

/* A certificate with its key. Lives as long as the configuration. */
struct tls_certificate {
    struct tls_file file, key; /* as first named */
    struct str passwords;
    struct tls_pair *pair;       /* in use; NULL: bad */
    struct str why;              /* it is bad */
    struct file_stamp stamps[2]; /* of both files, before they were read */
    struct vec contexts;         /* of struct tls_context *: who uses it */
    struct vec names; /* of struct str: of the servers that use it, as far as they are host names */
    struct watched_files *watched; /* NULL: only a reload reads it again */
};

/* Finds or reads it. A bad one is an error unless the settings isolate it. NULL after conf_fail. */
struct tls_certificate *tls_certificate_get(struct conf_load *l, struct tls_shared *shared,
                                            const struct tls_settings *s, uint32_t i);
/* The context uses one with variables: it has names and no content, for the list of certificates. False after conf_fail. */
bool tls_certificate_compute(struct conf_load *l, struct tls_shared *shared,
                             const struct tls_settings *s, uint32_t i, struct tls_context *by);
/* The context uses it. False after conf_fail. */
bool tls_certificate_use(struct conf_load *l, struct tls_certificate *c, struct tls_context *by);
/* A server of the context has this host name. False: memory. */
bool tls_certificates_name(struct tls_context *by, struct str name);
/* One of the context's certificates, when none of them is for a host name; NULL: one is, or may be. */
const struct tls_certificate *tls_certificates_miss(const struct tls_context *of, struct str name);
/* The lines of a password file, which is read once. False after conf_fail. */
bool tls_passwords_get(struct conf_load *l, struct tls_shared *shared, const struct tls_file *f,
                       struct str *lines);

#endif
