/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_ocsp.c - asks an OCSP responder about a certificate.
 *
 * The library writes the request, reads the response and verifies it; names and connections are our own, so nothing waits
 * for a responder but who asked. Requests that are short enough go as GET, which caches understand (RFC 6960, A.1).
 */
#include "worker/tls/tls_ocsp.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/http.h>
#include <stdlib.h>

#include "common/base/escape.h"
#include "common/base/num.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "worker/net/connect.h"
#include "worker/tls/tls_error.h"

enum {
    ASK_MS = 10000,       /* for names, connections and the response together */
    GET_MAX = 255,        /* bytes of a path with the request in it */
    RESPONSE_MAX = 65536, /* bytes */
    SKEW_S = 300,         /* by which clocks may differ */
    ADDRESSES_MAX = 8,    /* of a responder's name that are tried */
    HOST_MAX = 255,
    STATUS_AT = 8, /* in a line of status, behind the version */
    SHA256_BYTES = 32,
};

struct tls_ocsp {
    struct tls_ocsp_question q; /* certificates and texts are ours */
    tls_ocsp_fn fn;
    void *data;
    struct task begin;
    struct timer timer;
    struct resolver_query *query;
    struct addr addrs[ADDRESSES_MAX];
    uint32_t n_addrs, next;
    struct conn *conn;
    bool connected;
    BIO *bio;
    OSSL_HTTP_REQ_CTX *http;
    char status[12]; /* "HTTP/1.1 200": what the answer begins with */
    size_t status_len;
    struct arena arena;
};

static void connect_next(struct tls_ocsp *o);

/* ---- URLs ---- */

enum tls_ocsp_url_result
tls_ocsp_url_parse(struct str text, struct tls_ocsp_url *u)
{
    struct str rest, port;
    size_t slash, colon;
    uint32_t n = 80;

    if (!str_starts_nocase(text, S("http://")))
        return OCSP_URL_NO_HTTP;
    rest = str_from(text, 7);
    slash = str_find(rest, '/');
    u->path = slash < rest.len ? str_from(rest, slash) : S("/");
    u->host = str_upto(rest, slash);
    colon = str_rfind(u->host, ':');
    if (colon < u->host.len && u->host.ptr[u->host.len - 1] != ']') {
        port = str_from(u->host, colon + 1);
        u->host = str_upto(u->host, colon);
        if (!num_parse_u32(port, &n) || n == 0 || n > UINT16_MAX)
            return OCSP_URL_NO_HOST;
    }
    u->port = (uint16_t)n;
    if (u->host.len == 0 || u->host.len > HOST_MAX)
        return OCSP_URL_NO_HOST;
    for (size_t i = 0; i < text.len;
         i++) /* it comes out of a certificate, and goes into a request */
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
            return OCSP_URL_NO_HOST;
    return OCSP_URL_GOOD;
}

/* ---- what a response says ---- */

static char why_buf[1024];

static void
failed(struct tls_ocsp_answer *a, const char *what)
{
    a->status = OCSP_FAILED;
    snprintf(why_buf, sizeof(why_buf), "%s%s", what, tls_error_text());
    a->why = why_buf;
}

int64_t
tls_ocsp_time(const ASN1_GENERALIZEDTIME *t)
{
    int days = 0, seconds = 0;

    if (t == NULL || ASN1_TIME_diff(&days, &seconds, NULL, t) != 1)
        return INT64_MAX;
    return (int64_t)(clock_wall_ms / 1000) + (int64_t)days * 86400 + seconds;
}

static bool
is_verified_with(STACK_OF(X509) * helpers, X509 *issuer, OCSP_BASICRESP *basic, X509_STORE *trust,
                 unsigned long flags)
{
    bool good = helpers != NULL && sk_X509_push(helpers, issuer) > 0 &&
                OCSP_basic_verify(basic, helpers, trust, flags) == 1;

    sk_X509_free(helpers);
    return good;
}

/*
 * What the issuer of the certificate has signed himself is good (RFC 6960, 4.2.2.2), although files of trust seldom have
 * the root that he comes from; others have to be trusted.
 */
