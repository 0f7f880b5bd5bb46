/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * escape.h - percent, hex, base64, HTML, JSON and log encodings. Each appends to a text.
 */
#ifndef WEIR_BASE_ESCAPE_H
#define WEIR_BASE_ESCAPE_H

#include "common/base/text.h"

enum escape_uri {
    ESCAPE_URI_PATH, /* what may not stand in a path: controls, space, '"', '#', '%', '<', '>', '?', '\\', '^',
                           * '`', '{', '|', '}', bytes >= 0x7f */
    ESCAPE_URI_ARGS, /* in a query: also '&', '+', ';', '=' stay; controls, space, '#', '%', '?' ... go */
    ESCAPE_URI_VALUE,     /* one value in a query: as ARGS, and '&', '+', ';' go as well */
    ESCAPE_URI_HTML,      /* a whole URI in quotes of HTML: as PATH, but '?' stays and '\'' goes */
    ESCAPE_URI_COMPONENT, /* all but unreserved characters of RFC 3986, 2.3 */
    ESCAPE_URI_CONTROLS,  /* controls alone: of what is a URI otherwise */
};
void escape_uri(struct text *t, struct str s, enum escape_uri how);
/* Decodes %XX; a '%' without two hex digits stays as it is. */
void unescape_uri(struct text *t, struct str s);
/* & < > " ' */
void escape_html(struct text *t, struct str s);
/* The inside of a JSON string: quotes, backslash, controls; bytes that are no UTF-8 become \u00XX. */
void escape_json(struct text *t, struct str s);
/* nginx's default log escaping: '"', '\\', bytes below 0x20 and above 0x7e as \xXX. */
void escape_log(struct text *t, struct str s);
/* For what a person reads in one line: controls and what is no UTF-8 become \xXX, the rest stays. */
void escape_line(struct text *t, struct str s);
/* Bytes of the UTF-8 character (RFC 3629) at the front of a string that is not empty; 0: it is none. */
size_t utf8_len(struct str s);
void escape_base64(struct text *t, struct str s);
void escape_base64url(struct text *t, struct str s); /* without padding */
/* False when `s` is not base64 (padding optional); what was appended up to there stays. */
bool unescape_base64(struct text *t, struct str s);
bool unescape_base64url(struct text *t, struct str s);
/* 0..15, or -1. */
int hex_digit(char c);

#endif
