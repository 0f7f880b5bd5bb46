/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_pair.c - certificates and keys in the PEM format, from files, texts and stores of the library.
 *
 * What is wrong is said in nginx's words: tools look for them. The bytes of a key are wiped from the memory that they were
 * read into. Everything here may run in a thread: it touches nothing but its arguments.
 */
#include "worker/tls/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdlib.h>

#include "common/base/text.h"
#include "common/sys/core_dump.h"
#include "worker/tls/tls_error.h"

enum { PEM_MAX = 1024 * 1024 /* bytes of a file: a chain of hundreds */ };

/* ---- names ---- */

bool
tls_pem_is_data(struct str name)
{
    return str_starts(name, S("data:"));
}

static bool
is_file(struct str name)
{
    return !tls_pem_is_data(name) && !str_starts(name, S("store:")) &&
           !str_starts(name, S("engine:"));
}

struct str
tls_pem_shown(struct str name)
{
    return tls_pem_is_data(name) ? S("data:...") : name;
}

static bool
is_as_stamped(struct str name, const struct file_stamp *stamp)
{
    struct file_stamp now;

    if (!is_file(name))
        return true;
    (void)file_stamp_of(name.ptr, &now);
    return file_stamp_is_same(&now, stamp);
}

bool
tls_pair_is_current(const struct tls_pair *p, const char *certificate, const char *key)
{
    return is_as_stamped(str_c(certificate), &p->certificate_stamp) &&
           is_as_stamped(str_c(key), &p->key_stamp);
}

/* ---- what went wrong ---- */

/* Always false. */
static bool
fail(struct tls_pair_error *e, const struct tls_pem *p, bool of_key, const char *call)
{
    struct str name = tls_pem_shown(p->name);
    char words[sizeof(e->error.text)];
    struct text t;

    text_init_fixed(&t, words, sizeof(words) - 1);
    tls_error_add(&t);
    e->of_key = of_key;
    error_set(&e->error, "cannot load certificate%s \"%.*s\": %s() failed%.*s",
              of_key ? " key" : "", STR(name), call, (int)t.len, words);
    return false;
}

/* The content of p, in `a`. */
static bool
content_of(struct arena *a, const struct tls_pem *p, bool of_key, struct file_stamp *stamp,
           struct str *content, struct tls_pair_error *e)
{
    struct error err;
    BIO *bio;

    if (p->content.ptr != NULL || tls_pem_is_data(p->name)) {
        *content = p->content.ptr != NULL ? p->content : str_from(p->name, 5);
        return true;
    }
    (void)file_stamp_of(p->name.ptr, stamp);
    if (file_read(a, p->name.ptr, PEM_MAX, content, &err))
        return true;
    bio = BIO_new_file(p->name.ptr, "r"); /* for its words */
    if (bio == NULL)
        return fail(e, p, of_key, "BIO_new_file");
    BIO_free(bio);
    e->of_key = of_key;
    error_set(&e->error, "cannot load certificate%s \"%.*s\": %s", of_key ? " key" : "",
              STR(p->name), err.text);
    return false;
}

/* ---- certificates ---- */

/* Whether reading stopped because there is no further block; that is no error. */
static bool
pem_has_ended(void)
{
    unsigned long error = ERR_peek_last_error();

    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return false;
    ERR_clear_error();
    return true;
}

static bool
parse_chain(const struct tls_pem *from, struct str content, struct tls_pair *p,
            struct tls_pair_error *e)
{
    BIO *bio = BIO_new_mem_buf(content.ptr, (int)content.len);
    bool good = false;
    X509 *x;

    p->leaf = bio != NULL ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    p->chain = sk_X509_new_null();
    if (p->leaf == NULL || p->chain == NULL) {
        fail(e, from, false, "PEM_read_bio_X509_AUX");
        goto done;
    }
    while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(p->chain, x) == 0) {
            X509_free(x);
            fail(e, from, false, "sk_X509_push");
            goto done;
        }
    }
    good = pem_has_ended() || fail(e, from, false, "PEM_read_bio_X509");

done:
    BIO_free(bio);
    return good;
}

static bool
read_chain(const struct tls_pem *from, struct tls_pair *p, struct tls_pair_error *e)
{
    struct str content;
    struct arena a;
    bool good;

    arena_init(&a, 4096);
    good = content_of(&a, from, false, &p->certificate_stamp, &content, e) &&
           parse_chain(from, content, p, e);
    arena_free(&a);
    return good;
}

/* ---- keys ---- */

/* Lines of the password file; tried in turn. */
struct passwords {
    struct str left, now;
    bool asked;
};

