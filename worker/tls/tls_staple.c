/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_staple.c - OCSP stapling: a response about our certificate goes with it, so that clients need not ask (RFC 6066, 8).
 *
 * No handshake waits for a responder: responses are asked for in the background, from the start on and again when half
 * of their time has passed. They lie in a zone, where one worker's answer serves all of them and the next generation. Who
 * is about to ask leaves a note there, so that the others wait for his answer. A response that has run out is not sent.
 */
#include "worker/tls/tls_staple.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "common/base/num.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "worker/tls/tls_certificate.h"
#include "worker/tls/tls_error.h"
#include "worker/tls/tls_ocsp.h"
#include "worker/tls/tls_session.h"

enum {
    ZONE_BYTES = 1024 * 1024, /* some hundred responses */
    FILE_MAX = 64 * 1024,
    REFRESH_MAX_MS = 3600 * 1000,
    REFRESH_MIN_MS = 10 * 1000,
    RETRY_FIRST_MS = 1000, /* doubled with each failure, up to: */
    RETRY_MAX_MS = 300 * 1000,
    CLAIM_MS = 15 * 1000, /* longer than a question lasts */
    LOOK_MS = 500,        /* between looks for what another worker has asked */
    KEY = 32,
};

#define IGNORED "\"ssl_stapling\" ignored, %s certificate \"%.*s\""

/* What is stapled to one certificate of one context. */
struct tls_staple {
    struct tls_context *context;
    struct tls_certificate *certificate;
    bool of_file;   /* ssl_stapling_file: never asked for */
    bool aimed;     /* what is below is known, so that the leaf can be asked for */
    struct str url; /* of the responder */
    X509 *leaf;     /* the one that all this is about: it may be renewed */
    X509 *issuer;
    char key[KEY];
    unsigned char *der; /* the response; NULL: none */
    size_t len;
    int64_t until_s;
    uint64_t refresh_ms;
    uint32_t failures;
    struct tls_ocsp *asked;
    struct timer timer;
};

/* What lies in the zone. */
struct kept {
    uint64_t refresh_ms;
    unsigned char der[TLS_SESSION_MAX - sizeof(uint64_t)];
};

static void
staple_drop(struct tls_staple *s)
{
    free(s->der);
    s->der = NULL;
    s->len = 0;
    s->refresh_ms = 0;
}

static void
staple_free(void *p)
{
    struct tls_staple *s = p;

    staple_drop(s);
    X509_free(s->leaf);
    X509_free(s->issuer);
}

/* False: memory. */
static bool
staple_take(struct tls_staple *s, struct str der, int64_t until_s)
{
    unsigned char *copy = malloc(der.len);

    if (copy == NULL)
        return false;
    memcpy(copy, der.ptr, der.len);
    free(s->der);
    s->der = copy;
    s->len = der.len;
    s->until_s = until_s;
    return true;
}

/* ---- whom to ask about what ---- */

/* The certificate of who signed the leaf: of its chain, or one that is trusted. A reference; NULL: unknown. */
static X509 *
find_issuer(const struct tls_context *c, const struct tls_pair *p)
{
    X509_STORE_CTX *ctx;
    X509 *issuer = NULL;

    for (int i = 0; i < sk_X509_num(p->chain); i++) {
        issuer = sk_X509_value(p->chain, i);
        if (X509_check_issued(issuer, p->leaf) == X509_V_OK)
            return X509_up_ref(issuer) == 1 ? issuer : NULL;
    }
    issuer = NULL;
    ctx = X509_STORE_CTX_new();
    if (ctx != NULL && X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(c->ssl), NULL, NULL) == 1 &&
        X509_STORE_CTX_get1_issuer(&issuer, ctx, p->leaf) != 1)
        issuer = NULL;
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    return issuer;
}

/* The responder that the certificate names; in `a`. */
static struct str
named_responder(X509 *leaf, struct arena *a)
{
    STACK_OF(OPENSSL_STRING) *urls = X509_get1_ocsp(leaf);
    struct str url = S("");

    if (sk_OPENSSL_STRING_num(urls) > 0)
        url = arena_str(a, str_c(sk_OPENSSL_STRING_value(urls, 0)));
    X509_email_free(urls);
    return url;
}

