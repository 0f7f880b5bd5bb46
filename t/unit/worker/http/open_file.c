/* SPDX-License-Identifier: BSD-2-Clause */
/* open_file.c - what the cache remembers and for how long; symbolic links that are not to be followed. */
#include "worker/http/open_file.h"

#include <errno.h>
#include <fcntl.h>

#include "test.h"

#include "common/base/num.h"
#include "common/sys/clock.h"

/* ---- a directory of files, and a clock of our own ---- */

static char dir[64];
static struct arena arena;
static struct open_file_options options;

static const char *
in_dir(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void
write_file(const char *name, const char *content)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, content, strlen(content)) < 0)
        exit(1);
    close(fd);
}

/* Sets its time of change, in seconds. */
static void
age_file(const char *name, time_t mtime)
{
    struct timespec t[2] = { { .tv_sec = mtime }, { .tv_sec = mtime } };

    CHECK_EQ(utimensat(AT_FDCWD, in_dir(name), t, 0), 0);
}

static void
begin(uint32_t max)
{
    snprintf(dir, sizeof(dir), "%s/weir-files-XXXXXX", P_tmpdir);
    if (mkdtemp(dir) == NULL)
        exit(1);
    arena_init(&arena, 4096);
    clock_ms = 1000000;
    clock_wall_ms = 1700000000000;
    options =
        (struct open_file_options){ .valid_ms = 60000, .min_uses = 1, .directio = UINT64_MAX };
    if (max > 0)
        options.cache = open_file_cache_new(&arena, max, 60000);
}

static void
end(void)
{
    char command[128];

    if (options.cache != NULL)
        open_file_cache_clear(options.cache);
    arena_free(&arena);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    CHECK_EQ(system(command), 0);
}

static struct open_file *
get(const char *name)
{
    return open_file_get(str_c(in_dir(name)), &options, false);
}

/* The content as the descriptor has it. */
static const char *
content(const struct open_file *f)
{
    static char bytes[64];
    ssize_t n = f->fd >= 0 ? pread(f->fd, bytes, sizeof(bytes) - 1, 0) : 0;

    bytes[n > 0 ? n : 0] = '\0';
    return bytes;
}

/* Descriptors that are open in this process. */
static int
open_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

TEST(without_a_cache)
{
    int before;
    struct open_file *f;

    begin(0);
    before = open_descriptors();
    write_file("a", "one");
    f = get("a");
    CHECK(f->error == 0 && f->is_file && !f->is_dir && f->size == 3);
    CHECK_STR(str_c(content(f)), "one");
    open_file_put(open_file_ref(f));
    open_file_put(f);
    f = get("missing");
    CHECK_EQ(f->error, ENOENT);
    CHECK_EQ(f->fd, -1);
    open_file_put(f);
    f = get(".");
    CHECK(f->error == 0 && f->is_dir && f->fd == -1);
    open_file_put(f);
    f = open_file_get(str_c(in_dir("a")), &options, true);
    CHECK(f->error == 0 && f->is_file && f->fd == -1, "only asked about");
    open_file_put(f);
    CHECK_EQ(mkfifo(in_dir("pipe"), 0600), 0);
    f = get("pipe");
    CHECK(f->error == 0 && !f->is_file && !f->is_dir, "a pipe does not hang us");
    open_file_put(f);
    CHECK_EQ(open_descriptors(), before, "all are closed");
    end();
}

TEST(a_changed_file_is_seen_when_valid_has_passed)
{
    struct open_file *first, *f;

    begin(10);
    write_file("a", "one");
    first = get("a");
    CHECK_EQ(rename(in_dir("a"), in_dir("old")), 0);
    write_file("a", "other");
    clock_ms += 59999;
    f = get("a");
    CHECK(f == first, "within valid");
    open_file_put(f);
    clock_ms += 1;
    f = get("a");
    CHECK(f != first);
    CHECK_STR(str_c(content(f)), "other");
    CHECK_STR(str_c(content(first)), "one", "who has the old one keeps it");
    open_file_put(first);
    clock_ms += 60000;
    first = get("a");
    CHECK(first == f, "looked at again, and the same");
    clock_ms += 59999;
    open_file_put(get("a"));
    open_file_put(first);
    open_file_put(f);
    end();
}

