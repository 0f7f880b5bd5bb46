/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_core.h - what the files of modules http and http_core show each other: setters for the directive tables,
 * steps of loading, variables. Inside this room only.
 */
#ifndef WEIR_HTTP_HTTP_CORE_H
#define WEIR_HTTP_HTTP_CORE_H

#include "worker/http/http_conf.h"

enum {
    HTTP_JUMPS_MAX = 10
}; /* changes of a request's URI; x->jumps is above it once that was too much */

extern struct module http_module;
extern const struct variable http_core_variables[]; /* http_vars.c */

/* root.c */
bool root_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool alias_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool root_init(struct conf_load *l, struct http_conf *c); /* the default, below the prefix */

/* types.c */
bool types_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool types_init(struct conf_load *l, struct http_conf *c);

/* location.c */
bool location_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
bool limit_except_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);
/* Makes the trees of a server when all its locations are known. */
bool location_prepare(struct conf_load *l, struct server *s);
enum phase_result location_find(struct exchange *x);
/* Enters a location: its scope, or that of its limit_except. */
void location_enter(struct request *r, struct location *loc);
struct location *location_named(const struct server *s, struct str name);

/* error_page.c */
bool error_page_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                    void *conf);

/* "weir/1.0.0" or, under the name nginx, "nginx/1.31.5"; without the version when it is not to be told. */
struct str http_product(bool version);

#endif
