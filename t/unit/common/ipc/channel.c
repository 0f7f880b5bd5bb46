/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.c - messages between master and child: whole, in order, with descriptors, whatever the other end sends. */
#include "common/ipc/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/log/log.h"
#include "common/sys/socket.h"
#include "test.h"

/* One end and what arrived there. */
struct end {
    struct channel channel;
    unsigned count, gone, fds;
    enum message last;
    uint64_t payload;   /* slot of the last REAP, id of the last ASK */
    uint64_t next;      /* the slot expected next, for order */
    unsigned misplaced; /* that were not it */
    char text[80];
    size_t text_len;
    int kept_fd; /* the first descriptor of the last message that had some */
    bool close_at_once;
};

static void
on_message(struct channel *c, const struct channel_message *m)
{
    struct end *e = CONTAINER_OF(c, struct end, channel);

    if (m == NULL) {
        e->gone++;
        return;
    }
    e->count++;
    e->last = m->type;
    e->text_len = m->text.len;
    (void)str_to_c(m->text, e->text, sizeof(e->text));
    if (m->type == MSG_REAP) {
        const struct msg_slot *p = m->payload;

        e->payload = p->slot;
        e->misplaced += p->slot != e->next;
        e->next = p->slot + 1;
    }
    e->fds += (unsigned)m->n_fds;
    if (m->n_fds > 0) {
        e->kept_fd = m->fds[0];
        m->fds[0] = -1;
    }
    if (e->close_at_once)
        channel_close(c);
}

static void
open_both(struct end *a, struct end *b)
{
    struct error err;
    int fds[2];

    log_main->level = LOG_STDERR_LEVEL; /* that is: nothing */
    memset(a, 0, sizeof(*a));
    memset(b, 0, sizeof(*b));
    if (!loop_init(&err) || !socket_pair(fds) || !channel_open(&a->channel, fds[0], on_message) ||
        !channel_open(&b->channel, fds[1], on_message))
        abort();
}

static void
close_both(struct end *a, struct end *b)
{
    channel_close(&a->channel);
    channel_close(&b->channel);
    loop_turn(0);
    loop_fini();
}

/* Turns until the condition holds, at most a few thousand of them. */
#define TURN_UNTIL(cond)                                      \
    do {                                                      \
        for (int turns = 0; turns < 5000 && !(cond); turns++) \
            loop_turn(100);                                   \
        CHECK(cond);                                          \
    } while (0)

static unsigned
open_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) != -1;
    return n;
}

TEST(names)
{
    CHECK(strcmp(channel_message_name(MSG_READY), "READY") == 0);
    CHECK(strcmp(channel_message_name(MSG_ANSWER), "ANSWER") == 0);
    CHECK(strcmp(channel_message_name((enum message)1000), "unknown") == 0);
}

TEST(payload_and_text)
{
    struct end a, b;
    struct msg_slot slot = { 9, 1234567 };
    struct msg_ask ask = { 4 };

    open_both(&a, &b);
    CHECK(CHANNEL_SEND(&a.channel, MSG_REAP, &slot));
    TURN_UNTIL(b.count == 1);
    CHECK_EQ(b.last, MSG_REAP);
    CHECK_EQ(b.payload, 9);
    CHECK_EQ(b.text_len, 0);
    CHECK(channel_send(&b.channel, MSG_ANSWER, &ask, sizeof(ask), S("all is well"), NULL, 0));
    TURN_UNTIL(a.count == 1);
    CHECK_EQ(a.last, MSG_ANSWER);
    CHECK_STR(str_c(a.text), "all is well");
    close_both(&a, &b);
}

TEST(a_long_text_is_cut)
{
    static char text[CHANNEL_TEXT_MAX + 100];
    struct end a, b;
    struct msg_ask ask = { 4 };

    open_both(&a, &b);
    CHECK(channel_send(&a.channel, MSG_ANSWER, &ask, sizeof(ask), str_n(text, sizeof(text)), NULL,
                       0));
    TURN_UNTIL(b.count == 1);
    CHECK_EQ(b.text_len, CHANNEL_TEXT_MAX);
    close_both(&a, &b);
}

