/* SPDX-License-Identifier: BSD-2-Clause */
/* spool.c - whatever the order of writes, reads and failures of the disk, cursors see the right bytes or a failure. */
#include "worker/http/spool.h"

#include <signal.h>
#include <sys/resource.h>

#include "test.h"

#include "t/unit/worker/http/body_fixture.h"

enum { CURSORS = 4 };

/* One round: a spool, its writer, its readers. */
struct world {
    struct request *r;
    struct spool *s;
    enum spool_mode mode;
    uint64_t total, written;
    char *lent;
    bool refused; /* the writer waits for on_space */
    bool freed;   /* spool_free was called */
    struct taker takers[CURSORS];
    bool open[CURSORS];
    unsigned opened;
};

static char temp_dir[64];
static struct temp_path temp;

/* What may be wrong with the disk. */
enum disk { DISK_GOOD, DISK_NONE, DISK_VANISHED, DISK_LIMITED, DISKS };

static void
on_space(void *data)
{
    ((struct world *)data)->refused = false;
}

static void
dir_make(void)
{
    snprintf(temp_dir, sizeof(temp_dir), "%s/weir-spool-XXXXXX", P_tmpdir);
    if (mkdtemp(temp_dir) == NULL)
        exit(1);
    temp = (struct temp_path){ .path = str_c(temp_dir) };
}

static void
limit_files(rlim_t bytes)
{
    struct rlimit l;

    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &l);
}

static void
write_some(struct world *w)
{
    size_t left = (size_t)(w->total - w->written), n;
    struct iovec iov[2];
    char *bytes;

    if (left == 0 || w->refused)
        return;
    if (one_in(8)) {
        n = (size_t)num_min(left, 1 + choice(10000));
        bytes = bytes_new(w->written, n);
        (void)spool_append(w->s, str_n(bytes, n));
        free(bytes);
        w->written += n;
        return;
    }
    if (spool_room(w->s, iov, one_in(2) ? 2 : 1, one_in(2) ? left : 0) == 0) {
        w->refused = true;
        return;
    }
    n = one_in(10) ? 0 : (size_t)num_min(left, 1 + choice(iov[0].iov_len));
    for (size_t i = 0; i < n; i++)
        ((char *)iov[0].iov_base)[i] = byte_at(w->written + i);
    spool_commit(w->s, n);
    w->written += n;
}

static void
open_cursor(struct world *w)
{
    unsigned max = w->mode == SPOOL_CONSUME ? 1 : CURSORS;
    struct taker *t = &w->takers[w->opened];
    uint64_t from = w->mode == SPOOL_KEEP && one_in(3) ? choice(spool_size(w->s) + 1) : 0;

    if (w->opened == max || w->freed)
        return;
    t->s = spool_open(w->s, &w->r->x, from);
    if (t->s == NULL)
        return; /* it keeps no more: bytes are gone */
    t->s = source_checked(t->s);
    t->from = from;
    t->kinds = PIECE_FILE;
    t->last = PULL_MORE;
    w->open[w->opened++] = true;
}

static void
read_some(struct world *w)
{
    unsigned i = (unsigned)choice(CURSORS);

    if (!w->open[i] || taker_is_over(&w->takers[i]))
        return;
    taker_pull(&w->takers[i]);
}

static bool
all_over(const struct world *w)
{
    for (unsigned i = 0; i < w->opened; i++)
        if (w->open[i] && !taker_is_over(&w->takers[i]))
            return false;
    return true;
}

static void
close_cursor(struct world *w, unsigned i, enum stop why)
{
    if (!w->open[i])
        return;
    w->open[i] = false;
    CHECK(!w->takers[i].wrong, "bytes of cursor %u", i);
    taker_stop(&w->takers[i], why);
}

/* What each reader must have seen at the end. */
static void
check_end(struct world *w, enum spool_end sealed)
{
    for (unsigned i = 0; i < w->opened; i++) {
        const struct taker *t = &w->takers[i];

        if (!w->open[i])
            continue;
        CHECK(taker_is_over(t), "cursor %u is at its end", i);
        if (t->last == PULL_END)
            CHECK_EQ(t->from + t->at, w->total, "all bytes came");
        if (sealed == SPOOL_COMPLETE)
            CHECK_EQ(t->last, PULL_END, "a good end of cursor %u", i);
        else
            CHECK_EQ(t->last, PULL_FAILED, "a failure of cursor %u", i);
    }
}

