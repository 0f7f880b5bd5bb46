/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_pair.c - certificates with their keys, from texts and files; and how long the cache keeps them. */
#include "worker/tls/tls_pair.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/base/hash.h"
#include "common/event/loop.h"
#include "common/sys/clock.h"
#include "test.h"
#include "worker/tls/tls_cert_cache.h"
#include "worker/tls/tls_x509.h"

#include "common/log/log_conf.h"
#include "worker/core/cycle.h"

extern struct module events_module, variables_module;

static char dir[] = "/tmp/weir-unit-pair-XXXXXX";

struct pem {
    char certificate[4096], key[4096];
};

static void
take(BIO *bio, char *to, size_t size)
{
    int n = BIO_read(bio, to, (int)size - 1);

    to[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

/* For a.example, 10.0.0.1 and ::1. */
static void
make(struct pem *p, long serial, const char *password)
{
    EVP_PKEY *k = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_EXTENSION *names;
    BIO *bio = BIO_new(BIO_s_mem());

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
    X509_gmtime_adj(X509_getm_notBefore(x), -1000);
    X509_gmtime_adj(X509_getm_notAfter(x), 1000);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test, one", -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    X509_set_pubkey(x, k);
    names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
                                "DNS:a.example,IP:10.0.0.1,IP:::1,email:x@y");
    X509_add_ext(x, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(x, k, EVP_sha256());
    PEM_write_bio_X509(bio, x);
    take(bio, p->certificate, sizeof(p->certificate));
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(bio, k, password != NULL ? EVP_aes_128_cbc() : NULL, password,
                                  password != NULL ? (int)strlen(password) : 0, NULL, NULL);
    take(bio, p->key, sizeof(p->key));
    X509_free(x);
    EVP_PKEY_free(k);
}

static struct tls_pair_source
source(const struct pem *certificate, const struct pem *key)
{
    return (struct tls_pair_source){
        .certificate = { S("/a.crt"), str_c(certificate->certificate) },
        .key = { S("/a.key"), str_c(key->key) },
        .passwords = S(""),
    };
}

TEST(a_pair_of_texts)
{
    struct tls_pair_error e = { 0 };
    struct pem one;
    struct tls_pair_source from;
    struct tls_pair *p;
    struct text t;

    make(&one, 0x4711, NULL);
    from = source(&one, &one);
    p = tls_pair_read(&from, &e);
    REQUIRE(p != NULL, "%s", e.error.text);
    text_init(&t, NULL);
    x509_add_serial(&t, p->leaf);
    text_char(&t, '|');
    x509_add_names(&t, p->leaf);
    text_char(&t, '|');
    x509_add_key_type(&t, p->key);
    text_char(&t, '|');
    x509_add_name(&t, X509_get_issuer_name(p->leaf));
    CHECK_STR(text_str(&t), "4711|a.example 10.0.0.1 ::1|EC prime256v1|CN=test\\, one");
    CHECK(x509_covers(p->leaf, S("a.example")) && x509_covers(p->leaf, S("10.0.0.1")));
    CHECK(!x509_covers(p->leaf, S("b.example")) && !x509_covers(p->leaf, S("10.0.0.2")));
    CHECK(x509_time(X509_get0_notAfter(p->leaf)) > x509_time(X509_get0_notBefore(p->leaf)));
    CHECK(tls_pair_ref(p) == p);
    tls_pair_put(p);
    tls_pair_put(p);
    tls_pair_put(NULL);
    text_free(&t);
}

TEST(what_is_wrong_is_said_without_the_content)
{
    struct pem one, two;
    struct tls_pair_source from;
    struct tls_pair_error e = { 0 };

    make(&one, 1, NULL);
    make(&two, 2, NULL);
    from = source(&one, &two);
    CHECK(tls_pair_read(&from, &e) == NULL);
    CHECK(e.mismatch && e.of_key);
    from.key.content = S("nothing");
    CHECK(tls_pair_read(&from, &e) == NULL);
    CHECK(!e.mismatch && e.of_key);
    CHECK(strstr(e.error.text, "cannot load certificate key \"/a.key\": ") == e.error.text);
    from.certificate = (struct tls_pem){ .name = S("data:secret") };
    CHECK(tls_pair_read(&from, &e) == NULL);
    CHECK(!e.of_key && strstr(e.error.text, "secret") == NULL &&
          strstr(e.error.text, "data:...") != NULL);
    from.certificate = (struct tls_pem){ .name = S("/nowhere/at all") };
    CHECK(tls_pair_read(&from, &e) == NULL);
    CHECK(strstr(e.error.text, "No such file") != NULL, "%s", e.error.text);
    from = source(&one, &one);
    from.key = (struct tls_pem){ .name = S("engine:e:k") };
    CHECK(tls_pair_read(&from, &e) == NULL);
    CHECK(strstr(e.error.text, "engines are not supported") != NULL);
}

TEST(passphrases_are_tried_in_turn)
{
    struct tls_pair_error e = { 0 };
    struct pem one;
    struct tls_pair_source from;
    struct tls_pair *p;

    make(&one, 1, "open");
    from = source(&one, &one);
    CHECK(tls_pair_read(&from, &e) == NULL, "no question on the terminal");
    from.passwords = S("a\n\nb\r\nopen\r\nc\n");
    p = tls_pair_read(&from, &e);
    CHECK(p != NULL, "%s", e.error.text);
    tls_pair_put(p);
    from.passwords = S("a\nopen ");
    CHECK(tls_pair_read(&from, &e) == NULL);
}

/* ---- the cache ---- */

struct fixture_cache {
    struct tls_cert_cache *cache;
};
static struct tls_cert_cache *cache;

static bool
cache_finish(struct conf_load *l, struct scope *s, void *conf)
{
    (void)l, (void)s;
    cache = ((struct fixture_cache *)conf)->cache;
    return true;
}

static const struct directive cache_directives[] = {
    D_CALL("cache", CTX_MAIN, ARGS(1, 3), tls_cert_cache_set, FIELD(struct fixture_cache, cache)),
    D_END
};
static struct module cache_module = { .name = "cache",
                                      .conf_size = sizeof(struct fixture_cache),
                                      .directives = cache_directives,
                                      .finish = cache_finish };
static struct module *const all_modules[] = { &log_module, &events_module, &cache_module,
                                              &variables_module, NULL };

static char certificate_path[64], key_path[64];
static struct arena memory;

static void
put_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");

    fputs(content, f);
    fclose(f);
}

static void
put_files(const char *name, long serial)
{
    struct pem p;

    make(&p, serial, NULL);
    snprintf(certificate_path, sizeof(certificate_path), "%s/%s.crt", dir, name);
    snprintf(key_path, sizeof(key_path), "%s/%s.key", dir, name);
    put_file(certificate_path, p.certificate);
    put_file(key_path, p.key);
}

struct waiter {
    struct tls_cert_wait wait;
    unsigned calls;
    long serial; /* 0: bad */
};

static long
serial_of(const struct tls_pair *p)
{
    return p != NULL ? ASN1_INTEGER_get(X509_get0_serialNumber(p->leaf)) : 0;
}

static void
came(struct tls_cert_wait *w, struct tls_pair *p, const struct tls_pair_error *e)
{
    struct waiter *waiter = CONTAINER_OF(w, struct waiter, wait);

    (void)e;
    waiter->calls++;
    waiter->serial = serial_of(p);
}

/* The serial number of what the cache gives; *waited: it did not have it. */
static long
get(const char *name, bool *waited)
{
    struct tls_pair_source from = { .passwords = S("") };
    struct waiter w = { .wait.done = came };
    struct tls_pair *p = NULL;
    struct tls_pair_error e;

    snprintf(certificate_path, sizeof(certificate_path), "%s/%s.crt", dir, name);
    snprintf(key_path, sizeof(key_path), "%s/%s.key", dir, name);
    from.certificate.name = str_c(certificate_path);
    from.key.name = str_c(key_path);
    *waited = tls_cert_get(cache, &from, &w.wait, &p, &e) == TLS_PAIR_WAIT;
    if (!*waited) {
        w.serial = serial_of(p);
        tls_pair_put(p);
        return w.serial;
    }
    for (unsigned i = 0; i < 1000 && w.calls == 0; i++)
        loop_turn(10);
    CHECK_EQ(w.calls, 1u);
    return w.serial;
}

__attribute__((destructor)) static void
clean_up(void)
{
    static const char *const names[] = { "a.crt", "a.key", "b.crt", "b.key",
                                         "c.crt", "c.key", "d.crt", "d.key" };
    char path[80];

    EACH (names, name) {
        snprintf(path, sizeof(path), "%s/%s", dir, *name);
        unlink(path);
    }
    rmdir(dir);
}

/* Configurations stay: what waits in a thread may use them. */
static bool
set_up(const char *text)
{
    static bool begun;
    struct conf_options o = { .prefix = S_INIT("/w"), .conf_path = S_INIT("/w/w.conf") };
    struct error err = { 0 };
    struct conf_file *file;
    struct vec texts, messages;

    if (!begun && (mkdtemp(dir) == NULL || !loop_init(&err)))
        return false;
    if (!begun)
        arena_init(&memory, 4096);
    begun = true;
    modules_number(all_modules);
    vec_init(&texts, NULL, sizeof(struct conf_file));
    vec_init(&messages, NULL, sizeof(struct conf_message));
    file = vec_push(&texts);
    *file = (struct conf_file){ S("/w/w.conf"), str_c(text) };
    o.texts = &texts;
    worker_config = config_load(&o, &memory, &messages);
    vec_free(&texts);
    vec_free(&messages);
    return worker_config != NULL;
}

TEST(the_cache_keeps_what_was_used_last)
{
    bool waited;

    REQUIRE(set_up("events {} cache max=2 valid=1h inactive=1h;"));
    put_files("a", 1);
    put_files("b", 2);
    put_files("c", 3);
    CHECK_EQ(get("a", &waited), 1L);
    CHECK(waited);
    CHECK_EQ(get("a", &waited), 1L);
    CHECK(!waited);
    CHECK_EQ(get("b", &waited), 2L);
    CHECK_EQ(get("a", &waited), 1L);
    CHECK_EQ(get("c", &waited), 3L);
    CHECK_EQ(get("a", &waited), 1L);
    CHECK(!waited, "used after b");
    CHECK_EQ(get("b", &waited), 2L);
    CHECK(waited, "the place went to c");
    put_files("a", 4);
    CHECK_EQ(get("a", &waited), 1L, "valid for long: its files are not looked at");
    config_free(worker_config);
}

TEST(a_waiter_that_leaves_is_not_called)
{
    struct tls_pair_source from = { .passwords = S("") };
    struct waiter stays = { .wait.done = came }, leaves = { .wait.done = came };
    struct tls_pair *p = NULL;
    struct tls_pair_error e;

    REQUIRE(set_up("events {} cache off;"));
    CHECK(cache == NULL);
    put_files("d", 5);
    from.certificate.name = str_c(certificate_path);
    from.key.name = str_c(key_path);
    CHECK_EQ(tls_cert_get(NULL, &from, &leaves.wait, &p, &e), TLS_PAIR_WAIT);
    CHECK_EQ(tls_cert_get(NULL, &from, &stays.wait, &p, &e), TLS_PAIR_WAIT);
    tls_cert_forget(&leaves.wait);
    tls_cert_forget(&leaves.wait);
    for (unsigned i = 0; i < 1000 && stays.calls == 0; i++)
        loop_turn(10);
    CHECK_EQ(stays.calls, 1u);
    CHECK_EQ(stays.serial, 5L);
    CHECK_EQ(leaves.calls, 0u);
    config_free(worker_config);
}
