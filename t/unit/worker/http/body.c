/* SPDX-License-Identifier: BSD-2-Clause */
/* body.c - bodies of memory and of files: all bytes in all shapes, with and without threads, also when files change. */
#include "worker/http/body.h"

#include "test.h"

#include "worker/http/open_file.h"

#include "t/unit/worker/http/body_fixture.h"

static char path[64];

static void
file_make(size_t size)
{
    char *bytes = bytes_new(0, size);
    int fd;

    snprintf(path, sizeof(path), "%s/weir-body-XXXXXX", P_tmpdir);
    fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        exit(1);
    close(fd);
    free(bytes);
}

static struct open_file *
file_open(uint64_t directio)
{
    struct open_file_options o = { .directio = directio };

    return open_file_get(str_c(path), &o, false);
}

/* Takes [at, at + len) of the file in random steps. */
static void
take(struct open_file *f, uint64_t at, uint64_t len)
{
    struct request *r = sim_request(NULL);
    struct taker t = { .kinds = PIECE_FILE, .from = at };

    r->x.scope = sim_scope();
    r->x.responding = true;
    t.s = body_file(&r->x, f, at, len);
    r->x.scope = NULL;
    CHECK(taker_take_all(&t));
    CHECK_EQ(t.last, PULL_END);
    CHECK_EQ(t.at, len);
    CHECK(!t.wrong, "bytes from %llu on", (unsigned long long)at);
    taker_stop(&t, STOP_DONE);
    sim_end(r);
}

static const struct {
    uint32_t aio;
    uint64_t directio;
    const char *what;
} ways[] = {
    { AIO_OFF, UINT64_MAX, "reads" },
    { AIO_THREADS, UINT64_MAX, "reads by threads" },
    { AIO_OFF, 0, "direct reads" },
    { AIO_ON, 0, "direct reads by threads" },
};

TEST(files)
{
    static const size_t sizes[] = { 1, 100, 4095, 4096, 4097, 65536, 300000, 2000000 };

    body_loop();
    EACH (ways, way) {
        EACH (sizes, size) {
            struct open_file *f;

            choices_begin(*size + way->aio);
            file_make(*size);
            sim_conf.aio = way->aio;
            f = file_open(way->directio);
            REQUIRE(f != NULL && f->error == 0);
            take(f, 0, *size);
            for (int i = 0; i < 10; i++) {
                uint64_t at = choice(*size);

                take(f, at, 1 + choice(*size - at));
            }
            open_file_put(f);
            unlink(path);
            if (test_failures != 0)
                printf("# %s, %zu bytes\n", way->what, *size);
        }
    }
}

/* Drops the file from the page cache as far as the system lets us. */
static void
file_forget(const struct open_file *f)
{
    fsync(f->fd);
    posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
}

TEST(files_that_are_not_in_memory)
{
    struct open_file *f;

    body_loop();
    choices_begin(7);
    file_make(2000000);
    sim_conf.aio = AIO_THREADS;
    f = file_open(UINT64_MAX);
    for (int i = 0; i < 10; i++) {
        file_forget(f);
        take(f, choice(1000), 1900000);
    }
    open_file_put(f);
    unlink(path);
}

/* The client goes while a thread reads: what the thread uses stays until it is done. */
TEST(stopped_while_a_thread_reads)
{
    body_loop();
    choices_begin(8);
    file_make(2000000);
    sim_conf.aio = AIO_THREADS;
    for (int i = 0; i < 20; i++) {
        struct open_file *f = file_open(UINT64_MAX);
        struct request *r = sim_request(NULL);
        struct taker t = { .kinds = PIECE_FILE };
        unsigned before = exchange_count();

        file_forget(f);
        r->x.scope = sim_scope();
        t.s = r->res.body = body_file(&r->x, f, 0, 2000000);
        open_file_put(f);
        for (uint64_t pulls = choice(10); pulls > 0 && taker_pull(&t) != PULL_WAIT; pulls--)
            continue;
        taker_look(&t);
        free(t.room);
        exchange_abort(&r->x, STOP_CLIENT_GONE);
        UNTIL(exchange_count() < before);
        CHECK_EQ(exchange_count(), before - 1, "it has ended");
    }
    unlink(path);
}