static bool
is_verified(const struct tls_ocsp_question *q, OCSP_BASICRESP *basic)
{
    if (is_verified_with(sk_X509_new_null(), q->issuer, basic, q->trust, OCSP_TRUSTOTHER))
        return true;
    ERR_clear_error();
    return is_verified_with(q->chain != NULL ? sk_X509_dup(q->chain) : sk_X509_new_null(),
                            q->issuer, basic, q->trust, 0);
}

static void
judge_basic(const struct tls_ocsp_question *q, OCSP_BASICRESP *basic, struct tls_ocsp_answer *a)
{
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), q->certificate, q->issuer);
    ASN1_GENERALIZEDTIME *from = NULL, *until = NULL;
    int status = -1, found;

    found = id != NULL && OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &until) == 1;
    OCSP_CERTID_free(id);
    if (q->trust != NULL && !is_verified(q, basic)) {
        failed(a, "OCSP_basic_verify() failed");
        return;
    }
    if (!found) {
        failed(a, "certificate status not found in the OCSP response");
        return;
    }
    if (OCSP_check_validity(from, until, SKEW_S, -1) != 1) {
        failed(a, "OCSP_check_validity() failed");
        return;
    }
    a->until_s = tls_ocsp_time(until);
    a->status = status == V_OCSP_CERTSTATUS_GOOD      ? OCSP_GOOD
                : status == V_OCSP_CERTSTATUS_REVOKED ? OCSP_REVOKED
                                                      : OCSP_UNKNOWN;
}

static void
judge_response(const struct tls_ocsp_question *q, OCSP_RESPONSE *r, struct tls_ocsp_answer *a)
{
    int status = OCSP_response_status(r);
    OCSP_BASICRESP *basic;
    char what[100];

    if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        snprintf(what, sizeof(what), "OCSP response not successful (%d: %s)", status,
                 OCSP_response_status_str(status));
        failed(a, what);
        return;
    }
    basic = OCSP_response_get1_basic(r);
    if (basic == NULL)
        failed(a, "OCSP_response_get1_basic() failed");
    else
        judge_basic(q, basic, a);
    OCSP_BASICRESP_free(basic);
}

void
tls_ocsp_judge(const struct tls_ocsp_question *q, struct str der, struct tls_ocsp_answer *a)
{
    const unsigned char *p = (const unsigned char *)der.ptr;
    OCSP_RESPONSE *r;

    ERR_clear_error();
    *a = (struct tls_ocsp_answer){ .der = der };
    r = der.len <= RESPONSE_MAX ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.len) : NULL;
    if (r == NULL || p != (const unsigned char *)der.ptr + der.len)
        failed(a, "d2i_OCSP_RESPONSE() failed");
    else
        judge_response(q, r, a);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
}

bool
tls_ocsp_key(X509 *certificate, X509 *issuer, char key[32])
{
    unsigned char both[2][SHA256_BYTES];

    return X509_digest(certificate, EVP_sha256(), both[0], NULL) == 1 &&
           X509_digest(issuer, EVP_sha256(), both[1], NULL) == 1 &&
           EVP_Digest(both, sizeof(both), (unsigned char *)key, NULL, EVP_sha256(), NULL) == 1;
}

/* ---- the end of a question ---- */

static void
ocsp_free(struct tls_ocsp *o)
{
    task_cancel(&o->begin);
    timer_forget(&o->timer);
    if (o->query != NULL)
        resolver_cancel(o->query);
    OSSL_HTTP_REQ_CTX_free(o->http);
    BIO_free(o->bio);
    if (o->conn != NULL)
        conn_close(o->conn);
    X509_free(o->q.certificate);
    X509_free(o->q.issuer);
    sk_X509_pop_free(o->q.chain, X509_free);
    X509_STORE_free(o->q.trust);
    arena_free(&o->arena);
    loop_defer_free(free, o);
}

void
tls_ocsp_cancel(struct tls_ocsp *o)
{
    ocsp_free(o);
}

