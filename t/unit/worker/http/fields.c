/* SPDX-License-Identifier: BSD-2-Clause */
/* fields.c - known names, order, chains of equal names, removal. */
#include "worker/http/fields.h"

#include <ctype.h>

#include "test.h"

TEST(every_known_name_is_found_in_any_case)
{
    for (unsigned id = 1; id < FIELD_COUNT; id++) {
        struct str name = field_name(id);
        char upper[64], lower[64];

        for (size_t i = 0; i < name.len; i++) {
            upper[i] = (char)toupper((unsigned char)name.ptr[i]);
            lower[i] = (char)tolower((unsigned char)name.ptr[i]);
        }
        CHECK_EQ(field_id(name), id, "%.*s", STR(name));
        CHECK_EQ(field_id(str_n(upper, name.len)), id, "%.*s", STR(name));
        CHECK_EQ(field_id(str_n(lower, name.len)), id, "%.*s", STR(name));
        /* a neighbour in the character set is another name: '-' and 0x0d differ in the bit of case */
        lower[0] ^= 0x40;
        CHECK_EQ(field_id(str_n(lower, name.len)), FIELD_OTHER, "%.*s", STR(name));
        upper[name.len - 1] ^= 0x01;
        CHECK(field_id(str_n(upper, name.len)) != id, "%.*s", STR(name));
        CHECK(field_id(str_n(name.ptr, name.len - 1)) != id, "%.*s", STR(name));
    }
}

TEST(unknown_names)
{
    static const char *const names[] = { "",
                                         "x",
                                         "Hos",
                                         "Hostt",
                                         "X-Forwarded-Fo",
                                         "Content\rLength",
                                         "Content_Length",
                                         "a-name-that-is-longer-than-all-known" };

    EACH (names, n)
        CHECK_EQ(field_id(str_c(*n)), FIELD_OTHER, "%s", *n);
}

TEST(order_and_chains)
{
    struct arena a;
    struct fields f;
    struct field *one;
    uint32_t i = 0;

    arena_init(&a, 1024);
    fields_init(&f, &a);
    fields_add(&f, FIELD_COOKIE, STR_NONE, S("a"));
    fields_add(&f, FIELD_OTHER, S("X-A"), S("1"));
    fields_add(&f, FIELD_COOKIE, STR_NONE, S("b"));
    fields_add(&f, FIELD_OTHER, S("x-a"), S("2"));
    fields_add(&f, FIELD_COOKIE, S("cookie"), S("c"));

    one = fields_get(&f, FIELD_COOKIE);
    CHECK(str_eq(one->value, S("a")) && str_eq(one->name, S("Cookie")));
    CHECK(str_eq(fields_joined(&f, S("COOKIE"), "; ", &a), S("a; b; c")));
    CHECK(str_eq(fields_joined(&f, S("x-A"), ", ", &a), S("1, 2")));
    CHECK(fields_joined(&f, S("x-b"), ", ", &a).ptr == NULL);

    fields_remove_field(&f, fields_more(&f, one)); /* from the middle */
    CHECK(str_eq(fields_joined(&f, S("cookie"), "; ", &a), S("a; c")));
    fields_remove_field(&f, one); /* the first */
    CHECK(str_eq(fields_value(&f, FIELD_COOKIE), S("c")));
    fields_add(&f, FIELD_COOKIE, STR_NONE, S("d"));
    CHECK(str_eq(fields_joined(&f, S("cookie"), "; ", &a), S("c; d")));
    fields_remove_field(&f, fields_more(&f, fields_get(&f, FIELD_COOKIE))); /* the last */
    fields_add(&f, FIELD_COOKIE, STR_NONE, S("e"));
    CHECK(str_eq(fields_joined(&f, S("cookie"), "; ", &a), S("c; e")));

    fields_set(&f, FIELD_OTHER, S("X-a"), S("3"));
    CHECK(str_eq(fields_joined(&f, S("x-a"), ", ", &a), S("3")));
    fields_set(&f, FIELD_COOKIE, STR_NONE, S("f"));
    CHECK(str_eq(fields_joined(&f, S("cookie"), ", ", &a), S("f")));
    fields_remove(&f, FIELD_COOKIE);
    CHECK(fields_get(&f, FIELD_COOKIE) == NULL);
    CHECK(str_eq(fields_each(&f, &i)->value, S("3")));
    CHECK(fields_each(&f, &i) == NULL);
    arena_free(&a);
}

