/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_cert_cache.c - reads pairs of certificate and key for connections, and keeps them.
 *
 * To read a file may take long, and to decode a key takes longer than a request: both are done in a thread, once for all
 * connections that ask meanwhile. A pair that was looked at within `valid` is used as it is; after that its files are
 * looked at, and read when they have changed. What could not be read is not remembered.
 */
#include "worker/tls/tls_cert_cache.h"

#include <stdlib.h>

#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/event/offload.h"
#include "common/sys/clock.h"

enum { INACTIVE_MS = 10000, VALID_MS = 60000 }; /* nginx's */

struct tls_cert_cache {
    uint32_t max;
    uint64_t inactive_ms, valid_ms;
    struct hash entries; /* by key_of; struct entry * */
    struct list by_use;  /* the one used last is the last */
};

struct entry {
    struct list node;
    struct str key; /* behind the struct */
    struct tls_pair *pair;
    uint64_t checked_ms, used_ms;
};

/* A pair that is being read, for one cache or for nobody's. */
struct job {
    struct offload offload;
    struct tls_cert_cache *cache;
    struct str key; /* in `arena`, as the names are */
    struct tls_pair_source from;
    struct tls_pair *known;  /* of the cache; NULL: none */
    struct tls_pair *result; /* == known: it is as it was */
    struct tls_pair_error error;
    struct list waiting; /* of struct tls_cert_wait */
    struct arena arena;
};

static struct hash jobs; /* by key_of; struct job * */

/* ---- entries ---- */

static void
entry_drop(struct tls_cert_cache *c, struct entry *e)
{
    hash_del(&c->entries, e->key);
    list_del(&e->node);
    tls_pair_put(e->pair);
    free(e);
}

/* What nobody has used for long goes, and what used to be used longest ago when there is no room. */
static void
make_room(struct tls_cert_cache *c, uint32_t room)
{
    struct list *first;

    while ((first = list_first(&c->by_use)) != NULL) {
        struct entry *e = LIST_ENTRY(first, struct entry, node);

        if (c->entries.n + room <= c->max && clock_ms - e->used_ms <= c->inactive_ms)
            return;
        entry_drop(c, e);
    }
}

static void
entry_use(struct tls_cert_cache *c, struct entry *e)
{
    e->used_ms = clock_ms;
    list_del(&e->node);
    list_add_tail(&c->by_use, &e->node);
}

/* Without memory it is not kept. */
static void
entry_keep(struct tls_cert_cache *c, struct str key, struct tls_pair *p)
{
    struct entry *e = hash_get(&c->entries, key);

    if (e == NULL) {
        make_room(c, 1);
        e = malloc(sizeof(*e) + key.len);
        if (e == NULL)
            return;
        *e = (struct entry){ .key = str_n((char *)(e + 1), key.len) };
        memcpy(e + 1, key.ptr, key.len);
        if (!hash_set(&c->entries, e->key, e)) {
            free(e);
            return;
        }
    }
    (void)tls_pair_ref(p);
    tls_pair_put(e->pair);
    e->pair = p;
    e->checked_ms = clock_ms;
    entry_use(c, e);
}

static void
cache_free(void *data)
{
    struct tls_cert_cache *c = data;
    struct list *first;

    while ((first = list_first(&c->by_use)) != NULL)
        entry_drop(c, LIST_ENTRY(first, struct entry, node));
    hash_free(&c->entries);
}

/* ---- the directive ---- */

static bool
bad_param(struct conf_load *l, struct conf_node *n, uint32_t i)
{
    return conf_fail(l, n, (int)i, "invalid parameter \"%.*s\"", STR(n->args[i]));
}

static bool
set_param(struct conf_load *l, struct conf_node *n, uint32_t i, struct tls_cert_cache *c)
{
    struct str value;

    if (conf_param(n->args[i], "max", &value)) {
        if (num_parse_u32(value, &c->max) && c->max > 0)
            return true;
    } else if (conf_param(n->args[i], "inactive", &value)) {
        if (num_parse_duration(value, &c->inactive_ms))
            return true;
    } else if (conf_param(n->args[i], "valid", &value)) {
        if (num_parse_duration(value, &c->valid_ms))
            return true;
    }
    return bad_param(l, n, i);
}

bool
tls_cert_cache_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct tls_cert_cache **field = (struct tls_cert_cache **)((char *)conf + d->offset), *c;

    *field = NULL;
    if (n->n == 2 && str_eq(n->args[1], S("off")))
        return true;
    c = ARENA_NEW(conf_arena(l), struct tls_cert_cache);
    if (c == NULL || !arena_on_free(conf_arena(l), cache_free, c))
        return conf_fail(l, n, 0, "out of memory");
    hash_init(&c->entries, NULL);
    list_init(&c->by_use);
    c->inactive_ms = INACTIVE_MS;
    c->valid_ms = VALID_MS;
    for (uint32_t i = 1; i < n->n; i++) {
        if (!set_param(l, n, i, c))
            return false;
    }
    if (c->max == 0)
        return conf_fail(l, n, 0, "\"%s\" must have the \"max\" parameter", d->name);
    *field = c;
    return true;
}

/* ---- jobs ---- */

