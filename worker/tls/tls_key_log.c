/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_key_log.c - writes the secrets of sessions to a file, in the form that NSS and Wireshark know (SSLKEYLOGFILE), so that
 * recorded traffic can be read. Only where a directive names the file.
 */
#include "worker/tls/tls_key_log.h"

#include <unistd.h>

#include "common/log/log.h"
#include "worker/tls/tls_conn.h"

bool
tls_key_log_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct log_file **field = (struct log_file **)((char *)conf + d->offset);

    *field = NULL;
    if (n->args[1].len == 0 || str_eq(n->args[1], S("off")))
        return true;
    *field = config_log_file(l, n->args[1]);
    if (*field == NULL || !log_file_keep_private((*field)->path))
        return conf_fail(l, n, 0, "out of memory");
    conf_warn(l, n, 1, "\"%s\": who can read \"%.*s\" can read the traffic", d->name,
              STR((*field)->path));
    return true;
}

/* A line, written whole. What cannot be written is lost: no connection ends for it. */
static void
on_secret(const SSL *ssl, const char *line)
{
    const struct tls *t = SSL_get_app_data(ssl);
    const struct log_file *f = t != NULL ? t->context->settings.key_log : NULL;
    struct text whole;

    if (f == NULL || f->fd < 0)
        return;
    text_init(&whole, NULL);
    text_fmt(&whole, "%s\n", line);
    if (!whole.failed && write(f->fd, whole.ptr, whole.len) < 0)
        log_error(errno, "write() to \"%.*s\" failed", STR(f->path));
    if (whole.ptr != NULL)
        OPENSSL_cleanse(whole.ptr, whole.len);
    text_free(&whole);
}

void
tls_key_log_set_up(const struct tls_context *c)
{
    if (c->settings.key_log != NULL)
        SSL_CTX_set_keylog_callback(c->ssl, on_secret);
}