struct described {
    struct log_context ctx;
    const struct tls_ocsp *o;
};

static void
describe(const struct log_context *ctx, struct text *t)
{
    const struct tls_ocsp *o = CONTAINER_OF(ctx, const struct described, ctx)->o;
    char *subject = X509_NAME_oneline(X509_get_subject_name(o->q.certificate), NULL, 0);
    char peer[ADDR_TEXT_MAX];

    TEXT_LIT(t, " while requesting certificate status, responder: ");
    text_add(t, o->q.url.host);
    if (o->conn != NULL) {
        TEXT_LIT(t, ", peer: ");
        text_bytes(t, peer, addr_format(&o->conn->peer, true, peer));
    }
    if (subject != NULL)
        text_fmt(t, ", certificate: \"%s\"", subject);
    OPENSSL_free(subject);
}

static void
log_failure(const struct tls_ocsp *o, int err, const char *why)
{
    const struct described d = { { .describe = describe }, o };

    log_write(log_main, LOG_LEVEL_ERROR, err, &d.ctx, "%s", why);
}

static void
answer(struct tls_ocsp *o, const struct tls_ocsp_answer *a)
{
    o->fn(o->data, a);
    ocsp_free(o);
}

static void
give_up(struct tls_ocsp *o, int err, const char *why)
{
    const struct tls_ocsp_answer a = { .status = OCSP_FAILED, .why = why };

    log_failure(o, err, why);
    answer(o, &a);
}

static void
on_time(struct timer *timer)
{
    give_up(CONTAINER_OF(timer, struct tls_ocsp, timer), ETIMEDOUT, "OCSP responder timed out");
}

/* ---- the exchange ---- */

static void
take_response(struct tls_ocsp *o, OCSP_RESPONSE *r)
{
    unsigned char *der = NULL;
    int len = i2d_OCSP_RESPONSE(r, &der);
    struct tls_ocsp_answer a;

    OCSP_RESPONSE_free(r);
    if (len <= 0) {
        give_up(o, ENOMEM, "i2d_OCSP_RESPONSE() failed");
        return;
    }
    tls_ocsp_judge(&o->q, str_n((const char *)der, (size_t)len), &a);
    if (a.status == OCSP_FAILED)
        log_failure(o, 0, a.why);
    o->fn(o->data, &a);
    OPENSSL_free(der);
    ocsp_free(o);
}

/* Keeps the beginning of the answer. OpenSSL from 3.2 on takes the content of an answer with any status, and has no call
 * that tells the status. */
static long
on_read(BIO *bio, int what, const char *bytes, size_t len, int arg, long arg_long, int result,
        size_t *got)
{
    struct tls_ocsp *o = (struct tls_ocsp *)BIO_get_callback_arg(bio);
    size_t part;

    (void)len, (void)arg, (void)arg_long;
    if (what != (BIO_CB_READ | BIO_CB_RETURN) || result <= 0)
        return result;
    part = num_min(*got, sizeof(o->status) - o->status_len);
    memcpy(o->status + o->status_len, bytes, part);
    o->status_len += part;
    return result;
}

static bool
status_is_good(const struct tls_ocsp *o)
{
    struct str line = str_n(o->status, o->status_len);

    return str_starts(line, S("HTTP/1.")) && line.len == sizeof(o->status) &&
           memcmp(line.ptr + STATUS_AT, " 200", 4) == 0;
}

static void
exchange(struct tls_ocsp *o)
{
    ASN1_VALUE *value = NULL;
    char why[1024];

    ERR_clear_error();
    switch (OSSL_HTTP_REQ_CTX_nbio_d2i(o->http, &value, ASN1_ITEM_rptr(OCSP_RESPONSE))) {
    case -1:
        return; /* an event will follow */
    case 1:
        if (status_is_good(o)) {
            take_response(o, (OCSP_RESPONSE *)value);
            return;
        }
        OCSP_RESPONSE_free((OCSP_RESPONSE *)value);
        snprintf(why, sizeof(why), "OCSP responder sent invalid response (status%.4s)",
                 o->status + STATUS_AT);
        give_up(o, 0, why);
        return;
    default:
        if (ERR_peek_error() == 0)
            snprintf(why, sizeof(why), "OCSP responder prematurely closed connection");
        else
            snprintf(why, sizeof(why), "OCSP responder sent invalid response%s", tls_error_text());
        give_up(o, 0, why);
    }
}

