/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * charset.c - names the charset of a response, and converts its body.
 *
 * A body is converted when it is in another charset than the client is told: from what the response says itself, or else
 * source_charset, to what `charset` or the origin's X-Accel-Charset says. The answer of a subrequest is converted to what
 * the client was told of the page that it becomes a part of.
 *
 * Directives: charset, source_charset, override_charset, charset_map, charset_types.
 */
#include "common/base/num.h"
#include "common/module.h"
#include "worker/core/template.h"
#include "worker/filter/charset_map.h"
#include "worker/http/body.h"
#include "worker/http/filter.h"
#include "worker/http/request.h"
#include "worker/http/type_set.h"

/* One direction of a charset_map. */
struct charset_way {
    struct str from, to;
    struct charset_table *table;
};

/* What holds for the whole configuration. */
struct charset_world {
    struct vec ways;  /* of struct charset_way */
    struct vec names; /* of struct str: all charsets that are named anywhere */
};

struct charset_conf {
    struct charset_world *world;
    struct template charset, source; /* not set, or the constant "off": none */
    bool override;
    struct type_set types;
};

extern struct module charset_module;

enum { BUFFER = 16 * 1024, ROOM_WORTH = 512 /* a consumer's room is used from this size on */ };

static const struct charset_way *
find_way(const struct charset_world *w, struct str from, struct str to)
{
    VEC_FOREACH (way, struct charset_way, &w->ways)
        if (str_eq_nocase(way->from, from) && str_eq_nocase(way->to, to))
            return way;
    return NULL;
}

/* The charset as it is written in the configuration; ptr NULL: it is not named there. */
static struct str
known_name(const struct charset_world *w, struct str name)
{
    VEC_FOREACH (known, struct str, &w->names)
        if (str_eq_nocase(*known, name))
            return *known;
    return STR_NONE;
}

/* ---- the body ---- */

struct charset_source {
    struct source source;
    const struct charset_table *table;
    struct charset_state state;
    struct buf *buf; /* for what is made without room of the consumer's */
    struct batch in; /* what below returned */
    uint8_t in_at;   /* the piece at hand */
    enum pull after; /* what below said last */
    bool over;       /* the end has been made */
};

/* Converts from the pieces at hand; the bytes written. */
static size_t
convert_pieces(struct charset_source *s, char *out, size_t room)
{
    size_t n = 0;

    while (s->in_at < s->in.n && n + CHARSET_CHAR_MAX <= room) {
        struct piece *p = &s->in.piece[s->in_at];
        struct str in = str_n(p->mem, p->len);

        n += charset_convert(s->table, &s->state, &in, out + n, room - n);
        p->mem = in.ptr;
        p->len = in.len;
        if (in.len == 0)
            s->in_at++;
    }
    if (s->in_at == s->in.n && s->after == PULL_END && n < room) {
        n += charset_convert_end(&s->state, out + n);
        s->over = true;
    }
    return n;
}

/* Gives what can be made of the pieces at hand. False: memory. */
static bool
give_converted(struct charset_source *s, struct batch *b)
{
    bool in_room = b->room != NULL && b->room_len >= ROOM_WORTH;
    char *out = b->room;
    size_t n;

    if (!in_room && s->buf == NULL)
        s->buf = buf_get(BUFFER);
    if (!in_room) {
        if (s->buf == NULL)
            return false;
        out = s->buf->mem;
    }
    n = convert_pieces(s, out, in_room ? b->room_len : s->buf->cap);
    if (n == 0)
        return true;
    batch_mem(b, out, n);
    if (in_room) {
        b->room += n;
        b->room_len -= (uint32_t)n;
    }
    return true;
}

static enum pull
charset_pull(struct source *source, struct batch *b)
{
    struct charset_source *s = CONTAINER_OF(source, struct charset_source, source);
    uint8_t before = b->n;

    for (;;) {
        if (s->in_at < s->in.n || (s->after == PULL_END && !s->over)) {
            if (!give_converted(s, b))
                return PULL_FAILED;
            if (b->n > before)
                return s->over ? PULL_END : PULL_MORE;
            continue;
        }
        if (s->after == PULL_END || s->after == PULL_FAILED)
            return s->after;
        s->after = body_pull_mem(source->below, &s->in);
        s->in_at = 0;
        b->flush |= s->in.flush;
        if (s->in.n == 0 && (s->after == PULL_WAIT || s->after == PULL_MORE))
            return s->after;
    }
}

