/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_x509.c - what a certificate says, as text. */
#include "worker/tls/tls_x509.h"

#include <openssl/x509v3.h>
#include <time.h>

#include "common/sys/addr.h"

static void
add_bio(struct text *t, BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);

    if (len > 0)
        text_bytes(t, bytes, (size_t)len);
}

void
x509_add_serial(struct text *t, const X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return;
    if (i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(x)) > 0)
        add_bio(t, bio);
    BIO_free(bio);
}

void
x509_add_fingerprint(struct text *t, const X509 *x, const EVP_MD *digest)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    if (X509_digest(x, digest, bytes, &len) == 1)
        text_hex(t, str_n((const char *)bytes, len));
}

void
x509_add_name(struct text *t, const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return;
    if (X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
        add_bio(t, bio);
    BIO_free(bio);
}

static void
add_ip(struct text *t, const ASN1_OCTET_STRING *ip)
{
    struct addr a = { 0 };
    char text[ADDR_TEXT_MAX];

    if (ip->length == 4) {
        a.sa.sa_family = AF_INET;
        a.len = sizeof(a.in);
        memcpy(&a.in.sin_addr, ip->data, 4);
    } else if (ip->length == 16) {
        a.sa.sa_family = AF_INET6;
        a.len = sizeof(a.in6);
        memcpy(&a.in6.sin6_addr, ip->data, 16);
    } else {
        return;
    }
    text_bytes(t, text, addr_format_ip(&a, text));
}

static void
add_common_name(struct text *t, const X509 *x)
{
    const X509_NAME *subject = X509_get_subject_name(x);
    int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    const ASN1_STRING *name =
        i >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)) : NULL;

    if (name != NULL)
        text_bytes(t, name->data, (size_t)name->length);
}

void
x509_add_names(struct text *t, const X509 *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool first = true;

    if (names == NULL) {
        add_common_name(t, x);
        return;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_DNS && name->type != GEN_IPADD)
            continue;
        if (!first)
            text_char(t, ' ');
        first = false;
        if (name->type == GEN_DNS)
            text_bytes(t, name->d.dNSName->data, (size_t)name->d.dNSName->length);
        else
            add_ip(t, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
}

void
x509_add_key_type(struct text *t, EVP_PKEY *key)
{
    char group[64];
    size_t len = 0;

    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
        text_fmt(t, "EC %s", group);
    else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        text_fmt(t, "RSA %d", EVP_PKEY_get_bits(key));
    else if (EVP_PKEY_get0_type_name(key) != NULL)
        text_add(t, str_c(EVP_PKEY_get0_type_name(key)));
}

int64_t
x509_time(const ASN1_TIME *time)
{
    struct tm tm;

    return time != NULL && ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool
x509_covers(X509 *x, struct str name)
{
    struct addr ip;
    char text[ADDR_TEXT_MAX];

    if (!addr_parse_ip(name, &ip))
        return X509_check_host(x, name.ptr, name.len, 0, NULL) == 1;
    return str_to_c(name, text, sizeof(text)) && X509_check_ip_asc(x, text, 0) == 1;
}
