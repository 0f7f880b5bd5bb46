/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy_request.c - what the request to an HTTP/1 origin says: proxy_set_header, and the head as bytes.
 *
 * Behind its first line the head has the fields of proxy_set_header, made at load to runs of constant lines with the
 * variable ones between them; then Host and Connection unless they were set; the body's framing, which is always ours; and
 * what is taken over from the client.
 */
#include "common/base/escape.h"
#include "worker/proxy/proxy.h"

/* Constant lines, or one field that is made for each request. */
struct head_part {
    struct str lines;
    const struct proxy_field *field; /* NULL: lines, or */
    bool host;                       /* Host of a URL that is known only then */
};

/* ---- at load ---- */

bool
proxy_set_field(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct proxy_conf *c = conf;
    struct proxy_field *f;

    if (c->fields.size == 0)
        vec_init(&c->fields, conf_arena(l), sizeof(*f));
    if (!field_name_valid(n->args[1]))
        return conf_fail(l, n, 1, "invalid field name \"%.*s\"", STR(n->args[1]));
    if (!field_value_valid(n->args[2]))
        return conf_fail(l, n, 2, "invalid field value");
    f = VEC_PUSH(&c->fields, struct proxy_field);
    if (f == NULL)
        return conf_fail(l, n, 0, "no memory");
    f->name = n->args[1];
    return template_compile(l, n, 2, n->args[2], &f->value);
}

/* Fields of one connection (RFC 9110, 7.6.1), and those that are made anew for the origin. Trailers are not passed on. */
static const char *const never_passed[] = {
    "Connection", "Keep-Alive",     "Proxy-Connection", "Transfer-Encoding",
    "TE",         "Upgrade",        "Content-Length",   "Expect",
    "Host",       "HTTP2-Settings", "Trailer",          NULL,
};

static bool
make_dropped(struct arena *a, struct proxy_conf *c)
{
    c->dropped = ARENA_NEW(a, struct name_set);
    if (c->dropped == NULL)
        return false;
    for (const char *const *n = never_passed; *n != NULL; n++)
        if (!name_set_add(c->dropped, a, str_c(*n)))
            return false;
    VEC_FOREACH (f, struct proxy_field, &c->fields)
        if (!name_set_add(c->dropped, a, f->name))
            return false;
    return true;
}

/* Ends a run of constant lines. */
static bool
push_lines(struct proxy_conf *c, struct text *run, struct arena *a)
{
    struct head_part *part;

    if (run->len == 0)
        return !run->failed;
    part = VEC_PUSH(&c->head, struct head_part);
    if (part == NULL || run->failed)
        return false;
    part->lines = text_str(run);
    text_init(run, a);
    return true;
}

static bool
push_field(struct proxy_conf *c, const struct proxy_field *f)
{
    struct head_part *part = VEC_PUSH(&c->head, struct head_part);

    if (part == NULL)
        return false;
    part->field = f;
    part->host = f == NULL;
    return true;
}

/* nginx differs: what these say there goes out as it is, whatever body follows. */
static bool
frames_body(enum field_id id)
{
    return id == FIELD_CONTENT_LENGTH || id == FIELD_TRANSFER_ENCODING;
}

static bool
add_set_fields(struct proxy_conf *c, struct text *run, struct arena *a, bool *has_host,
               bool *has_connection)
{
    VEC_FOREACH (f, struct proxy_field, &c->fields) {
        enum field_id id = field_id(f->name);
        bool constant = template_is_const(&f->value);

        *has_host |= id == FIELD_HOST;
        *has_connection |= id == FIELD_CONNECTION;
        if (id == FIELD_CONTENT_LENGTH)
            c->hides_length = constant && f->value.text.len == 0;
        if (frames_body(id) || (constant && f->value.text.len == 0))
            continue;
        if (constant) {
            c->asks_upgrade |= id == FIELD_UPGRADE;
            field_line(run, f->name, f->value.text);
        } else if (!push_lines(c, run, a) || !push_field(c, f)) {
            return false;
        }
    }
    return true;
}

static bool
make_head(struct arena *a, struct proxy_conf *c)
{
    bool has_host = false, has_connection = false;
    bool url_known = c->pass.set && template_is_const(&c->pass);
    struct text run;

    text_init(&run, a);
    vec_init(&c->head, a, sizeof(struct head_part));
    c->hides_length = c->asks_upgrade = false;
    if (!add_set_fields(c, &run, a, &has_host, &has_connection))
        return false;
    if (!has_host && url_known)
        field_line(&run, S("Host"), c->url.host_header);
    else if (!has_host && (!push_lines(c, &run, a) || !push_field(c, NULL)))
        return false;
    if (!has_connection && c->http_version == HTTP_10)
        field_line(&run, S("Connection"), S("close"));
    return push_lines(c, &run, a);
}

