/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_connect.c - the client's side of a handshake: towards origins.
 *
 * The library finds out what is wrong with the origin's certificate, and the handshake is refused here, behind it, so that
 * the reason can be told in words. Sessions are kept where the caller wants them, the newest one of each server.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/sys/addr.h"
#include "common/sys/clock.h"
#include "worker/tls/tls_conn.h"
#include "worker/tls/tls_error.h"

/* ---- sessions ---- */

void
tls_resume_forget(struct tls_resume *r)
{
    SSL_SESSION_free(r->session);
    r->session = NULL;
}

/* The reference is kept. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *t = SSL_get_app_data(ssl);

    if (t->resume == NULL)
        return 0;
    tls_resume_forget(t->resume);
    t->resume->session = session;
    return 1;
}

void
tls_connect_set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
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

static bool
certificate_is_for(X509 *certificate, struct str name)
{
    struct addr ip;
    char text[ADDR_TEXT_MAX];

    if (!addr_parse_ip(name, &ip))
        return X509_check_host(certificate, name.ptr, name.len, 0, NULL) == 1;
    return str_to_c(name, text, sizeof(text)) && X509_check_ip_asc(certificate, text, 0) == 1;
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
    if (certificate != NULL && certificate_is_for(certificate, t->verify_name))
        return NULL;
    snprintf(why, sizeof(why), "upstream SSL certificate does not match \"%.*s\"",
             (int)(t->verify_name.len > 255 ? 255 : t->verify_name.len), t->verify_name.ptr);
    return why;
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
        if (t->raw_eof || t->c->error != 0)
            connect_lost(t);
        else
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

/* False: memory. */
static bool
set_up(struct tls *t, const struct tls_client *o)
{
    struct addr ip;
    SSL *ssl = t->ssl;

    if (o->name.len > 0 && !addr_parse_ip(o->name, &ip) &&
        (!tls_keep_name(t, o->name) || SSL_set_tlsext_host_name(ssl, t->name.ptr) != 1))
        return false;
    if (o->protocols.len > 0 && SSL_set_alpn_protos(ssl, (const unsigned char *)o->protocols.ptr,
                                                    (unsigned int)o->protocols.len) != 0)
        return false;
    if (o->resume != NULL && o->resume->session != NULL)
        (void)SSL_set_session(ssl, o->resume->session);
    return true;
}

void
tls_connect(struct conn *c, const struct tls_context *context, const struct tls_client *o)
{
    struct tls *t;

    if (!tls_attach(c, &t)) {
        o->done(c, "no memory for a TLS connection");
        return;
    }
    buf_put_chain(t->raw); /* what was said before the handshake is no part of it */
    t->raw = NULL;
    t->client = true;
    t->context = context;
    t->done = o->done;
    t->verify_name = o->verify_name;
    t->resume = o->resume;
    t->began_us = clock_now_us();
    if (!tls_open(t) || !set_up(t, o)) {
        connect_failed(t, "no memory for a TLS connection");
        return;
    }
    SSL_set_connect_state(t->ssl);
    t->state = TLS_HANDSHAKE;
    c->on_event = connect_on_event;
    tls_take_turn(t);
}
