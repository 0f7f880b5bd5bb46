/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_resume.c - sessions with origins: the newest one of each server is kept for the next connection to it.
 *
 * Who may use a session, or an open connection, of somebody else is said by a key: context, names, protocols and the
 * server's address. So nothing that was agreed on under other settings is ever taken up, above all no session whose
 * certificate nobody verified. Each worker keeps its own; those that were not used for longest go first.
 */
#include "worker/tls/tls_resume.h"

#include <openssl/x509.h>
#include <stdlib.h>

#include "common/base/hash.h"
#include "common/sys/clock.h"
#include "worker/tls/tls_own.h"

enum {
    KEPT_MAX = 1000, /* sessions: a few kB each, with the server's certificates */
    REFUSED_MS =
        10 * 60 * 1000, /* so long none is offered to a server that broke off because of one */
    KEY_MAX = 2048,     /* bytes; connections with longer names are used by nobody else */
};

struct kept {
    struct list by_age;     /* most recently used first */
    struct str key;         /* behind it */
    SSL_SESSION *session;   /* NULL: the server refuses them */
    uint64_t none_until_ms; /* none is kept or offered before; 0: it may be */
};

static struct hash kept;
static struct list ages = LIST_INIT(ages);

/* ---- keys ---- */

static void
add_part(struct text *t, struct str part)
{
    uint32_t len = (uint32_t)part.len;

    text_bytes(t, &len, sizeof(len));
    text_add(t, part);
}

/* By what it is, not by its name: a file may have changed. */
static bool
add_certificate(struct text *t, const struct tls_own *own)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len;

    if (X509_digest(tls_own_pair(own)->leaf, EVP_sha256(), digest, &len) != 1)
        return false;
    text_bytes(t, digest, len);
    return true;
}

/* All of a key but the address, in `buf`. False: it is too long. */
static bool
make_identity(struct text *t, char buf[KEY_MAX], const struct tls_client *o)
{
    bool verified = o->context->settings.verify != TLS_VERIFY_OFF;

    text_init_fixed(t, buf, KEY_MAX);
    text_bytes(t, &o->context, sizeof(o->context));
    add_part(t, o->name);
    add_part(t, verified ? o->verify_name : S(""));
    add_part(t, o->protocols);
    return (o->own == NULL || add_certificate(t, o->own)) && !t->failed;
}

bool
tls_resume_set_up(struct tls *t, const struct tls_client *o)
{
    const struct addr *peer = &t->c->peer;
    char buf[KEY_MAX], *key;
    struct text text;

    if (!make_identity(&text, buf, o))
        return true;
    text_bytes(&text, &peer->sa, peer->len);
    if (text.failed)
        return true;
    key = malloc(text.len);
    if (key == NULL)
        return false;
    memcpy(key, buf, text.len);
    t->key = str_n(key, text.len);
    t->resume = o->resume;
    return true;
}

bool
tls_serves(const struct conn *c, const struct tls_client *o)
{
    const struct tls *t = tls_of(c);
    char buf[KEY_MAX];
    struct text text;

    if (t == NULL || o == NULL)
        return (t == NULL) == (o == NULL);
    return t->state == TLS_OPEN && t->context == o->context && make_identity(&text, buf, o) &&
           t->key.len == text.len + c->peer.len && memcmp(t->key.ptr, buf, text.len) == 0;
}

/* ---- sessions ---- */

static void
forget(struct kept *k)
{
    (void)hash_del(&kept, k->key);
    list_del(&k->by_age);
    SSL_SESSION_free(k->session);
    free(k);
}

static struct kept *
remember(struct str key)
{
    struct kept *k = malloc(sizeof(*k) + key.len);

    if (k == NULL)
        return NULL;
    *k = (struct kept){ .key = str_n((char *)(k + 1), key.len) };
    memcpy(k + 1, key.ptr, key.len);
    if (!hash_set(&kept, k->key, k)) {
        free(k);
        return NULL;
    }
    list_add_head(&ages, &k->by_age);
    if (kept.n > KEPT_MAX)
        forget(LIST_ENTRY(ages.prev, struct kept, by_age));
    return k;
}

int
tls_resume_on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *t = SSL_get_app_data(ssl);
    struct kept *k;

    if (!t->resume || SSL_SESSION_is_resumable(session) != 1)
        return 0;
    k = hash_get(&kept, t->key);
    if (k == NULL)
        k = remember(t->key);
    if (k == NULL || clock_ms < k->none_until_ms)
        return 0;
    SSL_SESSION_free(k->session);
    k->session = session;
    return 1;
}

/* A session goes on being extended by new tickets, but not beyond the certificate that was seen at its beginning. */
static bool
is_good(SSL_SESSION *session)
{
    const X509 *certificate = SSL_SESSION_get0_peer(session);

    return SSL_SESSION_is_resumable(session) == 1 &&
           (certificate == NULL || X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0);
}

void
tls_resume_offer(struct tls *t)
{
    struct kept *k = t->resume ? hash_get(&kept, t->key) : NULL;

    if (k == NULL || k->session == NULL)
        return;
    if (!is_good(k->session) || SSL_set_session(t->ssl, k->session) != 1) {
        forget(k);
        return;
    }
    t->offered = true;
    list_del(&k->by_age);
    list_add_head(&ages, &k->by_age);
}

void
tls_resume_refused(struct tls *t)
{
    struct kept *k = hash_get(&kept, t->key);

    if (k == NULL)
        k = remember(t->key);
    if (k == NULL)
        return;
    SSL_SESSION_free(k->session);
    k->session = NULL;
    k->none_until_ms = clock_ms + REFUSED_MS;
}

bool
tls_refused_session(const struct conn *c)
{
    const struct tls *t = tls_of(c);

    return t != NULL && t->refused;
}
