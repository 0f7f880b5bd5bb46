/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scope.h - levels of the configuration, copy on write (ARCHITECTURE.md 10).
 *
 * main, events, http, server, location, nested location, `if`, `limit_except`, upstream, stream ... are each a
 * scope with a parent. A scope that sets nothing of a module points to its parent's struct.
 */
#ifndef WEIR_CONF_SCOPE_H
#define WEIR_CONF_SCOPE_H

#include "common/base/arena.h"
#include "common/base/list.h"

enum scope_kind {
    SCOPE_MAIN,
    SCOPE_EVENTS,
    SCOPE_HTTP,
    SCOPE_SERVER,
    SCOPE_LOCATION,
    SCOPE_IF_SERVER, /* `if` in server {} */
    SCOPE_IF,        /* `if` in location {} */
    SCOPE_LIMIT_EXCEPT,
    SCOPE_UPSTREAM,
    SCOPE_STREAM,
    SCOPE_STREAM_SERVER,
    SCOPE_STREAM_UPSTREAM,
    SCOPE_KINDS
};

/* Where in the text something stands: for messages, for explain. */
struct conf_pos {
    uint32_t file;   /* index into config->files */
    uint32_t line;   /* from 1; 0: no place (a default, -g) */
    uint32_t column; /* from 1, in bytes */
};

struct scope {
    enum scope_kind kind;
    uint32_t id; /* from 0, in order of creation; unique in the configuration */
    struct scope *parent;
    struct scope *next;     /* sibling, in text order */
    struct scope *children; /* first */
    struct scope **children_end;
    struct conf_pos pos; /* of the line that opens it */
    struct str name;     /* for messages and explain: `location "/x"` */
    void **conf;         /* by module index */
    void *owner; /* what the module that made it hangs here: struct server, struct location, ... */
    /* Made at load by the rooms that run it; opaque here. */
    struct phase_lists *phases;  /* worker/core/phase.c */
    struct filter_list *filters; /* worker/http/filter.c */
};

struct module;
/*
 * The module's settings that hold in this scope; never NULL for a module with conf_size. Further out than its rows may
 * stand (a module of http {} in the main scope) it is all zeros, and finish is not called for it.
 */
#define scope_conf(s, m) ((s)->conf[(m)->index])
/* The nearest scope of that kind, itself included; NULL when there is none. */
struct scope *scope_up(struct scope *s, enum scope_kind kind);

#endif
