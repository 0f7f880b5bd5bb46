/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * directive.h - a row of a module's directive table, and what its setter gets.
 *
 * A row with a field, a type and a default needs no code. D_CALL is for syntax that a type cannot express.
 */
#ifndef WEIR_CONF_DIRECTIVE_H
#define WEIR_CONF_DIRECTIVE_H

#include <stddef.h>

#include "common/base/error.h"
#include "common/base/vec.h"
#include "common/conf/scope.h"

struct config;
struct conf_load;
struct module;

/* Contexts, one bit per scope kind. */
enum {
    CTX_MAIN = 1 << SCOPE_MAIN,
    CTX_EVENTS = 1 << SCOPE_EVENTS,
    CTX_HTTP = 1 << SCOPE_HTTP,
    CTX_SRV = 1 << SCOPE_SERVER,
    CTX_LOC = 1 << SCOPE_LOCATION,
    CTX_SIF = 1 << SCOPE_IF_SERVER,
    CTX_LIF = 1 << SCOPE_IF,
    CTX_LMT = 1 << SCOPE_LIMIT_EXCEPT,
    CTX_UPS = 1 << SCOPE_UPSTREAM,
    CTX_STREAM = 1 << SCOPE_STREAM,
    CTX_SSRV = 1 << SCOPE_STREAM_SERVER,
    CTX_SUPS = 1 << SCOPE_STREAM_UPSTREAM,
};

/* How a row is inherited. I_LIST, I_BLOCK and I_INNER need FIELD. */
enum conf_inherit {
    I_VALUE, /* inner levels see it until they set it */
    I_LIST, /* the first row at a level starts a new list: the field is zeroed before the setter runs */
    I_BLOCK, /* this block only: zeroed in every inner scope */
    I_INNER, /* `if` and `limit_except` see it, other inner scopes start with zero */
};

/*
 * A directive in the text: its words, its place, the directives in its braces. Nodes and the arrays in them end with
 * the load (finish and loaded still see them); the bytes of the words live as long as the configuration.
 */
struct conf_node {
    struct str *args; /* args[0] is the name; unquoted and unescaped */
    struct conf_pos *arg_pos;
    uint32_t n;      /* with the name */
    uint8_t *quoted; /* by argument: 0, '"' or '\'' */
    bool block;
    struct conf_pos pos, end;   /* of its first byte; of ';' or '}' */
    struct conf_node *next;     /* sibling */
    struct conf_node *children; /* first */
    struct scope *scope;        /* what the block opened; NULL: nothing */
};

/* Arguments without the name: at least and at most; ARGS_ANY for no upper limit. */
#define ARGS(min, max)     .args_min = (min), .args_max = (max)
#define ARGS_ANY           UINT16_MAX
#define FIELD(type, field) .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)
#define DEFAULT(text)      .initial = #text
#define RANGE(lo, hi)      .min = (lo), .max = (hi)

struct directive;
/*
 * Sets what the node says in `conf` (the module's struct of the current scope, already a copy of its own).
 * False after conf_fail() has said why; loading goes on, to find further errors, and fails at its end.
 */
typedef bool (*conf_set_fn)(struct conf_load *l, const struct directive *d, struct conf_node *n,
                            void *conf);

enum conf_block {
    BLOCK_NO, /* ends with ';' */
    BLOCK_SCOPE, /* opens a scope: the setter calls conf_open_scope(); the lines inside are directives */
    BLOCK_TABLE, /* { ... } whose lines the setter reads itself from n->children (types, map, geo ...) */
};

struct directive {
    const char *name;
    uint32_t contexts;
    uint16_t args_min, args_max;
    uint8_t block;   /* enum conf_block */
    uint8_t inherit; /* enum conf_inherit */
    bool repeat;     /* may stand more than once at a level; I_LIST implies it */
    conf_set_fn set;
    size_t offset, size;
    uint64_t min, max;   /* RANGE; both 0: unlimited */
    const void *data;    /* for the setter: enum names, a constant */
    const char *initial; /* default, as text; parsed by the same setter in the outermost scope */
    const char *help;    /* one line for --directives, where the name is not enough */
};
#define D_END        \
    {                \
        .name = NULL \
    }

/* Names of an enum's or a bit set's values; ends with NULL. */
struct conf_name {
    const char *name;
    uint64_t value;
};

