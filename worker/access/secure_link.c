/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * secure_link.c - tells whether a link was made by somebody who knows a secret, and whether it still holds.
 *
 * Either the request carries an MD5 hash of a text with the secret in it, and maybe the time until which it holds
 * (secure_link, secure_link_md5); or the hash of the rest of the path and the secret is a part of the path
 * (secure_link_secret).
 *
 * Directives: secure_link, secure_link_md5, secure_link_secret.   Variables: $secure_link, $secure_link_expires.
 */
#include "common/base/escape.h"
#include "common/base/md5.h"
#include "common/base/num.h"
#include "common/sys/clock.h"
#include "worker/core/template.h"
#include "worker/http/http_conf.h"

enum { HASH_TEXT_MAX = 24 /* base64 of a hash, with padding */ };

struct secure_link_conf {
    struct template link;                    /* "hash[,time]" of the request */
    struct template text;                    /* what the hash is made of */
    struct str secret;                       /* ptr NULL: not set; else the three above are not */
    const struct scope *link_of, *secret_of; /* where each kind was set */
};

extern struct module secure_link_module;

static bool
is_same(const uint8_t *a, const char *b)
{
    uint8_t differs = 0;

    for (unsigned i = 0; i < MD5_SIZE; i++)
        differs |= a[i] ^ (uint8_t)b[i];
    return differs == 0;
}

/* Splits what the request says. False: its time is none. */
static bool
read_link(struct exchange *x, const struct secure_link_conf *c, struct str *hash,
          struct str *expires, uint64_t *until_s)
{
    struct str link = template_expand(x, &c->link);
    size_t comma = str_find(link, ',');

    *hash = str_upto(link, comma);
    *expires = STR_NONE;
    *until_s = 0;
    if (comma == link.len)
        return true;
    *expires = str_from(link, comma + 1);
    return num_parse_u64(*expires, until_s) && *until_s > 0 && *until_s <= INT64_MAX;
}

static void
check_link(struct exchange *x, struct var_value *v, const struct secure_link_conf *c)
{
    char mem[HASH_TEXT_MAX];
    uint8_t digest[MD5_SIZE];
    struct str hash, expires, text;
    struct text decoded;
    uint64_t until_s;

    if (!c->link.set || !c->text.set || !read_link(x, c, &hash, &expires, &until_s) ||
        hash.len > HASH_TEXT_MAX)
        return;
    while (hash.len > 0 && hash.ptr[hash.len - 1] == '=')
        hash.len--;
    text_init_fixed(&decoded, mem, sizeof(mem));
    if (!unescape_base64url(&decoded, hash) || decoded.len != MD5_SIZE)
        return;
    text = template_expand(x, &c->text);
    if (text.ptr == NULL)
        return;
    md5(text, digest);
    if (is_same(digest, mem))
        var_found(v, until_s > 0 && until_s < clock_wall_ms / 1000 ? S("0") : S("1"));
}

/* /prefix/hash/link: the link, as the client has written it. */
static void
check_path(struct exchange *x, struct var_value *v, const struct secure_link_conf *c)
{
    struct str path = request_of(x)->target, rest, hash;
    char given[MD5_SIZE];
    uint8_t digest[MD5_SIZE];
    size_t slash;

    if (path.len == 0)
        return;
    rest = str_from(path, 1);
    slash = str_find(rest, '/');
    if (slash == rest.len)
        return;
    rest = str_from(rest, slash + 1);
    slash = str_find(rest, '/');
    if (slash != 2 * MD5_SIZE || slash + 1 >= rest.len)
        return;
    hash = str_upto(rest, slash);
    rest = str_from(rest, slash + 1);
    for (unsigned i = 0; i < MD5_SIZE; i++) {
        int high = hex_digit(hash.ptr[2 * i]), low = hex_digit(hash.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return;
        given[i] = (char)(high << 4 | low);
    }
    path = arena_fmt(&x->mem->arena, "%.*s%.*s", STR(rest), STR(c->secret));
    if (path.ptr == NULL)
        return;
    md5(path, digest);
    if (is_same(digest, given))
        var_found(v, rest);
}

static void
get_secure_link(struct exchange *x, struct var_value *v, const void *data)
{
    const struct secure_link_conf *c = scope_conf(x->scope, &secure_link_module);

    (void)data;
    if (c->secret.ptr != NULL)
        check_path(x, v, c);
    else
        check_link(x, v, c);
}

static void
get_expires(struct exchange *x, struct var_value *v, const void *data)
{
    const struct secure_link_conf *c = scope_conf(x->scope, &secure_link_module);
    struct str hash, expires;
    uint64_t until_s;

    (void)data;
    if (c->link.set && read_link(x, c, &hash, &expires, &until_s) && until_s > 0)
        var_found(v, expires);
}

/* ---- loading ---- */

static bool
mixed(struct conf_load *l, const struct conf_node *n)
{
    return conf_fail(l, n, 0,
                     "\"secure_link_secret\" cannot be mixed with \"secure_link\" and "
                     "\"secure_link_md5\"");
}

static bool
link_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct secure_link_conf *c = conf;

    if (c->secret_of == conf_scope(l))
        return mixed(l, n);
    c->secret = STR_NONE;
    c->link_of = conf_scope(l);
    return conf_set_template(l, d, n, conf);
}

static bool
secret_set(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct secure_link_conf *c = conf;

    (void)d;
    if (c->link_of == conf_scope(l))
        return mixed(l, n);
    memset(&c->link, 0, sizeof(c->link));
    memset(&c->text, 0, sizeof(c->text));
    c->secret_of = conf_scope(l);
    c->secret = n->args[1].len > 0 ? n->args[1] : S("");
    return true;
}

enum { ANYWHERE = CTX_HTTP | CTX_SRV | CTX_LOC };

static const struct directive secure_link_directives[] = {
    D_CALL("secure_link", ANYWHERE, ARGS(1, 1), link_set, FIELD(struct secure_link_conf, link)),
    D_CALL("secure_link_md5", ANYWHERE, ARGS(1, 1), link_set, FIELD(struct secure_link_conf, text)),
    D_CALL("secure_link_secret", CTX_SRV | CTX_LOC, ARGS(1, 1), secret_set), D_END
};

static const struct variable secure_link_variables[] = {
    { .name = "secure_link", .get = get_secure_link },
    { .name = "secure_link_expires", .get = get_expires },
    { 0 },
};

struct module secure_link_module = {
    .name = "secure_link",
    .configure_token = "--with-http_secure_link_module",
    .conf_size = sizeof(struct secure_link_conf),
    .directives = secure_link_directives,
    .variables = secure_link_variables,
};
