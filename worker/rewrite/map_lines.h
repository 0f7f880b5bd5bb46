/* SPDX-License-Identifier: BSD-2-Clause */
/* map_lines.h - what map and num_map have in common: a source, lines of `key value;`, a default. */
#ifndef WEIR_REWRITE_MAP_LINES_H
#define WEIR_REWRITE_MAP_LINES_H

#include "worker/core/template.h"

struct map_lines {
    struct template source;
    const struct template *otherwise; /* NULL: empty */
    bool is_volatile;
};

/* What is a directive's own. */
struct map_kind {
    const char *name;
    /* A line's key and value. False after conf_fail. */
    bool (*add)(struct conf_load *l, const struct conf_node *n, struct map_lines *m,
                const struct template *value);
    /* A line of one word other than "volatile"; NULL: there is none. False: unknown. */
    bool (*word)(struct map_lines *m, struct str word);
    var_get_fn get; /* with the map as its data */
};

/* `map SOURCE $NAME { ... }`: reads its lines into m and defines the variable. False after conf_fail. */
bool map_lines_read(struct conf_load *l, struct conf_node *n, const struct map_kind *kind,
                    struct map_lines *m);
/* The variable's value; NULL: empty. */
void map_lines_found(struct exchange *x, struct var_value *v, const struct template *value);

#endif
