/* SPDX-License-Identifier: BSD-2-Clause */
/* tls_error.c - the error queue of OpenSSL as text, in nginx's form: tools look for it. */
#include "worker/tls/tls_error.h"

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
