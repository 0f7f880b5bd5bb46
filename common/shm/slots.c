/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.c - the table of processes: made, adopted and written by the master, mapped read-only by workers.
 *
 * The memfd has mode 0600 from before anybody else sees it: with the 0777 of its birth a worker's user could open the
 * read-only descriptor anew for writing. Rows are published by the store to `state`, so readers need no lock.
 */
#include "common/shm/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/shm/zone.h"
#include "common/sys/fd.h"
#include "common/sys/proc.h"

uint64_t process_slot;

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { SLOTS_LAYOUT = 1 };
#define INCARNATION_MAX 0xffffffffffffULL

static const char slots_magic[8] = "weirslot";

static int
slots_memfd(void)
{
    int fd = memfd_create("weir-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("weir-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (fchmod(fd, 0600) != 0 || ftruncate(fd, sizeof(struct slot_table)) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        fd_close(&fd);
    return fd;
}

/* The same file once more, through /proc: descriptors that are duplicates share the access mode. */
static int
slots_open_again(int fd, int mode, struct error *err)
{
    char path[32];
    int again;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, mode | O_CLOEXEC);
    if (again < 0)
        error_sys(err, "slot table: open(%s) failed", path);
    return again;
}

int
slots_reopen(int ro_fd, struct error *err)
{
    return slots_open_again(ro_fd, O_RDWR, err);
}

static struct slot_table *
slots_mmap(int fd, int protection, struct error *err)
{
    void *p = mmap(NULL, sizeof(struct slot_table), protection, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED)
        return p;
    error_sys(err, "slot table: mmap() failed");
    return NULL;
}

/* Zones outlive the table, and their marks know incarnations: a new table has to begin above all of the old one's. */
static uint64_t
first_incarnation(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1;
}

struct slot_table *
slots_create(int *fd, int *ro_fd, struct error *err)
{
    struct slot_table *t;
    int ro, rw = slots_memfd();

    if (rw < 0) {
        error_sys(err, "slot table: %zu bytes", sizeof(struct slot_table));
        return NULL;
    }
    ro = slots_open_again(rw, O_RDONLY, err);
    t = ro < 0 ? NULL : slots_mmap(rw, PROT_READ | PROT_WRITE, err);
    if (t == NULL) {
        fd_close(&ro);
        fd_close(&rw);
        return NULL;
    }
    memcpy(t->magic, slots_magic, sizeof(t->magic));
    t->layout = SLOTS_LAYOUT;
    t->next_incarnation = first_incarnation();
    *fd = rw;
    *ro_fd = ro;
    return t;
}

/* A file that a mapping of the table can rely on. */
static bool
slots_check_file(int fd, struct stat *st, struct error *err)
{
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals >= 0 && (seals & F_SEAL_SHRINK) != 0 && fstat(fd, st) == 0 && S_ISREG(st->st_mode) &&
        st->st_size == (off_t)sizeof(struct slot_table))
        return true;
    error_set(err, "slot table: wrong seals or size");
    return false;
}

static bool
slots_check(const struct slot_table *t, struct error *err)
{
    bool sane = t->high_water <= SLOTS_MAX && t->next_incarnation != 0 &&
                t->next_incarnation <= INCARNATION_MAX;

    if (memcmp(t->magic, slots_magic, sizeof(t->magic)) != 0 || t->layout != SLOTS_LAYOUT) {
        error_set(err, "slot table: wrong magic or layout");
        return false;
    }
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        const struct slot_row *r = &t->row[i];

        if (r->state > SLOT_DEAD || r->incarnation >= t->next_incarnation || r->pid < 0 ||
            (i >= t->high_water && r->state != SLOT_FREE))
            sane = false;
    }
    if (!sane)
        error_set(err, "slot table: its rows make no sense");
    return sane;
}

struct slot_table *
slots_adopt(int fd, int *ro_fd, struct error *err)
{
    struct stat st;
    struct slot_table *t;

    if (!slots_check_file(fd, &st, err))
        return NULL;
    if ((st.st_mode & 0777) != 0600 || st.st_uid != geteuid()) {
        error_set(err, "slot table: mode %o of user %u", (unsigned)st.st_mode & 0777, st.st_uid);
        return NULL;
    }
    t = slots_mmap(fd, PROT_READ | PROT_WRITE, err);
    if (t == NULL)
        return NULL;
    if (slots_check(t, err)) {
        *ro_fd = slots_open_again(fd, O_RDONLY, err);
        if (*ro_fd >= 0)
            return t;
    }
    munmap(t, sizeof(*t));
    return NULL;
}

const struct slot_table *
slots_map(int ro_fd, struct error *err)
{
    struct stat st;
    struct slot_table *t;

    if (!slots_check_file(ro_fd, &st, err))
        return NULL;
    t = slots_mmap(ro_fd, PROT_READ, err);
    if (t == NULL)
        return NULL;
    if (memcmp(t->magic, slots_magic, sizeof(t->magic)) == 0 && t->layout == SLOTS_LAYOUT)
        return t;
    error_set(err, "slot table: wrong magic or layout");
    munmap(t, sizeof(*t));
    return NULL;
}

int
slots_take(struct slot_table *t, uint64_t generation, uint32_t kind, uint32_t index)
{
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        struct slot_row *r = &t->row[i];

        if (r->state != SLOT_FREE)
            continue;
        r->pid = 0;
        r->start_time = 0;
        r->generation = generation;
        r->kind = kind;
        r->index = index;
        __atomic_store_n(&r->incarnation, t->next_incarnation++, __ATOMIC_RELAXED);
        __atomic_store_n(&r->state, SLOT_LIVE, __ATOMIC_RELEASE);
        if (i >= t->high_water)
            __atomic_store_n(&t->high_water, i + 1, __ATOMIC_RELEASE);
        return (int)i;
    }
    return -1;
}

void
slots_started(struct slot_table *t, uint32_t slot, pid_t pid)
{
    ASSERT(slot < SLOTS_MAX);
    t->row[slot].start_time = proc_start_time(pid);
    __atomic_store_n(&t->row[slot].pid, pid, __ATOMIC_RELEASE);
}

void
slots_set(struct slot_table *t, uint32_t slot, enum slot_state state)
{
    ASSERT(slot < SLOTS_MAX);
    __atomic_store_n(&t->row[slot].state, state, __ATOMIC_RELEASE);
}

unsigned
slots_free_count(const struct slot_table *t)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        n += t->row[i].state == SLOT_FREE;
    return n;
}

bool
slots_lock(int fd, pid_t *holder)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    if (fcntl(fd, F_SETLK, &lock) == 0)
        return true;
    *holder = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    return false;
}

bool
slot_ref_alive(const struct slot_table *t, uint64_t ref)
{
    uint32_t slot = (uint32_t)(ref >> 48), state;
    uint64_t incarnation = ref & INCARNATION_MAX;

    if (slot >= SLOTS_MAX || incarnation == 0)
        return false;
    state = __atomic_load_n(&t->row[slot].state, __ATOMIC_ACQUIRE);
    return (state == SLOT_LIVE || state == SLOT_DRAINING) &&
           __atomic_load_n(&t->row[slot].incarnation, __ATOMIC_RELAXED) == incarnation;
}
