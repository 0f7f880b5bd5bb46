/* SPDX-License-Identifier: BSD-2-Clause */
/* value.c - setters for the types that a row of a table can express. */
#include "common/base/num.h"
#include "common/conf/load.h"

static void *
field(const struct directive *d, void *conf)
{
    return (char *)conf + d->offset;
}

/* Into a field of the size that the row gives. */
static void
store(const struct directive *d, void *conf, uint64_t value)
{
    uint32_t narrow = (uint32_t)value;

    ASSERT(d->size == sizeof(uint64_t) || d->size == sizeof(uint32_t));
    if (d->size == sizeof(uint64_t))
        memcpy(field(d, conf), &value, sizeof(value));
    else
        memcpy(field(d, conf), &narrow, sizeof(narrow));
}

static bool
check_range(struct conf_load *l, const struct directive *d, const struct conf_node *n,
            uint64_t value)
{
    if ((d->min == 0 && d->max == 0) || (value >= d->min && value <= d->max))
        return true;
    if (d->max >= UINT32_MAX)
        return conf_fail(l, n, 1, "value must be equal to or greater than %llu",
                         (unsigned long long)d->min);
    return conf_fail(l, n, 1, "value must be between %llu and %llu", (unsigned long long)d->min,
                     (unsigned long long)d->max);
}

bool
conf_set_flag(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    bool *flag = field(d, conf);

    if (str_eq_nocase(n->args[1], S("on"))) {
        *flag = true;
        return true;
    }
    if (str_eq_nocase(n->args[1], S("off"))) {
        *flag = false;
        return true;
    }
    return conf_fail(l, n, 1,
                     "invalid value \"%.*s\" in \"%s\" directive, it must be \"on\" or \"off\"",
                     STR(n->args[1]), d->name);
}

bool
conf_set_num(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint32_t value;

    if (!num_parse_u32(n->args[1], &value))
        return conf_fail(l, n, 1, "\"%s\" directive invalid number", d->name);
    if (!check_range(l, d, n, value))
        return false;
    store(d, conf, value);
    return true;
}

static bool
fail_value(struct conf_load *l, const struct directive *d, const struct conf_node *n, int arg,
           const char *what)
{
    conf_fail(l, n, arg, "\"%s\" directive invalid value", d->name);
    conf_hint(l, "%s", what);
    return false;
}

static const char size_help[] =
    "a size is a number of bytes, or of \"k\", \"m\" or \"g\" as in 16k";
static const char time_help[] =
    "a time is a number of seconds, or has units as in 500ms, 90s, 1h30m, 7d";

bool
conf_set_size(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint64_t value;

    if (!num_parse_size(n->args[1], &value))
        return fail_value(l, d, n, 1, size_help);
    if (!check_range(l, d, n, value))
        return false;
    store(d, conf, value);
    return true;
}

bool
conf_set_msec(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint64_t value;

    if (!num_parse_duration(n->args[1], &value))
        return fail_value(l, d, n, 1, time_help);
    if (!check_range(l, d, n, value))
        return false;
    store(d, conf, value);
    return true;
}

bool
conf_set_sec(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint64_t value;

    if (!num_parse_duration(n->args[1], &value) || value % 1000 != 0)
        return fail_value(l, d, n, 1, "a time is a number of seconds, or has units as in 90s, 7d");
    value /= 1000;
    if (!check_range(l, d, n, value))
        return false;
    store(d, conf, value);
    return true;
}

bool
conf_set_str(struct conf_load *l UNUSED, const struct directive *d, struct conf_node *n, void *conf)
{
    struct str *s = field(d, conf);

    *s = n->args[1];
    return true;
}

bool
conf_set_path(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct str *s = field(d, conf);

    *s = conf_path(l, n->args[1], false);
    return s->ptr != NULL || message_no_memory(l);
}

/* ---- names ---- */