/* The request in DER. ptr NULL: memory. */
static struct str
encode_request(struct tls_ocsp *o, OCSP_REQUEST **request)
{
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), o->q.certificate, o->q.issuer);
    unsigned char *der = NULL;
    struct str copy = STR_NONE;
    int len;

    *request = OCSP_REQUEST_new();
    if (id == NULL || *request == NULL || OCSP_request_add0_id(*request, id) == NULL) {
        OCSP_CERTID_free(id);
        return STR_NONE;
    }
    len = i2d_OCSP_REQUEST(*request, &der);
    if (len > 0)
        copy = arena_str(&o->arena, str_n((const char *)der, (size_t)len));
    OPENSSL_free(der);
    return copy;
}

/* "/path/BASE64"; false: memory. */
static bool
get_path(struct tls_ocsp *o, struct str der, struct text *t)
{
    struct str base64;
    struct text b;

    text_init(&b, &o->arena);
    escape_base64(&b, der);
    base64 = text_str(&b);
    text_init(t, &o->arena);
    text_add(t, o->q.url.path);
    if (t->len == 0 || t->ptr[t->len - 1] != '/')
        text_char(t, '/');
    for (size_t i = 0; i < base64.len; i++) {
        char c = base64.ptr[i];

        if (c == '+' || c == '/' || c == '=')
            text_fmt(t, "%%%02X", (unsigned)c);
        else
            text_char(t, c);
    }
    text_char(t, '\0');
    return !t->failed && !b.failed;
}

/* No Content-Type is expected: the library (3.0) forgets that it has seen one when the head comes in two pieces. */
static bool
make_request(struct tls_ocsp *o, OCSP_REQUEST *request, struct str der)
{
    struct str host = arena_fmt(&o->arena, "%.*s:%u", STR(o->q.url.host), o->q.url.port);
    char *path = arena_cstr(&o->arena, o->q.url.path);
    struct text get;
    bool post;

    if (host.ptr == NULL || path == NULL || !get_path(o, der, &get))
        return false;
    post = get.len > GET_MAX + 1;
    o->http = OSSL_HTTP_REQ_CTX_new(o->bio, o->bio, 0);
    if (o->http == NULL)
        return false;
    OSSL_HTTP_REQ_CTX_set_max_response_length(o->http, RESPONSE_MAX);
    return OSSL_HTTP_REQ_CTX_set_request_line(o->http, post, NULL, NULL, post ? path : get.ptr) ==
               1 &&
           OSSL_HTTP_REQ_CTX_add1_header(o->http, "Host", host.ptr) == 1 &&
           OSSL_HTTP_REQ_CTX_set_expected(o->http, NULL, 1, 0, 0) == 1 &&
           (!post ||
            OSSL_HTTP_REQ_CTX_set1_req(o->http, "application/ocsp-request",
                                       ASN1_ITEM_rptr(OCSP_REQUEST), (ASN1_VALUE *)request) == 1);
}

static void
send_request(struct tls_ocsp *o)
{
    OCSP_REQUEST *request = NULL;
    struct str der = encode_request(o, &request);
    bool good;

    o->status_len = 0;
    o->bio = BIO_new_socket(o->conn->watch.fd, BIO_NOCLOSE);
    if (o->bio != NULL) {
        BIO_set_callback_ex(o->bio, on_read);
        BIO_set_callback_arg(o->bio, (char *)o);
    }
    good = o->bio != NULL && der.ptr != NULL && make_request(o, request, der);
    OCSP_REQUEST_free(request);
    if (good)
        exchange(o);
    else
        give_up(o, ENOMEM, "no memory for an OCSP request");
}

