/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_hello.h - reads the name out of a ClientHello before the library sees it. Pure.
 *
 * The server, and with it certificate, protocols and session settings, is chosen before the handshake begins, so that no
 * step of it (resumption in particular) runs under another server's settings.
 */
#ifndef WEIR_TLS_TLS_HELLO_H
#define WEIR_TLS_TLS_HELLO_H

#include "common/base/str.h"
#include "worker/tls/tls.h"

enum { TLS_HELLO_MAX = 16384 /* bytes of a ClientHello; a larger one is none to us */ };

enum tls_hello_state {
    TLS_HELLO_MORE,  /* good so far, not complete */
    TLS_HELLO_DONE,  /* `name` is set */
    TLS_HELLO_OTHER, /* the first byte begins no TLS record: plain text */
    TLS_HELLO_BAD, /* a TLS record that is no ClientHello, or a broken one: the library will say what is wrong */
};

struct tls_hello {
    uint16_t name_len;       /* 0: the client named no host */
    char name[TLS_NAME_MAX]; /* as sent */
};

/* `bytes` begin with the first byte of the connection. Again with more of them after MORE. */
enum tls_hello_state tls_hello_read(struct str bytes, struct tls_hello *h);

#endif
