/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_chunk.c - decodes the chunked transfer coding (RFC 9112, 7.1), however its bytes are split. Pure.
 *
 * Lines of the coding end with CR LF and nothing else: a parser in front of us that takes a lone LF in an extension for
 * text would see other chunks than we do (nginx differs: it accepts it). Trailer fields are fields: there a lone LF is as
 * good. What is skipped is bounded: bytes of extensions are paid for with bytes of body.
 */
#include "worker/h1/h1.h"

#include "common/base/escape.h"
#include "worker/h1/h1_scan.h"

enum {
    DIGITS_MAX = 32,     /* of one size, leading zeros included */
    SKIPPED_MAX = 16384, /* bytes of extensions not yet paid for by body, of all trailers */
    TRAILERS_MAX = 256,  /* fields kept */
};

/* What comes next. SIZE is 0: a zeroed decoder is a new one. */
enum chunk_state {
    CHUNK_SIZE,    /* digits of a size */
    CHUNK_BLANK,   /* spaces behind the digits */
    CHUNK_EXT,     /* an extension, up to CR */
    CHUNK_SIZE_LF, /* its LF */
    CHUNK_BODY,    /* `left` bytes */
    CHUNK_BODY_CR, /* the CR LF behind them */
    CHUNK_BODY_LF,
    CHUNK_TRAILER,  /* at the start of a trailer line or the final blank one */
    CHUNK_NAME,     /* in a trailer line, before its colon */
    CHUNK_VALUE,    /* behind the colon */
    CHUNK_LINE_LF,  /* CR came: the LF of a trailer line */
    CHUNK_FINAL_LF, /* CR of the blank line came */
    CHUNK_FINISHED,
    CHUNK_BROKEN,
};

static bool
chunk_skip(struct h1_chunked *c)
{
    return ++c->skipped <= SKIPPED_MAX;
}

/* The line of a size has ended. */
static void
chunk_begin(struct h1_chunked *c)
{
    c->digits = 0;
    if (c->left == 0) {
        c->state = CHUNK_TRAILER;
        return;
    }
    c->state = CHUNK_BODY;
    c->skipped = c->left >= c->skipped ? 0 : c->skipped - (uint32_t)c->left;
}

static bool
chunk_size_byte(struct h1_chunked *c, char byte)
{
    int digit = hex_digit(byte);

    if (digit >= 0) {
        if (c->digits == 0)
            c->left = 0;
        if (++c->digits > DIGITS_MAX || c->left > (UINT64_MAX >> 5))
            return false;
        c->left = c->left << 4 | (unsigned)digit;
        return true;
    }
    if (c->digits == 0)
        return false;
    c->state = byte == '\r' ? CHUNK_SIZE_LF : byte == ';' ? CHUNK_EXT : CHUNK_BLANK;
    return byte == '\r' || byte == ';' || byte == ' ' || byte == '\t';
}

