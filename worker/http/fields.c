/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fields.c - field sections: names to small integers, and an array with a chain for each known name.
 *
 * A name is found by a hash of its first and last bytes in a table that is made before main and mostly empty: two names
 * that meet in one slot cost a second look.
 */
#include "worker/http/fields.h"

enum {
    NAME_MAX_LEN = 24,
    SLOT_BITS = 9,
    SLOTS = 1 << SLOT_BITS,
    FIRST_ROOM = 6,
    COPY_SPARE = 4, /* fields that filters add */
    FIELDS_MAX = 65000
};

#define SLOT_FACTOR UINT64_C(0x9e3779b97f4a7c15)

/*
 * A name of up to 24 bytes as three words that tell names of one length apart: its first and its last eight (or four)
 * bytes, which may overlap, and those from the eighth on of a long one.
 */
struct name_words {
    uint64_t first, last, middle;
};

/* A known name, with 0x20 set where a letter is; these bits are in `letters`. */
struct known_name {
    struct str text;
    struct name_words lower, letters;
};

static struct known_name known[FIELD_COUNT] = {
    [FIELD_OTHER] = { .text = S_INIT("") },
#define FIELD_NAME(id, name) [FIELD_##id] = { .text = S_INIT(name) },
#include "worker/http/field_names.def"
#undef FIELD_NAME
};
static uint8_t slots[SLOTS]; /* enum field_id; 0: free */

_Static_assert(FIELD_COUNT < 256, "slots hold field ids in a byte");

static inline struct name_words
words_of(struct str name)
{
    const char *p = name.ptr;
    size_t n = name.len;

    if (n >= 8)
        return (struct name_words){ word_load(p), word_load(p + n - 8),
                                    n > 16 ? word_load(p + 8) : 0 };
    if (n >= 4)
        return (struct name_words){ word_load4(p), word_load4(p + n - 4), 0 };
    return (struct name_words){ (unsigned char)p[0],
                                (uint64_t)(unsigned char)p[n / 2] << 8 | (unsigned char)p[n - 1],
                                0 };
}

/* All bits of the ends count, but for those in which the case of letters differs. */
static inline unsigned
slot_of(const struct name_words *w)
{
    const uint64_t cases = 0x20 * WORD_ONES;

    return (unsigned)(((w->first | cases) * SLOT_FACTOR + (w->last | cases)) * SLOT_FACTOR >>
                      (64 - SLOT_BITS));
}

static inline bool
words_are(const struct known_name *k, const struct name_words *w)
{
    return (((w->first | k->letters.first) ^ k->lower.first) |
            ((w->last | k->letters.last) ^ k->lower.last) |
            ((w->middle | k->letters.middle) ^ k->lower.middle)) == 0;
}

/* 0x20 in each byte that is a letter. */
static uint64_t
letters_of(uint64_t word)
{
    uint64_t letters = 0;

    for (unsigned shift = 0; shift < 64; shift += 8) {
        char c = char_lower((char)(word >> shift & 0xff));

        letters |= (uint64_t)(c >= 'a' && c <= 'z' ? 0x20 : 0) << shift;
    }
    return letters;
}

__attribute__((constructor)) static void
fields_make_table(void)
{
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct known_name *k = &known[id];
        struct name_words w = words_of(k->text);
        unsigned slot = slot_of(&w);

        ASSERT(k->text.len <= NAME_MAX_LEN);
        k->letters =
            (struct name_words){ letters_of(w.first), letters_of(w.last), letters_of(w.middle) };
        k->lower = (struct name_words){ w.first | k->letters.first, w.last | k->letters.last,
                                        w.middle | k->letters.middle };
        while (slots[slot] != 0)
            slot = (slot + 1) % SLOTS;
        slots[slot] = (uint8_t)id;
    }
}

enum field_id
field_id(struct str name)
{
    struct name_words w;
    unsigned slot;

    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return FIELD_OTHER;
    w = words_of(name);
    for (slot = slot_of(&w); slots[slot] != 0; slot = (slot + 1) % SLOTS) {
        const struct known_name *k = &known[slots[slot]];

        if (k->text.len == name.len && words_are(k, &w))
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

bool
fields_grow(struct fields *f)
{
    if (fields_make_room(f, f->cap == 0 ? FIRST_ROOM : (uint32_t)f->cap * 2))
        return true;
    f->failed = true;
    return false;
}

/* Puts a field at the end of its name's chain, whose first one knows the last: no walk, however many there are. */
void
fields_link(struct fields *f, struct field *one)
{
    uint16_t number = (uint16_t)(one - f->at + 1);
    struct field *first = fields_get(f, one->id);

    f->at[first->last - 1].next = number;
    first->last = number;
}

bool
fields_copy(struct fields *to, const struct fields *from)
{
    ASSERT(to->n == 0);
    if (from->n == 0)
        return true;
    if (to->cap < from->n && !fields_make_room(to, from->n + COPY_SPARE))
        return false;
    memcpy(to->at, from->at, from->n * sizeof(*to->at));
    memcpy(to->first, from->first, FIELD_COUNT * sizeof(*to->first));
    to->n = from->n;
    return true;
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
    if (one->last == number) { /* the only one of its name */
        f->first[one->id] = 0;
        return;
    }
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

/* The words that stand alone most often, eight bytes at once. */
static unsigned
connection_word(struct str value)
{
    if (value.len == 10 && word_lower(word_load(value.ptr)) == word_load("keep-ali") &&
        word_lower(word_load(value.ptr + 2)) == word_load("ep-alive"))
        return CONNECTION_KEEP_ALIVE;
    if (value.len == 5 && str_eq_nocase(value, S("close")))
        return CONNECTION_CLOSE;
    return value.len == 7 && str_eq_nocase(value, S("upgrade")) ? 0 : CONNECTION_NOMINATES;
}

unsigned
fields_connection(const struct fields *f)
{
    const struct field *one = fields_get(f, FIELD_CONNECTION);
    unsigned bits = 0;

    if (one == NULL)
        return 0;
    if (one->next == 0)
        bits = connection_word(one->value);
    if (one->next == 0 && bits != CONNECTION_NOMINATES)
        return bits;
    bits = CONNECTION_NOMINATES;
    if (fields_has_token(f, FIELD_CONNECTION, S("close")))
        bits |= CONNECTION_CLOSE;
    if (fields_has_token(f, FIELD_CONNECTION, S("keep-alive")))
        bits |= CONNECTION_KEEP_ALIVE;
    return bits;
}
