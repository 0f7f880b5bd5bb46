/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_session.c - sessions that clients resume by their ID.
 *
 * The shared cache is a log: sessions are written one behind the other into chunks of the zone, the oldest chunk is
 * overwritten next, and an index of small buckets says where each lies. They all live equally long, so the oldest is
 * what goes first anyway, and nothing has to be freed. An entry proves by its checksum that it is whole, and by its ID
 * that it is the one: what a dead worker left half-written, or what was overwritten since the index named it, is
 * no entry. So a death needs no repair, and a zone that grows only gets further chunks (its index stays as it is: from
 * twice the size on it is the limit).
 *
 * With tickets a client of TLS 1.3 brings its session itself; it is kept here only without them.
 */
#include "worker/tls/tls_session.h"

#include <openssl/err.h>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/base/num.h"
#include "common/base/rand.h"
#include "common/shm/slab.h"
#include "common/sys/clock.h"
#include "worker/tls/tls_conn.h"

enum {
    ID_MAX = SSL_MAX_SSL_SESSION_ID_LENGTH,
    CHUNKS_MAX = 480, /* offsets of them lie in the root */
    CHUNK_MIN = 4096, /* in small zones; holds no session with a long client certificate */
    CHUNK_USUAL = 16384,
    CHUNK_SMALL_ZONE = 256 * 1024, /* bytes */
    CHUNK_MAX = 1024 * 1024,
    SLOTS = 8, /* of a bucket */
    BYTES_PER_BUCKET =
        768, /* of the zone: a bucket of 8 for about 3 sessions, so that the zone may grow */
};

struct entry {
    uint32_t crc; /* of everything behind it */
    uint16_t id_len, len;
    uint64_t expires_ms;
    uint8_t id[ID_MAX];
    uint8_t session[]; /* len bytes, padded to 8 */
};

/* Where an entry is said to lie: tag (16 bits), chunk + 1 (16), offset in it (32). 0: free. */
typedef uint64_t slot;

struct sessions_root {
    uint64_t seed;
    uint32_t chunk_size;
    uint32_t index_chunks; /* the first ones hold the index, the rest the log */
    uint32_t chunks;
    uint32_t ready;
    uint32_t chunk, at; /* where the next entry goes */
    off chunk_at[CHUNKS_MAX];
};
_Static_assert(sizeof(struct sessions_root) <= 4000, "the root object of a zone");

/* ---- the zone ---- */

static struct sessions_root *
root_of(struct zone *z)
{
    return zone_root(z, sizeof(struct sessions_root));
}

/* A chunk size that lets the whole zone fit into the table. */
static uint32_t
chunk_size_for(uint64_t bytes)
{
    uint64_t size = bytes >= CHUNK_SMALL_ZONE ? CHUNK_USUAL : CHUNK_MIN;

    while (size < CHUNK_MAX && size * (CHUNKS_MAX / 2) < bytes)
        size *= 2;
    return (uint32_t)size;
}

/* Takes all the memory that there is. Lock held, dirty. */
static void
take_chunks(struct zone *z, struct sessions_root *r)
{
    while (r->chunks < CHUNKS_MAX) {
        void *p = slab_alloc(z, r->chunk_size);

        if (p == NULL)
            return;
        memset(p, 0, r->chunk_size);
        r->chunk_at[r->chunks] = off_of(z, p);
        __atomic_store_n(&r->chunks, r->chunks + 1, __ATOMIC_RELEASE);
    }
}

static void
sessions_init(struct zone *z)
{
    struct sessions_root *r = root_of(z);
    uint64_t index_bytes;

    rand_bytes(&r->seed, sizeof(r->seed));
    r->chunk_size = chunk_size_for(zone_limit(z));
    take_chunks(z, r);
    index_bytes = (uint64_t)r->chunks * r->chunk_size / BYTES_PER_BUCKET * SLOTS * sizeof(slot);
    r->index_chunks = (uint32_t)num_max(1, index_bytes / r->chunk_size);
    r->chunk = r->index_chunks;
    r->ready = r->chunks > r->index_chunks;
}

