/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sub_match.h - finds several strings in a text that comes in parts, without regard to the case of ASCII letters.
 *
 * The match that begins first wins; among those that begin at the same byte, that of the string with the lowest number.
 * Matches do not overlap. The time is linear in the text, whatever strings and text are (Aho and Corasick's automaton).
 * Pure: no I/O.
 */
#ifndef WEIR_FILTER_SUB_MATCH_H
#define WEIR_FILTER_SUB_MATCH_H

#include "common/base/arena.h"

/* Bytes [start, end) of the text are string number `which`. */
struct sub_match {
    uint64_t start, end;
    uint32_t which;
};

/* The strings. Immutable. */
struct sub_strings;
/* Empty strings match nowhere. The bytes are not used any more afterwards. NULL: memory is out. */
struct sub_strings *sub_strings_new(struct arena *a, const struct str *strings, uint32_t n);
/* How many are not empty; the length of the longest one. */
uint32_t sub_strings_count(const struct sub_strings *strings);
uint32_t sub_strings_longest(const struct sub_strings *strings);

/* One walk over one text. */
struct sub_walk {
    const struct sub_strings *strings;
    uint64_t at;      /* offset of the next byte that is read */
    uint64_t from;    /* no match begins before it any more */
    uint32_t node;    /* the longest start of a string that ends at `at` */
    uint32_t pending; /* matches seen, but perhaps not the best ones */
    uint32_t *
        found; /* ring by offset of the first byte: number + 1 of the best string so far; 0: none */
    uint64_t *ends;    /* the same: where that string ends */
    uint64_t mask;     /* of the ring */
    uint8_t *left_out; /* by number: it is not looked for any more */
};
/* False: memory is out. */
bool sub_walk_init(struct sub_walk *w, const struct sub_strings *strings, struct arena *a);
/* Reads the bytes at offset w->at until a match is certain (true; *m says which) or they are used up. */
bool sub_walk_read(struct sub_walk *w, struct str bytes, struct sub_match *m);
/* There are no more bytes: true for each match that is left. */
bool sub_walk_end(struct sub_walk *w, struct sub_match *m);
/* Stops to look for the string just found; w->at goes back to behind that match, and the bytes from there are read again. */
void sub_walk_leave_out(struct sub_walk *w, const struct sub_match *m);
/* Bytes before this offset belong to no later match. */
uint64_t sub_walk_settled(const struct sub_walk *w);

#endif
