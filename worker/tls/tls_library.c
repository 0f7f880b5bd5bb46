/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_library.c - module `ssl_library`: directives that concern OpenSSL as a whole. */
#include "common/module.h"

/* The directive's data is what to do instead. */
static bool
refuse(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)conf;
    conf_fail(l, n, 0, "\"%s\" is not supported", d->name);
    conf_hint(l, "%s", (const char *)d->data);
    return false;
}

static const struct directive directives[] = {
    D_CALL("ssl_engine", CTX_MAIN, ARGS(1, 1), refuse,
           .data = "OpenSSL has providers in place of engines: they are named in openssl.cnf, keys "
                   "of theirs by "
                   "\"ssl_certificate_key store:URI\""),
    D_CALL("ssl", CTX_HTTP | CTX_SRV, ARGS(1, 1), refuse,
           .data = "nginx has given it up with 1.25.1: write \"ssl\" into the \"listen\" lines of "
                   "those ports"),
    D_CALL("ssl_ech_file", CTX_HTTP | CTX_SRV, ARGS(1, 1), refuse, .repeat = true,
           .data = "Encrypted Client Hello needs OpenSSL 4.0 or newer; without the line clients "
                   "send the name in the clear"),
    D_NO_OP("ssl_object_cache_inheritable", CTX_MAIN, ARGS(1, 1),
            "a reload reads every file anew, and each of them once"),
    D_END
};

struct module ssl_library_module = { .name = "ssl_library", .directives = directives };
