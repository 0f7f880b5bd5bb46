/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - field sections: names to small integers, and an array with a chain for each known name.
 *
 * A name is found by a hash of its length and three of its bytes in a table that is made before main. The factors were
 * searched so that no two names of field_names.def meet in one slot; a new name that does costs a second look.
 */
#include "worker/http/fields.h"

#include "common/base/text.h"
#include "common/base/word.h"

enum { NAME_MAX_LEN = 24, SLOTS = 256, FIRST_ROOM = 6, FIELDS_MAX = 65000 };

/* A known name: lower case, and the bytes in which case may differ. */
struct known_name {
    struct str text;
    char lower[NAME_MAX_LEN];
    char letters[NAME_MAX_LEN]; /* 0x20 where a letter is */
};

static struct known_name known[FIELD_COUNT] = {
    [FIELD_OTHER] = { .text = S_INIT("") },
#define FIELD_NAME(id, name) [FIELD_##id] = { .text = S_INIT(name) },
#include "worker/http/field_names.def"
#undef FIELD_NAME
};
static uint8_t slots[SLOTS]; /* enum field_id; 0: free */

_Static_assert(FIELD_COUNT < 256, "slots hold field ids in a byte");

/* The first, the last and the middle byte differ enough; case and '-' do not matter to the mix. */
static unsigned
slot_of(struct str name)
{
    unsigned first = (unsigned char)name.ptr[0] & 0x1f;
    unsigned last = (unsigned char)name.ptr[name.len - 1] & 0x1f;
    unsigned middle = (unsigned char)name.ptr[name.len / 2] & 0x1f;

    return ((unsigned)name.len + first + middle * 41 + last * 49) % SLOTS;
}

/* The bits in which eight, or four, bytes from `at` on are not those of the known name. */
static inline uint64_t
differ_8(const struct known_name *k, const char *name, size_t at)
{
    return (word_load(name + at) ^ word_load(k->lower + at)) & ~word_load(k->letters + at);
}

static inline uint64_t
differ_4(const struct known_name *k, const char *name, size_t at)
{
    return (word_load4(name + at) ^ word_load4(k->lower + at)) & ~word_load4(k->letters + at);
}

/* Words from the front, and one at the end that may overlap the last of them. */
static inline bool
name_is(const struct known_name *k, struct str name)
{
    uint64_t differ = 0;

    if (name.len != k->text.len)
        return false;
    if (name.len >= 8) {
        for (size_t at = 0; at + 8 < name.len; at += 8)
            differ |= differ_8(k, name.ptr, at);
        return (differ | differ_8(k, name.ptr, name.len - 8)) == 0;
    }
    if (name.len >= 4)
        return (differ_4(k, name.ptr, 0) | differ_4(k, name.ptr, name.len - 4)) == 0;
    for (size_t at = 0; at < name.len; at++)
        differ |= (unsigned char)((name.ptr[at] ^ k->lower[at]) & ~k->letters[at]);
    return differ == 0;
}

__attribute__((constructor)) static void
fields_make_table(void)
{
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct known_name *k = &known[id];
        unsigned slot = slot_of(k->text);

        ASSERT(k->text.len <= NAME_MAX_LEN);
        for (size_t i = 0; i < k->text.len; i++) {
            char c = char_lower(k->text.ptr[i]);

            k->lower[i] = c;
            k->letters[i] = c >= 'a' && c <= 'z' ? 0x20 : 0;
        }
        while (slots[slot] != 0)
            slot = (slot + 1) % SLOTS;
        slots[slot] = (uint8_t)id;
    }
}

enum field_id
field_id(struct str name)
{
    unsigned slot;

    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return FIELD_OTHER;
    for (slot = slot_of(name); slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        if (name_is(&known[slots[slot]], name))
            return slots[slot];
    }
    return FIELD_OTHER;
}

struct str
field_name(enum field_id id)
{
    return known[id].text;
}

void
fields_init(struct fields *f, struct arena *a)
{
    memset(f, 0, sizeof(*f));
    f->arena = a;
}

static bool
fields_make_room(struct fields *f, uint32_t cap)
{
    const size_t first_size = FIELD_COUNT * sizeof(*f->first);
    struct field *at;
    uint16_t *first;

    if (cap > FIELDS_MAX)
        cap = FIELDS_MAX;
    if (f->n >= cap)
        return false;
    at = arena_alloc(f->arena, cap * sizeof(*at) + first_size);
    if (at == NULL)
        return false;
    first = (uint16_t *)(void *)(at + cap);
    if (f->n > 0) {
        memcpy(at, f->at, f->n * sizeof(*at));
        memcpy(first, f->first, first_size);
    } else {
        memset(first, 0, first_size);
    }
    f->at = at;
    f->first = first;
    f->cap = (uint16_t)cap;
    return true;
}

bool
fields_reserve(struct fields *f, uint32_t n)
{
    return f->cap >= n || fields_make_room(f, n);
}

