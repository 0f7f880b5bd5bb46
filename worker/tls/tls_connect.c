/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_connect.c - the client's side of a handshake: towards origins.
 *
 * The library finds out what is wrong with the origin's certificate, and the handshake is refused here, behind it, so that
 * the reason can be told in words.
 */
#include <openssl/err.h>

#include "common/base/num.h"
#include "common/sys/addr.h"
#include "common/sys/clock.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_error.h"
#include "worker/tls/tls_own.h"
#include "worker/tls/tls_resume.h"
#include "worker/tls/tls_x509.h"

void
tls_connect_set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, tls_resume_on_session);
}

/* ---- the end of the handshake ---- */

static void
connect_done(struct tls *t, const char *why)
{
    struct conn *c = t->c;
    void (*done)(struct conn * c, const char *why) = t->done;

    t->took_us = clock_now_us() - t->began_us;
    c->on_event = NULL;
    c->bits |= CONN_READABLE; /* bytes may lie in the library's buffer */
    ERR_clear_error();
    done(c, why);
}

static void
connect_failed(struct tls *t, const char *what)
{
    static char why[1024];

    snprintf(why, sizeof(why), "%s%s", what, tls_error_text());
    t->state = TLS_FAILED;
    connect_done(t, why);
}

/* The peer has gone: its FIN, or the error of the socket. */
static void
connect_lost(struct tls *t)
{
    char what[200] = "peer closed connection in SSL handshake";

    ERR_clear_error();
    if (!t->raw_eof)
        snprintf(what + strlen(what), sizeof(what) - strlen(what), " (%d: %s)", t->c->error,
                 strerror(t->c->error));
    connect_failed(t, what);
}

/* Both names are said, so that it shows at a glance which one is wrong. */
static const char *
mismatch(const struct tls *t, X509 *certificate)
{
    static char why[1024];
    char room[512];
    struct text names;

    text_init_fixed(&names, room, sizeof(room));
    if (certificate != NULL)
        x509_add_names(&names, certificate);
    snprintf(why, sizeof(why),
             "upstream SSL certificate does not match \"%.*s\", it is for \"%.*s\"",
             (int)num_min(t->verify_name.len, 255), t->verify_name.ptr, (int)names.len, room);
    return why;
}

/* NULL: the origin is who it should be. */
static const char *
verify(struct tls *t)
{
    static char why[512];
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    long result = SSL_get_verify_result(t->ssl);

    if (t->context->settings.verify == TLS_VERIFY_OFF)
        return NULL;
    if (result != X509_V_OK) {
        snprintf(why, sizeof(why), "upstream SSL certificate verify error: (%ld:%s)", result,
                 X509_verify_cert_error_string(result));
        return why;
    }
    if (certificate != NULL && x509_covers(certificate, t->verify_name))
        return NULL;
    return mismatch(t, certificate);
}

/* ---- steps ---- */

void
tls_connect_step(struct tls *t)
{
    const char *why;
    int r, error;

    ERR_clear_error();
    r = SSL_do_handshake(t->ssl);
    error = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
    if (t->out != NULL && tls_send(t) == IO_ERROR) {
        connect_lost(t);
        return;
    }
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        t->c->bits &= (uint8_t)~CONN_READABLE;
        return;
    }
    if (r != 1) {
        if (t->raw_eof || t->c->error != 0) {
            connect_lost(t);
            return;
        }
        t->refused = t->offered;
        if (t->refused)
            tls_resume_refused(t);
        connect_failed(t, "SSL_do_handshake() failed");
        return;
    }
    why = verify(t);
    t->state = why == NULL ? TLS_OPEN : TLS_FAILED;
    connect_done(t, why);
}

static void
connect_on_event(struct conn *c)
{
    tls_take_turn(c->layer);
}

/* ---- the beginning ---- */

static bool
use_own(SSL *ssl, const struct tls_own *own)
{
    const struct tls_pair *p = own != NULL ? tls_own_pair(own) : NULL;

    return p == NULL || SSL_use_cert_and_key(ssl, p->leaf, p->key, p->chain, 1) == 1;
}

/* NULL, or what failed; the library knows why. */
static const char *
set_up(struct tls *t, const struct tls_client *o)
{
    struct addr ip;
    SSL *ssl = t->ssl;

    if (o->name.len > 0 && !addr_parse_ip(o->name, &ip) &&
        (!tls_keep_name(t, o->name) || SSL_set_tlsext_host_name(ssl, t->name.ptr) != 1))
        return "SSL_set_tlsext_host_name() failed";
    if (o->protocols.len > 0 && SSL_set_alpn_protos(ssl, (const unsigned char *)o->protocols.ptr,
                                                    (unsigned int)o->protocols.len) != 0)
        return "SSL_set_alpn_protos() failed";
    if (!use_own(ssl, o->own))
        return "SSL_use_certificate() failed";
    if (!tls_resume_set_up(t, o))
        return "no memory for a TLS connection";
    tls_resume_offer(t);
    return NULL;
}

void
tls_connect(struct conn *c, const struct tls_client *o)
{
    const char *why;
    struct tls *t;

    if (!tls_attach(c, &t)) {
        o->done(c, "no memory for a TLS connection");
        return;
    }
    buf_put_chain(t->raw); /* what was said before the handshake is no part of it */
    t->raw = NULL;
    t->client = true;
    t->context = o->context;
    t->done = o->done;
    t->verify_name = o->verify_name;
    t->began_us = clock_now_us();
    ERR_clear_error();
    why = tls_open(t) ? set_up(t, o) : "no memory for a TLS connection";
    if (why != NULL) {
        connect_failed(t, why);
        return;
    }
    SSL_set_connect_state(t->ssl);
    t->state = TLS_HANDSHAKE;
    c->on_event = connect_on_event;
    tls_take_turn(t);
}
