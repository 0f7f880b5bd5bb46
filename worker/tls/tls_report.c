/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_report.c - the certificates in use, for `weirctl certs` and `weirctl status`.
 *
 * An answer is a page: a line "TOTAL NEXT", then a line for each certificate from the one that was asked for to the one
 * before NEXT, with fields parted by tabs (master/certs_command.c names them).
 */
#include "worker/tls/tls_report.h"

#include "common/base/num.h"
#include "common/ipc/channel.h"
#include "common/sys/clock.h"
#include "worker/core/cycle.h"
#include "worker/tls/tls_x509.h"

enum {
    PAGE_BYTES = CHANNEL_TEXT_MAX / 2, /* a row may be as long again */
    ROW_BYTES = CHANNEL_TEXT_MAX / 4,
    FIELD_BYTES = 4000,
};

static const struct tls_shared *of;

static int64_t
now_s(void)
{
    return (int64_t)(clock_wall_ms / 1000);
}

static const char *
state_of(const struct tls_certificate *c)
{
    int64_t left;

    if (c->pair == NULL)
        return "isolated";
    left = x509_time(X509_get0_notAfter(c->pair->leaf)) - now_s();
    if (left <= 0)
        return "expired";
    if (x509_time(X509_get0_notBefore(c->pair->leaf)) > now_s())
        return "not yet valid";
    return tls_expiry_level(left) > 0 ? "expiring" : "ok";
}

/* A tab, and the text in one line. */
static void
add_field(struct text *t, struct str s)
{
    text_char(t, '\t');
    for (size_t i = 0; i < s.len && i < FIELD_BYTES; i++)
        text_char(t, (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f ? '?' : s.ptr[i]);
}

/* What `add` makes, as a field. */
#define ADD_FIELD(t, part, ...)         \
    do {                                \
        (part)->len = 0;                \
        __VA_ARGS__;                    \
        add_field((t), text_str(part)); \
    } while (0)

static void
add_facts(struct text *t, const struct tls_pair *p)
{
    const X509 *x = p->leaf;
    struct text part;

    text_init(&part, NULL);
    ADD_FIELD(t, &part, text_num(&part, x509_time(X509_get0_notBefore(x))));
    ADD_FIELD(t, &part, text_num(&part, x509_time(X509_get0_notAfter(x))));
    ADD_FIELD(t, &part, x509_add_key_type(&part, p->key));
    ADD_FIELD(t, &part, x509_add_serial(&part, x));
    ADD_FIELD(t, &part, x509_add_fingerprint(&part, x, EVP_sha256()));
    ADD_FIELD(t, &part, x509_add_name(&part, X509_get_subject_name(x)));
    ADD_FIELD(t, &part, x509_add_name(&part, X509_get_issuer_name(x)));
    ADD_FIELD(t, &part, x509_add_names(&part, x));
    text_free(&part);
}

static void
add_servers(struct text *t, const struct tls_certificate *c)
{
    struct text part;

    text_init(&part, NULL);
    VEC_FOREACH (name, struct str, &c->names) {
        if (part.len > FIELD_BYTES)
            break;
        if (part.len > 0)
            text_char(&part, ' ');
        text_add(&part, *name);
    }
    add_field(t, text_str(&part));
    text_free(&part);
}

static void
add_row(struct text *t, const struct tls_certificate *c, const char *state)
{
    text_add(t, str_c(state));
    if (c->pair != NULL)
        add_facts(t, c->pair);
    else
        TEXT_LIT(t, "\t\t\t\t\t\t\t\t");
    add_field(t, tls_pem_shown(c->file.path));
    add_field(t, tls_pem_shown(c->key.path));
    add_servers(t, c);
    add_field(t, c->watched != NULL ? S("1") : S("0"));
    add_field(t, c->pair != NULL ? S("") : c->why);
    text_char(t, '\n');
}

static void
answer_certs(uint32_t from, struct text *t)
{
    uint32_t all = of->all.len, total = all + of->computed.len, i = from < total ? from : total;
    struct text rows;

    text_init(&rows, NULL);
    for (; i < total && rows.len < PAGE_BYTES; i++) {
        const struct tls_certificate *c;

        if (i < all) {
            c = *VEC_AT(&of->all, struct tls_certificate *, i);
            add_row(&rows, c, state_of(c));
        } else {
            c = *VEC_AT(&of->computed, struct tls_certificate *, i - all);
            add_row(&rows, c, "by connection");
        }
    }
    text_fmt(t, "%u %u\n", total, i);
    text_add(t, text_str(&rows));
    text_free(&rows);
}

static void
answer_status(struct text *t)
{
    unsigned isolated = 0, expired = 0, expiring = 0;

    if (of->computed.len > 0)
        text_fmt(t, "certificates by connection: %u lines with variables\n", of->computed.len);
    if (of->all.len == 0)
        return;
    VEC_FOREACH (c, struct tls_certificate *, &of->all) {
        const char *state = state_of(*c);

        isolated += strcmp(state, "isolated") == 0;
        expired += strcmp(state, "expired") == 0;
        expiring += strcmp(state, "expiring") == 0;
    }
    text_fmt(t, "certificates: %u, %u isolated, %u expired, %u expire within %d days\n",
             of->all.len, isolated, expired, expiring, TLS_EXPIRING_DAYS);
    VEC_FOREACH (c, struct tls_certificate *, &of->all) {
        if ((*c)->pair == NULL && t->len < PAGE_BYTES)
            text_fmt(t, "isolated: %.*s\n", STR((*c)->why));
    }
}

static void
answer(struct str question, struct text *t)
{
    struct str rest = question, word;
    uint32_t from = 0;

    if (str_eq(question, S("status")))
        answer_status(t);
    if (str_split(&rest, ' ', &word) && str_eq(word, S("certs")) &&
        (rest.len == 0 || num_parse_u32(rest, &from)))
        answer_certs(from, t);
}

void
tls_report_start(const struct tls_shared *shared)
{
    of = shared;
    cycle_on_ask(answer);
}
