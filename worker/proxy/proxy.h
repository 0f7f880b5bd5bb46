/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proxy.h - what the files of module proxy share; an inner wall.
 */
#ifndef WEIR_PROXY_PROXY_H
#define WEIR_PROXY_PROXY_H

#include "common/conf/lint.h"
#include "common/module.h"
#include "worker/h1/h1_client.h"
#include "worker/proxy/origin_conf.h"

/* The parts of "http://host:port/uri", or of "https://...". */
struct proxy_url {
    struct str host;        /* with the port as written, or "unix:/path" */
    struct str host_header; /* $proxy_host */
    struct str uri;         /* begins with '/'; empty: none */
    uint16_t port;          /* where host names none */
    bool tls;
};

/* One `proxy_set_header`. */
struct proxy_field {
    struct str name;
    struct template value;
};

struct proxy_conf {
    struct origin_conf origin; /* first: origin_set_bind */
    struct upstream_tls_conf tls;

    struct template pass; /* I_INNER, with what follows from it */
    struct conf_node *pass_node;
    struct scope *pass_scope; /* where it stands */
    struct proxy_url url;
    struct upstream_group *group; /* NULL: the URL has variables */
    struct str location;          /* name that the URL's URI takes the place of */

    struct vec fields; /* of struct proxy_field: proxy_set_header */
    struct template body, method;
    uint32_t http_version; /* enum http_version */
    struct vec redirects;  /* of struct proxy_rule, as written */
    struct vec rules;      /* derived: those that hold here */
    bool redirect_off;
    struct vec cookie_domains, cookie_paths; /* of struct proxy_rule */
    struct vec cookie_flags;                 /* of struct proxy_flags_rule */

    /* Derived: the request head behind its first line (proxy_request.c). */
    struct vec head;          /* of struct head_part */
    struct name_set *dropped; /* what is not taken over from the client */
    bool hides_length;        /* Content-Length "": none where there is no body */
    bool asks_upgrade;        /* a constant Upgrade field */
};

/* One exchange with an origin over HTTP/1: the module's state of the exchange. */
struct proxy_exchange {
    struct origin origin;
    const struct proxy_conf *conf;
    struct upstream_group *group;
    struct proxy_url url;
    struct upstream_tls *tls; /* NULL: plain */
    struct str method, set_body;
    bool body_ready;   /* of the request: collected, or may be streamed */
    bool sent_upgrade; /* the request asks for another protocol */

    struct origin_place place; /* of a URL with variables */

    struct h1_client h1; /* set up with each connection; last: it is not zeroed before */
};

extern struct module proxy_module;
extern const struct variable proxy_variables[];

/* Into its parts; false: no URL of http or https. */
bool proxy_url_parse(struct str text, struct proxy_url *u);
static inline const char *
proxy_scheme(const struct proxy_url *u)
{
    return u->tls ? "https" : "http";
}
/* The module's state, made at the first call; NULL: memory. */
struct proxy_exchange *proxy_of(struct exchange *x);
static inline struct proxy_exchange *
proxy_of_origin(const struct origin *o)
{
    return CONTAINER_OF(o, struct proxy_exchange, origin);
}

/* ---- proxy_request.c: what the request to the origin says ---- */

bool proxy_set_field(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf);
bool proxy_request_finish(struct conf_load *l, struct scope *s, struct proxy_conf *c);
/* The target: as sent, or the location's part replaced by the URI of proxy_pass. */
void proxy_add_target(struct text *t, const struct proxy_exchange *p);
/* The whole head. False: memory (t->failed), or a value that cannot stand in a head. */
bool proxy_write_head(struct proxy_exchange *p, struct text *t);

/* ---- rewrite_back.c: proxy_redirect, proxy_cookie_domain, proxy_cookie_path ---- */

bool proxy_redirect_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                        void *conf);
bool proxy_cookie_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                      void *conf);
bool proxy_redirect_finish(struct conf_load *l, struct proxy_conf *c);
/* struct origin_driver: rewrite. */
void proxy_redirect_apply(struct origin *o, struct response *res);

/* ---- cookie_flags.c: proxy_cookie_flags ---- */

bool proxy_cookie_flags_set(struct conf_load *l, const struct directive *d, struct conf_node *n,
                            void *conf);
/* A Set-Cookie value as the rules want it: the same when none of them holds. */
struct str proxy_cookie_flags_apply(struct request *r, const struct vec *rules, struct str cookie);

/* ---- proxy_lint.c ---- */

extern const struct lint_check proxy_checks[];

/* ---- upgrade.c: tunnels after 101 (RFC 9110, 7.8) ---- */

/* struct origin_driver. */
const char *upgrade_check(struct origin *o);
bool upgrade_release(struct origin *o);

#endif
