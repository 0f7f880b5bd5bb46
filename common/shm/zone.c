/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone.c - named shared memory: create, adopt, grow, lock, repair, reap.
 *
 * The file of a zone is a memfd that can grow but not shrink, so what this process has once seen of it stays there
 * (struct zone.seen). Sizes and offsets that lie in the zone itself are checked against that.
 */
#include "common/shm/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/crc32c.h"
#include "common/log/log.h"
#include "common/shm/slab.h"
#include "common/shm/zone_layout.h"
#include "common/sys/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

enum { RESERVE_FACTOR = 16, RESERVE_MIN = 256 << 20, SPANS_SPARE = 64 };

static const char zone_magic[8] = "weirzone";
static struct zone *zones, **zones_end = &zones;

/* The compiler keeps its hands off; a death orders the rest (lock.c). */
#define COMPILER_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)

static uint64_t
page_round(uint64_t bytes)
{
    return (bytes + ZONE_PAGE - 1) & ~(uint64_t)(ZONE_PAGE - 1);
}

/* Bytes to map for a payload of `size` when address space is plenty. */
static uint64_t
reserve_for(uint64_t size)
{
    uint64_t r = size * RESERVE_FACTOR;

    return ZONE_DATA_AT + (r < RESERVE_MIN ? RESERVE_MIN : r);
}

static uint64_t
reserve_here(uint64_t size)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_AS, &rl) == 0 && rl.rlim_cur != RLIM_INFINITY)
        return ZONE_DATA_AT + size;
    return reserve_for(size);
}

/* ---- making and mapping -------------------------------------------------------------------------------------- */

static int
zone_memfd(uint64_t bytes)
{
    int fd = memfd_create("weir-zone", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    int saved;

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("weir-zone", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)bytes) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
        return fd;
    saved = errno;
    fd_close(&fd);
    errno = saved;
    return -1;
}

uint64_t
zone_look(struct zone *z)
{
    struct stat st;

    if (fstat(z->fd, &st) == 0 && st.st_size > 0) {
        uint64_t now = (uint64_t)st.st_size & ~(uint64_t)(ZONE_PAGE - 1);

        if (now > z->reserve)
            now = z->reserve;
        if (now > z->seen)
            z->seen = now;
    }
    return z->seen;
}

