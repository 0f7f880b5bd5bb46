/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bind.c - sockets of a configuration: opened once, kept, grouped, closed when nobody names them.
 */
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "common/sys/fd.h"
#include "master/bind.h"

/* A configuration with just listeners. */
struct setting {
    struct config c;
    struct listen_spec specs[4];
    struct arena a;
    struct report r;
    struct vec held;
};

static void
begin(struct setting *s, uint32_t workers)
{
    memset(s, 0, sizeof(*s));
    arena_init(&s->a, 4096);
    report_init(&s->r, &s->a);
    vec_init(&s->held, &s->a, sizeof(struct held));
    vec_init(&s->c.listeners, &s->a, sizeof(struct listen_spec *));
    s->c.core.worker_processes = workers;
}

static struct listen_spec *
name(struct setting *s, const char *addr, bool reuseport)
{
    struct listen_spec *spec = &s->specs[s->c.listeners.len];

    addr_parse(str_c(addr), 0, &spec->addr);
    spec->type = SOCK_STREAM;
    spec->text = str_c(addr);
    spec->options = (struct socket_options){
        .fastopen = -1, .setfib = -1, .ipv6only = 1, .keepalive = -1, .reuseport = reuseport
    };
    *(struct listen_spec **)vec_push(&s->c.listeners) = spec;
    return spec;
}

/* A port that was free a moment ago. */
static void
free_port(char text[32])
{
    struct addr a;
    struct socket_options o = { .fastopen = -1, .keepalive = -1 };
    struct error err;
    int fd;

    addr_parse(S("127.0.0.1:0"), 0, &a);
    fd = socket_bind(&a, SOCK_STREAM, &o, &err);
    socket_local_addr(fd, &a);
    snprintf(text, 32, "127.0.0.1:%u", addr_port(&a));
    fd_close(&fd);
}

static bool
connects(const struct addr *a)
{
    int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = connect(fd, &a->sa, a->len) == 0;

    fd_close(&fd);
    return ok;
}

static bool
open_and_listen(struct setting *s, enum bind_mode mode)
{
    return bind_open(&s->c, &s->held, mode, &s->r) && bind_listen(&s->c, &s->held, &s->r);
}

TEST(plain_addresses)
{
    struct setting s;
    struct listen_spec *spec;
    char port[32];

    begin(&s, 4);
    free_port(port);
    spec = name(&s, port, false);
    REQUIRE(bind_open(&s.c, &s.held, BIND_TAKE_OVER, &s.r));
    CHECK(!connects(&spec->addr), "bound only");
    REQUIRE(bind_listen(&s.c, &s.held, &s.r));
    CHECK(connects(&spec->addr));
    CHECK_EQ(s.held.len, 1);
    CHECK(bind_open(&s.c, &s.held, BIND_TAKE_OVER, &s.r));
    CHECK_EQ(s.held.len, 1, "what is held is not opened again");
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 1);

    s.c.listeners.len = 0;
    CHECK(bind_listen(&s.c, &s.held, &s.r));
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 0, "nobody names it");
    CHECK(!connects(&spec->addr));
    arena_free(&s.a);
}

TEST(an_address_in_use)
{
    struct setting s, other;
    char port[32];

    begin(&s, 1);
    begin(&other, 1);
    free_port(port);
    name(&s, port, false);
    name(&other, port, false);
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    CHECK(!bind_open(&other.c, &other.held, BIND_PREFLIGHT, &other.r));
    CHECK(report_failed(&other.r));
    CHECK(strstr(VEC_AT(&other.r.messages, struct conf_message, 0)->line.ptr,
                 "failed (98: Address already in use)") != NULL);
    other.r.messages.len = 0;
    CHECK(bind_open(&other.c, &other.held, BIND_TEST_MILD, &other.r), "a warning");
    CHECK(!report_failed(&other.r));
    CHECK_EQ(other.r.messages.len, 1);
    bind_close(&s.held, true);
    arena_free(&s.a);
    arena_free(&other.a);
}

TEST(groups_grow_and_never_shrink)
{
    struct setting s;
    struct listen_spec *spec;
    char port[32];

    begin(&s, 3);
    free_port(port);
    spec = name(&s, port, true);
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    bind_steer(&s.c, &s.held);
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 3);

    s.c.core.worker_processes = 1;
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    bind_steer(&s.c, &s.held);
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 3, "fewer workers");
    VEC_FOREACH (h, struct held, &s.held)
        CHECK_EQ(h->s.surplus, h->s.index > 0);

    s.c.core.worker_processes = 4;
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    CHECK_EQ(s.held.len, 4, "more workers");
    bind_revert(&s.held);
    CHECK_EQ(s.held.len, 4, "the attempt failed: who has joined the group stays");
    CHECK(VEC_AT(&s.held, struct held, 3)->s.surplus);
    for (int i = 0; i < 20; i++)
        CHECK(connects(&spec->addr));

    spec->options.reuseport = false;
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 4, "a group that becomes plain stays whole");
    bind_close(&s.held, true);
    arena_free(&s.a);
}