static void
one_round(unsigned seed, enum disk disk)
{
    static const uint64_t mem_sizes[] = { 1, 4096, 16384, 65536, 200000 };
    static const uint64_t file_sizes[] = { 0, 30000, 1 << 20, UINT64_MAX };
    struct temp_path none = { .path = S("/nonexistent/weir") };
    struct world w = { .mode = seed % 2 == 0 ? SPOOL_CONSUME : SPOOL_KEEP };
    uint64_t mem_max, file_max;
    bool fails;
    enum spool_end sealed;

    choices_begin(seed);
    mem_max = mem_sizes[choice(5)];
    file_max = disk == DISK_NONE ? 0 : file_sizes[choice(4)];
    w.total = choice(one_in(3) ? 5000 : 400000);
    fails = one_in(6);
    w.r = sim_request(NULL);
    w.s = spool_new(w.r->x.mem, w.mode, mem_max, file_max, disk == DISK_VANISHED ? &none : &temp);
    spool_on_space(w.s, on_space, &w);
    if (disk == DISK_LIMITED)
        limit_files(50000);
    if (one_in(3)) {
        size_t n = (size_t)num_min(w.total, choice(3000));

        w.lent = bytes_new(0, n);
        spool_lend(w.s, str_n(w.lent, n));
        w.written = n;
    }
    if (w.mode == SPOOL_CONSUME || one_in(2))
        open_cursor(&w);

    for (unsigned steps = 0; w.written < w.total && steps < 200000; steps++) {
        if (fails && one_in(200))
            break;
        if (one_in(50))
            open_cursor(&w);
        if (one_in(500) && w.opened > 1)
            close_cursor(&w, (unsigned)choice(w.opened), STOP_CLIENT_GONE);
        if (one_in(1 + seed % 7))
            read_some(&w);
        write_some(&w);
        if (one_in(3) || w.refused)
            loop_turn(0);
    }
    CHECK(fails || w.written == w.total, "seed %u: the writer got through: %llu of %llu", seed,
          (unsigned long long)w.written, (unsigned long long)w.total);
    CHECK(spool_size(w.s) == w.written || spool_ended(w.s) == SPOOL_FAILED, "seed %u: size", seed);
    spool_seal(w.s, w.written < w.total ? SPOOL_FAILED : SPOOL_COMPLETE);
    sealed = spool_ended(w.s);
    if (disk == DISK_GOOD && w.written == w.total && file_max == UINT64_MAX)
        CHECK_EQ(sealed, SPOOL_COMPLETE, "seed %u: a good disk", seed);
    if (w.mode == SPOOL_CONSUME && w.written == w.total)
        CHECK_EQ(sealed, SPOOL_COMPLETE, "seed %u: a response is never given up for the disk",
                 seed);
    open_cursor(&w);
    if (one_in(2)) {
        spool_free(w.s);
        w.freed = true;
    }
    for (unsigned steps = 0; !all_over(&w) && steps < 1000000; steps++) {
        read_some(&w);
        if (one_in(10))
            loop_turn(0);
    }
    check_end(&w, sealed);
    for (unsigned i = 0; i < CURSORS; i++)
        close_cursor(&w, i, STOP_DONE);
    if (!w.freed)
        spool_free(w.s);
    sim_end(w.r);
    free(w.lent);
    limit_files(RLIM_INFINITY);
    if (test_failures != 0)
        printf("# seed %u, disk %d, mode %d\n", seed, (int)disk, (int)w.mode);
}

static void
many_rounds(enum disk disk, unsigned rounds)
{
    body_loop();
    dir_make();
    for (unsigned seed = 0; seed < rounds && test_failures == 0; seed++)
        one_round(seed, disk);
    CHECK_EQ(rmdir(temp_dir), 0, "nothing is left in the directory");
}

TEST(a_good_disk)
{
    many_rounds(DISK_GOOD, 400);
}

TEST(without_a_file)
{
    many_rounds(DISK_NONE, 200);
}

TEST(a_directory_that_is_not_there)
{
    many_rounds(DISK_VANISHED, 200);
}

TEST(a_disk_that_fills_up)
{
    signal(SIGXFSZ, SIG_IGN);
    many_rounds(DISK_LIMITED, 300);
}

/* ---- single sentences ---- */

static void
put(struct spool *s, uint64_t from, size_t n)
{
    char *bytes = bytes_new(from, n);

    while (n > 0) {
        struct iovec iov;
        size_t part;

        if (spool_room(s, &iov, 1, 0) == 0)
            break;
        part = num_min(n, iov.iov_len);
        memcpy(iov.iov_base, bytes + (spool_size(s) - from), part);
        spool_commit(s, part);
        n -= part;
    }
    free(bytes);
}