/* Takes fd when it succeeds. */
static struct zone *
zone_map(int fd, const struct zone_fixed *f, const struct zone_ops *ops, struct error *err)
{
    struct zone *z = calloc(1, sizeof(*z));
    void *p;

    if (z == NULL) {
        error_sys(err, "zone \"%s\"", f->name);
        return NULL;
    }
    z->max_spans = (uint32_t)(f->reserve / (SLAB_SEGMENT_PAGES * ZONE_PAGE) + SPANS_SPARE);
    z->spans = calloc(z->max_spans, sizeof(*z->spans));
    if (z->spans == NULL) {
        error_sys(err, "zone \"%s\"", f->name);
        goto fail;
    }
    p = mmap(NULL, f->reserve, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (p == MAP_FAILED) {
        error_sys(err, "zone \"%s\": mmap(%" PRIu64 " bytes) failed", f->name, f->reserve);
        goto fail;
    }
    z->h = p;
    z->fd = fd;
    z->reserve = f->reserve;
    z->layout = f->owner_layout;
    z->ops = ops;
    memcpy(z->name, f->name, sizeof(z->name));
    zone_look(z);
    return z;

fail:
    free(z->spans);
    free(z);
    return NULL;
}

void
zone_drop(struct zone *z)
{
    if (z == NULL)
        return;
    ASSERT(!z->locked);
    for (struct zone **at = &zones; *at != NULL; at = &(*at)->next) {
        if (*at != z)
            continue;
        if (zones_end == &z->next)
            zones_end = at;
        *at = z->next;
        break;
    }
    munmap(z->h, z->reserve);
    fd_close(&z->fd);
    free(z->spans);
    free(z);
}

/* Somebody may hold the lock at this moment, whose release will not reach our copy. Should he be in the middle of something, it is dirty. */
bool
zone_detach(struct zone *z)
{
    ASSERT(!z->locked);
    if (mmap(z->h, z->reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
             z->fd, 0) == MAP_FAILED)
        return false;
    __atomic_store_n(&z->h->lock.word, 0, __ATOMIC_RELAXED);
    return true;
}

static void
zone_list(struct zone *z)
{
    *zones_end = z;
    zones_end = &z->next;
}

/* Runs the owner's init on zeroed memory, as if under the lock. */
static void
zone_begin(struct zone *z, uint64_t size)
{
    z->locked = z->dirty = true;
    slab_extend(z, size);
    if (z->ops->init != NULL)
        z->ops->init(z);
    z->h->size = size;
    z->locked = z->dirty = false;
}

struct zone *
zone_create(struct str name, uint64_t size, const struct zone_ops *ops, struct error *err)
{
    struct zone_fixed f = { .format = ZONE_FORMAT,
                            .lock_layout = ZONE_LOCK_LAYOUT,
                            .slab_layout = ZONE_SLAB_LAYOUT,
                            .owner_layout = ops->layout };
    struct zone *z;
    int fd;

    if (size > ZONE_SIZE_MAX || size < 2 * ZONE_PAGE || size < ops->size_min) {
        error_set(err, "zone \"%.*s\": size %" PRIu64 " is too %s", STR(name), size,
                  size > ZONE_SIZE_MAX ? "large" : "small");
        return NULL;
    }
    memcpy(f.magic, zone_magic, sizeof(f.magic));
    if (!str_to_c(name, f.name, sizeof(f.name)) ||
        !str_to_c(str_c(ops->kind), f.kind, sizeof(f.kind))) {
        error_set(err, "zone \"%.*s\": the name is too long", STR(name));
        return NULL;
    }
    size = page_round(size);
    f.reserve = reserve_here(size);
    f.crc = crc32c(0, &f, offsetof(struct zone_fixed, crc));
    fd = zone_memfd(ZONE_DATA_AT + size);
    if (fd < 0) {
        error_sys(err, "zone \"%s\": %" PRIu64 " bytes", f.name, size);
        return NULL;
    }
    z = zone_map(fd, &f, ops, err);
    if (z == NULL) {
        fd_close(&fd);
        return NULL;
    }
    z->h->fixed = f;
    z->limit = size;
    zone_begin(z, size);
    zone_list(z);
    return z;
}

/* ---- taking over --------------------------------------------------------------------------------------------- */

static bool
ends_in_nul(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

bool
zone_check_fixed(const struct zone_fixed *f, uint64_t file_size, struct error *err)
{
    if (memcmp(f->magic, zone_magic, sizeof(f->magic)) != 0)
        error_set(err, "no zone: wrong magic");
    else if (f->crc != crc32c(0, f, offsetof(struct zone_fixed, crc)))
        error_set(err, "no zone: wrong checksum");
    else if (f->format != ZONE_FORMAT)
        error_set(err, "zone header of format %u", f->format);
    else if (!ends_in_nul(f->name, sizeof(f->name)) || !ends_in_nul(f->kind, sizeof(f->kind)))
        error_set(err, "zone with a broken name");
    else if (file_size % ZONE_PAGE != 0 || file_size < ZONE_DATA_AT + 2 * ZONE_PAGE ||
             file_size - ZONE_DATA_AT > ZONE_SIZE_MAX)
        error_set(err, "zone \"%s\": the file has %" PRIu64 " bytes", f->name, file_size);
    else if (f->reserve % ZONE_PAGE != 0 || f->reserve < file_size ||
             f->reserve > reserve_for(file_size - ZONE_DATA_AT))
        error_set(err, "zone \"%s\": reserve of %" PRIu64 " bytes", f->name, f->reserve);
    else
        return true;
    return false;
}

/* The file is what we would have made: a memfd that cannot shrink under us (that would be SIGBUS), ours alone. */
static bool
zone_read_fixed(int fd, struct zone_fixed *f, uint64_t *file_size, struct error *err)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);

    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || (seals & F_SEAL_WRITE) != 0) {
        error_set(err, "no zone: wrong seals");
        return false;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 0077) != 0) {
        error_set(err, "no zone: wrong kind or mode of file");
        return false;
    }
    *file_size = (uint64_t)st.st_size;
    if (pread(fd, f, sizeof(*f), 0) != (ssize_t)sizeof(*f)) {
        error_set(err, "no zone: shorter than a header");
        return false;
    }
    return zone_check_fixed(f, *file_size, err);
}

