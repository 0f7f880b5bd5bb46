/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * upstream_tls.c - TLS towards origins: what the *_ssl_* directives of a scope make of a connection.
 *
 * Directives that have no effect are not looked at: files of trust where nothing is verified, all of them where no pass
 * directive leads to TLS. So one set of them may stand in http {} for those locations that need it.
 */
#include "worker/upstream/upstream_tls.h"

#include "worker/core/exchange.h"

/* ---- at load ---- */

bool
upstream_tls_set_path(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf)
{
    struct upstream_tls_path *p = (struct upstream_tls_path *)((char *)conf + d->offset);
    struct str path = n->args[1];

    p->pos = n->arg_pos[1];
    if (path.len > 0 && !tls_is_no_path(path) && !str_starts(path, S("$")))
        path = conf_path(l, path, true);
    if (path.ptr == NULL)
        return conf_fail(l, n, 1, "out of memory");
    return template_compile(l, n, 1, path, &p->path);
}

/* A path becomes one of the context's, which reads it now when it has no variables. */
static bool
use_file(struct conf_load *l, struct vec *files, const struct upstream_tls_path *p)
{
    struct tls_file *f;

    vec_init(files, conf_arena(l), sizeof(*f));
    f = VEC_PUSH(files, struct tls_file);
    if (f == NULL)
        return conf_fail_at(l, p->pos, "out of memory");
    *f = (struct tls_file){ .path = p->path.text, .pos = p->pos };
    if (!template_is_const(&p->path))
        f->text = &p->path;
    return true;
}

static bool
use_certificate(struct conf_load *l, struct upstream_tls_conf *c, const char *prefix)
{
    const struct upstream_tls_path *crt = &c->certificate;

    if (!crt->path.set || crt->path.text.len == 0)
        return true;
    if (!c->key.path.set)
        return conf_fail_at(l, crt->pos,
                            "no \"%s_ssl_certificate_key\" is defined for certificate \"%.*s\"",
                            prefix, STR(crt->path.text));
    return use_file(l, &c->s.certificates, crt) && use_file(l, &c->s.keys, &c->key);
}

bool
upstream_tls_finish(struct conf_load *l, struct scope *s, struct upstream_tls_conf *c,
                    const char *prefix)
{
    c->s.client = true;
    c->s.pos = s->pos;
    c->s.curves = S("auto");
    c->s.tickets = true;
    c->s.verify = c->verify ? TLS_VERIFY_ON : TLS_VERIFY_OFF;
    if (c->verify && c->s.trusted_ca.path.len == 0)
        return conf_fail_at(l, s->pos, "no %s_ssl_trusted_certificate for %s_ssl_verify", prefix,
                            prefix);
    if (!c->verify)
        c->s.trusted_ca = c->s.crl = (struct tls_file){ .path = S("") };
    if (!use_certificate(l, c, prefix))
        return false;
    c->context = tls_context_get(l, tls_shared_of(s), &c->s);
    return c->context != NULL;
}

/* ---- for an exchange ---- */

/* "name:port" and "[address]:port": without the port, and without the brackets. */
static struct str
without_port(struct str host)
{
    size_t end;

    if (host.len > 0 && host.ptr[0] == '[') {
        end = str_find(host, ']');
        return end < host.len ? str_n(host.ptr + 1, end - 1) : host;
    }
    end = str_rfind(host, ':');
    return str_find(host, ':') == end ? str_upto(host, end) : host;
}

/* Whether the certificate is known only now. */
static bool
has_variables(const struct upstream_tls_conf *c)
{
    return c->certificate.path.set &&
           !(template_is_const(&c->certificate.path) && template_is_const(&c->key.path));
}

static enum phase_result
fail(struct exchange *x, const char *why)
{
    x->doing = "connecting to upstream";
    xlog(x, LOG_LEVEL_ERROR, 0, "%s", why);
    return phase_respond(x, 500);
}

static void
on_certificate(void *data)
{
    struct upstream_tls *t = data;

    exchange_off_abort(&t->on_abort);
    phase_resume(t->x);
    exchange_release(t->x, "certificate for upstream");
}

static void
on_abort(struct abort_hook *h, struct exchange *x)
{
    tls_own_cancel(CONTAINER_OF(h, struct upstream_tls, on_abort)->own);
    exchange_release(x, "certificate for upstream");
}

static enum phase_result
take_certificate(struct upstream_tls *t)
{
    const char *why;

    switch (tls_own_state(t->own, &why)) {
    case TLS_OWN_WAITS:
        return PHASE_WAIT;
    case TLS_OWN_BAD:
        return fail(t->x, why);
    case TLS_OWN_HERE:
        break;
    }
    t->client.own = t->own;
    return PHASE_NEXT;
}

/* An empty name: none is shown. */
static enum phase_result
ask_certificate(struct upstream_tls *t, const struct upstream_tls_conf *c)
{
    struct exchange *x = t->x;
    struct str certificate = template_expand(x, &c->certificate.path),
               key = template_expand(x, &c->key.path);
    enum phase_result result;

    if (certificate.ptr == NULL || key.ptr == NULL)
        return fail(x, "no memory for a certificate");
    if (certificate.len == 0)
        return PHASE_NEXT;
    t->own = tls_own_ask(c->context, certificate, key, on_certificate, t);
    if (t->own == NULL)
        return fail(x, "no memory for a certificate");
    if (!arena_on_free(&x->mem->arena, tls_own_end, t->own)) {
        tls_own_end(t->own);
        return fail(x, "no memory for a certificate");
    }
    result = take_certificate(t);
    if (result == PHASE_WAIT) {
        exchange_hold(x, "certificate for upstream");
        t->on_abort.run = on_abort;
        exchange_on_abort(x, &t->on_abort);
    }
    return result;
}

enum phase_result
upstream_tls_prepare(struct upstream_tls **made, struct exchange *x,
                     const struct upstream_tls_conf *c, struct str host)
{
    struct upstream_tls *t = *made;
    struct str name = host;

    if (t != NULL)
        return t->own != NULL ? take_certificate(t) : PHASE_NEXT;
    t = ARENA_NEW(&x->mem->arena, struct upstream_tls);
    if (c->name.set)
        name = template_expand(x, &c->name);
    if (t == NULL || name.ptr == NULL)
        return fail(x, "no memory for a TLS connection");
    name = without_port(name);
    if (c->server_name && name.len > TLS_NAME_MAX)
        return fail(x,
                    "the name for SNI is too long"); /* a client's perhaps: no origin is to blame */
    *made = t;
    t->x = x;
    t->client = (struct tls_client){ .context = c->context,
                                     .name = c->server_name ? name : S(""),
                                     .verify_name = name,
                                     .resume = c->session_reuse };
    return has_variables(c) ? ask_certificate(t, c) : PHASE_NEXT;
}
