/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server.h - servers, their addresses and names while a configuration is loaded. For the files of this room that
 * make up module http.
 */
#ifndef WEIR_HTTP_SERVER_H
#define WEIR_HTTP_SERVER_H

#include "worker/http/http_conf.h"

struct lint_line; /* common/conf/lint.h */

/* What `http {}` holds; the owner of its scope. */
struct http_main {
    struct scope *scope;
    struct vec servers;   /* of struct server *, in text order */
    struct vec addresses; /* of struct http_address *, in order of first mention */
};
/* NULL: there is no http {}. */
struct http_main *http_main_of(const struct config *c);

/* One name of a `server_name` line. */
struct server_name {
    struct str text;           /* lower case; of a regular expression as written */
    struct named_regex *regex; /* NULL: exact or with a wildcard */
    struct conf_pos pos;
};

/* One address of a `listen` line. */
struct listen_line {
    struct addr addr;
    struct str text; /* "0.0.0.0:80" */
    struct socket_options options;
    bool is_default;  /* default_server */
    bool has_options; /* of the socket: only one server {} may say them */
    bool bind;        /* a socket of its own, even beside a wildcard */
    bool ssl, proxy_protocol;
    struct conf_pos pos;
};

/* An address that servers share: its default server and the table of their names. */
struct http_address {
    struct addr addr;
    struct str text;
    const struct listen_line
        *options_by;                /* the line whose socket options hold; NULL: none has any */
    struct listen_line *default_by; /* the line that says default_server; NULL: none */
    bool bind;
    bool ssl;            /* some line says so: clients speak TLS */
    bool proxy_protocol; /* some line says so: each connection begins with its header */
    struct conf_pos pos;
    struct server *default_server;
    struct vec servers;         /* of struct server * */
    struct server_names *names; /* NULL: every name gets the default server */
};

/* The owner of a listen_spec: what one listening socket serves. */
struct http_socket {
    const struct http_address *any; /* the address that is bound */
    struct hash specific;           /* by address bytes: those that share the wildcard's socket */
};

/* listen.c */
bool listen_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf);
/* When all lines are read: joins the servers' addresses, makes the configuration's listeners. */
bool listen_prepare(struct conf_load *l, struct http_main *m);
/* The address that a client of this connection chose. */
const struct http_address *listen_address(struct conn *c);

/* server.c */
bool http_block_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                    void *conf);
bool server_block_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);
bool server_name_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
/* Makes a->names. */
bool server_names_prepare(struct conf_load *l, struct http_address *a);
/* The server of a name (lower case, may be empty); r, when there is one, gets the captures of a pattern. */
const struct server *server_of_name(const struct http_address *a, struct str name,
                                    struct request *r);

/* tls_start.c: connections to an address with `ssl`. */
void http_start_tls(struct conn *c, const struct http_address *a);
/* Whether each server of such an address has something to say in a handshake. */
bool http_check_tls(struct conf_load *l, const struct http_address *a);
/* Tells the certificates of a server that some address has `ssl` for the names that they are for. */
bool http_name_tls(struct conf_load *l, const struct server *s);
/* Finds names of a `server_name` line that no certificate of the server is for. */
void http_lint_certificate(struct conf_load *l, const struct lint_line *at);

#endif
