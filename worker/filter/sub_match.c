/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sub_match.c - finds several strings in a text that comes in parts: the automaton of Aho and Corasick.
 *
 * The automaton reports each string where it ends; which of them counts is known when no string that began earlier can
 * still be completed. Until then it waits in a ring as long as the longest string.
 */
#include "worker/filter/sub_match.h"

enum { NONE = 0, ROOT = 0, NO_STRING = UINT32_MAX, SKIP_MAX = 255 };

/* The start of one or more strings. Numbers of nodes; NONE where there is none (the root is nobody's child). */
struct node {
    uint32_t child, sibling; /* first child; the next child of the same parent */
    uint32_t fail;           /* the longest proper end of it that is a node, too */
    uint32_t shorter;        /* the longest proper end of it that is a whole string */
    uint32_t string;         /* the first string that it is; NO_STRING: none */
    uint32_t longer; /* lowest number of a string that it is a proper start of; NO_STRING: none */
    uint32_t depth;  /* its length */
    char byte;       /* its last one */
};

struct sub_strings {
    struct node *nodes;
    uint32_t *same;    /* by number: the next string that is equal; NO_STRING: none */
    uint32_t n, count; /* strings; those that are not empty */
    uint32_t used;     /* nodes */
    uint32_t longest;  /* bytes */
    uint32_t shortest; /* bytes, at most SKIP_MAX */
    uint8_t skip
        [256]; /* by byte of either case: from its last place in the first `shortest` bytes of any string to their end */
    uint32_t first[256]; /* children of the root by byte, of either case */
};

/* ---- building ---- */

static uint32_t
child_of(const struct sub_strings *s, uint32_t node, char byte)
{
    uint32_t c = s->nodes[node].child;

    while (c != NONE && s->nodes[c].byte != byte)
        c = s->nodes[c].sibling;
    return c;
}

static uint32_t
child_make(struct sub_strings *s, uint32_t node, char byte)
{
    uint32_t c = child_of(s, node, byte);

    if (c != NONE)
        return c;
    c = s->used++;
    s->nodes[c] = (struct node){ .sibling = s->nodes[node].child,
                                 .string = NO_STRING,
                                 .longer = NO_STRING,
                                 .depth = s->nodes[node].depth + 1,
                                 .byte = byte };
    s->nodes[node].child = c;
    return c;
}

static void
add_string(struct sub_strings *s, uint32_t number, struct str string)
{
    uint32_t node = ROOT;

    s->same[number] = NO_STRING;
    if (string.len == 0)
        return;
    s->count++;
    if (string.len > s->longest)
        s->longest = (uint32_t)string.len;
    for (size_t i = 0; i < string.len; i++) {
        if (number < s->nodes[node].longer)
            s->nodes[node].longer = number;
        node = child_make(s, node, char_lower(string.ptr[i]));
    }
    if (s->nodes[node].string == NO_STRING) {
        s->nodes[node].string = number;
        return;
    }
    for (node = s->nodes[node].string; s->same[node] != NO_STRING;)
        node = s->same[node];
    s->same[node] = number;
}

/* Where the automaton goes from `node` with a (lower-case) byte. */
static uint32_t
step(const struct sub_strings *s, uint32_t node, char byte)
{
    uint32_t c;

    while (node != ROOT) {
        c = child_of(s, node, byte);
        if (c != NONE)
            return c;
        node = s->nodes[node].fail;
    }
    return s->first[(unsigned char)byte];
}

/* In order of depth: what a node fails to is shorter than itself. */
static void
link_nodes(struct sub_strings *s, uint32_t *queue)
{
    uint32_t head = 0, tail = 0;

    queue[tail++] = ROOT;
    while (head < tail) {
        uint32_t parent = queue[head++];

        for (uint32_t c = s->nodes[parent].child; c != NONE; c = s->nodes[c].sibling) {
            struct node *node = &s->nodes[c];

            node->fail = parent == ROOT ? ROOT : step(s, s->nodes[parent].fail, node->byte);
            node->shorter = s->nodes[node->fail].string != NO_STRING ? node->fail
                                                                     : s->nodes[node->fail].shorter;
            queue[tail++] = c;
        }
    }
}