TEST(descriptors)
{
    struct end a, b;
    struct msg_reopen reopen = { 0, 3 };
    unsigned before;
    int fds[2], three[3];
    struct stat sent, came;

    open_both(&a, &b);
    before = open_fds();
    REQUIRE(pipe(fds) == 0);
    three[0] = three[1] = three[2] = fds[0];
    CHECK(channel_send(&a.channel, MSG_REOPEN, &reopen, sizeof(reopen), STR_NONE, three, 3));
    TURN_UNTIL(b.count == 1);
    CHECK_EQ(b.fds, 3);
    CHECK_EQ(open_fds(), before + 3, "the pipe and the one that was taken");
    REQUIRE(fstat(fds[0], &sent) == 0 && fstat(b.kept_fd, &came) == 0);
    CHECK_EQ(sent.st_ino, came.st_ino);
    CHECK(fcntl(b.kept_fd, F_GETFD) & FD_CLOEXEC);
    close(fds[0]);
    close(fds[1]);
    close(b.kept_fd);
    close_both(&a, &b);
}

/* The peer does not read: messages wait, in order, with copies of their descriptors. */
TEST(a_full_buffer)
{
    enum { MANY = 3000 };
    static char text[2000];
    struct end a, b;
    unsigned before;
    int fds[2];

    open_both(&a, &b);
    before = open_fds();
    for (uint32_t i = 0; i < MANY; i++) {
        struct msg_slot slot = { i, 1 };
        bool last = i == MANY - 1;

        REQUIRE(!last || pipe(fds) == 0);
        CHECK(channel_send(&a.channel, MSG_REAP, &slot, sizeof(slot), str_n(text, sizeof(text)),
                           fds, last ? 1 : 0));
    }
    CHECK(a.channel.unsent.len > 0);
    close(fds[0]);
    close(fds[1]);
    TURN_UNTIL(b.count == MANY);
    CHECK_EQ(b.misplaced, 0);
    CHECK_EQ(b.fds, 1);
    CHECK_EQ(a.channel.unsent.len, 0);
    close(b.kept_fd);
    CHECK_EQ(open_fds(), before);
    close_both(&a, &b);
}

TEST(a_peer_that_never_reads)
{
    struct end a, b;
    struct msg_slot slot = { 0, 1 };
    unsigned kept = 0, before;
    int fds[2];

    open_both(&a, &b);
    before = open_fds();
    REQUIRE(pipe(fds) == 0);
    while (kept < 20000 &&
           channel_send(&a.channel, MSG_REAP, &slot, sizeof(slot), STR_NONE, fds, kept % 32 == 0))
        kept++;
    CHECK(kept >= CHANNEL_UNSENT_MAX && kept < 20000, "there is an end to it: %u", kept);
    channel_close(&a.channel);
    close(fds[0]);
    close(fds[1]);
    TURN_UNTIL(b.gone == 1);
    CHECK(b.misplaced > 0 && b.kept_fd > 0);
    CHECK(open_fds() <= before + kept / 32 + 1);
    close_both(&a, &b);
    for (int fd = 3; fd < 1024; fd++)
        close(fd); /* all that b kept */
}

TEST(the_other_end_goes)
{
    struct end a, b;
    struct msg_none none = { 0 };

    open_both(&a, &b);
    CHECK(CHANNEL_SEND(&a.channel, MSG_READY, &none));
    channel_close(&a.channel);
    TURN_UNTIL(b.gone == 1);
    CHECK_EQ(b.count, 1, "what was sent before still comes");
    CHECK(!CHANNEL_SEND(&b.channel, MSG_READY, &none));
    CHECK(!CHANNEL_SEND(&a.channel, MSG_READY, &none), "closed");
    loop_turn(0);
    CHECK_EQ(b.gone, 1, "said once");
    close_both(&a, &b);
}

