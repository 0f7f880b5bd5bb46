/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * damage.c - damaged variants of valid configurations: the load ends, with success or with the place of a mistake.
 *
 * The damage is drawn from a fixed sequence, so a variant that fails is the same tomorrow. t/conf/damage.t does the
 * same to the program.
 */
#include "common/conf/config.h"

#include <glob.h>

#include "common/base/num.h"

#include "test.h"

#include "common/conf/fake.h"

enum { VARIANTS = 3000 };

static uint64_t state = 20261120;

static uint32_t
draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

static struct str
read_text(struct arena *a, const char *path)
{
    struct text t;
    FILE *f = fopen(path, "r");

    text_init(&t, a);
    for (int c; f != NULL && (c = fgetc(f)) != EOF;)
        text_char(&t, (char)c);
    if (f != NULL)
        fclose(f);
    return text_str(&t);
}

/* One piece of damage: a byte or a range taken out, doubled, moved, replaced or put in. */
static struct str
damage(struct arena *a, struct str s)
{
    static const char bytes[] = "{};\"'\\$#\n\r\t \0*[]=x9\xff\xc3";
    uint32_t at = draw((uint32_t)s.len + 1), len = draw(1 + draw(40)), to;
    struct text t;

    if (at + len > s.len)
        len = (uint32_t)s.len - at;
    text_init(&t, a);
    text_add(&t, str_upto(s, at));
    switch (draw(6)) {
    case 0:
        len = len > 0;
        break;
    case 1:
        break;
    case 2:
        text_add(&t, str_n(s.ptr + at, len));
        len = 0;
        break;
    case 3:
        text_char(&t, bytes[draw(sizeof(bytes) - 1)]);
        len = 0;
        break;
    case 4:
        text_char(&t, bytes[draw(sizeof(bytes) - 1)]);
        len = len > 0;
        break;
    default:
        to = draw((uint32_t)s.len + 1);
        text_add(&t, str_n(s.ptr + to, num_min(len, s.len - to)));
        break;
    }
    text_add(&t, str_from(s, at + len));
    return t.len > 0 ? text_str(&t) : S("");
}

/* `... in FILE:LINE`, with the source or without. */
static bool
has_place(struct str line)
{
    size_t colon = str_rfind(line, ':');

    if (colon + 1 >= line.len || str_search(line, S(" in /")) == line.len)
        return false;
    for (size_t i = colon + 1; i < line.len; i++)
        if (line.ptr[i] < '0' || line.ptr[i] > '9')
            return false;
    return true;
}

static void
check_variant(struct str text, struct str part, bool in_part)
{
    struct fake_load f;
    struct str broken;

    fake_start(&f);
    broken = damage(&f.arena, in_part ? part : text);
    while (draw(3) == 0)
        broken = damage(&f.arena, broken);
    fake_text(&f, "/w/w.conf", in_part ? text : broken);
    fake_text(&f, "/w/parts/limits.inc", in_part ? broken : part);
    fake_run(&f);
    CHECK(f.config != NULL || f.messages.len > 0, "%.*s", STR(broken));
    VEC_FOREACH (m, struct conf_message, &f.messages) {
        CHECK(has_place(m->line), "%.*s", STR(m->line));
        CHECK_EQ(str_find(m->line, '\n'), m->line.len);
        CHECK(m->details.len == 0 || m->details.ptr[m->details.len - 1] == '\n');
    }
    fake_end(&f);
}

TEST(damaged_configurations)
{
    struct arena a;
    glob_t found;
    struct str part;

    arena_init(&a, 4096);
    part = read_text(&a, "t/conf/valid/parts/limits.inc");
    REQUIRE(part.len > 0);
    REQUIRE(glob("t/fuzz/corpus/conf/*.conf", 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct str text = read_text(&a, found.gl_pathv[i]);
        struct fake_load f;

        fake_start(&f);
        fake_text(&f, "/w/w.conf", text);
        fake_text(&f, "/w/parts/limits.inc", part);
        CHECK(fake_run(&f) != NULL, "%s:\n%.*s", found.gl_pathv[i], STR(fake_messages(&f)));
        fake_end(&f);
        for (int n = 0; n < VARIANTS; n++)
            check_variant(text, part, draw(8) == 0);
    }
    globfree(&found);
    arena_free(&a);
}

/* A configuration that is cut off anywhere. */
TEST(cut_configurations)
{
    struct arena a;
    struct str text;

    arena_init(&a, 4096);
    text = read_text(&a, "t/fuzz/corpus/conf/files.conf");
    for (size_t n = 0; n < text.len; n++) {
        struct fake_load f;
        char *exact = malloc(n + 1);

        REQUIRE(exact != NULL);
        memcpy(exact, text.ptr, n);
        fake_start(&f);
        fake_text(&f, "/w/w.conf", str_n(exact, n));
        if (fake_run(&f) == NULL)
            VEC_FOREACH (m, struct conf_message, &f.messages)
                CHECK(has_place(m->line), "%.*s", STR(m->line));
        fake_end(&f);
        free(exact);
    }
    arena_free(&a);
}