/* In a thread, or in the loop when there is none. */
static void
job_work(struct offload *o)
{
    struct job *j = CONTAINER_OF(o, struct job, offload);

    if (j->known != NULL &&
        tls_pair_is_current(j->known, j->from.certificate.name.ptr, j->from.key.name.ptr))
        j->result = j->known;
    else
        j->result = tls_pair_read(&j->from, &j->error);
}

static void
job_free(struct job *j)
{
    if (j->result != j->known)
        tls_pair_put(j->result);
    tls_pair_put(j->known);
    arena_free(&j->arena);
    free(j);
}

/* The pair is kept, or forgotten if it is bad now. */
static void
job_keep(const struct job *j)
{
    struct entry *e;

    if (j->cache == NULL)
        return;
    if (j->result != NULL) {
        entry_keep(j->cache, j->key, j->result);
        return;
    }
    e = hash_get(&j->cache->entries, j->key);
    if (e != NULL)
        entry_drop(j->cache, e);
}

static void
job_done(struct offload *o)
{
    struct job *j = CONTAINER_OF(o, struct job, offload);
    struct list *first;

    hash_del(&jobs, j->key);
    job_keep(j);
    while ((first = list_first(&j->waiting)) != NULL) {
        struct tls_cert_wait *w = LIST_ENTRY(first, struct tls_cert_wait, node);

        list_del(first);
        w->done(w, j->result, &j->error);
    }
    job_free(j);
}

/* What a pair is known by; cache and passphrases are a part of it. */
static struct str
key_of(struct arena *a, const struct tls_cert_cache *cache, const struct tls_pair_source *s)
{
    return arena_fmt(a, "%p/%p %zu:%.*s%.*s", (const void *)cache, (const void *)s->passwords.ptr,
                     s->certificate.name.len, STR(s->certificate.name), STR(s->key.name));
}

/* NULL: memory. `known` is borrowed. */
static struct job *
job_new(struct tls_cert_cache *cache, struct str key, const struct tls_pair_source *s,
        struct tls_pair *known)
{
    struct job *j = calloc(1, sizeof(*j));

    if (j == NULL)
        return NULL;
    arena_init(&j->arena, 512);
    list_init(&j->waiting);
    j->offload = (struct offload){ .work = job_work, .done = job_done };
    j->cache = cache;
    j->key = arena_str(&j->arena, key);
    j->from = (struct tls_pair_source){
        .certificate.name = arena_str(&j->arena, s->certificate.name),
        .key.name = arena_str(&j->arena, s->key.name),
        .passwords = s->passwords,
    };
    if (j->key.ptr == NULL || j->from.certificate.name.ptr == NULL ||
        j->from.key.name.ptr == NULL || !hash_set(&jobs, j->key, j)) {
        arena_free(&j->arena);
        free(j);
        return NULL;
    }
    if (known != NULL)
        j->known = tls_pair_ref(known);
    return j;
}

/* ---- asking ---- */

static enum tls_pair_result
read_now(const struct tls_pair_source *s, struct tls_pair **p, struct tls_pair_error *e)
{
    *p = tls_pair_read(s, e);
    return *p != NULL ? TLS_PAIR_HERE : TLS_PAIR_BAD;
}

/* Waits for the job that reads it, which is begun if there is none. */
static enum tls_pair_result
wait_for(struct tls_cert_cache *cache, struct str key, const struct tls_pair_source *s,
         struct tls_pair *known, struct tls_cert_wait *w, struct tls_pair **p,
         struct tls_pair_error *e)
{
    struct job *j = hash_get(&jobs, key);

    if (j == NULL) {
        j = job_new(cache, key, s, known);
        if (j == NULL)
            return read_now(s, p, e);
        if (offload_default() == NULL || !offload_start(offload_default(), &j->offload)) {
            job_work(&j->offload);
            *p = j->result != NULL ? tls_pair_ref(j->result) : NULL;
            *e = j->error;
            job_done(&j->offload);
            return *p != NULL ? TLS_PAIR_HERE : TLS_PAIR_BAD;
        }
    }
    list_del(&w->node);
    list_add_tail(&j->waiting, &w->node);
    return TLS_PAIR_WAIT;
}

enum tls_pair_result
tls_cert_get(struct tls_cert_cache *cache, const struct tls_pair_source *s, struct tls_cert_wait *w,
             struct tls_pair **p, struct tls_pair_error *e)
{
    enum tls_pair_result result;
    struct entry *known = NULL;
    struct arena a;
    struct str key;

    if (tls_pem_is_data(s->certificate.name) || tls_pem_is_data(s->key.name))
        return read_now(s, p, e);
    arena_init(&a, 1024);
    key = key_of(&a, cache, s);
    if (key.ptr == NULL) {
        arena_free(&a);
        return read_now(s, p, e);
    }
    if (cache != NULL) {
        make_room(cache, 0);
        known = hash_get(&cache->entries, key);
    }
    if (known != NULL)
        entry_use(cache, known);
    if (known != NULL && clock_ms - known->checked_ms < cache->valid_ms) {
        *p = tls_pair_ref(known->pair);
        result = TLS_PAIR_HERE;
    } else {
        result = wait_for(cache, key, s, known != NULL ? known->pair : NULL, w, p, e);
    }
    arena_free(&a);
    return result;
}
