/* SPDX-License-Identifier: BSD-2-Clause */
/* rand.c - xoshiro256** (Blackman, Vigna) seeded from the kernel, one state per thread. */
#include "common/base/rand.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/types.h>

#include "common/base/panic.h"

static __thread uint64_t state[4];
static __thread bool seeded;

static inline uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

uint64_t
rand_u64(void)
{
    uint64_t result, t;

    if (UNLIKELY(!seeded)) {
        rand_bytes(state, sizeof(state));
        state[0] |= 1; /* all zeros would stay zeros */
        seeded = true;
    }
    result = rotate(state[1] * 5, 7) * 9;
    t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
}

uint32_t
rand_below(uint32_t n)
{
    uint32_t reject = -n % n; /* 2^32 modulo n: as many low values would make a bias */
    uint64_t product;

    do
        product = (rand_u64() >> 32) * n;
    while ((uint32_t)product < reject);
    return (uint32_t)(product >> 32);
}

void
rand_after_fork(void)
{
    seeded = false;
}

void
rand_bytes(void *to, size_t n)
{
    char *p = to;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        p += got;
        n -= (size_t)got;
    }
}
