/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * origin_conf.c - what the shared directives of origin protocols need beyond their rows.
 */
#include "worker/proxy/origin_conf.h"

#include "common/base/num.h"
#include "common/conf/config.h"

const struct conf_name origin_next_upstream_names[] = {
    { "error", UPSTREAM_ERROR },
    { "timeout", UPSTREAM_TIMEOUT },
    { "invalid_header", UPSTREAM_INVALID_HEADER },
    { "non_idempotent", UPSTREAM_NON_IDEMPOTENT },
    { "http_500", UPSTREAM_HTTP_500 },
    { "http_502", UPSTREAM_HTTP_502 },
    { "http_503", UPSTREAM_HTTP_503 },
    { "http_504", UPSTREAM_HTTP_504 },
    { "http_403", UPSTREAM_HTTP_403 },
    { "http_404", UPSTREAM_HTTP_404 },
    { "http_429", UPSTREAM_HTTP_429 },
    { "denied", UPSTREAM_DENIED },
    { "off", UPSTREAM_OFF },
    { NULL, 0 },
};

const struct conf_name origin_ignore_names[] = {
    { "X-Accel-Redirect", IGNORE_X_ACCEL_REDIRECT },
    { "X-Accel-Expires", IGNORE_X_ACCEL_EXPIRES },
    { "X-Accel-Limit-Rate", IGNORE_X_ACCEL_LIMIT_RATE },
    { "X-Accel-Buffering", IGNORE_X_ACCEL_BUFFERING },
    { "X-Accel-Charset", IGNORE_X_ACCEL_CHARSET },
    { "Expires", IGNORE_EXPIRES },
    { "Cache-Control", IGNORE_CACHE_CONTROL },
    { "Set-Cookie", IGNORE_SET_COOKIE },
    { "Vary", IGNORE_VARY },
    { NULL, 0 },
};

bool
origin_set_temp_path(struct conf_load *l, const struct directive *d, struct conf_node *n,
                     void *conf)
{
    struct temp_path *t = (struct temp_path *)((char *)conf + d->offset);
    struct conf_temp_dir *dir = VEC_PUSH(&conf_config(l)->temp_dirs, struct conf_temp_dir);

    memset(t, 0, sizeof(*t));
    t->path = conf_path(l, n->args[1], false);
    for (uint32_t i = 2; i < n->n; i++)
        if (!num_parse_u32(n->args[i], &t->levels[i - 2]) || t->levels[i - 2] < 1 ||
            t->levels[i - 2] > 3)
            return conf_fail(l, n, (int)i, "invalid value \"%.*s\"", STR(n->args[i]));
    if (t->path.ptr == NULL || dir == NULL)
        return conf_fail(l, n, 0, "no memory");
    dir->path = t->path;
    return true;
}

bool
origin_set_bind(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct origin_conf *c = conf;
    struct addr a;

    ASSERT(d->offset == offsetof(struct origin_conf, bind));
    c->bind_transparent = n->n > 2;
    if (n->n > 2 && !str_eq(n->args[2], S("transparent")))
        return conf_fail(l, n, 2, "invalid parameter \"%.*s\"", STR(n->args[2]));
    conf_config(l)->net_raw |= c->bind_transparent;
    if (!template_compile(l, n, 1, n->args[1], &c->bind))
        return false;
    if (template_is_const(&c->bind) && !str_eq(n->args[1], S("off")) &&
        !addr_parse(n->args[1], 0, &a))
        return conf_fail(l, n, 1, "invalid address \"%.*s\"", STR(n->args[1]));
    return true;
}

/* ---- sets of field names ---- */

bool
name_set_add(struct name_set *s, struct arena *a, struct str name)
{
    enum field_id id = field_id(name);
    struct str *slot;

    s->known[id] |= id != FIELD_OTHER;
    if (id != FIELD_OTHER)
        return true;
    if (s->others.size == 0)
        vec_init(&s->others, a, sizeof(*slot));
    slot = VEC_PUSH(&s->others, struct str);
    if (slot == NULL)
        return false;
    *slot = name;
    return true;
}

void
name_set_remove(struct name_set *s, struct str name)
{
    s->known[field_id(name)] = false;
    for (uint32_t i = s->others.len; i-- > 0;)
        if (str_eq_nocase(*VEC_AT(&s->others, struct str, i), name))
            vec_remove(&s->others, i);
}

bool
name_set_has(const struct name_set *s, const struct field *f)
{
    if (f->id != FIELD_OTHER)
        return s->known[f->id];
    VEC_FOREACH (name, struct str, &s->others)
        if (str_eq_nocase(*name, f->name))
            return true;
    return false;
}

static bool
make_hidden(struct conf_load *l, struct origin_conf *c, const char *const *always)
{
    struct arena *a = conf_arena(l);

    c->hidden = ARENA_NEW(a, struct name_set);
    if (c->hidden == NULL)
        return false;
    for (; *always != NULL; always++)
        if (!name_set_add(c->hidden, a, str_c(*always)))
            return false;
    VEC_FOREACH (name, struct str, &c->pass)
        name_set_remove(c->hidden, *name);
    VEC_FOREACH (name, struct str, &c->hide)
        if (!name_set_add(c->hidden, a, *name))
            return false;
    return true;
}

/* ---- at the end of a load ---- */

bool
origin_conf_settle(struct conf_load *l, struct scope *s, struct origin_conf *c,
                   const char *const *always_hidden)
{
    if (c->next_upstream & UPSTREAM_OFF)
        c->next_upstream = 0;
    return make_hidden(l, c, always_hidden) || conf_fail_at(l, s->pos, "no memory");
}

bool
origin_conf_finish(struct conf_load *l, struct scope *s, struct origin_conf *c, const char *prefix,
                   const char *const *always_hidden)
{
    uint64_t largest = num_max(c->buffer_size, c->buffers.size);

    if (c->buffers.number < 2)
        return conf_fail_at(l, s->pos, "there must be at least 2 \"%s_buffers\"", prefix);
    if (c->busy_buffers_size == 0)
        c->busy_buffers_size = 2 * largest;
    if (c->temp_file_write_size == 0)
        c->temp_file_write_size = 2 * largest;
    if (c->busy_buffers_size < largest)
        return conf_fail_at(
            l, s->pos,
            "\"%s_busy_buffers_size\" must be equal to or greater than the maximum of the value of "
            "\"%s_buffer_size\" and one of the \"%s_buffers\"",
            prefix, prefix, prefix);
    if (c->busy_buffers_size > (c->buffers.number - 1) * c->buffers.size &&
        c->buffers.number * c->buffers.size > 0 &&
        c->busy_buffers_size > num_max((c->buffers.number - 1) * c->buffers.size, largest))
        return conf_fail_at(l, s->pos,
                            "\"%s_busy_buffers_size\" must be less than the size of all "
                            "\"%s_buffers\" minus one buffer",
                            prefix, prefix);
    return origin_conf_settle(l, s, c, always_hidden);
}