/* ---- connections and names ---- */

static void
on_event(struct conn *c)
{
    struct tls_ocsp *o = c->owner;
    int err;

    if (o->connected) {
        exchange(o);
        return;
    }
    if (!(c->bits & (CONN_WRITABLE | CONN_ERROR | CONN_EOF)))
        return;
    err = connect_finish(c);
    if (err == 0) {
        o->connected = true;
        send_request(o);
    } else if (o->next < o->n_addrs) {
        connect_next(o);
    } else {
        give_up(o, err, "connect() failed");
    }
}

static void
connect_next(struct tls_ocsp *o)
{
    const struct connect_options options = { .timeout_ms = ASK_MS };

    if (o->conn != NULL)
        conn_close(o->conn);
    o->conn = NULL;
    while (o->conn == NULL && o->next < o->n_addrs)
        o->conn = connect_start(&o->addrs[o->next++], &options);
    if (o->conn == NULL) {
        give_up(o, errno, "connect() failed");
        return;
    }
    o->conn->owner = o;
    o->conn->on_event = on_event;
    if (o->conn->bits & CONN_WRITABLE)
        on_event(o->conn);
}

static void
on_name(void *data, const struct resolver_answer *a)
{
    struct tls_ocsp *o = data;
    char why[1200];

    o->query = NULL;
    if (a->error != NULL) {
        snprintf(why, sizeof(why), "%.*s could not be resolved (%s)", LOG_STR(o->q.url.host),
                 a->error);
        give_up(o, 0, why);
        return;
    }
    for (uint32_t i = 0; i < a->n && o->n_addrs < ADDRESSES_MAX; i++) {
        o->addrs[o->n_addrs] = a->addrs[i];
        addr_set_port(&o->addrs[o->n_addrs++], o->q.url.port);
    }
    connect_next(o);
}

static void
begin(struct task *task)
{
    struct tls_ocsp *o = CONTAINER_OF(task, struct tls_ocsp, begin);

    timer_set(&o->timer, ASK_MS);
    if (addr_parse(o->q.url.host, o->q.url.port, &o->addrs[0])) {
        o->n_addrs = 1;
        connect_next(o);
        return;
    }
    o->query = resolver_ask(o->q.resolver, o->q.url.host, o->q.resolver_timeout_ms, on_name, o);
    if (o->query == NULL)
        give_up(o, ENOMEM, "no memory for the name of an OCSP responder");
}

/* ---- the beginning ---- */

static bool
take_question(struct tls_ocsp *o, const struct tls_ocsp_question *q)
{
    struct arena *a = &o->arena;

    o->q.resolver = q->resolver;
    o->q.resolver_timeout_ms = q->resolver_timeout_ms;
    o->q.url =
        (struct tls_ocsp_url){ arena_str(a, q->url.host), arena_str(a, q->url.path), q->url.port };
    if (q->chain != NULL && (o->q.chain = X509_chain_up_ref(q->chain)) == NULL)
        return false;
    if (q->trust != NULL && X509_STORE_up_ref(q->trust) == 1)
        o->q.trust = q->trust;
    if (X509_up_ref(q->certificate) == 1)
        o->q.certificate = q->certificate;
    if (X509_up_ref(q->issuer) == 1)
        o->q.issuer = q->issuer;
    return o->q.url.host.ptr != NULL && o->q.url.path.ptr != NULL && o->q.certificate != NULL &&
           o->q.issuer != NULL && (q->trust == NULL || o->q.trust != NULL);
}

struct tls_ocsp *
tls_ocsp_ask(const struct tls_ocsp_question *q, tls_ocsp_fn fn, void *data)
{
    struct tls_ocsp *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    arena_init(&o->arena, 1024);
    o->fn = fn;
    o->data = data;
    o->begin.run = begin;
    o->timer.on_time = on_time;
    if (!take_question(o, q)) {
        ocsp_free(o);
        return NULL;
    }
    task_ready(&o->begin);
    return o;
}
