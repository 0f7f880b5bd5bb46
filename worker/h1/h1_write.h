/* SPDX-License-Identifier: BSD-2-Clause */
/* h1_write.h - response heads as bytes. Pure. Inside this room. */
#ifndef WEIR_H1_H1_WRITE_H
#define WEIR_H1_H1_WRITE_H

#include "common/base/text.h"
#include "worker/http/response.h"

/* How the body's end is told (RFC 9112, 6.3). */
enum h1_ending {
    H1_END_NONE,    /* no body can follow: 1xx, 204, 304, a tunnel */
    H1_END_LENGTH,  /* Content-Length */
    H1_END_CHUNKED, /* Transfer-Encoding */
    H1_END_CLOSE,   /* the connection's end */
};
struct h1_head {
    const struct response *res;
    enum h1_ending ending;
    struct str server_line; /* "Server: ...\r\n"; may be empty */
    struct str date;        /* of now: IMF-fixdate */
    bool keepalive;
    uint64_t keepalive_s; /* told as "Keep-Alive: timeout="; 0: not told */
};

/* In nginx's order: Server, Date, Content-Type, Content-Length, Last-Modified, Location, framing, the rest. A field whose
 * name or value may not stand in a head is left out. */
void h1_write_head(struct text *t, const struct h1_head *h);
/* A 1xx response with its fields. */
void h1_write_inform(struct text *t, const struct response *info);
/* The last chunk with its trailers (NULL: none) and the blank line. */
void h1_write_last_chunk(struct text *t, const struct fields *trailers);

/* Digits of a chunk's size and CR LF, right-aligned so that they end where the data begins; how many bytes. */
enum { H1_CHUNK_SIZE_MAX = 18 };
unsigned h1_chunk_size_before(char *data, uint64_t size);

#endif