static struct request *
begin(void)
{
    body_loop();
    dir_make();
    return sim_request(NULL);
}

static void
end(struct request *r, struct spool *s)
{
    spool_free(s);
    sim_end(r);
    CHECK_EQ(rmdir(temp_dir), 0, "nothing is left in the directory");
}

TEST(a_consumer_that_is_next_on_the_list_is_not_slow)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_CONSUME, 8192, UINT64_MAX, &temp);
    struct world w = { .s = s };
    struct taker t = { .s = spool_open(s, &r->x, 0) };
    struct iovec iov;

    spool_on_space(s, on_space, &w);
    for (int i = 0; i < 50; i++) {
        put(s, spool_size(s), 100000);
        CHECK_EQ(spool_room(s, &iov, 1, 0), 0, "full");
        w.refused = true;
        while (taker_pull(&t) == PULL_MORE)
            continue;
        settle();
        CHECK(!w.refused, "room came back");
    }
    CHECK_EQ(spool_fd(s), -1, "no file was needed");
    put(s, spool_size(s), 100000);
    CHECK_EQ(spool_room(s, &iov, 1, 0), 0, "full");
    settle();
    CHECK_EQ(spool_room(s, &iov, 1, 0), 1, "nobody pulled meanwhile");
    CHECK(spool_fd(s) >= 0, "so the file is used");
    CHECK(!t.wrong, "its bytes");
    taker_stop(&t, STOP_DONE);
    end(r, s);
}

TEST(memory_is_bounded)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_CONSUME, 20000, 0, NULL);
    struct source *c = spool_open(s, &r->x, 0);
    struct iovec iov;

    for (int i = 0; i < 10; i++) {
        put(s, spool_size(s), 1000000);
        settle();
    }
    CHECK(spool_size(s) >= 20000 - 4096 && spool_size(s) <= 20000 + 4096, "%llu",
          (unsigned long long)spool_size(s));
    CHECK_EQ(spool_room(s, &iov, 1, 0), 0);
    source_stop(c, STOP_CLIENT_GONE);
    settle();
    for (int i = 0; i < 100; i++)
        put(s, spool_size(s), 10000);
    CHECK(spool_size(s) >= 1000000, "what nobody wants any more is dropped, the writer goes on");
    end(r, s);
}

TEST(a_body_that_cannot_be_kept_fails)
{
    struct temp_path none = { .path = S("/nonexistent/weir") };
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 8192, UINT64_MAX, &none);
    struct source *c;
    struct batch b;

    put(s, 0, 100000);
    CHECK_EQ(spool_ended(s), SPOOL_FAILED, "and the writer was not held up");
    CHECK(!spool_append(s, S("x")), "it hears of it");
    spool_seal(s, SPOOL_COMPLETE);
    CHECK_EQ(spool_ended(s), SPOOL_FAILED);
    CHECK(spool_in_memory(s).ptr == NULL);
    c = spool_open(s, &r->x, 0);
    do
        batch_init(&b, 65536, PIECE_MEM);
    while (source_pull(c, &b) == PULL_MORE);
    batch_init(&b, 65536, PIECE_MEM);
    CHECK_EQ(source_pull(c, &b), PULL_FAILED);
    source_stop(c, STOP_FAILED);
    end(r, s);
}

TEST(content_in_memory)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 65536, UINT64_MAX, &temp);
    char *lent = bytes_new(0, 100);
    struct str all;

    spool_lend(s, str_n(lent, 100));
    CHECK(spool_in_memory(s).ptr == NULL, "not before it is complete");
    put(s, 100, 30000);
    spool_seal(s, SPOOL_COMPLETE);
    all = spool_in_memory(s);
    CHECK_EQ(all.len, 30100);
    CHECK(bytes_right(all.ptr, 0, all.len));
    CHECK(spool_in_memory(s).ptr == all.ptr, "copied together once");
    end(r, s);
    free(lent);
}

TEST(content_in_a_file)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 4096, UINT64_MAX, &temp);

    put(s, 0, 30000);
    spool_seal(s, SPOOL_COMPLETE);
    CHECK(spool_in_memory(s).ptr == NULL);
    CHECK(spool_fd(s) >= 0);
    CHECK_EQ(spool_file_path(s).len, 0, "it has no name");
    end(r, s);
}

