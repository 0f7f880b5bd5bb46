/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * channel.h - messages and descriptors between master and one child over a SEQPACKET pair: a message is whole or
 * not there.
 */
#ifndef WEIR_IPC_CHANNEL_H
#define WEIR_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/base/vec.h"
#include "common/event/loop.h"
#include "common/sys/fd.h"

enum message {
#define MESSAGE(name, payload, what) MSG_##name,
#include "common/ipc/messages.def"
#undef MESSAGE
    MSG_COUNT
};

struct msg_none {
    char nothing;
};
struct msg_drain {
    uint64_t deadline_ms; /* worker_shutdown_timeout from now; 0: none */
};
struct msg_slot {
    uint32_t slot;
    uint64_t incarnation;
};
struct msg_tend {
    uint32_t index;
    uint32_t on; /* 0: its worker is there again */
};
struct msg_renew {
    uint32_t index; /* in config->watched */
    uint32_t n;     /* files, one behind the other in the message's descriptor */
    uint32_t lengths[2];
};
struct msg_stuck {
    char zone[64];
    uint32_t owner_tid;
};
struct msg_ask {
    uint32_t id; /* the answer carries its question's */
};
struct msg_reopen {
    uint32_t first; /* index in config->logs of the first descriptor of this message */
    uint32_t count;
};

enum {
    CHANNEL_TEXT_MAX = 60000,
    CHANNEL_UNSENT_MAX = 4096, /* messages that wait for a peer that does not read */
};

/* One received message; pointers borrowed until the callback returns. */
struct channel_message {
    enum message type;
    const void *payload; /* of the type's struct; checked to have its size */
    struct str text;     /* what follows it; may be empty */
    int *fds;            /* the callee takes those that it sets to -1; the rest is closed */
    size_t n_fds;
};

struct channel_unsent;
struct channel {
    struct watch watch;
    int fd; /* -1: closed */
    /* NULL message: the other end is gone. May close the channel; its memory has to stay until the turn's end. */
    void (*on_message)(struct channel *c, const struct channel_message *m);
    struct vec
        unsent; /* of struct channel_unsent *: messages that did not fit the socket's buffer, in order */
    struct task again; /* more to read than is read at once */
    bool gone;         /* on_message was told so */
    void *owner;
};

const char *channel_message_name(enum message type);
/* Watches fd (taken when true) in the loop. `owner` is kept, the rest of *c is set. */
bool channel_open(struct channel *c, int fd,
                  void (*on_message)(struct channel *, const struct channel_message *));
/*
 * False: the peer is gone, or so far behind that nothing more is kept for it. A full buffer is not an error: the message
 * is sent from the loop, descriptors included (dup'ed). `fds` stay the caller's.
 */
bool channel_send(struct channel *c, enum message type, const void *payload, size_t size,
                  struct str text, const int *fds, size_t n_fds);
#define CHANNEL_SEND(c, type, payload) \
    channel_send((c), (type), (payload), sizeof(*(payload)), STR_NONE, NULL, 0)
void channel_close(struct channel *c);

#endif
