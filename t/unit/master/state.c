/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.c - what crosses exec and adoption as text: fields, sockets, the whole state, reports.
 */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/event/loop.h"
#include "common/ipc/lines.h"
#include "common/sys/fd.h"
#include "master/handoff.h"
#include "master/supervise.h"

static struct str fields[] = {
    S_INIT(""),  S_INIT("plain"), S_INIT("a b\nc"),     S_INIT("100%"),
    S_INIT("%"), S_INIT("%-"),    S_INIT("\x01\xff\\"), S_INIT("unix:/tmp/a b"),
};

TEST(fields_come_back_as_they_were)
{
    struct arena a;

    arena_init(&a, 4096);
    EACH (fields, f) {
        struct str line, key, rest, back;
        struct text t;

        text_init(&t, &a);
        TEXT_LIT(&t, "key");
        lines_put_str(&t, *f);
        lines_put_num(&t, 18446744073709551615ULL);
        text_char(&t, '\n');
        line = text_str(&t);
        CHECK(lines_next(&line, &key, &rest));
        CHECK_STR(key, "key");
        CHECK(lines_get_str(&rest, &a, &back));
        CHECK(str_eq(back, *f), "%.*s", STR(*f));
        CHECK(back.ptr[back.len] == '\0');
        uint64_t n = 0;
        CHECK(lines_get_num(&rest, &n));
        CHECK(n == UINT64_MAX);
        CHECK(!lines_get_num(&rest, &n), "nothing is left");
        CHECK(!lines_next(&line, &key, &rest));
    }
    arena_free(&a);
}

static const char *const bad_sockets[] = {
    "",
    " stream",
    " stream 0",
    " stream 0 .",
    " stream 0 . ",
    " stream 0 . nonsense",
    " stream x . 1.2.3.4:80",
    " stream 99999999999 . 1.2.3.4:80",
    " raw 0 . 1.2.3.4:80",
    " stream 0 . 1.2.3.4%3",
    " stream 0 . 1.2.3.4%zz",
};

TEST(sockets)
{
    static const char *const addrs[] = { "1.2.3.4:80", "[::1]:8080", "unix:/run/a b.sock" };
    struct arena a;

    arena_init(&a, 4096);
    EACH (addrs, text) {
        struct listen_socket s = { .fd = 7, .type = SOCK_DGRAM, .index = 3, .reuseport = true },
                             back;
        struct str line, key, rest;
        struct text t;

        REQUIRE(addr_parse(str_c(*text), 0, &s.addr), "%s", *text);
        s.surplus = true;
        text_init(&t, &a);
        lines_put_socket(&t, &s);
        line = text_str(&t);
        REQUIRE(lines_next(&line, &key, &rest));
        CHECK_STR(key, "socket");
        REQUIRE(lines_get_socket(&rest, &a, &back), "%s", *text);
        CHECK(addr_eq(&s.addr, &back.addr), "%s", *text);
        CHECK_EQ(back.type, SOCK_DGRAM);
        CHECK_EQ(back.index, 3);
        CHECK(back.reuseport && back.surplus);
        CHECK_EQ(back.fd, -1);
    }
    EACH (bad_sockets, text) {
        struct str rest = str_c(*text);
        struct listen_socket s;

        CHECK(!lines_get_socket(&rest, &a, &s), "\"%s\"", *text);
    }
    arena_free(&a);
}

/* A master without anything: what encode and decode need. */
static void
blank(struct master *m, struct kept *k)
{
    memset(m, 0, sizeof(*m));
    memset(k, 0, sizeof(*k));
    k->cwd_fd = -1;
    k->binary = strdup("/usr/sbin/weir");
    k->nofile = 1024;
    k->umask = umask(022);
    umask(k->umask);
    m->kept = k;
    arena_init(&m->arena, 4096);
    list_init(&m->children);
    vec_init(&m->good_files, &m->arena, sizeof(struct conf_file));
    vec_init(&m->generations, &m->arena, sizeof(struct generation));
    vec_init(&m->sockets, &m->arena, sizeof(struct held));
    vec_init(&m->zones, &m->arena, sizeof(struct adopted_zone));
    m->slots_fd = m->slots_ro_fd = -1;
}

static void
release(struct master *m)
{
    LIST_FOREACH (at, &m->children)
        free(LIST_ENTRY(at, struct child, node));
    free(m->kept->binary);
    arena_free(&m->arena);
}

static void
add_file(struct vec *files, const char *path, const char *text)
{
    struct conf_file *f = VEC_PUSH(files, struct conf_file);

    f->path = str_c(path);
    f->text = str_c(text);
}