TEST(changed_in_place)
{
    struct open_file *first, *f;

    begin(10);
    write_file("a", "one");
    age_file("a", 1600000000);
    first = get("a");
    write_file("a", "two");
    age_file("a", 1600000001);
    clock_ms += 60000;
    f = get("a");
    CHECK(f != first, "the time of change tells");
    open_file_put(f);
    open_file_put(first);
    end();
}

TEST(a_deleted_file)
{
    struct open_file *f;

    begin(10);
    write_file("a", "one");
    open_file_put(get("a"));
    CHECK_EQ(unlink(in_dir("a")), 0);
    f = get("a");
    CHECK_STR(str_c(content(f)), "one", "within valid");
    open_file_put(f);
    clock_ms += 60000;
    f = get("a");
    CHECK_EQ(f->error, ENOENT);
    open_file_put(f);
    write_file("a", "again");
    f = get("a");
    CHECK_EQ(f->error, 0, "errors are not remembered");
    open_file_put(f);
    end();
}

TEST(remembered_errors)
{
    struct open_file *f;

    begin(10);
    options.errors = true;
    f = get("a");
    CHECK_EQ(f->error, ENOENT);
    open_file_put(f);
    write_file("a", "one");
    f = get("a");
    CHECK_EQ(f->error, ENOENT, "within valid");
    open_file_put(f);
    clock_ms += 60000;
    f = get("a");
    CHECK_EQ(f->error, 0);
    open_file_put(f);
    end();
}

TEST(min_uses)
{
    int before;
    struct open_file *f;

    begin(10);
    options.min_uses = 3;
    write_file("a", "one");
    before = open_descriptors();
    for (int use = 1; use <= 4; use++) {
        f = get("a");
        CHECK_STR(str_c(content(f)), "one");
        open_file_put(f);
        CHECK_EQ(open_descriptors(), before + (use >= 3), "use %d", use);
    }
    f = open_file_get(str_c(in_dir("a")), &options, true);
    CHECK(f->is_file && f->size == 3);
    open_file_put(f);
    end();
}

TEST(asked_about_then_opened)
{
    struct open_file *f;

    begin(10);
    write_file("a", "one");
    f = open_file_get(str_c(in_dir("a")), &options, true);
    CHECK_EQ(f->fd, -1);
    open_file_put(f);
    f = get("a");
    CHECK_STR(str_c(content(f)), "one");
    open_file_put(f);
    f = open_file_get(str_c(in_dir("a")), &options, true);
    CHECK(f->is_file, "the open one answers too");
    open_file_put(f);
    end();
}

TEST(inactive_ones_go)
{
    int before;

    begin(10);
    write_file("a", "a");
    write_file("b", "b");
    before = open_descriptors();
    open_file_put(get("a"));
    clock_ms += 30000;
    open_file_put(get("b"));
    CHECK_EQ(open_descriptors(), before + 2);
    clock_ms += 30000;
    open_file_put(get("b"));
    CHECK_EQ(open_descriptors(), before + 1, "a was not asked for in time");
    end();
}

TEST(no_more_than_max)
{
    int before;
    char name[16];

    begin(5);
    before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "%d", i);
        write_file(name, name);
        open_file_put(get(name));
        open_file_put(get("0"));
    }
    CHECK_EQ(open_descriptors(), before + 5);
    CHECK_EQ(unlink(in_dir("0")), 0);
    struct open_file *f = get("0");
    CHECK_EQ(f->error, 0, "what is asked for most stays");
    open_file_put(f);
    CHECK_EQ(unlink(in_dir("1")), 0);
    f = get("1");
    CHECK_EQ(f->error, ENOENT, "what was not is forgotten");
    open_file_put(f);
    end();
}