static void
make_skips(struct sub_strings *s, const struct str *strings, uint32_t n)
{
    s->shortest = SKIP_MAX;
    for (uint32_t i = 0; i < n; i++)
        if (strings[i].len > 0 && strings[i].len < s->shortest)
            s->shortest = (uint32_t)strings[i].len;
    memset(s->skip, (int)s->shortest, sizeof(s->skip));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t at = 0; at < s->shortest && at < strings[i].len; at++) {
            unsigned char lower = (unsigned char)char_lower(strings[i].ptr[at]);
            unsigned char upper =
                lower >= 'a' && lower <= 'z' ? lower & (unsigned char)~0x20 : lower;
            uint8_t skip = (uint8_t)(s->shortest - 1 - at);

            if (skip < s->skip[lower])
                s->skip[lower] = s->skip[upper] = skip;
        }
    }
}

struct sub_strings *
sub_strings_new(struct arena *a, const struct str *strings, uint32_t n)
{
    struct sub_strings *s = ARENA_NEW(a, struct sub_strings);
    uint32_t *queue;
    size_t total = 1;

    for (uint32_t i = 0; i < n; i++)
        total += strings[i].len;
    if (s == NULL || total >= NO_STRING)
        return NULL;
    s->nodes = arena_array(a, total, sizeof(*s->nodes));
    s->same = arena_array(a, n, sizeof(*s->same));
    queue = arena_array(a, total, sizeof(*queue));
    if (s->nodes == NULL || s->same == NULL || queue == NULL)
        return NULL;
    s->n = n;
    s->used = 1;
    s->nodes[ROOT] = (struct node){ .string = NO_STRING, .longer = NO_STRING };
    for (uint32_t i = 0; i < n; i++)
        add_string(s, i, strings[i]);
    for (uint32_t c = s->nodes[ROOT].child; c != NONE; c = s->nodes[c].sibling) {
        char byte = s->nodes[c].byte;

        s->first[(unsigned char)byte] = c;
        if (byte >= 'a' && byte <= 'z')
            s->first[(unsigned char)byte & ~0x20u] = c;
    }
    link_nodes(s, queue);
    make_skips(s, strings, n);
    return s;
}

uint32_t
sub_strings_count(const struct sub_strings *s)
{
    return s->count;
}

uint32_t
sub_strings_longest(const struct sub_strings *s)
{
    return s->longest;
}

/* ---- walking ---- */

bool
sub_walk_init(struct sub_walk *w, const struct sub_strings *strings, struct arena *a)
{
    uint64_t ring = 1;

    while (ring < (uint64_t)strings->longest + 1)
        ring *= 2;
    *w = (struct sub_walk){ .strings = strings, .mask = ring - 1 };
    w->found = arena_zalloc(a, ring * sizeof(*w->found));
    w->ends = arena_array(a, ring, sizeof(*w->ends));
    w->left_out = arena_zalloc(a, strings->n);
    return w->found != NULL && w->ends != NULL && w->left_out != NULL;
}

uint64_t
sub_walk_settled(const struct sub_walk *w)
{
    return w->pending > 0 ? w->from : w->at - w->strings->nodes[w->node].depth;
}

/* A node's string, the first one that is still looked for. */
static uint32_t
string_of(const struct sub_walk *w, uint32_t node)
{
    uint32_t number = w->strings->nodes[node].string;

    while (number != NO_STRING && w->left_out[number])
        number = w->strings->same[number];
    return number;
}

