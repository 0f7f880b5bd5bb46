/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hash.c - the keyed hash and the table of open addressing.
 *
 * The hash folds 128-bit products of the input and four secret words, sixteen bytes a step. The secrets come from
 * the seed and are never constants, so no input is known to make a product vanish.
 */
#include "common/base/hash.h"

#include <stdlib.h>

#include "common/base/rand.h"
#include "common/base/word.h"

struct secret {
    uint64_t word[4];
};

/* A free slot has value NULL. Slots are probed one after the other; deletion moves later ones back. */
struct hash_slot {
    uint64_t hash;
    struct str key;
    void *value;
};

static inline uint64_t
fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Up to 16 bytes as two words; bytes in the middle may count twice, the length tells the cases apart. */
static inline void
load_short(const char *p, size_t n, uint64_t *a, uint64_t *b)
{
    if (n >= 8) {
        *a = word_load(p);
        *b = word_load(p + n - 8);
    } else if (n >= 4) {
        *a = word_load4(p);
        *b = word_load4(p + n - 4);
    } else if (n > 0) {
        *a = (uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 |
             (uint64_t)(uint8_t)p[n - 1] << 16;
        *b = 0;
    } else {
        *a = *b = 0;
    }
}

static inline __attribute__((always_inline)) uint64_t
hash_with(const struct secret *k, struct str key, bool lower)
{
    const char *p = key.ptr;
    size_t n = key.len;
    uint64_t h = k->word[0] ^ key.len, a, b;

    for (; n > 16; n -= 16, p += 16) {
        a = word_load(p);
        b = word_load(p + 8);
        if (lower) {
            a = word_lower(a);
            b = word_lower(b);
        }
        h = fold(a ^ k->word[1], b ^ h);
    }
    load_short(p, n, &a, &b);
    if (lower) {
        a = word_lower(a);
        b = word_lower(b);
    }
    return fold(fold(a ^ k->word[2], b ^ h) ^ k->word[3], k->word[1] ^ h);
}

/* Spreads a seed over the secrets: a Weyl sequence through a finalizer of xor-shifts and odd multipliers. */
static inline struct secret
secret_of(uint64_t seed)
{
    struct secret k;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        k.word[i] = (z ^ z >> 31) | 1;
    }
    return k;
}

/* Kept across fork: a table made before it stays valid in the child. */
static struct secret process_secret;

static __attribute__((constructor)) void
secret_init(void)
{
    rand_bytes(&process_secret, sizeof(process_secret));
    for (unsigned i = 0; i < 4; i++)
        process_secret.word[i] |= 1;
}

uint64_t
hash_bytes(struct str key)
{
    return hash_with(&process_secret, key, false);
}

uint64_t
hash_bytes_nocase(struct str key)
{
    return hash_with(&process_secret, key, true);
}

uint64_t
hash_bytes_seeded(struct str key, uint64_t seed)
{
    struct secret k = secret_of(seed);

    return hash_with(&k, key, false);
}

void
hash_init(struct hash *h, struct arena *a)
{
    *h = (struct hash){ .arena = a };
}

void
hash_free(struct hash *h)
{
    if (h->arena == NULL)
        free(h->slots);
    hash_init(h, h->arena);
}

/* The slot of the key, or the free one where it would go. The table has a free slot. */
static struct hash_slot *
find(const struct hash *h, struct str key, uint64_t hash)
{
    uint32_t mask = h->cap - 1;

    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct hash_slot *s = &h->slots[i];

        if (s->value == NULL || (s->hash == hash && str_eq(s->key, key)))
            return s;
    }
}

void *
hash_get(const struct hash *h, struct str key)
{
    return h->n == 0 ? NULL : find(h, key, hash_bytes(key))->value;
}

static bool
grow(struct hash *h)
{
    struct hash bigger = { .n = h->n, .cap = h->cap == 0 ? 16 : h->cap * 2, .arena = h->arena };

    if (bigger.cap < h->cap)
        return false;
    if (h->arena == NULL)
        bigger.slots = calloc(bigger.cap, sizeof(struct hash_slot));
    else
        bigger.slots = arena_array(h->arena, bigger.cap, sizeof(struct hash_slot));
    if (bigger.slots == NULL)
        return false;
    for (uint32_t i = 0; i < h->cap; i++)
        if (h->slots[i].value != NULL)
            *find(&bigger, h->slots[i].key, h->slots[i].hash) = h->slots[i];
    if (h->arena == NULL)
        free(h->slots);
    *h = bigger;
    return true;
}

bool
hash_set(struct hash *h, struct str key, void *value)
{
    uint64_t hash = hash_bytes(key);
    struct hash_slot *s;

    ASSERT(value != NULL);
    if (h->n > 0) {
        s = find(h, key, hash);
        if (s->value != NULL) {
            s->key = key;
            s->value = value;
            return true;
        }
    }
    if (h->n >= h->cap / 4 * 3 && !grow(h))
        return false;
    *find(h, key, hash) = (struct hash_slot){ .hash = hash, .key = key, .value = value };
    h->n++;
    return true;
}

void *
hash_del(struct hash *h, struct str key)
{
    uint32_t mask = h->cap - 1, hole, i;
    struct hash_slot *s;
    void *value;

    if (h->n == 0)
        return NULL;
    s = find(h, key, hash_bytes(key));
    if (s->value == NULL)
        return NULL;
    value = s->value;
    hole = (uint32_t)(s - h->slots);
    /* What follows moves back unless it would come before its own place. */
    for (i = (hole + 1) & mask; h->slots[i].value != NULL; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)h->slots[i].hash & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            h->slots[hole] = h->slots[i];
            hole = i;
        }
    }
    h->slots[hole].value = NULL;
    h->n--;
    return value;
}

bool
hash_next(const struct hash *h, uint32_t *at, struct str *key, void **value)
{
    while (*at < h->cap) {
        struct hash_slot *s = &h->slots[(*at)++];

        if (s->value != NULL) {
            *key = s->key;
            *value = s->value;
            return true;
        }
    }
    return false;
}
