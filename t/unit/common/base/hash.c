/* SPDX-License-Identifier: BSD-2-Clause */
/* hash.c - the table against a plain array, and properties of the hash. */
#include "common/base/hash.h"

#include "common/base/rand.h"
#include "t/unit/test.h"

enum { KEYS = 2000 };
static char names[KEYS][12];
static char *values[KEYS]; /* what the table should hold, by key */

static void
make_names(void)
{
    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "k%u", i);
        values[i] = NULL;
    }
}

static void
compare(const struct hash *h)
{
    uint32_t at = 0, n = 0, walked = 0;
    struct str key;
    void *value;

    for (unsigned i = 0; i < KEYS; i++) {
        n += values[i] != NULL;
        if (hash_get(h, str_c(names[i])) != values[i])
            CHECK(false, "%s", names[i]);
    }
    CHECK_EQ(h->n, n);
    for (; hash_next(h, &at, &key, &value); walked++)
        CHECK(value == values[atoi(key.ptr + 1)], "%.*s", STR(key));
    CHECK_EQ(walked, n);
}

static void
churn(struct hash *h)
{
    make_names();
    for (unsigned i = 0; i < 40000; i++) {
        unsigned k = rand_below(KEYS);
        char *value = names[rand_below(KEYS)];

        if (rand_below(100) < 45) {
            CHECK(hash_del(h, str_c(names[k])) == values[k], "%s", names[k]);
            values[k] = NULL;
        } else {
            CHECK(hash_set(h, str_c(names[k]), value));
            values[k] = value;
        }
        if (i % 8000 == 0)
            compare(h);
    }
    compare(h);
}

TEST(behaves_like_an_array)
{
    struct arena a;
    struct hash h;

    hash_init(&h, NULL);
    CHECK(hash_get(&h, S("x")) == NULL);
    CHECK(hash_del(&h, S("x")) == NULL);
    churn(&h);
    hash_free(&h);
    CHECK(hash_get(&h, S("k1")) == NULL);

    arena_init(&a, 4096);
    hash_init(&h, &a);
    churn(&h);
    arena_free(&a);
}

TEST(all_bytes_and_lengths_count)
{
    char key[70];

    memset(key, 'a', sizeof(key));
    for (size_t len = 0; len <= sizeof(key); len++) {
        uint64_t whole = hash_bytes(str_n(key, len));

        CHECK_EQ(hash_bytes(str_n(key, len)), whole);
        if (len > 0)
            CHECK(hash_bytes(str_n(key, len - 1)) != whole, "%zu", len);
        for (size_t i = 0; i < len; i++) {
            key[i] ^= 1;
            CHECK(hash_bytes(str_n(key, len)) != whole, "byte %zu of %zu", i, len);
            key[i] ^= 1;
        }
    }
}

TEST(nocase_is_the_hash_of_the_lowered_key)
{
    struct str mixed = S("X-Forwarded-FOR: [Z@`{] \xc3\x89 and more than sixteen");
    char lower[100];

    for (size_t len = 0; len <= mixed.len; len++) {
        for (size_t i = 0; i < len; i++)
            lower[i] = char_lower(mixed.ptr[i]);
        CHECK_EQ(hash_bytes_nocase(str_upto(mixed, len)), hash_bytes(str_n(lower, len)), "%zu",
                 len);
    }
}

/* Zones and files hold these values: they may never change. */
TEST(seeded_values_are_for_ever)
{
    CHECK_EQ(hash_bytes_seeded(S(""), 0), 974388968722193539u);
    CHECK_EQ(hash_bytes_seeded(S("abc"), 1), 205874269584201183u);
    CHECK_EQ(hash_bytes_seeded(S("GEThttp://example.com/a/path"), 42), 9930255131455841302u);
}

/* Buckets of a table by low bits: as even as chance has it. */
TEST(low_bits_are_even)
{
    unsigned buckets[256] = { 0 };

    for (unsigned i = 0; i < 25600; i++) {
        char key[16];

        snprintf(key, sizeof(key), "10.0.%u.%u", i / 256, i % 256);
        buckets[hash_bytes(str_c(key)) % 256]++;
    }
    for (unsigned i = 0; i < 256; i++)
        CHECK(buckets[i] > 40 && buckets[i] < 180, "bucket %u has %u of about 100", i, buckets[i]);
}