/* How many connections wait at the socket. */
static unsigned
waiting(int fd)
{
    unsigned n = 0;
    int c;

    while ((c = accept4(fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        n++;
        fd_close(&c);
    }
    return n;
}

TEST(new_members_get_nothing_before_they_are_tended)
{
    struct setting s;
    struct listen_spec *spec;
    char port[32];
    unsigned n = 0;

    begin(&s, 3);
    free_port(port);
    spec = name(&s, port, false);
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    bind_settle(&s.held);
    CHECK_EQ(s.held.len, 1);

    spec->options.reuseport = true;
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    CHECK_EQ(s.held.len, 3, "a plain address becomes a group");
    for (int i = 0; i < 30; i++)
        CHECK(connects(&spec->addr));
    CHECK_EQ(waiting(VEC_AT(&s.held, struct held, 0)->s.fd), 30, "all go to the old one");
    CHECK_EQ(waiting(VEC_AT(&s.held, struct held, 1)->s.fd), 0);

    bind_steer(&s.c, &s.held);
    bind_settle(&s.held);
    for (int i = 0; i < 60; i++)
        CHECK(connects(&spec->addr));
    VEC_FOREACH (h, struct held, &s.held) {
        unsigned got = waiting(h->s.fd);

        CHECK(got > 0, "index %u", h->s.index);
        n += got;
    }
    CHECK_EQ(n, 60);
    bind_close(&s.held, true);
    arena_free(&s.a);
}

TEST(a_wildcard_takes_over_from_an_address_and_back)
{
    char port[32], any[40];
    struct setting s;
    struct listen_spec *exact, *wild;

    begin(&s, 1);
    free_port(port);
    snprintf(any, sizeof(any), "0.0.0.0:%s", strchr(port, ':') + 1);
    exact = name(&s, port, false);
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    bind_settle(&s.held);
    for (int i = 0; i < 2; i++) {
        s.c.listeners.len = 0;
        wild = name(&s, i == 0 ? any : port, false);
        CHECK(bind_open(&s.c, &s.held, BIND_PREFLIGHT, &s.r), "it cannot be tried by others");
        CHECK_EQ(s.held.len, 1);
        REQUIRE(open_and_listen(&s, BIND_TAKE_OVER), "round %d", i);
        CHECK_EQ(s.held.len, 2);
        bind_settle(&s.held);
        CHECK_EQ(s.held.len, 1);
        CHECK(connects(&wild->addr));
    }
    addr_parse(str_c(port), 0, &exact->addr);
    CHECK(connects(&exact->addr));
    bind_close(&s.held, true);
    arena_free(&s.a);
}

TEST(unix_sockets)
{
    char dir[] = "/tmp/weir-unit-XXXXXX", text[100], path[80];
    struct setting s, other;
    struct listen_spec *spec;
    struct stat st;

    REQUIRE(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(text, sizeof(text), "unix:%s", path);
    begin(&s, 2);
    begin(&other, 2);
    spec = name(&s, text, false);
    name(&other, text, false);
    REQUIRE(bind_open(&s.c, &s.held, BIND_PREFLIGHT, &s.r));
    CHECK(stat(path, &st) != 0, "bound under another name");
    bind_drop_fresh(&s.held);
    CHECK_EQ(rmdir(dir), 0, "nothing is left");
    CHECK_EQ(mkdir(dir, 0700), 0);

    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    CHECK(connects(&spec->addr));
    CHECK_EQ(stat(path, &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0666);
    CHECK(!bind_open(&other.c, &other.held, BIND_TAKE_OVER, &other.r), "somebody answers");
    bind_close(&s.held, false); /* as when it is killed: the name stays */
    CHECK_EQ(stat(path, &st), 0);
    other.r.messages.len = 0;
    CHECK(open_and_listen(&other, BIND_TAKE_OVER), "a stale name is taken over");
    CHECK(connects(&spec->addr));
    bind_close(&other.held, true);
    CHECK_EQ(rmdir(dir), 0, "nothing is left");
    arena_free(&s.a);
    arena_free(&other.a);
}

TEST(sockets_from_workers_are_checked)
{
    struct setting s;
    struct vec sockets;
    struct listen_socket *one;
    char port[32], another[32];
    int pair[2];

    begin(&s, 1);
    free_port(port);
    free_port(another);
    name(&s, port, false);
    REQUIRE(open_and_listen(&s, BIND_TAKE_OVER));
    vec_init(&sockets, &s.a, sizeof(struct listen_socket));
    one = VEC_PUSH(&sockets, struct listen_socket);
    *one = VEC_AT(&s.held, struct held, 0)->s;
    one->fd = dup(one->fd);
    one = VEC_PUSH(&sockets, struct listen_socket);
    *one = VEC_AT(&s.held, struct held, 0)->s;
    one->fd = dup(one->fd);
    addr_parse(str_c(another), 0, &one->addr);
    REQUIRE(socket_pair(pair));
    one = VEC_PUSH(&sockets, struct listen_socket);
    *one = VEC_AT(&s.held, struct held, 0)->s;
    one->fd = pair[0];
    one = VEC_PUSH(&sockets, struct listen_socket);
    *one = VEC_AT(&s.held, struct held, 0)->s;
    one->fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    bind_close(&s.held, false);
    bind_adopt(&s.held, &sockets, &s.r);
    CHECK_EQ(s.held.len, 1, "only the one that is what it is said to be");
    CHECK_EQ(s.r.messages.len, 3);
    fd_close(&pair[1]);
    bind_close(&s.held, false);
    arena_free(&s.a);
}