static int
give_password(char *to, int size, int writing, void *data)
{
    struct passwords *p = data;

    (void)writing;
    p->asked = true;
    if (size <= 0 || p->now.len > (size_t)size)
        return 0;
    memcpy(to, p->now.ptr, p->now.len);
    return (int)p->now.len;
}

/* The next passphrase; false: there is none. */
static bool
next_password(struct passwords *p)
{
    struct str line;

    while (str_split(&p->left, '\n', &line)) {
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            continue;
        p->now = line;
        return true;
    }
    return false;
}

static EVP_PKEY *
parse_key(struct str content, struct passwords *p)
{
    BIO *bio = BIO_new_mem_buf(content.ptr, (int)content.len);
    EVP_PKEY *key = NULL;

    if (bio == NULL)
        return NULL;
    do {
        ERR_clear_error();
        (void)BIO_reset(bio);
        key = PEM_read_bio_PrivateKey(bio, NULL, give_password, p);
    } while (key == NULL && next_password(p));
    BIO_free(bio);
    return key;
}

/* The first key that the store behind an URI has; a provider of the library knows its scheme. */
static EVP_PKEY *
fetch_key(const char *uri, struct passwords *p)
{
    UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(give_password, 0);
    OSSL_STORE_CTX *store = ui != NULL ? OSSL_STORE_open(uri, ui, p, NULL, NULL) : NULL;
    EVP_PKEY *key = NULL;

    while (store != NULL && key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);

        if (info == NULL)
            break;
        key = OSSL_STORE_INFO_get1_PKEY(info);
        OSSL_STORE_INFO_free(info);
    }
    if (store != NULL)
        OSSL_STORE_close(store);
    UI_destroy_method(ui);
    return key;
}

static EVP_PKEY *
fetch_key_with(const char *uri, struct passwords *p)
{
    EVP_PKEY *key;

    do {
        ERR_clear_error();
        key = fetch_key(uri, p);
    } while (key == NULL && next_password(p));
    return key;
}

static bool
read_key(const struct tls_pair_source *s, struct tls_pair *p, struct tls_pair_error *e)
{
    struct passwords passwords = { .left = s->passwords, .now = S("") };
    struct str content = S("");
    struct arena a;
    bool good;

    (void)next_password(&passwords);
    if (str_starts(s->key.name, S("store:"))) {
        p->key = fetch_key_with(s->key.name.ptr + 6, &passwords);
        e->locked = p->key == NULL && passwords.asked;
        return p->key != NULL || fail(e, &s->key, true, "OSSL_STORE_load");
    }
    if (str_starts(s->key.name, S("engine:"))) {
        e->of_key = true;
        error_set(&e->error, "cannot load certificate key \"%.*s\": engines are not supported",
                  STR(s->key.name));
        return false;
    }
    arena_init(&a, 4096);
    good = content_of(&a, &s->key, true, &p->key_stamp, &content, e);
    if (good) {
        p->key = parse_key(content, &passwords);
        e->locked = p->key == NULL && passwords.asked;
        good = p->key != NULL || fail(e, &s->key, true, "PEM_read_bio_PrivateKey");
        if (s->key.content.ptr == NULL && !tls_pem_is_data(s->key.name))
            OPENSSL_cleanse((void *)content.ptr, content.len);
    }
    arena_free(&a);
    return good;
}

/* ---- pairs ---- */

void
tls_pair_put(void *pair)
{
    struct tls_pair *p = pair;

    if (p == NULL || --p->refs > 0)
        return;
    X509_free(p->leaf);
    sk_X509_pop_free(p->chain, X509_free);
    EVP_PKEY_free(p->key);
    free(p);
}

struct tls_pair *
tls_pair_read(const struct tls_pair_source *s, struct tls_pair_error *e)
{
    struct tls_pair *p = calloc(1, sizeof(*p));

    core_dump_hide_memory();
    e->of_key = e->mismatch = e->locked = false;
    ERR_clear_error();
    if (p == NULL) {
        error_set(&e->error, "out of memory");
        return NULL;
    }
    p->refs = 1;
    if (!read_chain(&s->certificate, p, e) || !read_key(s, p, e))
        goto fail;
    if (X509_check_private_key(p->leaf, p->key) != 1) {
        char words[sizeof(e->error.text)];
        struct text t;

        text_init_fixed(&t, words, sizeof(words) - 1);
        tls_error_add(&t);
        e->of_key = e->mismatch = true;
        error_set(&e->error, "SSL_CTX_use_PrivateKey(\"%.*s\") failed%.*s",
                  STR(tls_pem_shown(s->key.name)), (int)t.len, words);
        goto fail;
    }
    return p;

fail:
    tls_pair_put(p);
    return NULL;
}
