/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.h - the text in which processes of different versions hand each other what they hold: one thing per line, a
 * key and fields behind it, strings escaped so that a field has no blank and no line end.
 */
#ifndef WEIR_IPC_LINES_H
#define WEIR_IPC_LINES_H

#include "common/base/text.h"
#include "common/inherit.h"

/* Each field is written with a blank in front. The empty string is "%-". */
void lines_put_str(struct text *t, struct str s);
void lines_put_num(struct text *t, uint64_t n);
/* `socket TYPE INDEX FLAGS ADDRESS`: everything but the descriptor. */
void lines_put_socket(struct text *t, const struct listen_socket *s);

/* Takes the next line off *rest: its key, and its fields for the functions below. False at the end. */
bool lines_next(struct str *rest, struct str *key, struct str *fields);
/* Each takes one field off the front; false when there is none or it is not what is wanted. */
bool lines_get_word(struct str *fields, struct str *word);
bool lines_get_num(struct str *fields, uint64_t *n);
/* Unescaped, with a NUL behind it, in the arena. */
bool lines_get_str(struct str *fields, struct arena *a, struct str *s);
/* The fields of a `socket` line; fd is -1 and spec NULL then. */
bool lines_get_socket(struct str *fields, struct arena *a, struct listen_socket *s);

#endif
