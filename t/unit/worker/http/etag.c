/* SPDX-License-Identifier: BSD-2-Clause */
/* etag.c - entity tags: their form, and lists of them. */
#include "worker/http/etag.h"

#include "test.h"

TEST(form)
{
    struct arena a;

    arena_init(&a, 1024);
    CHECK_STR(etag_make(&a, 1700000000, 36), "\"6553f100-24\"");
    CHECK_STR(etag_make(&a, 0, 0), "\"0-0\"");
    CHECK_STR(etag_make(&a, -1, UINT64_MAX), "\"ffffffffffffffff-ffffffffffffffff\"");
    arena_free(&a);
}

static const struct {
    const char *list, *etag;
    bool strong, weak;
} lists[] = {
    { "\"a\"", "\"a\"", true, true },
    { "\"a\"", "\"b\"", false, false },
    { "\"a\"", "\"A\"", false, false },
    { "\"a\"", "\"ab\"", false, false },
    { "\"ab\"", "\"a\"", false, false },
    { "\"x\", \"a\"", "\"a\"", true, true },
    { "\"x\",\"y\"\t,  \"a\"", "\"a\"", true, true },
    { ",, \"a\"", "\"a\"", true, true },
    { "\"x,\\\", \"a\"", "\"a\"", true, true },
    { "W/\"a\"", "\"a\"", false, true },
    { "\"a\"", "W/\"a\"", false, true },
    { "W/\"a\"", "W/\"a\"", false, true },
    { "w/\"a\"", "\"a\"", false, false },
    { "\"x\", W/\"y\", \"a\"", "\"a\"", true, true },
    { "*", "\"a\"", true, true },
    { " * ", "\"a\"", true, true },
    { "*", "", true, true },
    { "*, \"x\"", "\"a\"", false, false },
    { "\"\"", "\"\"", true, true },
    /* what is broken ends the list */
    { "", "\"a\"", false, false },
    { "a", "a", false, false },
    { "a, \"a\"", "\"a\"", false, false },
    { "\"a", "\"a", false, false },
    { "\"a", "\"a\"", false, false },
    { "W/", "\"a\"", false, false },
    { "W/a", "a", false, false },
    { "\"x\" \"", "\"a\"", false, false },
    { "\"a\"", "", false, false },
};

TEST(in_lists)
{
    EACH (lists, l) {
        /* in memory of its own length, so that a look behind it is found */
        size_t len = strlen(l->list);
        char *copy = malloc(len == 0 ? 1 : len);
        struct str list = str_n(memcpy(copy, l->list, len), len);

        CHECK_EQ(etag_in_list(list, str_c(l->etag), false), l->strong, "%s in %s, strong", l->etag,
                 l->list);
        CHECK_EQ(etag_in_list(list, str_c(l->etag), true), l->weak, "%s in %s, weak", l->etag,
                 l->list);
        free(copy);
    }
}
