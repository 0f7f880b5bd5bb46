/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_ticket.c - the keys of session tickets (RFC 5077; RFC 8446, 4.6.1).
 *
 * Keys of our own making lie in a zone, so that every worker and the next generation understand a ticket. One encrypts
 * for as long as a session lives, then the next one does, and the old one is understood for as long again. Who finds the
 * first key too old makes the new one. A file of keys is for several machines with one name.
 */
#include "worker/tls/tls_ticket.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "common/base/rand.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "worker/tls/tls_conn.h"

enum {
    FILE_AES128 = 48, /* bytes of a file: name, then both keys */
    FILE_AES256 = 80,
    ZONE_BYTES = 32 * 1024,
};

struct stored_key {
    struct tls_ticket_key key;
    uint64_t made_ms; /* monotonic */
};

struct tickets_root {
    uint32_t changes; /* counted, so that a copy knows when it is old */
    uint32_t first;   /* index of the key in use */
    struct stored_key key[TICKET_KEYS];
};

/* ---- keys in the zone ---- */

static void
key_make(struct stored_key *k, uint64_t now_ms)
{
    k->key.key_len = TICKET_KEY;
    rand_bytes(k->key.name, sizeof(k->key.name));
    rand_bytes(k->key.cipher, sizeof(k->key.cipher));
    rand_bytes(k->key.mac, sizeof(k->key.mac));
    k->made_ms = now_ms;
}

static void
tickets_init(struct zone *z)
{
    struct tickets_root *r = zone_root(z, sizeof(*r));

    for (unsigned i = 0; i < TICKET_KEYS; i++)
        key_make(&r->key[i], clock_ms);
    r->first = 0;
    r->changes++;
}

/* A death while a key is made leaves half of one: no ticket has been made with it, and nobody knows the other half. */
static void
tickets_repair(struct zone *z)
{
    struct tickets_root *r = zone_root(z, sizeof(*r));

    r->first %= TICKET_KEYS;
    r->changes++;
}

const struct zone_ops tls_ticket_zone_ops = {
    .kind = "ssl_ticket",
    .layout = 1,
    .size_min = 4096,
    .init = tickets_init,
    .repair = tickets_repair,
};

static void
rotate(struct zone *z, struct tickets_root *r, uint64_t now_ms, uint64_t life_ms)
{
    const struct stored_key *first = &r->key[r->first % TICKET_KEYS];
    uint32_t next = (r->first + 1) % TICKET_KEYS;

    if (now_ms < first->made_ms + life_ms)
        return;
    zone_dirty(z);
    /* After a long silence no ticket of the key in use is good any more either. */
    if (now_ms >= first->made_ms + 2 * life_ms)
        key_make(&r->key[r->first % TICKET_KEYS], now_ms);
    key_make(&r->key[next], now_ms);
    crash_point("tls_ticket_rotate");
    r->first = next;
    __atomic_store_n(&r->changes, r->changes + 1, __ATOMIC_RELEASE);
    zone_clean(z);
}

void
tls_ticket_keys_now(struct zone *z, uint64_t now_ms, uint64_t life_ms,
                    struct tls_ticket_key keys[TICKET_KEYS])
{
    static struct {
        struct zone *zone;
        uint32_t changes;
        uint64_t until_ms;
        struct tls_ticket_key key[TICKET_KEYS];
    } copy;
    struct tickets_root *r = zone_root(z, sizeof(*r));

    if (copy.zone != z || now_ms >= copy.until_ms ||
        copy.changes != __atomic_load_n(&r->changes, __ATOMIC_ACQUIRE)) {
        zone_lock(z);
        rotate(z, r, now_ms, life_ms);
        copy.zone = z;
        copy.changes = r->changes;
        copy.until_ms = r->key[r->first % TICKET_KEYS].made_ms + life_ms;
        for (uint32_t i = 0; i < TICKET_KEYS; i++)
            copy.key[i] = r->key[(r->first + i) % TICKET_KEYS].key;
        zone_unlock(z);
    }
    memcpy(keys, copy.key, sizeof(copy.key));
}

/* ---- for the library ---- */