bool
zone_peek(int fd, char name[64], uint64_t *size, struct error *err)
{
    struct zone_fixed f;
    uint64_t file_size;

    if (!zone_read_fixed(fd, &f, &file_size, err))
        return false;
    memcpy(name, f.name, sizeof(f.name));
    *size = file_size - ZONE_DATA_AT;
    return true;
}

/* The fixed part when it is a zone of this name and kind that this program's lock and slab can work on. */
static bool
zone_read_matching(int fd, struct str name, const struct zone_ops *ops, struct zone_fixed *f,
                   struct error *err)
{
    uint64_t file_size;

    if (!zone_read_fixed(fd, f, &file_size, err))
        return false;
    if (!str_eq(str_c(f->name), name))
        error_set(err, "zone \"%.*s\": the header says \"%s\"", STR(name), f->name);
    else if (strcmp(f->kind, ops->kind) != 0)
        error_set(err, "zone \"%s\": is of kind %s, not %s", f->name, f->kind, ops->kind);
    else if (f->lock_layout != ZONE_LOCK_LAYOUT || f->slab_layout != ZONE_SLAB_LAYOUT)
        error_set(err, "zone \"%s\": layout of lock and slab %u.%u -> %u.%u", f->name,
                  f->lock_layout, f->slab_layout, ZONE_LOCK_LAYOUT, ZONE_SLAB_LAYOUT);
    else
        return true;
    return false;
}

struct zone *
zone_adopt(int fd, struct str name, uint64_t size, const struct zone_ops *ops, struct error *err)
{
    struct zone_fixed f;
    struct zone *z;

    if (!zone_read_matching(fd, name, ops, &f, err))
        return NULL;
    if (f.owner_layout != ops->layout) {
        error_set(err, "zone \"%s\": layout %u -> %u", f.name, f.owner_layout, ops->layout);
        return NULL;
    }
    if (size > ZONE_SIZE_MAX || page_round(size) > f.reserve - ZONE_DATA_AT) {
        error_set(err, "zone \"%s\": size %" PRIu64 " is beyond the reserve of %" PRIu64, f.name,
                  size, f.reserve - ZONE_DATA_AT);
        return NULL;
    }
    z = zone_map(fd, &f, ops, err);
    if (z == NULL)
        return NULL;
    if (!zone_extend(z, size, err)) {
        z->fd = -1; /* the caller's again */
        zone_drop(z);
        return NULL;
    }
    zone_list(z);
    return z;
}

struct zone *
zone_map_old(int fd, struct str name, const struct zone_ops *ops, struct error *err)
{
    struct zone_fixed f;
    struct zone *z;

    if (!zone_read_matching(fd, name, ops, &f, err))
        return NULL;
    z = zone_map(fd, &f, ops, err);
    if (z != NULL)
        z->foreign = true;
    return z;
}

bool
zone_extend(struct zone *z, uint64_t size, struct error *err)
{
    uint64_t bytes = ZONE_DATA_AT + page_round(size);

    if (size > ZONE_SIZE_MAX || bytes > z->reserve) {
        error_set(err, "zone \"%s\": size %" PRIu64 " is beyond the reserve", z->name, size);
        return false;
    }
    if (bytes > zone_look(z) && ftruncate(z->fd, (off_t)bytes) != 0) {
        error_sys(err, "zone \"%s\": %" PRIu64 " bytes", z->name, size);
        return false;
    }
    zone_look(z);
    z->limit = page_round(size);
    return true;
}