TEST(closing_in_the_callback)
{
    struct end a, b;
    struct msg_slot slot = { 0, 1 };

    open_both(&a, &b);
    b.close_at_once = true;
    for (int i = 0; i < 100; i++)
        CHECK(CHANNEL_SEND(&a.channel, MSG_REAP, &slot));
    TURN_UNTIL(a.gone == 1);
    CHECK_EQ(b.count, 1);
    close_both(&a, &b);
}

TEST(more_than_is_read_at_once)
{
    struct end a, b;

    open_both(&a, &b);
    for (uint32_t i = 0; i < 150; i++) {
        struct msg_slot slot = { i, 1 };

        CHECK(CHANNEL_SEND(&a.channel, MSG_REAP, &slot));
    }
    TURN_UNTIL(b.count == 150);
    CHECK_EQ(b.misplaced, 0);
    close_both(&a, &b);
}

TEST(garbage_is_dropped)
{
    static char large[80000];
    struct end a, b;
    struct {
        uint32_t type, size;
        char rest[200];
    } packet = { 0 };
    const struct {
        const char *what;
        uint32_t type, size;
        size_t bytes;
        bool ok;
    } packets[] = {
        { "one byte", 0, 0, 1, false },
        { "half a head", 0, 0, 7, false },
        { "a head alone", MSG_READY, sizeof(struct msg_none), 8, false },
        { "no such type", MSG_COUNT, 1, 20, false },
        { "no such type", UINT32_MAX, 1, 20, false },
        { "payload too small", MSG_REAP, 8, 100, false },
        { "payload too large", MSG_REAP, 24, 100, false },
        { "payload huge", MSG_REAP, UINT32_MAX, 100, false },
        { "payload cut", MSG_REAP, sizeof(struct msg_slot), 8 + sizeof(struct msg_slot) - 1,
          false },
        { "right", MSG_REAP, sizeof(struct msg_slot), 8 + sizeof(struct msg_slot), true },
        { "with text", MSG_REAP, sizeof(struct msg_slot), 8 + sizeof(struct msg_slot) + 5, true },
    };
    unsigned good = 0, before;

    open_both(&a, &b);
    before = open_fds();
    EACH (packets, p) {
        int fd = a.channel.fd;

        packet.type = p->type;
        packet.size = p->size;
        CHECK_EQ(fd_send(a.channel.fd, &packet, p->bytes, &fd, 1, 0), p->bytes);
        good += p->ok;
        if (p->ok)
            TURN_UNTIL(b.count == good);
        else
            loop_turn(100);
        CHECK_EQ(b.count, good, "%s", p->what);
        if (p->ok)
            close(b.kept_fd);
    }
    CHECK(send(a.channel.fd, large, sizeof(large), 0) > 0);
    loop_turn(100);
    CHECK_EQ(b.count, good, "too long");
    CHECK_EQ(b.gone, 0, "and the channel lives");
    CHECK_EQ(open_fds(), before, "descriptors of dropped messages are closed");
    close_both(&a, &b);
}

TEST(as_many_descriptors_as_fit)
{
    struct end a, b;
    struct msg_slot slot = { 0, 1 };
    unsigned before;
    int fds[FD_PASS_MAX];

    open_both(&a, &b);
    before = open_fds();
    for (int i = 0; i < FD_PASS_MAX; i++)
        fds[i] = a.channel.fd;
    CHECK(channel_send(&a.channel, MSG_REAP, &slot, sizeof(slot), STR_NONE, fds, FD_PASS_MAX));
    TURN_UNTIL(b.count == 1);
    CHECK_EQ(b.fds, FD_PASS_MAX);
    close(b.kept_fd);
    CHECK_EQ(open_fds(), before);
    close_both(&a, &b);
}