/* NULL: good; else why nobody can be asked about the leaf. */
static const char *
find_responder(struct tls_staple *s, struct arena *a)
{
    const struct tls_settings *set = &s->context->settings;
    struct tls_ocsp_url parts;

    s->issuer = find_issuer(s->context, s->certificate->pair);
    if (s->issuer == NULL)
        return "issuer certificate not found for";
    s->url =
        set->stapling_responder.len > 0 ? set->stapling_responder : named_responder(s->leaf, a);
    if (s->url.len == 0)
        return "no OCSP responder URL in the";
    switch (tls_ocsp_url_parse(s->url, &parts)) {
    case OCSP_URL_NO_HTTP:
        return "invalid URL prefix in OCSP responder of the";
    case OCSP_URL_NO_HOST:
        return "invalid host in OCSP responder of the";
    case OCSP_URL_GOOD:
        break;
    }
    return tls_ocsp_key(s->leaf, s->issuer, s->key) ? NULL : "no memory for the";
}

/* Turns to the certificate as it is now. NULL: good; else why nothing is stapled to it. */
static const char *
aim(struct tls_staple *s, struct arena *a)
{
    const char *why;

    X509_free(s->leaf);
    X509_free(s->issuer);
    s->issuer = NULL;
    s->leaf = s->certificate->pair->leaf;
    X509_up_ref(s->leaf);
    staple_drop(s);
    s->failures = 0;
    why = find_responder(s, a);
    s->aimed = why == NULL;
    return why;
}

/* False: the certificate has been renewed. (With ssl_certificate_error isolate there may be none yet.) */
static bool
is_current(const struct tls_staple *s)
{
    return s->certificate->pair == NULL || s->leaf == s->certificate->pair->leaf;
}

/* ---- responses from files ---- */

static bool
is_about(const OCSP_SINGLERESP *single, X509 *leaf)
{
    ASN1_INTEGER *serial = NULL;

    return OCSP_id_get0_info(NULL, NULL, NULL, &serial,
                             (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single)) == 1 &&
           ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) == 0;
}

/* Whether one of the answers in a response is about the certificate; *days, *seconds: from now to its end. */
static bool
file_is_for(OCSP_RESPONSE *r, X509 *leaf, int64_t *until_s)
{
    OCSP_BASICRESP *basic = OCSP_response_get1_basic(r);
    bool found = false;

    for (int i = 0; basic != NULL && i < OCSP_resp_count(basic) && !found; i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_GENERALIZEDTIME *until = NULL;

        found = is_about(single, leaf);
        (void)OCSP_single_get0_status(single, NULL, NULL, NULL, &until);
        *until_s = tls_ocsp_time(until);
    }
    OCSP_BASICRESP_free(basic);
    return found;
}

static bool
read_file(struct conf_load *l, struct tls_staple *s)
{
    const struct tls_file *f = &s->context->settings.stapling_file;
    const unsigned char *p;
    OCSP_RESPONSE *r;
    struct error err;
    struct arena a;
    struct str der;
    bool good;

    arena_init(&a, 4096);
    s->leaf = s->certificate->pair->leaf;
    X509_up_ref(s->leaf);
    good =
        file_read(&a, f->path.ptr, FILE_MAX, &der, &err) || conf_fail_at(l, f->pos, "%s", err.text);
    p = good ? (const unsigned char *)der.ptr : NULL;
    r = good ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.len) : NULL;
    if (good && r == NULL)
        good = conf_fail_at(l, f->pos, "d2i_OCSP_RESPONSE_bio(\"%.*s\") failed%s", STR(f->path),
                            tls_error_text());
    else if (good && !file_is_for(r, s->leaf, &s->until_s))
        conf_warn_at(l, f->pos, "OCSP response \"%.*s\" is not for the certificate \"%.*s\"",
                     STR(f->path), STR(s->certificate->file.path));
    else if (good && s->until_s <= (int64_t)(clock_wall_ms / 1000))
        conf_warn_at(l, f->pos, "OCSP response \"%.*s\" has expired", STR(f->path));
    else if (good)
        good = staple_take(s, der, s->until_s) || conf_fail_at(l, f->pos, "out of memory");
    OCSP_RESPONSE_free(r);
    arena_free(&a);
    return good;
}

/* ---- handshakes ---- */

static struct tls_staple *
staple_of(const struct tls_context *c, const X509 *leaf)
{
    VEC_FOREACH (s, struct tls_staple *, &c->staples) {
        if ((*s)->leaf == leaf)
            return *s;
    }
    return NULL;
}

