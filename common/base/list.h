/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.h - intrusive doubly linked ring. The head is a node like any other; a node in no list points to itself
 * or is zeroed.
 */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/panic.h"

struct list {
    struct list *next, *prev;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }
static inline void
list_init(struct list *l)
{
    l->next = l->prev = l;
}
static inline bool
list_empty(const struct list *head)
{
    return head->next == head || head->next == NULL;
}
/* For a node: whether it is in a list now. */
static inline bool
list_linked(const struct list *node)
{
    return node->next != NULL && node->next != node;
}
static inline void
list_insert_after(struct list *at, struct list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}
static inline void
list_add_tail(struct list *head, struct list *node)
{
    list_insert_after(head->prev, node);
}
static inline void
list_add_head(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}
/* Harmless on a node that is in no list. */
static inline void
list_del(struct list *node)
{
    if (node->next != NULL) {
        node->next->prev = node->prev;
        node->prev->next = node->next;
    }
    list_init(node);
}
/* First node or NULL. */
static inline struct list *
list_first(struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}
/* Moves all of `from` to the end of `to`; `from` is empty then. */
static inline void
list_splice_tail(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

/* `it` is a struct list *; the body may delete `it` but not its successor. */
#define LIST_FOREACH(it, head)                                                \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)

#endif