/* Setters of value.c. Field types: bool, uint32_t, uint64_t, uint32_t (enum), uint32_t (bits), struct str. */
bool conf_set_flag(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool conf_set_num(struct conf_load *l, const struct directive *d, struct conf_node *n,
                  void *conf); /* uint32_t */
bool conf_set_size(struct conf_load *l, const struct directive *d, struct conf_node *n,
                   void *conf); /* uint64_t */
bool conf_set_msec(struct conf_load *l, const struct directive *d, struct conf_node *n,
                   void *conf); /* uint64_t */
bool conf_set_sec(struct conf_load *l, const struct directive *d, struct conf_node *n,
                  void *conf); /* uint64_t */
bool conf_set_str(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool conf_set_path(struct conf_load *l, const struct directive *d, struct conf_node *n,
                   void *conf); /* str, absolute */
bool conf_set_enum(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool conf_set_bits(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
/* "number size", as `output_buffers 2 32k`: struct conf_bufs. */
struct conf_bufs {
    uint32_t number;
    uint64_t size; /* bytes of each */
};
bool conf_set_bufs(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
/* "user:rw", "group:r", "all:r": the mode of new files, uint32_t; the user's rights are rw when they are not told. */
bool conf_set_access(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* Every argument as a str, appended to a struct vec (I_LIST). */
bool conf_set_list(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool conf_set_nothing(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);

/* Rows. Further designated initializers (DEFAULT, RANGE, .inherit = ...) may follow in the dots. */
#define D_FLAG(nm, ctx, T, f, ...)                                                              \
    {                                                                                           \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_flag, FIELD(T, f), __VA_ARGS__ \
    }
#define D_NUM(nm, ctx, T, f, ...)                                                              \
    {                                                                                          \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_num, FIELD(T, f), __VA_ARGS__ \
    }
#define D_SIZE(nm, ctx, T, f, ...)                                                              \
    {                                                                                           \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_size, FIELD(T, f), __VA_ARGS__ \
    }
#define D_MSEC(nm, ctx, T, f, ...)                                                              \
    {                                                                                           \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_msec, FIELD(T, f), __VA_ARGS__ \
    }
#define D_SEC(nm, ctx, T, f, ...)                                                              \
    {                                                                                          \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_sec, FIELD(T, f), __VA_ARGS__ \
    }
#define D_STR(nm, ctx, T, f, ...)                                                              \
    {                                                                                          \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_str, FIELD(T, f), __VA_ARGS__ \
    }
#define D_PATH(nm, ctx, T, f, ...)                                                              \
    {                                                                                           \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_path, FIELD(T, f), __VA_ARGS__ \
    }
#define D_ENUM(nm, ctx, T, f, names, ...)                                                          \
    {                                                                                              \
        .name = nm, .contexts = ctx, ARGS(1, 1), .set = conf_set_enum, FIELD(T, f), .data = names, \
        __VA_ARGS__                                                                                \
    }
#define D_BITS(nm, ctx, T, f, names, ...)                                                  \
    {                                                                                      \
        .name = nm, .contexts = ctx, ARGS(1, ARGS_ANY), .set = conf_set_bits, FIELD(T, f), \
        .data = names, __VA_ARGS__                                                         \
    }
#define D_BUFS(nm, ctx, T, f, ...)                                                              \
    {                                                                                           \
        .name = nm, .contexts = ctx, ARGS(2, 2), .set = conf_set_bufs, FIELD(T, f), __VA_ARGS__ \
    }
/* `args` is ARGS(min, max). */
#define D_CALL(nm, ctx, args, fn, ...)                            \
    {                                                             \
        .name = nm, .contexts = ctx, args, .set = fn, __VA_ARGS__ \
    }
#define D_SCOPE(nm, ctx, args, fn, ...)                                                     \
    {                                                                                       \
        .name = nm, .contexts = ctx, args, .set = fn, .block = BLOCK_SCOPE, .repeat = true, \
        __VA_ARGS__                                                                         \
    }
#define D_TABLE(nm, ctx, args, fn, ...)                                                 \
    {                                                                                   \
        .name = nm, .contexts = ctx, args, .set = fn, .block = BLOCK_TABLE, __VA_ARGS__ \
    }
/* Obsolete: accepted and without effect; `why` is shown by --directives. */
#define D_NO_OP(nm, ctx, args, why)                                             \
    {                                                                           \
        .name = nm, .contexts = ctx, args, .set = conf_set_nothing, .help = why \
    }

/* ---- what setters and finish functions may ask of the loader ---- */

struct arena *conf_arena(struct conf_load *l); /* the cycle's */
/*
 * The content of a file of at most `max` bytes that may be a pipe: the caller's copy, from the cycle's arena. What a pipe
 * says it says once, so it is kept with the texts of the configuration, for whoever loads them after a hand-over. Waits
 * until somebody writes to a pipe. False with *err.
 */
bool conf_read_content(struct conf_load *l, struct str path, size_t max, struct str *content,
                       struct error *err);
/*
 * After errors, finish is called for settings without damage, and `loaded` of modules that say they cope, to find
 * further errors. Whether a line of the module has an error, in the scope or around it; NULL: in any scope.
 */
bool conf_is_damaged(struct conf_load *l, const struct scope *s, const struct module *m);
bool conf_has_errors(struct conf_load *l);
/* Whether a line with an error may define this variable (lower case). */
bool conf_may_define(struct conf_load *l, struct str variable);
struct config *conf_config(struct conf_load *l);
struct scope *
conf_scope(struct conf_load *l); /* the scope being filled; in finish: the one finished */
/* Where the line stands that is being applied. */
struct conf_pos conf_line_pos(const struct conf_load *l);
/* The module's struct of a scope, for reading; its own rows are not all applied before finish. */

/*
 * Says what is wrong at argument `arg` of the node (0: the name; -1: its end). The first line is nginx's:
 * `MESSAGE in FILE:LINE`; the source line with a caret and the hint (conf_hint) follow. Always false.
 */
bool conf_fail(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
    PRINTF(4, 5);
bool conf_fail_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* A warning or a notice instead; loading goes on. */
void conf_warn(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
    PRINTF(4, 5);
void conf_warn_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...) PRINTF(3, 4);
/* An extra line for the error or warning said last: what to write instead. */
void conf_hint(struct conf_load *l, const char *fmt, ...) PRINTF(2, 3);

/*
 * Opens a child scope of the current one for the block `n`; its lines are applied after all rows of this level.
 * Within the setter the new scope's conf array is not filled yet. NULL: memory.
 */
struct scope *conf_open_scope(struct conf_load *l, struct conf_node *n, enum scope_kind kind,
                              struct str name, void *owner);
/*
 * The module's struct of a scope to write to, outside its own row's setter: makes the copy of its own that a row
 * would make. NULL: memory.
 */
void *conf_own(struct conf_load *l, struct scope *s, const struct module *m);
/* A path against the prefix (conf = true: against the configuration file's directory). Ends with NUL. */
struct str conf_path(struct conf_load *l, struct str path, bool conf);
/* Reads "NAME=VALUE" arguments: true and *value when `arg` starts with `name` and '='. */
bool conf_param(struct str arg, const char *name, struct str *value);

#endif
