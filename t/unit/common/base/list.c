/* SPDX-License-Identifier: BSD-2-Clause */
/* list.c - the intrusive ring. */
#include "common/base/list.h"

#include "t/unit/test.h"

struct item {
    int n;
    struct list node;
};

static int
digits(struct list *head)
{
    int all = 0;

    LIST_FOREACH (it, head)
        all = all * 10 + LIST_ENTRY(it, struct item, node)->n;
    return all;
}

TEST(order_and_removal)
{
    struct list head = LIST_INIT(head), other = LIST_INIT(other);
    struct item a = { .n = 1 }, b = { .n = 2 }, c = { .n = 3 };

    CHECK(list_empty(&head) && list_first(&head) == NULL);
    CHECK(!list_linked(&a.node));
    list_del(&a.node);
    list_add_tail(&head, &a.node);
    list_add_tail(&head, &b.node);
    list_add_head(&head, &c.node);
    CHECK_EQ(digits(&head), 312);
    CHECK(list_linked(&a.node) && list_first(&head) == &c.node);
    LIST_FOREACH (it, &head)
        if (it == &a.node)
            list_del(it);
    CHECK_EQ(digits(&head), 32);
    CHECK(!list_linked(&a.node));
    list_del(&a.node);

    list_add_tail(&other, &a.node);
    list_splice_tail(&other, &head);
    CHECK_EQ(digits(&other), 132);
    CHECK(list_empty(&head));
    list_splice_tail(&other, &head);
    CHECK_EQ(digits(&other), 132);
}