TEST(an_empty_one)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 4096, UINT64_MAX, &temp);
    struct taker t = { .s = spool_open(s, &r->x, 0) };

    CHECK(spool_is_empty(s) == false || spool_size(s) == 0);
    CHECK_EQ(taker_pull(&t), PULL_WAIT);
    spool_seal(s, SPOOL_COMPLETE);
    CHECK_EQ(taker_pull(&t), PULL_END);
    CHECK_STR(spool_in_memory(s), "");
    taker_stop(&t, STOP_DONE);
    end(r, s);
}

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

TEST(in_file_only)
{
    for (int keep = 0; keep < 2; keep++) {
        struct request *r = begin();
        struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 65536, UINT64_MAX, &temp);
        char path[256];

        spool_in_file_only(s, keep != 0);
        put(s, 0, 1000);
        spool_seal(s, SPOOL_COMPLETE);
        CHECK(str_to_c(spool_file_path(s), path, sizeof(path)));
        CHECK(exists(path), "a file with a name");
        spool_free(s);
        sim_end(r);
        CHECK_EQ(exists(path), keep != 0, "that stays if it is to be kept");
        unlink(path);
        CHECK_EQ(rmdir(temp_dir), 0, "nothing else is left");
    }
}

TEST(levels_of_directories)
{
    struct request *r = begin();
    struct spool *s;
    char path[256];
    struct str name;
    size_t n;

    temp.levels[0] = 1;
    temp.levels[1] = 2;
    s = spool_new(r->x.mem, SPOOL_KEEP, 65536, UINT64_MAX, &temp);
    spool_in_file_only(s, true);
    put(s, 0, 1000);
    spool_seal(s, SPOOL_COMPLETE);
    str_to_c(spool_file_path(s), path, sizeof(path));
    n = strlen(temp_dir);
    name = str_c(path + n);
    REQUIRE(name.len == 1 + 1 + 1 + 2 + 1 + 10, "%s", path);
    CHECK(name.ptr[1] == name.ptr[15] && memcmp(name.ptr + 3, name.ptr + 13, 2) == 0,
          "digits from the end of the name: %s", path);
    spool_free(s);
    sim_end(r);
    unlink(path);
    path[n + 5] = '\0';
    rmdir(path);
    path[n + 2] = '\0';
    rmdir(path);
    CHECK_EQ(rmdir(temp_dir), 0);
}

TEST(a_kept_file_takes_its_place)
{
    for (int named = 0; named < 2; named++) {
        struct request *r = begin();
        struct spool *s = spool_new(r->x.mem, SPOOL_KEEP, 4096, UINT64_MAX, &temp);
        struct str path = arena_fmt(&r->x.mem->arena, "%s/kept", temp_dir);
        struct stat st;
        char other[8] = "other";
        int fd = open(path.ptr, O_WRONLY | O_CREAT, 0600);

        CHECK(fd >= 0 && write(fd, other, 5) == 5);
        close(fd);
        if (named)
            spool_in_file_only(s, true);
        put(s, 0, 20000);
        spool_seal(s, SPOOL_COMPLETE);
        CHECK(spool_keep_file(s, path, 0640, 1000000), "named %d", named);
        CHECK(stat(path.ptr, &st) == 0 && st.st_size == 20000, "its size");
        CHECK((st.st_mode & 0777) == 0640 && st.st_mtime == 1000000, "its mode and time");
        spool_free(s);
        CHECK(exists(path.ptr), "it stays");
        unlink(path.ptr);
        sim_end(r);
        CHECK_EQ(rmdir(temp_dir), 0, "nothing else is left");
    }
}

TEST(a_file_that_is_used_again_keeps_what_is_being_sent)
{
    struct request *r = begin();
    struct spool *s = spool_new(r->x.mem, SPOOL_CONSUME, 4096, UINT64_MAX, &temp);
    struct taker t = { .s = spool_open(s, &r->x, 0), .kinds = PIECE_FILE };
    struct stat st;

    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < 5; k++) {
            put(s, spool_size(s), 10000);
            settle();
        }
        while (taker_pull(&t) == PULL_MORE)
            continue;
    }
    CHECK(spool_fd(s) >= 0 && fstat(spool_fd(s), &st) == 0 && st.st_size < 200000,
          "it does not grow for ever");
    CHECK(!t.wrong, "its bytes");
    taker_stop(&t, STOP_DONE);
    end(r, s);
}