TEST(many_fields_of_one_name)
{
    struct arena a;
    struct fields f;
    unsigned n = 0;

    arena_init(&a, 4096);
    fields_init(&f, &a);
    for (unsigned i = 0; i < 70000; i++)
        fields_add(&f, FIELD_COOKIE, STR_NONE, S("x"));
    CHECK(f.failed);
    for (struct field *one = fields_get(&f, FIELD_COOKIE); one != NULL; one = fields_more(&f, one))
        n++;
    CHECK_EQ(n, 65000);
    arena_free(&a);
}

TEST(tokens_in_lists)
{
    struct arena a;
    struct fields f;

    arena_init(&a, 1024);
    fields_init(&f, &a);
    fields_add(&f, FIELD_CONNECTION, STR_NONE, S("foo , Keep-Alive"));
    fields_add(&f, FIELD_CONNECTION, STR_NONE, S("Upgrade"));
    CHECK(fields_has_token(&f, FIELD_CONNECTION, S("keep-alive")));
    CHECK(fields_has_token(&f, FIELD_CONNECTION, S("FOO")));
    CHECK(fields_has_token(&f, FIELD_CONNECTION, S("upgrade")));
    CHECK(!fields_has_token(&f, FIELD_CONNECTION, S("close")));
    CHECK(!fields_has_token(&f, FIELD_CONNECTION, S("keep")));
    CHECK(!fields_has_token(&f, FIELD_TE, S("trailers")));
    arena_free(&a);
}

TEST(valid_names_and_values)
{
    CHECK(field_name_valid(S("X-a_b.!#$%&'*+^`|~9")));
    CHECK(!field_name_valid(S("")) && !field_name_valid(S("a b")) && !field_name_valid(S("a:")));
    CHECK(!field_name_valid(S("a\x80")) && !field_name_valid(S("a\x7f")) &&
          !field_name_valid(S("(a)")));
    CHECK(field_value_valid(S("")) && field_value_valid(S("a\tb \xff")));
    CHECK(!field_value_valid(S("a\nb")) && !field_value_valid(S("a\rb")));
    CHECK(!field_value_valid(S("a\0b")) && !field_value_valid(S("\x1f")) &&
          !field_value_valid(S("\x7f")));
}

TEST(what_connection_says)
{
    static const struct {
        const char *value;
        unsigned bits;
    } values[] = {
        { "close", CONNECTION_CLOSE },
        { "Keep-Alive", CONNECTION_KEEP_ALIVE },
        { "KEEP-ALIVE", CONNECTION_KEEP_ALIVE },
        { "Upgrade", 0 },
        { "keep-alivf", CONNECTION_NOMINATES },
        { "x-foo", CONNECTION_NOMINATES },
        { "close, x-foo", CONNECTION_NOMINATES | CONNECTION_CLOSE },
        { "keep-alive, Upgrade", CONNECTION_NOMINATES | CONNECTION_KEEP_ALIVE },
        { "", CONNECTION_NOMINATES },
    };
    struct arena a;
    struct fields f;

    arena_init(&a, 4096);
    fields_init(&f, &a);
    CHECK_EQ(fields_connection(&f), 0, "none");
    EACH (values, v) {
        fields_init(&f, &a);
        (void)fields_add(&f, FIELD_CONNECTION, STR_NONE, str_c(v->value));
        CHECK_EQ(fields_connection(&f), v->bits, "%s", v->value);
    }
    (void)fields_add(&f, FIELD_CONNECTION, STR_NONE, S("close"));
    CHECK_EQ(fields_connection(&f), CONNECTION_NOMINATES | CONNECTION_CLOSE, "two fields");
    arena_free(&a);
}

TEST(copies)
{
    struct arena a;
    struct fields from, to;

    arena_init(&a, 4096);
    fields_init(&from, &a);
    fields_init(&to, &a);
    CHECK(fields_copy(&to, &from) && to.n == 0, "of nothing");
    for (unsigned i = 0; i < 20; i++)
        (void)fields_add(&from, i % 2 ? FIELD_VIA : FIELD_OTHER, S("Name"), S("value"));
    fields_remove_field(&from, &from.at[1]);
    CHECK(fields_copy(&to, &from), "copied");
    CHECK_EQ(to.n, 20);
    CHECK(fields_get(&to, FIELD_VIA) == &to.at[3], "chains are its own");
    fields_remove(&to, FIELD_VIA);
    CHECK(fields_get(&to, FIELD_VIA) == NULL && fields_get(&from, FIELD_VIA) == &from.at[3],
          "the copy alone changes");
    (void)fields_add(&to, FIELD_AGE, STR_NONE, S("1"));
    CHECK(fields_get(&to, FIELD_AGE) != NULL && fields_get(&from, FIELD_AGE) == NULL, "grows");
    arena_free(&a);
}
