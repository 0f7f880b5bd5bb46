/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_error.c - the error queue of OpenSSL as text, in nginx's form: tools look for it; lines of the log with it. */
#include "worker/tls/tls_error.h"

#include "worker/tls/tls_conn.h"

enum { ERROR_TEXT_MAX = 900 };

void
tls_error_add(struct text *t)
{
    bool first = true;

    for (;;) {
        const char *data = NULL;
        char line[256];
        int flags = 0;
        unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);

        if (code == 0)
            break;
        ERR_error_string_n(code, line, sizeof(line));
        text_add(t, first ? S(" (SSL: ") : S(" "));
        text_add(t, str_c(line));
        if ((flags & ERR_TXT_STRING) && data != NULL && *data != '\0') {
            text_char(t, ':');
            text_add(t, str_c(data));
        }
        first = false;
    }
    if (!first)
        text_char(t, ')');
}

const char *
tls_error_text(void)
{
    static char buf[ERROR_TEXT_MAX + 1];
    struct text t;

    text_init(&t, NULL);
    tls_error_add(&t);
    (void)str_to_c(text_str(&t), buf, sizeof(buf));
    text_free(&t);
    return buf;
}

/* ---- lines of the log ---- */

struct described {
    struct log_context ctx;
    const struct tls *t;
    const char *doing;
};

static void
describe(const struct log_context *ctx, struct text *t)
{
    const struct described *d = CONTAINER_OF(ctx, const struct described, ctx);
    const struct conn *c = d->t->c;
    char addr[ADDR_TEXT_MAX];

    TEXT_LIT(t, " while ");
    text_add(t, str_c(d->doing));
    text_add(t, d->t->client ? S(", upstream: ") : S(", client: "));
    text_bytes(t, addr, addr_format_ip(&c->peer, addr));
    if (c->spec == NULL)
        return;
    TEXT_LIT(t, ", server: ");
    text_add(t, c->spec->text);
}

void
tls_log(const struct tls *t, enum log_level level, int err, const char *doing, const char *text)
{
    struct described d = { { .id = t->c->id, .describe = describe }, t, doing };

    if (LOG_ON(log_main, level))
        log_write(log_main, level, err, &d.ctx, "%s%s", text, tls_error_text());
    ERR_clear_error();
}