/* Key `i`, or with `name` the one of that name; -1: none. */
static int
key_get(const struct tls_context *c, const unsigned char *name, struct tls_ticket_key *key)
{
    struct tls_ticket_key made[TICKET_KEYS];
    const struct tls_ticket_key *from = made;
    uint32_t n = TICKET_KEYS;
    int found = -1;

    if (c->ticket_keys != NULL) {
        from = c->ticket_keys->key;
        n = c->ticket_keys->n;
    } else {
        struct zone *z = c->shared->tickets != NULL ? c->shared->tickets->zone : NULL;

        if (z == NULL)
            return -1;
        tls_ticket_keys_now(z, clock_ms, c->shared->timeout_max_s * 1000, made);
    }
    for (uint32_t i = 0; i < n && found == -1; i++) {
        if (name == NULL || memcmp(from[i].name, name, TICKET_NAME) == 0)
            found = (int)i;
    }
    if (found >= 0)
        *key = from[found];
    OPENSSL_cleanse(made, sizeof(made));
    return found;
}

static bool
set_mac(EVP_MAC_CTX *mac, const struct tls_ticket_key *k)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac, k->key_len),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: good; 2: good, and a new ticket is to be given; 0: not one of ours, a full handshake follows; -1: failed. */
static int
on_ticket(SSL *ssl, unsigned char name[TICKET_NAME], unsigned char iv[EVP_MAX_IV_LENGTH],
          EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    static const EVP_CIPHER *aes128, *aes256;
    const struct tls *t = SSL_get_app_data(ssl);
    struct tls_ticket_key key;
    const EVP_CIPHER *aes;
    int which, good;

    if (aes128 == NULL) {
        aes128 = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
        aes256 = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    }
    which = key_get(t->context, encrypt ? NULL : name, &key);
    if (which < 0)
        return 0;
    aes = key.key_len == TICKET_KEY ? aes256 : aes128;
    if (encrypt) {
        memcpy(name, key.name, TICKET_NAME);
        rand_bytes(iv, (size_t)EVP_CIPHER_get_iv_length(aes));
        good = EVP_EncryptInit_ex(cipher, aes, NULL, key.cipher, iv) == 1;
    } else {
        good = EVP_DecryptInit_ex(cipher, aes, NULL, key.cipher, iv) == 1;
    }
    good = good && set_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (!good)
        return -1;
    /* A ticket of TLS 1.3 is used once (RFC 8446, C.4): its client gets the next one with each use. */
    return !encrypt && (which > 0 || SSL_version(ssl) >= TLS1_3_VERSION) ? 2 : 1;
}

/* ---- keys of files ---- */

static bool
read_file(struct conf_load *l, const struct tls_file *f, struct tls_ticket_key *k)
{
    struct arena a;
    struct error err;
    struct str bytes;
    bool good;

    arena_init(&a, 1024);
    good =
        file_read(&a, f->path.ptr, 1024, &bytes, &err) || conf_fail_at(l, f->pos, "%s", err.text);
    if (good && bytes.len != FILE_AES128 && bytes.len != FILE_AES256)
        good = conf_fail_at(l, f->pos, "\"%.*s\" must be 48 or 80 bytes", STR(f->path));
    if (good) {
        memcpy(k->name, bytes.ptr, TICKET_NAME);
        k->key_len = bytes.len == FILE_AES256 ? 32 : 16;
        memcpy(k->cipher, bytes.ptr + TICKET_NAME, k->key_len);
        memcpy(k->mac, bytes.ptr + TICKET_NAME + k->key_len, k->key_len);
        OPENSSL_cleanse((void *)bytes.ptr, bytes.len);
    }
    arena_free(&a);
    return good;
}

bool
tls_ticket_set_up(struct conf_load *l, struct tls_shared *shared, const struct tls_settings *s,
                  struct tls_context *c)
{
    const struct conf_node nowhere = { 0 };
    struct tls_ticket_keys *keys;

    if (!s->tickets)
        return true;
    SSL_CTX_set_tlsext_ticket_key_evp_cb(c->ssl, on_ticket);
    if (s->ticket_keys.len == 0) {
        if (shared->tickets == NULL)
            shared->tickets =
                config_zone(l, &nowhere, S("weir:tickets"), ZONE_BYTES, &tls_ticket_zone_ops);
        return shared->tickets != NULL;
    }
    keys = arena_zalloc(conf_arena(l),
                        sizeof(*keys) + s->ticket_keys.len * sizeof(struct tls_ticket_key));
    if (keys == NULL)
        return conf_fail_at(l, VEC_AT(&s->ticket_keys, struct tls_file, 0)->pos, "out of memory");
    VEC_FOREACH (f, struct tls_file, &s->ticket_keys) {
        if (!read_file(l, f, &keys->key[keys->n++]))
            return false;
    }
    c->ticket_keys = keys;
    return true;
}