TEST(contents_in_memory)
{
    struct open_file *f;

    begin(10);
    options.want_body = true;
    write_file("a", "content");
    age_file("a", 1699999990);
    f = get("a");
    REQUIRE(f->body != NULL);
    CHECK_STR(str_n(f->body, f->size), "content");
    open_file_put(f);

    write_file("new", "content");
    age_file("new", 1699999999);
    f = get("new");
    CHECK(f->body == NULL, "it may change again within the same second");
    open_file_put(f);
    clock_wall_ms += 5000;
    f = get("new");
    CHECK(f->body != NULL, "later it is kept");
    open_file_put(f);

    write_file("empty", "");
    age_file("empty", 1600000000);
    f = get("empty");
    CHECK(f->body == NULL && f->size == 0);
    open_file_put(f);

    options.min_uses = 2;
    write_file("rare", "content");
    age_file("rare", 1600000000);
    f = get("rare");
    CHECK(f->body == NULL, "not asked for often enough");
    open_file_put(f);
    f = get("rare");
    CHECK(f->body != NULL);
    open_file_put(f);
    end();
}

/* A file of so many bytes, settled. */
static void
write_large(const char *name, off_t size)
{
    write_file(name, "");
    CHECK_EQ(truncate(in_dir(name), size), 0);
    age_file(name, 1600000000);
}

static struct open_file *
read_twice(const char *name)
{
    struct open_file *f = get(name);

    open_file_copied(f);
    open_file_copied(f);
    return f;
}

TEST(contents_that_are_read_again_and_again)
{
    enum { MB = 1024 * 1024 };
    struct open_file *f, *other[16];
    char name[16];

    begin(100);
    options.want_body = true;
    write_large("a", MB);
    f = get("a");
    open_file_copied(f);
    CHECK(f->body == NULL, "once is not again");
    open_file_put(f);
    f = get("a");
    open_file_copied(f);
    REQUIRE(f->body != NULL);
    CHECK(f->is_hot && f->body[0] == '\0' && f->body[MB - 1] == '\0');
    open_file_copied(f);
    open_file_put(f);

    write_large("larger", MB + 1);
    f = read_twice("larger");
    CHECK(f->body == NULL, "too large");
    open_file_put(f);

    write_large("new", MB);
    age_file("new", 1699999999);
    f = read_twice("new");
    CHECK(f->body == NULL, "changed just now");
    open_file_put(f);

    write_large("rewritten", MB);
    f = get("rewritten");
    age_file("rewritten", 1600000001);
    open_file_copied(f);
    open_file_copied(f);
    CHECK(f->body == NULL, "changed since it was looked at");
    open_file_put(f);

    for (unsigned i = 0; i < 16; i++) {
        snprintf(name, sizeof(name), "%u", i);
        write_large(name, MB);
        other[i] = read_twice(name);
        CHECK_EQ(other[i]->body != NULL, i < 15, "16 MB of all");
    }
    for (unsigned i = 0; i < 16; i++)
        open_file_put(other[i]);
    open_file_cache_clear(options.cache);
    f = read_twice("15");
    CHECK(f->body != NULL, "there is room again");
    open_file_put(f);
    end();

    begin(0);
    write_large("a", MB);
    f = read_twice("a");
    CHECK(f->body == NULL, "no cache");
    open_file_put(f);
    end();
}

/* ---- symbolic links ---- */

static const struct {
    const char *path, *from;
    int never, if_owner; /* errno of the attempt under `on` and `if_not_owner` */
} links[] = {
    { "real/file", "", 0, 0 },
    { "link", "", ELOOP, 0 },
    { "dirlink/file", "", ENOTDIR, 0 },
    { "foreign", "", ELOOP, ELOOP },
    { "foreigndir/file", "", ENOTDIR, ELOOP },
    { "real/missing", "", ENOENT, ENOENT },
    { "missing/file", "", ENOENT, ENOENT },
    { "real/file/x", "", ENOTDIR, ENOTDIR },
    { "dangling", "", ELOOP, ENOENT },
    { "real//file", "", 0, 0 },
    { "./real/./file", "", 0, 0 },
    /* from: the first part is not looked at */
    { "dirlink/file", "/dirlink", 0, 0 },
    { "dirlink/file", "/dirlink/", 0, 0 },
    { "dirlink/file", "/dirl", ENOTDIR, 0 },
    { "foreigndir/file", "/foreigndir", 0, 0 },
    { "dirlink/inner", "/dirlink", ELOOP, 0 },
    { "link", "/link", 0, 0 },
    { "dirlink/file", "/other", ENOTDIR, 0 },
};

