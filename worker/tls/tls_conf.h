/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_conf.h - the settings of module `ssl` in a scope; what its files show each other. Inside this room. */
#ifndef WEIR_TLS_TLS_CONF_H
#define WEIR_TLS_TLS_CONF_H

#include "common/module.h"
#include "worker/core/var.h"
#include "worker/tls/tls_context.h"

struct tls_conf {
    struct tls_settings s;
    bool reject;                 /* ssl_reject_handshake */
    uint32_t isolate;            /* ssl_certificate_error: 1 */
    struct conf_pos verify_pos;  /* of ssl_verify_client */
    struct tls_shared *shared;   /* of the configuration */
    struct tls_context *context; /* derived; NULL: no certificate */
};

extern const struct variable tls_variables[]; /* tls_vars.c */

#endif
