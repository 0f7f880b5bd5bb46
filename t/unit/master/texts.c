/* SPDX-License-Identifier: BSD-2-Clause */
/* texts.c - the texts of two configurations: over exec, to the tool, and from what a dead master left. */
#include "master/texts.h"

#include "t/unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/ipc/lines.h"
#include "common/sys/fd.h"
#include "master/handoff.h"

static struct master *
make(void)
{
    struct master *m = calloc(1, sizeof(*m));

    arena_init(&m->arena, 4096);
    vec_init(&m->good_files, &m->arena, sizeof(struct conf_file));
    vec_init(&m->back_files, &m->arena, sizeof(struct conf_file));
    return m;
}

static void
drop(struct master *m)
{
    arena_free(&m->arena);
    free(m);
}

static void
add(struct vec *files, const char *path, const char *text)
{
    *VEC_PUSH(files, struct conf_file) = (struct conf_file){ str_c(path), str_c(text) };
}

static const char state[] = "weir-handoff 1\n"
                            "back /conf oldest%0aend%0a\n"
                            "file good 4 /conf\nold\n\n"
                            "file next 4 /conf\nnew\n\n"
                            "end\n";

static struct str
only(const struct vec *files)
{
    return files->len == 1 ? VEC_AT(files, struct conf_file, 0)->text : S("(none or many)");
}

static void
adopt(struct master *m, int fd)
{
    CHECK(fd >= 0);
    texts_adopt(m, fd);
    close(fd);
}

TEST(what_a_master_left_is_taken)
{
    struct master *m = make();
    struct error err;

    adopt(m, handoff_memfd(str_c(state), &err));
    CHECK_STR(only(&m->good_files), "new\n");
    CHECK_STR(only(&m->back_files), "old\n");
    drop(m);
}

TEST(the_same_text_twice_is_one)
{
    struct master *m = make();
    struct error err;

    adopt(m, handoff_memfd(S("weir-handoff 1\nback /conf oldest%0aend%0a\nfile good 1 /conf\nx\n"
                             "file next 1 /conf\nx\nend\n"),
                           &err));
    CHECK_STR(only(&m->good_files), "x");
    CHECK_STR(only(&m->back_files), "oldest\nend\n");
    drop(m);
}

/* What a worker could make: no seals, another name, a file, nothing. */
TEST(what_somebody_else_could_have_made_is_not_taken)
{
    const int seals = F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
    char path[] = "/tmp/weir-unit-texts-XXXXXX";
    struct master *m = make();
    int fd;

    fd = memfd_create("weir-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd_write_all(fd, state, sizeof(state) - 1));
    adopt(m, fd);
    CHECK_EQ(m->good_files.len, 0, "not sealed");
    fd = memfd_create("weir-zone", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd_write_all(fd, state, sizeof(state) - 1));
    CHECK(fcntl(fd, F_ADD_SEALS, seals) == 0);
    adopt(m, fd);
    CHECK_EQ(m->good_files.len, 0, "another name");
    fd = mkstemp(path);
    CHECK(fd_write_all(fd, state, sizeof(state) - 1));
    adopt(m, fd);
    unlink(path);
    CHECK_EQ(m->good_files.len, 0, "a file");
    texts_adopt(m, -1);
    CHECK_EQ(m->good_files.len, 0, "none");
    if (geteuid() == 0) {
        struct error err;

        fd = handoff_memfd(str_c(state), &err);
        CHECK(fchown(fd, 65534, 65534) == 0);
        adopt(m, fd);
        CHECK_EQ(m->good_files.len, 0, "of another user");
    }
    drop(m);
}

static const char *const broken[] = {
    "",
    "end\n",
    "file next 100 /conf\nnew\n",
    "file next x /conf\n",
    "file next\n",
    "back\n",
    "back /conf\n",
    "file good 1 /conf\nx\nend\n",
    "back /conf %0\nfile next 1 /conf\nx\n",
};

TEST(a_broken_state_is_no_configuration)
{
    EACH (broken, text) {
        struct master *m = make();
        struct error err;

        adopt(m, handoff_memfd(str_c(*text), &err));
        CHECK_EQ(m->good_files.len, 0, "%s", *text);
        CHECK_EQ(m->back_files.len, 0, "%s", *text);
        drop(m);
    }
}

TEST(another_text_moves_the_one_that_served)
{
    struct master *m = make();
    struct config c = { .generation = 1 };

    m->config = &c;
    vec_init(&c.files, &m->arena, sizeof(struct conf_file));
    add(&c.files, "/conf", "one");
    texts_settle(m);
    CHECK_EQ(m->back_files.len, 0, "nothing served before");
    texts_settle(m);
    CHECK_EQ(m->back_files.len, 0, "the same text");
    vec_init(&c.files, &m->arena, sizeof(struct conf_file));
    add(&c.files, "/conf", "two");
    m->next_rolled_back = true;
    texts_settle(m);
    CHECK_STR(only(&m->back_files), "one");
    CHECK_STR(only(&m->good_files), "two");
    CHECK(m->rolled_back && !m->next_rolled_back);
    add(&c.files, "/other", "");
    texts_settle(m);
    CHECK_STR(only(&m->back_files), "two");
    CHECK(!m->rolled_back);
    drop(m);
}

TEST(they_cross_exec)
{
    struct master *m = make(), *next = make();
    struct str rest, key, fields;
    struct text t;

    add(&m->back_files, "/a b%\n", "end\nback x y\n\xff \n");
    add(&m->back_files, "/empty", "");
    m->rolled_back = true;
    text_init(&t, &m->arena);
    texts_put(m, &t);
    rest = text_str(&t);
    while (lines_next(&rest, &key, &fields))
        CHECK(texts_get(next, key, fields));
    CHECK_EQ(next->back_files.len, 2);
    CHECK_STR(VEC_AT(&next->back_files, struct conf_file, 0)->path, "/a b%\n");
    CHECK_STR(VEC_AT(&next->back_files, struct conf_file, 0)->text, "end\nback x y\n\xff \n");
    CHECK_STR(VEC_AT(&next->back_files, struct conf_file, 1)->text, "");
    CHECK(next->rolled_back && !next->next_rolled_back);
    drop(m);
    drop(next);
}
