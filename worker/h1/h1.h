/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1.h - HTTP/1.0 and 1.1 (RFC 9112): the codec, and the pure parsers and writers that its client side shares.
 */
#ifndef WEIR_H1_H1_H
#define WEIR_H1_H1_H

#include "common/base/text.h"
#include "worker/http/fields.h"
#include "worker/http/request.h"

/* ---- pure: no I/O, fuzzed ---- */

/*
 * Length of a complete head in `bytes` (its blank line included), 0: not complete. *scanned remembers how far earlier
 * calls have looked; it starts at 0 and survives growth of the same bytes.
 */
size_t h1_head_end(struct str bytes, size_t *scanned);

struct h1_limits {
    uint32_t max_fields;       /* more: 400 (nginx's max_headers) */
    bool ignore_invalid_names; /* drop such fields; else 400 */
    bool underscores;          /* '_' in names is valid */
};
enum h1_framing { H1_NO_BODY, H1_LENGTH, H1_CHUNKED, H1_UNTIL_CLOSE };
struct h1_request_head {
    struct str line, method, target;
    enum http_version version;
    enum h1_framing framing;
    uint64_t length;
    bool keepalive; /* by version and Connection */
};
struct h1_response_head {
    uint16_t status;
    struct str reason;
    enum http_version version;
    enum h1_framing framing; /* by fields alone: the caller knows HEAD, 1xx, 204, 304 */
    uint64_t length;
    bool keepalive;
};
/*
 * Parses a complete head. NULL: good, slices of `head` in *out and *fields. Else what is wrong (constant text for
 * the log, to follow "client sent" or "upstream sent"; *status: 400, 500, 501, 505). Refuses what ARCHITECTURE.md 8 names: two lengths, length with chunked, odd
 * transfer codings, bare CR, NUL, space before the colon, folding, control bytes.
 */
const char *h1_parse_request(struct str head, const struct h1_limits *limits,
                             struct h1_request_head *out, struct fields *fields, int *status);
/*
 * The same for the start of a head that has not come completely: a bad first line is answered at once, not after the
 * time for the rest. out->line is set as far as it has come.
 */
const char *h1_check_start(struct str bytes, struct h1_request_head *out, int *status);
const char *h1_parse_response(struct str head, struct h1_response_head *out, struct fields *fields);

/* Chunked transfer coding (RFC 9112, 7.1), any splitting of input; extensions and trailers are bounded. */
struct h1_chunked {
    uint8_t state;
    uint64_t left;    /* of the current chunk */
    uint32_t skipped; /* bytes of extensions and trailers so far: bounded */
    uint32_t digits;
    struct fields *trailers; /* filled when not NULL (copied into its arena); else skipped */
    struct text *line;       /* a trailer line under way; made when needed */
};
enum h1_chunk { CHUNK_DATA, CHUNK_MORE, CHUNK_END, CHUNK_BAD };
/* Takes bytes off the front of *in. DATA: the next run of body bytes (a slice of in); MORE: all was used up. */
enum h1_chunk h1_chunk_next(struct h1_chunked *c, struct str *in, struct str *data);
/* Bytes of the current chunk that may be read past this decoder (splice, direct reads), and telling it so. */
uint64_t h1_chunk_left(const struct h1_chunked *c);
void h1_chunk_passed(struct h1_chunked *c, uint64_t n);

/* "HTTP/1.1 200 OK\r\n" */
struct str h1_status_line(uint16_t status);

/* ---- the codec ---- */
extern const struct codec h1_codec;

#endif