static void
charset_stop(struct source *source, enum stop why)
{
    struct charset_source *s = CONTAINER_OF(source, struct charset_source, source);

    buf_put(s->buf);
    s->buf = NULL;
    source_stop(source->below, why);
}

static const struct source_ops charset_ops = { charset_pull, charset_stop };

static bool
convert_body(struct exchange *x, struct response *res, const struct charset_table *table)
{
    struct charset_source *s;

    if (!charset_table_keeps_length(table)) {
        res->length = -1;
        res->accept_ranges = false;
        fields_remove(&res->fields, FIELD_ACCEPT_RANGES);
    }
    if (res->head_only || res->body == NULL)
        return true;
    s = ARENA_NEW(&x->mem->arena, struct charset_source);
    if (s == NULL)
        return false;
    s->source = (struct source){ .ops = &charset_ops, .x = x };
    s->table = table;
    s->after = PULL_MORE;
    response_wrap(res, &s->source);
    return true;
}

/* ---- the head ---- */

/* The charset that a response says of itself: set by its handler, or a parameter of its type (RFC 9110, 8.3.2). */
static struct str
own_charset(const struct response *res)
{
    struct str rest = res->content_type, part, name;

    if (res->charset.len > 0)
        return res->charset;
    str_split(&rest, ';', &part);
    while (str_split(&rest, ';', &part)) {
        part = str_trim(part);
        if (!str_starts_nocase(part, S("charset=")))
            continue;
        name = str_from(part, 8);
        if (name.len >= 2 && name.ptr[0] == '"' && name.ptr[name.len - 1] == '"')
            name = str_n(name.ptr + 1, name.len - 2);
        return name;
    }
    return STR_NONE;
}

/* The value of a directive; empty: none. False: memory. */
static bool
charset_value(struct exchange *x, const struct template *t, struct str *name)
{
    *name = STR_NONE;
    if (!t->set || (template_is_const(t) && str_eq(t->text, S("off"))))
        return true;
    *name = template_expand(x, t);
    return name->ptr != NULL;
}

/* Tells the client a charset, in place of the one that the response said itself. */
static void
tell_charset(struct response *res, struct str charset, bool is_new)
{
    if (is_new && (res->status == 301 || res->status == 302))
        return; /* as nginx: old clients took it for the charset of the target */
    if (!is_new)
        res->content_type = str_trim(str_upto(res->content_type, str_find(res->content_type, ';')));
    res->charset = charset;
}

/* From one charset to the other, and says so. Without a map, or in a coding, the response stays as it is. */
static bool
convert(struct exchange *x, struct response *res, struct str from, struct str to, bool is_new)
{
    const struct charset_conf *c = scope_conf(x->scope, &charset_module);
    const struct charset_way *way;

    if (from.len == 0 || str_eq_nocase(from, to)) {
        tell_charset(res, to, is_new);
        return true;
    }
    if (fields_get(&res->fields, FIELD_CONTENT_ENCODING) != NULL)
        return true;
    way = find_way(c->world, from, to);
    if (way == NULL) {
        xlog(x, LOG_LEVEL_ERROR, 0, "no \"charset_map\" between the charsets \"%.*s\" and \"%.*s\"",
             LOG_STR(from), LOG_STR(to));
        return true;
    }
    tell_charset(res, to, is_new);
    return convert_body(x, res, way->table);
}

/* The answer of a subrequest becomes a part of what its root has said. */
static bool
child_head(struct exchange *x, struct response *res, struct str own, struct str source)
{
    const struct charset_conf *c = scope_conf(x->scope, &charset_module);
    struct str to = own_charset(&request_of(x->root)->res);

    if (own.len == 0 && res->charset_asked.len == 0 && !type_set_has(&c->types, res->content_type))
        return true;
    if (own.len == 0)
        own = source;
    return own.len == 0 || to.len == 0 || convert(x, res, own, to, true);
}

