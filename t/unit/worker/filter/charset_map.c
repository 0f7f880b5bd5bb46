/* SPDX-License-Identifier: BSD-2-Clause */
/* charset_map.c - every character there and back, and the same result however a text comes in parts and however little room
 * there is. */
#include "test.h"

#include "common/base/rand.h"
#include "common/base/text.h"
#include "worker/filter/charset_map.h"

enum { TEXT_MAX = 300, ROUNDS = 3000 };

static struct arena arena;
static struct charset_table *to_utf8, *from_utf8, *swap;

/* Bytes from 0x80 on are the characters from U+0400 on; 0xFF is U+1F600; 0xFE is none. `swap` mirrors the upper half. */
static void
make_tables(void)
{
    arena_init(&arena, 4096);
    to_utf8 = charset_table_to_utf8(&arena);
    from_utf8 = charset_table_from_utf8(&arena);
    swap = charset_table_new(&arena);
    for (unsigned b = 0x80; b < 0xFE; b++) {
        char utf8[2] = { (char)(0xD0 + (b - 0x80) / 64), (char)(0x80 + (b - 0x80) % 64) };

        charset_table_char(to_utf8, (uint8_t)b, str_n(utf8, 2));
        REQUIRE(charset_table_point(from_utf8, 0x400 + b - 0x80, (uint8_t)b, &arena));
        charset_table_byte(swap, (uint8_t)b, (uint8_t)(0xFF - (b - 0x80)));
    }
    charset_table_char(to_utf8, 0xFF, S("\xF0\x9F\x98\x80"));
    REQUIRE(charset_table_point(from_utf8, 0x1F600, 0xFF, &arena));
}

/* In parts of up to `step` bytes, into rooms of up to `room` bytes. */
static void
convert(const struct charset_table *t, struct str in, uint32_t step, uint32_t room, struct text *to)
{
    struct charset_state state = { 0 };
    char out[64];

    while (in.len > 0) {
        size_t take = 1 + rand_below(step);
        struct str part = str_upto(in, take < in.len ? take : in.len);

        in = str_from(in, part.len);
        while (part.len > 0) {
            size_t n = charset_convert(t, &state, &part, out, CHARSET_CHAR_MAX + rand_below(room));

            REQUIRE(n > 0 || part.len == 0);
            text_bytes(to, out, n);
        }
    }
    text_bytes(to, out, charset_convert_end(&state, out));
}

static struct str
converted(const struct charset_table *t, struct str in, uint32_t step, struct arena *a)
{
    struct text to;

    text_init(&to, a);
    TEXT_LIT(&to, "");
    convert(t, in, step, 50, &to);
    return text_str(&to);
}

TEST(there_and_back)
{
    char all[256];

    make_tables();
    for (unsigned b = 0; b < 256; b++)
        all[b] = (char)(b == 0xFE ? '?' : b);
    CHECK(str_eq(converted(from_utf8, converted(to_utf8, str_n(all, 256), 7, &arena), 7, &arena),
                 str_n(all, 256)));
    CHECK_EQ(converted(to_utf8, str_n(all, 256), 7, &arena).len, 129 + 2 * 126 + 4);
    CHECK(charset_table_keeps_length(swap) && !charset_table_keeps_length(to_utf8));
    arena_free(&arena);
}

TEST(what_is_not_there)
{
    static const struct {
        const char *utf8, *bytes;
    } rows[] = {
        { "\xD0\x80<", "\x80<" },
        { "\xE2\x82\xAC", "&#8364;" },
        { "\xF4\x8F\xBF\xBF", "&#1114111;" },
        { "\xF0\x9F\x98\x80", "\xFF" },
        { "\x80", "?" },
        { "\xD0<", "?<" },
        { "\xE2\x82<", "?<" },
        { "\xF0\x9F\x98", "?" },
        { "\xC0\x80", "??" },
        { "\xF5\x80", "??" },
        { "\xD0\xD0\x80", "?\x80" },
    };

    make_tables();
    EACH (rows, r) {
        for (uint32_t step = 1; step < 5; step++)
            CHECK(str_eq(converted(from_utf8, str_c(r->utf8), step, &arena), str_c(r->bytes)), "%s",
                  r->bytes);
    }
    arena_free(&arena);
}

/* Any bytes: in parts the same as whole, and the length of the text for tables of bytes. */
TEST(parts)
{
    make_tables();
    for (int i = 0; i < ROUNDS; i++) {
        const struct charset_table *tables[] = { to_utf8, from_utf8, swap };
        const struct charset_table *t = tables[rand_below(3)];
        uint32_t len = rand_below(TEXT_MAX);
        char text[TEXT_MAX];
        struct arena a;
        struct str whole, parts;

        arena_init(&a, 4096);
        for (uint32_t k = 0; k < len; k++) /* leading and following bytes more often than not */
            text[k] = (char)(rand_below(4) == 0 ? rand_below(256) : 0x80 + rand_below(0x78));
        whole = converted(t, str_n(text, len), TEXT_MAX, &a);
        parts = converted(t, str_n(text, len), 1 + rand_below(4), &a);
        CHECK(str_eq(whole, parts));
        if (t == swap)
            CHECK_EQ(whole.len, len);
        arena_free(&a);
    }
    arena_free(&arena);
}

TEST(points)
{
    static const struct {
        const char *bytes;
        bool good;
        uint32_t point;
    } rows[] = {
        { "\xC2\x80", true, 0x80 },
        { "\xEF\xBF\xBF", true, 0xFFFF },
        { "\xF0\x90\x80\x80", true, 0x10000 },
        { "\xED\x9F\xBF", true, 0xD7FF },
        { "A", false, 0 },
        { "", false, 0 },
        { "\xC1\x80", false, 0 },
        { "\xE0\x9F\xBF", false, 0 },
        { "\xED\xA0\x80", false, 0 },
        { "\xC2", false, 0 },
        { "\xC2\x80\x80", false, 0 },
    };

    EACH (rows, r) {
        uint32_t point = 0;

        CHECK_EQ(charset_utf8_point(str_c(r->bytes), &point), r->good, "%s", r->bytes);
        if (r->good)
            CHECK_EQ(point, r->point);
    }
}
