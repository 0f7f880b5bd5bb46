/* SPDX-License-Identifier: BSD-2-Clause */
/* name_table.c - host names with and without masks: one hash look-up for each label of the name that is asked for. */
#include "worker/http/name_table.h"

#include "common/base/text.h"

void
name_table_init(struct name_table *t, struct arena *a)
{
    hash_init(&t->exact, a);
    hash_init(&t->leading, a);
    hash_init(&t->ending, a);
}

static enum name_added
add(struct hash *h, struct str key, void *value)
{
    if (hash_get(h, key) != NULL)
        return NAME_TWICE;
    return hash_set(h, key, value) ? NAME_ADDED : NAME_NO_MEMORY;
}

/* A mask is a whole label, the first or the last one, and never alone. */
static bool
mask_is_valid(struct str name)
{
    size_t star = str_find(name, '*');

    if (str_search(name, S("..")) < name.len)
        return false;
    if (star == name.len)
        return true;
    if (star == 0)
        return name.len > 2 && name.ptr[1] == '.' &&
               str_find(str_from(name, 1), '*') == name.len - 1;
    return star == name.len - 1 && star > 1 && name.ptr[star - 1] == '.';
}

enum name_added
name_table_add(struct name_table *t, struct str name, bool masks, void *value)
{
    struct text lower;
    enum name_added done;
    struct str key;

    text_init(&lower, t->exact.arena);
    text_lower(&lower, name);
    if (lower.failed)
        return NAME_NO_MEMORY;
    key = name.len > 0 ? text_str(&lower) : S("");
    if (!masks)
        return add(&t->exact, key, value);
    if (!mask_is_valid(key))
        return NAME_INVALID;
    if (key.len > 0 && key.ptr[0] == '*')
        return add(&t->leading, str_from(key, 1), value);
    if (key.len > 0 && key.ptr[key.len - 1] == '*')
        return add(&t->ending, str_upto(key, key.len - 1), value);
    if (key.len < 2 || key.ptr[0] != '.')
        return add(&t->exact, key, value);
    done = add(&t->exact, str_from(key, 1), value);
    return done == NAME_ADDED ? add(&t->leading, key, value) : done;
}

static void *
find_leading(const struct hash *h, struct str name)
{
    for (size_t dot = str_find(name, '.'); dot < name.len;
         dot += 1 + str_find(str_from(name, dot + 1), '.')) {
        void *value = hash_get(h, str_from(name, dot));

        if (value != NULL)
            return value;
    }
    return NULL;
}

static void *
find_ending(const struct hash *h, struct str name)
{
    for (size_t len = name.len; len > 0;) {
        size_t dot = str_rfind(str_upto(name, len), '.');
        void *value;

        if (dot == len)
            return NULL;
        value = hash_get(h, str_upto(name, dot + 1));
        if (value != NULL)
            return value;
        len = dot;
    }
    return NULL;
}

void *
name_table_find(const struct name_table *t, struct str name)
{
    void *value = t->exact.n > 0 ? hash_get(&t->exact, name) : NULL;

    if (value == NULL && t->leading.n > 0)
        value = find_leading(&t->leading, name);
    if (value == NULL && t->ending.n > 0)
        value = find_ending(&t->ending, name);
    return value;
}
