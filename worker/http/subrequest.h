/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * subrequest.h - child exchanges and their sinks: join, capture, drain. ARCHITECTURE.md 10.
 */
#ifndef WEIR_HTTP_SUBREQUEST_H
#define WEIR_HTTP_SUBREQUEST_H

#include "worker/http/request.h"

struct subrequest_options {
    struct str uri; /* path; may carry "?args" when args.ptr is NULL */
    struct str args;
    bool
        clone; /* keep location, captures and content handler, skip rewriting (slice, background update) */
    bool detached;  /* holds memory, not the connection (mirror, background update) */
    bool keep_body; /* the child may open the parent's (complete) request body; else it has none */
    bool keep_method; /* else GET (HEAD stays HEAD) */
    /* From the ready list, when it has ended; its response and state are still there. */
    void (*done)(struct exchange *child, void *data);
    void *done_data;
};
/* Makes a child whose phases start from the ready list. The caller gives it a sink right after: join_child, capture or
 * drain. NULL: memory, too deep (51 levels), too many of one root (logged). */
struct request *subrequest_new(struct request *parent, const struct subrequest_options *o);
/* Pulls and forgets; `done` is called at the end. */
void subrequest_drain(struct request *child);
/* Pulls into memory up to `limit` bytes (0: subrequest_output_buffer_size of its location); text when done (NULL ptr: failed). */
void subrequest_capture(struct request *child, uint64_t limit);
struct str subrequest_captured(struct request *child);

/* Text and child bodies in the order of appending; itself a source. Text is borrowed: the owner pulls its own input
 * again only when join_pull says END (it is empty), or copies text (at most 64 kB ahead) in order to parse on and
 * start further includes while the first is still running. */
struct join;
struct join *join_new(struct exchange *parent);
void join_text(struct join *j, struct str text);
void join_child(struct join *j, struct exchange *child,
                struct str stub); /* empty or failed: `stub` text */
enum pull join_pull(struct join *j, struct batch *b);
bool join_empty(const struct join *j);
void join_stop(struct join *j, enum stop why);

#endif