static void
hint_names(struct conf_load *l, const struct conf_name *names, struct str wrong)
{
    unsigned limit = str_typo_limit(wrong), best = limit + 1;
    const char *near = NULL;
    struct text t;

    text_init(&t, &l->scratch);
    for (const struct conf_name *name = names; name->name != NULL; name++) {
        unsigned distance = str_distance(wrong, str_c(name->name), limit);

        text_fmt(&t, "%s\"%s\"", name == names ? "" : ", ", name->name);
        if (distance < best) {
            best = distance;
            near = name->name;
        }
    }
    if (near != NULL)
        conf_hint(l, "did you mean \"%s\"?", near);
    else if (!t.failed)
        conf_hint(l, "it may be %.*s", STR(text_str(&t)));
}

static const struct conf_name *
find_name(struct conf_load *l, const struct directive *d, const struct conf_node *n, uint32_t arg,
          bool nocase)
{
    for (const struct conf_name *name = d->data; name->name != NULL; name++)
        if (nocase ? str_eq_nocase(n->args[arg], str_c(name->name))
                   : str_eq(n->args[arg], str_c(name->name)))
            return name;
    conf_fail(l, n, (int)arg, "invalid value \"%.*s\"", STR(n->args[arg]));
    hint_names(l, d->data, n->args[arg]);
    return NULL;
}

bool
conf_set_enum(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    const struct conf_name *name = find_name(l, d, n, 1, true);

    if (name != NULL)
        store(d, conf, name->value);
    return name != NULL;
}

bool
conf_set_bits(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    uint64_t bits = 0;
    bool ok = true;

    if (d->inherit == I_LIST) {
        /* A further row at this level adds to what the first one began. */
        if (d->size == sizeof(uint64_t)) {
            memcpy(&bits, field(d, conf), sizeof(bits));
        } else {
            uint32_t narrow;

            memcpy(&narrow, field(d, conf), sizeof(narrow));
            bits = narrow;
        }
    }
    for (uint32_t i = 1; i < n->n; i++) {
        const struct conf_name *name = find_name(l, d, n, i, false);

        if (name == NULL) {
            ok = false;
            continue;
        }
        if (name->value != 0 && (bits & name->value) == name->value)
            conf_warn(l, n, (int)i, "duplicate value \"%s\"", name->name);
        bits |= name->value;
    }
    if (ok)
        store(d, conf, bits);
    return ok;
}

bool
conf_set_bufs(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct conf_bufs *bufs = field(d, conf);
    struct conf_bufs value;

    if (!num_parse_u32(n->args[1], &value.number) || value.number == 0)
        return fail_value(l, d, n, 1, "it takes how many buffers, and the size of each");
    if (!num_parse_size(n->args[2], &value.size) || value.size == 0)
        return fail_value(l, d, n, 2, size_help);
    *bufs = value;
    return true;
}

bool
conf_set_list(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *list = field(d, conf);

    if (list->size == 0)
        vec_init(list, conf_arena(l), sizeof(struct str));
    for (uint32_t i = 1; i < n->n; i++) {
        struct str *s = vec_push(list);

        if (s == NULL)
            return message_no_memory(l);
        *s = n->args[i];
    }
    return true;
}

bool
conf_set_nothing(struct conf_load *l UNUSED, const struct directive *d UNUSED,
                 struct conf_node *n UNUSED, void *conf UNUSED)
{
    return true;
}

/* ---- rights ---- */

bool
conf_set_access(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    static const struct {
        struct str who;
        unsigned shift;
    } users[] = { { S_INIT("user:"), 6 }, { S_INIT("group:"), 3 }, { S_INIT("all:"), 0 } };
    uint32_t mode = 0;

    for (uint32_t i = 1; i < n->n; i++) {
        struct str text = n->args[i], rights = STR_NONE;
        size_t u = 0;

        while (u < ARRAY_LEN(users) && !str_starts(text, users[u].who))
            u++;
        if (u < ARRAY_LEN(users))
            rights = str_from(text, users[u].who.len);
        if (str_eq(rights, S("rw")))
            mode |= 06U << users[u].shift;
        else if (str_eq(rights, S("r")))
            mode |= 04U << users[u].shift;
        else
            return conf_fail(l, n, (int)i, "invalid value \"%.*s\"", STR(text));
    }
    if ((mode & 0700) == 0)
        mode |= 0600;
    store(d, conf, mode);
    return true;
}
