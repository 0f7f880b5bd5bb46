/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_expiry.c - warnings before certificates expire, and of those that are isolated.
 *
 * Every worker looks, so that it does not matter which of them lives. What has been said is noted in a zone, so that each
 * warning is given once, by whoever comes first, and not again after a reload. A certificate is known by its fingerprint:
 * a renewed one is another one.
 */
#include <openssl/evp.h>

#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/event/timer.h"
#include "common/shm/slab.h"
#include "common/sys/clock.h"
#include "worker/tls/tls_report.h"
#include "worker/tls/tls_x509.h"

enum {
    LOOK_MS = 3600 * 1000,
    FIRST_LOOK_MS = 1,
    ZONE_BASE = 16 * 1024, /* bytes beside the notes */
    NOTES_MIN = 256,
    PROBES = 256,
    NAMES_SHOWN = 500, /* bytes */
    URGENT_DAYS = 7,   /* from here on it is an error, which a log shows by default */
    LEVEL_OVER = 4,
    LEVEL_ISOLATED = 5,
};

/* What has been said of a certificate. */
struct note {
    uint64_t hash; /* 0: free */
    uint64_t level;
};

struct expiry_root {
    uint64_t seed;
    uint64_t n; /* notes, a power of two */
    off notes;  /* NULL: there was no room */
};

static const struct tls_shared *of;
static struct timer timer;

/* ---- notes ---- */

static void
expiry_init(struct zone *z)
{
    struct expiry_root *r = zone_root(z, sizeof(*r));
    uint64_t n = NOTES_MIN;
    void *notes;

    while (n * 2 * sizeof(struct note) + ZONE_BASE <= zone_limit(z))
        n *= 2;
    rand_bytes(&r->seed, sizeof(r->seed));
    notes = slab_alloc(z, n * sizeof(struct note));
    if (notes == NULL)
        return;
    memset(notes, 0, n * sizeof(struct note));
    r->notes = off_of(z, notes);
    r->n = n;
}

/* A note is whole or not: nothing is torn by a death. */
static void
expiry_repair(struct zone *z)
{
    (void)z;
}

const struct zone_ops tls_expiry_zone_ops = {
    .kind = "ssl_expiry",
    .layout = 1,
    .size_min = ZONE_BASE,
    .init = expiry_init,
    .repair = expiry_repair,
};

/* The note of a hash, or the one that gives way to it; NULL: corrupt. */
static struct note *
note_of(struct zone *z, const struct expiry_root *r, uint64_t hash)
{
    struct note *notes = r->n >= NOTES_MIN && (r->n & (r->n - 1)) == 0
                             ? off_get(z, r->notes, r->n * sizeof(struct note))
                             : NULL;

    if (notes == NULL)
        return NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct note *n = &notes[((hash >> 8) + i) & (r->n - 1)];

        if (n->hash == hash || n->hash == 0)
            return n;
    }
    return &notes[(hash >> 8) & (r->n - 1)];
}

bool
tls_expiry_is_news(struct zone *z, struct str what, unsigned level)
{
    struct expiry_root *r = zone_root(z, sizeof(*r));
    uint64_t hash = hash_bytes_seeded(what, r->seed) | 1;
    struct note *n;
    bool news;

    zone_lock(z);
    n = note_of(z, r, hash);
    news = n != NULL && (n->hash != hash || n->level < level);
    if (news) {
        n->level = level;
        n->hash = hash;
    }
    zone_unlock(z);
    return news;
}

unsigned
tls_expiry_level(int64_t left_s)
{
    static const int64_t days[] = { TLS_EXPIRING_DAYS, 7, 1, 0 };
    unsigned level = 0;

    while (level < LEVEL_OVER && left_s <= days[level] * TLS_DAY_S)
        level++;
    return level;
}

/* ---- warnings ---- */

static void
warn_of_end(const struct tls_certificate *c, int64_t left_s)
{
    struct str file = tls_pem_shown(c->file.path), names;
    unsigned long long days = (unsigned long long)((left_s > 0 ? left_s : -left_s) / TLS_DAY_S);
    struct text t;

    text_init(&t, NULL);
    x509_add_names(&t, c->pair->leaf);
    names = text_str(&t);
    names.len = num_min(names.len, NAMES_SHOWN);
    if (left_s <= 0)
        log_error(0, "certificate \"%.*s\" (%.*s) has expired", STR(file), STR(names));
    else if (days == 0)
        log_error(0, "certificate \"%.*s\" (%.*s) expires within a day", STR(file), STR(names));
    else
        log_write(log_main, days <= URGENT_DAYS ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, 0, NULL,
                  "certificate \"%.*s\" (%.*s) expires in %llu day%s", STR(file), STR(names), days,
                  days == 1 ? "" : "s");
    text_free(&t);
}

static void
look_at(struct zone *z, const struct tls_certificate *c)
{
    int64_t left_s;
    unsigned level;
    struct text t;

    if (c->pair == NULL) {
        if (tls_expiry_is_news(z, c->why, LEVEL_ISOLATED))
            log_error(0, "%.*s: handshakes that need this certificate are refused", STR(c->why));
        return;
    }
    left_s = x509_time(X509_get0_notAfter(c->pair->leaf)) - (int64_t)(clock_wall_ms / 1000);
    level = tls_expiry_level(left_s);
    if (level == 0)
        return;
    text_init(&t, NULL);
    x509_add_fingerprint(&t, c->pair->leaf, EVP_sha256());
    if (!t.failed && tls_expiry_is_news(z, text_str(&t), level))
        warn_of_end(c, left_s);
    text_free(&t);
}

static void
on_time(struct timer *t)
{
    VEC_FOREACH (c, struct tls_certificate *, &of->all)
        look_at(of->expiry->zone, *c);
    timer_set(t, LOOK_MS);
}

void
tls_expiry_start(const struct tls_shared *shared)
{
    if (shared->expiry == NULL || shared->expiry->zone == NULL)
        return;
    of = shared;
    timer.on_time = on_time;
    timer_set(&timer, FIRST_LOOK_MS);
}

bool
tls_expiry_set_up(struct conf_load *l, struct tls_shared *shared)
{
    const struct conf_node nowhere = { 0 };
    uint64_t notes = NOTES_MIN;

    if (shared->all.len == 0)
        return true;
    while (notes < (uint64_t)shared->all.len * 2)
        notes *= 2;
    shared->expiry = config_zone(l, &nowhere, S("weir:certificates"),
                                 ZONE_BASE + notes * sizeof(struct note), &tls_expiry_zone_ops);
    return shared->expiry != NULL;
}
