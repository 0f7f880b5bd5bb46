/* SPDX-License-Identifier: BSD-2-Clause */
/* file.c - whole files, temporary files, directories. */
#include "common/sys/file.h"

#include <errno.h>
#include <fcntl.h>

#include "t/unit/test.h"

static char dir[] = "/tmp/weir-unit-XXXXXX";
static char path[64];

static const char *
in_dir(const char *name)
{
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static unsigned
entries(void)
{
    char command[128];
    FILE *f;
    unsigned n = 0;

    snprintf(command, sizeof(command), "ls -A %s | wc -l", dir);
    f = popen(command, "r");
    if (f == NULL || fscanf(f, "%u", &n) != 1)
        n = 9999;
    pclose(f);
    return n;
}

TEST(written_and_read)
{
    struct error err = { .sys = 0 };
    struct arena a;
    struct str content;
    struct stat st;

    REQUIRE(mkdtemp(dir) != NULL);
    arena_init(&a, 1024);
    CHECK(file_write_atomic(in_dir("f"), S("one"), 0600, &err), "%s", err.text);
    CHECK(file_write_atomic(in_dir("f"), S("two\0x"), 0644, &err), "%s", err.text);
    CHECK_EQ(entries(), 1);
    CHECK(stat(in_dir("f"), &st) == 0 && (st.st_mode & 0777) == 0644);
    REQUIRE(file_read(&a, in_dir("f"), 5, &content, &err), "%s", err.text);
    CHECK(str_eq(content, S("two\0x")));
    CHECK_EQ(content.ptr[5], 0);

    CHECK(!file_read(&a, in_dir("f"), 4, &content, &err));
    CHECK_EQ(err.sys, EFBIG);
    CHECK(file_write_atomic(in_dir("f"), S(""), 0644, &err));
    CHECK(file_read(&a, in_dir("f"), 0, &content, &err) && content.len == 0);
    CHECK(file_read(&a, "/proc/self/status", 1 << 20, &content, &err) && content.len > 100,
          "a file that says it is empty");
    unlink(in_dir("f"));
    arena_free(&a);
}

TEST(failures_name_the_file)
{
    struct error err = { .sys = 0 };
    struct arena a;
    struct str content;

    arena_init(&a, 1024);
    CHECK(!file_read(&a, "/nonexistent/x", 10, &content, &err));
    CHECK_STR(str_c(err.text), "open() \"/nonexistent/x\" failed (2: No such file or directory)");
    CHECK(!file_read(&a, dir, 10, &content, &err));
    CHECK_EQ(err.sys, EISDIR);
    CHECK(!file_write_atomic("/nonexistent/x", S("x"), 0644, &err));
    CHECK_EQ(err.sys, ENOENT);
    CHECK(!file_make_dir("/nonexistent/x/y", 0700, (uid_t)-1, 0, &err));
    CHECK(!file_make_dir("/dev/null", 0700, (uid_t)-1, 0, &err));
    CHECK_EQ(err.sys, ENOTDIR);
    CHECK_EQ(file_temp("/nonexistent"), -1);
    arena_free(&a);
}

TEST(temporary_files_have_no_name)
{
    int fd = file_temp(dir);

    REQUIRE(fd >= 0);
    CHECK_EQ(entries(), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fd, "x", 1), 1);
    close(fd);
}

TEST(directories)
{
    struct error err = { .sys = 0 };
    struct stat st;

    CHECK(file_make_dir(in_dir("d"), 0700, getuid(), getgid(), &err), "%s", err.text);
    CHECK(file_make_dir(in_dir("d"), 0700, getuid(), getgid(), &err), "there already");
    chmod(in_dir("d"), 0500);
    CHECK(file_make_dir(in_dir("d"), 0700, getuid(), getgid(), &err));
    CHECK(stat(in_dir("d"), &st) == 0 && (st.st_mode & 0777) == 0700, "its owner can use it");
    rmdir(in_dir("d"));
    rmdir(dir);
}
