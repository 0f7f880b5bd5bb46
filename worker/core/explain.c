/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - keeps what decisions tell, and finds directives in the text by level and name.
 */
#include "worker/core/explain.h"

#include "common/event/loop.h"

bool explain_on;

static struct {
    struct arena *arena;
    const struct conf_node *tree;
    struct vec steps, facts; /* of struct explain_entry */
} story;

void
explain_begin(struct arena *a, const struct conf_node *tree)
{
    story.arena = a;
    story.tree = tree;
    vec_init(&story.steps, a, sizeof(struct explain_entry));
    vec_init(&story.facts, a, sizeof(struct explain_entry));
    explain_on = true;
}

const struct vec *
explain_steps(void)
{
    return &story.steps;
}

const struct vec *
explain_facts(void)
{
    return &story.facts;
}

/* Without memory the step is missing: the process ends soon anyway. */
static void
add_step(const char *what, struct conf_pos pos, const char *fmt, va_list args)
{
    struct explain_entry *e;
    struct text t;

    text_init(&t, story.arena);
    text_vfmt(&t, fmt, args);
    e = t.failed ? NULL : VEC_PUSH(&story.steps, struct explain_entry);
    if (e != NULL)
        *e = (struct explain_entry){ what, pos, text_str(&t) };
}

void
explain_step(const char *what, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_step(what, pos, fmt, args);
    va_end(args);
}

void
explain_stop(const char *what, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add_step(what, pos, fmt, args);
    va_end(args);
    loop_stop();
}

void
explain_fact(const char *name, struct str value)
{
    struct explain_entry *found = NULL;

    VEC_FOREACH (e, struct explain_entry, &story.facts) {
        if (strcmp(e->what, name) == 0)
            found = e;
    }
    if (found == NULL)
        found = VEC_PUSH(&story.facts, struct explain_entry);
    if (found != NULL)
        *found = (struct explain_entry){ name, EXPLAIN_NOWHERE, arena_str(story.arena, value) };
}

/* ---- the text ---- */

static bool
same_place(struct conf_pos a, struct conf_pos b)
{
    return a.file == b.file && a.line == b.line && a.column == b.column;
}

static const struct conf_node *
node_at(const struct conf_node *list, struct conf_pos pos)
{
    for (const struct conf_node *n = list; n != NULL; n = n->next) {
        const struct conf_node *found = same_place(n->pos, pos) ? n : node_at(n->children, pos);

        if (found != NULL)
            return found;
    }
    return NULL;
}

static const struct conf_node *
child_named(const struct conf_node *list, const char *name, struct str first)
{
    for (const struct conf_node *n = list; n != NULL; n = n->next) {
        if (str_eq(n->args[0], str_c(name)) &&
            (first.len == 0 || (n->n > 1 && str_eq(n->args[1], first))))
            return n;
    }
    return NULL;
}

struct conf_pos
explain_place(const struct scope *s, const char *name, struct str first)
{
    for (; s != NULL; s = s->parent) {
        const struct conf_node *block = s->parent != NULL ? node_at(story.tree, s->pos) : NULL;
        const struct conf_node *list = s->parent == NULL ? story.tree
                                       : block != NULL   ? block->children
                                                         : NULL;
        const struct conf_node *found = child_named(list, name, first);

        if (found != NULL)
            return found->pos;
    }
    return EXPLAIN_NOWHERE;
}

/* The directive that the word at `pos` belongs to. */
static const struct conf_node *
node_of_word(const struct conf_node *list, struct conf_pos pos)
{
    for (const struct conf_node *n = list; n != NULL; n = n->next) {
        const struct conf_node *found = node_of_word(n->children, pos);

        for (uint32_t i = 0; i < n->n && found == NULL; i++) {
            if (same_place(n->arg_pos[i], pos))
                found = n;
        }
        if (found != NULL)
            return found;
    }
    return NULL;
}

struct str
explain_line(struct conf_pos pos)
{
    const struct conf_node *n = pos.line != 0 ? node_of_word(story.tree, pos) : NULL;
    struct text t;

    if (n == NULL)
        return STR_NONE;
    text_init(&t, story.arena);
    for (uint32_t i = 0; i < n->n; i++) {
        bool quoted = n->args[i].len == 0 || n->quoted[i] != 0;

        if (i > 0)
            text_char(&t, ' ');
        if (quoted)
            text_char(&t, '"');
        text_add(&t, n->args[i]);
        if (quoted)
            text_char(&t, '"');
    }
    return text_str(&t);
}