/* A link of somebody else's to a file of ours: only root can make it; others see the rest. */
static bool
make_links(void)
{
    CHECK_EQ(mkdir(in_dir("real"), 0755), 0);
    write_file("real/file", "content");
    CHECK_EQ(symlink("file", in_dir("real/inner")), 0);
    CHECK_EQ(symlink("real/file", in_dir("link")), 0);
    CHECK_EQ(symlink("real", in_dir("dirlink")), 0);
    CHECK_EQ(symlink("nowhere", in_dir("dangling")), 0);
    CHECK_EQ(symlink("real/file", in_dir("foreign")), 0);
    CHECK_EQ(symlink("real", in_dir("foreigndir")), 0);
    return lchown(in_dir("foreign"), 12345, 12345) == 0 &&
           lchown(in_dir("foreigndir"), 12345, 12345) == 0;
}

TEST(links_that_are_not_followed)
{
    bool is_root;

    begin(0);
    is_root = make_links();
    for (int mode = 1; mode <= 2; mode++) {
        EACH (links, l) {
            int want = mode == 1 ? l->never : l->if_owner;
            char from[128];

            if (!is_root && strstr(l->path, "foreign") != NULL)
                continue;
            snprintf(from, sizeof(from), "%s%s", dir, l->from);
            options.symlinks = (uint8_t)mode;
            /* the directory itself may lie behind links */
            options.symlinks_from = str_c(from);
            for (int stat_only = 0; stat_only < 2; stat_only++) {
                struct open_file *f = open_file_get(str_c(in_dir(l->path)), &options, stat_only);

                CHECK_EQ(f->error, want, "%s from \"%s\", mode %d, stat %d", l->path, l->from, mode,
                         stat_only);
                if (want == 0 && !stat_only)
                    CHECK_STR(str_c(content(f)), "content");
                open_file_put(f);
            }
        }
    }
    end();
}

TEST(a_directory_under_checks)
{
    struct open_file *f;

    begin(0);
    make_links();
    options.symlinks = 1;
    options.symlinks_from = str_c(dir);
    f = get("real/");
    CHECK(f->error == 0 && f->is_dir);
    open_file_put(f);
    f = get("real");
    CHECK(f->error == 0 && f->is_dir);
    open_file_put(f);
    f = get("");
    CHECK(f->error == 0 && f->is_dir, "the whole path is the part that is not checked");
    open_file_put(f);
    options.symlinks_from = STR_NONE;
    f = open_file_get(S("/"), &options, false);
    CHECK(f->error == 0 && f->is_dir, "the root");
    open_file_put(f);
    end();
}

/* Two locations share a cache; one of them follows links. */
TEST(checks_are_part_of_what_is_remembered)
{
    struct open_file *f;

    begin(10);
    make_links();
    f = get("link");
    CHECK_EQ(f->error, 0);
    open_file_put(f);
    options.symlinks = 1;
    options.symlinks_from = str_c(dir);
    f = get("link");
    CHECK_EQ(f->error, ELOOP);
    open_file_put(f);
    options.symlinks = 0;
    f = get("link");
    CHECK_EQ(f->error, 0);
    open_file_put(f);
    end();
}

TEST(names_that_are_too_long)
{
    char name[300];
    struct open_file *f;

    begin(0);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (uint8_t mode = 0; mode < 3; mode++) {
        char path[400];

        options.symlinks = mode;
        snprintf(path, sizeof(path), "%s/%s", dir, name);
        f = open_file_get(str_c(path), &options, false);
        CHECK_EQ(f->error, ENAMETOOLONG, "mode %d", mode);
        open_file_put(f);
    }
    end();
}
