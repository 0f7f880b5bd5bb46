/* SPDX-License-Identifier: BSD-2-Clause */
/* type_set.c - sets of media types. */
#include "worker/http/type_set.h"

bool
conf_set_types(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct type_set *s = (struct type_set *)((char *)conf + d->offset);

    if (s->types == NULL) {
        s->types = ARENA_NEW(conf_arena(l), struct hash);
        if (s->types == NULL)
            return conf_fail(l, n, 0, "no memory");
        hash_init(s->types, conf_arena(l));
    }
    for (uint32_t i = 1; i < n->n; i++) {
        struct text t;

        if (str_eq(n->args[i], S("*"))) {
            s->any = true;
            continue;
        }
        text_init(&t, conf_arena(l));
        text_lower(&t, n->args[i]);
        if (hash_get(s->types, text_str(&t)) != NULL || str_eq(text_str(&t), S("text/html"))) {
            conf_warn(l, n, (int)i, "duplicate MIME type \"%.*s\"", STR(n->args[i]));
            continue;
        }
        if (t.failed || !hash_set(s->types, text_str(&t), s))
            return conf_fail(l, n, 0, "no memory");
    }
    return true;
}

bool
type_set_has(const struct type_set *s, struct str content_type)
{
    struct str type = str_trim(str_upto(content_type, str_find(content_type, ';')));
    char lower[128];

    if (s->any || str_eq_nocase(type, S("text/html")))
        return true;
    if (s->types == NULL || type.len > sizeof(lower))
        return false;
    for (size_t i = 0; i < type.len; i++)
        lower[i] = char_lower(type.ptr[i]);
    return hash_get(s->types, str_n(lower, type.len)) != NULL;
}