static bool
is_cloexec(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

TEST(the_whole_state)
{
    struct master m, n;
    struct kept k, k2;
    struct error err = { 0 };
    struct vec next, fds, back;
    struct held *h;
    struct child c = { .pid = 4711,
                       .pidfd = -1,
                       .slot = 5,
                       .incarnation = 99,
                       .generation = 8,
                       .index = 1,
                       .state = CHILD_DRAINING };
    struct generation *g;
    int fd;

    blank(&m, &k);
    blank(&n, &k2);
    m.slots_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    m.slots_ro_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    m.generation = 9;
    m.serving = 8;
    m.settled = STATE_HOLD;
    m.reload_wanted = true;
    m.pid_path = S("/run/we ir.pid");
    h = VEC_PUSH(&m.sockets, struct held);
    h->s.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    h->s.type = SOCK_STREAM;
    h->fresh = true;
    h->temp = S("/run/x.new");
    addr_parse(S("unix:/run/x"), 0, &h->s.addr);
    c.channel.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    list_add_tail(&m.children, &c.node);
    g = supervise_generation(&m, 8);
    *VEC_PUSH(&g->logs, struct str) = S("/var/log/a b");
    add_file(&m.good_files, "/etc/weir.conf", "good\nfile x 1 2\nend\n");
    vec_init(&next, &m.arena, sizeof(struct conf_file));
    add_file(&next, "/etc/weir.conf", "");
    add_file(&next, "/etc/more conf", "next");
    vec_init(&fds, &m.arena, sizeof(int));
    vec_init(&back, &n.arena, sizeof(struct conf_file));

    fd = handoff_write(&m, &next, &fds, &err);
    REQUIRE(fd >= 0, "%s", err.text);
    CHECK_EQ(fds.len, 4);
    VEC_FOREACH (one, int, &fds)
        fd_set_cloexec(*one, false);
    CHECK(write(fd, "x", 1) < 0, "the text is sealed");
    REQUIRE(handoff_read(&n, fd, &back, &err), "%s", err.text);

    CHECK_EQ(n.generation, 9);
    CHECK_EQ(n.serving, 8);
    CHECK_EQ(n.settled, STATE_HOLD);
    CHECK(n.reload_wanted && !n.test_wanted);
    CHECK_STR(n.pid_path, "/run/we ir.pid");
    CHECK_EQ(n.slots_fd, m.slots_fd);
    CHECK(is_cloexec(n.slots_fd) && is_cloexec(n.slots_ro_fd) && is_cloexec(h->s.fd) &&
          is_cloexec(c.channel.fd));
    REQUIRE(n.sockets.len == 1);
    h = VEC_AT(&n.sockets, struct held, 0);
    CHECK(h->fresh && !h->listening);
    CHECK_STR(h->temp, "/run/x.new");
    REQUIRE(!list_empty(&n.children));
    CHECK_EQ(LIST_ENTRY(n.children.next, struct child, node)->pid, 4711);
    CHECK_EQ(LIST_ENTRY(n.children.next, struct child, node)->state, CHILD_DRAINING);
    CHECK_EQ(LIST_ENTRY(n.children.next, struct child, node)->incarnation, 99);
    CHECK(!LIST_ENTRY(n.children.next, struct child, node)->orphan);
    REQUIRE(n.generations.len == 1);
    CHECK_STR(*VEC_AT(&VEC_AT(&n.generations, struct generation, 0)->logs, struct str, 0),
              "/var/log/a b");
    REQUIRE(n.good_files.len == 1 && back.len == 2);
    CHECK_STR(VEC_AT(&n.good_files, struct conf_file, 0)->text, "good\nfile x 1 2\nend\n");
    CHECK_STR(VEC_AT(&back, struct conf_file, 0)->text, "");
    CHECK_STR(VEC_AT(&back, struct conf_file, 1)->path, "/etc/more conf");
    CHECK_STR(VEC_AT(&back, struct conf_file, 1)->text, "next");
    list_init(&m.children); /* on the stack */
    release(&m);
    release(&n);
}

static const char *const bad_states[] = {
    "",
    "weir-handoff 2\nend\n",
    "weir-handoff 1\n",
    "weir-handoff 1\nend\n",
    "weir-handoff 1\nslots 0 0\nend\n",
    "weir-handoff 1\nslots 999999 999998\nend\n",
    "weir-handoff 1\nmaster 1 2\nend\n",
    "weir-handoff 1\nheld 0 0 0 %-\nend\n",
    "weir-handoff 1\nchild 1 0 0 5000 1 1 0 0 0 0\nend\n",
    "weir-handoff 1\nfile good 1000 /x\nshort\nend\n",
    "weir-handoff 1\nfile good 18446744073709551615 /x\nshort\nend\n",
};

TEST(a_bad_state_is_refused)
{
    EACH (bad_states, text) {
        struct master m;
        struct kept k;
        struct error err = { 0 };
        struct vec next;
        int fd;

        blank(&m, &k);
        vec_init(&next, &m.arena, sizeof(struct conf_file));
        fd = handoff_memfd(str_c(*text), &err);
        REQUIRE(fd >= 0, "%s", err.text);
        CHECK(!handoff_read(&m, fd, &next, &err), "%s", *text);
        CHECK(err.text[0] != '\0', "%s", *text);
        release(&m);
    }
}

TEST(reports)
{
    struct report r, back;
    struct arena a;
    struct str line, key, rest;
    struct text t;

    arena_init(&a, 4096);
    report_init(&r, &a);
    report_init(&back, &a);
    CHECK(!report_failed(&r));
    report_say(&r, LOG_LEVEL_WARN, "careful with %d", 1);
    CHECK(!report_failed(&r));
    CHECK(!report_say(&r, LOG_LEVEL_EMERG, "bad \"%s\"\n", "x y"));
    CHECK(report_failed(&r));
    text_init(&t, &a);
    report_put(&r, SIZE_MAX, &t);
    for (line = text_str(&t); lines_next(&line, &key, &rest);)
        CHECK(report_get(&back, &rest));
    CHECK_EQ(back.messages.len, 2);
    CHECK(report_failed(&back));
    text_init(&t, &a);
    report_text(&back, LOG_LEVEL_ERROR, &t);
    CHECK_STR(text_str(&t), "weir: [emerg] bad \"x y\"\n\n");
    arena_free(&a);
}
