/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_certificate.c - the certificates of a configuration.
 *
 * Servers that name the same files share what was read. With `ssl_certificate_error isolate` a bad certificate leaves its
 * place empty: who has no other refuses handshakes. With `ssl_certificate_watch on` the master reads changed files and
 * passes their content on; it takes the old one's place, here in the master (so that workers forked later have it) and
 * in each worker, when it is better: key and certificate match, it is valid now, and it covers the same servers.
 */
#include "worker/tls/tls_certificate.h"

#include <openssl/err.h>
#include <time.h>

#include "common/base/panic.h"
#include "common/sys/file.h"
#include "worker/tls/tls_dynamic.h"
#include "worker/tls/tls_x509.h"

enum { PASSWORDS_MAX = 64 * 1024 /* bytes of a file with passphrases */ };

/* ---- passphrases ---- */

static void
secret_free(void *data)
{
    const struct str *secret = data;

    OPENSSL_cleanse((void *)secret->ptr, secret->len);
}

bool
tls_passwords_get(struct conf_load *l, struct tls_shared *shared, const struct tls_file *f,
                  struct str *lines)
{
    struct str *known = f->path.len > 0 ? hash_get(&shared->passwords, f->path) : NULL;
    struct error err;

    *lines = known != NULL ? *known : S("");
    if (f->path.len == 0 || known != NULL)
        return true;
    known = ARENA_NEW(shared->arena, struct str);
    if (known == NULL)
        return conf_fail_at(l, f->pos, "out of memory");
    if (!conf_read_content(l, f->path, PASSWORDS_MAX, known, &err))
        return conf_fail_at(l, f->pos, "%s", err.text);
    if (!arena_on_free(shared->arena, secret_free, known) ||
        !hash_set(&shared->passwords, f->path, known))
        return conf_fail_at(l, f->pos, "out of memory");
    *lines = *known;
    return true;
}

/* ---- what a certificate is good for ---- */

/* The first server that the old one is good for and the new one is not; ptr NULL: there is none. */
static struct str
lost_name(const struct tls_certificate *c, const struct tls_pair *new)
{
    VEC_FOREACH (name, struct str, &c->names) {
        if (x509_covers(c->pair->leaf, *name) && !x509_covers(new->leaf, *name))
            return *name;
    }
    return STR_NONE;
}

static bool
is_better(const struct tls_certificate *c, const struct tls_pair *new, struct error *err)
{
    struct str lost = lost_name(c, new);

    if (X509_cmp_current_time(X509_get0_notAfter(new->leaf)) < 0)
        error_set(err, "it has expired");
    else if (X509_cmp_current_time(X509_get0_notBefore(new->leaf)) > 0)
        error_set(err, "it is not valid yet");
    else if (lost.ptr != NULL)
        error_set(err, "it is not for \"%.*s\", as the old one is", STR(lost));
    else
        return true;
    return false;
}

/* ---- renewal ---- */

static void
replace(struct tls_certificate *c, struct tls_pair *new)
{
    struct tls_pair *old = c->pair;

    c->pair = new;
    c->why = S("");
    VEC_FOREACH (context, struct tls_context *, &c->contexts)
        tls_context_renew(*context, old, new);
    tls_pair_put(old);
}

static void
describe(const struct tls_pair *p, struct error *err)
{
    struct tm until;
    char serial[64] = "", date[32] = "";
    struct text t;

    text_init_fixed(&t, serial, sizeof(serial) - 1);
    x509_add_serial(&t, p->leaf);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(p->leaf), &until) == 1)
        (void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &until);
    error_set(err, "serial %s, valid until %s", serial, date);
}

