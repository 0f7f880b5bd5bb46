/* SPDX-License-Identifier: BSD-2-Clause */
/* name_table.c - which of several names and masks a host name finds. */
#include "worker/http/name_table.h"

#include "test.h"

static int values[16];

/* The index of the name that is found; -1: none. */
static int
found(const struct name_table *t, const char *name)
{
    int *value = name_table_find(t, str_c(name));

    return value != NULL ? (int)(value - values) : -1;
}

TEST(order)
{
    static const char *const names[] = { "example.com", "*.example.com",   ".both.org", "www.*",
                                         "www.deep.*",  "*.b.example.com", "",          "a" };
    static const struct {
        const char *name;
        int found;
    } rows[] = {
        { "example.com", 0 },
        { "a.example.com", 1 },
        { "a.a.example.com", 1 },
        { "b.example.com", 1 },
        { "c.b.example.com", 5 },
        { "both.org", 2 },
        { "x.both.org", 2 },
        { "www.x", 3 },
        { "www.deep.x", 4 },
        { "www.example.com", 1 },
        { "www.", 3 },
        { "www", -1 },
        { "", 6 },
        { "a", 7 },
        { "b", -1 },
        { ".", -1 },
        { "..", -1 },
        { "example.com.", -1 },
        { "xexample.com", -1 },
        { "www.deep.x.y", 4 },
        { "org", -1 },
    };
    struct name_table t;
    struct arena a;

    arena_init(&a, 4096);
    name_table_init(&t, &a);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_EQ(name_table_add(&t, str_c(names[i]), true, &values[i]), NAME_ADDED, "%s", names[i]);
    EACH (rows, r)
        CHECK_EQ(found(&t, r->name), r->found, "%s", r->name);
    arena_free(&a);
}

TEST(refused)
{
    static const struct {
        const char *name;
        enum name_added added;
    } rows[] = {
        { "Example.com", NAME_ADDED },
        { "example.COM", NAME_TWICE },
        { ".example.com", NAME_TWICE },
        { "*.x", NAME_ADDED },
        { ".x", NAME_TWICE },
        { ".y", NAME_ADDED },
        { "y", NAME_TWICE },
        { "*.y", NAME_TWICE },
        { "w.*", NAME_ADDED },
        { "W.*", NAME_TWICE },
        { "*", NAME_INVALID },
        { "*x", NAME_INVALID },
        { "x*", NAME_INVALID },
        { "*.", NAME_INVALID },
        { "a.*.b", NAME_INVALID },
        { "*.a.*", NAME_INVALID },
        { "a..b", NAME_INVALID },
        { ".*", NAME_INVALID },
    };
    struct name_table t;
    struct arena a;

    arena_init(&a, 4096);
    name_table_init(&t, &a);
    EACH (rows, r)
        CHECK_EQ(name_table_add(&t, str_c(r->name), true, &values[0]), r->added, "%s", r->name);
    arena_free(&a);
}

TEST(without_masks)
{
    struct name_table t;
    struct arena a;

    arena_init(&a, 4096);
    name_table_init(&t, &a);
    CHECK_EQ(name_table_add(&t, S("*.A"), false, &values[1]), NAME_ADDED, "as it is");
    CHECK_EQ(name_table_add(&t, S("a..b*"), false, &values[2]), NAME_ADDED, "as it is");
    CHECK_EQ(found(&t, "*.a"), 1, "the same text");
    CHECK_EQ(found(&t, "a..b*"), 2, "the same text");
    CHECK_EQ(found(&t, "x.a"), -1, "no mask");
    arena_free(&a);
}
