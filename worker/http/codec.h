/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * codec.h - what h1, h2 and h3 implement: bytes into requests, responses into bytes. ARCHITECTURE.md 10.
 */
#ifndef WEIR_HTTP_CODEC_H
#define WEIR_HTTP_CODEC_H

#include "worker/core/exchange.h"
#include "worker/net/conn.h"

enum abort {
    ABORT_CLOSE,     /* 444, time-outs: the connection (h1) or stream (h2) ends at once */
    ABORT_TRUNCATED, /* the body failed: closed without a last chunk, RST_STREAM */
};

struct codec {
    struct str alpn;
    /* Takes over on_event of an accepted connection; false: out of memory, close it. */
    bool (*begin)(struct conn *c);
    struct sink_ops sink; /* inform, head, ready, ended */
    /* The request body, decoded; only request_body.c pulls it. NULL: memory. */
    struct source *(*body)(struct exchange *x);
    /* Sends 100 (Continue) if asked for, opens the window. */
    void (*want_body)(struct exchange *x);
    void (*abort)(struct exchange *x, enum abort why);
    /* From the head on, both bodies are raw and flushed; h1: 101/CONNECT, h2: RFC 8441. False: impossible here. */
    bool (*tunnel)(struct exchange *x);
    /* A tunnel on a whole connection (h1): hands it over, with bytes read ahead in c->in; NULL: it cannot (h2). The
     * exchange stays until tunnel_ended. AGAIN: the client has not taken the head yet; the exchange is made ready when
     * it takes more. */
    enum io (*take_conn)(struct exchange *x, struct conn **c);
    void (*tunnel_ended)(struct exchange *x);
    /* Connection: close at the next head, GOAWAY in two steps. For each client connection of a draining worker. */
    void (*drain)(struct conn *c);
};

/* The codec for an accepted connection by its ALPN protocol ("": HTTP/1.1, from the module table). NULL: none. */
const struct codec *codec_find(struct str alpn);

#endif
