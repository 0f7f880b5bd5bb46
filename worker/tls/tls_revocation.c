/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_revocation.c - ssl_ocsp: whether certificates of clients have been revoked, as their responders say.
 *
 * The handshake is complete, and the connection waits for the answers: about the client's certificate, and with `on` about
 * each one above it but the last. What is not known to be good is refused, as a request with 495. Answers are kept in a
 * zone for as long as they are good.
 */
#include <openssl/err.h>
#include <stdlib.h>

#include "common/sys/clock.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_ocsp.h"
#include "worker/tls/tls_session.h"

enum { KEPT_MAX_MS = 3600 * 1000, KEY = 32 };

struct tls_revocation_check {
    struct tls *t;
    STACK_OF(X509) * chain; /* from the client's to a trusted one */
    int n, next;            /* certificates to be asked about; the one that is asked about now */
    char key[KEY];
    struct tls_ocsp *asked;
    struct task over; /* all is known */
};

static const char failed_text[] = "certificate status request failed";

void
tls_revocation_drop(struct tls_revocation_check *k)
{
    if (k == NULL)
        return;
    if (k->asked != NULL)
        tls_ocsp_cancel(k->asked);
    task_cancel(&k->over);
    sk_X509_pop_free(k->chain, X509_free);
    loop_defer_free(free, k);
}

static void
on_over(struct task *task)
{
    struct tls_revocation_check *k = CONTAINER_OF(task, struct tls_revocation_check, over);
    struct tls *t = k->t;

    t->check = NULL;
    tls_revocation_drop(k);
    tls_handshake_checked(t);
}

static void
over(struct tls_revocation_check *k, const char *why)
{
    k->t->revocation = why;
    task_ready(&k->over);
}

/* ---- what is known ---- */

static const char *
why_of(enum tls_ocsp_status status)
{
    switch (status) {
    case OCSP_GOOD:
        return NULL;
    case OCSP_REVOKED:
        return "certificate revoked";
    case OCSP_UNKNOWN:
        return "certificate status unknown";
    case OCSP_FAILED:
        break;
    }
    return failed_text;
}

static struct zone *
zone_of(const struct tls_revocation_check *k)
{
    const struct zone_spec *spec = k->t->context->settings.ocsp_cache;

    return spec != NULL ? spec->zone : NULL;
}

/* An answer lasts for as long as its responder says, and an hour at most. */
static void
keep(const struct tls_revocation_check *k, const struct tls_ocsp_answer *a)
{
    char status = (char)a->status;
    int64_t left_s = a->until_s - (int64_t)(clock_wall_ms / 1000);
    uint64_t ms = left_s > KEPT_MAX_MS / 1000 ? KEPT_MAX_MS
                  : left_s > 0                ? (uint64_t)left_s * 1000
                                              : 0;

    if (zone_of(k) != NULL && ms > 0)
        tls_session_store(zone_of(k), str_n(k->key, KEY), str_n(&status, 1), clock_ms,
                          clock_ms + ms);
}

static bool
find_kept(const struct tls_revocation_check *k, enum tls_ocsp_status *status)
{
    static char kept[TLS_SESSION_MAX];

    if (zone_of(k) == NULL ||
        tls_session_find(zone_of(k), str_n(k->key, KEY), clock_ms, kept) != 1 || kept[0] < 0 ||
        kept[0] >= OCSP_FAILED)
        return false;
    *status = (enum tls_ocsp_status)kept[0];
    return true;
}

/* ---- one certificate after the other ---- */

static void ask_on(struct tls_revocation_check *k);

static void
on_answer(void *data, const struct tls_ocsp_answer *a)
{
    struct tls_revocation_check *k = data;

    k->asked = NULL;
    if (a->status != OCSP_FAILED)
        keep(k, a);
    if (a->status != OCSP_GOOD) {
        over(k, why_of(a->status));
        return;
    }
    k->next++;
    ask_on(k);
}

/* The responder of the certificate; *urls holds what it names. False: it is said. */
static bool
find_responder(const struct tls_revocation_check *k, X509 *certificate, struct tls_ocsp_url *url,
               STACK_OF(OPENSSL_STRING) * *urls)
{
    struct str text = k->t->context->settings.ocsp_responder;
    char why[1200];

    *urls = text.len == 0 ? X509_get1_ocsp(certificate) : NULL;
    if (sk_OPENSSL_STRING_num(*urls) > 0)
        text = str_c(sk_OPENSSL_STRING_value(*urls, 0));
    if (text.len == 0) {
        tls_log(k->t, LOG_LEVEL_ERROR, 0, "SSL handshaking",
                "no OCSP responder URL in certificate");
        return false;
    }
    if (tls_ocsp_url_parse(text, url) == OCSP_URL_GOOD)
        return true;
    snprintf(why, sizeof(why), "invalid OCSP responder \"%.*s\" in certificate", LOG_STR(text));
    tls_log(k->t, LOG_LEVEL_ERROR, 0, "SSL handshaking", why);
    return false;
}

static bool
ask(struct tls_revocation_check *k, X509 *certificate, X509 *issuer)
{
    const struct tls_settings *s = &k->t->context->settings;
    struct tls_ocsp_question q = { .certificate = certificate,
                                   .issuer = issuer,
                                   .chain = k->chain,
                                   .trust = SSL_CTX_get_cert_store(k->t->context->ssl),
                                   .resolver = s->resolver,
                                   .resolver_timeout_ms = s->resolver_timeout_ms };
    STACK_OF(OPENSSL_STRING) * urls;

    if (find_responder(k, certificate, &q.url, &urls))
        k->asked = tls_ocsp_ask(&q, on_answer, k);
    X509_email_free(urls);
    return k->asked != NULL;
}

static void
ask_on(struct tls_revocation_check *k)
{
    for (; k->next < k->n; k->next++) {
        X509 *certificate = sk_X509_value(k->chain, k->next),
             *issuer = sk_X509_value(k->chain, k->next + 1);
        enum tls_ocsp_status status;

        if (!tls_ocsp_key(certificate, issuer, k->key)) {
            over(k, failed_text);
            return;
        }
        if (!find_kept(k, &status)) {
            if (!ask(k, certificate, issuer))
                over(k, failed_text);
            return;
        }
        if (status != OCSP_GOOD) {
            over(k, why_of(status));
            return;
        }
    }
    over(k, NULL);
}

bool
tls_revocation_begin(struct tls *t)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(t->ssl);
    struct tls_revocation_check *k;

    if (SSL_get0_peer_certificate(t->ssl) == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return false; /* none, or a bad one, which is known already */
    k = calloc(1, sizeof(*k));
    if (k != NULL && chain != NULL)
        k->chain = X509_chain_up_ref(chain);
    if (k == NULL || k->chain == NULL) {
        free(k);
        t->revocation = failed_text;
        return false;
    }
    k->t = t;
    k->over.run = on_over;
    k->n = sk_X509_num(k->chain) - 1;
    if (t->context->settings.ocsp == TLS_OCSP_LEAF && k->n > 1)
        k->n = 1;
    t->check = k;
    ask_on(k);
    return true;
}