static void
sessions_grow(struct zone *z, uint64_t old_size)
{
    struct sessions_root *r = root_of(z);

    (void)old_size;
    if (r->chunk_size < CHUNK_MIN || r->chunk_size > CHUNK_MAX)
        return;
    take_chunks(z, r);
}

const struct zone_ops tls_session_zone_ops = {
    .kind = "ssl_session",
    .layout = 1,
    .size_min = 8 * 4096,
    .init = sessions_init,
    .grow = sessions_grow,
};

const struct zone_ops tls_ocsp_zone_ops = {
    .kind = "ssl_ocsp",
    .layout = 1,
    .size_min = 8 * 4096,
    .init = sessions_init,
    .grow = sessions_grow,
};

/* ---- the log ---- */

/* Whether numbers in the root can be used. */
static bool
root_is_sane(const struct sessions_root *r)
{
    return r->ready == 1 && r->chunk_size >= CHUNK_MIN && r->chunk_size <= CHUNK_MAX &&
           r->chunk_size % 64 == 0 && r->chunks <= CHUNKS_MAX && r->index_chunks > 0 &&
           r->index_chunks < r->chunks;
}

static uint8_t *
chunk_get(struct zone *z, const struct sessions_root *r, uint32_t i)
{
    return i < r->chunks ? off_get(z, r->chunk_at[i], r->chunk_size) : NULL;
}

static uint64_t
hash_of(const struct sessions_root *r, struct str id)
{
    return hash_bytes_seeded(id, r->seed);
}

/* The bucket of a hash: SLOTS slots. NULL: corrupt. */
static slot *
bucket_of(struct zone *z, const struct sessions_root *r, uint64_t hash)
{
    uint32_t per_chunk = r->chunk_size / (SLOTS * sizeof(slot));
    uint32_t n = (uint32_t)((hash & UINT32_MAX) % ((uint64_t)r->index_chunks * per_chunk));
    uint8_t *chunk = chunk_get(z, r, n / per_chunk);

    return chunk != NULL ? (slot *)chunk + (size_t)(n % per_chunk) * SLOTS : NULL;
}

static uint16_t
tag_of(uint64_t hash)
{
    return (uint16_t)(hash >> 48);
}

static slot
slot_of(uint64_t hash, uint32_t chunk, uint32_t at)
{
    return (uint64_t)tag_of(hash) << 48 | (uint64_t)(chunk + 1) << 32 | at;
}

static size_t
entry_size(size_t session_len)
{
    return (sizeof(struct entry) + session_len + 7) & ~(size_t)7;
}

static uint32_t
entry_crc(const struct entry *e)
{
    return crc32c(0, &e->id_len, entry_size(e->len) - offsetof(struct entry, id_len));
}

/* The entry that a slot names, if it is one. */
static struct entry *
entry_get(struct zone *z, const struct sessions_root *r, slot s)
{
    uint32_t chunk = (uint32_t)(s >> 32 & 0xffff), at = (uint32_t)s;
    uint8_t *mem;
    struct entry *e;

    if (chunk <= r->index_chunks || at % 8 != 0 || at > r->chunk_size - sizeof(struct entry))
        return NULL;
    mem = chunk_get(z, r, chunk - 1);
    if (mem == NULL)
        return NULL;
    e = (struct entry *)(mem + at);
    if (e->id_len == 0 || e->id_len > ID_MAX || e->len > TLS_SESSION_MAX ||
        entry_size(e->len) > r->chunk_size - at || e->crc != entry_crc(e))
        return NULL;
    return e;
}

static bool
entry_is(const struct entry *e, struct str id)
{
    return e != NULL && e->id_len == id.len && memcmp(e->id, id.ptr, id.len) == 0;
}

