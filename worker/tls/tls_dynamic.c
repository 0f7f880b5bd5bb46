/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_dynamic.c - certificates that are chosen in the handshake: their names have variables, or what the context was made
 * with is not good any more.
 *
 * The library asks when it has read the ClientHello and before it chooses a cipher, so that variables know what the
 * client offers. The names of all pairs are computed then; each pair comes from the cache, or is read beside the loop
 * while the handshake waits. A resumed session needs no certificate, and does not ask.
 */
#include "worker/tls/tls_dynamic.h"

#include <stdlib.h>

#include "worker/core/template.h"
#include "worker/tls/tls_cert_cache.h"
#include "worker/tls/tls_certificate.h"
#include "worker/tls/tls_conn.h"

/* A handshake's pairs, one after the other. */
struct tls_dynamic {
    struct tls *t;
    struct arena arena;
    struct tls_pair_source *pairs; /* name.ptr NULL: a constant pair, which the context has */
    uint32_t n, next;
    bool waits;            /* for `next` */
    struct tls_pair *pair; /* it has come */
    struct tls_pair_error error;
    struct tls_cert_wait wait;
};

void
tls_dynamic_drop(struct tls_dynamic *d)
{
    if (d == NULL)
        return;
    tls_cert_forget(&d->wait);
    tls_pair_put(d->pair);
    arena_free(&d->arena);
    free(d);
}

/* ---- names ---- */

static bool
is_path(struct str name)
{
    return !tls_pem_is_data(name) && !str_starts(name, S("store:")) &&
           !str_starts(name, S("engine:"));
}

/* The name by now, a path made absolute; ptr NULL: memory. */
static struct str
name_of(struct tls_dynamic *d, struct exchange *x, const struct tls_file *f)
{
    struct str name = f->text != NULL ? template_expand(x, f->text) : f->path;

    if (name.ptr == NULL || f->text == NULL)
        return name;
    if (is_path(name) && !str_starts(name, S("/")))
        return arena_fmt(&d->arena, "%.*s%.*s", STR(d->t->context->shared->conf_dir), STR(name));
    return arena_str(&d->arena, name);
}

static bool
name_pairs(struct tls_dynamic *d, struct exchange *x)
{
    const struct tls_context *c = d->t->context;
    const struct tls_settings *s = &c->settings;

    d->pairs = arena_zalloc(&d->arena, s->certificates.len * sizeof(*d->pairs));
    if (d->pairs == NULL)
        return false;
    d->n = s->certificates.len;
    for (uint32_t i = 0; i < d->n; i++) {
        const struct tls_file *certificate = VEC_AT(&s->certificates, struct tls_file, i),
                              *key = VEC_AT(&s->keys, struct tls_file, i);

        if (!tls_dynamic_is(certificate, key))
            continue;
        d->pairs[i] = (struct tls_pair_source){ .certificate.name = name_of(d, x, certificate),
                                                .key.name = name_of(d, x, key),
                                                .passwords = c->passwords };
        if (d->pairs[i].certificate.name.ptr == NULL || d->pairs[i].key.name.ptr == NULL)
            return false;
    }
    return true;
}

static void
on_pair(struct tls_cert_wait *w, struct tls_pair *p, const struct tls_pair_error *e)
{
    struct tls_dynamic *d = CONTAINER_OF(w, struct tls_dynamic, wait);

    d->waits = false;
    if (p != NULL)
        d->pair = tls_pair_ref(p);
    else
        d->error = *e;
    tls_take_turn(d->t);
}

/* NULL: memory. */
static struct tls_dynamic *
dynamic_new(struct tls *t)
{
    struct tls_dynamic *d = calloc(1, sizeof(*d));
    struct exchange *x;
    bool good;

    if (d == NULL)
        return NULL;
    d->t = t;
    d->wait.done = on_pair;
    arena_init(&d->arena, 1024);
    x = t->ops->exchange(t->c, t->name);
    good = x != NULL && name_pairs(d, x);
    if (x != NULL)
        t->ops->exchange_over(x);
    if (good)
        return d;
    tls_dynamic_drop(d);
    return NULL;
}

/* ---- pairs ---- */

/* Puts the next pair into the session. As the library's callback: 1: done; 0: failed; -1: it has to be waited for. */
static int
next_pair(struct tls_dynamic *d, SSL *ssl)
{
    const struct tls_pair_source *from = &d->pairs[d->next];
    bool good;

    if (d->waits)
        return -1;
    if (d->pair == NULL && d->error.error.text[0] == '\0') {
        switch (tls_cert_get(d->t->context->settings.certificate_cache, from, &d->wait, &d->pair,
                             &d->error)) {
        case TLS_PAIR_WAIT:
            d->waits = true;
            return -1;
        case TLS_PAIR_HERE:
        case TLS_PAIR_BAD:
            break;
        }
    }
    if (d->pair == NULL) {
        tls_log(d->t, LOG_LEVEL_ERROR, 0, "SSL handshaking", d->error.error.text);
        return 0;
    }
    good = SSL_use_cert_and_key(ssl, d->pair->leaf, d->pair->key, d->pair->chain, 1) == 1;
    tls_pair_put(d->pair);
    d->pair = NULL;
    return good ? 1 : 0;
}

/* The certificates without variables, in place of those that the context was made with. */
static bool
use_constant(SSL *ssl, const struct tls_context *c)
{
    SSL_certs_clear(ssl);
    VEC_FOREACH (at, struct tls_certificate *, &c->certificates) {
        const struct tls_pair *p = (*at)->pair;

        if (p != NULL && SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) != 1)
            return false;
    }
    return true;
}

static int
on_certificate(SSL *ssl, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    int result = 1;

    (void)arg;
    if (t->dynamic == NULL && t->context->by_connection && !use_constant(ssl, t->context))
        return 0;
    if (!t->context->dynamic)
        return 1;
    if (t->dynamic == NULL)
        t->dynamic = dynamic_new(t);
    if (t->dynamic == NULL)
        return 0;
    for (struct tls_dynamic *d = t->dynamic; result == 1 && d->next < d->n;
         d->next += result == 1) {
        if (d->pairs[d->next].certificate.name.ptr != NULL)
            result = next_pair(d, ssl);
    }
    if (result < 0)
        return -1;
    tls_dynamic_drop(t->dynamic);
    t->dynamic = NULL;
    return result;
}

void
tls_dynamic_set_up(struct tls_context *c)
{
    SSL_CTX_set_cert_cb(c->ssl, on_certificate, NULL);
}
