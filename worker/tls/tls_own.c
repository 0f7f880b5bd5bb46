/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_own.c - certificates that we show to origins and whose names have variables: each is asked for before its connection
 * is, since what a connection may be used for depends on it.
 */
#include "worker/tls/tls_own.h"

#include <stdlib.h>

struct tls_own {
    struct tls_cert_wait wait;
    struct arena arena;
    struct tls_pair_source from;
    void (*fn)(void *data);
    void *data;
    enum tls_own_state state;
    struct tls_pair *pair;
    struct tls_pair_error error;
};

static void
came(struct tls_own *o, struct tls_pair *p)
{
    o->pair = p;
    o->state = p != NULL ? TLS_OWN_HERE : TLS_OWN_BAD;
}

static void
on_pair(struct tls_cert_wait *w, struct tls_pair *p, const struct tls_pair_error *e)
{
    struct tls_own *o = CONTAINER_OF(w, struct tls_own, wait);

    if (p == NULL)
        o->error = *e;
    came(o, p != NULL ? tls_pair_ref(p) : NULL);
    o->fn(o->data);
}

static struct str
absolute(struct tls_own *o, const struct tls_context *c, struct str name)
{
    if (tls_is_no_path(name) || str_starts(name, S("/")))
        return arena_str(&o->arena, name);
    return arena_fmt(&o->arena, "%.*s%.*s", STR(c->shared->conf_dir), STR(name));
}

struct tls_own *
tls_own_ask(const struct tls_context *c, struct str certificate, struct str key,
            void (*fn)(void *data), void *data)
{
    struct tls_own *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    arena_init(&o->arena, 512);
    list_init(&o->wait.node);
    o->wait.done = on_pair;
    o->fn = fn;
    o->data = data;
    o->from.certificate.name = absolute(o, c, certificate);
    o->from.key.name = absolute(o, c, key);
    o->from.passwords = c->passwords;
    if (o->from.certificate.name.ptr == NULL || o->from.key.name.ptr == NULL) {
        tls_own_end(o);
        return NULL;
    }
    switch (tls_cert_get(c->settings.certificate_cache, &o->from, &o->wait, &o->pair, &o->error)) {
    case TLS_PAIR_HERE:
    case TLS_PAIR_BAD:
        came(o, o->pair);
        break;
    case TLS_PAIR_WAIT:
        o->state = TLS_OWN_WAITS;
        break;
    }
    return o;
}

enum tls_own_state
tls_own_state(const struct tls_own *o, const char **why)
{
    *why = o->error.error.text;
    return o->state;
}

const struct tls_pair *
tls_own_pair(const struct tls_own *o)
{
    return o->pair;
}

void
tls_own_cancel(struct tls_own *o)
{
    tls_cert_forget(&o->wait);
}

void
tls_own_end(void *own)
{
    struct tls_own *o = own;

    tls_own_cancel(o);
    tls_pair_put(o->pair);
    arena_free(&o->arena);
    free(o);
}