static bool
root_head(struct exchange *x, struct response *res, struct str own, struct str source)
{
    const struct charset_conf *c = scope_conf(x->scope, &charset_module);
    struct str to;

    if (res->charset_asked.len > 0) {
        to = known_name(c->world, res->charset_asked);
        if (to.ptr != NULL)
            return convert(x, res, own.len > 0 ? own : source, to, own.len == 0);
        xlog(x, LOG_LEVEL_ERROR, 0, "unknown charset \"%.*s\" to override",
             LOG_STR(res->charset_asked));
        return true;
    }
    if (own.len > 0 ? !c->override : !type_set_has(&c->types, res->content_type))
        return true;
    if (!charset_value(x, &c->charset, &to))
        return false;
    return to.len == 0 || convert(x, res, own.len > 0 ? own : source, to, own.len == 0);
}

static bool
charset_head(struct exchange *x, struct response *res)
{
    const struct charset_conf *c = scope_conf(x->scope, &charset_module);
    struct str own, source;

    if (res->tunnel || res->content_type.len == 0)
        return true;
    own = own_charset(res);
    if (!charset_value(x, &c->source, &source))
        return false;
    return x->root != x ? child_head(x, res, own, source) : root_head(x, res, own, source);
}

/* Where maps are, any response may be an origin's that asks for one, or a part of a page. */
static bool
charset_wanted(const struct scope *s)
{
    const struct charset_conf *c = scope_conf(s, &charset_module);

    return c->charset.set || (c->world != NULL && c->world->ways.len > 0);
}

/* ---- configuration ---- */

static bool
know_name(struct conf_load *l, struct charset_world *w, struct str name)
{
    struct str *known;

    if (known_name(w, name).ptr != NULL)
        return true;
    known = VEC_PUSH(&w->names, struct str);
    if (known == NULL)
        return conf_fail_at(l, conf_scope(l)->pos, "out of memory");
    *known = name;
    return true;
}

static bool
charset_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct charset_conf *c = conf;
    struct template *t = (struct template *)((char *)conf + d->offset);

    if (!template_compile(l, n, 1, n->args[1], t))
        return false;
    return !template_is_const(t) || t->text.len == 0 ||
           (t == &c->charset && str_eq(t->text, S("off"))) || know_name(l, c->world, t->text);
}

static bool
parse_code(struct conf_load *l, const struct conf_node *line, int arg, uint8_t *code)
{
    uint64_t n;

    if (!num_parse_hex(line->args[arg], &n) || n > 255)
        return conf_fail(l, line, arg, "invalid value \"%.*s\"", STR(line->args[arg]));
    *code = (uint8_t)n;
    return true;
}

/* "D18E": the bytes of one character. */
static bool
parse_utf8(struct conf_load *l, const struct conf_node *line, char bytes[4], struct str *utf8,
           uint32_t *point)
{
    struct str hex = line->args[1];
    uint64_t n;

    *utf8 = str_n(bytes, hex.len / 2);
    if (hex.len % 2 != 0 || utf8->len > 4 || !num_parse_hex(hex, &n))
        return conf_fail(l, line, 1, "invalid value \"%.*s\"", STR(hex));
    for (size_t i = 0; i < utf8->len; i++)
        bytes[i] = (char)(n >> (8 * (utf8->len - 1 - i)));
    return charset_utf8_point(*utf8, point) ||
           conf_fail(l, line, 1, "invalid value \"%.*s\": it is no character of several bytes",
                     STR(hex));
}

/* One line of a map, in both directions. */
static bool
map_line(struct conf_load *l, const struct conf_node *line, bool to_utf8,
         struct charset_table *there, struct charset_table *back)
{
    uint8_t from, to;
    char bytes[4];
    struct str utf8;
    uint32_t point;

    if (line->n != 2)
        return conf_fail(l, line, 0, "invalid parameters number");
    if (!parse_code(l, line, 0, &from))
        return false;
    if (to_utf8) {
        if (!parse_utf8(l, line, bytes, &utf8, &point))
            return false;
        charset_table_char(there, from, utf8);
        return charset_table_point(back, point, from, conf_arena(l)) ||
               conf_fail(l, line, 0, "out of memory");
    }
    if (!parse_code(l, line, 1, &to))
        return false;
    charset_table_byte(there, from, to);
    charset_table_byte(back, to, from);
    return true;
}

static bool
add_way(struct conf_load *l, const struct conf_node *n, struct charset_world *w, struct str from,
        struct str to, struct charset_table *table)
{
    struct charset_way *way = VEC_PUSH(&w->ways, struct charset_way);

