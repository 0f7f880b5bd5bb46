/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_client_hello.c - fuzz target for the reader of ClientHellos, with OpenSSL's as a second opinion on the name.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "common/base/panic.h"
#include "worker/tls/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIXES_MAX = 600 /* bytes of an input whose every prefix is tried */ };

/* The name that OpenSSL finds; called when it takes the bytes for a ClientHello. It hands out an extension as it came. */
struct found {
    bool called;
    struct tls_hello hello;
};

static int
on_hello(SSL *ssl, int *alert, void *data)
{
    struct found *f = SSL_get_app_data(ssl);
    const unsigned char *ext;
    size_t len;

    (void)alert, (void)data;
    f->called = true;
    /* list length, type, name length, name */
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) == 1 && len > 5 &&
        ext[2] == TLSEXT_NAMETYPE_host_name) {
        size_t list_len = (size_t)ext[0] << 8 | ext[1];
        size_t name_len = (size_t)ext[3] << 8 | ext[4];

        if (list_len == len - 2 && name_len <= TLS_NAME_MAX && name_len <= len - 5) {
            f->hello.name_len = (uint16_t)name_len;
            memcpy(f->hello.name, ext + 5, name_len);
        }
    }
    return SSL_CLIENT_HELLO_ERROR; /* that is all */
}

static void
ask_openssl(const uint8_t *data, size_t size, struct found *f)
{
    static SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;

    if (ctx == NULL) {
        ctx = SSL_CTX_new(TLS_server_method());
        ASSERT(ctx != NULL);
        SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    }
    ssl = SSL_new(ctx);
    in = BIO_new_mem_buf(data, (int)size);
    out = BIO_new(BIO_s_null());
    ASSERT(ssl != NULL && in != NULL && out != NULL);
    BIO_set_mem_eof_return(in, -1);
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    SSL_set_app_data(ssl, f);
    (void)SSL_do_handshake(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_n((const char *)data, size);
    struct tls_hello hello, early;
    enum tls_hello_state state;
    struct found f = { .called = false };

    if (size == 0 || size > INT32_MAX)
        return 0;
    state = tls_hello_read(bytes, &hello);
    ASSERT(hello.name_len <= TLS_NAME_MAX);
    /* What is said of a part of the bytes holds for all of them. */
    for (size_t n = 1; n < size && size <= PREFIXES_MAX; n++) {
        enum tls_hello_state part = tls_hello_read(str_upto(bytes, n), &early);

        if (part == TLS_HELLO_MORE)
            continue;
        ASSERT(part == state);
        ASSERT(part != TLS_HELLO_DONE || (early.name_len == hello.name_len &&
                                          memcmp(early.name, hello.name, hello.name_len) == 0));
    }
    ask_openssl(data, size, &f);
    if (state == TLS_HELLO_DONE && f.called && f.hello.name_len > 0)
        ASSERT(f.hello.name_len == hello.name_len &&
               memcmp(f.hello.name, hello.name, hello.name_len) == 0);
    return 0;
}