/* All strings that end here. */
static void
note_strings(struct sub_walk *w)
{
    const struct sub_strings *s = w->strings;
    uint32_t node = w->node;

    if (s->nodes[node].string == NO_STRING)
        node = s->nodes[node].shorter;
    for (; node != ROOT; node = s->nodes[node].shorter) {
        uint64_t start = w->at - s->nodes[node].depth;
        uint32_t number = string_of(w, node), *place = &w->found[start & w->mask];

        if (number == NO_STRING || start < w->from || (*place != 0 && *place <= number))
            continue;
        w->pending += *place == 0;
        *place = number + 1;
        w->ends[start & w->mask] = w->at;
    }
}

/* The match at an offset counts: what overlaps it does not. */
static void
take_match(struct sub_walk *w, uint64_t start, struct sub_match *m)
{
    const struct sub_strings *s = w->strings;

    *m = (struct sub_match){ .start = start,
                             .end = w->ends[start & w->mask],
                             .which = w->found[start & w->mask] - 1 };
    for (uint64_t i = start; i < m->end; i++) {
        w->pending -= w->found[i & w->mask] != 0;
        w->found[i & w->mask] = 0;
    }
    w->from = m->end;
    while (s->nodes[w->node].depth > w->at - m->end)
        w->node = s->nodes[w->node].fail;
}

/* The first match that nothing can take the place of any more. */
static bool
next_match(struct sub_walk *w, bool at_end, struct sub_match *m)
{
    while (w->pending > 0) {
        const struct node *node = &w->strings->nodes[w->node];
        uint64_t alive = at_end ? w->at : w->at - node->depth;
        uint32_t found = w->found[w->from & w->mask];

        if (w->from > alive)
            return false;
        /* at the very byte where the longest candidate begins: could a longer string go before it? */
        if (w->from == alive && !at_end && (found == 0 || node->longer < found - 1))
            return false;
        if (found != 0) {
            take_match(w, w->from, m);
            return true;
        }
        w->from++;
    }
    return false;
}

/* Whether a string may begin with the byte at i: most that could are not followed by its second byte. */
static bool
may_begin(const struct sub_strings *s, struct str bytes, size_t i)
{
    uint32_t node = s->first[(unsigned char)bytes.ptr[i]];

    return node != NONE && (s->nodes[node].string != NO_STRING || i + 1 == bytes.len ||
                            child_of(s, node, char_lower(bytes.ptr[i + 1])) != NONE);
}

/* In the root: to the next byte that may begin a string. The last byte of the shortest one's place says how far the next
 * one is at least (Horspool). */
static size_t
skip_bytes(const struct sub_strings *s, struct str bytes, size_t i)
{
    while (bytes.len - i >= s->shortest) {
        uint8_t skip = s->skip[(unsigned char)bytes.ptr[i + s->shortest - 1]];

        if (skip == 0 && may_begin(s, bytes, i))
            return i;
        i += skip > 0 ? skip : 1;
    }
    while (i < bytes.len && !may_begin(s, bytes, i))
        i++;
    return i;
}

bool
sub_walk_read(struct sub_walk *w, struct str bytes, struct sub_match *m)
{
    const struct sub_strings *s = w->strings;
    uint64_t base = w->at;
    size_t i = 0;

    if (next_match(w, false, m))
        return true;
    while (i < bytes.len) {
        if (w->node == ROOT && w->pending == 0) {
            i = skip_bytes(s, bytes, i);
            w->at = base + i;
            w->from = w->at;
            if (i == bytes.len)
                break;
        }
        w->node = step(s, w->node, char_lower(bytes.ptr[i++]));
        w->at = base + i;
        if (w->pending == 0)
            w->from = w->at - s->nodes[w->node].depth;
        note_strings(w);
        if (w->pending > 0 && next_match(w, false, m))
            return true;
    }
    return false;
}

bool
sub_walk_end(struct sub_walk *w, struct sub_match *m)
{
    return next_match(w, true, m);
}

void
sub_walk_leave_out(struct sub_walk *w, const struct sub_match *m)
{
    w->left_out[m->which] = 1;
    for (uint64_t i = m->end; i < w->at; i++)
        w->found[i & w->mask] = 0;
    w->pending = 0;
    w->node = ROOT;
    w->at = w->from = m->end;
}
