/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * h1_write.c - response heads, 1xx responses and chunk framing as bytes. Pure.
 *
 * Everything is generated from the parsed or configured parts. Values are checked when they are written: whatever way a
 * control byte came in, it does not get out.
 */
#include "worker/h1/h1_write.h"

#include "worker/h1/h1.h"
#include "worker/h1/h1_scan.h"
#include "worker/http/date.h"

enum { STATUS_FIRST = 100, STATUS_COUNT = 500 };

static const struct str lines[STATUS_COUNT] = {
#define STATUS(code, phrase) [code - STATUS_FIRST] = S_INIT("HTTP/1.1 " #code " " phrase "\r\n"),
#include "worker/http/status.def"
#undef STATUS
};

struct str
h1_status_line(uint16_t status)
{
    static char other[] = "HTTP/1.1 000 \r\n";

    /* nginx tells these apart inside only */
    if (status >= 494 && status <= 497)
        status = 400;
    if (status >= STATUS_FIRST && status < STATUS_FIRST + STATUS_COUNT &&
        lines[status - STATUS_FIRST].ptr != NULL)
        return lines[status - STATUS_FIRST];
    other[9] = (char)('0' + status / 100 % 10);
    other[10] = (char)('0' + status / 10 % 10);
    other[11] = (char)('0' + status % 10);
    return str_n(other, sizeof(other) - 1);
}

/* What origins send most often: the phrase that we would have written. */
static bool
is_usual_reason(uint16_t status, struct str reason)
{
    struct str line = status < 494 ? h1_status_line(status) : STR_NONE;

    return line.len == reason.len + 15 && memcmp(line.ptr + 13, reason.ptr, reason.len) == 0;
}

static bool
is_clean(struct str s)
{
    return s.len == 0 || scan_control(s.ptr, s.ptr + s.len) == s.ptr + s.len;
}

static void
write_status_line(struct text *t, const struct response *res)
{
    if (res->reason.len == 0 || is_usual_reason(res->status, res->reason) ||
        !is_clean(res->reason)) {
        text_add(t, h1_status_line(res->status));
        return;
    }
    TEXT_LIT(t, "HTTP/1.1 ");
    text_pad(t, res->status % 1000, 3);
    text_char(t, ' ');
    text_add(t, res->reason);
    TEXT_LIT(t, "\r\n");
}

static void
write_line(struct text *t, struct str name, struct str value)
{
    if (is_clean(value))
        field_line(t, name, value);
}

/* A known name is what field_names.def has for it; others may be anything. */
static void
write_field(struct text *t, const struct field *f)
{
    if (f->id != FIELD_OTHER || (f->name.len > 0 && is_clean(f->name)))
        write_line(t, f->name, f->value);
}

/* What the head has at a place of its own, or what framing forbids to pass. */
static bool
has_own_place(const struct response *res, enum field_id id)
{
    switch (id) {
    case FIELD_CONTENT_TYPE:
        return res->content_type.len > 0;
    case FIELD_ETAG:
        return res->etag.len > 0;
    case FIELD_SERVER:
    case FIELD_DATE:
    case FIELD_LAST_MODIFIED:
    case FIELD_LOCATION:
        return true;
    default:
        return field_is_framing(id);
    }
}

static void
write_known(struct text *t, const struct fields *fields, enum field_id id)
{
    for (const struct field *f = fields_get(fields, id); f != NULL; f = fields_more(fields, f))
        write_field(t, f);
}

static void
write_content(struct text *t, const struct h1_head *h)
{
    const struct response *res = h->res;

    if (res->content_type.len > 0 && is_clean(res->content_type) && is_clean(res->charset)) {
        TEXT_LIT(t, "Content-Type: ");
        text_add(t, res->content_type);
        if (res->charset.len > 0) {
            TEXT_LIT(t, "; charset=");
            text_add(t, res->charset);
        }
        TEXT_LIT(t, "\r\n");
    }
    if (h->ending == H1_END_LENGTH) {
        TEXT_LIT(t, "Content-Length: ");
        text_unum(t, res->length > 0 ? (uint64_t)res->length : 0);
        TEXT_LIT(t, "\r\n");
    }
    if (res->last_modified >= 0)
        field_line(t, S("Last-Modified"), date_text(res->last_modified));
    else
        write_known(t, &res->fields, FIELD_LAST_MODIFIED);
}

static void
write_connection(struct text *t, const struct h1_head *h)
{
    if (h->ending == H1_END_CHUNKED)
        TEXT_LIT(t, "Transfer-Encoding: chunked\r\n");
    if (h->res->tunnel) {
        if (h->res->status == 101)
            TEXT_LIT(t, "Connection: upgrade\r\n");
        return;
    }
    if (!h->keepalive) {
        TEXT_LIT(t, "Connection: close\r\n");
        return;
    }
    TEXT_LIT(t, "Connection: keep-alive\r\n");
    if (h->keepalive_s > 0) {
        TEXT_LIT(t, "Keep-Alive: timeout=");
        text_unum(t, h->keepalive_s);
        TEXT_LIT(t, "\r\n");
    }
}

void
h1_write_head(struct text *t, const struct h1_head *h)
{
    const struct response *res = h->res;
    const struct fields *fields = &res->fields;
    const struct field *f;
    uint32_t i = 0;

    write_status_line(t, res);
    if (fields_get(fields, FIELD_SERVER) != NULL)
        write_known(t, fields, FIELD_SERVER);
    else if (!res->without_server)
        text_add(t, h->server_line);
    if (fields_get(fields, FIELD_DATE) != NULL) {
        write_known(t, fields, FIELD_DATE);
    } else {
        field_line(t, S("Date"), h->date);
    }
    write_content(t, h);
    write_known(t, fields, FIELD_LOCATION);
    write_connection(t, h);
    if (res->etag.len > 0)
        write_line(t, S("ETag"), res->etag);
    while ((f = fields_each(fields, &i)) != NULL) {
        if (!has_own_place(res, f->id))
            write_field(t, f);
    }
    TEXT_LIT(t, "\r\n");
}

void
h1_write_inform(struct text *t, const struct response *info)
{
    const struct field *f;
    uint32_t i = 0;

    write_status_line(t, info);
    while ((f = fields_each(&info->fields, &i)) != NULL) {
        if (!has_own_place(info, f->id) || f->id == FIELD_LOCATION)
            write_field(t, f);
    }
    TEXT_LIT(t, "\r\n");
}

void
h1_write_last_chunk(struct text *t, const struct fields *trailers)
{
    const struct field *f;
    uint32_t i = 0;

    TEXT_LIT(t, "0\r\n");
    while (trailers != NULL && (f = fields_each(trailers, &i)) != NULL)
        write_field(t, f);
    TEXT_LIT(t, "\r\n");
}

unsigned
h1_chunk_size_before(char *data, uint64_t size)
{
    char *p = data;

    *--p = '\n';
    *--p = '\r';
    do {
        *--p = "0123456789abcdef"[size & 15];
        size >>= 4;
    } while (size > 0);
    return (unsigned)(data - p);
}