static void
zone_append(struct zone *z)
{
    struct zone_header *h = z->h;
    uint64_t old_size = zone_size(z), size = zone_look(z) - ZONE_DATA_AT;

    if (size <= old_size)
        return;
    zone_dirty(z);
    slab_extend(z, size);
    crash_point("zone_grow");
    if (z->ops->grow != NULL)
        z->ops->grow(z, old_size);
    COMPILER_BARRIER();
    __atomic_store_n(&h->size, size, __ATOMIC_RELEASE);
    zone_clean(z);
}

/* Whoever raises the flag copies; the lock is not held meanwhile, since `old` has one as well. */
static void
zone_copy_once(struct zone *z, struct zone *old)
{
    bool mine, torn;
    uint64_t n;

    zone_lock(z);
    mine = z->h->copied == 0;
    z->h->copied = 1;
    zone_unlock(z);
    if (!mine)
        return;
    zone_lock(old);
    torn = old->h->dirty != 0;
    zone_unlock(old);
    n = z->ops->copy != NULL && !torn ? z->ops->copy(z, old) : 0;
    log_notice(0, "zone \"%s\": started anew (layout %u -> %u), %" PRIu64 " entries copied",
               z->name, old->layout, z->layout, n);
}

void
zone_worker_start(struct zone *z, struct zone *old)
{
    zone_lock(z);
    zone_append(z);
    zone_unlock(z);
    if (old == NULL)
        old = z->old;
    if (old != NULL)
        zone_copy_once(z, old);
}

void
zone_set_old(struct zone *z, struct zone *old)
{
    z->old = old;
}

/* ---- what it is ---------------------------------------------------------------------------------------------- */

int
zone_fd(const struct zone *z)
{
    return z->fd;
}

struct str
zone_name(const struct zone *z)
{
    return str_c(z->name);
}

uint64_t
zone_size(const struct zone *z)
{
    uint64_t size = __atomic_load_n(&z->h->size, __ATOMIC_ACQUIRE);

    return size > z->reserve - ZONE_DATA_AT ? z->seen - ZONE_DATA_AT : size;
}

uint64_t
zone_limit(const struct zone *z)
{
    return z->limit;
}

uint64_t
zone_repairs(const struct zone *z)
{
    return __atomic_load_n(&z->h->repairs, __ATOMIC_RELAXED);
}

uint32_t
zone_layout(const struct zone *z)
{
    return z->layout;
}

const struct zone_ops *
zone_ops(const struct zone *z)
{
    return z->ops;
}

void *
zone_root(struct zone *z, uint64_t size)
{
    ASSERT(size <= ZONE_ROOT_MAX);
    return (char *)z->h + ZONE_ROOT_AT;
}

void
zone_set_owner(struct zone *z, void *owner)
{
    z->owner = owner;
}

void *
zone_owner(const struct zone *z)
{
    return z->owner;
}

struct zone *
zone_next(struct zone *z)
{
    return z == NULL ? zones : z->next;
}

struct zone *
zone_of_lock(const struct shm_lock *l)
{
    for (struct zone *z = zones; z != NULL; z = z->next)
        if (&z->h->lock == l)
            return z;
    return NULL;
}

void *
off_get(struct zone *z, off o, uint64_t size)
{
    if (o < ZONE_ROOT_AT || o % 8 != 0 || o > z->reserve || size > z->reserve - o)
        return NULL;
    if (UNLIKELY(o + size > z->seen) && o + size > zone_look(z))
        return NULL;
    return (char *)z->h + o;
}

off
off_of(struct zone *z, const void *p)
{
    return p == NULL ? 0 : (off)((const char *)p - (const char *)z->h);
}

