/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_conf.h - the directives that all origin protocols share, written once, prefixed per protocol:
 * `ORIGIN_DIRECTIVES("proxy", struct proxy_conf)` in a module's table; the struct has a `struct origin_conf origin`.
 */
#ifndef WEIR_PROXY_ORIGIN_CONF_H
#define WEIR_PROXY_ORIGIN_CONF_H

#include "worker/proxy/origin.h"

extern const struct conf_name origin_next_upstream_names[], origin_ignore_names[];

/* `path [level1 [level2 [level3]]]` into a struct temp_path; the master makes the directory. */
bool origin_set_temp_path(struct conf_load *l, const struct directive *d, struct conf_node *n,
                          void *conf);
/* `address [transparent] | off`: struct origin_conf is the first member. */
bool origin_set_bind(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* `on | off | path`; struct origin_conf is the first member. */
bool origin_set_store(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);
/*
 * For a module's finish: cross-checks of buffer sizes, the set of hidden names. `always_hidden` ends with NULL.
 */
bool origin_conf_finish(struct conf_load *l, struct scope *s, struct origin_conf *c,
                        const char *prefix, const char *const *always_hidden);
/* The same without the buffers, for a protocol that has only the connection's directives. */
bool origin_conf_settle(struct conf_load *l, struct scope *s, struct origin_conf *c,
                        const char *const *always_hidden);

#define ORIGIN_CTX (CTX_HTTP | CTX_SRV | CTX_LOC)
/* Those of the connection; `names` are the words of next_upstream. */
#define ORIGIN_CONNECTION_DIRECTIVES(p, T, names)                                               \
    D_MSEC(p "_connect_timeout", ORIGIN_CTX, T, origin.connect_timeout_ms, DEFAULT(60s)),       \
        D_MSEC(p "_send_timeout", ORIGIN_CTX, T, origin.send_timeout_ms, DEFAULT(60s)),         \
        D_MSEC(p "_read_timeout", ORIGIN_CTX, T, origin.read_timeout_ms, DEFAULT(60s)),         \
        D_FLAG(p "_socket_keepalive", ORIGIN_CTX, T, origin.socket_keepalive, DEFAULT(off)),    \
        D_SIZE(p "_socket_rcvbuf", ORIGIN_CTX, T, origin.socket_rcvbuf, RANGE(1, INT32_MAX)),   \
        D_SIZE(p "_socket_sndbuf", ORIGIN_CTX, T, origin.socket_sndbuf, RANGE(1, INT32_MAX)),   \
        D_CALL(p "_bind", ORIGIN_CTX, ARGS(1, 2), origin_set_bind, FIELD(T, origin.bind)),      \
        D_CALL(p "_allow_upstream", ORIGIN_CTX, ARGS(1, ARGS_ANY), conf_set_conditions,         \
               FIELD(T, origin.allow)),                                                         \
        D_BITS(p "_next_upstream", ORIGIN_CTX, T, origin.next_upstream, names,                  \
               DEFAULT(error timeout)),                                                         \
        D_NUM(p "_next_upstream_tries", ORIGIN_CTX, T, origin.next_upstream_tries, DEFAULT(0)), \
        D_MSEC(p "_next_upstream_timeout", ORIGIN_CTX, T, origin.next_upstream_timeout_ms,      \
               DEFAULT(0)),                                                                     \
        D_NO_OP(p "_send_lowat", ORIGIN_CTX, ARGS(1, 1), "nginx ignores it on Linux too")
#define ORIGIN_DIRECTIVES(p, T, temp_default)                                                      \
    ORIGIN_CONNECTION_DIRECTIVES(p, T, origin_next_upstream_names),                                \
        D_FLAG(p "_buffering", ORIGIN_CTX, T, origin.buffering, DEFAULT(on)),                      \
        D_FLAG(p "_request_buffering", ORIGIN_CTX, T, origin.request_buffering, DEFAULT(on)),      \
        D_FLAG(p "_ignore_client_abort", ORIGIN_CTX, T, origin.ignore_client_abort, DEFAULT(off)), \
        D_FLAG(p "_intercept_errors", ORIGIN_CTX, T, origin.intercept_errors, DEFAULT(off)),       \
        D_FLAG(p "_pass_request_headers", ORIGIN_CTX, T, origin.pass_request_headers,              \
               DEFAULT(on)),                                                                       \
        D_FLAG(p "_pass_request_body", ORIGIN_CTX, T, origin.pass_request_body, DEFAULT(on)),      \
        D_FLAG(p "_pass_trailers", ORIGIN_CTX, T, origin.pass_trailers, DEFAULT(off)),             \
        D_FLAG(p "_force_ranges", ORIGIN_CTX, T, origin.force_ranges, DEFAULT(off)),               \
        D_SIZE(p "_buffer_size", ORIGIN_CTX, T, origin.buffer_size, DEFAULT(4k)),                  \
        D_BUFS(p "_buffers", ORIGIN_CTX, T, origin.buffers, DEFAULT(8 4k)),                        \
        D_SIZE(p "_busy_buffers_size", ORIGIN_CTX, T, origin.busy_buffers_size),                   \
        D_SIZE(p "_max_temp_file_size", ORIGIN_CTX, T, origin.max_temp_file_size, DEFAULT(1024m)), \
        D_SIZE(p "_temp_file_write_size", ORIGIN_CTX, T, origin.temp_file_write_size),             \
        D_CALL(p "_temp_path", ORIGIN_CTX, ARGS(1, 4), origin_set_temp_path,                       \
               FIELD(T, origin.temp_path), .initial = temp_default),                               \
        D_CALL(p "_hide_header", ORIGIN_CTX, ARGS(1, 1), conf_set_list, FIELD(T, origin.hide),     \
               .inherit = I_LIST),                                                                 \
        D_CALL(p "_pass_header", ORIGIN_CTX, ARGS(1, 1), conf_set_list, FIELD(T, origin.pass),     \
               .inherit = I_LIST),                                                                 \
        D_BITS(p "_ignore_headers", ORIGIN_CTX, T, origin.ignore_headers, origin_ignore_names),    \
        D_CALL(p "_store", ORIGIN_CTX, ARGS(1, 1), origin_set_store, FIELD(T, origin.store)),      \
        D_CALL(p "_store_access", ORIGIN_CTX, ARGS(1, 3), conf_set_access,                         \
               FIELD(T, origin.store_access), .initial = "user:rw"),                               \
        D_TEMPLATE(p "_limit_rate", ORIGIN_CTX, T, origin.limit_rate),                             \
        D_NO_OP(p "_headers_hash_max_size", ORIGIN_CTX, ARGS(1, 1), "tables size themselves"),     \
        D_NO_OP(p "_headers_hash_bucket_size", ORIGIN_CTX, ARGS(1, 1), "tables size themselves")

#endif
