/* SPDX-License-Identifier: BSD-2-Clause */
/* lint.c - takes the lines of a loaded configuration to the checks of the modules. */
#include "common/conf/lint.h"

#include "common/conf/apply.h"

enum {
    LOST_MAX = 5, /* lines that one message names */
};

/* A check in the list of its directive. */
struct lint_entry {
    const struct lint_check *check;
    struct lint_entry *next;
};

struct lint {
    struct hash by_directive; /* to struct lint_entry */
    const struct lint_check *running;
    struct hash
        lines; /* of blocks by name, to struct vec of const struct conf_node *: lint_lost_lines */
    void **states; /* by module: lint_state */
};

static bool
add_check(struct conf_load *l, const struct lint_check *check)
{
    struct lint_entry *e = ARENA_NEW(&l->scratch, struct lint_entry), *first;

    if (e == NULL)
        return false;
    e->check = check;
    first = hash_get(&l->lint->by_directive, str_c(check->directive));
    if (first == NULL)
        return hash_set(&l->lint->by_directive, str_c(check->directive), e);
    while (first->next != NULL)
        first = first->next;
    first->next = e;
    return true;
}

static bool
add_checks(struct conf_load *l)
{
    for (unsigned i = 0; i < module_count; i++)
        for (const struct lint_check *c = modules[i]->lint; c != NULL && c->id != NULL; c++)
            if (!add_check(l, c))
                return false;
    return true;
}

static void
look_at_lines(struct conf_load *l, const struct conf_node *n, struct scope *s,
              const struct lint_line *outer)
{
    for (; n != NULL && !load_gave_up(l); n = n->next) {
        struct lint_line at = { n, s, outer };

        l->scope = s;
        for (struct lint_entry *e = hash_get(&l->lint->by_directive, n->args[0]); e != NULL;
             e = e->next) {
            l->lint->running = e->check;
            e->check->run(l, &at);
        }
        if (n->scope != NULL)
            look_at_lines(l, n->children, n->scope, &at);
    }
}

void
lint_run(struct conf_load *l)
{
    l->lint = ARENA_NEW(&l->scratch, struct lint);
    if (l->lint == NULL)
        goto no_memory;
    hash_init(&l->lint->by_directive, &l->scratch);
    hash_init(&l->lint->lines, &l->scratch);
    l->lint->states = arena_zalloc(&l->scratch, module_count * sizeof(void *));
    if (l->lint->states == NULL || !add_checks(l))
        goto no_memory;
    look_at_lines(l, l->config->tree, l->config->root, NULL);
    return;

no_memory:
    message_no_memory(l);
}

/* ---- for checks ---- */

void
lint_say(struct conf_load *l, const struct conf_node *n, int arg, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_check(l, l->lint->running->id, message_arg(n, arg), fmt, args);
    va_end(args);
}

void
lint_say_at(struct conf_load *l, struct conf_pos pos, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    message_check(l, l->lint->running->id, pos, fmt, args);
    va_end(args);
}

struct str
lint_place(struct conf_load *l, struct conf_pos pos)
{
    return message_place(l, pos);
}

const struct conf_node *
lint_first(struct conf_load *l, const struct lint_line *outer)
{
    return outer != NULL ? outer->node->children : l->config->tree;
}

const struct conf_node *
lint_find(const struct conf_node *n, const char *name)
{
    while (n != NULL && !str_eq(n->args[0], str_c(name)))
        n = n->next;
    return n;
}

void *
lint_state(struct conf_load *l, const struct module *m, size_t size)
{
    void **state = &l->lint->states[m->index];

    if (*state == NULL)
        *state = arena_zalloc(&l->scratch, size);
    if (*state == NULL)
        message_no_memory(l);
    return *state;
}

const struct vec *
lint_lines(struct conf_load *l, const struct lint_line *outer, const char *name)
{
    struct str key =
        arena_fmt(&l->scratch, "%p %s", outer != NULL ? (void *)outer->node : NULL, name);
    struct vec *lines = key.ptr != NULL ? hash_get(&l->lint->lines, key) : NULL;
    const struct conf_node *n, **slot;

    if (lines != NULL)
        return lines;
    lines = ARENA_NEW(&l->scratch, struct vec);
    if (lines == NULL || key.ptr == NULL || !hash_set(&l->lint->lines, key, lines)) {
        message_no_memory(l);
        return NULL;
    }
    vec_init_one(lines, &l->scratch, sizeof(n));
    for (n = lint_first(l, outer); (n = lint_find(n, name)) != NULL; n = n->next) {
        slot = vec_push(lines);
        if (slot != NULL)
            *slot = n;
    }
    return lines;
}

/* ---- lines lost by inheritance ---- */

static bool
is_replaced(const struct vec *own, const struct conf_node *outer)
{
    VEC_FOREACH (it, const struct conf_node *, own) {
        if (str_eq_nocase((*it)->args[1], outer->args[1]))
            return true;
    }
    return false;
}

/* The innermost level around the line that has lines of this name; NULL: none. */
static const struct vec *
outer_lines(struct conf_load *l, const struct lint_line *at, const char *name)
{
    for (const struct lint_line *up = at->outer; up != NULL; up = up->outer) {
        const struct vec *lines = lint_lines(l, up->outer, name);

        if (lines == NULL || lines->len > 0)
            return lines;
    }
    return NULL;
}

bool
lint_lost_lines(struct conf_load *l, const struct lint_line *at)
{
    const char *name = l->lint->running->directive;
    const struct vec *own = lint_lines(l, at->outer, name), *outer;
    struct text t;
    unsigned n = 0;

    /* Said once, at the first line. */
    if (own == NULL || own->len == 0 || at->node != *VEC_AT(own, const struct conf_node *, 0))
        return false;
    outer = outer_lines(l, at, name);
    if (outer == NULL)
        return false;
    text_init(&t, &l->scratch);
    VEC_FOREACH (it, const struct conf_node *, outer) {
        const struct conf_node *line = *it;
        struct str place;

        if (is_replaced(own, line) || n++ >= LOST_MAX)
            continue;
        place = message_place(l, line->pos);
        text_fmt(&t, "%s\"%.*s\" (%.*s)", n > 1 ? ", " : "", STR(line->args[1]), STR(place));
    }
    if (n == 0)
        return false;
    if (n > LOST_MAX)
        text_fmt(&t, " and %u more", n - LOST_MAX);
    if (t.failed) {
        return message_no_memory(l);
    }
    lint_say(l, at->node, 0,
             "this block has \"%s\" lines of its own, so those of the outer level are lost: %.*s",
             name, STR(text_str(&t)));
    return true;
}
