/* SPDX-License-Identifier: BSD-2-Clause */
/* template.c - compiles "text with $variables" to parts; expands them into one growable text. */
#include "worker/core/template.h"

#include "worker/core/exchange.h"

enum { TEMPLATE_VALUE_GUESS = 48 /* bytes of room at first for each variable */ };

struct template_part {
    enum { PART_LITERAL, PART_VARIABLE, PART_CAPTURE } kind;
    uint32_t index;  /* of the variable; number of the capture */
    struct str text; /* of a literal */
};

struct str (*template_capture)(struct exchange *x, unsigned group);

/* ---- compiling ---- */

/* Where an error in the text is said: at an argument of a node, or at a place. */
struct template_place {
    const struct conf_node *node; /* NULL: pos */
    int arg;
    struct conf_pos pos;
};

static bool
template_bad(struct conf_load *l, const struct template_place *p, const char *what, struct str text)
{
    if (p->node != NULL)
        return conf_fail(l, p->node, p->arg, "%s \"%.*s\"", what, STR(text));
    return conf_fail_at(l, p->pos, "%s \"%.*s\"", what, STR(text));
}

static bool
template_unclosed(struct conf_load *l, const struct template_place *p, struct str name)
{
    static const char text[] = "the closing bracket in \"%.*s\" variable is missing";

    if (p->node != NULL)
        return conf_fail(l, p->node, p->arg, text, STR(name));
    return conf_fail_at(l, p->pos, text, STR(name));
}

static bool
is_capture(struct str name)
{
    return name.len == 1 && name.ptr[0] >= '1' && name.ptr[0] <= '9';
}

/*
 * Takes what follows a '$' at text[*at]: a name, {name} or one digit. Moves *at behind it. False after an error.
 */
static bool
template_name(struct conf_load *l, const struct template_place *p, struct str text, size_t *at,
              struct str *name)
{
    bool bracket = *at < text.len && text.ptr[*at] == '{';
    size_t start = *at + bracket, end = start;

    if (!bracket && start < text.len && is_capture(str_n(text.ptr + start, 1))) {
        *name = str_n(text.ptr + start, 1);
        *at = start + 1;
        return true;
    }
    while (end < text.len && char_is_word(text.ptr[end]))
        end++;
    *name = str_n(text.ptr + start, end - start);
    if (bracket && (end >= text.len || text.ptr[end] != '}'))
        return template_unclosed(l, p, *name);
    if (name->len == 0)
        return template_bad(l, p, "invalid variable name in", text);
    *at = end + bracket;
    return true;
}

static bool
template_add(struct conf_load *l, const struct template_place *p, struct vec *parts, int kind,
             uint32_t index, struct str text)
{
    struct template_part *part = VEC_PUSH(parts, struct template_part);

    if (part == NULL)
        return conf_fail_at(l, p->pos, "out of memory");
    part->kind = kind;
    part->index = index;
    part->text = text;
    return true;
}

static bool
template_parse(struct conf_load *l, const struct template_place *p, struct str text,
               struct vec *parts)
{
    size_t at = 0;

    while (at < text.len) {
        size_t len = str_find(str_from(text, at), '$');
        struct str name;

        if (len > 0 && !template_add(l, p, parts, PART_LITERAL, 0, str_n(text.ptr + at, len)))
            return false;
        at += len;
        if (at >= text.len)
            break;
        at++;
        if (!template_name(l, p, text, &at, &name))
            return false;
        if (is_capture(name)) {
            if (!template_add(l, p, parts, PART_CAPTURE, (uint32_t)(name.ptr[0] - '0'), name))
                return false;
        } else if (!template_add(l, p, parts, PART_VARIABLE, var_index(l, name, p->pos), name)) {
            return false;
        }
    }
    return true;
}

static bool
template_build(struct conf_load *l, const struct template_place *p, struct str text,
               struct template *t)
{
    struct vec parts;

    *t = (struct template){ .text = arena_str(conf_arena(l), text), .set = true };
    if (t->text.ptr == NULL)
        return conf_fail_at(l, p->pos, "out of memory");
    if (str_find(text, '$') == text.len)
        return true;
    vec_init(&parts, conf_arena(l), sizeof(struct template_part));
    if (!template_parse(l, p, t->text, &parts))
        return false;
    t->parts = parts.data;
    t->n = parts.len;
    return true;
}

bool
template_compile(struct conf_load *l, const struct conf_node *n, int arg, struct str text,
                 struct template *t)
{
    struct template_place p = { .node = n, .arg = arg, .pos = n->pos };

    if (arg >= 0 && (uint32_t)arg < n->n)
        p.pos = n->arg_pos[arg];
    return template_build(l, &p, text, t);
}

bool
template_compile_at(struct conf_load *l, struct conf_pos pos, struct str text, struct template *t)
{
    struct template_place p = { .node = NULL, .pos = pos };

    return template_build(l, &p, text, t);
}

bool
conf_set_template(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct template *t = (struct template *)((char *)conf + d->offset);

    return template_compile(l, n, 1, n->args[1], t);
}

bool
template_has_captures(const struct template *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (t->parts[i].kind == PART_CAPTURE)
            return true;
    }
    return false;
}

/* ---- expanding ---- */

static void
template_put(struct exchange *x, const struct template *t, struct text *to)
{
    if (t->n == 0)
        text_add(to, t->text);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct template_part *part = &t->parts[i];

        switch (part->kind) {
        case PART_LITERAL:
            text_add(to, part->text);
            break;
        case PART_VARIABLE:
            text_add(to, var_get(x, part->index).text);
            break;
        case PART_CAPTURE:
            if (template_capture != NULL)
                text_add(to, template_capture(x, part->index));
            break;
        }
    }
}

void
template_append(struct exchange *x, const struct template *t, struct text *to)
{
    if (t->n == 0) {
        text_add(to, t->text);
        return;
    }
    var_template_begin(x);
    template_put(x, t, to);
    var_template_end(x);
}

struct str
template_expand(struct exchange *x, const struct template *t)
{
    struct text to;

    if (t->n == 0)
        return t->text.ptr != NULL ? t->text : S("");
    text_init(&to, &x->mem->arena);
    text_room(&to, t->text.len + t->n * TEMPLATE_VALUE_GUESS);
    template_append(x, t, &to);
    text_char(&to, '\0');
    if (to.failed)
        return STR_NONE;
    return str_n(to.ptr, to.len - 1);
}

/* ---- conditions ---- */

bool
conf_set_conditions(struct conf_load *l, const struct directive *d, struct conf_node *n, void *conf)
{
    struct vec *list = (struct vec *)((char *)conf + d->offset);

    vec_init(list, conf_arena(l), sizeof(struct template));
    for (uint32_t i = 1; i < n->n; i++) {
        struct template *t = VEC_PUSH(list, struct template);

        if (t == NULL)
            return conf_fail(l, n, 0, "out of memory");
        if (!template_compile(l, n, (int)i, n->args[i], t))
            return false;
    }
    return true;
}

static bool
holds(struct exchange *x, const struct template *t)
{
    struct str value = template_expand(x, t);

    return value.len > 0 && !str_eq(value, S("0"));
}

bool
conditions_hold(struct exchange *x, const struct vec *conditions)
{
    VEC_FOREACH (t, struct template, conditions)
        if (!holds(x, t))
            return false;
    return true;
}

bool
conditions_any(struct exchange *x, const struct vec *conditions)
{
    VEC_FOREACH (t, struct template, conditions)
        if (holds(x, t))
            return true;
    return false;
}
