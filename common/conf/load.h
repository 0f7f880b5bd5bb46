/* SPDX-License-Identifier: BSD-2-Clause */
/* load.h - one load of a configuration while it is under way: what the files of this room share. */
#ifndef WEIR_CONF_LOAD_H
#define WEIR_CONF_LOAD_H

#include <stdarg.h>

#include "common/base/hash.h"
#include "common/conf/config.h"
#include "common/module.h"

enum {
    LOAD_ERRORS_MAX = 100,    /* then the load gives up, and says so */
    LOAD_WARNINGS_MAX = 1000, /* further ones are counted only */
    LOAD_DEPTH_MAX = 100,     /* blocks within blocks */
    LOAD_INCLUDE_DEPTH_MAX = 64,
    LOAD_INCLUDES_MAX = 100000,         /* files read, repetitions counted */
    LOAD_BYTES_MAX = 256 * 1024 * 1024, /* of text, repetitions counted */
};

/* What is known of config->files[i] besides its text. */
struct load_file {
    struct conf_pos from; /* of the `include` that named it first; line and column 0: of none */
    bool reading;         /* its lines are being read: including it again would never end */
};

/* A scope that has been opened and whose lines wait until all rows of the level above are applied. */
struct load_pending {
    struct scope *scope;
    struct conf_node *node;
};

/* A line of a module has an error: what would be derived from the module's settings in that scope is nonsense. */
struct load_damage {
    const struct scope *scope;
    const struct module *module;
};

/* Where a line begins in a text, so that the search for a later one need not begin at its start. */
struct load_cursor {
    uint32_t file, line; /* line 0: nowhere */
    size_t at;
};

struct conf_load {
    struct config *config;
    const struct conf_options *options;
    struct arena scratch; /* ends with the load */
    struct arena nodes;   /* the tree; the same */

    struct arena *message_arena; /* the caller's */
    struct vec *messages;
    struct conf_message *last_message; /* what conf_hint adds to; NULL: none, or dropped */
    uint32_t errors, warnings;
    bool no_memory;
    bool misread;       /* braces were taken for what they are not: the rest would be nonsense */
    bool unclosed;      /* the text ends within a block */
    bool incomplete;    /* text is missing: a mistake in the syntax, a file that cannot be read */
    struct vec damages; /* of struct load_damage: apply.c */
    struct hash undecided; /* variables that a line with an error may define, by name */

    struct hash files_by_path; /* to uint32_t *, the index in config->files */
    struct hash texts_by_path; /* to struct conf_file *, of options->texts */
    struct vec files;          /* of struct load_file, as config->files */
    uint32_t includes;
    uint64_t bytes;

    struct row_table *rows; /* apply.c */
    void *absent; /* zeros: the struct of a module further out than any of its rows may stand */
    struct vec pending;   /* of struct load_pending: a stack */
    struct scope *scope;  /* conf_scope() */
    struct conf_pos line; /* conf_line_pos() */

    struct hash logs, zones; /* by path, by name */
    struct lint *lint;       /* lint.c; NULL: not yet */
    struct load_cursor cursor;
};

/* ---- message.c ---- */

/* As conf_fail_at with a list of arguments. */
bool message_add(struct conf_load *l, enum log_level level, struct conf_pos pos, const char *fmt,
                 va_list args);
/* A warning of a check of lint.c. */
void message_check(struct conf_load *l, const char *check, struct conf_pos pos, const char *fmt,
                   va_list args);
/* Where an argument of the node stands (0: its name; -1: its end). */
struct conf_pos message_arg(const struct conf_node *n, int arg);
/* Memory is out: said once. Always false. */
bool message_no_memory(struct conf_load *l);
/* Puts the messages in the order of the text. */
void message_sort(struct conf_load *l);
/* "FILE:LINE", "the command line" or "the defaults", for hints. */
struct str message_place(struct conf_load *l, struct conf_pos pos);

/* ---- lint.c ---- */

/* After a load without errors: the checks of all modules. */
void lint_run(struct conf_load *l);

static inline bool
load_gave_up(const struct conf_load *l)
{
    return l->no_memory || l->misread || l->errors >= LOAD_ERRORS_MAX;
}

#endif