static bool
renew(struct watched_files *w, const struct str *contents, struct error *err)
{
    struct tls_certificate *c = w->owner;
    struct tls_pair_source from = {
        .certificate = { .name = c->file.path, .content = contents[0] },
        .key = { .name = c->key.path, .content = contents[w->n - 1] },
        .passwords = c->passwords,
    };
    struct tls_pair_error e;
    struct tls_pair *new = tls_pair_read(&from, &e);

    if (new == NULL) {
        *err = e.error;
        return false;
    }
    /* In an empty place anything is better, as for a reload. The same one is read again when its chain has changed, or the file was only touched. */
    if (c->pair != NULL && X509_cmp(new->leaf, c->pair->leaf) != 0 && !is_better(c, new, err)) {
        tls_pair_put(new);
        return false;
    }
    replace(c, new);
    describe(new, err);
    return true;
}

static bool
watch(struct conf_load *l, struct tls_certificate *c)
{
    struct watched_files *w;

    if (c->watched != NULL || tls_pem_is_data(c->file.path) || !str_starts(c->key.path, S("/")))
        return true;
    w = config_watch(l);
    if (w == NULL)
        return conf_fail_at(l, c->file.pos, "out of memory");
    w->paths[w->n++] = c->file.path;
    if (!str_eq(c->file.path, c->key.path))
        w->paths[w->n++] = c->key.path;
    w->what = "certificate";
    w->renew = renew;
    w->owner = c;
    c->watched = w;
    w->stamps[0] = c->stamps[0];
    w->stamps[w->n - 1] = c->stamps[1];
    return true;
}

/* ---- reading ---- */

static bool
bad(struct conf_load *l, const struct tls_certificate *c, const struct tls_pair_error *e)
{
    conf_fail_at(l, e->of_key ? c->key.pos : c->file.pos, "%s", e->error.text);
    if (e->mismatch)
        conf_hint(l, "the key does not belong to the certificate \"%.*s\"",
                  STR(tls_pem_shown(c->file.path)));
    else if (e->locked)
        conf_hint(
            l,
            c->passwords.len > 0
                ? "none of the passphrases of \"ssl_password_file\" opens the key"
                : "the key is encrypted: \"ssl_password_file\" names a file with its passphrase");
    else if (str_starts(c->key.path, S("engine:")))
        conf_hint(l, "the library has providers in their place: \"store:URI\"");
    return false;
}

/* The place stays empty. False after conf_fail. */
static bool
isolate(struct conf_load *l, struct tls_certificate *c, const struct tls_pair_error *e)
{
    c->why = arena_str(conf_arena(l), str_c(e->error.text));
    if (c->why.ptr == NULL)
        return conf_fail_at(l, c->file.pos, "out of memory");
    conf_warn_at(l, e->of_key ? c->key.pos : c->file.pos, "%s", e->error.text);
    conf_hint(l, "the certificate is isolated: handshakes that need it are refused");
    return true;
}

static void
certificate_free(void *data)
{
    struct tls_certificate *c = data;

    tls_pair_put(c->pair);
}

static bool
read_it(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
        struct tls_certificate *c)
{
    struct tls_pair_source from = { .certificate.name = c->file.path, .key.name = c->key.path };
    struct tls_pair_error e;

    if (!tls_passwords_get(l, shared, &s->password_file, &c->passwords))
        return false;
    from.passwords = c->passwords;
    (void)file_stamp_of(c->file.path.ptr, &c->stamps[0]);
    (void)file_stamp_of(c->key.path.ptr, &c->stamps[1]);
    c->pair = tls_pair_read(&from, &e);
    if (c->pair != NULL)
        return true;
    return s->isolate ? isolate(l, c, &e) : bad(l, c, &e);
}

/* By which servers share it; ptr NULL: memory. */
static struct str
name_of(const struct tls_shared *shared, const struct tls_settings *s, uint32_t i)
{
    struct str file = VEC_AT(&s->certificates, struct tls_file, i)->path,
               key = VEC_AT(&s->keys, struct tls_file, i)->path;

    return arena_fmt(shared->arena, "%zu:%.*s%zu:%.*s%.*s", file.len, STR(file), key.len, STR(key),
                     STR(s->password_file.path));
}

