/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * types.c - `types { text/html html htm; }`: the media type of a file name.
 *
 * A block at an inner level takes the place of the outer one; several blocks of one level add up.
 */
#include "common/base/hash.h"
#include "worker/http/http_core.h"

enum { EXTENSION_MAX = 64 }; /* longer ones have no type */

struct http_types {
    struct hash by_extension; /* lower case, without the dot -> struct str * */
    const struct scope *scope;
};

static struct http_types *
types_new(struct conf_load *l)
{
    struct http_types *t = ARENA_NEW(conf_arena(l), struct http_types);

    if (t == NULL)
        return NULL;
    hash_init(&t->by_extension, conf_arena(l));
    t->scope = conf_scope(l);
    return t;
}

static bool
types_add(struct conf_load *l, const struct conf_node *n, int arg, struct http_types *t,
          struct str *type)
{
    struct str *before;
    struct text lower;
    struct str key;

    text_init(&lower, conf_arena(l));
    text_lower(&lower, n->args[arg]);
    key = text_str(&lower);
    before = hash_get(&t->by_extension, key);
    if (before != NULL)
        conf_warn(l, n, arg,
                  "duplicate extension \"%.*s\", content type: \"%.*s\", previous content type: "
                  "\"%.*s\"",
                  STR(key), STR(*type), STR(*before));
    return hash_set(&t->by_extension, key, type) || conf_fail(l, n, arg, "out of memory");
}

bool
types_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct http_conf *c = conf;

    (void)d;
    if (c->types == NULL || c->types->scope != conf_scope(l))
        c->types = types_new(l);
    if (c->types == NULL)
        return conf_fail(l, n, 0, "out of memory");
    for (struct conf_node *line = n->children; line != NULL; line = line->next) {
        struct str *type = ARENA_NEW(conf_arena(l), struct str); /* the node ends with the load */

        if (type == NULL)
            return conf_fail(l, line, 0, "out of memory");
        *type = line->args[0];
        for (uint32_t i = 1; i < line->n; i++) {
            if (!types_add(l, line, (int)i, c->types, type))
                return false;
        }
    }
    return true;
}

bool
types_init(struct conf_load *l, struct http_conf *c)
{
    static struct {
        struct str extension, type;
    } defaults[] = {
        { S_INIT("html"), S_INIT("text/html") },
        { S_INIT("gif"), S_INIT("image/gif") },
        { S_INIT("jpg"), S_INIT("image/jpeg") },
    };

    c->types = types_new(l);
    if (c->types == NULL)
        return false;
    c->types->scope = NULL; /* a block in http {} takes its place */
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++) {
        if (!hash_set(&c->types->by_extension, defaults[i].extension, &defaults[i].type))
            return false;
    }
    return true;
}

/* What follows the last dot of the last segment; a name that is only an extension (".html") has none. */
static struct str
extension_of(struct str path)
{
    for (size_t i = path.len; i > 1; i--) {
        if (path.ptr[i - 1] == '/')
            break;
        if (path.ptr[i - 1] == '.')
            return path.ptr[i - 2] == '/' ? STR_NONE : str_from(path, i);
    }
    return STR_NONE;
}

struct str
http_type_of(const struct http_conf *c, struct str path)
{
    struct str extension = extension_of(path);
    char lower[EXTENSION_MAX];
    struct str *type;

    if (extension.len == 0 || extension.len > sizeof(lower))
        return c->default_type;
    for (size_t i = 0; i < extension.len; i++)
        lower[i] = char_lower(extension.ptr[i]);
    type = hash_get(&c->types->by_extension, str_n(lower, extension.len));
    return type != NULL ? *type : c->default_type;
}
