/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * http_conf.h - module http_core's settings, as other rooms read them: servers, locations, and what holds in a scope.
 */
#ifndef WEIR_HTTP_HTTP_CONF_H
#define WEIR_HTTP_HTTP_CONF_H

#include "common/module.h"
#include "worker/core/template.h"
#include "worker/http/named_regex.h"
#include "worker/http/open_file.h"
#include "worker/http/request.h"
#include "worker/http/spool.h"

enum location_kind {
    LOCATION_PREFIX,
    LOCATION_PREFIX_NO_REGEX /* ^~ */,
    LOCATION_EXACT,
    LOCATION_REGEX,
    LOCATION_NAMED
};

struct location {
    enum location_kind kind;
    struct str name; /* the prefix, path, pattern or @name */
    struct named_regex *regex;
    struct scope *scope;
    struct location *parent;    /* the one it is nested in; NULL: in server {} */
    struct vec nested;          /* of struct location *, in text order */
    struct location_tree *tree; /* of nested locations; NULL: none */
    struct scope *limit_except; /* NULL: none */
    uint32_t limit_methods;     /* bits of enum method that limit_except lets pass */
    bool auto_redirect;         /* "/x/" whose content lies under a path: "/x" redirects to it */
    const char *path_by;        /* "root" or "alias" when it was given here; else NULL */
    struct conf_pos pos;
};

struct server {
    struct scope *scope;
    struct vec names;           /* of struct server_name (server.c), in text order */
    struct str name;            /* the first name as written: $server_name */
    struct vec listens;         /* of struct listen_line (listen.c) */
    struct vec locations;       /* of struct location *, in text order */
    struct location_tree *tree; /* its locations */
    bool takes_connect; /* something in it handles CONNECT (tunnel_pass); else that is 405 */
    struct conf_pos pos;
};

struct http_types; /* extension -> type: types.c */
enum satisfy { SATISFY_ALL, SATISFY_ANY };
enum if_modified_since { IMS_OFF, IMS_EXACT, IMS_BEFORE };
enum server_tokens { TOKENS_OFF, TOKENS_ON, TOKENS_BUILD, TOKENS_TEXT };
enum aio_mode { AIO_OFF, AIO_ON, AIO_THREADS };

/* What holds in a scope. Filled by rows; times in ms, sizes in bytes. */
struct http_conf {
    /* per address or server: read from the default server's scope before a Host is known */
    uint64_t client_header_timeout_ms, client_header_buffer_size;
    struct conf_bufs large_client_header_buffers;
    uint32_t max_headers;
    bool ignore_invalid_headers, underscores_in_headers, merge_slashes, allow_absolute_form;

    struct template root; /* a path; without its last '/' unless it is an alias */
    bool alias;           /* root holds what `alias` says */
    bool alias_regex;     /* in a regex location: alias is the whole path */
    struct str
        alias_for; /* name of the location that has the alias: what the path takes the place of */
    bool internal;
    struct http_types *types;
    struct str default_type;
    uint32_t satisfy; /* enum satisfy */
    uint64_t auth_delay_ms;
    uint64_t client_max_body_size; /* 0: unlimited */
    uint64_t client_body_buffer_size, client_body_timeout_ms;
    struct vec client_body_early_read; /* conditions, any of which makes it so */
    uint32_t client_body_in_file_only; /* 0 off, 1 on, 2 clean */
    bool client_body_in_single_buffer;
    struct temp_path client_body_temp_path;
    bool sendfile, tcp_nopush, tcp_nodelay;
    uint64_t sendfile_max_chunk;
    uint32_t aio;                  /* enum aio_mode */
    struct template aio_pool_name; /* of `aio threads=`; not set: "default" */
    struct offload_pool *aio_pool; /* NULL: its name has variables */
    uint64_t read_ahead;
    struct conf_bufs output_buffers;
    uint64_t postpone_output;
    struct template limit_rate, limit_rate_after;
    uint64_t send_timeout_ms, send_lowat;
    uint64_t keepalive_timeout_ms, keepalive_header_s, keepalive_time_ms, keepalive_min_timeout_ms;
    uint32_t keepalive_requests;
    uint32_t keepalive_disable; /* bits: 1 none, 2 msie6, 4 safari */
    uint32_t lingering_close;   /* 0 off, 1 on, 2 always */
    uint64_t lingering_time_ms, lingering_timeout_ms;
    bool reset_timedout_connection;
    bool absolute_redirect, server_name_in_redirect, port_in_redirect;
    bool etag, log_not_found, log_subrequest, recursive_error_pages, chunked_transfer_encoding;
    uint32_t if_modified_since; /* enum if_modified_since */
    struct vec early_hints;     /* conditions for passing 103 on; none: it is not */
    uint32_t max_ranges;        /* UINT32_MAX: unlimited */
    uint32_t server_tokens;     /* enum server_tokens */
    struct template server_tokens_text;
    struct open_file_options open_files;
    struct template symlinks_from; /* disable_symlinks from=, when it has variables */
    uint64_t subrequest_output_buffer_size;
    struct vec error_pages;         /* of struct error_page_rule: error_page.c */
    phase_fn content;               /* set by http_set_content; read it with http_content() */
    const struct scope *content_of; /* the scope that set it */
    struct conf_pos content_line;   /* where */
    struct str server_line;         /* derived: "Server: weir/...\r\n" */
};
extern struct module http_core_module;

static inline const struct http_conf *
http_conf(const struct scope *s)
{
    return scope_conf(s, &http_core_module);
}
#define HTTP_CONF(r) http_conf((r)->x.scope)

/* For setters of content directives (proxy_pass, empty_gif ...): the scope's content handler. False: memory. */
bool http_set_content(struct conf_load *l, phase_fn content);
/* Beside it, for content that lies under a path (proxy_pass and its like): "/x" is redirected to location "/x/". */
void http_set_auto_redirect(struct conf_load *l);
/* The content handler that holds in a scope: its own, of `if` and limit_except also that of their location. */
phase_fn http_content(struct scope *s);
/* The location that a scope lies in (of an `if` or limit_except: the enclosing one); NULL in server and http. */
struct location *http_location_of(struct scope *s);
struct server *http_server_of(struct scope *s);
/* The location of a URI, for checks; NULL: none, or a redirect to the path with a '/' behind. */
struct location *location_of_uri(const struct server *s, struct str uri);
/* What holds before a Host is known: the server that the client named in its handshake, else the default one of the
 * address that it connected to. */
const struct server *http_default_server(struct conn *c);
/* Chooses r->server by r->host (lower case, may be empty) and the client's address, and makes its scope r's. Called by
 * request_start when host is set. */
void http_choose_server(struct request *r);
/* The file path of the request's uri by root or alias; NUL behind. ptr NULL: len is the status to answer (404 for an
 * unsafe path, 500 without memory or when alias does not apply). */
struct str http_file_path(struct request *r);
/* The path of another uri of this request, for try_files and index. */
struct str http_file_path_of(struct request *r, struct str uri);
/* Opens (or asks about) a path with the scope's open_file_cache and disable_symlinks. NULL: memory. */
struct open_file *http_open_file(struct request *r, struct str path, bool stat_only);
/* Media type of a file name by `types`, else default_type. */
struct str http_type_of(const struct http_conf *c, struct str path);
struct str http_document_root(struct request *r);

#endif
