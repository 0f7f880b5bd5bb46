/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module.h - what a feature is: one struct module in its one file, named on one line of worker/modules.def.
 *
 * Types of the upper floor are forward-declared: common/ never looks inside them. All lists end with a zeroed row;
 * every pointer may be NULL.
 */
#ifndef WEIR_MODULE_H
#define WEIR_MODULE_H

#include "common/base/error.h"
#include "common/conf/directive.h"

struct variable;    /* worker/core/var.h */
struct phase_entry; /* worker/core/phase.h */
struct filter;      /* worker/http/filter.h */
struct codec;       /* worker/http/codec.h */
struct balancer;    /* worker/upstream/balancer.h */
struct counter_def; /* common/shm/counters.h */
struct zone_ops;    /* common/shm/zone.h */
struct process_def; /* common/conf/config.h */
struct lint_check;  /* common/conf/lint.h */

struct module {
    const char *name;
    const char
        *configure_token; /* "--with-http_x_module" for -V when the module works; NULL: none */
    uint16_t index;       /* written once at start, by modules_number() */

    /* Configuration: one struct per scope that sets something of it (ARCHITECTURE.md 10). */
    size_t conf_size;
    const struct directive *directives;
    /* Fills what zeroes and DEFAULT rows cannot say; once, in the outermost scope. */
    bool (*conf_init)(struct conf_load *l, struct scope *s, void *conf);
    /*
     * Once per distinct struct, parents first, after all rows of all levels: derived data, cross-checks, late names. When
     * lines have errors it runs for structs that none of them touches: other modules' may be incomplete then.
     */
    bool (*finish)(struct conf_load *l, struct scope *s, void *conf);
    /* Once per configuration, after every scope is finished. */
    bool (*loaded)(struct conf_load *l);
    bool loaded_anyway; /* it copes with a configuration that has errors, and looks for more */

    const struct lint_check *lint; /* what it knows to be meant otherwise */

    const struct variable *variables;
    const struct phase_entry *phases;
    const struct filter *filters;
    const struct codec *codec;
    const struct balancer *balancer;
    const struct counter_def *counters;
    const struct zone_ops *zone; /* the kind of zones that it owns */
    const struct process_def *processes;

    /* In each worker: after fork and before READY; false ends the worker. When it ends. */
    bool (*worker_init)(struct config *c);
    void (*worker_exit)(struct config *c);
};

/* All modules of this build, NULL at the end: core and log first, then worker/modules.def. main.c sets it. */
extern struct module *const *modules;
extern unsigned module_count;
/* Gives each its index. */
void modules_number(struct module *const *list);

#endif
