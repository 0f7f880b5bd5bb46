/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_parse.c - heads of requests and responses (RFC 9112, 2 to 6). Pure: bytes in, slices of them out.
 *
 * A head is looked at in wide steps: one scan finds its end when it has come completely, one more finds the end of each
 * line and at the same time what may not stand in it. What could be read in two ways is refused, never guessed: two
 * parsers in a row that guess differently are how requests are smuggled. nginx's leniencies that are safe stay: a lone LF
 * ends a line, several spaces separate the parts of the request line, odd field names are dropped.
 */
#include "worker/h1/h1.h"

#include "common/base/num.h"
#include "common/base/word.h"
#include "worker/h1/h1_scan.h"

/* ---- where a head ends ---- */

/* Whether the LF at `p` ends a blank line: CR or nothing stands between it and the one before, at or behind `start`. */
static inline bool
ends_blank_line(const char *p, const char *start)
{
    if (p - start >= 1 && p[-1] == '\n')
        return true;
    return p - start >= 2 && p[-1] == '\r' && p[-2] == '\n';
}

enum { BLOCK = 2 * SCAN_STEP };

/* Behind the first LF in `feeds` (a bit per byte at p) that ends a blank line; NULL: none does. *carry: the LFs among the
 * two bytes before p, in bit 1 the nearer one; becomes that of the block behind. */
static inline const char *
blank_line_in(uint64_t feeds, uint64_t *carry, const char *p, const char *start)
{
    uint64_t near = feeds << 2 | *carry; /* an LF two bytes before each byte; >> 1: one before */
    uint64_t ends = feeds & (near | near >> 1);

    *carry = feeds >> (BLOCK - 2);
    for (; UNLIKELY(ends != 0); ends &= ends - 1) {
        const char *at = p + __builtin_ctzll(ends);

        if (ends_blank_line(at, start))
            return at + 1;
    }
    return NULL;
}

/* Bits of the LFs among the n < BLOCK bytes with which `bytes` ends. */
static uint64_t
feeds_at_end(struct str bytes, size_t n)
{
    const char *p = bytes.ptr + bytes.len - n;
    uint64_t feeds = 0;
    size_t i = 0;

    if (n >= SCAN_STEP) {
        feeds = scan_mask(scan_load(p), '\n', false);
        i = SCAN_STEP;
    }
    if (i < n && bytes.len >= SCAN_STEP)
        return feeds | (uint64_t)(scan_mask(scan_load(p + n - SCAN_STEP), '\n', false) >>
                                  (i + SCAN_STEP - n))
                           << i;
    for (; i < n; i++)
        feeds |= (uint64_t)(p[i] == '\n') << i;
    return feeds;
}

size_t
h1_head_end(struct str bytes, size_t *scanned)
{
    const char *p = bytes.ptr, *end = bytes.ptr + bytes.len, *start, *found = NULL;
    uint64_t carry = 0, feeds;

    while (p < end && (*p == '\r' || *p == '\n'))
        p++; /* empty lines in front (RFC 9112, 2.2) end nothing */
    start = p;
    if (*scanned > (size_t)(p - bytes.ptr))
        p = bytes.ptr + *scanned;

    for (; found == NULL && end - p >= BLOCK; p += BLOCK) {
        feeds = scan_mask(scan_load(p), '\n', false);
        feeds |= (uint64_t)scan_mask(scan_load(p + SCAN_STEP), '\n', false) << SCAN_STEP;
        found = blank_line_in(feeds, &carry, p, start);
    }
    if (found == NULL)
        found = blank_line_in(feeds_at_end(bytes, (size_t)(end - p)), &carry, p, start);
    if (found != NULL)
        return (size_t)(found - bytes.ptr);
    /* the last two bytes are looked at again: an LF there may have its successors still to come */
    *scanned = end - start > 2 ? bytes.len - 2 : (size_t)(start - bytes.ptr);
    return 0;
}

/* ---- lines ---- */

/*
 * The line that begins at `p`: its end (CR LF or LF not included) or NULL when a control byte stands in it. *next is the
 * line behind it. A line without its LF, which a complete head has not, is refused too.
 */
