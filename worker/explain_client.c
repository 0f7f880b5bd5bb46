/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain_client.c - sends one request and reads the head of its response, in the same loop as the server.
 */
#include "worker/explain_client.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "common/base/text.h"
#include "common/event/timer.h"
#include "common/sys/fd.h"
#include "common/sys/socket.h"
#include "worker/core/explain.h"

enum {
    PATIENCE_MS = 5000,         /* for a request that waits: a delay, a body, a name */
    RESPONSE_MAX = 1024 * 1024, /* bytes of a head */
};

static struct {
    struct watch watch;
    struct timer timer;
    SSL *ssl; /* NULL: plain text */
    bool sent;
    struct str head;
    struct text in;
} client;

static void
over(const char *why)
{
    if (why != NULL)
        explain_step("response", EXPLAIN_NOWHERE, "%s", why);
    loop_del(&client.watch);
    timer_stop(&client.timer);
    loop_stop();
}

static void
on_time(struct timer *t)
{
    (void)t;
    over("none came within 5 s: the request waits for something");
}

/* Where the head at the front of the text ends; its length: it is not complete. */
static size_t
head_end(struct str text)
{
    size_t end = str_search(text, S("\r\n\r\n"));

    return end < text.len ? end + 4 : text.len + 1;
}

/* Heads of 1xx come before the one that counts. True: it is there. */
static bool
take_head(void)
{
    struct str text = text_str(&client.in);
    size_t end;

    while ((end = head_end(text)) <= text.len) {
        if (str_starts(text, S("HTTP/1.1 1")) && !str_starts(text, S("HTTP/1.1 101"))) {
            text = str_from(text, end);
            continue;
        }
        explain_fact("status", str_upto(str_from(text, str_find(text, ' ') + 1), 3));
        explain_fact("response", str_upto(text, end));
        return true;
    }
    return false;
}

/* ---- bytes ---- */

/* 0: the end; -1 with EAGAIN: none now. */
static ssize_t
receive(char *to, size_t len)
{
    int n;

    if (client.ssl == NULL)
        return read(client.watch.fd, to, len);
    n = SSL_read(client.ssl, to, (int)len);
    if (n > 0)
        return n;
    errno = EAGAIN;
    return SSL_get_error(client.ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* The pair of sockets takes a whole head at once. */
static bool
send_head(void)
{
    struct str head = client.head;

    client.sent = true;
    if (client.ssl != NULL)
        return SSL_write(client.ssl, head.ptr, (int)head.len) == (int)head.len;
    return fd_write_all(client.watch.fd, head.ptr, head.len);
}

static void
explain_certificate(void)
{
    X509 *cert = SSL_get0_peer_certificate(client.ssl);
    char name[256] = "";

    if (cert != NULL)
        X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
    explain_step("tls", EXPLAIN_NOWHERE, "%s, %s, certificate of \"%s\"",
                 SSL_get_version(client.ssl), SSL_get_cipher_name(client.ssl), name);
}

/* True: it is complete. */
static bool
handshake(void)
{
    int n = SSL_connect(client.ssl), error = SSL_get_error(client.ssl, n);
    const char *why;

    if (n == 1) {
        explain_certificate();
        return true;
    }
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return false;
    why = ERR_reason_error_string(ERR_peek_error());
    explain_step("tls", EXPLAIN_NOWHERE, "the handshake fails: %s",
                 why != NULL ? why : "the connection is closed");
    over(NULL);
    return false;
}

static void
on_event(struct watch *w, unsigned bits)
{
    (void)w, (void)bits;
    if (!client.sent) {
        if (client.ssl != NULL && !SSL_is_init_finished(client.ssl) && !handshake())
            return;
        if (!send_head()) {
            over("none: the request could not be sent");
            return;
        }
    }
    for (;;) {
        char *room = text_room(&client.in, 16384);
        ssize_t n = room != NULL ? receive(room, 16384) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            client.in.len += (size_t)n;
        if (take_head()) {
            over(NULL);
            return;
        }
        if (n <= 0 || client.in.len > RESPONSE_MAX) {
            over("none: the connection is closed");
            return;
        }
    }
}

/* ---- begin ---- */

static bool
tls_set_up(int fd, struct str name)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    char host[256];
    struct addr a;

    if (ctx == NULL)
        return false;
    SSL_CTX_set_security_level(ctx, 0); /* what the server offers is to be seen */
    client.ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (client.ssl == NULL || SSL_set_fd(client.ssl, fd) != 1)
        return false;
    if (name.len > 0 && !addr_parse_ip(name, &a) && str_to_c(name, host, sizeof(host)))
        SSL_set_tlsext_host_name(client.ssl, host);
    return true;
}

bool
explain_client_start(int fd, struct str preface, bool tls, struct str name, struct str head)
{
    client.head = head;
    client.watch.on_event = on_event;
    client.timer.on_time = on_time;
    text_init(&client.in, NULL);
    if (!fd_write_all(fd, preface.ptr, preface.len) || (tls && !tls_set_up(fd, name)) ||
        !loop_add_level(&client.watch, fd, false)) {
        fd_close(&fd);
        return false;
    }
    timer_set(&client.timer, PATIENCE_MS);
    on_event(&client.watch, 0);
    return true;
}