/* ---- the lock ------------------------------------------------------------------------------------------------ */

static void
zone_recover(struct zone *z)
{
    z->dirty = true;
    z->h->repairs++; /* before: one that dies is counted too */
    crash_point("zone_repair");
    slab_recover(z);
    if (z->ops->repair != NULL)
        z->ops->repair(z);
    else
        zone_reset(z, "a process died while it changed it");
    zone_clean(z);
    log_warn(0, "zone \"%s\": repaired after the death of a process", z->name);
}

void
zone_lock(struct zone *z)
{
    /* Dirty says all: it may also be the leftover of a holder whose death was reported to one that died in turn. */
    (void)lock_take(&z->h->lock);
    z->locked = true;
    if (UNLIKELY(z->h->dirty != 0) && !z->foreign)
        zone_recover(z);
}

void
zone_unlock(struct zone *z)
{
    ASSERT(z->locked && !z->dirty);
    z->locked = false;
    lock_release(&z->h->lock);
}

void
zone_dirty(struct zone *z)
{
    ASSERT(z->locked && !z->foreign);
    z->dirty = true;
    __atomic_store_n(&z->h->dirty, 1, __ATOMIC_RELAXED);
    COMPILER_BARRIER();
    crash_point("zone_dirty");
}

void
zone_clean(struct zone *z)
{
    ASSERT(z->locked);
    crash_point("zone_clean");
    COMPILER_BARRIER();
    __atomic_store_n(&z->h->dirty, 0, __ATOMIC_RELAXED);
    z->dirty = false;
    crash_point("zone_cleaned");
}

void
zone_reap(struct zone *z, uint32_t slot, uint64_t incarnation)
{
    if (slot >= SLOTS_MAX)
        return;
    zone_lock(z);
    /* Incarnations of a slot only rise: a late reaper of an earlier one has nothing to do either. */
    if (z->h->reaped[slot] < incarnation) {
        if (z->ops->reap != NULL)
            z->ops->reap(z, slot, incarnation);
        crash_point("zone_reap");
        COMPILER_BARRIER();
        z->h->reaped[slot] = incarnation;
    }
    zone_unlock(z);
}

void
zone_reset(struct zone *z, const char *why)
{
    bool was_dirty = z->dirty;

    zone_dirty(z);
    z->h->resets++;
    slab_reset(z);
    memset((char *)z->h + ZONE_ROOT_AT, 0, ZONE_PAGE);
    if (z->ops->init != NULL)
        z->ops->init(z);
    if (!was_dirty)
        zone_clean(z);
    log_error(0, "zone \"%s\": started anew: %s", z->name, why);
}

#ifdef WEIR_CRASH_POINTS
/* Orders in a file, a word each: of all processes the one that takes the first one away dies. */
static bool
crash_is_ordered(const char *path, const char *name)
{
    char text[128];
    int err = errno, fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    struct str rest = str_n(text, n > 0 ? (size_t)n : 0), word;
    bool ordered = str_split(&rest, ' ', &word) && str_eq(word, str_c(name)) && unlink(path) == 0;

    fd_close(&fd);
    if (ordered && rest.len > 0) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        (void)!write(fd, rest.ptr, rest.len);
        fd_close(&fd);
    }
    errno = err;
    return ordered;
}

void
crash_point(const char *name)
{
    static unsigned hits;
    static pid_t counted; /* a child counts from the start */
    const char *at = getenv("WEIR_CRASH_AT");
    size_t len = strlen(name);

    if (at != NULL && at[0] == '/' && crash_is_ordered(at, name))
        raise(SIGKILL);
    if (at == NULL || strncmp(at, name, len) != 0 || (at[len] != '\0' && at[len] != ':'))
        return;
    if (counted != getpid())
        hits = 0;
    counted = getpid();
    if (++hits >= (at[len] == ':' ? (unsigned)atoi(at + len + 1) : 1))
        raise(SIGKILL);
}
#endif