static const char *
line_end(const char *p, const char *end, const char **next)
{
    const char *e = scan_control(p, end);

    if (e < end && *e == '\n') {
        *next = e + 1;
        return e;
    }
    if (end - e >= 2 && e[0] == '\r' && e[1] == '\n') {
        *next = e + 2;
        return e;
    }
    return NULL;
}

static const char *
skip_spaces(const char *p, const char *end)
{
    while (p < end && *p == ' ')
        p++;
    return p;
}

static bool
is_method_byte(char c)
{
    return (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1" and up to two digits more behind the point, as nginx has it. 0: not a version; 1: one we do not speak. */
static enum http_version
parse_version(struct str s)
{
    unsigned major = 0, minor = 0;
    size_t i = 5;

    if (s.len == 8 && word_load(s.ptr) == word_load("HTTP/1.1"))
        return HTTP_11;
    if (!str_starts(s, S("HTTP/")) || s.len < 8 || s.ptr[5] == '0')
        return 0;
    for (; i < s.len && i < 7 && is_digit(s.ptr[i]); i++)
        major = major * 10 + (unsigned)(s.ptr[i] - '0');
    if (i == 5 || i + 1 >= s.len || s.len > i + 4 || s.ptr[i++] != '.')
        return 0;
    for (; i < s.len; i++) {
        if (!is_digit(s.ptr[i]))
            return 0;
        minor = minor * 10 + (unsigned)(s.ptr[i] - '0');
    }
    if (major != 1)
        return 1;
    return minor == 0 ? HTTP_10 : HTTP_11;
}

/* The request line in [p, end): method, target, version. */
static const char *
parse_request_line(const char *p, const char *end, struct h1_request_head *out, int *status)
{
    const char *at = p;

    out->line = str_n(p, (size_t)(end - p));
    while (at < end && is_method_byte(*at))
        at++;
    out->method = str_n(p, (size_t)(at - p));
    if (at == p || at == end || *at != ' ')
        return "invalid method";

    p = skip_spaces(at, end);
    at = scan_byte(p, end, ' ');
    out->target = str_n(p, (size_t)(at - p));
    if (at == p || scan_byte(p, at, '\t') != at)
        return "invalid request";

    p = skip_spaces(at, end);
    while (end > p && end[-1] == ' ')
        end--;
    out->version = parse_version(str_n(p, (size_t)(end - p)));
    if (out->version == 0)
        return "invalid request"; /* nginx differs: HTTP/0.9 is not served */
    if (out->version == 1) {
        *status = 505;
        return "invalid version";
    }
    return NULL;
}

/* Steps over empty lines in front of the request line; NULL: a CR that no LF follows. */
static const char *
skip_empty_lines(const char *p, const char *end)
{
    while (p < end && (*p == '\r' || *p == '\n')) {
        if (*p == '\r' && end - p >= 2 && p[1] != '\n')
            return NULL;
        p++;
    }
    return p;
}

/* A line that is no good, for the log. */
static struct str
line_as_sent(const char *p, const char *end)
{
    const char *e = scan_byte(p, end, '\n');

    return str_n(p, (size_t)(e - p) - (e > p && e[-1] == '\r'));
}

const char *
h1_check_start(struct str bytes, struct h1_request_head *out, int *status)
{
    const char *end = bytes.ptr + bytes.len;
    const char *p = skip_empty_lines(bytes.ptr, end), *e, *next;

    *status = 400;
    if (p == NULL)
        return "invalid request";
    if (scan_byte(p, end, '\n') != end) {
        e = line_end(p, end, &next);
        out->line = line_as_sent(p, end);
        return e != NULL ? parse_request_line(p, e, out, status) : "invalid request";
    }
    for (e = p; e < end && is_method_byte(*e); e++)
        ;
    out->line = line_as_sent(p, end);
    return e < end && (e == p || *e != ' ') ? "invalid method" : NULL;
}

/* ---- fields ---- */

/* What a byte in a field name does to it. */
enum name_byte {
    NAME_BAD = 0, /* controls and spaces: the line is refused */
    NAME_GOOD,    /* letters, digits, '-' */
    NAME_UNDERSCORE,
    NAME_TOKEN, /* allowed by RFC 9110, 5.6.2, odd for nginx */
    NAME_ODD,   /* the rest */
};

static uint8_t name_bytes[256];

__attribute__((constructor)) static void
name_bytes_make(void)
{
    for (unsigned c = 0x21; c < 256; c++) {
        char one = (char)c;
        char lower = char_lower(one);

        if ((lower >= 'a' && lower <= 'z') || is_digit(one) || one == '-')
            name_bytes[c] = NAME_GOOD;
        else if (one == '_')
            name_bytes[c] = NAME_UNDERSCORE;
        else if (field_name_valid(str_n(&one, 1)))
            name_bytes[c] = NAME_TOKEN;
        else
            name_bytes[c] = c == 0x7f ? NAME_BAD : NAME_ODD;
    }
}

/* The worst byte of a name that is not one of the known ones. */
static enum name_byte
name_kind(struct str name)
{
    enum name_byte worst = NAME_GOOD;

    if (name.len == 0)
        return NAME_BAD;
    for (size_t i = 0; i < name.len; i++) {
        enum name_byte b = name_bytes[(unsigned char)name.ptr[i]];

        if (b == NAME_BAD)
            return NAME_BAD;
        if (b > worst)
            worst = b;
    }
    return worst;
}

struct field_line {
    enum field_id id;
    enum name_byte kind; /* how good the name of an unknown field is */
    struct str name, value;
};

static inline bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The field line at *at, which moves behind it.
 * nginx differs: it takes a line without a colon for a name, and control bytes for parts of a value. */
static inline __attribute__((always_inline)) const char *
parse_field(const char **at, const char *end, struct field_line *f)
{
    const char *from = scan_first(*at, end, ':', false), *to;

    f->name = str_n(*at, (size_t)(from - *at));
    f->id = field_id(f->name);
    f->kind = LIKELY(f->id != FIELD_OTHER) ? NAME_GOOD : name_kind(f->name);
    if (from == end || f->kind == NAME_BAD)
        return "invalid header line"; /* no colon, a space before it, folding, controls */

    for (from++; from < end && is_blank(*from); from++)
        ;
    to = scan_first(from, end, 0, true);
    if (end - to >= 2 && to[0] == '\r' && to[1] == '\n')
        *at = to + 2;
    else if (to < end && *to == '\n')
        *at = to + 1;
    else
        return "control character in header line";
    while (to > from && is_blank(to[-1]))
        to--;
    f->value = str_n(from, (size_t)(to - from));
    return NULL;
}

/* Whether the blank line that ends a head begins at `p`; then it is the last thing in it. */
static inline bool
is_blank_line(const char *p, const char *end)
{
    return (end - p == 1 && p[0] == '\n') || (end - p == 2 && p[0] == '\r' && p[1] == '\n');
}

static const char *
parse_request_fields(const char *p, const char *end, const struct h1_limits *limits,
                     struct fields *fields, int *status)
{
    uint32_t count = 0;

    while (!is_blank_line(p, end)) {
        struct field_line f;
        const char *why = parse_field(&p, end, &f);

        if (why != NULL)
            return why;
        if (++count > limits->max_fields)
            return "too many header lines";
        if (f.kind == NAME_ODD && !limits->ignore_invalid_names)
            return "invalid header line"; /* nginx differs: it takes any name then */
        if (limits->ignore_invalid_names &&
            (f.kind > NAME_UNDERSCORE || (f.kind == NAME_UNDERSCORE && !limits->underscores)))
            continue;
        if (fields_add(fields, f.id, f.name, f.value) == NULL) {
            *status = 500;
            return "no memory for header lines";
        }
    }
    return NULL;
}

/* ---- framing (RFC 9112, 6) ---- */

/* Digits only, and no more than a file can have. */
static bool
parse_length(struct str value, uint64_t *length)
{
    return num_parse_u64(value, length) && *length <= INT64_MAX;
}

/* What the two framing fields say. NULL: good. *unknown: a transfer coding that we do not know. */
static const char *
parse_framing(const struct fields *fields, enum h1_framing *framing, uint64_t *length,
              bool *unknown)
{
    const struct field *len = fields_get(fields, FIELD_CONTENT_LENGTH);
    const struct field *te = fields_get(fields, FIELD_TRANSFER_ENCODING);

    if (len != NULL && te != NULL)
        return "\"Content-Length\" and \"Transfer-Encoding\" headers at the same time";
    if (len != NULL) {
        if (fields_more(fields, len) != NULL)
            return "duplicate \"Content-Length\" header";
        if (!parse_length(len->value, length))
            return "invalid \"Content-Length\" header";
        *framing = H1_LENGTH;
    }
    if (te != NULL) {
        if (fields_more(fields, te) != NULL)
            return "duplicate \"Transfer-Encoding\" header";
        if (!str_eq_nocase(te->value, S("chunked"))) {
            *unknown = true;
            return "unknown \"Transfer-Encoding\" header";
        }
        *framing = H1_CHUNKED;
    }
    return NULL;
}

/* RFC 9112, 9.3. */
static bool
parse_keepalive(const struct fields *fields, enum http_version version)
{
    unsigned said = fields_connection(fields);

    return !(said & CONNECTION_CLOSE) && (version == HTTP_11 || (said & CONNECTION_KEEP_ALIVE));
}

/* ---- heads ---- */

const char *
h1_parse_request(struct str head, const struct h1_limits *limits, struct h1_request_head *out,
                 struct fields *fields, int *status)
{
    const char *end = head.ptr + head.len;
    const char *p = skip_empty_lines(head.ptr, end), *e, *next, *why;
    bool unknown = false;

    *out = (struct h1_request_head){ .framing = H1_NO_BODY };
    *status = 400;
    if (p == NULL)
        return "invalid request";
    e = line_end(p, end, &next);
    out->line = e != NULL ? str_n(p, (size_t)(e - p)) : line_as_sent(p, end);
    if (e == NULL)
        return "invalid request";
    why = parse_request_line(p, e, out, status);
    if (why != NULL)
        return why;

    why = parse_request_fields(next, end, limits, fields, status);
    if (why == NULL)
        why = parse_framing(fields, &out->framing, &out->length, &unknown);
    if (why != NULL) {
        if (unknown && out->version == HTTP_11)
            *status = 501;
        return why;
    }
    if (out->framing == H1_CHUNKED && out->version == HTTP_10)
        return "\"Transfer-Encoding\" header in HTTP/1.0";
    out->keepalive = parse_keepalive(fields, out->version);
    return NULL;
}

/* "HTTP/1.1 200 OK" in [p, end). */
static const char *
parse_status_line(const char *p, const char *end, struct h1_response_head *out)
{
    const char *space = scan_byte(p, end, ' ');

    out->version = parse_version(str_n(p, (size_t)(space - p)));
    if (out->version != HTTP_10 && out->version != HTTP_11)
        return "no valid HTTP/1.x status line";
    p = skip_spaces(space, end);
    if (end - p < 3 || !is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]) || p[0] == '0' ||
        (end - p > 3 && p[3] != ' '))
        return "invalid status";
    out->status = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
    p = skip_spaces(p + 3, end);
    out->reason = str_trim(str_n(p, (size_t)(end - p)));
    return NULL;
}

const char *
h1_parse_response(struct str head, struct h1_response_head *out, struct fields *fields)
{
    const char *end = head.ptr + head.len;
    const char *next, *e = line_end(head.ptr, end, &next);
    const char *why;
    bool unknown = false;

    *out = (struct h1_response_head){ .framing = H1_UNTIL_CLOSE };
    why = e != NULL ? parse_status_line(head.ptr, e, out) : "no valid HTTP/1.x status line";
    if (why != NULL)
        return why;

    while (!is_blank_line(next, end)) {
        struct field_line f;

        why = parse_field(&next, end, &f);
        if (why != NULL)
            return why;
        /* nginx differs: it passes a name on that is none (RFC 9110, 5.1) */
        if (f.kind == NAME_ODD)
            continue;
        if (fields_add(fields, f.id, f.name, f.value) == NULL)
            return "too many header lines";
    }
    why = parse_framing(fields, &out->framing, &out->length, &unknown);
    if (why != NULL)
        return why;
    /* RFC 9112, 6.1: chunks from HTTP/1.0 are believed for this message only */
    out->keepalive = parse_keepalive(fields, out->version) &&
                     !(out->framing == H1_CHUNKED && out->version == HTTP_10);
    return NULL;
}