static bool
chunk_blank_byte(struct h1_chunked *c, char byte)
{
    if (byte == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (byte == ';')
        c->state = CHUNK_EXT;
    else if (byte != ' ' && byte != '\t')
        return false;
    return chunk_skip(c);
}

static bool
chunk_ext_byte(struct h1_chunked *c, char byte)
{
    if (byte == '\r') {
        c->state = CHUNK_SIZE_LF;
        return true;
    }
    return !scan_is_control((unsigned char)byte) && chunk_skip(c);
}

/* ---- trailers ---- */

/* Fields that may not come behind a body (RFC 9110, 6.5.1): framing, routing, control. */
static bool
trailer_allowed(enum field_id id)
{
    switch (id) {
    case FIELD_TRANSFER_ENCODING:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONTENT_ENCODING:
    case FIELD_CONTENT_RANGE:
    case FIELD_CONTENT_TYPE:
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_UPGRADE:
    case FIELD_HOST:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_AUTHORIZATION:
    case FIELD_COOKIE:
    case FIELD_SET_COOKIE:
    case FIELD_LOCATION:
        return false;
    default:
        return true;
    }
}

/* Keeps a trailer line whose end has come. Too little memory loses the trailer, not the body. */
static void
trailer_keep(struct h1_chunked *c)
{
    struct str line, name, value;
    enum field_id id;
    size_t colon;

    if (c->trailers == NULL || c->line == NULL)
        return;
    line = text_str(c->line);
    if (line.ptr != NULL && c->trailers->n < TRAILERS_MAX) {
        colon = str_find(line, ':');
        name = str_upto(line, colon);
        value = str_trim(str_from(line, colon + 1));
        id = field_id(name);
        line = trailer_allowed(id) ? arena_str(c->trailers->arena, name) : STR_NONE;
        value = line.ptr != NULL ? arena_str(c->trailers->arena, value) : STR_NONE;
        if (value.ptr != NULL)
            fields_add(c->trailers, id, line, value);
    }
    c->line->len = 0;
    c->line->failed = false;
}

static void
trailer_take(struct h1_chunked *c, char byte)
{
    if (c->trailers == NULL)
        return;
    if (c->line == NULL) {
        c->line = ARENA_NEW(c->trailers->arena, struct text);
        if (c->line == NULL)
            return;
        text_init(c->line, c->trailers->arena);
    }
    text_char(c->line, byte);
}

static bool
trailer_byte(struct h1_chunked *c, char byte)
{
    char lone = byte;

    switch ((enum chunk_state)c->state) {
    case CHUNK_TRAILER:
        if (byte == '\r' || byte == '\n') {
            c->state = byte == '\r' ? CHUNK_FINAL_LF : CHUNK_FINISHED;
            return true;
        }
        c->state = CHUNK_NAME;
        if (!field_name_valid(str_n(&lone, 1)))
            return false;
        break;
    case CHUNK_NAME:
        if (byte == ':')
            c->state = CHUNK_VALUE;
        else if (!field_name_valid(str_n(&lone, 1)))
            return false;
        break;
    case CHUNK_VALUE:
        if (byte == '\r') {
            c->state = CHUNK_LINE_LF;
            return true;
        }
        if (byte == '\n') {
            trailer_keep(c);
            c->state = CHUNK_TRAILER;
            return true;
        }
        if (scan_is_control((unsigned char)byte))
            return false;
        break;
    default:
        return false;
    }
    trailer_take(c, byte);
    return chunk_skip(c);
}

/* ---- */

static bool
chunk_byte(struct h1_chunked *c, char byte)
{
    switch ((enum chunk_state)c->state) {
    case CHUNK_SIZE:
        return chunk_size_byte(c, byte);
    case CHUNK_BLANK:
        return chunk_blank_byte(c, byte);
    case CHUNK_EXT:
        return chunk_ext_byte(c, byte);
    case CHUNK_SIZE_LF:
        chunk_begin(c);
        return byte == '\n';
    case CHUNK_BODY_CR:
        c->state = CHUNK_BODY_LF;
        return byte == '\r';
    case CHUNK_BODY_LF:
        c->state = CHUNK_SIZE;
        return byte == '\n';
    case CHUNK_TRAILER:
    case CHUNK_NAME:
    case CHUNK_VALUE:
        return trailer_byte(c, byte);
    case CHUNK_LINE_LF:
        trailer_keep(c);
        c->state = CHUNK_TRAILER;
        return byte == '\n';
    case CHUNK_FINAL_LF:
        c->state = CHUNK_FINISHED;
        return byte == '\n';
    case CHUNK_BODY:
    case CHUNK_FINISHED:
    case CHUNK_BROKEN:
        break;
    }
    return false;
}

enum h1_chunk
h1_chunk_next(struct h1_chunked *c, struct str *in, struct str *data)
{
    for (;;) {
        if (c->state == CHUNK_FINISHED)
            return CHUNK_END;
        if (c->state == CHUNK_BROKEN)
            return CHUNK_BAD;
        if (in->len == 0)
            return CHUNK_MORE;
        if (c->state == CHUNK_BODY) {
            *data = str_upto(*in, c->left < in->len ? (size_t)c->left : in->len);
            *in = str_from(*in, data->len);
            h1_chunk_passed(c, data->len);
            return CHUNK_DATA;
        }
        if (!chunk_byte(c, *in->ptr))
            c->state = CHUNK_BROKEN;
        *in = str_from(*in, 1);
    }
}

uint64_t
h1_chunk_left(const struct h1_chunked *c)
{
    return c->state == CHUNK_BODY ? c->left : 0;
}

void
h1_chunk_passed(struct h1_chunked *c, uint64_t n)
{
    c->left -= n;
    if (c->left == 0)
        c->state = CHUNK_BODY_CR;
}