/* The slot of an entry, and the entry; NULL: none. */
static slot *
find(struct zone *z, const struct sessions_root *r, struct str id, struct entry **e)
{
    uint64_t hash = hash_of(r, id);
    slot *bucket = bucket_of(z, r, hash);

    for (unsigned i = 0; bucket != NULL && i < SLOTS; i++) {
        if (bucket[i] == 0 || bucket[i] >> 48 != tag_of(hash))
            continue;
        *e = entry_get(z, r, bucket[i]);
        if (entry_is(*e, id))
            return &bucket[i];
    }
    return NULL;
}

/* The slot for a new entry: the one of the same ID, a free one, or the one that expires first. */
static slot *
slot_for(struct zone *z, const struct sessions_root *r, struct str id, uint64_t now_ms)
{
    struct entry *e;
    slot *s = find(z, r, id, &e), *bucket, *best = NULL;
    uint64_t first = UINT64_MAX;

    if (s != NULL)
        return s;
    bucket = bucket_of(z, r, hash_of(r, id));
    for (unsigned i = 0; bucket != NULL && i < SLOTS; i++) {
        e = bucket[i] != 0 ? entry_get(z, r, bucket[i]) : NULL;
        if (e == NULL || e->expires_ms <= now_ms)
            return &bucket[i];
        if (e->expires_ms < first) {
            first = e->expires_ms;
            best = &bucket[i];
        }
    }
    return best;
}

/* Moves on to where `size` bytes fit; the memory there. NULL: corrupt. */
static uint8_t *
next_place(struct zone *z, struct sessions_root *r, size_t size)
{
    uint8_t *mem;

    if (r->chunk < r->index_chunks || r->chunk >= r->chunks || r->at % 8 != 0 ||
        r->at > r->chunk_size) {
        r->chunk = r->index_chunks;
        r->at = 0;
    }
    if (size > r->chunk_size - r->at) {
        r->chunk = r->chunk + 1 < r->chunks ? r->chunk + 1 : r->index_chunks;
        r->at = 0;
    }
    mem = chunk_get(z, r, r->chunk);
    return mem != NULL ? mem + r->at : NULL;
}

static void
store(struct zone *z, struct sessions_root *r, struct str id, struct str session, uint64_t now_ms,
      uint64_t expires_ms)
{
    size_t size = entry_size(session.len);
    slot *s = slot_for(z, r, id, now_ms);
    struct entry *e;

    if (s == NULL)
        return;
    e = (struct entry *)next_place(z, r, size);
    if (e == NULL)
        return;
    *s = 0;
    crash_point("tls_session_store");
    memset(e, 0, size);
    e->id_len = (uint16_t)id.len;
    e->len = (uint16_t)session.len;
    e->expires_ms = expires_ms;
    memcpy(e->id, id.ptr, id.len);
    memcpy(e->session, session.ptr, session.len);
    e->crc = entry_crc(e);
    *s = slot_of(hash_of(r, id), r->chunk, r->at);
    crash_point("tls_session_stored"); /* the next one lies over it */
    r->at += (uint32_t)size;
}

void
tls_session_store(struct zone *z, struct str id, struct str session, uint64_t now_ms,
                  uint64_t expires_ms)
{
    struct sessions_root *r = root_of(z);

    if (id.len == 0 || id.len > ID_MAX || session.len > TLS_SESSION_MAX)
        return;
    zone_lock(z);
    if (root_is_sane(r) && entry_size(session.len) <= r->chunk_size)
        store(z, r, id, session, now_ms, expires_ms);
    zone_unlock(z);
}

size_t
tls_session_find(struct zone *z, struct str id, uint64_t now_ms, void *to)
{
    const struct sessions_root *r = root_of(z);
    struct entry *e;
    size_t len = 0;

    if (id.len == 0 || id.len > ID_MAX)
        return 0;
    zone_lock(z);
    if (root_is_sane(r) && find(z, r, id, &e) != NULL && e->expires_ms > now_ms) {
        len = e->len;
        memcpy(to, e->session, len);
    }
    zone_unlock(z);
    return len;
}