static int
on_status(SSL *ssl, void *data)
{
    const struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct tls_staple *s = staple_of(c, SSL_get_certificate(ssl));
    unsigned char *copy;

    (void)data;
    if (s == NULL || s->der == NULL || s->until_s <= (int64_t)(clock_wall_ms / 1000))
        return SSL_TLSEXT_ERR_NOACK;
    copy = OPENSSL_memdup(s->der, s->len); /* the library frees it */
    if (copy == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->len);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- at load ---- */

static bool
add_staple(struct conf_load *l, struct tls_shared *shared, struct tls_context *c,
           struct tls_certificate *certificate)
{
    struct tls_staple *s = ARENA_NEW(shared->arena, struct tls_staple), **slot;
    const char *why;

    slot = s != NULL ? VEC_PUSH(&c->staples, struct tls_staple *) : NULL;
    if (slot == NULL || !arena_on_free(shared->arena, staple_free, s))
        return conf_fail_at(l, c->settings.pos, "out of memory");
    *slot = s;
    s->context = c;
    s->certificate = certificate;
    s->of_file = c->settings.stapling_file.path.len > 0;
    if (certificate->pair == NULL)
        return true;
    if (s->of_file)
        return read_file(l, s);
    why = aim(s, shared->arena);
    if (why != NULL)
        conf_warn_at(l, certificate->file.pos, IGNORED, why,
                     STR(tls_pem_shown(certificate->file.path)));
    return true;
}

bool
tls_staple_set_up(struct conf_load *l, struct tls_shared *shared, struct tls_context *c)
{
    const struct conf_node nowhere = { 0 };

    vec_init(&c->staples, shared->arena, sizeof(struct tls_staple *));
    if (!c->settings.stapling)
        return true;
    SSL_CTX_set_tlsext_status_cb(c->ssl, on_status);
    if (shared->staples == NULL && c->settings.stapling_file.path.len == 0)
        shared->staples =
            config_zone(l, &nowhere, S("weir:stapling"), ZONE_BYTES, &tls_ocsp_zone_ops);
    if (shared->staples == NULL && c->settings.stapling_file.path.len == 0)
        return false;
    VEC_FOREACH (at, struct tls_certificate *, &c->certificates) {
        if (!add_staple(l, shared, c, *at))
            return false;
    }
    return true;
}

/* ---- keeping them fresh ---- */

static struct tls_ocsp_question
question_of(const struct tls_staple *s)
{
    const struct tls_settings *set = &s->context->settings;
    struct tls_ocsp_question q = { .certificate = s->leaf,
                                   .issuer = s->issuer,
                                   .chain = s->certificate->pair->chain,
                                   .resolver = set->resolver,
                                   .resolver_timeout_ms = set->resolver_timeout_ms };

    (void)tls_ocsp_url_parse(s->url, &q.url); /* it was good at load */
    if (set->stapling_verify)
        q.trust = SSL_CTX_get_cert_store(s->context->ssl);
    return q;
}

static struct zone *
zone_of(const struct tls_staple *s)
{
    return s->context->shared->staples->zone;
}

/* When half of its time has passed. */
static uint64_t
refresh_after_ms(int64_t until_s)
{
    int64_t left_s = until_s - (int64_t)(clock_wall_ms / 1000);

    if (left_s >= 2 * REFRESH_MAX_MS / 1000)
        return REFRESH_MAX_MS;
    return num_max(REFRESH_MIN_MS, left_s > 0 ? (uint64_t)left_s * 500 : 0);
}

/* What another worker, or another generation, has been told. What lies there is looked at as if it came from the network. */
static void
take_kept(struct tls_staple *s)
{
    struct tls_ocsp_question q = question_of(s);
    struct tls_ocsp_answer a;
    static struct kept kept;
    size_t len = tls_session_find(zone_of(s), str_n(s->key, KEY), clock_ms, &kept);

    if (len <= offsetof(struct kept, der) || kept.refresh_ms <= s->refresh_ms)
        return;
    tls_ocsp_judge(&q, str_n((const char *)kept.der, len - offsetof(struct kept, der)), &a);
    if (a.status == OCSP_GOOD && staple_take(s, a.der, a.until_s))
        s->refresh_ms = num_min(kept.refresh_ms, clock_ms + REFRESH_MAX_MS);
}

static void
keep(const struct tls_staple *s, struct str der, int64_t until_s)
{
    static struct kept kept;
    uint64_t left_ms =
        (uint64_t)num_max(
            60, (uint64_t)num_min((uint64_t)until_s - clock_wall_ms / 1000, 365 * 86400)) *
        1000;

    if (der.len > sizeof(kept.der))
        return;
    kept.refresh_ms = s->refresh_ms;
    memcpy(kept.der, der.ptr, der.len);
    tls_session_store(zone_of(s), str_n(s->key, KEY),
                      str_n((const char *)&kept, offsetof(struct kept, der) + der.len), clock_ms,
                      clock_ms + left_ms);
}

/* The note of who asks lies under another key. */
static struct str
note_key(const struct tls_staple *s, char key[KEY])
{
    for (int i = 0; i < KEY; i++)
        key[i] = (char)~s->key[i];
    return str_n(key, KEY);
}

/* False: somebody else has left one. */
static bool
claim(const struct tls_staple *s)
{
    static struct kept kept;
    char key[KEY];

    if (tls_session_find(zone_of(s), note_key(s, key), clock_ms, &kept) > 0)
        return false;
    tls_session_store(zone_of(s), str_n(key, KEY), S("asked"), clock_ms, clock_ms + CLAIM_MS);
    return true;
}

static void
unclaim(const struct tls_staple *s)
{
    char key[KEY];

    tls_session_forget(zone_of(s), note_key(s, key));
}

static void
try_again(struct tls_staple *s)
{
    uint64_t after = (uint64_t)RETRY_FIRST_MS << num_min(s->failures, 20);

    s->failures++;
    timer_set(&s->timer, num_min(after, RETRY_MAX_MS));
}

static void
on_answer(void *data, const struct tls_ocsp_answer *a)
{
    static const char *const names[] = { "good", "revoked", "unknown" };
    struct tls_staple *s = data;

    s->asked = NULL;
    unclaim(s);
    if (a->status != OCSP_GOOD || !staple_take(s, a->der, a->until_s)) {
        if (a->status != OCSP_FAILED)
            log_error(0, "certificate status \"%s\" in the OCSP response for \"%.*s\"",
                      names[a->status], STR(tls_pem_shown(s->certificate->file.path)));
        try_again(s);
        return;
    }
    s->failures = 0;
    s->refresh_ms = clock_ms + refresh_after_ms(a->until_s);
    keep(s, a->der, a->until_s);
    timer_set(&s->timer, s->refresh_ms - clock_ms);
}

static void
ask(struct tls_staple *s)
{
    struct tls_ocsp_question q = question_of(s);

    s->asked = tls_ocsp_ask(&q, on_answer, s);
    if (s->asked == NULL)
        try_again(s);
}

/* To the certificate that has come in the old one's place. */
static void
turn(struct tls_staple *s)
{
    const char *why;

    if (s->asked != NULL) {
        tls_ocsp_cancel(s->asked);
        s->asked = NULL;
        unclaim(s);
    }
    why = aim(s, s->context->shared->arena);
    if (why != NULL)
        log_warn(0, IGNORED, why, STR(tls_pem_shown(s->certificate->file.path)));
}

static void
on_time(struct timer *timer)
{
    struct tls_staple *s = CONTAINER_OF(timer, struct tls_staple, timer);

    if (!is_current(s))
        turn(s);
    if (!s->aimed)
        return;
    take_kept(s);
    if (s->der != NULL && s->refresh_ms > clock_ms)
        timer_set(&s->timer, s->refresh_ms - clock_ms);
    else if (claim(s))
        ask(s);
    else
        timer_set(&s->timer, LOOK_MS);
}

void
tls_staple_start(struct tls_shared *shared)
{
    struct str name;
    void *value;

    for (uint32_t at = 0; hash_next(&shared->contexts, &at, &name, &value);) {
        const struct tls_context *c = value;

        VEC_FOREACH (s, struct tls_staple *, &c->staples) {
            if ((*s)->of_file)
                continue;
            (*s)->timer.on_time = on_time;
            timer_set(&(*s)->timer, 1);
        }
    }
}

void
tls_staple_renew(struct tls_context *c)
{
    VEC_FOREACH (s, struct tls_staple *, &c->staples) {
        if ((*s)->timer.on_time != NULL && !is_current(*s))
            timer_set(&(*s)->timer, 1);
    }
}
