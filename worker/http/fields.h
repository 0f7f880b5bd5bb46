/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.h - a field section (RFC 9110, 6.3): an array in order, plus the first occurrence of each known name.
 *
 * Removal marks; appending does not move the slots of others. Requests and responses use the same type.
 */
#ifndef WEIR_HTTP_FIELDS_H
#define WEIR_HTTP_FIELDS_H

#include "common/base/text.h"
#include "common/base/word.h"

enum field_id {
    FIELD_OTHER = 0,
#define FIELD_NAME(id, name) FIELD_##id,
#include "worker/http/field_names.def"
#undef FIELD_NAME
    FIELD_COUNT
};

struct field {
    uint16_t id;   /* enum field_id */
    uint16_t next; /* index + 1 of the next field with the same known name; 0: none */
    uint16_t last; /* of the first one of a known name: index + 1 of the last; fields.c's own */
    bool removed;
    struct str name;  /* as received or configured */
    struct str value; /* trimmed */
};
struct fields {
    struct field *at;
    uint16_t n, cap;
    uint16_t *
        first; /* by enum field_id: index + 1, 0: not there; behind the room of `at`, NULL while there is none */
    struct arena *arena;
    bool failed; /* an append found no memory, or there were more than 65,000 */
};

/* Static table of names. The id of a name of any case, by length and perfect hash; FIELD_OTHER when unknown. */
enum field_id field_id(struct str name);
struct str field_name(enum field_id id);

void fields_init(struct fields *f, struct arena *a); /* takes no memory before the first field */
/* Room for n fields at once, where about so many are to come. False: memory. */
bool fields_reserve(struct fields *f, uint32_t n);
/* First one of a known name, not removed; or NULL. */
static inline struct field *
fields_get(const struct fields *f, enum field_id id)
{
    return f->n > 0 && f->first[id] != 0 ? &f->at[f->first[id] - 1] : NULL;
}
/* The slow parts of fields_add: an array that is full, a name that is there already or left out. */
bool fields_grow(struct fields *f);
void fields_link(struct fields *f, struct field *one);
/* NULL only when memory is out (then failed is set). `name` of a known id may be STR_NONE. Bytes are borrowed. */
static inline struct field *
fields_add(struct fields *f, enum field_id id, struct str name, struct str value)
{
    struct field *one;

    if (UNLIKELY(f->n == f->cap) && !fields_grow(f))
        return NULL;
    one = &f->at[f->n];
    *one = (struct field){ .id = (uint16_t)id, .name = name, .value = value };
    if (UNLIKELY(name.ptr == NULL))
        one->name = field_name(id);
    f->n++;
    if (id == FIELD_OTHER)
        return one;
    if (LIKELY(f->first[id] == 0))
        f->first[id] = one->last = f->n;
    else
        fields_link(f, one);
    return one;
}
/* All that `from` has becomes the content of `to`, which is empty. False: memory. */
bool fields_copy(struct fields *to, const struct fields *from);
/* Fields that a codec says by itself, since it says where a message ends and what becomes of the connection. */
static inline bool
field_is_framing(enum field_id id)
{
    switch (id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
        return true;
    default:
        return false;
    }
}
/* The next of the same known name; NULL when it was the last. */
struct field *fields_more(const struct fields *f, const struct field *from);
/* By name, any case: first one after `after` (NULL: from the start). */
struct field *fields_find(const struct fields *f, struct str name, const struct field *after);
/* Its value, or STR_NONE. */
static inline struct str
fields_value(const struct fields *f, enum field_id id)
{
    const struct field *one = fields_get(f, id);

    return one != NULL ? one->value : STR_NONE;
}
/* All values of one name joined by `sep` (", " or "; "); ptr NULL when there is none. */
struct str fields_joined(const struct fields *f, struct str name, const char *sep, struct arena *a);
/* Makes it the only one of its name. */
struct field *fields_set(struct fields *f, enum field_id id, struct str name, struct str value);
void fields_remove(struct fields *f, enum field_id id);
void fields_remove_field(struct fields *f, struct field *one);
/* "Name: value" and its line's end. */
static inline void
field_line(struct text *t, struct str name, struct str value)
{
    char *to = text_room(t, name.len + value.len + 4);

    if (UNLIKELY(to == NULL))
        return;
    copy_short(to, name.ptr, name.len);
    memcpy(to + name.len, ": ", 2);
    copy_short(to + name.len + 2, value.ptr, value.len);
    memcpy(to + name.len + 2 + value.len, "\r\n", 2);
    t->len += name.len + value.len + 4;
}
/* RFC 9110, 5.6.2 and 5.5: a token; a field value without CR, LF, NUL and other controls. */
bool field_name_valid(struct str name);
bool field_value_valid(struct str value);
/* Whether a list field (Connection, Transfer-Encoding ...) has the token, any case. */
bool fields_has_token(const struct fields *f, enum field_id id, struct str token);
/* What Connection says (RFC 9110, 7.6.1): bits. */
enum fields_connection {
    CONNECTION_CLOSE = 1,
    CONNECTION_KEEP_ALIVE = 2,
    CONNECTION_NOMINATES =
        4, /* more than close, keep-alive or upgrade alone: fields_has_token tells */
};
unsigned fields_connection(const struct fields *f);
/* Walks: `i` starts at 0; NULL at the end; skips removed ones. */
static inline struct field *
fields_each(const struct fields *f, uint32_t *i)
{
    while (*i < f->n) {
        struct field *one = &f->at[(*i)++];

        if (!one->removed)
            return one;
    }
    return NULL;
}

#endif