    if (way == NULL || table == NULL)
        return conf_fail(l, n, 0, "out of memory");
    *way = (struct charset_way){ .from = from, .to = to, .table = table };
    return know_name(l, w, from);
}

static bool
charset_set_map(struct conf_load *l, const struct directive *d UNUSED, struct conf_node *n,
                void *conf)
{
    struct charset_world *w = ((struct charset_conf *)conf)->world;
    struct str a = n->args[1], b = n->args[2];
    bool to_utf8 = str_eq_nocase(b, S("utf-8")), good = true;
    struct arena *arena = conf_arena(l);
    struct charset_table *there = to_utf8 ? charset_table_to_utf8(arena) : charset_table_new(arena);
    struct charset_table *back =
        to_utf8 ? charset_table_from_utf8(arena) : charset_table_new(arena);

    if (str_eq_nocase(a, b))
        return conf_fail(l, n, 2, "\"charset_map\" between the same charsets \"%.*s\" and \"%.*s\"",
                         STR(a), STR(b));
    if (str_eq_nocase(a, S("utf-8"))) {
        conf_fail(l, n, 1, "invalid first charset \"%.*s\"", STR(a));
        conf_hint(l, "a map to UTF-8 serves both directions: charset_map %.*s %.*s", STR(b),
                  STR(a));
        return false;
    }
    if (find_way(w, a, b) != NULL)
        return conf_fail(l, n, 0, "duplicate \"charset_map\" between \"%.*s\" and \"%.*s\"", STR(a),
                         STR(b));
    if (!add_way(l, n, w, a, b, there) || !add_way(l, n, w, b, a, back))
        return false;
    for (const struct conf_node *line = n->children; line != NULL; line = line->next)
        good = map_line(l, line, to_utf8, there, back) && good;
    return good;
}

static bool
charset_conf_init(struct conf_load *l, struct scope *s, void *conf)
{
    struct charset_conf *c = conf;

    c->world = ARENA_NEW(conf_arena(l), struct charset_world);
    if (c->world == NULL)
        return conf_fail_at(l, s->pos, "out of memory");
    vec_init(&c->world->ways, conf_arena(l), sizeof(struct charset_way));
    vec_init(&c->world->names, conf_arena(l), sizeof(struct str));
    return true;
}

static bool
is_fixed(const struct template *t)
{
    return t->set && template_is_const(t) && t->text.len > 0;
}

/* What can never work is said at load. */
static bool
charset_finish(struct conf_load *l, struct scope *s, void *conf)
{
    const struct charset_conf *c = conf;
    struct str from = c->source.text, to = c->charset.text;

    if (!is_fixed(&c->source) || !is_fixed(&c->charset) || str_eq(to, S("off")) ||
        str_eq_nocase(from, to) || find_way(c->world, from, to) != NULL)
        return true;
    return conf_fail_at(l, s->pos, "no \"charset_map\" between the charsets \"%.*s\" and \"%.*s\"",
                        STR(from), STR(to));
}

#define CHARSET_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)

static const struct directive charset_directives[] = {
    D_CALL("charset", CHARSET_CTX | CTX_LIF, ARGS(1, 1), charset_set,
           FIELD(struct charset_conf, charset)),
    D_CALL("source_charset", CHARSET_CTX | CTX_LIF, ARGS(1, 1), charset_set,
           FIELD(struct charset_conf, source)),
    D_FLAG("override_charset", CHARSET_CTX | CTX_LIF, struct charset_conf, override, DEFAULT(off)),
    D_CALL("charset_types", CHARSET_CTX, ARGS(1, ARGS_ANY), conf_set_types,
           FIELD(struct charset_conf, types), .inherit = I_LIST,
           .initial = "text/xml text/plain text/vnd.wap.wml application/javascript "
                      "application/rss+xml"),
    D_TABLE("charset_map", CTX_HTTP, ARGS(2, 2), charset_set_map, .repeat = true),
    D_END,
};

static const struct filter charset_filters[] = {
    { .stage = FILTER_CHARSET, .wanted = charset_wanted, .head = charset_head },
    { 0 },
};

struct module charset_module = {
    .name = "charset",
    .conf_size = sizeof(struct charset_conf),
    .directives = charset_directives,
    .conf_init = charset_conf_init,
    .finish = charset_finish,
    .filters = charset_filters,
};
