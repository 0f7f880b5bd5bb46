/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_library.c - module `ssl_library`: directives that concern OpenSSL as a whole. */
#include "common/module.h"

static bool
refuse_engine(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    (void)conf;
    conf_fail(l, n, 0, "\"%s\" is not supported", d->name);
    conf_hint(l, "OpenSSL has providers in place of engines: they are named in openssl.cnf, keys "
                 "of theirs by "
                 "\"ssl_certificate_key store:URI\"");
    return false;
}

static const struct directive directives[] = {
    D_CALL("ssl_engine", CTX_MAIN, ARGS(1, 1), refuse_engine),
    D_NO_OP("ssl_object_cache_inheritable", CTX_MAIN, ARGS(1, 1),
            "a reload reads every file anew, and each of them once"),
    D_END
};

struct module ssl_library_module = { .name = "ssl_library", .directives = directives };