bool
proxy_request_finish(struct conf_load *l, struct scope *s, struct proxy_conf *c)
{
    struct arena *a = conf_arena(l);

    return (make_dropped(a, c) && make_head(a, c)) || conf_fail_at(l, s->pos, "no memory");
}

/* ---- the target ---- */

/* Bytes that would end the target are encoded: whatever variables bring in, it stays one word. */
static void
add_word(struct text *t, struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if (c > 0x20 && c != 0x7f)
            continue;
        text_add(t, str_upto(s, i));
        text_fmt(t, "%%%02X", c);
        s = str_from(s, i + 1);
        i = (size_t)-1;
    }
    text_add(t, s);
}

/* Whether the URI of proxy_pass takes the place of the location's name. A URI that was rewritten goes as it is. */
static bool
replaces_location(const struct proxy_exchange *p)
{
    const struct request *r = p->origin.r;

    return p->url.uri.len > 0 && str_starts(r->uri, p->conf->location) &&
           (r->located == NULL || r->located == r->uri.ptr);
}

void
proxy_add_target(struct text *t, const struct proxy_exchange *p)
{
    const struct request *r = p->origin.r;

    if (p->url.uri.len > 0 && !template_is_const(&p->conf->pass)) {
        add_word(t, p->url.uri);
        return;
    }
    if (replaces_location(p)) {
        add_word(t, p->url.uri);
        escape_uri(t, str_from(r->uri, p->conf->location.len), ESCAPE_URI_PATH);
    } else if (r->uri_as_sent) {
        text_add(t, r->target);
        return;
    } else {
        escape_uri(t, r->uri, ESCAPE_URI_PATH);
    }
    if (r->args.len > 0) {
        text_char(t, '?');
        add_word(t, r->args);
    }
}

/* ---- the fields ---- */

/* An empty value: the field is not sent. False: the value would break the head apart. */
static bool
add_set_field(struct proxy_exchange *p, struct text *t, const struct proxy_field *f)
{
    size_t before = t->len, from;

    text_add(t, f->name);
    TEXT_LIT(t, ": ");
    from = t->len;
    template_append(&p->origin.r->x, &f->value, t);
    if (t->failed)
        return false;
    if (t->len == from) {
        t->len = before;
        return true;
    }
    if (!field_value_valid(str_n(t->ptr + from, t->len - from))) {
        xlog(&p->origin.r->x, LOG_LEVEL_ERROR, 0, "invalid value of field \"%.*s\" for upstream",
             STR(f->name));
        return false;
    }
    p->sent_upgrade |= str_eq_nocase(f->name, S("Upgrade"));
    TEXT_LIT(t, "\r\n");
    return true;
}

static bool
add_parts(struct proxy_exchange *p, struct text *t)
{
    VEC_FOREACH (part, struct head_part, &p->conf->head) {
        if (part->host)
            field_line(t, S("Host"), p->url.host_header);
        else if (part->field == NULL)
            text_add(t, part->lines);
        else if (!add_set_field(p, t, part->field))
            return false;
    }
    return true;
}

/* RFC 9112, 6: what frames the body is what frames it, whatever the client or the configuration has said. */
static void
add_framing(const struct proxy_exchange *p, struct text *t)
{
    const struct origin *o = &p->origin;

    if (o->body_length > 0) {
        TEXT_LIT(t, "Content-Length: ");
        text_unum(t, (uint64_t)o->body_length);
        TEXT_LIT(t, "\r\n");
    } else if (o->body_length < 0) {
        TEXT_LIT(t, "Transfer-Encoding: chunked\r\n");
    } else if ((o->r->content_length >= 0 || o->r->body_chunked) && !p->conf->hides_length) {
        TEXT_LIT(t, "Content-Length: 0\r\n");
    }
}

static void
add_client_fields(const struct proxy_exchange *p, struct text *t)
{
    const struct fields *fields = &p->origin.r->fields;
    bool nominates = fields_connection(fields) & CONNECTION_NOMINATES;
    struct field *f;

    for (uint32_t i = 0; (f = fields_each(fields, &i)) != NULL;) {
        if (name_set_has(p->conf->dropped, f))
            continue;
        if (nominates && fields_has_token(fields, FIELD_CONNECTION, f->name))
            continue; /* RFC 9110, 7.6.1 */
        field_line(t, f->name, f->value);
    }
}

bool
proxy_write_head(struct proxy_exchange *p, struct text *t)
{
    const struct proxy_conf *c = p->conf;

    p->sent_upgrade = c->asks_upgrade;
    text_add(t, p->method);
    text_char(t, ' ');
    proxy_add_target(t, p);
    if (c->http_version == HTTP_10)
        TEXT_LIT(t, " HTTP/1.0\r\n");
    else
        TEXT_LIT(t, " HTTP/1.1\r\n");
    if (!add_parts(p, t))
        return false;
    add_framing(p, t);
    if (c->origin.pass_request_headers)
        add_client_fields(p, t);
    TEXT_LIT(t, "\r\n");
    return !t->failed;
}