void
tls_session_forget(struct zone *z, struct str id)
{
    const struct sessions_root *r = root_of(z);
    struct entry *e;
    slot *s;

    if (id.len == 0 || id.len > ID_MAX)
        return;
    zone_lock(z);
    s = root_is_sane(r) ? find(z, r, id, &e) : NULL;
    if (s != NULL)
        *s = 0;
    zone_unlock(z);
}

/* ---- for the library ---- */

static struct zone *
zone_of(const struct tls_context *c)
{
    return c->settings.sessions != NULL ? c->settings.sessions->zone : NULL;
}

static int
on_new(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *t = SSL_get_app_data(ssl);
    struct zone *z = zone_of(t->context);
    unsigned char bytes[TLS_SESSION_MAX], *end = bytes;
    unsigned int id_len;
    const unsigned char *id;
    int len;

    if (z == NULL || (SSL_version(ssl) >= TLS1_3_VERSION && t->context->settings.tickets))
        return 0;
    len = i2d_SSL_SESSION(session, NULL);
    if (len <= 0 || len > TLS_SESSION_MAX || i2d_SSL_SESSION(session, &end) != len)
        return 0;
    id = SSL_SESSION_get_id(session, &id_len);
    tls_session_store(z, str_n((const char *)id, id_len), str_n((const char *)bytes, (size_t)len),
                      clock_ms, clock_ms + t->context->settings.timeout_s * 1000);
    OPENSSL_cleanse(bytes, (size_t)len);
    return 0; /* no reference to the session is kept */
}

static SSL_SESSION *
on_get(SSL *ssl, const unsigned char *id, int id_len, int *copy)
{
    const struct tls *t = SSL_get_app_data(ssl);
    struct zone *z = zone_of(t->context);
    unsigned char bytes[TLS_SESSION_MAX];
    const unsigned char *from = bytes;
    SSL_SESSION *session;
    size_t len;

    *copy = 0;
    if (z == NULL || id_len <= 0)
        return NULL;
    len = tls_session_find(z, str_n((const char *)id, (size_t)id_len), clock_ms, bytes);
    if (len == 0)
        return NULL;
    session = d2i_SSL_SESSION(NULL, &from, (long)len);
    OPENSSL_cleanse(bytes, len);
    return session;
}

static void
on_remove(SSL_CTX *ctx, SSL_SESSION *session)
{
    const struct tls_context *c = SSL_CTX_get_app_data(ctx);
    struct zone *z = zone_of(c);
    unsigned int id_len;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_len);

    if (z != NULL)
        tls_session_forget(z, str_n((const char *)id, id_len));
}

void
tls_session_set_up(struct tls_context *c, const struct tls_settings *s)
{
    long mode = SSL_SESS_CACHE_SERVER;

    if (s->cache == TLS_CACHE_OFF) {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    } else {
        if (s->builtin_sessions == 0)
            mode |= SSL_SESS_CACHE_NO_INTERNAL;
        else
            SSL_CTX_sess_set_cache_size(c->ssl, (long)s->builtin_sessions);
        SSL_CTX_set_session_cache_mode(c->ssl, mode);
    }
    if (s->sessions != NULL) {
        SSL_CTX_sess_set_new_cb(c->ssl, on_new);
        SSL_CTX_sess_set_get_cb(c->ssl, on_get);
        SSL_CTX_sess_set_remove_cb(c->ssl, on_remove);
    }
    /* One ticket is enough for a browser (RFC 8446, 4.6.1); without tickets and cache there is nothing to give. */
    SSL_CTX_set_num_tickets(c->ssl, s->tickets || s->cache == TLS_CACHE_ON ? 1 : 0);
}
