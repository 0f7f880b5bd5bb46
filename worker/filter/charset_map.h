/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * charset_map.h - conversion of a text between two charsets of one byte each, or one of these and UTF-8. Pure: no I/O.
 */
#ifndef WEIR_FILTER_CHARSET_MAP_H
#define WEIR_FILTER_CHARSET_MAP_H

#include "common/base/arena.h"

enum { CHARSET_CHAR_MAX = 12 }; /* bytes that one character of the result takes: "&#1114111;" */

/* The table of one direction. Filled at load; what is not filled is '?', or a number when it comes from UTF-8. */
struct charset_table;
struct charset_table *charset_table_new(struct arena *a);       /* byte to byte; NULL: memory */
struct charset_table *charset_table_to_utf8(struct arena *a);   /* byte to UTF-8 */
struct charset_table *charset_table_from_utf8(struct arena *a); /* UTF-8 to byte */
void charset_table_byte(struct charset_table *t, uint8_t from, uint8_t to);
/* A character of UTF-8 for a byte, in a table to UTF-8. */
void charset_table_char(struct charset_table *t, uint8_t from, struct str utf8);
/* A byte for a code point, in a table from UTF-8. False: memory. */
bool charset_table_point(struct charset_table *t, uint32_t point, uint8_t to, struct arena *a);
/* Whether a result is as long as its text. */
bool charset_table_keeps_length(const struct charset_table *t);

/* The one character of UTF-8 (RFC 3629) that `bytes` are; false: they are not. */
bool charset_utf8_point(struct str bytes, uint32_t *point);

/* One conversion: a character of UTF-8 may come in parts. Zeroed at first. */
struct charset_state {
    uint32_t point;    /* of the bytes so far */
    uint8_t missing;   /* bytes that follow; 0: between characters */
    uint8_t low, high; /* bounds of the next one */
};
/* Converts from *in, which moves on, as much as there is room for: the bytes written. It ends with *in empty or with less
 * than CHARSET_CHAR_MAX bytes left. */
size_t charset_convert(const struct charset_table *t, struct charset_state *s, struct str *in,
                       char *out, size_t room);
/* At the end: the bytes written (0 or 1) for a character that is not complete. */
size_t charset_convert_end(struct charset_state *s, char *out);

#endif
