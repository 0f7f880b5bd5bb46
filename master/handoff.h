/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handoff.h - what survives exec: the master's state as lines of text in a sealed memfd (ARCHITECTURE.md 9).
 */
#ifndef WEIR_MASTER_HANDOFF_H
#define WEIR_MASTER_HANDOFF_H

#include "master/master.h"

/* Of the text. A preflight that reads another one refuses, so it cannot happen after exec. */
enum { HANDOFF_VERSION = 1 };

/*
 * Writes the state with `files` as the next configuration (NULL: none) to a new memfd. The descriptors that it names
 * are appended to `fds` (of int) when that is not NULL. -1 with the reason.
 */
int handoff_write(const struct master *m, const struct vec *files, struct vec *fds,
                  struct error *err);
/* Becomes the binary behind `binary_fd`. Returns only when that failed: everything is as before then. */
void handoff_exec(struct master *m, int binary_fd, const struct vec *files, struct error *err);
/*
 * In the new image: fills *m from the memfd (closed); all descriptors are CLOEXEC again. The children are in
 * m->children, but not yet in the loop: their channels' numbers are in channel.fd. `files` gets the next
 * configuration.
 */
bool handoff_read(struct master *m, int fd, struct vec *files, struct error *err);

/* Pieces that preflight shares. */
void handoff_put_held(struct text *t, const struct held *h);
/* Behind the key `held`; *rest is moved over the line that follows it. */
bool handoff_get_held(struct str *fields, struct str *rest, struct arena *a, struct held *h);
/* Raw bytes behind a line `file TAG LENGTH PATH`. */
void handoff_put_file(struct text *t, const char *tag, const struct conf_file *f);
void handoff_put_files(struct text *t, const char *tag, const struct vec *files);
bool handoff_get_file(struct str *fields, struct str *rest, struct arena *a, struct str *tag,
                      struct conf_file *file);
/* A sealed memfd with a text; -1 with the reason. The whole text of one, in the arena; ptr NULL with the reason. */
int handoff_memfd(struct str text, struct error *err);
struct str handoff_slurp(int fd, struct arena *a, struct error *err);

#endif
