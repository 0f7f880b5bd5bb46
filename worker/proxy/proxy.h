/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.h - what the files of module proxy share; an inner wall.
 */
#ifndef WEIR_PROXY_PROXY_H
#define WEIR_PROXY_PROXY_H

#include "common/module.h"
#include "worker/h1/h1_client.h"
#include "worker/http/body.h"
#include "worker/http/date.h"
#include "worker/net/resolver.h"
#include "worker/proxy/origin_conf.h"

/* The parts of "http://host:port/uri". */
struct proxy_url {
    struct str scheme, host; /* host with the port as written, or "unix:/path" */
    struct str host_header;  /* $proxy_host */
    uint16_t port;           /* where host names none */
    struct str uri;          /* empty: none */
    bool has_uri;
};

struct proxy_field {
    struct str name;
    struct template value;
};

struct proxy_conf {
    struct origin_conf origin;

    struct template pass; /* I_INNER, with what follows from it */
    struct conf_node *pass_node;
    struct scope *pass_scope; /* where it stands */
    struct proxy_url url;
    struct upstream_group *group; /* NULL: the URL has variables */
    size_t location_len;          /* of the location's name, which the URI takes the place of */

    struct vec fields; /* of struct proxy_field: proxy_set_header */
    struct template body, method;
    uint32_t http_version; /* enum http_version */
    struct vec redirects;  /* of struct proxy_rule */
    bool redirect_off;
    struct vec cookie_domains, cookie_paths;

    struct hash *dropped; /* derived: lower-case names that are not taken over from the client */
    bool default_host, default_connection, sets_length;
};

/* One exchange with an origin over HTTP/1: the module's state of the exchange. */
struct proxy_exchange {
    struct origin origin;
    struct h1_client h1;
    const struct proxy_conf *conf;
    struct upstream_group *group;
    struct proxy_url url;
    bool sent_upgrade;            /* the request asks for another protocol */
    struct resolver_query *query; /* the name of a URL with variables */
    bool resolved;                /* an answer has come: */
    bool not_found;
};

extern struct module proxy_module;
extern const struct variable proxy_variables[];

enum phase_result proxy_content(struct exchange *x);
struct proxy_exchange *proxy_of(struct exchange *x);
bool proxy_url_parse(struct str text, struct proxy_url *u);
/* The group of p->url, made or found at run time: NEXT, WAIT for a name, or an error's result. */
enum phase_result proxy_resolve(struct proxy_exchange *p, struct request *r);

/* rewrite_back.c: proxy_redirect, proxy_cookie_domain, proxy_cookie_path. */
bool proxy_redirect_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                        void *conf);
bool proxy_cookie_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);
bool proxy_redirect_finish(struct conf_load *l, struct proxy_conf *c);
void proxy_redirect_apply(struct proxy_exchange *p, struct response *res);

#endif
