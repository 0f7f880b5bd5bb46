/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone.c - fuzz target: a zone and a slot table that another process has scribbled on.
 *
 * Input: a byte of flags (1: the header's checksum is made right again, 2: the zone is torn, 4: the slot table, not a
 * zone), then records of five bytes: offset (4, little endian, modulo the length of what is written to) and value.
 * The first records also serve as offsets that are looked up. Whatever it says, no process but the one that was
 * scribbled on may stumble: no access beyond the file, no endless loop, no abort.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/log/log.h"
#include "common/shm/lock.h"
#include "common/shm/slab.h"
#include "common/shm/zone_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 64 << 10, RECORD = 5, FIX_CRC = 1, TORN = 2, SLOTS = 4 };

static const struct zone_ops ops = { .kind = "fuzz", .layout = 1 };

static uint32_t
record_offset(const uint8_t *r)
{
    return (uint32_t)r[0] | (uint32_t)r[1] << 8 | (uint32_t)r[2] << 16 | (uint32_t)r[3] << 24;
}

static void
scribble(unsigned char *to, size_t len, const uint8_t *data, size_t size)
{
    for (; size >= RECORD; data += RECORD, size -= RECORD)
        to[record_offset(data) % len] = data[4];
}

static void
must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

static void
use_slab(struct zone *z, const uint8_t *data, size_t size)
{
    void *held[16] = { 0 };

    for (size_t i = 0; i < 64; i++) {
        uint64_t bytes = size == 0 ? i * 100 : (uint64_t)data[i % size] * (i % 5 == 0 ? 40 : 9);
        void **at = &held[i % 16];

        slab_free(z, *at);
        *at = slab_alloc(z, bytes);
        must(*at == NULL || off_get(z, off_of(z, *at), bytes) == *at, "memory outside the zone");
        if (*at != NULL)
            memset(*at, (int)i, bytes);
    }
}

static void
use_zone(struct zone *z, const uint8_t *data, size_t size)
{
    zone_worker_start(z, NULL);
    zone_lock(z);
    zone_dirty(z);
    use_slab(z, data, size);
    for (size_t i = 0; i + 16 <= size && i < 160; i += 16) {
        uint64_t o, len;
        const volatile unsigned char *p;

        memcpy(&o, data + i, 8);
        memcpy(&len, data + i + 8, 8);
        p = off_get(z, o & ~(uint64_t)7, len);
        if (p != NULL && len != 0)
            (void)p[len - 1];
        slab_free(z, (char *)z->h + (o & 0xfffff));
    }
    zone_clean(z);
    zone_unlock(z);
    zone_reap(z, 7, 1);
    zone_lock(z);
    zone_reset(z, "fuzz");
    zone_dirty(z);
    use_slab(z, data, size);
    zone_clean(z);
    zone_unlock(z);
}

static void
fuzz_zone(const uint8_t *data, size_t size, unsigned flags)
{
    struct error err;
    struct zone *z = zone_create(S("fuzz"), SIZE, &ops, &err), *again;
    struct zone_header *h;
    char name[64];
    uint64_t bytes;
    int fd;

    must(z != NULL, "zone_create");
    h = z->h;
    scribble((unsigned char *)h, ZONE_DATA_AT + 8192, data, size);
    if (flags & FIX_CRC)
        h->fixed.crc = crc32c(0, &h->fixed, offsetof(struct zone_fixed, crc));
    h->lock.word = 0; /* who lies there is waited for, as it should be */
    h->dirty = (flags & TORN) != 0;

    fd = dup(zone_fd(z));
    (void)zone_peek(fd, name, &bytes, &err);
    again = zone_adopt(fd, S("fuzz"), 2 * SIZE, &ops, &err);
    if (again == NULL)
        close(fd);
    else
        use_zone(again, data, size);
    zone_drop(again);
    zone_drop(z);
}

static void
fuzz_slots(const uint8_t *data, size_t size)
{
    struct error err;
    int fd = -1, ro = -1, again_ro = -1;
    struct slot_table *t = slots_create(&fd, &ro, &err), *again;
    const struct slot_table *seen;

    must(t != NULL, "slots_create");
    for (unsigned i = 0; i < 5; i++)
        slots_take(t, 1, 0, i);
    scribble((unsigned char *)t, sizeof(*t), data, size);
    seen = slots_map(ro, &err);
    for (unsigned i = 0; seen != NULL && i < 8; i++)
        (void)slot_ref_alive(seen, (uint64_t)i << 48 | t->row[i].incarnation);
    again = slots_adopt(fd, &again_ro, &err);
    if (again != NULL) {
        int slot = slots_take(again, 2, 0, 0);

        must(slot < 0 || again->high_water <= SLOTS_MAX, "slots_take");
        (void)slots_free_count(again);
        munmap(again, sizeof(*again));
        close(again_ro);
    }
    if (seen != NULL)
        munmap((void *)(uintptr_t)seen, sizeof(*seen));
    munmap(t, sizeof(*t));
    close(ro);
    close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned flags = size > 0 ? data[0] : 0;

    if (size > 4096)
        return 0;
    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    lock_init_process();
    if (size > 0)
        data++, size--;
    if (flags & SLOTS)
        fuzz_slots(data, size);
    else
        fuzz_zone(data, size, flags);
    return 0;
}