/* Puts a field at the end of its name's chain, whose first one knows the last: no walk, however many there are. */
static void
fields_link(struct fields *f, struct field *one)
{
    uint16_t number = (uint16_t)(one - f->at + 1);
    struct field *first = fields_get(f, one->id);

    if (first == NULL) {
        f->first[one->id] = number;
        one->last = number;
        return;
    }
    f->at[first->last - 1].next = number;
    first->last = number;
}

struct field *
fields_add(struct fields *f, enum field_id id, struct str name, struct str value)
{
    struct field *one;

    if (f->n == f->cap && !fields_make_room(f, f->cap == 0 ? FIRST_ROOM : (uint32_t)f->cap * 2)) {
        f->failed = true;
        return NULL;
    }
    one = &f->at[f->n];
    one->id = (uint16_t)id;
    one->next = one->last = 0;
    one->removed = false;
    one->name = name.ptr != NULL ? name : known[id].text;
    one->value = value;
    one->encoded = STR_NONE;
    if (id != FIELD_OTHER)
        fields_link(f, one);
    f->n++;
    return one;
}

struct field *
fields_more(const struct fields *f, const struct field *from)
{
    return from->next != 0 ? &f->at[from->next - 1] : NULL;
}

struct field *
fields_find(const struct fields *f, struct str name, const struct field *after)
{
    enum field_id id = field_id(name);
    uint32_t i = after != NULL ? (uint32_t)(after - f->at) + 1 : 0;

    if (id != FIELD_OTHER) {
        struct field *one;

        if (after != NULL && after->id == id)
            return fields_more(f, after);
        one = fields_get(f, id);
        while (one != NULL && (uint32_t)(one - f->at) < i)
            one = fields_more(f, one);
        return one;
    }
    for (; i < f->n; i++) {
        struct field *one = &f->at[i];

        if (!one->removed && one->id == FIELD_OTHER && str_eq_nocase(one->name, name))
            return one;
    }
    return NULL;
}

struct str
fields_value(const struct fields *f, enum field_id id)
{
    const struct field *one = fields_get(f, id);

    return one != NULL ? one->value : STR_NONE;
}

struct str
fields_joined(const struct fields *f, struct str name, const char *sep, struct arena *a)
{
    struct field *one = fields_find(f, name, NULL);
    struct field *more;
    struct text t;

    if (one == NULL)
        return STR_NONE;
    more = fields_find(f, name, one);
    if (more == NULL)
        return one->value.ptr != NULL ? one->value : S("");

    text_init(&t, a);
    text_add(&t, one->value);
    for (; more != NULL; more = fields_find(f, name, more)) {
        text_add(&t, str_c(sep));
        text_add(&t, more->value);
    }
    return text_str(&t);
}

void
fields_remove(struct fields *f, enum field_id id)
{
    for (struct field *one = fields_get(f, id); one != NULL; one = fields_more(f, one))
        one->removed = true;
    if (f->first != NULL)
        f->first[id] = 0;
}

void
fields_remove_field(struct fields *f, struct field *one)
{
    uint16_t number = (uint16_t)(one - f->at + 1);
    struct field *first, *before;

    if (one->removed)
        return;
    one->removed = true;
    first = one->id != FIELD_OTHER ? fields_get(f, one->id) : NULL;
    if (first == NULL)
        return;

    if (first == one) {
        f->first[one->id] = one->next;
        if (one->next != 0)
            f->at[one->next - 1].last = one->last;
        return;
    }
    for (before = first; before->next != number;)
        before = &f->at[before->next - 1];
    before->next = one->next;
    if (first->last == number)
        first->last = (uint16_t)(before - f->at + 1);
}

struct field *
fields_set(struct fields *f, enum field_id id, struct str name, struct str value)
{
    if (id != FIELD_OTHER) {
        fields_remove(f, id);
    } else {
        for (struct field *one; (one = fields_find(f, name, NULL)) != NULL;)
            fields_remove_field(f, one);
    }
    return fields_add(f, id, name, value);
}

/* Bytes of a token (RFC 9110, 5.6.2): bit i of word i/32. */
static const uint32_t token_bytes[8] = {
    0, 0x03ff6cfa, /* ! # $ % & ' * + - . 0-9 */
    0xc7fffffe,    /* A-Z ^ _ */
    0x57ffffff,    /* ` a-z | ~ */
};

bool
field_name_valid(struct str name)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if ((token_bytes[c >> 5] >> (c & 31) & 1) == 0)
            return false;
    }
    return true;
}

bool
field_value_valid(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool
fields_has_token(const struct fields *f, enum field_id id, struct str token)
{
    for (const struct field *one = fields_get(f, id); one != NULL; one = fields_more(f, one)) {
        struct str rest = one->value, piece;

        if (rest.len == token.len) {
            if (str_eq_nocase(rest, token))
                return true;
            continue;
        }
        while (rest.ptr != NULL && str_split(&rest, ',', &piece)) {
            if (str_eq_nocase(str_trim(piece), token))
                return true;
        }
    }
    return false;
}

struct field *
fields_each(const struct fields *f, uint32_t *i)
{
    while (*i < f->n) {
        struct field *one = &f->at[(*i)++];

        if (!one->removed)
            return one;
    }
    return NULL;
}