/* Without its content. NULL: memory. */
static struct tls_certificate *
certificate_new(struct tls_shared *shared, const struct tls_settings *s, uint32_t i)
{
    struct tls_certificate *c = ARENA_NEW(shared->arena, struct tls_certificate);

    if (c == NULL || !arena_on_free(shared->arena, certificate_free, c))
        return NULL;
    c->file = *VEC_AT(&s->certificates, struct tls_file, i);
    c->key = *VEC_AT(&s->keys, struct tls_file, i);
    vec_init(&c->contexts, shared->arena, sizeof(struct tls_context *));
    vec_init(&c->names, shared->arena, sizeof(struct str));
    return c;
}

static bool
add(struct vec *to, struct tls_certificate *c)
{
    struct tls_certificate **place = VEC_PUSH(to, struct tls_certificate *);

    if (place == NULL)
        return false;
    *place = c;
    return true;
}

/* From now on it is known by this name. False: memory. */
static bool
publish(struct tls_shared *shared, struct vec *to, struct str name, struct tls_certificate *c)
{
    return add(to, c) && hash_set(&shared->certificates, name, c);
}

struct tls_certificate *
tls_certificate_get(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
                    uint32_t i)
{
    struct str name = name_of(shared, s, i);
    struct tls_certificate *c = name.ptr != NULL ? hash_get(&shared->certificates, name) : NULL;

    if (c == NULL) {
        c = name.ptr != NULL ? certificate_new(shared, s, i) : NULL;
        if (c != NULL && !read_it(l, shared, s, c))
            return NULL;
        if (c == NULL || !publish(shared, &shared->all, name, c)) {
            conf_fail_at(l, s->pos, "out of memory");
            return NULL;
        }
    }
    if (s->watch && !watch(l, c))
        return NULL;
    if (c->pair == NULL && !s->isolate) { /* another server isolates it */
        conf_fail_at(l, VEC_AT(&s->certificates, struct tls_file, i)->pos, "%.*s", STR(c->why));
        return NULL;
    }
    return c;
}

bool
tls_certificate_compute(struct conf_load *l, struct tls_shared *shared,
                        const struct tls_settings *s, uint32_t i, struct tls_context *by)
{
    struct str name = name_of(shared, s, i);
    struct tls_certificate *c = name.ptr != NULL ? hash_get(&shared->certificates, name) : NULL;

    if (c == NULL && name.ptr != NULL) {
        c = certificate_new(shared, s, i);
        if (c != NULL && !publish(shared, &shared->computed, name, c))
            c = NULL;
    }
    return (c != NULL && add(&by->computed, c)) || conf_fail_at(l, s->pos, "out of memory");
}

bool
tls_certificate_use(struct conf_load *l, struct tls_certificate *c, struct tls_context *by)
{
    struct tls_context **context = VEC_PUSH(&c->contexts, struct tls_context *);

    if (context == NULL || !add(&by->certificates, c))
        return conf_fail_at(l, c->file.pos, "out of memory");
    *context = by;
    return true;
}

/* ---- names ---- */

static bool
add_name(struct vec *certificates, struct str name)
{
    VEC_FOREACH (c, struct tls_certificate *, certificates) {
        struct str *place = VEC_PUSH(&(*c)->names, struct str);

        if (place == NULL)
            return false;
        *place = name;
    }
    return true;
}

bool
tls_certificates_name(struct tls_context *by, struct str name)
{
    return add_name(&by->certificates, name) && add_name(&by->computed, name);
}

const struct tls_certificate *
tls_certificates_miss(const struct tls_context *of, struct str name)
{
    const struct tls_certificate *other = NULL;

    if (of->dynamic)
        return NULL;
    VEC_FOREACH (c, struct tls_certificate *, &of->certificates) {
        if ((*c)->pair == NULL || x509_covers((*c)->pair->leaf, name))
            return NULL; /* or who knows */
        other = *c;
    }
    return other;
}