TEST(a_file_that_is_cut)
{
    body_loop();
    EACH (ways, way) {
        struct request *r = sim_request(NULL);
        struct taker t = { .kinds = 0 };
        struct open_file *f;

        file_make(300000);
        sim_conf.aio = way->aio;
        f = file_open(way->directio);
        r->x.scope = sim_scope();
        t.s = body_file(&r->x, f, 0, 300000);
        r->x.scope = NULL;
        CHECK_EQ(truncate(path, 100000), 0);
        CHECK(taker_take_all(&t));
        CHECK_EQ(t.last, PULL_FAILED, "%s", way->what);
        CHECK(!t.wrong && t.at <= 100000, "%s: no bytes that are not in it", way->what);
        taker_stop(&t, STOP_FAILED);
        open_file_put(f);
        sim_end(r);
        unlink(path);
    }
}

TEST(memory)
{
    struct request *r;
    struct taker t = { .kinds = PIECE_FILE };
    char *bytes = bytes_new(0, 1000);

    body_loop();
    r = sim_request(NULL);
    t.s = body_mem(&r->x, str_n(bytes, 1000));
    CHECK(taker_take_all(&t));
    CHECK(t.at == 1000 && !t.wrong && t.last == PULL_END);
    taker_stop(&t, STOP_DONE);
    t = (struct taker){ .s = body_mem(&r->x, S("")) };
    CHECK_EQ(taker_pull(&t), PULL_END, "an empty one ends at once");
    CHECK_EQ(t.at, 0);
    taker_stop(&t, STOP_DONE);
    sim_end(r);
    free(bytes);
}

/* Parts in any order, between pulls and after the end. */
TEST(parts)
{
    enum { SIZE = 100000 };
    struct request *r;
    struct open_file *f;
    char *bytes = bytes_new(0, SIZE);

    body_loop();
    choices_begin(9);
    file_make(SIZE);
    sim_conf.aio = AIO_OFF;
    f = file_open(UINT64_MAX);
    r = sim_request(NULL);
    r->x.scope = sim_scope();
    for (int kind = 0; kind < 2; kind++) {
        struct taker t = { .kinds = PIECE_FILE };

        t.s = kind == 0 ? body_mem(&r->x, str_n(bytes, SIZE)) : body_file(&r->x, f, 0, SIZE);
        for (int i = 0; i < 30; i++) {
            uint64_t at = choice(SIZE), len = 1 + choice(SIZE - at);

            taker_look(&t);
            CHECK(body_seek(t.s, at, len));
            t.b.n = 0;
            t.from = at;
            t.at = 0;
            CHECK(taker_take_all(&t));
            CHECK(t.at == len && !t.wrong && t.last == PULL_END, "part %d", i);
        }
        taker_stop(&t, STOP_DONE);
    }
    CHECK(!body_seek(pieces_new(&r->x, 0, 10, PULL_END), 0, 5), "other sources have none");
    r->x.scope = NULL;
    open_file_put(f);
    sim_end(r);
    unlink(path);
    free(bytes);
}

TEST(small_contents_in_memory)
{
    struct arena a;
    struct open_file_options o = {
        .valid_ms = 1000, .min_uses = 1, .want_body = true, .directio = UINT64_MAX
    };
    struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
    struct open_file *f;

    body_loop();
    arena_init(&a, 4096);
    choices_begin(10);
    file_make(1000);
    CHECK_EQ(utimensat(AT_FDCWD, path, old, 0), 0);
    o.cache = open_file_cache_new(&a, 10, 1000);
    f = open_file_get(str_c(path), &o, false);
    REQUIRE(f != NULL && f->body != NULL);
    take(f, 0, 1000);
    take(f, 10, 100);
    open_file_put(f);
    open_file_cache_clear(o.cache);
    arena_free(&a);
    unlink(path);
}
