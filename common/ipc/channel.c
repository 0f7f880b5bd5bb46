/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel.c - messages and descriptors between master and one child.
 *
 * A packet is a head, the type's payload struct and a text. The other end may have gone wrong: what has not exactly
 * the form of its type is logged and dropped, its descriptors closed.
 */
#include "common/ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/log/log.h"

struct packet_head {
    uint32_t type;
    uint32_t payload_size;
};

enum {
    PAYLOAD_MAX = 128,
    PACKET_MAX = sizeof(struct packet_head) + PAYLOAD_MAX + CHANNEL_TEXT_MAX,
    READS_AT_ONCE = 32, /* so that one chatty child does not hold up the rest */
};

static const struct {
    const char *name;
    size_t size;
} messages[] = {
#define MESSAGE(name, payload, what) { #name, sizeof(payload) },
#include "common/ipc/messages.def"
#undef MESSAGE
};
#define MESSAGE(name, payload, what) \
    _Static_assert(sizeof(payload) <= PAYLOAD_MAX, "the payload of " #name);
#include "common/ipc/messages.def"
#undef MESSAGE

/* A packet that waits for room; its descriptors are ours. */
struct channel_unsent {
    size_t n_fds;
    int *fds;
    size_t size;
    char bytes[];
};

const char *
channel_message_name(enum message type)
{
    return (unsigned)type < MSG_COUNT ? messages[type].name : "unknown";
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

static void
unsent_free(struct channel_unsent *u)
{
    if (u == NULL)
        return;
    for (size_t i = 0; i < u->n_fds; i++)
        fd_close(&u->fds[i]);
    free(u->fds);
    free(u);
}

/* A copy with descriptors of its own; NULL with errno. */
static struct channel_unsent *
unsent_new(const char *bytes, size_t size, const int *fds, size_t n_fds)
{
    struct channel_unsent *u = malloc(sizeof(*u) + size);

    if (u == NULL)
        return NULL;
    u->n_fds = 0;
    u->size = size;
    memcpy(u->bytes, bytes, size);
    u->fds = n_fds == 0 ? NULL : malloc(n_fds * sizeof(*fds));
    if (n_fds != 0 && u->fds == NULL)
        goto fail;
    for (; u->n_fds < n_fds; u->n_fds++) {
        int copy = fcntl(fds[u->n_fds], F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
            goto fail;
        u->fds[u->n_fds] = copy;
    }
    return u;

fail:
    unsent_free(u);
    return NULL;
}

static bool
channel_keep(struct channel *c, const char *bytes, size_t size, const int *fds, size_t n_fds)
{
    struct channel_unsent *u = NULL, **at;

    if (c->unsent.len < CHANNEL_UNSENT_MAX)
        u = unsent_new(bytes, size, fds, n_fds);
    if (u == NULL)
        return false;
    at = VEC_PUSH(&c->unsent, struct channel_unsent *);
    if (at == NULL) {
        unsent_free(u);
        return false;
    }
    *at = u;
    return true;
}

/* Sends what waits, as far as there is room. */
static void
channel_flush(struct channel *c)
{
    uint32_t sent = 0;

    while (sent < c->unsent.len) {
        struct channel_unsent *u = *VEC_AT(&c->unsent, struct channel_unsent *, sent);

        if (fd_send(c->fd, u->bytes, u->size, u->fds, u->n_fds, MSG_DONTWAIT) < 0) {
            if (errno == EAGAIN)
                break;
            /* Gone: reading says so. Else it was this message, and the next ones may go. */
            log_error(errno, "channel: a message was not sent");
        }
        unsent_free(u);
        sent++;
    }
    for (uint32_t i = sent; i < c->unsent.len; i++)
        *VEC_AT(&c->unsent, struct channel_unsent *, i - sent) =
            *VEC_AT(&c->unsent, struct channel_unsent *, i);
    c->unsent.len -= sent;
}

bool
channel_send(struct channel *c, enum message type, const void *payload, size_t size,
             struct str text, const int *fds, size_t n_fds)
{
    char bytes[PACKET_MAX];
    struct packet_head head = { type, (uint32_t)size };

    ASSERT((unsigned)type < MSG_COUNT && size == messages[type].size && n_fds <= FD_PASS_MAX);
    if (c->fd == -1 || c->gone)
        return false;
    if (text.len > CHANNEL_TEXT_MAX)
        text.len = CHANNEL_TEXT_MAX;
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), payload, size);
    if (text.len > 0)
        memcpy(bytes + sizeof(head) + size, text.ptr, text.len);
    size += sizeof(head) + text.len;

    /* Order holds: nothing overtakes what waits. */
    if (c->unsent.len == 0) {
        if (fd_send(c->fd, bytes, size, fds, n_fds, MSG_DONTWAIT) >= 0)
            return true;
        if (errno == EPIPE || errno == ECONNRESET)
            return false;
        if (errno != EAGAIN) {
            log_error(errno, "channel: %s was not sent", channel_message_name(type));
            return false;
        }
    }
    if (channel_keep(c, bytes, size, fds, n_fds))
        return true;
    log_error(0, "channel: %s was not sent: the other end does not read",
              channel_message_name(type));
    return false;
}

/* ---- receiving ----------------------------------------------------------------------------------------------- */

static void
channel_dispatch(struct channel *c, const char *bytes, size_t size, int *fds, size_t n_fds)
{
    const struct packet_head *head = (const void *)bytes;
    struct channel_message m = { .fds = fds, .n_fds = n_fds };

    if (size < sizeof(*head) || head->type >= MSG_COUNT ||
        head->payload_size != messages[head->type].size ||
        size - sizeof(*head) < head->payload_size ||
        size - sizeof(*head) - head->payload_size > CHANNEL_TEXT_MAX) {
        log_error(0, "channel: dropped a malformed message of %zu bytes", size);
        return;
    }
    m.type = (enum message)head->type;
    m.payload = bytes + sizeof(*head);
    m.text = str_n(bytes + sizeof(*head) + head->payload_size,
                   size - sizeof(*head) - head->payload_size);
    c->on_message(c, &m);
}

static void
channel_gone(struct channel *c)
{
    if (c->gone)
        return;
    c->gone = true;
    c->on_message(c, NULL);
}

/* One packet. False: no more for now, or the channel is closed. */
static bool
channel_read_one(struct channel *c)
{
    char bytes[PACKET_MAX + 1] __attribute__((aligned(16)));
    int fds[FD_PASS_MAX];
    size_t n_fds = FD_PASS_MAX;
    ssize_t got = fd_recv(c->fd, bytes, sizeof(bytes), fds, &n_fds, MSG_DONTWAIT);

    if (got < 0 && errno == EAGAIN)
        return false;
    if (got < 0 && errno == EMSGSIZE) {
        log_error(0, "channel: dropped a message that is too long");
        return true;
    }
    if (got <= 0) {
        channel_gone(c);
        return false;
    }
    channel_dispatch(c, bytes, (size_t)got, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        fd_close(&fds[i]);
    return c->fd != -1 && !c->gone;
}

static void
channel_read(struct channel *c)
{
    for (unsigned i = 0; i < READS_AT_ONCE; i++)
        if (!channel_read_one(c))
            return;
    task_ready(&c->again);
}

static void
channel_read_again(struct task *t)
{
    struct channel *c = CONTAINER_OF(t, struct channel, again);

    if (c->fd != -1 && !c->gone)
        channel_read(c);
}

static void
channel_on_event(struct watch *w, unsigned bits)
{
    struct channel *c = CONTAINER_OF(w, struct channel, watch);

    if ((bits & LOOP_WRITE) != 0 && c->unsent.len != 0)
        channel_flush(c);
    if ((bits & (LOOP_READ | LOOP_HANGUP | LOOP_ERROR)) != 0 && !c->gone)
        channel_read(c);
}

/* ---- its life ------------------------------------------------------------------------------------------------ */

bool
channel_open(struct channel *c, int fd,
             void (*on_message)(struct channel *, const struct channel_message *))
{
    *c = (struct channel){ .fd = fd,
                           .on_message = on_message,
                           .watch.on_event = channel_on_event,
                           .again.run = channel_read_again,
                           .owner = c->owner };
    vec_init(&c->unsent, NULL, sizeof(struct channel_unsent *));
    if (fd_set_nonblock(fd, true) && loop_add(&c->watch, fd))
        return true;
    c->fd = -1;
    return false;
}

void
channel_close(struct channel *c)
{
    if (c->fd == -1)
        return;
    loop_del(&c->watch);
    task_cancel(&c->again);
    fd_close(&c->fd);
    for (uint32_t i = 0; i < c->unsent.len; i++)
        unsent_free(*VEC_AT(&c->unsent, struct channel_unsent *, i));
    vec_free(&c->unsent);
}
